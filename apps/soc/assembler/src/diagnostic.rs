//! What is wrong with a source, where, and what to do about it.

use crate::source::{Sources, Span};
use std::fmt::Write as _;

/// One finding: a reason why no image can be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    pub span: Span,
    /// Names the thing: "unknown instruction `mvo`".
    pub message: String,
    /// Names the remedy.
    pub hint: Option<String>,
}

impl Diagnostic {
    pub(crate) fn error(span: Span, message: impl Into<String>) -> Self {
        Self { span, message: message.into(), hint: None }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// File, line and column, the line itself with a caret under the place, and the hint.
    pub fn render(&self, sources: &Sources) -> String {
        let (line, column) = sources.line_column(self.span);
        let text = sources.line_text(self.span);
        let margin = " ".repeat(line.to_string().len());
        // Tabs are kept under the line, so that the caret stands where the terminal puts the place.
        let lead: String =
            text.chars().take(column - 1).map(|letter| if letter == '\t' { '\t' } else { ' ' }).collect();
        let room = text.chars().count().saturating_sub(column - 1).max(1);
        let carets = "^".repeat(sources.slice(self.span).chars().count().clamp(1, room));
        let mut out = format!("error: {}\n", self.message);
        let _ = writeln!(out, "{margin}--> {}:{line}:{column}", sources.name(self.span.file));
        let _ = writeln!(out, "{margin} |\n{line} | {text}\n{margin} | {lead}{carets}");
        if let Some(hint) = &self.hint {
            let _ = writeln!(out, "{margin} = hint: {hint}");
        }
        let mut origin = sources.origin(self.span.file);
        while let Some(span) = origin {
            let (line, _) = sources.line_column(span);
            let _ = writeln!(out, "{margin} = asked for by {}:{line}", sources.name(span.file));
            origin = sources.origin(span.file);
        }
        out
    }
}

/// The findings of one assembly, as they are collected.
#[derive(Default)]
pub struct Report {
    pub diagnostics: Vec<Diagnostic>,
}

/// Findings beyond this many are not kept: a source that is no source would drown its reader.
const MOST: usize = 200;

impl Report {
    pub(crate) fn push(&mut self, diagnostic: Diagnostic) {
        if self.diagnostics.len() < MOST {
            self.diagnostics.push(diagnostic);
        }
    }

    /// Whether no image can be made.
    pub fn has_errors(&self) -> bool {
        !self.diagnostics.is_empty()
    }
}

/// The candidate nearest to a word that was probably mistyped.
pub(crate) fn nearest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // Names that differ much in length are far apart; and not more are looked at than a finding is worth.
    candidates
        .filter(|candidate| candidate.len().abs_diff(word.len()) <= 2)
        .take(500)
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= candidate.chars().count().max(2) / 2)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Edit distance with swapped neighbours, letters of either case being equal (optimal string alignment).
fn distance(left: &str, right: &str) -> usize {
    let left: Vec<char> = left.chars().take(64).map(|letter| letter.to_ascii_lowercase()).collect();
    let right: Vec<char> = right.chars().take(64).map(|letter| letter.to_ascii_lowercase()).collect();
    let mut rows = vec![vec![0; right.len() + 1]; left.len() + 1];
    for (index, row) in rows.iter_mut().enumerate() {
        row[0] = index;
    }
    rows[0] = (0..=right.len()).collect();
    for i in 1..=left.len() {
        for j in 1..=right.len() {
            let same = left[i - 1] == right[j - 1];
            let mut best =
                (rows[i - 1][j] + 1).min(rows[i][j - 1] + 1).min(rows[i - 1][j - 1] + usize::from(!same));
            if i > 1 && j > 1 && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[left.len()][right.len()]
}

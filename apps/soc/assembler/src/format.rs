//! The formatter: one way to lay out a source, without changing what it means.

use crate::diagnostic::Report;
use crate::lexer::{Token, TokenKind, tokens};
use crate::source::Sources;

/// Where comments stand behind a line that has code, if it is short enough.
const COMMENT_COLUMN: usize = 32;

/// Formats a source: labels at the margin, instructions indented by four, operands separated by a comma and a space,
/// comments behind code in one column. A line that cannot be understood stays as it is.
pub fn format(source: &str) -> String {
    let mut out = String::new();
    let mut blank = 0;
    for line in source.lines() {
        let line = format_line(line);
        if line.is_empty() {
            blank += 1;
            continue;
        }
        // Several empty lines become one; at the start there are none.
        if blank > 0 && !out.is_empty() {
            out.push('\n');
        }
        blank = 0;
        out.push_str(&line);
        out.push('\n');
    }
    out
}

fn format_line(line: &str) -> String {
    let mut sources = Sources::default();
    let file = sources.add(String::new(), line.to_owned(), None);
    let mut report = Report::default();
    let tokens = tokens(file, 0, line, &mut report);
    if report.has_errors() {
        return line.trim_end().to_owned();
    }
    let (code, comment) = match tokens.split_last() {
        Some((last, code)) if last.kind == TokenKind::Comment => (code, sources.slice(last.span).trim_end()),
        _ => (tokens.as_slice(), ""),
    };
    let mut labels = 0;
    while code.get(labels * 2 + 1).is_some_and(|token| token.is(':')) {
        labels += 1;
    }
    let (head, body) = code.split_at(labels * 2);
    let mut text: String = head.chunks(2).map(|pair| format!("{}: ", sources.slice(pair[0].span))).collect();
    if body.is_empty() {
        text.truncate(text.trim_end().len());
    } else {
        let is_margin =
            matches!(body.get(1).and_then(Token::name), Some("equ" | "macro" | "endm" | "include" | "raw"))
                && body[0].is('.');
        while !is_margin && text.len() < 4 {
            text.push(' ');
        }
        text.push_str(&format_body(body, &sources));
    }
    if comment.is_empty() {
        return text;
    }
    if text.is_empty() {
        // A comment at the margin stays there; an indented one keeps the code's indentation.
        return if line.starts_with(';') { comment.to_owned() } else { format!("    {comment}") };
    }
    let width = text.chars().count();
    let gap = COMMENT_COLUMN.saturating_sub(width).max(2);
    format!("{text}{}{comment}", " ".repeat(gap))
}

/// Operation and operands; inside an operand, what the writer put together stays together.
fn format_body(body: &[Token], sources: &Sources) -> String {
    let mut text = String::new();
    let mut last_end = None;
    for token in body {
        let slice = sources.slice(token.span);
        if token.is(',') {
            text.push(',');
        } else {
            let is_apart = last_end.is_some_and(|end| token.span.start > end) || text.ends_with(',');
            if is_apart {
                text.push(' ');
            }
            text.push_str(slice);
        }
        last_end = Some(token.span.end);
    }
    text
}

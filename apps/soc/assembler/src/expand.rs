//! Includes and macros: from a text to the flat list of its statements.
//!
//! The expansion of a macro is a text of its own in [`Sources`], whose origin is the line that used it; so places in
//! findings need no second notion.

use crate::assemble::{Files, Language};
use crate::diagnostic::{Diagnostic, Report};
use crate::lexer::{self, Token, TokenKind};
use crate::original;
use crate::parser;
use crate::predefined;
use crate::source::{FileId, Sources, Span};
use crate::syntax::{Body, Name, Operand, Statement};
use soc_machine::isa;
use std::collections::BTreeMap;

/// Includes and macros nest at most this deep.
const DEEPEST: usize = 32;
/// One assembly reads at most this many bytes of text, expansions included.
const MOST_BYTES: usize = 16 << 20;

struct Macro {
    parameters: Vec<String>,
    lines: Vec<String>,
}

struct Expander<'a> {
    language: Language,
    files: &'a mut dyn Files,
    sources: &'a mut Sources,
    report: &'a mut Report,
    macros: BTreeMap<String, Macro>,
    statements: Vec<Statement>,
    bytes: usize,
    expansions: usize,
    /// A limit was passed: nothing more is included or expanded, for what has no end would go on to the other limits.
    is_over: bool,
}

/// All statements of a text and of what it includes and expands.
pub(crate) fn expand(
    name: &str,
    text: &str,
    language: Language,
    files: &mut dyn Files,
    sources: &mut Sources,
    report: &mut Report,
) -> Vec<Statement> {
    let mut expander = Expander {
        language,
        files,
        sources,
        report,
        macros: BTreeMap::new(),
        statements: Vec::new(),
        bytes: 0,
        expansions: 0,
        is_over: false,
    };
    expander.text(name.to_owned(), text.to_owned(), None, 0);
    expander.statements
}

impl Expander<'_> {
    fn error(&mut self, span: Span, message: impl Into<String>, hint: &str) {
        self.report.push(Diagnostic::error(span, message).hint(hint));
    }

    fn give_up(&mut self, span: Span, message: &str, hint: &str) {
        self.is_over = true;
        self.error(span, message, hint);
    }

    fn text(&mut self, name: String, text: String, origin: Option<Span>, depth: usize) {
        if self.is_over {
            return;
        }
        self.bytes += text.len();
        let file = self.sources.add(name, text.clone(), origin);
        let whole = origin.unwrap_or(Span { file, start: 0, end: 0 });
        if self.bytes > MOST_BYTES {
            return self.give_up(
                whole,
                "the source is too long",
                "16 MiB of text is the limit, expansions included",
            );
        }
        if depth > DEEPEST {
            return self.give_up(whole, "includes or macros nest too deep", "does one use itself?");
        }
        let mut definition: Option<(Name, Macro)> = None;
        let mut start = 0;
        for line in text.split('\n') {
            let at = start as u32;
            start += line.len() + 1;
            let line = line.trim_end_matches('\r');
            // Inside a definition nothing is looked at but its end.
            if let Some((name, mut body)) = definition.take() {
                if line.trim_start().starts_with(".endm") {
                    self.macros.insert(name.text, body);
                } else {
                    body.lines.push(line.to_owned());
                    definition = Some((name, body));
                }
                continue;
            }
            let tokens = lexer::tokens(file, at, line, self.report);
            if self.language == Language::Original {
                original::check_line(&tokens, self.report);
            }
            if is_definition(&tokens) {
                definition = self.definition(&tokens);
                continue;
            }
            if let Some(statement) = parser::statement(&tokens, self.report) {
                self.statement(statement, file, depth);
            }
        }
        if let Some((name, _)) = definition {
            self.error(
                name.span,
                format!("the macro `{}` has no end", name.text),
                "put .endm behind its last line",
            );
        }
    }

    /// `.macro name first, second`
    fn definition(&mut self, tokens: &[Token]) -> Option<(Name, Macro)> {
        let mut names =
            tokens.iter().skip(2).filter(|token| token.kind != TokenKind::Comment && !token.is(','));
        let line = tokens.first()?.span.to(tokens.last()?.span);
        let Some(name) = names.next().and_then(|token| Some((token.name()?, token.span))) else {
            self.error(line, "a macro wants a name", "for example .macro clear register");
            return None;
        };
        let name = Name { text: name.0.to_owned(), span: name.1 };
        if isa::by_mnemonic(&name.text).is_some() {
            self.error(
                name.span,
                format!("`{}` is an instruction already", name.text),
                "give the macro another name",
            );
        }
        let mut parameters = Vec::new();
        for token in names {
            match token.name() {
                Some(parameter) => parameters.push(parameter.to_owned()),
                None => self.error(token.span, "a parameter is a name", "for example .macro copy from, to"),
            }
        }
        Some((name, Macro { parameters, lines: Vec::new() }))
    }

    fn statement(&mut self, mut statement: Statement, file: FileId, depth: usize) {
        match &statement.body {
            Some(Body::Directive { name, operands }) if name.text == ".include" => {
                let (span, operands) = (statement.span, operands.clone());
                statement.body = None;
                self.statements.push(statement);
                self.include(span, &operands, depth);
            }
            Some(Body::Instruction { mnemonic, condition: None, operands })
                if self.macros.contains_key(&mnemonic.text) =>
            {
                let (name, operands) = (mnemonic.clone(), operands.clone());
                let span = statement.span;
                statement.body = None;
                self.statements.push(statement);
                self.use_macro(&name, &operands, span, file, depth);
            }
            _ => self.statements.push(statement),
        }
    }

    fn include(&mut self, span: Span, operands: &[Operand], depth: usize) {
        let [Operand::Text(name, _)] = operands else {
            return self.error(span, ".include wants one name in quotation marks", ".include \"screen.asm\"");
        };
        let name = String::from_utf8_lossy(name).into_owned();
        let text = match self.files.read(&name) {
            Err(_) if name == predefined::NAME => Ok(predefined::text()),
            other => other,
        };
        match text {
            Ok(text) => self.text(name, text, Some(span), depth + 1),
            Err(reason) => self.error(
                span,
                format!("cannot include \"{name}\": {reason}"),
                "paths are relative to the including program's folder; \"soc.inc\" is always there",
            ),
        }
    }

    fn use_macro(&mut self, name: &Name, operands: &[Operand], span: Span, file: FileId, depth: usize) {
        let Some(definition) = self.macros.get(&name.text) else { return };
        let (wanted, given) = (definition.parameters.len(), operands.len());
        if wanted != given {
            let hint = format!("it was defined as .macro {} {}", name.text, definition.parameters.join(", "));
            return self.error(span, format!("`{}` takes {wanted} operands, not {given}", name.text), &hint);
        }
        self.expansions += 1;
        let mut text = definition.lines.join("\n");
        // Longer names first, so that \ab is not taken for \a followed by b.
        let mut pairs: Vec<_> = definition.parameters.iter().zip(operands).collect();
        pairs.sort_by_key(|(parameter, _)| std::cmp::Reverse(parameter.len()));
        for (parameter, operand) in pairs {
            text = text.replace(&format!("\\{parameter}"), self.sources.slice(operand.span()));
            if text.len() > MOST_BYTES {
                return self.give_up(span, "the expansion is too long", "16 MiB of text is the limit");
            }
        }
        text = text.replace("\\@", &self.expansions.to_string());
        let title = format!("macro {} in {}", name.text, self.sources.name(file));
        self.text(title, text, Some(span), depth + 1);
    }
}

fn is_definition(tokens: &[Token]) -> bool {
    matches!(tokens, [dot, name, ..] if dot.is('.') && name.name() == Some("macro"))
}

//! The original assembler's limits: what a source in its language must not use.

use crate::diagnostic::{Diagnostic, Report};
use crate::lexer::{Token, TokenKind};

const HINT: &str = "leave out --compat to use the whole language";

/// Refuses the lines that the original refuses; its own words are the message.
pub(crate) fn check_line(tokens: &[Token], report: &mut Report) {
    let Some(first) = tokens.first() else { return };
    let mut rest = tokens;
    let mut labels = 0;
    while let [label, colon, tail @ ..] = rest {
        if !colon.is(':') {
            break;
        }
        labels += 1;
        if labels > 1
            || !label.name().is_some_and(|name| name.chars().all(|letter| letter.is_ascii_alphabetic()))
        {
            let name = label.name().unwrap_or("");
            report.push(Diagnostic::error(label.span, format!("Unknown instruction: [{name}]")).hint(HINT));
        }
        rest = tail;
    }
    match rest {
        [] | [Token { kind: TokenKind::Comment, .. }, ..] => {
            report.push(Diagnostic::error(first.span, "Unknown instruction: []").hint(HINT));
        }
        [mark, name, ..] if mark.is('$') => {
            let name = name.name().unwrap_or("");
            if !matches!(name, "BYTE" | "WORD16" | "WORD32") {
                let message = format!("Invalid assembler directive: [${name}]");
                report.push(Diagnostic::error(mark.span, message).hint(HINT));
            }
        }
        [mark, ..] if mark.is('.') => {
            report.push(Diagnostic::error(mark.span, "Unknown instruction: []").hint(HINT));
        }
        _ => {}
    }
    for token in rest.iter().take_while(|token| token.kind != TokenKind::Comment).skip(1) {
        let is_foreign = match &token.kind {
            TokenKind::Text(_) | TokenKind::ShiftLeft | TokenKind::ShiftRight => true,
            TokenKind::Punctuation(letter) => "+*/%&|^~()\\@$".contains(*letter),
            _ => false,
        };
        if is_foreign {
            report.push(Diagnostic::error(token.span, "Label not found").hint(HINT));
        }
    }
}

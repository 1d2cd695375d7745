//! A line of source as tokens, for the parser and for highlighting.

use crate::diagnostic::{Diagnostic, Report};
use crate::source::{FileId, Span};

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum TokenKind {
    /// Letters, digits and underscores, not beginning with a digit.
    Name(String),
    Number(i64),
    /// What stands between quotation marks, with escapes resolved.
    Text(Vec<u8>),
    Punctuation(char),
    ShiftLeft,
    ShiftRight,
    Comment,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Token {
    pub kind: TokenKind,
    pub span: Span,
}

impl Token {
    pub fn is(&self, letter: char) -> bool {
        self.kind == TokenKind::Punctuation(letter)
    }

    pub fn name(&self) -> Option<&str> {
        match &self.kind {
            TokenKind::Name(name) => Some(name),
            _ => None,
        }
    }
}

/// Makes tokens of one line that begins at byte `start` of its file.
pub(crate) fn tokens(file: FileId, start: u32, line: &str, report: &mut Report) -> Vec<Token> {
    let mut lexer = Lexer { file, start, line, at: 0, report, tokens: Vec::new() };
    while lexer.token() {}
    lexer.tokens
}

struct Lexer<'a> {
    file: FileId,
    start: u32,
    line: &'a str,
    at: usize,
    report: &'a mut Report,
    tokens: Vec<Token>,
}

fn is_name(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '_'
}

impl Lexer<'_> {
    fn rest(&self) -> &str {
        self.line.get(self.at..).unwrap_or("")
    }

    fn span(&self, from: usize) -> Span {
        Span { file: self.file, start: self.start + from as u32, end: self.start + self.at as u32 }
    }

    fn error(&mut self, from: usize, message: impl Into<String>, hint: &str) {
        let span = self.span(from);
        self.report.push(Diagnostic::error(span, message).hint(hint));
    }

    /// Makes the next token; `false` at the end of the line.
    fn token(&mut self) -> bool {
        let spaces = self.rest().len() - self.rest().trim_start().len();
        self.at += spaces;
        let from = self.at;
        let Some(letter) = self.rest().chars().next() else { return false };
        let kind = if letter == ';' {
            self.at = self.line.len();
            Some(TokenKind::Comment)
        } else if letter.is_ascii_digit() {
            self.number(from)
        } else if is_name(letter) {
            let len = self.rest().chars().take_while(|&letter| is_name(letter)).count();
            self.at += len;
            Some(TokenKind::Name(self.line[from..self.at].to_owned()))
        } else if letter == '"' || letter == '\'' {
            self.quoted(from, letter)
        } else if self.rest().starts_with("<<") {
            self.at += 2;
            Some(TokenKind::ShiftLeft)
        } else if self.rest().starts_with(">>") {
            self.at += 2;
            Some(TokenKind::ShiftRight)
        } else {
            self.at += letter.len_utf8();
            if ":,.$+-*/%&|^~()\\@".contains(letter) {
                Some(TokenKind::Punctuation(letter))
            } else {
                self.error(from, format!("`{letter}` means nothing here"), "a comment begins with `;`");
                None
            }
        };
        if let Some(kind) = kind {
            let span = self.span(from);
            self.tokens.push(Token { kind, span });
        }
        true
    }

    /// Decimal, 0x, 0o, 0b; decimals with fraction and exponent are truncated, as the original does.
    fn number(&mut self, from: usize) -> Option<TokenKind> {
        let rest = self.rest().as_bytes();
        let mut len = 0;
        let is_decimal = !(rest[0] == b'0' && rest.get(1).is_some_and(|letter| b"xXoObB".contains(letter)));
        while let Some(&letter) = rest.get(len) {
            let is_sign = is_decimal
                && matches!(letter, b'+' | b'-')
                && matches!(rest[len - 1], b'e' | b'E')
                && rest.get(len + 1).is_some_and(u8::is_ascii_digit);
            if letter.is_ascii_alphanumeric() || letter == b'_' || (is_decimal && letter == b'.') || is_sign {
                len += 1;
            } else {
                break;
            }
        }
        self.at += len;
        let text = self.line[from..self.at].replace('_', "");
        let value = match text.get(..2) {
            Some("0x" | "0X") => i64::from_str_radix(&text[2..], 16).ok(),
            Some("0o" | "0O") => i64::from_str_radix(&text[2..], 8).ok(),
            Some("0b" | "0B") => i64::from_str_radix(&text[2..], 2).ok(),
            _ => text.parse::<i64>().ok().or_else(|| {
                text.parse::<f64>()
                    .ok()
                    .filter(|value| value.is_finite() && value.abs() < 9e15)
                    .map(|v| v as i64)
            }),
        };
        match value {
            Some(value) => Some(TokenKind::Number(value)),
            None => {
                self.error(
                    from,
                    format!("`{text}` is not a number"),
                    "numbers are decimal, 0x hexadecimal, 0o octal or 0b binary; names begin with a letter",
                );
                // Something must stand here, or one mistake would be reported twice.
                Some(TokenKind::Number(0))
            }
        }
    }

    fn quoted(&mut self, from: usize, mark: char) -> Option<TokenKind> {
        self.at += 1;
        let mut bytes = Vec::new();
        loop {
            let at = self.at;
            let Some(letter) = self.rest().chars().next() else {
                self.error(from, "a text without its end", &format!("put a {mark} behind it"));
                break;
            };
            self.at += letter.len_utf8();
            if letter == mark {
                break;
            }
            if letter == '\\' {
                self.escape(at, &mut bytes);
            } else if let Ok(byte) = u8::try_from(u32::from(letter)) {
                bytes.push(byte);
            } else {
                self.error(
                    at,
                    format!("`{letter}` is not in Latin-1"),
                    "the screen knows the codes 0 to 255 only",
                );
            }
        }
        if mark == '"' {
            return Some(TokenKind::Text(bytes));
        }
        if bytes.len() != 1 {
            self.error(from, "a character constant holds one character", "for several write \"...\"");
        }
        Some(TokenKind::Number(i64::from(bytes.first().copied().unwrap_or(0))))
    }

    fn escape(&mut self, from: usize, bytes: &mut Vec<u8>) {
        let Some(letter) = self.rest().chars().next() else { return };
        self.at += letter.len_utf8();
        match letter {
            'n' => bytes.push(10),
            'r' => bytes.push(13),
            't' => bytes.push(9),
            '0' => bytes.push(0),
            '\\' | '"' | '\'' => bytes.push(letter as u8),
            'x' => {
                let digits = self.rest().get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
                match digits {
                    Some(byte) => {
                        bytes.push(byte);
                        self.at += 2;
                    }
                    None => self.error(from, "`\\x` wants two hexadecimal digits", "for example \\x1b"),
                }
            }
            _ => self.error(
                from,
                format!("`\\{letter}` is no escape"),
                "there are \\n \\r \\t \\0 \\\\ \\\" \\' \\xNN",
            ),
        }
    }
}

/// The bytes of a text with the assembler's escapes, as it stands between quotation marks.
pub fn text_bytes(text: &str) -> Result<Vec<u8>, String> {
    let mut sources = crate::source::Sources::default();
    let file = sources.add(String::new(), String::new(), None);
    let mut report = Report::default();
    let quoted = format!("\"{text}\"");
    match (tokens(file, 0, &quoted, &mut report).as_slice(), report.diagnostics.first()) {
        ([Token { kind: TokenKind::Text(bytes), .. }], None) => Ok(bytes.clone()),
        (_, Some(finding)) => Err(finding.message.clone()),
        _ => Err("a quotation mark within is written \\\"".to_owned()),
    }
}

/// What a stretch of source is, for colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    Label,
    Mnemonic,
    Directive,
    Register,
    Number,
    Text,
    Comment,
    Name,
}

/// The coloured stretches of a source: byte offsets and class, in order.
pub fn highlight(source: &str) -> Vec<(usize, usize, Class)> {
    let mut sources = crate::source::Sources::default();
    let file = sources.add(String::new(), String::new(), None);
    let mut report = Report::default();
    let mut stretches = Vec::new();
    let mut start = 0;
    for line in source.split('\n') {
        let tokens = tokens(file, start as u32, line, &mut report);
        let mut is_operation = true;
        for (index, token) in tokens.iter().enumerate() {
            let follows = |letter| tokens.get(index + 1).is_some_and(|next| next.is(letter));
            let after = |letter| index > 0 && tokens[index - 1].is(letter);
            let class = match &token.kind {
                TokenKind::Name(_) if is_operation && follows(':') => Class::Label,
                TokenKind::Name(_)
                    if is_operation && (after('$') || after('.')) && !is_condition(&tokens, index) =>
                {
                    is_operation = false;
                    Class::Directive
                }
                TokenKind::Name(_) if is_operation && follows('.') => Class::Mnemonic,
                TokenKind::Name(_) if is_operation => {
                    is_operation = false;
                    Class::Mnemonic
                }
                TokenKind::Name(name) if crate::parser::register(name).is_some() => Class::Register,
                TokenKind::Name(_) => Class::Name,
                TokenKind::Number(_) => Class::Number,
                TokenKind::Text(_) => Class::Text,
                TokenKind::Comment => Class::Comment,
                _ => continue,
            };
            stretches.push((token.span.start as usize, token.span.end as usize, class));
        }
        start += line.len() + 1;
    }
    stretches
}

/// Whether the name at this index is the `nz` of `jmp.nz`.
fn is_condition(tokens: &[Token], index: usize) -> bool {
    index >= 2 && tokens[index - 1].is('.') && tokens[index - 2].name().is_some()
}

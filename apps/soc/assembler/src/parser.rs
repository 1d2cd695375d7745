//! Tokens to statements.

use crate::diagnostic::{Diagnostic, Report};
use crate::lexer::{Token, TokenKind};
use crate::source::Span;
use crate::syntax::{Body, Expression, ExpressionKind, Name, Operand, Operator, Statement};

/// Parentheses and signs nest at most this deep, and an operand has at most this many operators: with both, no source
/// can exhaust the stack.
const DEEPEST: usize = 64;
const MOST_OPERATORS: usize = 256;

/// The number of a register by its name.
pub(crate) fn register(name: &str) -> Option<u8> {
    let digits = name.strip_prefix('r')?;
    if digits.len() > 1 && digits.starts_with('0') {
        return None;
    }
    digits.parse().ok().filter(|&number| number < 16)
}

/// Parses the tokens of one line; `None` for an empty one and for one that cannot be understood.
pub(crate) fn statement(tokens: &[Token], report: &mut Report) -> Option<Statement> {
    let tokens: Vec<&Token> = tokens.iter().filter(|token| token.kind != TokenKind::Comment).collect();
    let span = tokens.first()?.span.to(tokens.last()?.span);
    let mut parser = Parser { tokens, at: 0, report, line: span, operators: 0 };
    let labels = parser.labels();
    let body = if parser.peek().is_some() { parser.body() } else { None };
    Some(Statement { labels, body, span })
}

struct Parser<'a> {
    tokens: Vec<&'a Token>,
    at: usize,
    report: &'a mut Report,
    line: Span,
    /// How many operators the present operand has had.
    operators: usize,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<&'a Token> {
        self.tokens.get(self.at).copied()
    }

    fn next(&mut self) -> Option<&'a Token> {
        let token = self.peek()?;
        self.at += 1;
        Some(token)
    }

    fn take(&mut self, letter: char) -> bool {
        let is_there = self.peek().is_some_and(|token| token.is(letter));
        self.at += usize::from(is_there);
        is_there
    }

    /// The place of the next token, or the end of the line.
    fn place(&self) -> Span {
        self.peek().map_or(Span { start: self.line.end, ..self.line }, |token| token.span)
    }

    fn error(&mut self, span: Span, message: impl Into<String>, hint: &str) {
        self.report.push(Diagnostic::error(span, message).hint(hint));
    }

    fn labels(&mut self) -> Vec<Name> {
        let mut labels = Vec::new();
        while let (Some(token), Some(colon)) = (self.peek(), self.tokens.get(self.at + 1)) {
            if !colon.is(':') {
                break;
            }
            match token.name() {
                Some(name) => labels.push(Name { text: name.to_owned(), span: token.span }),
                None => self.error(token.span, "a label is a name", "letters, digits and underscores"),
            }
            self.at += 2;
        }
        labels
    }

    fn name(&mut self) -> Option<Name> {
        let token = self.peek()?;
        let name = Name { text: token.name()?.to_owned(), span: token.span };
        self.at += 1;
        Some(name)
    }

    fn body(&mut self) -> Option<Body> {
        let start = self.place();
        for mark in ['$', '.'] {
            if self.take(mark) {
                let Some(name) = self.name() else {
                    self.error(
                        start,
                        format!("`{mark}` without a directive's name"),
                        "for example $BYTE or .org",
                    );
                    return None;
                };
                let name = Name { text: format!("{mark}{}", name.text), span: start.to(name.span) };
                return Some(Body::Directive { name, operands: self.operands()? });
            }
        }
        let Some(mnemonic) = self.name() else {
            self.error(
                start,
                "an instruction, a directive or a label is wanted here",
                "a comment begins with `;`",
            );
            return None;
        };
        let mut condition = None;
        if self.take('.') {
            condition = self.name();
            if condition.is_none() {
                let place = self.place();
                self.error(place, "a condition is wanted after the point", "al, z, nz, ae, a, be or bl");
                return None;
            }
        }
        Some(Body::Instruction { mnemonic, condition, operands: self.operands()? })
    }

    fn operands(&mut self) -> Option<Vec<Operand>> {
        let mut operands = Vec::new();
        if self.peek().is_none() {
            return Some(operands);
        }
        loop {
            operands.push(self.operand()?);
            if self.peek().is_none() {
                return Some(operands);
            }
            if !self.take(',') {
                let place = self.place();
                self.error(
                    place,
                    "a comma or the end of the line is wanted here",
                    "operands are separated by commas",
                );
                return None;
            }
        }
    }

    fn operand(&mut self) -> Option<Operand> {
        if let Some(token) = self.peek() {
            if let Some(number) = token.name().and_then(register) {
                self.at += 1;
                return Some(Operand::Register(number, token.span));
            }
            if let TokenKind::Text(bytes) = &token.kind {
                self.at += 1;
                return Some(Operand::Text(bytes.clone(), token.span));
            }
        }
        self.operators = 0;
        self.expression(0, 0).map(Operand::Value)
    }

    /// Precedence climbing; `floor` is the loosest binding that is still taken.
    fn expression(&mut self, floor: u8, depth: usize) -> Option<Expression> {
        let mut left = self.unary(depth)?;
        while let Some((operator, binding)) =
            self.peek().and_then(operator).filter(|(_, binding)| *binding >= floor)
        {
            self.at += 1;
            self.operators += 1;
            if self.operators > MOST_OPERATORS {
                self.error(left.span, "this expression is too long", "give a part of it a name with .equ");
                return None;
            }
            let right = self.expression(binding + 1, depth + 1)?;
            let span = left.span.to(right.span);
            left = Expression { kind: ExpressionKind::Binary(operator, left.into(), right.into()), span };
        }
        Some(left)
    }

    fn unary(&mut self, depth: usize) -> Option<Expression> {
        let start = self.place();
        if depth > DEEPEST {
            self.error(start, "this expression nests too deep", "give a part of it a name with .equ");
            return None;
        }
        let Some(token) = self.next() else {
            self.error(start, "a value is wanted here", "a number, a label, a register or an expression");
            return None;
        };
        let kind = match &token.kind {
            TokenKind::Number(value) => ExpressionKind::Number(*value),
            TokenKind::Name(name) if register(name).is_some() => {
                self.error(
                    token.span,
                    "a register cannot be part of an expression",
                    "compute at run time instead",
                );
                return None;
            }
            TokenKind::Name(name) => ExpressionKind::Symbol(name.clone()),
            TokenKind::Punctuation('.') => ExpressionKind::Here,
            TokenKind::Punctuation('-') => ExpressionKind::Negate(self.unary(depth + 1)?.into()),
            TokenKind::Punctuation('~') => ExpressionKind::Complement(self.unary(depth + 1)?.into()),
            TokenKind::Punctuation('+') => return self.unary(depth + 1),
            TokenKind::Punctuation('(') => {
                let inner = self.expression(0, depth + 1)?;
                if !self.take(')') {
                    self.error(start, "this parenthesis is not closed", "put a `)` behind the expression");
                    return None;
                }
                return Some(Expression { span: start.to(inner.span), ..inner });
            }
            _ => {
                self.error(
                    token.span,
                    "a value is wanted here",
                    "a number, a label, a register or an expression",
                );
                return None;
            }
        };
        let end = self.tokens.get(self.at.saturating_sub(1)).map_or(start, |token| token.span);
        Some(Expression { kind, span: start.to(end) })
    }
}

/// A binary operator and how strongly it binds, as in C.
fn operator(token: &Token) -> Option<(Operator, u8)> {
    Some(match token.kind {
        TokenKind::Punctuation('|') => (Operator::Or, 0),
        TokenKind::Punctuation('^') => (Operator::Xor, 1),
        TokenKind::Punctuation('&') => (Operator::And, 2),
        TokenKind::ShiftLeft => (Operator::ShiftLeft, 3),
        TokenKind::ShiftRight => (Operator::ShiftRight, 3),
        TokenKind::Punctuation('+') => (Operator::Add, 4),
        TokenKind::Punctuation('-') => (Operator::Subtract, 4),
        TokenKind::Punctuation('*') => (Operator::Multiply, 5),
        TokenKind::Punctuation('/') => (Operator::Divide, 5),
        TokenKind::Punctuation('%') => (Operator::Remainder, 5),
        _ => return None,
    })
}

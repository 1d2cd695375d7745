//! The syntax tree of one line.

use crate::source::Span;

/// A name and its place.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Name {
    pub text: String,
    pub span: Span,
}

/// One line: labels, then perhaps something that takes room.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Statement {
    pub labels: Vec<Name>,
    pub body: Option<Body>,
    pub span: Span,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Body {
    Instruction {
        mnemonic: Name,
        condition: Option<Name>,
        operands: Vec<Operand>,
    },
    /// The name has its mark: `$BYTE`, `.org`.
    Directive {
        name: Name,
        operands: Vec<Operand>,
    },
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Operand {
    Register(u8, Span),
    Text(Vec<u8>, Span),
    Value(Expression),
}

impl Operand {
    pub fn span(&self) -> Span {
        match self {
            Self::Register(_, span) | Self::Text(_, span) => *span,
            Self::Value(expression) => expression.span,
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Expression {
    pub kind: ExpressionKind,
    pub span: Span,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ExpressionKind {
    Number(i64),
    Symbol(String),
    /// `.`: the address of the statement.
    Here,
    Negate(Box<Expression>),
    Complement(Box<Expression>),
    Binary(Operator, Box<Expression>, Box<Expression>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operator {
    Or,
    Xor,
    And,
    ShiftLeft,
    ShiftRight,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

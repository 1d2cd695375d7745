//! Expressions over a machine: conditions of breakpoints, addresses in commands.
//!
//! `r0`-`r15`, `flags`, `z`, `c`, `i`, `e`, `cycle`, labels, numbers, `'A'`, `[address]` for the word there, and C's operators.
//! Values are 64-bit and unsigned; arithmetic wraps.

use soc_assembler::Symbols;
use soc_machine::{FLAG_C, FLAG_E, FLAG_I, FLAG_Z, Machine};
use std::fmt;

/// Tokens that an expression may have: enough, and no text can exhaust the stack.
const MOST_TOKENS: usize = 100;

/// A parsed expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expression {
    text: String,
    root: Node,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Node {
    Number(u64),
    Register(u8),
    Flags(u32),
    Cycle,
    Word(Box<Node>),
    Not(Box<Node>),
    Complement(Box<Node>),
    Negate(Box<Node>),
    Binary(&'static str, Box<Node>, Box<Node>),
}

/// Why a text is no expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpressionError(String);

impl fmt::Display for ExpressionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ExpressionError {}

/// Binary operators, those that bind loosest first; longer ones before their beginnings.
const LEVELS: &[&[&str]] = &[
    &["||"],
    &["&&"],
    &["|"],
    &["^"],
    &["&"],
    &["==", "!="],
    &["<=", ">=", "<", ">"],
    &["<<", ">>"],
    &["+", "-"],
    &["*", "/", "%"],
];
const OPERATORS: &[&str] = &[
    "||", "&&", "==", "!=", "<=", ">=", "<<", ">>", "|", "^", "&", "<", ">", "+", "-", "*", "/", "%", "(",
    ")", "[", "]", "!", "~",
];

impl Expression {
    /// Parses; names that are neither registers nor flags must be labels or constants.
    pub fn parse(text: &str, symbols: &Symbols) -> Result<Self, ExpressionError> {
        let tokens = tokens(text)?;
        let mut parser = Parser { tokens, at: 0, symbols };
        let root = parser.level(0)?;
        match parser.tokens.get(parser.at) {
            None => Ok(Self { text: text.trim().to_owned(), root }),
            Some(token) => Err(ExpressionError(format!("`{token}` is one too many"))),
        }
    }

    /// Its value in the machine's present state; memory that is not there reads as 0.
    pub fn value(&self, machine: &Machine) -> u64 {
        self.root.value(machine)
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn tokens(text: &str) -> Result<Vec<String>, ExpressionError> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let len = if first.is_ascii_alphanumeric() || first == '_' {
            rest.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').unwrap_or(rest.len())
        } else if let Some(len) = quoted(rest) {
            len
        } else {
            let operator = OPERATORS.iter().find(|operator| rest.starts_with(**operator));
            operator.ok_or_else(|| ExpressionError(format!("`{first}` means nothing here")))?.len()
        };
        tokens.push(rest[..len].to_owned());
        if tokens.len() > MOST_TOKENS {
            return Err(ExpressionError("the expression is too long".to_owned()));
        }
        rest = rest[len..].trim_start();
    }
    Ok(tokens)
}

/// Bytes of a letter in quotation marks, as in `'A'`, if the text begins with one.
fn quoted(text: &str) -> Option<usize> {
    let inner = text.strip_prefix('\'')?;
    let letter = inner.chars().next()?;
    inner[letter.len_utf8()..].starts_with('\'').then_some(letter.len_utf8() + 2)
}

struct Parser<'a> {
    tokens: Vec<String>,
    at: usize,
    symbols: &'a Symbols,
}

impl Parser<'_> {
    fn take(&mut self, wanted: &[&'static str]) -> Option<&'static str> {
        let token = self.tokens.get(self.at)?;
        let found = wanted.iter().find(|operator| *operator == token)?;
        self.at += 1;
        Some(found)
    }

    fn level(&mut self, level: usize) -> Result<Node, ExpressionError> {
        let Some(operators) = LEVELS.get(level) else { return self.unary() };
        let mut left = self.level(level + 1)?;
        while let Some(operator) = self.take(operators) {
            let right = self.level(level + 1)?;
            left = Node::Binary(operator, left.into(), right.into());
        }
        Ok(left)
    }

    fn close(&mut self, bracket: &'static str) -> Result<(), ExpressionError> {
        self.take(&[bracket]).map(|_| ()).ok_or_else(|| ExpressionError(format!("`{bracket}` is missing")))
    }

    fn unary(&mut self) -> Result<Node, ExpressionError> {
        match self.take(&["!", "~", "-", "(", "["]) {
            Some("!") => Ok(Node::Not(self.unary()?.into())),
            Some("~") => Ok(Node::Complement(self.unary()?.into())),
            Some("-") => Ok(Node::Negate(self.unary()?.into())),
            Some("[") => {
                let inner = self.level(0)?;
                self.close("]")?;
                Ok(Node::Word(inner.into()))
            }
            Some(_) => {
                let inner = self.level(0)?;
                self.close(")")?;
                Ok(inner)
            }
            None => self.leaf(),
        }
    }

    fn leaf(&mut self) -> Result<Node, ExpressionError> {
        let Some(token) = self.tokens.get(self.at) else {
            return Err(ExpressionError("a value is wanted".to_owned()));
        };
        self.at += 1;
        if token.starts_with(|letter: char| letter.is_ascii_digit()) {
            let digits = token.replace('_', "");
            let value = match digits.get(..2) {
                Some("0x" | "0X") => u64::from_str_radix(&digits[2..], 16),
                Some("0b" | "0B") => u64::from_str_radix(&digits[2..], 2),
                _ => digits.parse(),
            };
            return value
                .map(Node::Number)
                .map_err(|_| ExpressionError(format!("`{token}` is not a number")));
        }
        if let Some(letter) = token.strip_prefix('\'').and_then(|rest| rest.chars().next()) {
            return Ok(Node::Number(u64::from(u32::from(letter))));
        }
        if let Some(symbol) = self.symbols.get(token) {
            return Ok(Node::Number(u64::from(symbol.value)));
        }
        let register =
            token.strip_prefix('r').and_then(|digits| digits.parse().ok()).filter(|&number: &u8| number < 16);
        match (token.as_str(), register) {
            (_, Some(number)) => Ok(Node::Register(number)),
            ("flags", _) => Ok(Node::Flags(u32::MAX)),
            ("z", _) => Ok(Node::Flags(FLAG_Z)),
            ("c", _) => Ok(Node::Flags(FLAG_C)),
            ("i", _) => Ok(Node::Flags(FLAG_I)),
            ("e", _) => Ok(Node::Flags(FLAG_E)),
            ("sp", _) => Ok(Node::Register(14)),
            ("ip", _) => Ok(Node::Register(15)),
            ("cycle", _) => Ok(Node::Cycle),
            _ => Err(ExpressionError(format!("`{token}` is neither register, flag nor label"))),
        }
    }
}

impl Node {
    fn value(&self, machine: &Machine) -> u64 {
        let cpu = machine.cpu();
        match self {
            Node::Number(value) => *value,
            Node::Register(number) => cpu.registers().get(usize::from(*number)).copied().map_or(0, u64::from),
            Node::Flags(u32::MAX) => u64::from(cpu.flags()),
            Node::Flags(mask) => u64::from(cpu.flags() & mask != 0),
            Node::Cycle => cpu.cycle(),
            Node::Word(address) => machine.peek32(address.value(machine) as u32).map_or(0, u64::from),
            Node::Not(inner) => u64::from(inner.value(machine) == 0),
            Node::Complement(inner) => !inner.value(machine),
            Node::Negate(inner) => inner.value(machine).wrapping_neg(),
            Node::Binary("&&", left, right) => {
                u64::from(left.value(machine) != 0 && right.value(machine) != 0)
            }
            Node::Binary("||", left, right) => {
                u64::from(left.value(machine) != 0 || right.value(machine) != 0)
            }
            Node::Binary(operator, left, right) => apply(operator, left.value(machine), right.value(machine)),
        }
    }
}

fn apply(operator: &str, left: u64, right: u64) -> u64 {
    match operator {
        "|" => left | right,
        "^" => left ^ right,
        "&" => left & right,
        // Registers hold 32 bits, so that -1 written by hand must equal one.
        "==" => {
            u64::from(left as u32 == right as u32 && (left == right || left >> 32 == 0 || right >> 32 == 0))
        }
        "!=" => 1 - apply("==", left, right),
        "<=" => u64::from(left <= right),
        ">=" => u64::from(left >= right),
        "<" => u64::from(left < right),
        ">" => u64::from(left > right),
        "<<" => left.wrapping_shl(right as u32),
        ">>" => left.wrapping_shr(right as u32),
        "+" => left.wrapping_add(right),
        "-" => left.wrapping_sub(right),
        "*" => left.wrapping_mul(right),
        "/" => left.checked_div(right).unwrap_or(0),
        _ => left.checked_rem(right).unwrap_or(0),
    }
}

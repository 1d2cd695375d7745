//! The value of an expression.

use crate::diagnostic::Diagnostic;
use crate::syntax::{Expression, ExpressionKind, Operator};

/// Evaluates; `lookup` gives the value of a name, or the finding why it has none.
///
/// Values are 64-bit and signed; what leaves that range is an error. The parser bounds how deep a tree is.
pub(crate) fn evaluate(
    expression: &Expression,
    here: i64,
    lookup: &mut dyn FnMut(&str, &Expression) -> Result<i64, Diagnostic>,
) -> Result<i64, Diagnostic> {
    match &expression.kind {
        ExpressionKind::Number(value) => Ok(*value),
        ExpressionKind::Here => Ok(here),
        ExpressionKind::Symbol(name) => lookup(name, expression),
        ExpressionKind::Negate(inner) => {
            evaluate(inner, here, lookup)?.checked_neg().ok_or_else(|| too_large(expression))
        }
        ExpressionKind::Complement(inner) => Ok(!evaluate(inner, here, lookup)?),
        ExpressionKind::Binary(operator, left, right) => {
            let value = evaluate(left, here, lookup)?;
            let operand = evaluate(right, here, lookup)?;
            apply(*operator, value, operand).ok_or_else(|| match operator {
                Operator::Divide | Operator::Remainder if operand == 0 => {
                    Diagnostic::error(right.span, "division by zero").hint("the divisor must not be 0")
                }
                _ => too_large(expression),
            })
        }
    }
}

fn too_large(expression: &Expression) -> Diagnostic {
    Diagnostic::error(expression.span, "this value does not fit into 64 bits").hint("make it smaller")
}

fn apply(operator: Operator, left: i64, right: i64) -> Option<i64> {
    match operator {
        Operator::Or => Some(left | right),
        Operator::Xor => Some(left ^ right),
        Operator::And => Some(left & right),
        Operator::ShiftLeft => left.checked_mul(1i64.checked_shl(u32::try_from(right).ok()?)?),
        Operator::ShiftRight => left.checked_shr(u32::try_from(right).ok()?),
        Operator::Add => left.checked_add(right),
        Operator::Subtract => left.checked_sub(right),
        Operator::Multiply => left.checked_mul(right),
        Operator::Divide => left.checked_div(right),
        Operator::Remainder => left.checked_rem(right),
    }
}

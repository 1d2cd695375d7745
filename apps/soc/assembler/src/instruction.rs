//! One instruction: from its text to its word, and back.

use crate::assemble::Language;
use crate::diagnostic::{Diagnostic, Report, nearest};
use crate::source::Span;
use crate::symbols::Symbols;
use crate::syntax::{Expression, Name, Operand};
use soc_machine::encoding::{ABSENT, IMMEDIATE, Word};
use soc_machine::isa::{self, CONDITIONS, INSTRUCTIONS, Instruction, Operands, Operation};
use std::fmt::Write as _;

/// The word of an instruction, without its immediate; and the expression that gives the immediate.
///
/// `None` after a finding.
pub(crate) fn encode<'s>(
    mnemonic: &Name,
    condition: Option<&Name>,
    operands: &'s [Operand],
    language: Language,
    report: &mut Report,
) -> Option<(Word, Option<&'s Expression>)> {
    let Some(row) = isa::by_mnemonic(&mnemonic.text) else {
        report.push(unknown(mnemonic, language));
        return None;
    };
    let condition = match condition {
        None => 0,
        Some(name) => isa::condition_by_suffix(&name.text).or_else(|| {
            let message = match language {
                Language::Full => format!("unknown condition `{}`", name.text),
                Language::Original => format!("Invalid condition: [{}]", name.text),
            };
            report.push(Diagnostic::error(name.span, message).hint("al, z, nz, ae, a, be or bl"));
            None
        })?,
    };
    let mut word = Word { opcode: row.opcode(), first: ABSENT, second: ABSENT, condition, immediate: 0 };
    let values = operands.iter().take(2).filter(|operand| matches!(operand, Operand::Value(_))).count();
    match language {
        Language::Original if values == 2 => {
            report.push(
                Diagnostic::error(mnemonic.span, "Cannot code 2 numbers")
                    .hint("one of them must be a register"),
            );
            return None;
        }
        Language::Original => {}
        Language::Full => {
            if let Some(finding) = mismatch(row, mnemonic, operands) {
                report.push(finding);
                return None;
            }
        }
    }
    let mut immediate = None;
    for (operand, field) in operands.iter().zip([&mut word.first, &mut word.second]) {
        match operand {
            Operand::Register(number, _) => *field = *number,
            Operand::Value(expression) => {
                *field = IMMEDIATE;
                immediate = Some(expression);
            }
            Operand::Text(_, span) => {
                report.push(
                    Diagnostic::error(*span, "an instruction takes no text").hint("put it into $ASCII"),
                );
                return None;
            }
        }
    }
    Some((word, immediate))
}

fn unknown(mnemonic: &Name, language: Language) -> Diagnostic {
    if language == Language::Original {
        return Diagnostic::error(mnemonic.span, format!("Unknown instruction: [{}]", mnemonic.text));
    }
    let finding = Diagnostic::error(mnemonic.span, format!("unknown instruction `{}`", mnemonic.text));
    match nearest(&mnemonic.text, INSTRUCTIONS.iter().map(|row| row.mnemonic)) {
        Some(near) if near == mnemonic.text.to_lowercase() => {
            finding.hint(format!("mnemonics are lower case: `{near}`"))
        }
        Some(near) => finding.hint(format!("did you mean `{near}`?")),
        None => finding.hint("`soc isa` lists all instructions; a label ends with a colon"),
    }
}

/// Whether the operands are not what the table wants.
fn mismatch(row: &Instruction, mnemonic: &Name, operands: &[Operand]) -> Option<Diagnostic> {
    let form = row.operands;
    let hint = match form {
        Operands::None => format!("write `{}` alone", row.mnemonic),
        _ => format!("write `{} {}`, R a register, X a register or a value", row.mnemonic, form.form()),
    };
    if operands.len() != form.count() {
        let span =
            operands.first().zip(operands.last()).map_or(mnemonic.span, |(a, b)| a.span().to(b.span()));
        let message = format!("`{}` takes {} operands, not {}", row.mnemonic, form.count(), operands.len());
        return Some(Diagnostic::error(span, message).hint(hint));
    }
    let wants_register = |operand: &Operand| -> Option<Span> {
        (!matches!(operand, Operand::Register(..))).then(|| operand.span())
    };
    let wrong = match (form, operands) {
        (Operands::Register | Operands::RegisterValue | Operands::RegisterAddress, [first, ..]) => {
            wants_register(first)
        }
        (Operands::AddressRegister, [_, second]) => wants_register(second),
        _ => None,
    };
    wrong.map(|span| Diagnostic::error(span, "a register is wanted here").hint(hint))
}

/// Whether assembling this word's text gives this word again.
pub(crate) fn is_canonical(bytes: [u8; 8]) -> bool {
    let word = Word::decode(bytes);
    let Some(row) = isa::by_opcode(word.opcode) else { return false };
    if word.encode() != bytes || usize::from(word.condition) >= CONDITIONS.len() {
        return false;
    }
    let is_register = |operand: u8| operand < 16;
    let is_value = |operand: u8| operand < 16 || operand == IMMEDIATE;
    let fits = match row.operands {
        Operands::None => word.first == ABSENT && word.second == ABSENT,
        Operands::Register => is_register(word.first) && word.second == ABSENT,
        Operands::Value => is_value(word.first) && word.second == ABSENT,
        Operands::RegisterValue | Operands::RegisterAddress => {
            is_register(word.first) && is_value(word.second)
        }
        Operands::AddressRegister => is_value(word.first) && is_register(word.second),
    };
    let has_immediate = word.first == IMMEDIATE || word.second == IMMEDIATE;
    fits && (has_immediate || word.immediate == 0)
}

/// Whether an instruction's immediate is usually an address.
pub(crate) fn names_address(operation: Operation) -> bool {
    use Operation as Op;
    matches!(
        operation,
        Op::Jmp
            | Op::Call
            | Op::Reg
            | Op::Ireg
            | Op::Ld32
            | Op::Ld16
            | Op::Ld8
            | Op::St32
            | Op::St16
            | Op::St8
    )
}

/// An instruction as text, `mov.nz r1, 0x5`: `???` for an undefined opcode, `??` for an undefined condition. Operands that
/// the instruction does not take are left out, for they mean nothing.
pub fn instruction_text(word: &Word, symbols: &Symbols) -> String {
    let Some(row) = isa::by_opcode(word.opcode) else { return "???".to_owned() };
    let mut text = row.mnemonic.to_owned();
    match CONDITIONS.get(usize::from(word.condition)) {
        Some(row) if word.condition != 0 => {
            let _ = write!(text, ".{}", row.suffix);
        }
        Some(_) => {}
        None => text.push_str(".??"),
    }
    let mut separator = " ";
    for operand in [word.first, word.second].into_iter().take(row.operands.count()) {
        match operand {
            ABSENT => continue,
            IMMEDIATE => {
                let label = if names_address(row.operation) { symbols.at(word.immediate) } else { None };
                let _ = match label {
                    Some(label) => write!(text, "{separator}{label}"),
                    None => write!(text, "{separator}0x{:x}", word.immediate),
                };
            }
            register => {
                let _ = write!(text, "{separator}r{register}");
            }
        }
        separator = ", ";
    }
    text
}

//! Decoded instruction words: what the quick loop runs over instead of bytes.
//!
//! A slot stands for eight aligned bytes of main memory. It is decoded when it is first executed and forgotten when a
//! store touches its bytes. Whatever the quick loop need not know is [`Kind::Slow`] and left to `Machine::step`:
//! rare instructions, operands that name r15, invalid words, breakpoints.

use crate::encoding::{IMMEDIATE, Word};
use crate::isa::{self, CONDITION_BELOW, Operation};
use crate::quirks::Quirks;

/// What the quick loop does for a slot. `R`: the second operand is a register, `I`: it is the immediate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    Undecoded,
    Slow,
    Nop,
    AddR,
    AddI,
    SubR,
    MulR,
    MulI,
    DivR,
    DivI,
    ModR,
    ModI,
    CmpR,
    CmpI,
    ShlR,
    ShlI,
    ShrR,
    ShrI,
    MovR,
    MovI,
    AndR,
    AndI,
    OrR,
    OrI,
    XorR,
    XorI,
    Not,
    JmpR,
    JmpI,
    PushR,
    PushI,
    Pop,
    Load32R,
    Load32I,
    Load16R,
    Load16I,
    Load8R,
    Load8I,
    Store32R,
    Store32I,
    Store16R,
    Store16I,
    Store8R,
    Store8I,
    CallR,
    CallI,
    Ret,
}

/// One decoded word. For stores `a` is the register stored and `b` the register that holds the address.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slot {
    pub kind: Kind,
    pub a: u8,
    pub b: u8,
    /// Bit `flags & 3` tells whether the condition holds.
    pub truth: u8,
    pub immediate: u32,
}

impl Slot {
    pub const UNDECODED: Self = Self { kind: Kind::Undecoded, a: 0, b: 0, truth: 0b1111, immediate: 0 };
    pub const SLOW: Self = Self { kind: Kind::Slow, ..Self::UNDECODED };
}

/// The truth table of a condition under these quirks; `None` where the code is undefined.
pub(crate) fn truth(condition: u8, quirks: Quirks) -> Option<u8> {
    if condition == CONDITION_BELOW && quirks.below_is_never_true {
        return Some(0);
    }
    isa::CONDITIONS.get(usize::from(condition)).map(|row| row.truth)
}

/// A register that the quick loop may touch: any but r15.
fn plain(operand: u8) -> Option<u8> {
    (operand < 15).then_some(operand)
}

/// Decodes a word for the quick loop.
pub(crate) fn decode(bytes: [u8; 8], quirks: Quirks) -> Slot {
    let word = Word::decode(bytes);
    let Some(truth) = truth(word.condition, quirks) else { return Slot::SLOW };
    match quick(&word, quirks) {
        Some((kind, a, b)) => {
            let immediate = match (kind, isa::by_opcode(word.opcode)) {
                (Kind::AddI, Some(row)) if row.operation == Operation::Sub => word.immediate.wrapping_neg(),
                _ => word.immediate,
            };
            Slot { kind, a, b, truth, immediate }
        }
        None => Slot { truth, ..Slot::SLOW },
    }
}

fn quick(word: &Word, quirks: Quirks) -> Option<(Kind, u8, u8)> {
    let operation = isa::by_opcode(word.opcode)?.operation;
    // R,X with the two kinds for X.
    let pair = |register: Kind, immediate: Kind| {
        let a = plain(word.first)?;
        if word.second == IMMEDIATE {
            Some((immediate, a, 0))
        } else {
            Some((register, a, plain(word.second)?))
        }
    };
    let store = |register: Kind, immediate: Kind| {
        let a = plain(word.second)?;
        if word.first == IMMEDIATE {
            Some((immediate, a, 0))
        } else {
            Some((register, a, plain(word.first)?))
        }
    };
    // X alone: what is not a register is the immediate field.
    let value = |register: Kind, immediate: Kind| {
        if word.first > 15 { Some((immediate, 0, 0)) } else { Some((register, plain(word.first)?, 0)) }
    };
    match operation {
        Operation::Nop => Some((Kind::Nop, 0, 0)),
        Operation::Add => pair(Kind::AddR, Kind::AddI),
        Operation::Sub => pair(Kind::SubR, Kind::AddI),
        Operation::Mul if !quirks.lossy_multiplication => pair(Kind::MulR, Kind::MulI),
        Operation::Div => pair(Kind::DivR, Kind::DivI),
        Operation::Mod => pair(Kind::ModR, Kind::ModI),
        Operation::Cmp => pair(Kind::CmpR, Kind::CmpI),
        Operation::Shl => pair(Kind::ShlR, Kind::ShlI),
        Operation::Shr => pair(Kind::ShrR, Kind::ShrI),
        Operation::Mov => pair(Kind::MovR, Kind::MovI),
        Operation::And => pair(Kind::AndR, Kind::AndI),
        Operation::Or => pair(Kind::OrR, Kind::OrI),
        Operation::Xor => pair(Kind::XorR, Kind::XorI),
        Operation::Not => Some((Kind::Not, plain(word.first)?, 0)),
        Operation::Jmp if quirks.jumps_ignore_registers => Some((Kind::JmpI, 0, 0)),
        Operation::Jmp => value(Kind::JmpR, Kind::JmpI),
        Operation::Call if quirks.jumps_ignore_registers => Some((Kind::CallI, 0, 0)),
        Operation::Call => value(Kind::CallR, Kind::CallI),
        Operation::Ret => Some((Kind::Ret, 0, 0)),
        Operation::Push => value(Kind::PushR, Kind::PushI),
        Operation::Pop => Some((Kind::Pop, plain(word.first)?, 0)),
        Operation::Ld32 => pair(Kind::Load32R, Kind::Load32I),
        Operation::Ld16 => pair(Kind::Load16R, Kind::Load16I),
        Operation::Ld8 => pair(Kind::Load8R, Kind::Load8I),
        Operation::St32 => store(Kind::Store32R, Kind::Store32I),
        Operation::St16 => store(Kind::Store16R, Kind::Store16I),
        Operation::St8 => store(Kind::Store8R, Kind::Store8I),
        Operation::Ud
        | Operation::Mul
        | Operation::Cli
        | Operation::Sti
        | Operation::Break
        | Operation::Reg
        | Operation::Eret
        | Operation::Ireg
        | Operation::Iret
        | Operation::Movsi => None,
    }
}

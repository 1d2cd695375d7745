//! The instruction set as one table: what decoder, assembler, disassembler and documentation are made from.

/// What an instruction does. The discriminant is the opcode (specification, section 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Operation {
    Ud = 0x00,
    Add = 0x10,
    Sub = 0x11,
    Mul = 0x12,
    Div = 0x13,
    Jmp = 0x14,
    Cli = 0x15,
    Sti = 0x16,
    Break = 0x17,
    Cmp = 0x18,
    Nop = 0x19,
    Shl = 0x1A,
    Shr = 0x1B,
    Mov = 0x1C,
    And = 0x1D,
    Or = 0x1E,
    Not = 0x1F,
    Xor = 0x20,
    Push = 0x21,
    Pop = 0x22,
    Ld32 = 0x23,
    St32 = 0x24,
    Ld16 = 0x25,
    St16 = 0x26,
    Ld8 = 0x27,
    St8 = 0x28,
    Call = 0x29,
    Ret = 0x2A,
    Reg = 0x2B,
    Eret = 0x2C,
    Ireg = 0x2D,
    Iret = 0x2E,
    Mod = 0x2F,
    Movsi = 0x30,
}

/// Which operands an instruction takes, in the order in which they are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operands {
    /// None: `nop`.
    None,
    /// A register: `not r1`.
    Register,
    /// A register or an immediate: `push r1`, `jmp 8`.
    Value,
    /// A register, then a register or an immediate: `add r1,5`.
    RegisterValue,
    /// A register, then an address in a register or as an immediate: `ld32 r1,0x100`.
    RegisterAddress,
    /// An address in a register or as an immediate, then a register: `st32 0x100,r1`.
    AddressRegister,
}

impl Operands {
    /// How the operands are written in documentation and in hints.
    pub const fn form(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Register => "R",
            Self::Value => "X",
            Self::RegisterValue => "R,X",
            Self::RegisterAddress => "R,address",
            Self::AddressRegister => "address,R",
        }
    }

    /// How many operands that is.
    pub const fn count(self) -> usize {
        match self {
            Self::None => 0,
            Self::Register | Self::Value => 1,
            Self::RegisterValue | Self::RegisterAddress | Self::AddressRegister => 2,
        }
    }
}

/// One row of the instruction table.
#[derive(Clone, Copy, Debug)]
pub struct Instruction {
    /// What it does, and its opcode.
    pub operation: Operation,
    /// Its name in source text, lower case.
    pub mnemonic: &'static str,
    /// What it takes.
    pub operands: Operands,
    /// What it does, in the notation of the specification.
    pub effect: &'static str,
    /// The exceptions that it can raise besides a fetch's own, as text: `"2, 4"`.
    pub exceptions: &'static str,
}

impl Instruction {
    /// The byte that stands for it in an instruction word.
    pub const fn opcode(&self) -> u8 {
        self.operation as u8
    }
}

const fn row(
    operation: Operation,
    mnemonic: &'static str,
    operands: Operands,
    exceptions: &'static str,
    effect: &'static str,
) -> Instruction {
    Instruction { operation, mnemonic, operands, effect, exceptions }
}

/// Every instruction, by rising opcode.
#[rustfmt::skip]
pub const INSTRUCTIONS: &[Instruction] = {
    use Operands as O;
    use Operation as Op;
    &[
        row(Op::Ud,    "ud",    O::None,            "1",    "raise exception 1"),
        row(Op::Add,   "add",   O::RegisterValue,   "2",    "R = R + X (mod 2^32)"),
        row(Op::Sub,   "sub",   O::RegisterValue,   "2",    "R = R - X (mod 2^32)"),
        row(Op::Mul,   "mul",   O::RegisterValue,   "2",    "R = R * X (mod 2^32)"),
        row(Op::Div,   "div",   O::RegisterValue,   "2, 3", "R = R / X, unsigned, truncated; X = 0 raises exception 3"),
        row(Op::Jmp,   "jmp",   O::Value,           "",     "go to X"),
        row(Op::Cli,   "cli",   O::None,            "",     "i = 0"),
        row(Op::Sti,   "sti",   O::None,            "",     "i = 1"),
        row(Op::Break, "break", O::None,            "0",    "r15 = r15 + 8, then raise exception 0"),
        row(Op::Cmp,   "cmp",   O::RegisterValue,   "2",    "Z = (R = X); C = (R < X), unsigned"),
        row(Op::Nop,   "nop",   O::None,            "",     "nothing"),
        row(Op::Shl,   "shl",   O::RegisterValue,   "2",    "R = R << (X mod 32)"),
        row(Op::Shr,   "shr",   O::RegisterValue,   "2",    "R = R >> (X mod 32), zeros come in"),
        row(Op::Mov,   "mov",   O::RegisterValue,   "2",    "R = X"),
        row(Op::And,   "and",   O::RegisterValue,   "2",    "R = R and X"),
        row(Op::Or,    "or",    O::RegisterValue,   "2",    "R = R or X"),
        row(Op::Not,   "not",   O::Register,        "2",    "R = one's complement of R"),
        row(Op::Xor,   "xor",   O::RegisterValue,   "2",    "R = R xor X"),
        row(Op::Push,  "push",  O::Value,           "4",    "r14 = r14 - 4; mem32[r14] = X"),
        row(Op::Pop,   "pop",   O::Register,        "2, 4", "t = mem32[r14]; r14 = r14 + 4; R = t"),
        row(Op::Ld32,  "ld32",  O::RegisterAddress, "2, 4", "R = mem32[address]"),
        row(Op::St32,  "st32",  O::AddressRegister, "2, 4", "mem32[address] = R"),
        row(Op::Ld16,  "ld16",  O::RegisterAddress, "2, 4", "R = mem16[address], zero-extended"),
        row(Op::St16,  "st16",  O::AddressRegister, "2, 4", "mem16[address] = low 16 bits of R"),
        row(Op::Ld8,   "ld8",   O::RegisterAddress, "2, 4", "R = mem8[address], zero-extended"),
        row(Op::St8,   "st8",   O::AddressRegister, "2, 4", "mem8[address] = low 8 bits of R"),
        row(Op::Call,  "call",  O::Value,           "4",    "push r15, the address of the call itself; go to X"),
        row(Op::Ret,   "ret",   O::None,            "4",    "pop r15; execution goes on at r15 + 8"),
        row(Op::Reg,   "reg",   O::RegisterValue,   "0, 2", "the handler of exception number R is at X"),
        row(Op::Eret,  "eret",  O::None,            "4",    "e = 0; pop r15; execution goes on at r15 + 8"),
        row(Op::Ireg,  "ireg",  O::RegisterValue,   "0, 2", "the handler of interrupt number R is at X"),
        row(Op::Iret,  "iret",  O::None,            "4",    "go to the generic bank; pop flags; execution goes on at its r15 + 8"),
        row(Op::Mod,   "mod",   O::RegisterValue,   "2, 3", "R = R mod X, unsigned; X = 0 raises exception 3"),
        row(Op::Movsi, "movsi", O::RegisterValue,   "2",    "register R of the interrupt bank = X; X is read from the current bank"),
    ]
};

/// One row of the condition table; its place in [`CONDITIONS`] is its code.
#[derive(Clone, Copy, Debug)]
pub struct Condition {
    /// Suffix in source text: `nz` in `jmp.nz`.
    pub suffix: &'static str,
    /// When it holds, in words.
    pub meaning: &'static str,
    /// Bit `flags & 3` (that is C*2 + Z) tells whether it holds.
    pub truth: u8,
}

const fn condition(suffix: &'static str, meaning: &'static str, truth: u8) -> Condition {
    Condition { suffix, meaning, truth }
}

/// Every condition, by rising code.
pub const CONDITIONS: &[Condition] = &[
    condition("al", "always", 0b1111),
    condition("z", "Z = 1 (equal)", 0b1010),
    condition("nz", "Z = 0 (not equal)", 0b0101),
    condition("ae", "C = 0 (above or equal)", 0b0011),
    condition("a", "C = 0 and Z = 0 (above)", 0b0001),
    condition("be", "C = 1 or Z = 1 (below or equal)", 0b1110),
    condition("bl", "C = 1 (below)", 0b1100),
];

/// Code of the condition `bl`, which the original never finds true.
pub const CONDITION_BELOW: u8 = 6;

const BY_OPCODE: [Option<&'static Instruction>; 256] = {
    let mut table = [None; 256];
    let mut index = 0;
    while index < INSTRUCTIONS.len() {
        table[INSTRUCTIONS[index].opcode() as usize] = Some(&INSTRUCTIONS[index]);
        index += 1;
    }
    table
};

/// The instruction with this opcode; `None` where the opcode is undefined.
pub const fn by_opcode(opcode: u8) -> Option<&'static Instruction> {
    BY_OPCODE[opcode as usize]
}

/// The instruction with this mnemonic, which is lower case.
pub fn by_mnemonic(mnemonic: &str) -> Option<&'static Instruction> {
    INSTRUCTIONS.iter().find(|row| row.mnemonic == mnemonic)
}

/// The code of the condition with this suffix, which is lower case.
pub fn condition_by_suffix(suffix: &str) -> Option<u8> {
    CONDITIONS.iter().position(|row| row.suffix == suffix).map(|code| code as u8)
}

/// What an exception's number means (specification, section 6).
pub const fn exception_meaning(number: u8) -> &'static str {
    match number {
        0 => "breakpoint",
        1 => "undefined instruction",
        2 => "invalid operand",
        3 => "division by zero",
        4 => "illegal memory access",
        _ => "undefined exception",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opcodes_rise_and_mnemonics_are_found_again() {
        for pair in INSTRUCTIONS.windows(2) {
            assert!(pair[0].opcode() < pair[1].opcode());
        }
        for row in INSTRUCTIONS {
            assert_eq!(by_mnemonic(row.mnemonic).map(Instruction::opcode), Some(row.opcode()));
            assert_eq!(by_opcode(row.opcode()).map(|found| found.mnemonic), Some(row.mnemonic));
        }
        assert_eq!(CONDITIONS[CONDITION_BELOW as usize].suffix, "bl");
    }
}

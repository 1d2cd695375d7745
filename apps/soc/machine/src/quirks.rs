//! The faults of the original machine that can be switched on: a closed list.

/// Which faults of the original are kept. The default is none: the sane machine.
///
/// Elsewhere the machine does what the original did, and what crashed the original's host is exception 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quirks {
    /// The condition `bl` never holds.
    pub below_is_never_true: bool,
    /// `mul` goes through a double: low bits are lost where the product exceeds 2^53.
    pub lossy_multiplication: bool,
    /// `jmp` and `call` ignore a register operand and go to the immediate field.
    pub jumps_ignore_registers: bool,
    /// `mod` by zero gives 0 and no exception.
    pub modulo_zero_is_zero: bool,
    /// `reg` and `ireg` accept index 16, with no effect.
    pub handler_index_16: bool,
    /// A reset keeps handlers and memory.
    pub reset_keeps_memory: bool,
    /// The assembler takes the original's language only, silently truncates, and gives 0 for a label as data.
    pub assembler_limits: bool,
}

impl Quirks {
    /// The original, with all of its faults: what `--compat` chooses.
    pub const ORIGINAL: Self = Self {
        below_is_never_true: true,
        lossy_multiplication: true,
        jumps_ignore_registers: true,
        modulo_zero_is_zero: true,
        handler_index_16: true,
        reset_keeps_memory: true,
        assembler_limits: true,
    };

    /// The original's faults, or none.
    pub fn chosen(is_original: bool) -> Self {
        if is_original { Self::ORIGINAL } else { Self::default() }
    }

    /// All switches as bits, in the order of declaration: how a saved state keeps them.
    pub const fn to_bits(self) -> u8 {
        self.below_is_never_true as u8
            | (self.lossy_multiplication as u8) << 1
            | (self.jumps_ignore_registers as u8) << 2
            | (self.modulo_zero_is_zero as u8) << 3
            | (self.handler_index_16 as u8) << 4
            | (self.reset_keeps_memory as u8) << 5
            | (self.assembler_limits as u8) << 6
    }

    /// The inverse of [`Quirks::to_bits`]; `None` where an undefined bit is set.
    pub const fn from_bits(bits: u8) -> Option<Self> {
        if bits & 0x80 != 0 {
            return None;
        }
        Some(Self {
            below_is_never_true: bits & 1 != 0,
            lossy_multiplication: bits & 2 != 0,
            jumps_ignore_registers: bits & 4 != 0,
            modulo_zero_is_zero: bits & 8 != 0,
            handler_index_16: bits & 16 != 0,
            reset_keeps_memory: bits & 32 != 0,
            assembler_limits: bits & 64 != 0,
        })
    }
}

//! The 64-bit instruction word: its fields, and how they lie in memory (specification, section 3).

/// Operand code of an operand that is not there.
pub const ABSENT: u8 = 30;
/// Operand code of the immediate.
pub const IMMEDIATE: u8 = 31;

/// Bytes in an instruction word.
pub const WORD_BYTES: u32 = 8;

/// The fields of one instruction word. The ten bits that mean nothing are not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word {
    /// Bits 0-7.
    pub opcode: u8,
    /// Bits 8-12: 0-15 a register, [`IMMEDIATE`], [`ABSENT`]; other values are never produced.
    pub first: u8,
    /// Bits 13-17, coded like the first.
    pub second: u8,
    /// Bits 18-21.
    pub condition: u8,
    /// Bits 32-63.
    pub immediate: u32,
}

impl Word {
    /// Reads a word from its eight bytes in memory order; bits 22-31 are ignored.
    pub const fn decode(bytes: [u8; 8]) -> Self {
        let [a, b, c, d, e, f, g, h] = bytes;
        let low = u32::from_le_bytes([a, b, c, d]);
        Self {
            opcode: a,
            first: (low >> 8) as u8 & 31,
            second: (low >> 13) as u8 & 31,
            condition: (low >> 18) as u8 & 15,
            immediate: u32::from_le_bytes([e, f, g, h]),
        }
    }

    /// The eight bytes in memory order, bits 22-31 zero. Fields wider than their place lose their high bits.
    pub const fn encode(self) -> [u8; 8] {
        let low = self.opcode as u32
            | (self.first as u32 & 31) << 8
            | (self.second as u32 & 31) << 13
            | (self.condition as u32 & 15) << 18;
        let [a, b, c, d] = low.to_le_bytes();
        let [e, f, g, h] = self.immediate.to_le_bytes();
        [a, b, c, d, e, f, g, h]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded_again(
            opcode: u8, first in 0u8..32, second in 0u8..32, condition in 0u8..16, immediate: u32,
        ) {
            let word = Word { opcode, first, second, condition, immediate };
            prop_assert_eq!(Word::decode(word.encode()), word);
        }
    }
}

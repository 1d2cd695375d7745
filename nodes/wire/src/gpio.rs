//! The GPIO board's bytes on its serial line.
//!
//! From the board: one byte at each debounced change and as the answer to `?`; bits 0 to 4 are the inputs, 1 = contact
//! closed. To the board: `?` report, `a`/`A` relay A on/off, `b`/`B` relay B on/off; every other byte is ignored (the
//! hub's zero byte, which finds out whether the line still stands, among them).

/// The bits that exist in a report.
pub const INPUTS_MASK: u8 = 0x1f;
/// Inputs of a board.
pub const INPUTS: u8 = 5;
/// Relays of a board.
pub const RELAYS: u8 = 2;

/// What the hub asks of the board.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    Report,
    /// Relay 0 (A) or 1 (B).
    Relay {
        relay: u8,
        on: bool,
    },
}

impl Command {
    /// The command of a byte, if it is one.
    pub fn decode(byte: u8) -> Option<Command> {
        match byte {
            b'?' => Some(Command::Report),
            b'a' | b'b' => Some(Command::Relay { relay: byte - b'a', on: true }),
            b'A' | b'B' => Some(Command::Relay { relay: byte - b'A', on: false }),
            _ => None,
        }
    }

    /// Its byte; a relay that does not exist has none.
    pub fn encode(self) -> Option<u8> {
        match self {
            Command::Report => Some(b'?'),
            Command::Relay { relay, .. } if relay >= RELAYS => None,
            Command::Relay { relay, on: true } => Some(b'a' + relay),
            Command::Relay { relay, on: false } => Some(b'A' + relay),
        }
    }
}

/// The inputs that a report byte tells; a byte with other bits set is noise.
pub fn inputs(byte: u8) -> Option<[bool; INPUTS as usize]> {
    (byte & !INPUTS_MASK == 0).then(|| core::array::from_fn(|bit| byte >> bit & 1 == 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_a_command_or_ignored() {
        let known: alloc::vec::Vec<u8> = (0..=255).filter(|b| Command::decode(*b).is_some()).collect();
        assert_eq!(known, b"?ABab");
        for byte in known {
            assert_eq!(Command::decode(byte).and_then(Command::encode), Some(byte));
        }
    }

    #[test]
    fn a_report_with_impossible_bits_is_noise() {
        assert_eq!(inputs(0b00101), Some([true, false, true, false, false]));
        assert_eq!(inputs(0x20), None);
    }
}

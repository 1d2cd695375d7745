//! The irrigation controller's bytes: two-byte commands to the node, two-byte reports from it.
//!
//! | bytes | direction | meaning |
//! |---|---|---|
//! | `a1` .. `d1` | to the node | open this valve (and shut the others) |
//! | `a0` .. `d0` | to the node | shut this valve |
//! | `60 30` (`` `0 ``) | to the node | shut all |
//! | `R` mask | from the node | the valves changed; bit i is valve i+1 |
//! | `S` mask | from the node | the valves are so |
//!
//! Over a v2 session an opening carries its duration: `a` `1` and seconds as a big-endian u16, and the node shuts by itself.

use crate::Refused;
use crate::stream::Payload;

/// The names by which the controller has called itself over the years.
pub const DRIVER_NAMES: [&str; 2] = ["ESP8266 IRRIGATION CONTROLLER", "IRRIGATION_CONTROLLER"];
/// Valves of one controller.
pub const VALVES: u8 = 4;
/// No valve stays open for longer than this, whatever the hub says: 30 minutes, the node's own rule.
pub const NODE_LIMIT_MS: u64 = 30 * 60 * 1_000;

/// One of the four valves, 0 to 3; `a` to `d` on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Valve(u8);

impl Valve {
    /// The valve of this number, counted from 0.
    pub fn new(index: u8) -> Option<Valve> {
        (index < VALVES).then_some(Valve(index))
    }
    /// The valve of this letter, `a` to `d`.
    pub fn from_letter(letter: char) -> Option<Valve> {
        ('a'..='d').contains(&letter).then(|| Valve(letter as u8 - b'a'))
    }
    /// 0 to 3.
    pub fn index(self) -> u8 {
        self.0
    }
    /// `a` to `d`.
    pub fn letter(self) -> char {
        char::from(b'a' + self.0)
    }
    /// Its bit in a report.
    pub fn bit(self) -> u8 {
        1 << self.0
    }
    /// All four.
    pub fn all() -> impl Iterator<Item = Valve> {
        (0..VALVES).map(Valve)
    }
}

/// What the hub asks of the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Open this valve; the node allows only one, so the others shut. `seconds` travels only in v2.
    Open { valve: Valve, seconds: Option<u16> },
    /// Shut this valve.
    Shut(Valve),
    /// Shut every valve.
    ShutAll,
}

impl Command {
    /// The two bytes of v1. A duration does not travel.
    pub fn encode(self) -> [u8; 2] {
        match self {
            Command::Open { valve, .. } => [valve.letter() as u8, b'1'],
            Command::Shut(valve) => [valve.letter() as u8, b'0'],
            Command::ShutAll => [b'a' - 1, b'0'],
        }
    }

    /// The payload of a v2 command, and its length: four bytes when an opening has a duration.
    pub fn encode_v2(self) -> ([u8; 4], usize) {
        let [letter, digit] = self.encode();
        match self {
            Command::Open { seconds: Some(seconds), .. } => {
                let [high, low] = seconds.to_be_bytes();
                ([letter, digit, high, low], 4)
            }
            _ => ([letter, digit, 0, 0], 2),
        }
    }

    /// Reads one whole v2 payload.
    ///
    /// # Errors
    /// Anything but the forms above.
    pub fn decode_v2(payload: &[u8]) -> Result<Command, Refused> {
        match *payload {
            [letter, b'1', high, low] => {
                let valve = Valve::from_letter(letter.into()).ok_or(Refused::NotAMessage(letter))?;
                Ok(Command::Open { valve, seconds: Some(u16::from_be_bytes([high, low])) })
            }
            [_, _] => match Command::next(payload)? {
                Some((command, _)) => Ok(command),
                None => Err(Refused::Malformed("command")),
            },
            _ => Err(Refused::Malformed("command")),
        }
    }
}

/// The node reads commands from the v1 stream with this.
impl Payload for Command {
    type Message = Command;
    const MAX_BYTES: usize = 2;
    fn next(bytes: &[u8]) -> Result<Option<(Command, usize)>, Refused> {
        let Some(&letter) = bytes.first() else { return Ok(None) };
        let valve = Valve::from_letter(letter.into());
        if valve.is_none() && letter != b'a' - 1 {
            return Err(Refused::NotAMessage(letter));
        }
        let command = match (valve, bytes.get(1)) {
            (_, None) => return Ok(None),
            (Some(valve), Some(b'1')) => Command::Open { valve, seconds: None },
            (Some(valve), Some(b'0')) => Command::Shut(valve),
            (None, Some(b'0')) => Command::ShutAll,
            (_, Some(_)) => return Err(Refused::Malformed("valve command")),
        };
        Ok(Some((command, 2)))
    }
}

/// What the node reports. The masks are kept whole; only bits 0 to 3 exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// A valve has just changed.
    Changed { mask: u8 },
    /// How the valves are, unasked for or after connecting.
    Status { mask: u8 },
}

impl Report {
    /// Bit i says whether valve i+1 is open.
    pub fn mask(self) -> u8 {
        match self {
            Report::Changed { mask } | Report::Status { mask } => mask,
        }
    }
    /// The two bytes.
    pub fn encode(self) -> [u8; 2] {
        match self {
            Report::Changed { mask } => [b'R', mask],
            Report::Status { mask } => [b'S', mask],
        }
    }
    /// The original's way to say it: the number of the highest open valve, 1 to 8, or 0.
    pub fn highest(self) -> u8 {
        8 - self.mask().leading_zeros() as u8
    }
}

/// The hub reads reports from the v1 stream with this.
impl Payload for Report {
    type Message = Report;
    const MAX_BYTES: usize = 2;
    fn next(bytes: &[u8]) -> Result<Option<(Report, usize)>, Refused> {
        match *bytes {
            [b'R', mask, ..] => Ok(Some((Report::Changed { mask }, 2))),
            [b'S', mask, ..] => Ok(Some((Report::Status { mask }, 2))),
            [b'R' | b'S'] | [] => Ok(None),
            [other, ..] => Err(Refused::NotAMessage(other)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::{Received, Stream, collect, same_however_cut};

    #[test]
    fn the_bytes_are_the_originals() {
        let c = Valve::from_letter('c').unwrap();
        assert_eq!(&Command::Open { valve: c, seconds: None }.encode(), b"c1");
        assert_eq!(&Command::Shut(c).encode(), b"c0");
        assert_eq!(Command::ShutAll.encode(), [0x60, b'0']);
        assert_eq!(Report::Changed { mask: 0b1010 }.highest(), 4);
        assert_eq!(Report::Status { mask: 0 }.highest(), 0);
    }

    #[test]
    fn a_heartbeat_glued_to_reports_hides_nothing() {
        let got = collect(&mut Stream::<Report>::default(), b"yo!\r\nR\x01S\x01yo!\r\n").unwrap();
        assert_eq!(
            got,
            [
                Received::Heartbeat,
                Received::Message(Report::Changed { mask: 1 }),
                Received::Message(Report::Status { mask: 1 }),
                Received::Heartbeat
            ]
        );
    }

    #[test]
    fn reports_are_the_same_however_the_segments_are_cut() {
        same_however_cut::<Report>(b"S\x00yo!\r\nRyR\x02yo!\r\nyo!\r\nS\x0f");
        same_however_cut::<Command>(b"a1b0`0d1");
        same_however_cut::<Report>(b"R\x01yo?\r\n");
    }

    #[test]
    fn a_letter_that_is_no_valve_is_refused() {
        assert!(collect(&mut Stream::<Command>::default(), b"e1").is_err());
        assert!(collect(&mut Stream::<Command>::default(), b"a2").is_err());
        assert!(collect(&mut Stream::<Report>::default(), b"X\x01").is_err());
    }

    #[test]
    fn a_v2_opening_carries_its_duration() {
        let open = Command::Open { valve: Valve(1), seconds: Some(600) };
        let (bytes, len) = open.encode_v2();
        assert_eq!(Command::decode_v2(&bytes[..len]), Ok(open));
        assert_eq!(Command::decode_v2(b"b0"), Ok(Command::Shut(Valve(1))));
        assert!(Command::decode_v2(b"b1\x01").is_err());
        assert!(Command::decode_v2(b"").is_err());
    }
}

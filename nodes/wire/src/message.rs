//! What travels in an open DWN v2 session: a kind and its fields, big-endian.

use crate::Refused;
use alloc::vec::Vec;

/// What travels in a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// First from each end. `boot` differs after each restart of the node.
    Hello { version: u8, boot: u32 },
    /// Hub to node: a driver's command.
    Command { number: u32, payload: Vec<u8> },
    /// Node to hub: the command was carried out, or not.
    Done { number: u32, accepted: bool },
    /// Node to hub: a driver's report.
    Report { payload: Vec<u8> },
    /// Either end, every five seconds.
    Alive,
}

impl Message {
    /// The plain text that a frame carries.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        match self {
            Message::Hello { version, boot } => {
                bytes.extend([1, *version]);
                bytes.extend(boot.to_be_bytes());
            }
            Message::Command { number, payload } => {
                bytes.push(2);
                bytes.extend(number.to_be_bytes());
                bytes.extend(payload);
            }
            Message::Done { number, accepted } => {
                bytes.push(3);
                bytes.extend(number.to_be_bytes());
                bytes.push(u8::from(*accepted));
            }
            Message::Report { payload } => {
                bytes.push(4);
                bytes.extend(payload);
            }
            Message::Alive => bytes.push(5),
        }
        bytes
    }

    /// Reads one; `None` for a kind that a later version may have added: it is passed over.
    ///
    /// # Errors
    /// A known kind with fields that are none.
    pub fn decode(bytes: &[u8]) -> Result<Option<Message>, Refused> {
        let number = |b: &[u8; 4]| u32::from_be_bytes(*b);
        let Some((kind, rest)) = bytes.split_first() else { return Err(Refused::Malformed("empty message")) };
        Ok(Some(match (kind, rest) {
            (1, [version, boot @ ..]) => {
                let boot = boot.first_chunk().ok_or(Refused::Malformed("hello"))?;
                Message::Hello { version: *version, boot: number(boot) }
            }
            (2, rest) => {
                let (head, payload) = rest.split_first_chunk().ok_or(Refused::Malformed("command"))?;
                Message::Command { number: number(head), payload: payload.to_vec() }
            }
            (3, rest) => match rest.split_first_chunk() {
                Some((head, [accepted])) => Message::Done { number: number(head), accepted: *accepted != 0 },
                _ => return Err(Refused::Malformed("done")),
            },
            (4, payload) => Message::Report { payload: payload.to_vec() },
            (5, _) => Message::Alive,
            (1, _) => return Err(Refused::Malformed("hello")),
            _ => return Ok(None),
        }))
    }
}

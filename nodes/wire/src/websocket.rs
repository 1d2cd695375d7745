//! WebSocket frames (RFC 6455) for devices: small messages, no extensions, no more memory than one message.
//!
//! [`Frames`] takes bytes as they come and gives whole messages; it answers nothing itself, but says what must be answered.
//! Fragmented messages are put together; text is checked to be UTF-8; whatever breaks the rules ends the connection with the
//! status that the RFC wants.

use alloc::string::String;
use alloc::vec::Vec;
use sha1::{Digest as _, Sha1};

/// Which end this is: a client masks what it sends, a server does not (section 5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Client,
    Server,
}

/// What came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    Text(String),
    Binary(Vec<u8>),
    /// To be answered by a pong with the same bytes.
    Ping(Vec<u8>),
    Pong,
    /// The other end is leaving; to be answered by a close with the same status, then the connection ends.
    Close(Option<u16>),
}

/// The peer broke the rules: send a close with [`Broken::status`] and end the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// Masks, reserved bits, opcodes, fragments, lengths.
    Protocol,
    /// Text that is no UTF-8.
    Encoding,
    TooLong,
}

impl Broken {
    /// The status code of the close (section 7.4.1).
    pub fn status(self) -> u16 {
        match self {
            Broken::Protocol => 1002,
            Broken::Encoding => 1007,
            Broken::TooLong => 1009,
        }
    }
}

const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// Cuts a stream of bytes into messages.
#[derive(Debug)]
pub struct Frames {
    role: Role,
    limit: usize,
    held: Vec<u8>,
    /// Opcode and content of a message whose end has not come.
    unfinished: Option<(u8, Vec<u8>)>,
}

impl Frames {
    /// For this end; no message may be longer than `limit` bytes.
    pub fn new(role: Role, limit: usize) -> Frames {
        Frames { role, limit, held: Vec::new(), unfinished: None }
    }

    /// Takes bytes, and gives the messages that they complete to `out`.
    ///
    /// # Errors
    /// The peer broke the rules; what came before has been given.
    pub fn push(&mut self, bytes: &[u8], mut out: impl FnMut(Frame)) -> Result<(), Broken> {
        self.held.extend_from_slice(bytes);
        let mut at = 0;
        let result = loop {
            match self.next(at) {
                Ok(Some((used, frame))) => {
                    at += used;
                    if let Some(frame) = frame {
                        out(frame);
                    }
                }
                Ok(None) => break Ok(()),
                Err(broken) => break Err(broken),
            }
        };
        self.held.drain(..at.min(self.held.len()));
        result
    }

    /// The frame that starts at `at`, when it is whole: its length, and the message if it ends one.
    fn next(&mut self, at: usize) -> Result<Option<(usize, Option<Frame>)>, Broken> {
        let Some(bytes) = self.held.get(at..) else { return Ok(None) };
        let [first, second, rest @ ..] = bytes else { return Ok(None) };
        let (is_final, opcode) = (first & 0x80 != 0, first & 0x0f);
        let is_masked = second & 0x80 != 0;
        if first & 0x70 != 0 || is_masked != (self.role == Role::Server) {
            return Err(Broken::Protocol);
        }
        let is_control = opcode >= CLOSE;
        if !matches!(opcode, CONTINUATION | TEXT | BINARY | CLOSE | PING | PONG) {
            return Err(Broken::Protocol);
        }
        let (length, rest) = match second & 0x7f {
            126 => {
                let Some((length, rest)) = rest.split_first_chunk() else { return Ok(None) };
                (u64::from(u16::from_be_bytes(*length)), rest)
            }
            127 => {
                let Some((length, rest)) = rest.split_first_chunk() else { return Ok(None) };
                (u64::from_be_bytes(*length), rest)
            }
            short => (u64::from(short), rest),
        };
        if is_control && (length > 125 || !is_final) {
            return Err(Broken::Protocol);
        }
        let held = self.unfinished.as_ref().map_or(0, |(_, content)| content.len());
        let length =
            usize::try_from(length).ok().filter(|length| length.saturating_add(held) <= self.limit.max(125));
        let length = length.ok_or(Broken::TooLong)?;
        let (mask, rest) = match is_masked {
            false => ([0; 4], rest),
            true => {
                let Some((mask, rest)) = rest.split_first_chunk() else { return Ok(None) };
                (*mask, rest)
            }
        };
        let Some(payload) = rest.get(..length) else { return Ok(None) };
        let content: Vec<u8> =
            payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
        let used = bytes.len() - rest.len() + length;
        let frame = match (opcode, self.unfinished.take()) {
            (PING, held) => {
                self.unfinished = held;
                Some(Frame::Ping(content))
            }
            (PONG, held) => {
                self.unfinished = held;
                Some(Frame::Pong)
            }
            (CLOSE, _) => Some(close(&content)?),
            (CONTINUATION, Some((opcode, mut whole))) => {
                whole.extend(content);
                self.ended(is_final, opcode, whole)?
            }
            (TEXT | BINARY, None) => self.ended(is_final, opcode, content)?,
            _ => return Err(Broken::Protocol),
        };
        Ok(Some((used, frame)))
    }

    fn ended(&mut self, is_final: bool, opcode: u8, content: Vec<u8>) -> Result<Option<Frame>, Broken> {
        if !is_final {
            self.unfinished = Some((opcode, content));
            return Ok(None);
        }
        match opcode {
            TEXT => {
                String::from_utf8(content).map(|text| Some(Frame::Text(text))).map_err(|_| Broken::Encoding)
            }
            _ => Ok(Some(Frame::Binary(content))),
        }
    }
}

fn close(content: &[u8]) -> Result<Frame, Broken> {
    match content {
        [] => Ok(Frame::Close(None)),
        [high, low, reason @ ..] => {
            let status = u16::from_be_bytes([*high, *low]);
            if !matches!(status, 1000..=1003 | 1007..=1014 | 3000..=4999) {
                return Err(Broken::Protocol);
            }
            core::str::from_utf8(reason).map_err(|_| Broken::Encoding)?;
            Ok(Frame::Close(Some(status)))
        }
        _ => Err(Broken::Protocol),
    }
}

/// What is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outgoing<'a> {
    Text(&'a str),
    Ping,
    Pong(&'a [u8]),
    Close(u16),
}

/// One frame; a client gives four random bytes (section 5.3), a server none.
pub fn encode(outgoing: Outgoing, mask: Option<[u8; 4]>) -> Vec<u8> {
    let status;
    let (opcode, content) = match outgoing {
        Outgoing::Text(text) => (TEXT, text.as_bytes()),
        Outgoing::Ping => (PING, &[][..]),
        // A ping has at most 125 bytes, so its answer has too.
        Outgoing::Pong(bytes) => (PONG, bytes),
        Outgoing::Close(code) => {
            status = code.to_be_bytes();
            (CLOSE, &status[..])
        }
    };
    let mut frame = Vec::with_capacity(content.len() + 14);
    let flag = if mask.is_some() { 0x80 } else { 0 };
    frame.push(0x80 | opcode);
    match content.len() {
        short @ 0..126 => frame.push(flag | short as u8),
        middle @ 126..65_536 => {
            frame.push(flag | 126);
            frame.extend((middle as u16).to_be_bytes());
        }
        long => {
            frame.push(flag | 127);
            frame.extend((long as u64).to_be_bytes());
        }
    }
    let mask = match mask {
        Some(mask) => {
            frame.extend(mask);
            mask
        }
        None => [0; 4],
    };
    frame.extend(content.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

/// `Sec-WebSocket-Accept` for a `Sec-WebSocket-Key` (section 4.2.2).
pub fn accept(key: &str) -> String {
    let mut hash = Sha1::new();
    hash.update(key.as_bytes());
    hash.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    base64(&hash.finalize())
}

/// Base 64 with padding (RFC 4648, section 4).
pub fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            let index = (bits >> (18 - 6 * place) & 63) as usize;
            text.push(if place <= group.len() { char::from(ALPHABET[index]) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use proptest::prelude::*;

    fn read(role: Role, bytes: &[u8]) -> (Vec<Frame>, Result<(), Broken>) {
        let mut all = Vec::new();
        let result = Frames::new(role, 4096).push(bytes, |frame| all.push(frame));
        (all, result)
    }

    #[test]
    fn the_rfcs_example_of_a_handshake_holds() {
        assert_eq!(accept("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!(
            (base64(b"").as_str(), base64(b"f").as_str(), base64(b"fo").as_str(), base64(b"foo").as_str()),
            ("", "Zg==", "Zm8=", "Zm9v")
        );
    }

    #[test]
    fn the_rfcs_examples_of_frames_are_read() {
        // Section 5.7: unmasked, masked and fragmented "Hello", a ping and its masked pong.
        let hello = Frame::Text("Hello".into());
        assert_eq!(read(Role::Client, b"\x81\x05Hello"), (vec![hello.clone()], Ok(())));
        let masked = b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
        assert_eq!(read(Role::Server, masked), (vec![hello.clone()], Ok(())));
        assert_eq!(
            read(Role::Client, b"\x01\x03Hel\x89\x02hi\x80\x02lo"),
            (vec![Frame::Ping(b"hi".to_vec()), hello], Ok(()))
        );
        assert_eq!(encode(Outgoing::Text("Hello"), Some([0x37, 0xfa, 0x21, 0x3d])), masked);
        assert_eq!(encode(Outgoing::Pong(b"Hello"), None), b"\x8a\x05Hello");
    }

    #[test]
    fn messages_of_every_length_come_back_however_cut() {
        for length in [0, 1, 125, 126, 127, 128, 255, 256, 3000, 4096] {
            let text = "x".repeat(length);
            for (role, mask) in [(Role::Server, Some([1, 2, 3, 4])), (Role::Client, None)] {
                let wire = encode(Outgoing::Text(&text), mask);
                for cut in (0..=wire.len()).filter(|cut| *cut < 20 || cut % 511 == 0) {
                    let (mut frames, mut all) = (Frames::new(role, 4096), Vec::new());
                    frames.push(&wire[..cut], |frame| all.push(frame)).unwrap();
                    frames.push(&wire[cut..], |frame| all.push(frame)).unwrap();
                    assert_eq!(all, [Frame::Text(text.clone())], "{length} cut at {cut}");
                }
            }
        }
    }

    #[test]
    fn whoever_breaks_the_rules_is_told_which() {
        for (role, bytes, broken) in [
            (Role::Server, &b"\x81\x01x"[..], Broken::Protocol),
            (Role::Client, b"\x81\x81\0\0\0\0x", Broken::Protocol),
            (Role::Client, b"\xc1\x01x", Broken::Protocol),
            (Role::Client, b"\x83\x00", Broken::Protocol),
            (Role::Client, b"\x09\x00", Broken::Protocol),
            (Role::Client, b"\x89\x7e\x00\x7e", Broken::Protocol),
            (Role::Client, b"\x80\x00", Broken::Protocol),
            (Role::Client, b"\x01\x01x\x81\x01y", Broken::Protocol),
            (Role::Client, b"\x88\x01\x03", Broken::Protocol),
            (Role::Client, b"\x88\x02\x03\xed", Broken::Protocol),
            (Role::Client, b"\x81\x01\xff", Broken::Encoding),
            (Role::Client, b"\x88\x03\x03\xe8\xff", Broken::Encoding),
            (Role::Client, b"\x81\x7f\xff\xff\xff\xff\xff\xff\xff\xff", Broken::TooLong),
            (Role::Client, b"\x82\x7e\x10\x01", Broken::TooLong),
        ] {
            assert_eq!(read(role, bytes).1, Err(broken), "{bytes:02x?}");
        }
        assert_eq!(read(Role::Client, b"\x88\x00").0, [Frame::Close(None)]);
        assert_eq!(read(Role::Client, b"\x88\x02\x03\xe8").0, [Frame::Close(Some(1000))]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived_and_memory_is_bounded(pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..64), 0..64)) {
            for role in [Role::Client, Role::Server] {
                let mut frames = Frames::new(role, 256);
                for piece in &pieces {
                    if frames.push(piece, |_| ()).is_err() {
                        break;
                    }
                    prop_assert!(frames.held.len() <= 256 + 14 + 64);
                }
            }
        }
    }
}

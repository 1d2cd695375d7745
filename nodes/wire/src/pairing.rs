//! Pairing: the code that a node shows, and the window in which it can be used.

use crate::session::Keys;
use alloc::string::String;
use alloc::vec::Vec;

/// So many wrong codes close a node's window: then a person must open it again, and the node shows another code.
pub const WRONG_CODES: u8 = 3;

/// The code that a node shows while it can be paired: 16 characters of Crockford's base 32, 80 bits.
#[derive(Clone, PartialEq, Eq)]
pub struct Code([u8; 16]);

impl Code {
    const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

    /// The code that these random bytes make; five bits of each count.
    pub fn from_random(random: [u8; 16]) -> Code {
        Code(random.map(|byte| Self::ALPHABET[usize::from(byte & 31)]))
    }

    /// Reads what a person typed: any case, with or without dashes and spaces, O for 0, I and L for 1.
    pub fn parse(text: &str) -> Option<Code> {
        let mut code = [0; 16];
        let mut typed = text.bytes().filter(|b| !matches!(b, b'-' | b' '));
        for place in &mut code {
            let letter = match typed.next()?.to_ascii_uppercase() {
                b'O' => b'0',
                b'I' | b'L' => b'1',
                other => other,
            };
            *place = Some(letter).filter(|l| Self::ALPHABET.contains(l))?;
        }
        typed.next().is_none().then_some(Code(code))
    }

    /// The pre-shared key of the handshake.
    pub(crate) fn secret(&self) -> [u8; 32] {
        let mut secret = *b"................DWN2 pairing psk";
        secret[..16].copy_from_slice(&self.0);
        secret
    }
}

/// A code is a secret until it is used: a log must not have it by accident.
impl core::fmt::Debug for Code {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Code(..)")
    }
}

impl core::fmt::Display for Code {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        for (at, byte) in self.0.iter().enumerate() {
            if at > 0 && at % 4 == 0 {
                f.write_str("-")?;
            }
            write!(f, "{}", char::from(*byte))?;
        }
        Ok(())
    }
}

/// The time in which a node can be paired, by one code.
#[derive(Clone, Debug, Default)]
pub struct Window {
    code: Option<Code>,
    wrong: u8,
}

impl Window {
    /// An open window; the node shows `code`.
    pub fn open(code: Code) -> Window {
        Window { code: Some(code), wrong: 0 }
    }

    /// The code to show; `None` while the node cannot be paired.
    pub fn code(&self) -> Option<&Code> {
        self.code.as_ref()
    }

    /// A hub used a wrong code.
    pub fn missed(&mut self) {
        self.wrong = self.wrong.saturating_add(1);
        if self.wrong >= WRONG_CODES {
            self.code = None;
        }
    }
}

/// How a node answers a hub.
#[derive(Clone, Debug)]
pub struct Acceptor {
    /// The node's id.
    pub id: String,
    /// The node's key pair.
    pub keys: Keys,
    /// The public keys of the hubs that it obeys.
    pub hubs: Vec<[u8; 32]>,
    /// Whether, and by which code, it can be paired.
    pub window: Window,
}

impl Acceptor {
    /// Obeys a hub that has proved to know `code`, if that is still the code that the node shows; a code serves once.
    pub(crate) fn admit(&mut self, hub: [u8; 32], code: &Code) -> bool {
        let is_shown = self.window.code() == Some(code);
        if is_shown {
            self.window = Window::default();
            if !self.hubs.contains(&hub) {
                self.hubs.push(hub);
            }
        }
        is_shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_type_is_read_kindly() {
        assert_eq!(Code::parse("oooo llll-IIII 0123"), Code::parse("0000-1111-1111-0123"));
        assert_eq!(Code::parse("0000"), None);
        assert_eq!(Code::parse("0000-1111-1111-0123-4"), None);
        assert_eq!(Code::parse("0000-1111-1111-012U"), None);
    }

    #[test]
    fn three_wrong_codes_close_the_window() {
        let mut window = Window::open(Code::from_random([7; 16]));
        for _ in 1..WRONG_CODES {
            window.missed();
            assert!(window.code().is_some());
        }
        window.missed();
        assert!(window.code().is_none());
    }
}

//! The LED strip's bytes. Its payload was never published; this is Hob's own, driver name `LED STRIP`.
//!
//! | bytes | direction | meaning |
//! |---|---|---|
//! | `C` r g b | to the strip | this colour at once; ends an effect |
//! | `F` r g b ms(u16, big-endian) | to the strip | fade to this colour in so many milliseconds |
//! | `E` effect period(u16) | to the strip | run an effect: 0 none, 1 blink, 2 breathe, 3 rainbow; period in ms |
//! | `?` | to the strip | report |
//! | `L` r g b effect | from the strip | the colour now and the running effect; sent on connection, after each command, and at the end of a fade |

use crate::Refused;
use crate::stream::Payload;

/// The driver name in the advert.
pub const DRIVER_NAME: &str = "LED STRIP";

/// Red, green, blue, 0 to 255 each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Colour {
    pub red: u8,
    pub green: u8,
    pub blue: u8,
}

/// What the strip does by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Effect {
    #[default]
    None,
    /// On and off, half a period each.
    Blink,
    /// Brighter and darker as a triangle over the period.
    Breathe,
    /// Once around the colour wheel in a period.
    Rainbow,
}

impl Effect {
    /// Its byte on the wire.
    pub fn code(self) -> u8 {
        match self {
            Effect::None => 0,
            Effect::Blink => 1,
            Effect::Breathe => 2,
            Effect::Rainbow => 3,
        }
    }
    /// The effect of this byte.
    pub fn from_code(code: u8) -> Option<Effect> {
        [Effect::None, Effect::Blink, Effect::Breathe, Effect::Rainbow].get(usize::from(code)).copied()
    }
    /// Its name in the API.
    pub fn name(self) -> &'static str {
        match self {
            Effect::None => "none",
            Effect::Blink => "blink",
            Effect::Breathe => "breathe",
            Effect::Rainbow => "rainbow",
        }
    }
    /// The effect of this name.
    pub fn from_name(name: &str) -> Option<Effect> {
        [Effect::None, Effect::Blink, Effect::Breathe, Effect::Rainbow].into_iter().find(|e| e.name() == name)
    }
}

/// What the hub asks of the strip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    Set(Colour),
    Fade { to: Colour, over_ms: u16 },
    Effect { effect: Effect, period_ms: u16 },
    Report,
}

impl Command {
    /// The bytes in a buffer, and how many of them count.
    pub fn encode(self) -> ([u8; 6], usize) {
        match self {
            Command::Set(c) => ([b'C', c.red, c.green, c.blue, 0, 0], 4),
            Command::Fade { to, over_ms } => {
                let [high, low] = over_ms.to_be_bytes();
                ([b'F', to.red, to.green, to.blue, high, low], 6)
            }
            Command::Effect { effect, period_ms } => {
                let [high, low] = period_ms.to_be_bytes();
                ([b'E', effect.code(), high, low, 0, 0], 4)
            }
            Command::Report => ([b'?', 0, 0, 0, 0, 0], 1),
        }
    }
}

impl Payload for Command {
    type Message = Command;
    const MAX_BYTES: usize = 6;
    fn next(bytes: &[u8]) -> Result<Option<(Command, usize)>, Refused> {
        match *bytes {
            [b'C', red, green, blue, ..] => Ok(Some((Command::Set(Colour { red, green, blue }), 4))),
            [b'F', red, green, blue, high, low, ..] => {
                let over_ms = u16::from_be_bytes([high, low]);
                Ok(Some((Command::Fade { to: Colour { red, green, blue }, over_ms }, 6)))
            }
            [b'E', code, high, low, ..] => {
                let effect = Effect::from_code(code).ok_or(Refused::Malformed("effect"))?;
                Ok(Some((Command::Effect { effect, period_ms: u16::from_be_bytes([high, low]) }, 4)))
            }
            [b'?', ..] => Ok(Some((Command::Report, 1))),
            [b'C' | b'F' | b'E', ..] | [] => Ok(None),
            [other, ..] => Err(Refused::NotAMessage(other)),
        }
    }
}

/// What the strip says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    pub colour: Colour,
    pub effect: Effect,
}

impl Report {
    /// The five bytes.
    pub fn encode(self) -> [u8; 5] {
        [b'L', self.colour.red, self.colour.green, self.colour.blue, self.effect.code()]
    }
}

impl Payload for Report {
    type Message = Report;
    const MAX_BYTES: usize = 5;
    fn next(bytes: &[u8]) -> Result<Option<(Report, usize)>, Refused> {
        match *bytes {
            [b'L', red, green, blue, code, ..] => {
                let effect = Effect::from_code(code).ok_or(Refused::Malformed("effect"))?;
                Ok(Some((Report { colour: Colour { red, green, blue }, effect }, 5)))
            }
            [b'L', ..] | [] => Ok(None),
            [other, ..] => Err(Refused::NotAMessage(other)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::{Received, Stream, collect, same_however_cut};

    #[test]
    fn every_command_is_read_back() {
        let to = Colour { red: 1, green: b'y', blue: 255 };
        for command in [
            Command::Set(to),
            Command::Fade { to, over_ms: 1500 },
            Command::Effect { effect: Effect::Rainbow, period_ms: 9000 },
            Command::Report,
        ] {
            let (bytes, len) = command.encode();
            let got = collect(&mut Stream::<Command>::default(), &bytes[..len]).unwrap();
            assert_eq!(got, [Received::Message(command)]);
        }
    }

    #[test]
    fn messages_are_the_same_however_cut() {
        same_however_cut::<Command>(b"C\x01\x02\x03?F\x01\x02\x03\x00\x10E\x02\x01\x00E\x09\x00\x00");
        same_however_cut::<Report>(b"yo!\r\nLyo!\x00L\x01\x02\x03\x01yo!\r\n");
    }
}

//! The IO board's messages: JSON objects, one after another, with or without white space or a zero byte between them.
//!
//! From the board: `{"type":"initial","pins":[..]}`, `{"type":"changed","pin":n,"pins":[..]}`,
//! `{"type":"alarm","group":n,"subgroup":n,"label":s}`. To the board: `{"event":"set","out":"n","level":"0|1"}`.

use crate::Refused;
use crate::stream::Payload;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use serde_json::{Value, json};

/// The driver name in the advert.
pub const DRIVER_NAME: &str = "EDISON IO CONTROLLER";
/// The longest message of a board.
pub const MAX_BYTES: usize = 2_000;
/// Outputs that `set` may name.
pub const OUTPUTS: u8 = 5;
/// The most pins that a board may report.
pub const MAX_PINS: usize = 64;

/// What the board says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    Initial { pins: Vec<bool> },
    Changed { pin: u8, pins: Vec<bool> },
    Alarm { group: u8, subgroup: u8, label: String },
}

impl Report {
    /// The JSON text.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Report::Initial { pins } => json!({"type": "initial", "pins": pins}),
            Report::Changed { pin, pins } => json!({"type": "changed", "pin": pin, "pins": pins}),
            Report::Alarm { group, subgroup, label } => {
                json!({"type": "alarm", "group": group, "subgroup": subgroup, "label": label})
            }
        }
        .to_string()
        .into_bytes()
    }

    fn read(text: &[u8]) -> Result<Report, Refused> {
        let value: Value = serde_json::from_slice(text).map_err(|_| Refused::Malformed("JSON"))?;
        let byte = |name: &'static str| {
            value[name].as_u64().and_then(|n| u8::try_from(n).ok()).ok_or(Refused::Malformed(name))
        };
        let pins = || {
            let list = value["pins"].as_array().filter(|l| l.len() <= MAX_PINS);
            list.and_then(|l| l.iter().map(Value::as_bool).collect()).ok_or(Refused::Malformed("pins"))
        };
        match value["type"].as_str() {
            Some("initial") => Ok(Report::Initial { pins: pins()? }),
            Some("changed") => Ok(Report::Changed { pin: byte("pin")?, pins: pins()? }),
            Some("alarm") => {
                let label = value["label"].as_str().ok_or(Refused::Malformed("label"))?.to_string();
                Ok(Report::Alarm { group: byte("group")?, subgroup: byte("subgroup")?, label })
            }
            _ => Err(Refused::Malformed("type")),
        }
    }
}

impl Payload for Report {
    type Message = Report;
    const MAX_BYTES: usize = MAX_BYTES;
    fn next(bytes: &[u8]) -> Result<Option<(Report, usize)>, Refused> {
        let Some((start, end)) = object(bytes)? else { return Ok(None) };
        Ok(Some((Report::read(bytes.get(start..end).unwrap_or(&[]))?, end)))
    }
}

/// What the hub asks of the board.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Set {
    /// Output 0 to 4.
    pub out: u8,
    pub level: bool,
}

impl Set {
    /// The JSON text; numbers travel as strings, as the board expects.
    pub fn encode(self) -> Vec<u8> {
        let level = if self.level { "1" } else { "0" };
        json!({"event": "set", "out": self.out.to_string(), "level": level}).to_string().into_bytes()
    }
}

/// The board reads commands with this.
impl Payload for Set {
    type Message = Set;
    const MAX_BYTES: usize = MAX_BYTES;
    fn next(bytes: &[u8]) -> Result<Option<(Set, usize)>, Refused> {
        let Some((start, end)) = object(bytes)? else { return Ok(None) };
        let value: Value = serde_json::from_slice(bytes.get(start..end).unwrap_or(&[]))
            .map_err(|_| Refused::Malformed("JSON"))?;
        let out = value["out"].as_str().and_then(|t| t.parse().ok()).filter(|out| *out < OUTPUTS);
        let level = match value["level"].as_str() {
            Some("0") => false,
            Some("1") => true,
            _ => return Err(Refused::Malformed("level")),
        };
        if value["event"] != "set" {
            return Err(Refused::Malformed("event"));
        }
        Ok(Some((Set { out: out.ok_or(Refused::Malformed("out"))?, level }, end)))
    }
}

/// Where the first JSON object of the stream starts and ends; `None` while it is unfinished.
fn object(bytes: &[u8]) -> Result<Option<(usize, usize)>, Refused> {
    let is_gap = |b: &u8| matches!(b, b' ' | b'\r' | b'\n' | b'\t' | 0);
    let Some(start) = bytes.iter().position(|b| !is_gap(b)) else { return Ok(None) };
    let (mut depth, mut in_string, mut escaped) = (0u32, false, false);
    for (at, &byte) in bytes.iter().enumerate().skip(start) {
        if at == start && byte != b'{' {
            return Err(Refused::NotAMessage(byte));
        }
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return Ok(Some((start, at + 1)));
                }
            }
            _ => {}
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::{Stream, collect, same_however_cut};

    #[test]
    fn messages_are_the_same_however_cut() {
        let wire = b"{\"type\":\"initial\",\"pins\":[true,false]}yo!\r\n{\"type\":\"alarm\",\"group\":2,\"subgroup\":14,\"label\":\"a}\\\"{\"}\0{\"type\":\"changed\",\"pin\":1,\"pins\":[true,true]}";
        assert_eq!(collect(&mut Stream::<Report>::default(), wire).unwrap().len(), 4);
        same_however_cut::<Report>(wire);
        let set = Set { out: 3, level: true }.encode();
        same_however_cut::<Set>(&set);
    }

    #[test]
    fn a_message_without_end_is_refused_at_the_limit() {
        let mut stream = Stream::<Report>::default();
        let mut pushed = 0;
        let refused = loop {
            pushed += 100;
            if let Err(refused) = stream.push(&[b'{'; 100], |_| ()) {
                break refused;
            }
        };
        assert_eq!(refused, Refused::TooLong { limit: MAX_BYTES });
        assert!(pushed <= MAX_BYTES);
    }

    #[test]
    fn an_output_that_does_not_exist_is_refused() {
        for bad in [r#"{"event":"set","out":"5","level":"1"}"#, r#"{"event":"set","out":"1","level":"2"}"#] {
            assert!(collect(&mut Stream::<Set>::default(), bad.as_bytes()).is_err());
        }
    }
}

//! The JSON-RPC node's vocabulary: its pins, what they can be, and the form of requests and events.
//!
//! A node answers JSON-RPC 2.0 at `POST /jsonrpc` and tells changes over a WebSocket at `/ws`; behind a NAT it connects out
//! and answers over that WebSocket. Ids of requests are strings.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use serde_json::{Value, json};

/// Pins of a node.
pub const PINS: usize = 43;
/// The WebSocket's subprotocol.
pub const SUBPROTOCOL: &str = "jsonrpc";
/// The longest request that a node takes.
pub const REQUEST_BYTES: usize = 4_096;
/// The longest answer that a node gives (the status, with every pin).
pub const ANSWER_BYTES: usize = 8_192;
/// The bit of a mode that says that the node itself uses the pin.
pub const RESERVED: u8 = 0x80;
/// The pin that is an input whatever is configured: held low at boot it asks for set-up.
pub const SETUP_PIN: usize = 4;
/// The pin with the node's own light.
pub const LED_PIN: usize = 13;

/// What a pin is used for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    #[default]
    None,
    /// With pull-up; on = closed to ground.
    Input,
    /// Active low; on = driven to ground.
    Output,
    Analog,
}

impl Mode {
    /// The mode of a number, the reserved bit left out.
    pub fn from_number(number: u8) -> Option<Mode> {
        match number & !RESERVED {
            0 => Some(Mode::None),
            1 => Some(Mode::Input),
            2 => Some(Mode::Output),
            3 => Some(Mode::Analog),
            _ => None,
        }
    }
    /// Its number.
    pub fn number(self) -> u8 {
        self as u8
    }
}

/// Whether a pin is the node's own (flash, serial line, light, set-up button).
pub fn is_reserved(pin: usize) -> bool {
    matches!(pin, 0 | 3 | 4 | 8 | 9 | 13 | 17..=38)
}

/// How a pin is used, as `configpins` and `status` say it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pin {
    pub mode: Mode,
    /// After so many seconds an output turns itself off; 0: never.
    pub max_on_s: u32,
}

/// A request.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    pub id: String,
    pub method: String,
    pub params: Value,
}

/// Why a request is not carried out: JSON-RPC's code and a reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub code: i32,
    pub reason: &'static str,
}

impl Request {
    /// Its text.
    pub fn encode(&self) -> String {
        json!({"jsonrpc": "2.0", "id": self.id, "method": self.method, "params": self.params}).to_string()
    }

    /// Reads a text.
    ///
    /// # Errors
    /// No JSON (-32700), or no request (-32600).
    pub fn decode(text: &str) -> Result<Request, Failure> {
        if text.len() > REQUEST_BYTES {
            return Err(Failure { code: -32600, reason: "too long" });
        }
        let Ok(mut value) = serde_json::from_str::<Value>(text) else {
            return Err(Failure { code: -32700, reason: "no JSON" });
        };
        match (value["id"].as_str(), value["method"].as_str()) {
            (Some(id), Some(method)) if id.len() <= 64 => {
                let (id, method) = (id.to_string(), method.to_string());
                Ok(Request { id, method, params: value["params"].take() })
            }
            _ => Err(Failure { code: -32600, reason: "a request has an id and a method, both texts" }),
        }
    }
}

/// The answer to a request.
pub fn answer(id: &str, result: Result<Value, Failure>) -> String {
    match result {
        Ok(result) => json!({"jsonrpc": "2.0", "id": id, "result": result}),
        Err(Failure { code, reason }) => {
            // An id that could not be read is null.
            let id = if id.is_empty() { Value::Null } else { json!(id) };
            json!({"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": reason}})
        }
    }
    .to_string()
}

/// What a node says over its WebSocket.
#[derive(Clone, Debug, PartialEq)]
pub enum Said {
    /// A pin has changed.
    Pin { pin: usize, is_on: bool },
    /// An answer: the request's id, and its result or the reason why not.
    Answer { id: String, result: Result<Value, String> },
}

impl Said {
    /// The text of a change.
    pub fn pin(pin: usize, is_on: bool) -> String {
        json!({"event": "pin", "state": is_on, "pin": pin}).to_string()
    }

    /// Reads a text; `None` when it is neither.
    pub fn decode(text: &str) -> Option<Said> {
        let mut value: Value = serde_json::from_str(text).ok()?;
        if value["event"] == "pin" {
            let pin = usize::try_from(value["pin"].as_u64()?).ok().filter(|pin| *pin < PINS)?;
            return Some(Said::Pin { pin, is_on: value["state"].as_bool()? });
        }
        let id = value["id"].as_str()?.to_string();
        let result = match value.get_mut("error") {
            Some(error) => Err(error["message"].as_str().unwrap_or("it refused").to_string()),
            None => Ok(value.get_mut("result")?.take()),
        };
        Some(Said::Answer { id, result })
    }
}

/// The pins of a status; what makes no sense is a pin that is not used.
pub fn pins(status: &Value) -> Vec<Pin> {
    let listed = status["pins"].as_array().into_iter().flatten().take(PINS);
    let read = |pin: &Value| {
        let mode = pin["mode"].as_u64().and_then(|mode| u8::try_from(mode).ok());
        let is_reserved = mode.is_some_and(|mode| mode & RESERVED != 0);
        let mode = mode.and_then(Mode::from_number).filter(|_| !is_reserved).unwrap_or_default();
        let max_on_s = pin["maxon"].as_u64().and_then(|s| u32::try_from(s).ok()).unwrap_or(0);
        Pin { mode, max_on_s }
    };
    listed.map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{format, vec};

    #[test]
    fn requests_and_answers_are_read_back() {
        let request = Request { id: "7".into(), method: "setpin".into(), params: json!({"pin": 5}) };
        assert_eq!(Request::decode(&request.encode()), Ok(request));
        let done = answer("7", Ok(json!({"pins": [1]})));
        assert_eq!(
            Said::decode(&done),
            Some(Said::Answer { id: "7".into(), result: Ok(json!({"pins": [1]})) })
        );
        let failed = answer("7", Err(Failure { code: -32602, reason: "no such pin" }));
        assert_eq!(
            Said::decode(&failed),
            Some(Said::Answer { id: "7".into(), result: Err("no such pin".into()) })
        );
        assert_eq!(Said::decode(&Said::pin(5, true)), Some(Said::Pin { pin: 5, is_on: true }));
    }

    #[test]
    fn what_is_no_request_has_a_code() {
        for (text, code) in [
            ("", -32700),
            ("{", -32700),
            ("1", -32600),
            (r#"{"method":"x"}"#, -32600),
            (r#"{"id":1,"method":"x"}"#, -32600),
            (r#"{"id":"1"}"#, -32600),
            (format!("\"{}\"", "x".repeat(REQUEST_BYTES)).as_str(), -32600),
        ] {
            assert_eq!(Request::decode(text).unwrap_err().code, code, "{text}");
        }
        for nonsense in
            ["", "[]", r#"{"event":"pin"}"#, r#"{"event":"pin","pin":43,"state":true}"#, r#"{"id":"1"}"#]
        {
            assert_eq!(Said::decode(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn pins_of_a_status_are_taken_with_care() {
        let read = pins(&json!({"pins": [{"mode": 2, "maxon": 5}, {"mode": 0x82}, {"mode": 77}, 3]}));
        assert_eq!(read[0], Pin { mode: Mode::Output, max_on_s: 5 });
        assert!(read[1..].iter().all(|pin| *pin == Pin::default()));
        assert_eq!(pins(&json!({"pins": vec![0; 100]})).len(), PINS);
    }
}

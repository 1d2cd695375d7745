//! The JSON-RPC node: 43 pins that are configured over the network, each with a fail-safe.
//!
//! A portable core without I/O. [`Node::step`] takes the time, the inputs and requests, and says which outputs are on, what to
//! answer and what to tell everyone; [`serve`] speaks HTTP and WebSocket over whatever carries bytes; [`dial`] is the other
//! way round, for a node behind a NAT.
//!
//! Invariants: every output is off at boot; an output with a fail-safe is off that many seconds after it was last turned on,
//! whatever happens to the network; pins that the node uses itself can be neither configured nor set; a request that lacks
//! something is refused and changes nothing.
//!
//! Neighbours: `wire::jsonrpc` has the vocabulary, `wire::websocket` the frames. Start reading at [`Node`].
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod dial;
mod http;
pub mod serve;

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use serde_json::{Value, json};
use wire::jsonrpc::{
    Failure, LED_PIN, Mode, PINS, Pin, RESERVED, Request, SETUP_PIN, Said, answer, is_reserved,
};

/// What a BME280 has measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Climate {
    /// Degrees Celsius.
    pub temperature: f64,
    /// Hectopascals.
    pub pressure: f64,
    /// Percent.
    pub humidity: f64,
}

/// What a node is made of, for its status.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hardware {
    pub cores: u8,
    pub revision: (u8, u8),
    pub flash_mb: u32,
    pub free_heap: u32,
    pub mac: [u8; 6],
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Input<'a> {
    /// Time has passed; bit n is set while pin n is closed to ground. Comes every 200 ms at least.
    Pins(u64),
    /// A request, as text.
    Request(&'a str),
    /// A measurement; `None` when there is no sensor.
    Climate(Option<Climate>),
}

/// What else is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// [`Node::stored`] has changed: keep it.
    Store,
    /// Start anew, with the settings forgotten if `forget`.
    Restart { forget: bool },
    /// Fetch new firmware and start it.
    Upgrade { url: String },
}

/// What to do now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// Bit n is set while output n is on: its pin is driven to ground. Outputs that are off are driven high.
    pub on: u64,
    /// The answer to the request.
    pub answer: Option<String>,
    /// What to tell everyone who listens.
    pub said: Vec<String>,
    pub action: Option<Action>,
}

/// The state of one node.
#[derive(Clone, Debug)]
pub struct Node {
    hardware: Hardware,
    pins: [Pin; PINS],
    on: u64,
    since_ms: [u64; PINS],
    inputs: u64,
    climate: Option<Climate>,
}

impl Node {
    /// A node that has just booted, with the settings that were stored (none, or damaged: no pin is used).
    pub fn new(hardware: Hardware, stored: &[u8]) -> Node {
        let mut pins = [Pin::default(); PINS];
        if stored.len() == PINS * STORED_BYTES {
            for ((number, pin), bytes) in pins.iter_mut().enumerate().zip(stored.chunks_exact(STORED_BYTES)) {
                if let [mode, max_on @ ..] = bytes
                    && let (Some(mode), Ok(max_on)) = (Mode::from_number(*mode), max_on.try_into())
                    && !is_reserved(number)
                {
                    *pin = Pin { mode, max_on_s: u32::from_le_bytes(max_on) };
                }
            }
        }
        Node { hardware, pins, on: 0, since_ms: [0; PINS], inputs: 0, climate: None }
    }

    /// The settings, to be kept.
    pub fn stored(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(PINS * STORED_BYTES);
        for pin in &self.pins {
            bytes.push(pin.mode.number());
            bytes.extend(pin.max_on_s.to_le_bytes());
        }
        bytes
    }

    /// Takes one input. `now_ms` is monotonic since boot.
    pub fn step(&mut self, now_ms: u64, input: Input) -> Output {
        let before = self.state();
        let mut output = Output::default();
        for pin in 0..PINS {
            let limit_ms = u64::from(self.pins[pin].max_on_s) * 1_000;
            if self.is_on(pin) && limit_ms > 0 && now_ms.saturating_sub(self.since_ms[pin]) >= limit_ms {
                self.on &= !(1 << pin);
            }
        }
        match input {
            Input::Pins(inputs) => self.inputs = inputs,
            Input::Climate(climate) => self.climate = climate,
            Input::Request(text) => {
                let (id, result) = match Request::decode(text) {
                    Ok(request) => {
                        let result = self.carry_out(now_ms, &request, &mut output.action);
                        (request.id, result)
                    }
                    Err(failure) => (String::new(), Err(failure)),
                };
                output.answer = Some(answer(&id, result));
            }
        }
        let changed = before ^ self.state();
        output.said = (0..PINS)
            .filter(|pin| changed >> pin & 1 == 1)
            .map(|pin| Said::pin(pin, self.state() >> pin & 1 == 1))
            .collect();
        output.on = self.on;
        output
    }

    /// When the next fail-safe is due, in the time of [`Node::step`].
    pub fn deadline_ms(&self) -> Option<u64> {
        let limited = (0..PINS).filter(|pin| self.is_on(*pin) && self.pins[*pin].max_on_s > 0);
        limited.map(|pin| self.since_ms[pin] + u64::from(self.pins[pin].max_on_s) * 1_000).min()
    }

    /// The pins that are on: inputs closed to ground, outputs driven to it.
    fn state(&self) -> u64 {
        let inputs = (0..PINS).filter(|pin| self.pins[*pin].mode == Mode::Input);
        inputs.fold(self.on, |state, pin| state | (self.inputs & 1 << pin))
    }

    fn is_on(&self, pin: usize) -> bool {
        self.on >> pin & 1 == 1
    }

    fn carry_out(
        &mut self,
        now_ms: u64,
        request: &Request,
        action: &mut Option<Action>,
    ) -> Result<Value, Failure> {
        let params = &request.params;
        match request.method.as_str() {
            "getpins" => {
                let on: Vec<usize> = (0..PINS).filter(|pin| self.state() >> pin & 1 == 1).collect();
                Ok(json!({ "pins": on }))
            }
            "setpin" | "clearpin" => {
                let pin = pin_of(params).filter(|pin| self.pins[*pin].mode == Mode::Output);
                let pin = pin.ok_or(Failure { code: -32602, reason: "pin: an output" })?;
                if request.method == "setpin" {
                    self.on |= 1 << pin;
                    self.since_ms[pin] = now_ms;
                } else {
                    self.on &= !(1 << pin);
                }
                Ok(json!({}))
            }
            "status" => Ok(self.status()),
            "climate" => Ok(self.climate()),
            "configpins" => {
                self.configure(params)?;
                *action = Some(Action::Store);
                Ok(json!({}))
            }
            "restart" => {
                *action = Some(Action::Restart { forget: params["delete"].as_bool().unwrap_or(false) });
                Ok(json!({}))
            }
            "ota" => {
                let url = params["upgrade_url"].as_str().filter(|url| {
                    url.len() <= 256 && (url.starts_with("http://") || url.starts_with("https://"))
                });
                let url = url.ok_or(Failure { code: -32602, reason: "upgrade_url: an http or https URL" })?;
                *action = Some(Action::Upgrade { url: url.to_string() });
                Ok(json!({}))
            }
            _ => Err(Failure { code: -32601, reason: "no such method" }),
        }
    }

    /// Takes the whole list or nothing. An output that is configured anew is off.
    fn configure(&mut self, params: &Value) -> Result<(), Failure> {
        let wrong = |reason| Failure { code: -32602, reason };
        let listed = params["pins"].as_array().ok_or(wrong("pins: a list"))?;
        let mut pins = self.pins;
        for one in listed {
            let number = pin_of(one).ok_or(wrong("pin: 0 to 42"))?;
            if is_reserved(number) {
                return Err(wrong("the node uses this pin itself"));
            }
            let mode = one["mode"].as_u64().and_then(|mode| u8::try_from(mode).ok());
            let mode = mode.filter(|mode| mode & RESERVED == 0).and_then(Mode::from_number);
            let mode = mode.ok_or(wrong("mode: 0 none, 1 input, 2 output, 3 analog"))?;
            let max_on_s = match &one["maxon"] {
                Value::Null => 0,
                seconds => {
                    seconds.as_u64().and_then(|s| u32::try_from(s).ok()).ok_or(wrong("maxon: seconds"))?
                }
            };
            pins[number] = Pin { mode, max_on_s };
        }
        for pin in (0..PINS).filter(|pin| pins[*pin] != self.pins[*pin]) {
            self.on &= !(1 << pin);
        }
        self.pins = pins;
        Ok(())
    }

    fn status(&self) -> Value {
        let Hardware { cores, revision, flash_mb, free_heap, mac } = &self.hardware;
        let pins: Vec<Value> = self
            .pins
            .iter()
            .enumerate()
            .map(|(number, pin)| {
                let mode = match number {
                    SETUP_PIN => RESERVED | Mode::Input.number(),
                    LED_PIN => RESERVED | Mode::Output.number(),
                    number if is_reserved(number) => RESERVED,
                    _ => pin.mode.number(),
                };
                json!({"mode": mode, "maxon": pin.max_on_s})
            })
            .collect();
        let mac: Vec<String> = mac.iter().map(|byte| alloc::format!("{byte:02x}")).collect();
        let mut status = json!({
            "device": "DWN",
            "cores": cores,
            "silicon_revision_major": revision.0,
            "silicon_revision_minor": revision.1,
            "flash_size": flash_mb,
            "free_heap": free_heap,
            "mac": mac.join(":"),
            "pins": pins,
        });
        if let (Some(status), Value::Object(climate)) = (status.as_object_mut(), self.climate()) {
            status.extend(climate);
        }
        status
    }

    /// Without a sensor every figure is -1, as ever.
    fn climate(&self) -> Value {
        let Climate { temperature, pressure, humidity } =
            self.climate.unwrap_or(Climate { temperature: -1.0, pressure: -1.0, humidity: -1.0 });
        json!({"temperature": temperature, "pressure": pressure, "humidity": humidity})
    }
}

/// Bytes of one pin's stored settings: the mode, and the seconds.
const STORED_BYTES: usize = 5;

fn pin_of(params: &Value) -> Option<usize> {
    usize::try_from(params["pin"].as_u64()?).ok().filter(|pin| *pin < PINS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ask(node: &mut Node, now_ms: u64, method: &str, params: Value) -> (Output, Result<Value, String>) {
        let request = Request { id: "1".into(), method: method.into(), params };
        let output = node.step(now_ms, Input::Request(&request.encode()));
        match Said::decode(output.answer.as_deref().unwrap()) {
            Some(Said::Answer { result, .. }) => (output, result),
            other => panic!("{other:?}"),
        }
    }
    fn with_pins() -> Node {
        let mut node = Node::new(Hardware::default(), &[]);
        let pins = json!({"pins": [{"pin": 1, "mode": 1}, {"pin": 5, "mode": 2, "maxon": 10}, {"pin": 6, "mode": 2}]});
        let (output, result) = ask(&mut node, 0, "configpins", pins);
        assert_eq!((output.action, result), (Some(Action::Store), Ok(json!({}))));
        node
    }

    #[test]
    fn outputs_are_off_at_boot_and_obey() {
        let mut node = with_pins();
        let (output, _) = ask(&mut node, 0, "setpin", json!({"pin": 5}));
        assert_eq!((output.on, output.said), (1 << 5, alloc::vec![Said::pin(5, true)]));
        assert_eq!(ask(&mut node, 0, "getpins", Value::Null).1, Ok(json!({"pins": [5]})));
        assert_eq!(ask(&mut node, 0, "clearpin", json!({"pin": 5})).0.on, 0);
        let again = Node::new(Hardware::default(), &node.stored());
        assert_eq!((again.pins, again.on), (node.pins, 0));
    }

    #[test]
    fn the_fail_safe_turns_an_output_off_without_anyone() {
        let mut node = with_pins();
        ask(&mut node, 1_000, "setpin", json!({"pin": 5})).1.unwrap();
        ask(&mut node, 1_000, "setpin", json!({"pin": 6})).1.unwrap();
        assert_eq!(node.deadline_ms(), Some(11_000));
        assert_eq!(node.step(10_999, Input::Pins(0)).on, 1 << 5 | 1 << 6);
        let output = node.step(11_000, Input::Pins(0));
        assert_eq!((output.on, output.said), (1 << 6, alloc::vec![Said::pin(5, false)]));
        assert_eq!(node.deadline_ms(), None);
        // Turning it on anew begins anew; nothing else does.
        ask(&mut node, 20_000, "setpin", json!({"pin": 5})).1.unwrap();
        ask(&mut node, 25_000, "setpin", json!({"pin": 5})).1.unwrap();
        ask(&mut node, 29_000, "status", Value::Null).1.unwrap();
        assert_eq!(node.deadline_ms(), Some(35_000));
    }

    #[test]
    fn inputs_are_told_as_they_are() {
        let mut node = with_pins();
        assert_eq!(node.step(0, Input::Pins(1 << 1 | 1 << 2)).said, [Said::pin(1, true)]);
        assert_eq!(node.step(0, Input::Pins(0)).said, [Said::pin(1, false)]);
    }

    #[test]
    fn what_lacks_something_is_refused_and_changes_nothing() {
        let mut node = with_pins();
        let before = node.stored();
        for (method, params) in [
            ("setpin", Value::Null),
            ("setpin", json!({"pin": 1})),
            ("setpin", json!({"pin": 43})),
            ("setpin", json!({"pin": -1})),
            ("clearpin", json!({"pin": 13})),
            ("configpins", Value::Null),
            ("configpins", json!({"pins": [{"pin": 7, "mode": 2}, {"pin": 13, "mode": 2}]})),
            ("configpins", json!({"pins": [{"pin": 7, "mode": 9}]})),
            ("configpins", json!({"pins": [{"pin": 7, "mode": 0x82}]})),
            ("configpins", json!({"pins": [{"pin": 7, "mode": 2, "maxon": "x"}]})),
            ("ota", json!({"upgrade_url": "file:///x"})),
            ("format", Value::Null),
        ] {
            let (output, result) = ask(&mut node, 0, method, params.clone());
            assert!(result.is_err() && output.action.is_none(), "{method} {params}");
        }
        assert_eq!((node.stored(), node.on), (before, 0));
    }

    #[test]
    fn the_status_has_every_pin_and_no_climate_is_minus_one() {
        let mut node = with_pins();
        let status = ask(&mut node, 0, "status", Value::Null).1.unwrap();
        assert_eq!(status["pins"].as_array().map(Vec::len), Some(PINS));
        assert_eq!((&status["pins"][13]["mode"], &status["temperature"]), (&json!(0x82), &json!(-1.0)));
        assert_eq!(wire::jsonrpc::pins(&status)[5], Pin { mode: Mode::Output, max_on_s: 10 });
        let measured = Climate { temperature: 21.5, pressure: 1013.0, humidity: 40.0 };
        node.step(0, Input::Climate(Some(measured)));
        assert_eq!(ask(&mut node, 0, "climate", Value::Null).1.unwrap()["temperature"], 21.5);
        assert!(answer("1", Ok(node.status())).len() <= wire::jsonrpc::ANSWER_BYTES);
    }

    proptest! {
        #[test]
        fn no_request_turns_on_what_is_no_output(texts in proptest::collection::vec("[ -~]{0,80}", 0..20), stored in proptest::collection::vec(any::<u8>(), PINS * STORED_BYTES)) {
            let mut node = Node::new(Hardware::default(), &stored);
            for text in &texts {
                node.step(0, Input::Request(text));
            }
            for pin in 0..PINS as u64 {
                let request = Request { id: "1".into(), method: "setpin".into(), params: json!({"pin": pin}) };
                node.step(0, Input::Request(&request.encode()));
            }
            prop_assert!((0..PINS).all(|pin| !node.is_on(pin) || (!is_reserved(pin) && node.pins[pin].mode == Mode::Output)));
        }
    }
}

//! The nouns: device, entity, area, and the state of an entity.

use serde::{Deserialize, Serialize};
use serde_json::{Map, json};

/// What an entity's state can be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    Bool(bool),
    Number(f64),
    Text(String),
}

impl Value {
    /// As a number for history and comparison; on is 1, off is 0.
    pub fn number(&self) -> Option<f64> {
        match self {
            Value::Bool(on) => Some(f64::from(u8::from(*on))),
            Value::Number(n) => Some(*n),
            Value::Text(_) => None,
        }
    }
    /// As JSON; a number that JSON cannot say becomes null.
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Value::Bool(on) => json!(on),
            Value::Number(n) => json!(n),
            Value::Text(text) => json!(text),
        }
    }
}

impl From<bool> for Value {
    fn from(on: bool) -> Self {
        Value::Bool(on)
    }
}
impl From<f64> for Value {
    fn from(n: f64) -> Self {
        Value::Number(n)
    }
}
impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::Text(text.to_string())
    }
}

/// What is known of an entity now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// The device has not said it yet.
    Unknown,
    /// It cannot be known or controlled, and why.
    Unavailable(String),
    Known(Value),
}

impl State {
    /// The value, where there is one.
    pub fn value(&self) -> Option<&Value> {
        match self {
            State::Known(value) => Some(value),
            _ => None,
        }
    }
    /// For the API: the value; `"unknown"` and `"unavailable"` where there is none.
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            State::Unknown => json!("unknown"),
            State::Unavailable(_) => json!("unavailable"),
            State::Known(value) => value.to_json(),
        }
    }
}

/// What sort of thing an entity is: it decides how it is shown and which commands it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// On or off, can be switched.
    Switch,
    /// A water valve: true is open. Opening always has an end.
    Valve,
    /// A coloured light; state is `#rrggbb`.
    Light,
    /// A contact or a flag, read only.
    Binary,
    /// A measured number.
    Sensor,
    /// A number that can be set.
    Number,
    /// One of several texts that can be chosen.
    Choice,
    /// A text.
    Text,
}

/// The smallest thing with a state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entity {
    /// `<device id>.<what>`.
    pub id: String,
    pub device: String,
    pub name: String,
    pub kind: Kind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// Smallest and largest number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<(f64, f64)>,
    /// What a [`Kind::Choice`] can be.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
    /// Overrides the device's area.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub area: Option<String>,
    pub state: State,
    /// Whether a person gave it its name: then the module does not change it.
    #[serde(default)]
    pub is_named: bool,
    /// Unix milliseconds of the last change.
    #[serde(default)]
    pub changed_ms: i64,
    /// What else the module says about it (for a v1 valve: that it may be open for up to 30 minutes).
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub attributes: Map<String, serde_json::Value>,
}

impl Entity {
    /// An entity whose state is not known yet. `what` is the last part of its id.
    pub fn new(device: &str, what: &str, name: &str, kind: Kind) -> Entity {
        Entity {
            id: format!("{device}.{what}"),
            device: device.to_string(),
            name: name.to_string(),
            kind,
            unit: None,
            range: None,
            options: Vec::new(),
            area: None,
            state: State::Unknown,
            is_named: false,
            changed_ms: 0,
            attributes: Map::new(),
        }
    }
    /// With a unit.
    pub fn unit(mut self, unit: &str) -> Entity {
        self.unit = Some(unit.to_string());
        self
    }
    /// With a range.
    pub fn range(mut self, low: f64, high: f64) -> Entity {
        self.range = Some((low, high));
        self
    }
    /// With the texts that can be chosen.
    pub fn options(mut self, options: &[&str]) -> Entity {
        self.options = options.iter().map(|o| o.to_string()).collect();
        self
    }
    /// With a further fact.
    pub fn attribute(mut self, name: &str, value: impl Into<serde_json::Value>) -> Entity {
        self.attributes.insert(name.to_string(), value.into());
        self
    }
}

/// How far the hub can believe that a device is the one it says it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Trust {
    /// Anyone on the network could be it (DWN v1).
    #[default]
    Unauthenticated,
    /// It has proved to hold the key it was paired with.
    Paired,
    /// It is part of this machine, or was configured by hand.
    Local,
}

/// Whether the house wants the device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Discovered, not decided upon: the hub does not talk to it.
    #[default]
    Inbox,
    Accepted,
    Ignored,
}

/// A thing with an id, whatever its address.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Device {
    /// `<module>.<the device's own id>`.
    pub id: String,
    pub module: String,
    pub name: String,
    /// What the module takes it for.
    pub driver: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub area: Option<String>,
    #[serde(default)]
    pub status: Status,
    #[serde(default)]
    pub trust: Trust,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Why it cannot be reached; none while it can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unavailable: Option<String>,
    /// Whether a person gave it its name: then the module does not change it.
    #[serde(default)]
    pub is_named: bool,
}

/// A part of the house.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Area {
    pub id: String,
    pub name: String,
}

//! An event: something happened, at a time, perhaps to an entity. It is turned into JSON once, however many listen.

use serde_json::{Map, Value, json};

/// One event. Its JSON is an object with at least `event`, `timestamp` (Unix seconds, as ever), `time` (milliseconds) and
/// `seq`, then the event's own fields.
#[derive(Debug)]
pub struct Event {
    /// Grows by one with each event since the store was made.
    pub seq: u64,
    /// Unix milliseconds.
    pub time_ms: i64,
    /// `state`, `dwn`, `timer`, `sunrise`, `scheduledevent`, ...
    pub kind: String,
    /// The entity that it concerns.
    pub entity: Option<String>,
    /// The device that it concerns.
    pub device: Option<String>,
    /// Where that is: decides who may hear of it.
    pub area: Option<String>,
    /// For a state: the number that history keeps.
    pub number: Option<f64>,
    /// The whole JSON text.
    pub json: String,
}

/// An event that has not happened yet: without time and number.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    pub kind: String,
    pub entity: Option<String>,
    pub device: Option<String>,
    pub area: Option<String>,
    pub number: Option<f64>,
    pub data: Map<String, Value>,
}

impl Draft {
    /// An event of this kind with these fields; a value that is no object has none.
    pub fn new(kind: &str, data: Value) -> Draft {
        let data = match data {
            Value::Object(data) => data,
            _ => Map::new(),
        };
        Draft { kind: kind.to_string(), data, ..Draft::default() }
    }
    /// Concerning a device.
    pub fn device(mut self, device: &str, area: Option<&str>) -> Draft {
        self.device = Some(device.to_string());
        self.area = area.map(str::to_string);
        self
    }
    /// It happens.
    pub fn at(self, seq: u64, time_ms: i64) -> Event {
        let mut all = self.data;
        all.insert("event".into(), json!(self.kind));
        all.insert("timestamp".into(), json!(time_ms.div_euclid(1000)));
        all.insert("time".into(), json!(time_ms));
        all.insert("seq".into(), json!(seq));
        for (name, value) in [("entity", &self.entity), ("device", &self.device), ("area", &self.area)] {
            if let Some(value) = value {
                all.entry(name).or_insert_with(|| json!(value));
            }
        }
        Event {
            seq,
            time_ms,
            kind: self.kind,
            entity: self.entity,
            device: self.device,
            area: self.area,
            number: self.number,
            json: Value::Object(all).to_string(),
        }
    }
}

impl Event {
    /// The JSON again as a value, for rules and scripts.
    pub fn value(&self) -> Value {
        serde_json::from_str(&self.json).unwrap_or(Value::Null)
    }
}

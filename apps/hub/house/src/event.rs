//! An event: something happened, at a time, perhaps to an entity. It is turned into JSON once, however many listen.

use crate::problem::Problem;
use serde_json::{Map, Value, json};

/// Kinds that say what the house knows.
const OWN_KINDS: [&str; 8] = ["state", "device", "entity", "command", "dwn", "valve", "irrigation", "resync"];

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
    /// An event that a person, a rule or a script makes. It cannot pass for one of the house's own, nor for one of an entity, a
    /// device or an area.
    ///
    /// # Errors
    /// 422 with what is wrong with its kind.
    pub fn made(kind: &str, fields: Value) -> Result<Draft, Problem> {
        let is_name = (1..=64).contains(&kind.len())
            && kind.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
        let wrong = |title: String| Err(Problem::new(422, title).with("field", "event"));
        if !is_name {
            return wrong("event: a name of letters, digits, - _ .".into());
        }
        if OWN_KINDS.contains(&kind) {
            return wrong(format!("event: only the house itself makes {kind:?}"));
        }
        let mut draft = Draft::new(kind, fields);
        for own in ["event", "timestamp", "time", "seq", "entity", "device", "area"] {
            draft.data.remove(own);
        }
        Ok(draft)
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

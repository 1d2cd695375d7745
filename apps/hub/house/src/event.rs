//! An event: something happened, at a time, perhaps to an entity. It is turned into JSON once, however many listen.

use crate::problem::Problem;
use bytes::Bytes;
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Map, Value};

/// A text that many hold at once: a clone copies no byte.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text(Bytes);

impl Text {
    /// The same bytes, for what sends them.
    pub fn shared(&self) -> Bytes {
        self.0.clone()
    }
    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
    /// How many bytes it has.
    pub fn len(&self) -> usize {
        self.0.len()
    }
    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<String> for Text {
    fn from(text: String) -> Text {
        Text(text.into())
    }
}

impl std::ops::Deref for Text {
    type Target = str;
    fn deref(&self) -> &str {
        // It was made from a text.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl std::fmt::Display for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self)
    }
}

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
    pub json: Text,
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
        let json = serde_json::to_string(&Numbered { draft: &self, seq, time_ms }).unwrap_or_default();
        Event {
            seq,
            time_ms,
            kind: self.kind,
            entity: self.entity,
            device: self.device,
            area: self.area,
            number: self.number,
            json: json.into(),
        }
    }
}

/// A draft on its way to JSON. The house's own fields cannot be overwritten by the event's, except by whom it concerns.
struct Numbered<'a> {
    draft: &'a Draft,
    seq: u64,
    time_ms: i64,
}

impl Serialize for Numbered<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let data = &self.draft.data;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("event", &self.draft.kind)?;
        map.serialize_entry("seq", &self.seq)?;
        map.serialize_entry("time", &self.time_ms)?;
        map.serialize_entry("timestamp", &self.time_ms.div_euclid(1000))?;
        let concerned =
            [("area", &self.draft.area), ("device", &self.draft.device), ("entity", &self.draft.entity)];
        for (name, value) in concerned {
            if let Some(value) = value
                && !data.contains_key(name)
            {
                map.serialize_entry(name, value)?;
            }
        }
        for (name, value) in data {
            if !["event", "seq", "time", "timestamp"].contains(&name.as_str()) {
                map.serialize_entry(name, value)?;
            }
        }
        map.end()
    }
}

impl Event {
    /// The JSON again as a value, for rules and scripts.
    pub fn value(&self) -> Value {
        serde_json::from_str(&self.json).unwrap_or(Value::Null)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_events_own_fields_cannot_pass_for_the_houses() {
        let data =
            json!({"event": "x", "seq": 9, "time": 9, "timestamp": 9, "entity": "told", "more": [1, "\"é"]});
        let draft = Draft::new("dwn", data).device("dwn.n1", None);
        let event = Draft { entity: Some("real".into()), ..draft }.at(7, 1_500);
        let expected = json!({"event": "dwn", "seq": 7, "time": 1500, "timestamp": 1, "device": "dwn.n1", "entity": "told", "more": [1, "\"é"]});
        assert_eq!(event.value(), expected);
        assert_eq!(event.json.len(), event.json.shared().len());
    }
}

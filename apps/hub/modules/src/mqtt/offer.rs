//! The way out: what Home Assistant and other programs are told of the house's entities, and how they command them.
//!
//! Topics of an entity: `<base>/<object>/state`, `/availability` and `/set`; `<base>/status` says whether the hub lives. The
//! object is the entity's id with every byte that is no letter, digit or `_` as `-xx`.

use house::{Device, Entity, Kind, State, Value as Known};
use serde_json::{Map, Value, json};

/// A message that stays with the broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Retained {
    pub topic: String,
    /// Empty: the broker forgets the topic.
    pub payload: Vec<u8>,
}

/// Where things stand at the broker.
#[derive(Clone, Debug)]
pub(super) struct Topics {
    /// The hub's own.
    pub base: String,
    /// Home Assistant's discovery prefix.
    pub discovery: String,
}

impl Topics {
    /// Whether the hub lives.
    pub fn status(&self) -> String {
        format!("{}/status", self.base)
    }
    fn of(&self, entity: &str, what: &str) -> String {
        format!("{}/{}/{what}", self.base, object(entity))
    }
    /// Where an entity's discovery message stands.
    pub fn config(&self, entity: &Entity) -> String {
        format!("{}/{}/{}/{}/config", self.discovery, component(entity.kind), self.base, object(&entity.id))
    }
    /// The object in one of the hub's own discovery topics, of this run or an earlier one.
    pub fn own_config<'a>(&self, topic: &'a str) -> Option<&'a str> {
        let mut parts = topic.strip_prefix(&self.discovery)?.strip_prefix('/')?.split('/');
        let (_, node, object, last) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        (node == self.base && last == "config" && parts.next().is_none()).then_some(object)
    }
    /// The object that a command's topic names.
    pub fn commanded<'a>(&self, topic: &'a str) -> Option<&'a str> {
        topic.strip_prefix(&self.base)?.strip_prefix('/')?.strip_suffix("/set")
    }
}

/// An entity's id as one part of a topic; different ids stay different.
pub(super) fn object(entity: &str) -> String {
    let mut object = String::with_capacity(entity.len() + 8);
    for byte in entity.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' => object.push(char::from(byte)),
            other => object.push_str(&format!("-{other:02x}")),
        }
    }
    object
}

fn component(kind: Kind) -> &'static str {
    match kind {
        Kind::Switch => "switch",
        Kind::Valve => "valve",
        Kind::Light => "light",
        Kind::Binary => "binary_sensor",
        Kind::Sensor | Kind::Text => "sensor",
        Kind::Number => "number",
        Kind::Choice => "select",
    }
}

/// The discovery message of an entity.
pub(super) fn config(topics: &Topics, entity: &Entity, device: &Device, area: Option<&str>) -> Retained {
    let mut about = json!({
        "identifiers": [format!("{}_{}", topics.base, object(&device.id))],
        "name": device.name,
        "model": device.driver,
        "manufacturer": "Hob",
    });
    if let Some(area) = area {
        about["suggested_area"] = json!(area);
    }
    let mut config = json!({
        "name": entity.name,
        "unique_id": format!("{}_{}", topics.base, object(&entity.id)),
        "state_topic": topics.of(&entity.id, "state"),
        "availability": [
            {"topic": topics.status()},
            {"topic": topics.of(&entity.id, "availability")},
        ],
        "availability_mode": "all",
        "device": about,
        "origin": {"name": "Hob hub", "sw_version": env!("CARGO_PKG_VERSION")},
    });
    let set = json!(topics.of(&entity.id, "set"));
    match entity.kind {
        Kind::Binary | Kind::Text => {}
        Kind::Sensor => config["state_class"] = json!("measurement"),
        Kind::Light => {
            config["command_topic"] = set;
            config["schema"] = json!("json");
            config["supported_color_modes"] = json!(["rgb"]);
        }
        Kind::Choice => {
            config["command_topic"] = set;
            config["options"] = json!(entity.options);
        }
        Kind::Number => {
            config["command_topic"] = set;
            if let Some((low, high)) = entity.range {
                (config["min"], config["max"]) = (json!(low), json!(high));
            }
        }
        Kind::Switch | Kind::Valve => config["command_topic"] = set,
    }
    if let Some(unit) = entity.unit.as_ref().filter(|_| matches!(entity.kind, Kind::Sensor | Kind::Number)) {
        config["unit_of_measurement"] = json!(unit);
    }
    Retained { topic: topics.config(entity), payload: config.to_string().into_bytes() }
}

/// State and availability of an entity.
pub(super) fn state(topics: &Topics, entity: &Entity) -> [Retained; 2] {
    let is_there = !matches!(entity.state, State::Unavailable(_));
    let availability = if is_there { "online" } else { "offline" };
    let payload = match entity.state.value() {
        // Home Assistant's word for a state that nobody knows.
        None => "None".to_string(),
        Some(value) => said(entity.kind, value),
    };
    [
        Retained { topic: topics.of(&entity.id, "state"), payload: payload.into_bytes() },
        Retained { topic: topics.of(&entity.id, "availability"), payload: availability.into() },
    ]
}

fn said(kind: Kind, value: &Known) -> String {
    match (kind, value) {
        (Kind::Valve, Known::Bool(is_open)) => if *is_open { "open" } else { "closed" }.into(),
        (Kind::Light, Known::Text(colour)) => match rgb(colour) {
            None | Some([0, 0, 0]) => json!({"state": "OFF"}).to_string(),
            Some([r, g, b]) => {
                // A colour at full strength, and how bright it is.
                let brightness = r.max(g).max(b);
                let full = |part: u8| (u32::from(part) * 255 / u32::from(brightness)) as u8;
                json!({"state": "ON", "color_mode": "rgb", "brightness": brightness,
                       "color": {"r": full(r), "g": full(g), "b": full(b)}})
                .to_string()
            }
        },
        (_, Known::Bool(on)) => if *on { "ON" } else { "OFF" }.into(),
        (_, Known::Number(number)) => number.to_string(),
        (_, Known::Text(text)) => text.clone(),
    }
}

/// A command of another program: the action and its arguments. `None` when it makes no sense.
pub(super) fn command(entity: &Entity, payload: &str) -> Option<(&'static str, Map<String, Value>)> {
    let set = |value: Value| {
        let mut arguments = Map::new();
        arguments.insert("value".into(), value);
        Some(("set", arguments))
    };
    match (entity.kind, payload) {
        (Kind::Switch, "ON" | "OFF") => set(json!(payload == "ON")),
        (Kind::Valve, "OPEN") => Some(("open", Map::new())),
        (Kind::Valve, "CLOSE" | "STOP") => Some(("shut", Map::new())),
        (Kind::Number, number) => set(json!(number.parse::<f64>().ok().filter(|n| n.is_finite())?)),
        (Kind::Choice, choice) if entity.options.iter().any(|o| o == choice) => set(json!(choice)),
        (Kind::Light, order) => set(json!(light(entity, &serde_json::from_str(order).ok()?)?)),
        _ => None,
    }
}

/// The colour that a light is told; what the order leaves out stays as it is.
fn light(entity: &Entity, order: &Value) -> Option<String> {
    if order["state"] == "OFF" {
        return Some("#000000".into());
    }
    let now = match entity.state.value() {
        Some(Known::Text(colour)) => rgb(colour).filter(|now| *now != [0, 0, 0]),
        _ => None,
    };
    let part = |name: &str| order["color"][name].as_u64().and_then(|n| u8::try_from(n).ok());
    let asked = || Some([part("r")?, part("g")?, part("b")?]);
    let colour = match order.get("color") {
        Some(_) => asked()?,
        None => now.unwrap_or([255; 3]),
    };
    let brightness = match order.get("brightness") {
        Some(brightness) => u8::try_from(brightness.as_u64()?).ok()?,
        // A colour alone keeps the brightness there is.
        None => now.map_or(255, |[r, g, b]| r.max(g).max(b)),
    };
    let strongest = u32::from(colour.into_iter().max()?.max(1));
    let [r, g, b] = colour.map(|part| (u32::from(part) * u32::from(brightness) / strongest) as u8);
    Some(format!("#{r:02x}{g:02x}{b:02x}"))
}

/// The parts of `#rrggbb`.
pub(super) fn rgb(text: &str) -> Option<[u8; 3]> {
    let number = u32::from_str_radix(text.strip_prefix('#').filter(|hex| hex.len() == 6)?, 16).ok()?;
    let [_, r, g, b] = number.to_be_bytes();
    Some([r, g, b])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topics() -> Topics {
        Topics { base: "hob".into(), discovery: "homeassistant".into() }
    }
    fn entity(kind: Kind, state: State) -> Entity {
        Entity { state, ..Entity::new("dwn.n-1", "x", "X", kind) }
    }

    #[test]
    fn different_ids_are_different_topics_without_wild_cards() {
        let ids = ["a.b", "a_b", "a-2eb", "a/b", "a+b", "a#b", "ä"];
        let objects: std::collections::BTreeSet<String> = ids.iter().map(|id| object(id)).collect();
        assert_eq!(objects.len(), ids.len());
        assert!(objects.iter().all(|o| !o.contains(['/', '+', '#', '.'])), "{objects:?}");
    }

    #[test]
    fn own_messages_are_recognised_and_others_are_not() {
        let (topics, valve) = (topics(), entity(Kind::Valve, State::Unknown));
        assert_eq!(topics.own_config(&topics.config(&valve)), Some(object(&valve.id).as_str()));
        for other in [
            "homeassistant/valve/hobby/x/config",
            "homeassistant/valve/x/config",
            "hob/x/config",
            "homeassistant/a/hob/x/config/y",
        ] {
            assert_eq!(topics.own_config(other), None, "{other}");
        }
        assert_eq!(topics.commanded("hob/a/set"), Some("a"));
        assert_eq!(topics.commanded("hob/a/state"), None);
    }

    #[test]
    fn a_light_keeps_what_an_order_leaves_out() {
        let lit = entity(Kind::Light, State::Known("#400000".into()));
        let told =
            |order: &str| command(&lit, order).and_then(|(_, a)| Some(a["value"].as_str()?.to_string()));
        assert_eq!(told(r#"{"state":"OFF"}"#).as_deref(), Some("#000000"));
        assert_eq!(told(r#"{"state":"ON"}"#).as_deref(), Some("#400000"));
        assert_eq!(told(r#"{"state":"ON","brightness":255}"#).as_deref(), Some("#ff0000"));
        assert_eq!(told(r#"{"state":"ON","color":{"r":0,"g":0,"b":255}}"#).as_deref(), Some("#000040"));
        assert_eq!(told(r#"{"state":"ON","color":{"r":0,"g":0,"b":0}}"#).as_deref(), Some("#000000"));
        for bad in [r#"{"color":{"r":256,"g":0,"b":0}}"#, r#"{"brightness":-1}"#, "ON", ""] {
            assert_eq!(told(bad), None, "{bad}");
        }
        let said = String::from_utf8(state(&topics(), &lit)[0].payload.clone()).unwrap();
        assert_eq!(serde_json::from_str::<Value>(&said).unwrap()["brightness"], 64);
    }

    #[test]
    fn commands_that_make_no_sense_are_none() {
        let choice = entity(Kind::Choice, State::Unknown).options(&["a"]);
        assert!(command(&choice, "a").is_some() && command(&choice, "b").is_none());
        assert!(command(&entity(Kind::Switch, State::Unknown), "on").is_none());
        assert!(command(&entity(Kind::Sensor, State::Unknown), "1").is_none());
        assert!(command(&entity(Kind::Number, State::Unknown), "NaN").is_none());
        let valve = entity(Kind::Valve, State::Unknown);
        assert_eq!(command(&valve, "OPEN").map(|(action, _)| action), Some("open"));
    }
}

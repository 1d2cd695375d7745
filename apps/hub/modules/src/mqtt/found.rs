//! The way in: devices that announce themselves by Home Assistant's discovery messages, and what they say.
//!
//! `<prefix>/<component>/[<node>/]<object>/config` announces one entity, `<prefix>/device/[<node>/]<object>/config` a device
//! with its components. Both forms may use Home Assistant's abbreviations and `~`. What the hub has no kind for (covers,
//! climate, cameras) is passed over.

use super::offer::rgb;
use super::template::Template;
use house::{Command, Entity, Kind, Problem, State, Value as Known};
use serde_json::{Map, Value, json};

/// Entities of one device at most.
const ENTITIES: usize = 200;

/// The short forms that Home Assistant defines for discovery messages, as far as the hub reads them.
const ABBREVIATIONS: [(&str, &str); 38] = [
    ("avty", "availability"),
    ("avty_mode", "availability_mode"),
    ("avty_t", "availability_topic"),
    ("avty_tpl", "availability_template"),
    ("cmd_t", "command_topic"),
    ("cmd_tpl", "command_template"),
    ("cmps", "components"),
    ("dev", "device"),
    ("en", "enabled_by_default"),
    ("ids", "identifiers"),
    ("mdl", "model"),
    ("mf", "manufacturer"),
    ("obj_id", "object_id"),
    ("ops", "options"),
    ("p", "platform"),
    ("pl_avail", "payload_available"),
    ("pl_cls", "payload_close"),
    ("pl_not_avail", "payload_not_available"),
    ("pl_off", "payload_off"),
    ("pl_on", "payload_on"),
    ("pl_open", "payload_open"),
    ("ret", "retain"),
    ("stat_clsd", "state_closed"),
    ("stat_cla", "state_class"),
    ("stat_off", "state_off"),
    ("stat_on", "state_on"),
    ("stat_open", "state_open"),
    ("stat_t", "state_topic"),
    ("stat_val_tpl", "state_value_template"),
    ("sup_clrm", "supported_color_modes"),
    ("t", "topic"),
    ("uniq_id", "unique_id"),
    ("unit_of_meas", "unit_of_measurement"),
    ("val_tpl", "value_template"),
    ("cns", "connections"),
    ("o", "origin"),
    ("sa", "suggested_area"),
    ("sw", "sw_version"),
];

/// A device as it was announced.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Announced {
    /// Its own id, fit for the house's ids.
    pub id: String,
    pub name: String,
    pub model: String,
    /// The entities of this message: all of the device's, or one.
    pub entities: Vec<Remote>,
}

/// One entity of such a device.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Remote {
    /// The last part of its id in the house.
    pub what: String,
    pub name: String,
    pub kind: Kind,
    unit: Option<String>,
    range: Option<(f64, f64)>,
    options: Vec<String>,
    pub state_topic: Option<String>,
    template: Template,
    command_topic: Option<String>,
    retain: bool,
    /// What on and off (open and shut) are called in states and in commands.
    states: [String; 2],
    commands: [String; 2],
    availability: Vec<Availability>,
}

#[derive(Clone, Debug, PartialEq)]
struct Availability {
    topic: String,
    template: Template,
    offline: String,
    online: String,
}

/// Reads a discovery message; `topic` without the prefix. `Ok(None)`: nothing that the hub can use.
///
/// # Errors
/// In words, what is wrong with it.
pub(super) fn read(topic: &str, payload: &[u8]) -> Result<Option<Announced>, String> {
    let parts: Vec<&str> = topic.split('/').collect();
    let (component, object) = match parts.as_slice() {
        [component, object, "config"] => (*component, (*object).to_string()),
        [component, node, object, "config"] => (*component, format!("{node}_{object}")),
        _ => return Ok(None),
    };
    let message: Value = serde_json::from_slice(payload).map_err(|e| format!("no JSON: {e}"))?;
    let mut message = match expand(message, 0) {
        Value::Object(message) => message,
        _ => return Err("no JSON object".into()),
    };
    let about = message.remove("device").unwrap_or(Value::Null);
    let entities = match component {
        "device" => {
            let components = match message.remove("components") {
                Some(Value::Object(components)) => components,
                _ => return Err("a device without components".into()),
            };
            let mut entities = Vec::new();
            for (key, component) in components.into_iter().take(ENTITIES) {
                let Value::Object(own) = component else { continue };
                let platform = own.get("platform").and_then(Value::as_str).unwrap_or("").to_string();
                // What a component leaves out is the device's.
                let mut whole = message.clone();
                whole.extend(own);
                entities.extend(entity(&platform, &key, &whole)?);
            }
            entities
        }
        component => entity(component, &object, &message)?.into_iter().collect(),
    };
    if entities.is_empty() {
        return Ok(None);
    }
    let identifier = match &about["identifiers"] {
        Value::String(one) => Some(one.clone()),
        Value::Array(all) => all.first().and_then(Value::as_str).map(str::to_string),
        _ => None,
    };
    let named = message.get("unique_id").and_then(Value::as_str).map(str::to_string);
    let id = plain(&identifier.or(named).unwrap_or(object));
    let text =
        |name: &str| about[name].as_str().map(|t| t.chars().filter(|c| !c.is_control()).take(100).collect());
    let name = text("name").or_else(|| Some(entities.first()?.name.clone())).unwrap_or_else(|| id.clone());
    let model = text("model").unwrap_or_else(|| "MQTT device".to_string());
    Ok(Some(Announced { id, name, model, entities }))
}

/// Spells out abbreviations and `~`, some levels deep.
fn expand(value: Value, depth: usize) -> Value {
    match value {
        Value::Object(fields) if depth < 5 => {
            let base = fields.get("~").and_then(Value::as_str).map(str::to_string);
            let long = |key: String| {
                let known = ABBREVIATIONS.iter().find(|(short, _)| *short == key);
                known.map_or(key, |(_, long)| (*long).to_string())
            };
            let fields = fields.into_iter().filter(|(key, _)| key != "~").map(|(key, value)| {
                // Names of components are no abbreviations.
                let value = match key.as_str() {
                    "cmps" | "components" => components(value, depth),
                    _ => expand(value, depth + 1),
                };
                let key = long(key);
                let value = match (&base, &value) {
                    (Some(base), Value::String(text)) if key.ends_with("topic") => {
                        json!(with_base(base, text))
                    }
                    _ => value,
                };
                (key, value)
            });
            Value::Object(fields.collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(|item| expand(item, depth + 1)).collect()),
        other => other,
    }
}

fn components(value: Value, depth: usize) -> Value {
    match value {
        Value::Object(all) => {
            Value::Object(all.into_iter().map(|(k, v)| (k, expand(v, depth + 1))).collect())
        }
        other => other,
    }
}

fn with_base(base: &str, topic: &str) -> String {
    match (topic.strip_prefix('~'), topic.strip_suffix('~')) {
        (Some(rest), _) => format!("{base}{rest}"),
        (None, Some(rest)) => format!("{rest}{base}"),
        (None, None) => topic.to_string(),
    }
}

/// Letters, digits, `-` and `_` of a text, as ids of the house have them.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).take(64).collect()
}

fn entity(component: &str, object: &str, message: &Map<String, Value>) -> Result<Option<Remote>, String> {
    let text = |name: &str| match message.get(name) {
        Some(Value::String(text)) => Some(text.clone()),
        // Zigbee2MQTT says `"payload_on": true`.
        Some(Value::Bool(true)) => Some("True".into()),
        Some(Value::Bool(false)) => Some("False".into()),
        Some(Value::Number(number)) => Some(number.to_string()),
        _ => None,
    };
    let topic = |name: &str| match text(name) {
        Some(topic) if topic.is_empty() || topic.len() > 256 || topic.contains(['\0', '+', '#']) => {
            Err(format!("{name} is no topic"))
        }
        topic => Ok(topic),
    };
    let kind = match component {
        "switch" => Kind::Switch,
        "valve" => Kind::Valve,
        "binary_sensor" => Kind::Binary,
        "sensor" if message.contains_key("unit_of_measurement") || message.contains_key("state_class") => {
            Kind::Sensor
        }
        "sensor" => Kind::Text,
        "number" => Kind::Number,
        "select" => Kind::Choice,
        "light" if text("schema").as_deref() == Some("json") => Kind::Light,
        // Lights of the older schema are at least switched.
        "light" => Kind::Switch,
        _ => return Ok(None),
    };
    if matches!(message.get("reports_position"), Some(Value::Bool(true))) {
        return Ok(None);
    }
    let template = |name: &str| match text(name) {
        None => Ok(Template::parse("{{ value }}").unwrap_or_default()),
        Some(text) => {
            Template::parse(&text).ok_or_else(|| format!("{name} says more than the hub understands: {text}"))
        }
    };
    let pair = |names: [&str; 2], default: [&str; 2]| -> [String; 2] {
        let [yes, no] = names;
        [text(yes).unwrap_or_else(|| default[0].into()), text(no).unwrap_or_else(|| default[1].into())]
    };
    let (states, commands) = match kind {
        Kind::Valve => (
            pair(["state_open", "state_closed"], ["open", "closed"]),
            pair(["payload_open", "payload_close"], ["OPEN", "CLOSE"]),
        ),
        _ => {
            let commands = pair(["payload_on", "payload_off"], ["ON", "OFF"]);
            (pair(["state_on", "state_off"], [&commands[0], &commands[1]]), commands)
        }
    };
    let number = |name: &str, default: f64| message.get(name).and_then(Value::as_f64).unwrap_or(default);
    let listed = message.get("options").and_then(Value::as_array).into_iter().flatten();
    let options = listed.filter_map(|o| o.as_str().map(str::to_string)).take(100).collect();
    let what = text("object_id").or_else(|| text("unique_id")).unwrap_or_else(|| object.to_string());
    let name = text("name").filter(|name| !name.is_empty());
    Ok(Some(Remote {
        name: name
            .map_or_else(|| title(component), |n| n.chars().filter(|c| !c.is_control()).take(100).collect()),
        what: plain(&what),
        kind,
        unit: text("unit_of_measurement").filter(|unit| unit.len() <= 20),
        range: (kind == Kind::Number).then(|| (number("min", 1.0), number("max", 100.0))),
        options,
        state_topic: topic("state_topic")?,
        template: match text("state_value_template") {
            Some(_) => template("state_value_template")?,
            None => template("value_template")?,
        },
        command_topic: topic("command_topic")?,
        retain: message.get("retain").and_then(Value::as_bool).unwrap_or(false),
        states,
        commands,
        availability: availability(message)?,
    }))
}

fn title(component: &str) -> String {
    let mut title = component.replace('_', " ");
    if let Some(first) = title.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    title
}

fn availability(message: &Map<String, Value>) -> Result<Vec<Availability>, String> {
    let read = |from: &Map<String, Value>, topic: &str, template: &str| {
        let text = |name: &str| from.get(name).and_then(Value::as_str).map(str::to_string);
        let Some(topic) = text(topic).filter(|t| !t.is_empty() && !t.contains(['\0', '+', '#'])) else {
            return Ok(None);
        };
        let shape = text(template).unwrap_or_else(|| "{{ value }}".into());
        let template = Template::parse(&shape)
            .ok_or_else(|| format!("{template} says more than the hub understands: {shape}"))?;
        let online = text("payload_available").unwrap_or_else(|| "online".into());
        let offline = text("payload_not_available").unwrap_or_else(|| "offline".into());
        Ok::<_, String>(Some(Availability { topic, template, offline, online }))
    };
    let mut all = Vec::new();
    all.extend(read(message, "availability_topic", "availability_template")?);
    for one in message.get("availability").and_then(Value::as_array).into_iter().flatten().take(8) {
        if let Value::Object(one) = one {
            all.extend(read(one, "topic", "value_template")?);
        }
    }
    Ok(all)
}

impl Remote {
    /// The entity in the house.
    pub fn offered(&self, device: &str) -> Entity {
        let mut entity = Entity::new(device, &self.what, &self.name, self.kind);
        (entity.unit, entity.range, entity.options) = (self.unit.clone(), self.range, self.options.clone());
        match self.kind {
            Kind::Valve => entity.attribute("ends", "when the hub shuts it"),
            _ => entity,
        }
    }

    /// Every topic that says something of it.
    pub fn topics(&self) -> impl Iterator<Item = &str> {
        self.state_topic.iter().map(String::as_str).chain(self.availability.iter().map(|a| a.topic.as_str()))
    }

    /// What a message on one of its topics says: a state, or that it cannot be reached.
    pub fn heard(&self, topic: &str, payload: &str) -> Option<State> {
        for availability in self.availability.iter().filter(|a| a.topic == topic) {
            let said = availability.template.apply(payload)?;
            if said == availability.offline {
                return Some(State::Unavailable("it says that it is offline".into()));
            }
            if said == availability.online && self.state_topic.as_deref() != Some(topic) {
                return Some(State::Unknown);
            }
        }
        if self.state_topic.as_deref() != Some(topic) {
            return None;
        }
        if self.kind == Kind::Light {
            return light(payload);
        }
        let said = self.template.apply(payload)?;
        let known = match self.kind {
            Kind::Switch | Kind::Valve | Kind::Binary => {
                let [on, off] = &self.states;
                Known::Bool(if same(&said, on) {
                    true
                } else if same(&said, off) {
                    false
                } else {
                    return None;
                })
            }
            Kind::Sensor | Kind::Number => {
                Known::Number(said.trim().parse().ok().filter(|n: &f64| n.is_finite())?)
            }
            Kind::Text | Kind::Choice => Known::Text(said.chars().take(1_000).collect()),
            Kind::Light => return None,
        };
        Some(State::Known(known))
    }

    /// Topic, payload and whether it is retained, for a command.
    ///
    /// # Errors
    /// It takes none, or not this one.
    pub fn order(&self, command: &Command) -> Result<(String, String, bool), Problem> {
        let topic = self.command_topic.clone();
        let topic = topic.ok_or_else(|| Problem::bad(format!("{} takes no command", self.name)))?;
        let value = command.arguments.get("value").unwrap_or(&Value::Null);
        let [yes, no] = &self.commands;
        let payload = match (self.kind, command.action.as_str(), value) {
            (Kind::Switch, "set", Value::Bool(on)) => if *on { yes } else { no }.clone(),
            (Kind::Valve, "open", _) => yes.clone(),
            (Kind::Valve, "shut", _) => no.clone(),
            (Kind::Number, "set", Value::Number(number)) => {
                let (low, high) = self.range.unwrap_or((f64::MIN, f64::MAX));
                let is_within = number.as_f64().is_some_and(|n| (low..=high).contains(&n));
                is_within
                    .then(|| number.to_string())
                    .ok_or_else(|| Problem::bad(format!("value: {low} to {high}")))?
            }
            (Kind::Choice, "set", Value::String(choice)) if self.options.contains(choice) => choice.clone(),
            (Kind::Light, "set", Value::String(colour)) => {
                let [r, g, b] = rgb(colour).ok_or_else(|| Problem::bad("value: a colour, #rrggbb"))?;
                match r.max(g).max(b) {
                    0 => json!({"state": "OFF"}).to_string(),
                    brightness => {
                        json!({"state": "ON", "brightness": brightness, "color": {"r": r, "g": g, "b": b}})
                            .to_string()
                    }
                }
            }
            _ => {
                let takes = match self.kind {
                    Kind::Switch => "set with value true or false",
                    Kind::Valve => "open and shut",
                    Kind::Choice => "set with one of its options",
                    Kind::Light => "set with a colour",
                    _ => "set with a number",
                };
                return Err(Problem::bad(format!("{} takes {takes}", self.name)));
            }
        };
        Ok((topic, payload, self.retain))
    }
}

/// JSON's `true` printed by a template is `True`; a device that says `true` means the same.
fn same(said: &str, wanted: &str) -> bool {
    said == wanted
        || (matches!(wanted, "True" | "False" | "true" | "false") && said.eq_ignore_ascii_case(wanted))
}

/// A light of the JSON schema.
fn light(payload: &str) -> Option<State> {
    let said: Value = serde_json::from_str(payload).ok()?;
    let colour = match said["state"].as_str()? {
        "OFF" => [0; 3],
        "ON" => {
            let part = |name: &str| said["color"][name].as_u64().and_then(|n| u8::try_from(n).ok());
            let full = [part("r").unwrap_or(255), part("g").unwrap_or(255), part("b").unwrap_or(255)];
            let brightness = said["brightness"].as_u64().map_or(255, |b| b.min(255));
            full.map(|part| (u64::from(part) * brightness / 255) as u8)
        }
        _ => return None,
    };
    let [r, g, b] = colour;
    Some(State::Known(format!("#{r:02x}{g:02x}{b:02x}").as_str().into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use house::Principal;

    fn one(topic: &str, message: Value) -> Remote {
        let mut read = read(topic, message.to_string().as_bytes()).unwrap().unwrap();
        assert_eq!(read.entities.len(), 1);
        read.entities.remove(0)
    }
    #[test]
    fn hostile_announcements_are_survived() {
        let plug = br#"{"~":"z/plug","uniq_id":"switch","name":"Plug","stat_t":"~","cmd_t":"~/set","dev":{"ids":["zigbee_0x1"],"name":"Plug"},
            "val_tpl":"{{ value_json.state }}","avty_t":"z/plug/availability","pl_on":"1"}"#;
        let device = br#"{"dev":{"ids":"x","name":"Y"},"cmps":{"a":{"p":"sensor","stat_t":"s/a","unit_of_meas":"W","uniq_id":"a"},
            "b":{"p":"light","schema":"json","cmd_t":"s/b/set","stat_t":"s/b","brightness":true}},"avty":[{"topic":"s/z"}]}"#;
        let said = br#"{"state":"ON","color":{"r":255,"g":128,"b":0},"brightness":12}"#;
        hostile::attack(1, 3_000, &[plug, device, said], |input| {
            let payload = String::from_utf8_lossy(input);
            for topic in
                ["switch/0x1/switch/config", "device/x/config", "light/a/b/config", "number/n/config"]
            {
                let Ok(Some(read)) = read(topic, input) else { continue };
                for remote in &read.entities {
                    let _ = remote.offered("mqtt.x");
                    let topics: Vec<String> = remote.topics().map(str::to_string).collect();
                    for topic in topics {
                        let _ = (remote.heard(&topic, &payload), remote.heard(&topic, "ON"));
                    }
                    let _ = remote.order(&command("set", Value::String(payload.to_string())));
                }
            }
        });
    }

    fn command(action: &str, value: Value) -> Command {
        let arguments = [("value".to_string(), value)].into_iter().collect();
        Command { entity: "x".into(), action: action.into(), arguments, who: Principal::house() }
    }

    #[test]
    fn a_bridge_in_short_forms_is_understood() {
        let message = json!({"~": "zigbee/plug", "name": null, "uniq_id": "0x1_switch", "stat_t": "~", "cmd_t": "~/set",
            "val_tpl": "{{ value_json.state }}", "pl_on": "ON", "pl_off": "OFF",
            "avty": [{"t": "zigbee/bridge/state", "val_tpl": "{{ value_json.state }}"}],
            "dev": {"ids": ["zigbee_0x1"], "name": "Plug", "mdl": "TS011F"}});
        let read = read("switch/0x1/switch/config", message.to_string().as_bytes()).unwrap().unwrap();
        assert_eq!(
            (read.id.as_str(), read.name.as_str(), read.model.as_str()),
            ("zigbee_0x1", "Plug", "TS011F")
        );
        let plug = &read.entities[0];
        assert_eq!(plug.heard("zigbee/plug", r#"{"state":"ON"}"#), Some(State::Known(true.into())));
        assert_eq!(plug.heard("zigbee/plug", r#"{"state":"?"}"#), None);
        assert!(matches!(
            plug.heard("zigbee/bridge/state", r#"{"state":"offline"}"#),
            Some(State::Unavailable(_))
        ));
        let (topic, payload, _) = plug.order(&command("set", json!(false))).unwrap();
        assert_eq!((topic.as_str(), payload.as_str()), ("zigbee/plug/set", "OFF"));
        assert!(plug.order(&command("set", json!("on"))).is_err());
    }

    #[test]
    fn a_device_brings_its_components() {
        let message = json!({"dev": {"ids": "abc", "name": "Station"}, "o": {"name": "x"}, "state_topic": "abc/state",
            "cmps": {"t": {"p": "sensor", "unit_of_measurement": "°C", "value_template": "{{ value_json.t | float }}", "unique_id": "abc_t"},
                     "door": {"p": "binary_sensor", "payload_on": true, "payload_off": false, "value_template": "{{ value_json.door }}"},
                     "cam": {"p": "camera"}}});
        let read = read("device/abc/config", message.to_string().as_bytes()).unwrap().unwrap();
        assert_eq!(read.entities.len(), 2);
        let by = |what: &str| read.entities.iter().find(|e| e.what == what).unwrap();
        let said = r#"{"t":21.5,"door":true}"#;
        assert_eq!(by("abc_t").heard("abc/state", said), Some(State::Known(21.5.into())));
        assert_eq!(by("door").heard("abc/state", said), Some(State::Known(true.into())));
    }

    #[test]
    fn a_valve_is_a_valve_and_so_has_an_end() {
        let valve = one("valve/v/config", json!({"command_topic": "v/set", "state_topic": "v"}));
        assert_eq!(valve.kind, Kind::Valve);
        assert_eq!(valve.heard("v", "open"), Some(State::Known(true.into())));
        assert_eq!(valve.order(&command("shut", Value::Null)).unwrap().1, "CLOSE");
    }

    #[test]
    fn lights_speak_json() {
        let light =
            one("light/l/config", json!({"schema": "json", "command_topic": "l/set", "state_topic": "l"}));
        let said = r#"{"state":"ON","brightness":128,"color":{"r":255,"g":0,"b":0}}"#;
        assert_eq!(light.heard("l", said), Some(State::Known("#800000".into())));
        assert_eq!(light.heard("l", r#"{"state":"OFF"}"#), Some(State::Known("#000000".into())));
        assert!(light.order(&command("set", json!("#00ff00"))).unwrap().1.contains("\"g\":255"));
    }

    #[test]
    fn numbers_keep_their_range() {
        let number = one("number/n/config", json!({"command_topic": "n/set", "min": 5, "max": 30}));
        assert_eq!(number.order(&command("set", json!(21.5))).unwrap().1, "21.5");
        assert!(number.order(&command("set", json!(31))).is_err());
        let sensor = one("sensor/s/config", json!({"state_topic": "s", "unit_of_measurement": "V"}));
        for nonsense in ["NaN", "inf", "", "12V"] {
            assert_eq!(sensor.heard("s", nonsense), None, "{nonsense}");
        }
        assert!(sensor.order(&command("set", json!(1))).is_err());
    }

    #[test]
    fn nonsense_is_an_error_or_nothing() {
        for (topic, payload) in [
            ("switch/a/config", "no json"),
            ("switch/a/config", "[]"),
            ("device/a/config", "{}"),
            ("switch/a/config", r#"{"command_topic":"a/#"}"#),
            ("switch/a/config", r#"{"state_topic":""}"#),
            ("sensor/a/config", r#"{"state_topic":"a","value_template":"{% set x = 1 %}"}"#),
        ] {
            assert!(read(topic, payload.as_bytes()).is_err(), "{topic} {payload}");
        }
        for (topic, payload) in
            [("camera/a/config", "{}"), ("switch/a/b/c/config", "{}"), ("switch/a/state", "{}")]
        {
            assert_eq!(read(topic, payload.as_bytes()), Ok(None), "{topic}");
        }
        let mut deep = "{\"a\":".repeat(200);
        deep.push('1');
        deep.push_str(&"}".repeat(200));
        assert!(read("switch/a/config", deep.as_bytes()).is_err());
    }
}

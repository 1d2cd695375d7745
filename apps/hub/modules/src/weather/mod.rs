//! Weather stations and thermostats that speak XML over HTTP: `http://ip/state.xml`, read every 30 s.

mod functions;

use crate::fetch::get;
use house::house::Commander;
use house::{BoxFuture, Entity, Kind, Module, Problem, Room, State};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{MissedTickBehavior, interval};

/// `[modules.weather]`.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Name to address (`192.0.2.7`, or with a port).
    pub stations: BTreeMap<String, String>,
    /// Seconds between readings.
    pub every: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { stations: BTreeMap::new(), every: 30 }
    }
}

/// The lowest and the highest temperature that can be set; in steps of half a degree.
const SETPOINT: (f64, f64) = (10.0, 30.0);

/// What a station may report: the entity, the tags that carry it, its name and unit.
const READINGS: [(&str, &[&str], &str, &str); 5] = [
    ("indoor", &["indoorTemp", "sensor1temp"], "Indoor", "°C"),
    ("outdoor", &["outdoorTemp", "sensor2temp"], "Outdoor", "°C"),
    ("humidity", &["humidity", "sensor3temp"], "Humidity", "%"),
    ("sensor4", &["sensor4temp"], "Sensor 4", "°C"),
    ("setpoint", &["setTemp"], "Set point", "°C"),
];
/// What a thermostat tells by yes and no: the entity, its tag, its name, and the text that is yes.
const FLAGS: [(&str, &str, &str, &str); 5] = [
    ("heat", "heat", "Heating", "1"),
    ("cool", "cool", "Cooling", "1"),
    ("fan", "fan", "Fan", "1"),
    ("hold", "hold", "Schedule", "11"),
    ("filter", "filtChng", "Filter due", "1"),
];
const MODES: [&str; 3] = ["off", "heat", "cool"];

/// The module.
#[derive(Debug)]
pub struct Weather {
    settings: Settings,
    /// The mode of each thermostat at the last reading.
    modes: Mutex<BTreeMap<String, String>>,
}

impl Weather {
    /// A module with these stations.
    pub fn new(settings: Settings) -> Weather {
        Weather { settings, modes: Mutex::default() }
    }

    fn read(&self, room: &Room, id: &str, xml: &str) -> Result<(), String> {
        let document = roxmltree::Document::parse(xml).map_err(|e| e.to_string())?;
        let text = |tag: &str| {
            document.descendants().find(|n| n.has_tag_name(tag)).and_then(|n| n.text()).map(str::trim)
        };
        for (what, tags, name, unit) in READINGS {
            let number = tags.iter().find_map(|tag| text(tag)?.parse::<f64>().ok()).filter(|n| n.is_finite());
            if let Some(number) = number {
                let entity = match what {
                    "setpoint" => Entity::new(id, what, name, Kind::Number).range(SETPOINT.0, SETPOINT.1),
                    _ => Entity::new(id, what, name, Kind::Sensor),
                };
                let entity = entity.unit(unit);
                let entity_id = entity.id.clone();
                room.offer(entity);
                room.state(&entity_id, State::Known(number.into()));
            }
        }
        for (what, tag, name, on) in FLAGS {
            if let Some(value) = text(tag) {
                room.offer(Entity::new(id, what, name, Kind::Binary));
                room.state(&format!("{id}.{what}"), State::Known((value == on).into()));
            }
        }
        if let Some(mode) = text("heatMode").and_then(|m| MODES.get(m.parse::<usize>().ok()?)) {
            room.offer(Entity::new(id, "mode", "Mode", Kind::Choice).options(&MODES));
            room.state(&format!("{id}.mode"), State::Known((*mode).into()));
            let mut modes = self.modes.lock().unwrap_or_else(PoisonError::into_inner);
            let before = modes.insert(id.to_string(), mode.to_string());
            drop(modes);
            if before.is_some_and(|before| before != *mode) {
                let status = MODES.iter().position(|m| m == mode);
                room.emit(id, "thermostat", json!({"type": "modechange", "devid": id, "status": status}));
            }
        }
        Ok(())
    }
}

impl Module for Weather {
    fn name(&self) -> &'static str {
        "weather"
    }

    fn run(self: Arc<Self>, room: Room) -> BoxFuture<'static, Result<(), String>> {
        Box::pin(async move {
            let stations: Vec<(String, String)> = self
                .settings
                .stations
                .iter()
                .map(|(name, address)| {
                    (room.own_device(name, name, "thermostat", Some(address)), address.clone())
                })
                .collect();
            let read_again = Arc::new(Notify::new());
            functions::register(&room, &stations, &read_again);
            room.armed();
            let mut pass = interval(Duration::from_secs(self.settings.every.max(1)));
            pass.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    _ = pass.tick() => {}
                    () = read_again.notified() => {}
                }
                for (id, address) in &stations {
                    let answer = get(address, "/state.xml").await;
                    match answer.and_then(|xml| self.read(&room, id, &xml)) {
                        Ok(()) => room.available(id, Some(commander(id, address, &read_again))),
                        Err(reason) => room.unavailable(id, &reason),
                    }
                }
            }
        })
    }
}

/// What a thermostat is asked for: the query of its page.
fn query(what: &str, value: &Value) -> Result<String, Problem> {
    match what {
        "setpoint" => {
            let halves = |degrees: &f64| (degrees * 2.0).fract() == 0.0;
            let degrees = value.as_f64().filter(|d| (SETPOINT.0..=SETPOINT.1).contains(d)).filter(halves);
            let degrees = degrees.ok_or_else(|| Problem::bad("a temperature: 10 to 30 in steps of 0.5"))?;
            Ok(format!("setTemp={degrees}"))
        }
        "mode" => {
            let mode = MODES.iter().position(|mode| value == mode);
            let mode = mode.ok_or_else(|| Problem::bad("a mode: heat, cool or off"))?;
            Ok(format!("heatMode={mode}"))
        }
        _ => Err(Problem::bad("only setpoint and mode take commands")),
    }
}

/// Carries out commands; then the station is `read_again`, so that the house sees what came of it.
fn commander(id: &str, address: &str, read_again: &Arc<Notify>) -> Commander {
    let (prefix, address, read_again) = (format!("{id}."), address.to_string(), read_again.clone());
    Arc::new(move |command| {
        let query = match (command.entity.strip_prefix(&prefix), command.action.as_str()) {
            (Some(what), "set") => query(what, command.arguments.get("value").unwrap_or(&Value::Null)),
            _ => Err(Problem::bad("a thermostat takes set with a value")),
        };
        let (address, read_again) = (address.clone(), read_again.clone());
        Box::pin(async move {
            get(&address, &format!("/state.xml?{}", query?)).await.map_err(Problem::unavailable)?;
            read_again.notify_one();
            Ok(Map::new())
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use house::{Clock, House, Status, memory::Volatile};

    #[test]
    fn hostile_xml_is_survived() {
        let house = House::new(Arc::new(Volatile::default()), Clock::default(), Status::Inbox);
        let room = Room::new(house, "weather", tokio::sync::watch::channel(false).0);
        let id = room.own_device("hall", "Hall", "thermostat", None);
        let weather = Weather::new(Settings::default());
        let state = br#"<?xml version="1.0"?><state><indoorTemp>21.5</indoorTemp><outdoorTemp unit="C">N/A</outdoorTemp><heat>1</heat><fan>0</fan>
            <hold>11</hold><heatMode>1</heatMode><!-- x --><a b='&lt;'><![CDATA[<]]></a></state>"#;
        let small = b"<state><heatMode>2</heatMode></state>";
        hostile::attack(1, 3_000, &[state, small], |input| {
            let _ = weather.read(&room, &id, &String::from_utf8_lossy(input));
        });
    }
}

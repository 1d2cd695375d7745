//! Weather stations and thermostats that speak XML over HTTP: `http://ip/state.xml`, read every 30 s.

use crate::fetch::get;
use house::function::Shape;
use house::{BoxFuture, Entity, Function, Kind, Method, Module, Problem, Reply, Room, State};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
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

/// What a station may report: the entity, the tags that carry it, its name and unit.
const READINGS: [(&str, &[&str], &str, &str); 5] = [
    ("indoor", &["indoorTemp", "sensor1temp"], "Indoor", "°C"),
    ("outdoor", &["outdoorTemp", "sensor2temp"], "Outdoor", "°C"),
    ("humidity", &["humidity", "sensor3temp"], "Humidity", "%"),
    ("sensor4", &["sensor4temp"], "Sensor 4", "°C"),
    ("setpoint", &["setTemp"], "Set point", "°C"),
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
                let entity = Entity::new(id, what, name, Kind::Sensor).unit(unit);
                let entity_id = entity.id.clone();
                room.offer(entity);
                room.state(&entity_id, State::Known(number.into()));
            }
        }
        for (what, tag, name, on) in
            [("heat", "heat", "Heating", "1"), ("fan", "fan", "Fan", "1"), ("hold", "hold", "Schedule", "11")]
        {
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
            for (id, address) in &stations {
                commands(&room, id, address);
            }
            room.armed();
            let mut pass = interval(Duration::from_secs(self.settings.every.max(1)));
            pass.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                pass.tick().await;
                for (id, address) in &stations {
                    let answer = get(address, "/state.xml").await;
                    match answer.and_then(|xml| self.read(&room, id, &xml)) {
                        Ok(()) => room.house().change(|registry, now_ms| ((), registry.regain(id, now_ms))),
                        Err(reason) => {
                            room.house().change(|registry, now_ms| ((), registry.lose(id, &reason, now_ms)))
                        }
                    }
                }
            }
        })
    }
}

/// The original's URLs, for one station by its id.
fn commands(room: &Room, id: &str, address: &str) {
    let set = |path: &str, about: &str, to_query: fn(&house::Call) -> Result<String, Problem>| {
        let address = address.to_string();
        let function = Function::new(Method::Get, &format!("/weather/{id}/{path}"), about, move |_, call| {
            let address = address.clone();
            Box::pin(async move {
                let query = to_query(&call)?;
                get(&address, &format!("/state.xml?{query}")).await.map_err(Problem::unavailable)?;
                Ok(Reply::ok())
            })
        });
        function.acting()
    };
    let setpoint = set("setpoint", "Set the temperature, 10 to 30 in steps of 0.5", |call| {
        let temp =
            call.number::<f64>("temp").filter(|t| (10.0..=30.0).contains(t) && (t * 2.0).fract() == 0.0);
        temp.map(|t| format!("setTemp={t}")).ok_or_else(|| Problem::bad("temp: 10 to 30 in steps of 0.5"))
    });
    room.function(Some(id), setpoint.query("temp", Shape::Number, true, "degrees"));
    let mode = set("setmode", "heat, cool or off", |call| {
        let mode = MODES.iter().position(|m| *m == call.text("mode"));
        mode.map(|m| format!("heatMode={m}")).ok_or_else(|| Problem::bad("mode: heat, cool or off"))
    });
    room.function(Some(id), mode.query("mode", Shape::Text, true, "heat, cool or off"));
    room.function(Some(id), set("resetfilter", "Reset the filter's counter", |_| Ok("rstFilt=1".into())));
    room.function(Some(id), set("toggleschedule", "Schedule on or off", |_| Ok("hold=1".into())));
    let device = id.to_string();
    let stats = Function::new(
        Method::Get,
        &format!("/weather/{id}/getstats"),
        "The four temperatures",
        move |house, call| {
            let read = |what: &str| {
                house.look(|registry| {
                    let entity = registry
                        .entity(&format!("{device}.{what}"))
                        .filter(|e| call.who.sees(registry.area_of(e)))?;
                    Some(entity.state.value()?.to_json().to_string())
                })
            };
            let all: Vec<Value> =
                READINGS.iter().take(4).map(|(what, ..)| json!(read(what).unwrap_or("N/A".into()))).collect();
            Box::pin(async move { Ok(Reply::json(json!({ "temperatures": all }))) })
        },
    );
    room.function(Some(id), stats);
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

//! The original's URLs: one set for all stations, which name theirs by `id`.

use super::{MODES, READINGS};
use crate::fetch::get;
use house::function::Shape;
use house::{Call, Command, Function, House, Method, Problem, Reply, Room};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::Notify;

/// Stations by the ids of their devices.
type Stations = Arc<BTreeMap<String, String>>;

/// The station that a caller names, if it is one that the caller sees: its device and address.
fn station(house: &House, stations: &Stations, call: &Call) -> Result<(String, String), Problem> {
    let named = call.text("id");
    let id = if stations.contains_key(named) { named.to_string() } else { format!("weather.{named}") };
    let is_seen = house
        .look(|registry| registry.device(&id).is_some_and(|device| call.who.sees(device.area.as_deref())));
    let address = stations.get(&id).filter(|_| is_seen).cloned();
    address.map(|address| (id, address)).ok_or_else(|| Problem::missing("station", named))
}

/// What an entity of a station reads, for the caller who sees it.
fn reading(house: &House, call: &Call, device: &str, what: &str) -> Option<Value> {
    house.look(|registry| {
        let entity = registry.entity(&format!("{device}.{what}"));
        let entity = entity.filter(|e| call.who.sees(registry.area_of(e)))?;
        Some(entity.state.value()?.to_json())
    })
}

/// Registers them. After a change the stations are `read_again`.
pub(super) fn register(room: &Room, stations: &[(String, String)], read_again: &Arc<Notify>) {
    let stations: Stations = Arc::new(stations.iter().cloned().collect());
    let add = |function: Function| {
        room.function(None, function.query("id", Shape::Text, true, "the station's name"));
    };

    let known = stations.clone();
    add(Function::new(
        Method::Get,
        "/weather/getstats",
        "The four temperatures of a station",
        move |house, call| {
            let known = known.clone();
            Box::pin(async move {
                let (device, _) = station(&house, &known, &call)?;
                let all = READINGS.iter().take(4).map(|(what, ..)| {
                    reading(&house, &call, &device, what).map_or("N/A".into(), |value| value.to_string())
                });
                Ok(Reply::json(json!({ "temperatures": all.collect::<Vec<_>>() })))
            })
        },
    ));

    let known = stations.clone();
    let about = "Set point, mode and what a thermostat does";
    add(Function::new(Method::Get, "/weather/getthermostat", about, move |house, call| {
        let known = known.clone();
        Box::pin(async move {
            let (device, _) = station(&house, &known, &call)?;
            let names = [
                ("setpoint", "setpoint"),
                ("mode", "mode"),
                ("heat", "heat"),
                ("cool", "cool"),
                ("fan", "fan"),
                ("schedule", "hold"),
                ("filter", "filter"),
            ];
            let told = names.map(|(name, what)| {
                (name.to_string(), reading(&house, &call, &device, what).unwrap_or_else(|| "N/A".into()))
            });
            Ok(Reply::json(Value::Object(Map::from_iter(told))))
        })
    }));

    let set = |path: &str, about: &str, what: &'static str, value: fn(&Call) -> Value| {
        let known = stations.clone();
        let function = Function::new(Method::Get, path, about, move |house, call| {
            let known = known.clone();
            Box::pin(async move {
                let (device, _) = station(&house, &known, &call)?;
                let arguments = Map::from_iter([("value".to_string(), value(&call))]);
                let entity = format!("{device}.{what}");
                house.command(Command { entity, action: "set".into(), arguments, who: call.who }).await?;
                Ok(Reply::ok())
            })
        });
        function.acting()
    };
    let degrees = |call: &Call| call.number::<f64>("temp").map_or(Value::Null, Value::from);
    let about = "Set a thermostat's temperature, 10 to 30 in steps of 0.5";
    add(set("/weather/setpoint", about, "setpoint", degrees).query("temp", Shape::Number, true, "degrees"));
    let mode = |call: &Call| call.text("mode").into();
    let about = "Have a thermostat heat or cool, or turn it off";
    add(set("/weather/setmode", about, "mode", mode).query("mode", Shape::Text, true, &MODES.join(", ")));

    for (path, about, query) in [
        ("/weather/resetfilter", "Reset the counter of a thermostat's filter", "rstFilt=1"),
        ("/weather/toggleschedule", "Turn a thermostat's own schedule on or off", "hold=1"),
    ] {
        let (known, read_again) = (stations.clone(), read_again.clone());
        let function = Function::new(Method::Get, path, about, move |house, call| {
            let (known, read_again) = (known.clone(), read_again.clone());
            Box::pin(async move {
                let (device, address) = station(&house, &known, &call)?;
                let area = house.look(|registry| registry.device(&device).and_then(|d| d.area.clone()));
                if !call.who.controls(area.as_deref()) {
                    return Err(Problem::forbidden("this token may only read"));
                }
                get(&address, &format!("/state.xml?{query}")).await.map_err(Problem::unavailable)?;
                read_again.notify_one();
                Ok(Reply::ok())
            })
        });
        add(function.acting());
    }
}

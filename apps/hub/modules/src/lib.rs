//! The technologies that the hub speaks, one folder each, registered in [`all`] and nowhere else.
//!
//! A module brings devices, entities, functions and events through its `Room`; nothing outside its folder knows its name.
//! Adding one is a folder and a line in [`all`]; `docs/hub/modules.md` shows it with an example.
//!
//! Invariants: bytes from the network are parsed by `wire` or refused; whatever a module spawns ends with it.
//! Start reading at [`dwn`] for devices, at [`irrigation`] for what guards the valves.
#![forbid(unsafe_code)]

pub mod alarm;
pub mod automation;
pub mod dwn;
mod fetch;
pub mod gpio;
pub mod irrigation;
pub mod jsonrpc;
pub mod mqtt;
pub mod notify;
mod place;
pub mod schedule;
pub mod weather;

pub use place::PlaceSettings;

use house::Module;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;

/// What the configuration file may say to the modules: a table a module.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    pub dwn: dwn::Settings,
    pub gpio: gpio::Settings,
    pub weather: weather::Settings,
    pub alarm: alarm::Settings,
    pub notify: notify::Settings,
    pub mqtt: mqtt::Settings,
    pub jsonrpc: jsonrpc::Settings,
}

impl Settings {
    /// What is wrong although it can be read: the name of the field and the reason.
    ///
    /// # Errors
    /// See the modules' own checks.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        self.dwn.check()?;
        self.notify.check()?;
        self.jsonrpc.check()
    }
}

/// Every module, in the order in which they start: what guards the valves is first.
pub fn all(settings: &Settings, place: &PlaceSettings) -> Vec<Arc<dyn Module>> {
    vec![
        Arc::new(irrigation::Irrigation::new(place.clone())),
        Arc::new(automation::Automation::new(place.clone())),
        Arc::new(schedule::Clockwork::new(place.clone())),
        Arc::new(dwn::Dwn::new(settings.dwn.clone())),
        Arc::new(gpio::Gpio::new(settings.gpio.clone())),
        Arc::new(weather::Weather::new(settings.weather.clone())),
        Arc::new(alarm::Alarm::new(settings.alarm.clone())),
        Arc::new(notify::Notify::new(settings.notify.clone())),
        Arc::new(jsonrpc::JsonRpc::new(settings.jsonrpc.clone())),
        Arc::new(mqtt::Mqtt::new(settings.mqtt.clone())),
    ]
}

/// The kinds of definitions that may stand in the configuration or be made by the API.
pub const DEFINITIONS: [&str; 4] = ["rules", "scenes", "scripts", "programs"];

/// What is wrong with a definition of one of [`DEFINITIONS`].
///
/// # Errors
/// The reason, naming the field.
pub fn check_definition(space: &str, value: &Value) -> Result<(), String> {
    match space {
        "programs" => irrigation::check_program(value),
        _ => automation::check(space, value),
    }
}

/// The first line of a file that holds a secret, so that it stands neither in the configuration nor on a command line.
///
/// # Errors
/// In words: the file cannot be read, or is empty.
fn secret(file: &std::path::Path) -> Result<String, String> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let line = text.lines().next().map(str::trim_end).unwrap_or_default();
    match line.is_empty() || line.len() > 256 || line.chars().any(char::is_control) {
        true => Err(format!("{}: the first line must be the secret, of 256 bytes at most", file.display())),
        false => Ok(line.to_string()),
    }
}

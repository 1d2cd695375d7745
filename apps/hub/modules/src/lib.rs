//! The technologies that the hub speaks, one folder each, registered in [`all`] and nowhere else.
//!
//! A module brings devices, entities, functions and events through its `Room`; nothing outside its folder knows its name.
//! Adding one is a folder and a line in [`all`]; `docs/hub/modules.md` shows it with an example.
//!
//! Invariants: bytes from the network are parsed by `wire` or refused; whatever a module spawns ends with it.
//! Start reading at [`dwn`] for devices, at [`irrigation`] for what guards the valves.
#![forbid(unsafe_code)]

pub mod automation;
pub mod dwn;
pub mod irrigation;
mod place;
pub mod schedule;

pub use place::PlaceSettings;

use house::Module;
use serde::Deserialize;
use serde_json::Value;
use std::sync::Arc;

/// What the configuration file may say to the modules: a table a module.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    pub dwn: dwn::Settings,
}

/// Every module, in the order in which they start: what guards the valves is first.
pub fn all(settings: &Settings, place: &PlaceSettings) -> Vec<Arc<dyn Module>> {
    vec![
        Arc::new(irrigation::Irrigation::new(place.clone())),
        Arc::new(automation::Automation::new(place.clone())),
        Arc::new(schedule::Clockwork::new(place.clone())),
        Arc::new(dwn::Dwn::new(settings.dwn.clone())),
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

//! Where the house stands, as configured: coordinates and time zone.

use jiff::tz::TimeZone;
use rules::Place;
use serde::{Deserialize, Serialize};

/// `[place]` of the configuration.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct PlaceSettings {
    /// Degrees, north positive.
    pub latitude: Option<f64>,
    /// Degrees, east positive.
    pub longitude: Option<f64>,
    /// A name of the time zone database, such as `Europe/Paris`; the machine's by default.
    pub time_zone: Option<String>,
}

impl PlaceSettings {
    /// What is wrong: the field's name and the reason.
    ///
    /// # Errors
    /// Coordinates out of range or half given, an unknown zone.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        if self.latitude.is_some() != self.longitude.is_some() {
            return Err(("latitude", "latitude and longitude are needed both".into()));
        }
        if self.latitude.is_some_and(|l| !(-90.0..=90.0).contains(&l)) {
            return Err(("latitude", "-90 to 90 degrees, north is positive".into()));
        }
        if self.longitude.is_some_and(|l| !(-180.0..=180.0).contains(&l)) {
            return Err(("longitude", "-180 to 180 degrees, east is positive".into()));
        }
        match &self.time_zone {
            Some(name) if TimeZone::get(name).is_err() => {
                Err(("time_zone", format!("no time zone {name:?}")))
            }
            _ => Ok(()),
        }
    }

    /// The place. A zone that does not exist (the check was passed over) is UTC.
    pub fn place(&self) -> Place {
        let of_machine = || {
            let named = std::env::var("TZ").ok().or_else(|| std::fs::read_to_string("/etc/timezone").ok());
            TimeZone::get(named?.trim()).ok()
        };
        let zone = match &self.time_zone {
            Some(name) => TimeZone::get(name).ok(),
            None => of_machine(),
        };
        Place { zone: zone.unwrap_or(TimeZone::UTC), coordinates: self.latitude.zip(self.longitude) }
    }
}

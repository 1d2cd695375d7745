//! A program: which zones, when, and how long in which season.

use crate::engine::{MAX_ZONES, Overlap, Run, Zone};
use jiff::civil::{Date, Weekday};
use serde::{Deserialize, Serialize};

/// A zone may be asked for at most this long.
pub const LONGEST_ZONE_S: u32 = 4 * 3600;

/// On which days a program starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Days {
    /// `mon` to `sun`.
    Week(Vec<String>),
    /// Every so many days, counted from a date.
    Every {
        days: u32,
        from: Date,
    },
    Odd,
    Even,
}

/// A stored irrigation program.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Program {
    #[serde(default)]
    pub name: String,
    pub zones: Vec<Zone>,
    /// Local times `HH:MM`, or `sunrise`, `sunset` with an offset in minutes: `sunrise-30`.
    #[serde(default)]
    pub starts: Vec<String>,
    /// Absent: every day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub days: Option<Days>,
    /// Percent of the zones' times for each month, January first; empty means 100.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub seasonal: Vec<u16>,
    #[serde(default)]
    pub overlap: Overlap,
    /// An entity whose value above `rain_limit` (or true) skips the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rain_sensor: Option<String>,
    #[serde(default)]
    pub rain_limit: f64,
    #[serde(default = "yes")]
    pub enabled: bool,
}

fn yes() -> bool {
    true
}

impl Program {
    /// What is wrong with it, if anything.
    ///
    /// # Errors
    /// The field and the reason.
    pub fn check(&self) -> Result<(), String> {
        if self.zones.is_empty() || self.zones.len() > MAX_ZONES {
            return Err(format!("zones: 1 to {MAX_ZONES} are needed"));
        }
        if let Some(zone) = self.zones.iter().find(|z| z.seconds == 0 || z.seconds > LONGEST_ZONE_S) {
            return Err(format!("zones: {} must run 1 to {LONGEST_ZONE_S} seconds", zone.valve));
        }
        if !matches!(self.seasonal.len(), 0 | 12) || self.seasonal.iter().any(|p| *p > 300) {
            return Err("seasonal: twelve percentages from 0 to 300, January first".into());
        }
        match &self.days {
            Some(Days::Week(days)) => match days.iter().find(|day| weekday(day).is_none()) {
                Some(day) => Err(format!("days: {day:?} is none of mon, tue, wed, thu, fri, sat, sun")),
                None => Ok(()),
            },
            Some(Days::Every { days: 0, .. }) => Err("days: every 0 days is never".into()),
            _ => Ok(()),
        }
    }

    /// Whether it starts on this day.
    pub fn is_on(&self, date: Date) -> bool {
        match &self.days {
            None => true,
            Some(Days::Week(days)) => days.iter().any(|day| weekday(day) == Some(date.weekday())),
            Some(Days::Every { days, from }) => {
                let since = date.since(*from).map(|span| span.get_days()).unwrap_or(-1);
                since >= 0 && (since as u32).is_multiple_of(*days.max(&1))
            }
            Some(Days::Odd) => date.day() % 2 == 1,
            Some(Days::Even) => date.day() % 2 == 0,
        }
    }

    /// The run in this month (1 to 12): each zone times the season's percentage; zones that come to nothing are left out.
    pub fn run(&self, id: &str, month: i8) -> Run {
        let percent = self.seasonal.get((month - 1).max(0) as usize).copied().unwrap_or(100);
        let zones = self.zones.iter().map(|zone| Zone {
            valve: zone.valve.clone(),
            seconds: (u64::from(zone.seconds) * u64::from(percent) / 100) as u32,
        });
        Run { id: id.into(), zones: zones.filter(|z| z.seconds > 0).collect(), overlap: self.overlap }
    }
}

fn weekday(name: &str) -> Option<Weekday> {
    Some(match name {
        "mon" => Weekday::Monday,
        "tue" => Weekday::Tuesday,
        "wed" => Weekday::Wednesday,
        "thu" => Weekday::Thursday,
        "fri" => Weekday::Friday,
        "sat" => Weekday::Saturday,
        "sun" => Weekday::Sunday,
        _ => return None,
    })
}

/// Reads the original's `a3,b6,d3,c4`: letter and seconds each. `valve` gives the entity of a letter.
///
/// # Errors
/// What is wrong with which part.
pub fn parse_sequence(text: &str, valve: impl Fn(char) -> Option<String>) -> Result<Vec<Zone>, String> {
    let zones: Result<Vec<Zone>, String> = text
        .split(',')
        .map(|part| {
            let mut rest = part.trim().chars();
            let valve = rest.next().and_then(&valve).ok_or_else(|| format!("{part:?}: No such valve"))?;
            let seconds = rest.as_str().parse().ok().filter(|s| (1..=LONGEST_ZONE_S).contains(s));
            let seconds = seconds.ok_or_else(|| format!("{part:?}: 1 to {LONGEST_ZONE_S} seconds"))?;
            Ok(Zone { valve, seconds })
        })
        .collect();
    zones.and_then(|zones| match zones.len() {
        0..=MAX_ZONES => Ok(zones),
        _ => Err(format!("more than {MAX_ZONES} parts")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    fn program() -> Program {
        serde_json::from_value(
            serde_json::json!({"zones": [{"valve": "a", "seconds": 100}, {"valve": "b", "seconds": 1}]}),
        )
        .unwrap()
    }

    #[test]
    fn the_season_scales_and_drops_what_comes_to_nothing() {
        let mut program = program();
        program.seasonal = vec![0, 50, 100, 100, 100, 150, 150, 150, 100, 100, 50, 0];
        assert_eq!(program.check(), Ok(()));
        assert_eq!(program.run("p", 2).zones, [Zone { valve: "a".into(), seconds: 50 }]);
        assert!(program.run("p", 1).zones.is_empty());
        assert_eq!(program.run("p", 7).zones[0].seconds, 150);
    }

    #[test]
    fn days_are_weekdays_intervals_or_parity() {
        let mut program = program();
        let monday = date(2026, 6, 1);
        assert!(program.is_on(monday));
        program.days = Some(Days::Week(vec!["mon".into()]));
        assert!(program.is_on(monday) && !program.is_on(date(2026, 6, 2)));
        program.days = Some(Days::Every { days: 3, from: monday });
        assert!(
            program.is_on(date(2026, 6, 4))
                && !program.is_on(date(2026, 6, 5))
                && !program.is_on(date(2026, 5, 29))
        );
        program.days = Some(Days::Odd);
        assert!(program.is_on(monday));
        program.days = Some(Days::Week(vec!["Montag".into()]));
        assert!(program.check().is_err());
    }

    #[test]
    fn the_originals_sequences_are_read_and_wrong_ones_refused() {
        let valve = |letter| ('a'..='d').contains(&letter).then(|| letter.to_string());
        let zones = parse_sequence("a3,b6,d3,c4", valve).unwrap();
        assert_eq!(zones.iter().map(|z| z.seconds).collect::<Vec<_>>(), [3, 6, 3, 4]);
        for bad in ["", "e3", "a", "a0", "a-1", "a3,,b1", "é3", "a99999999999"] {
            assert!(parse_sequence(bad, valve).is_err(), "{bad}");
        }
    }
}

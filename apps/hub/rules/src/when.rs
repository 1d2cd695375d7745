//! From schedules to moments: local times, cron and sun, in a time zone with all its jumps.
//!
//! A local time that a zone skips happens at the first moment after the gap; one that comes twice happens the first time.
//! Every moment is a whole minute (but sunrise and sunset, which are cut to the minute they fall in).

use crate::cron::Cron;
use crate::sun::{self, Day};
use jiff::civil::{Date, Time};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{Timestamp, ToSpan};
use serde::{Deserialize, Serialize};

/// Where the house stands.
#[derive(Clone, Debug)]
pub struct Place {
    pub zone: TimeZone,
    /// Degrees, north and east positive; none when it was not configured.
    pub coordinates: Option<(f64, f64)>,
}

/// A time of day, or a moment of the sun: `07:30`, `sunrise`, `sunset-30`, `sunrise+90` (minutes).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum At {
    Time(Time),
    Sunrise { offset_min: i16 },
    Sunset { offset_min: i16 },
}

impl At {
    /// Reads the text.
    ///
    /// # Errors
    /// What was expected.
    pub fn parse(text: &str) -> Result<At, String> {
        let wrong =
            || format!("{text:?} is no time: HH:MM, sunrise or sunset, with an offset like -30 or +15");
        for (name, make) in [
            ("sunrise", (|offset_min| At::Sunrise { offset_min }) as fn(i16) -> At),
            ("sunset", |offset_min| At::Sunset { offset_min }),
        ] {
            if let Some(offset) = text.strip_prefix(name) {
                let offset = match offset.trim() {
                    "" => 0,
                    signed if signed.starts_with(['+', '-']) => signed.parse().map_err(|_| wrong())?,
                    _ => return Err(wrong()),
                };
                return if (-720..=720).contains(&offset) { Ok(make(offset)) } else { Err(wrong()) };
            }
        }
        let (hour, minute) = text.split_once(':').ok_or_else(wrong)?;
        let is_short = |part: &str| (1..=2).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        if !is_short(hour) || minute.len() != 2 || !is_short(minute) {
            return Err(wrong());
        }
        let number = |part: &str| part.parse().map_err(|_| wrong());
        Time::new(number(hour)?, number(minute)?, 0, 0).map(At::Time).map_err(|_| wrong())
    }
}

impl TryFrom<String> for At {
    type Error = String;
    fn try_from(text: String) -> Result<At, String> {
        At::parse(&text)
    }
}

impl From<At> for String {
    fn from(at: At) -> String {
        match at {
            At::Time(time) => time.strftime("%H:%M").to_string(),
            At::Sunrise { offset_min: 0 } => "sunrise".into(),
            At::Sunset { offset_min: 0 } => "sunset".into(),
            At::Sunrise { offset_min } => format!("sunrise{offset_min:+}"),
            At::Sunset { offset_min } => format!("sunset{offset_min:+}"),
        }
    }
}

/// Something that recurs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Schedule {
    Daily(At),
    Cron(Cron),
}

impl Schedule {
    /// The moments of a day, in order, each once; Unix seconds.
    pub fn moments(&self, date: Date, place: &Place) -> Vec<i64> {
        let mut moments: Vec<i64> = match self {
            Schedule::Daily(At::Time(time)) => moment(date, *time, &place.zone).into_iter().collect(),
            Schedule::Daily(At::Sunrise { offset_min }) => {
                sun_moment(date, place, true, *offset_min).into_iter().collect()
            }
            Schedule::Daily(At::Sunset { offset_min }) => {
                sun_moment(date, place, false, *offset_min).into_iter().collect()
            }
            Schedule::Cron(cron) if cron.is_on(date) => {
                cron.times().filter_map(|time| moment(date, time, &place.zone)).collect()
            }
            Schedule::Cron(_) => Vec::new(),
        };
        moments.sort_unstable();
        moments.dedup();
        moments
    }

    /// The moments after `after_s` up to and including `until_s`, in order.
    pub fn between(&self, after_s: i64, until_s: i64, place: &Place) -> Vec<i64> {
        let date = |unix_s| Some(Timestamp::from_second(unix_s).ok()?.to_zoned(place.zone.clone()).date());
        // A day more on either side: moments of the sun with an offset may fall on a neighbour.
        let Some((first, last)) = date(after_s).zip(date(until_s)) else { return Vec::new() };
        let (Ok(mut day), Ok(last)) = (first.yesterday(), last.tomorrow()) else { return Vec::new() };
        let mut all = Vec::new();
        while day <= last && all.len() < 100_000 {
            all.extend(self.moments(day, place).into_iter().filter(|at| *at > after_s && *at <= until_s));
            match day.tomorrow() {
                Ok(next) => day = next,
                Err(_) => break,
            }
        }
        all.sort_unstable();
        all.dedup();
        all
    }

    /// The next moment after `after_s` within a year, if there is one.
    pub fn next(&self, after_s: i64, place: &Place) -> Option<i64> {
        let mut day =
            Timestamp::from_second(after_s).ok()?.to_zoned(place.zone.clone()).date().yesterday().ok()?;
        for _ in 0..370 {
            if let Some(at) = self.moments(day, place).into_iter().find(|at| *at > after_s) {
                return Some(at);
            }
            day = day.tomorrow().ok()?;
        }
        None
    }
}

/// The one moment that a local time of a day means.
pub fn moment(date: Date, time: Time, zone: &TimeZone) -> Option<i64> {
    let ambiguous = zone.to_ambiguous_timestamp(date.to_datetime(time));
    match ambiguous.offset() {
        AmbiguousOffset::Unambiguous { .. } => Some(ambiguous.compatible().ok()?.as_second()),
        AmbiguousOffset::Fold { .. } => Some(ambiguous.earlier().ok()?.as_second()),
        AmbiguousOffset::Gap { .. } => {
            // Read with the offset before the gap, the time lies after the jump; the jump is the last one before it.
            let after = ambiguous.later().ok()?;
            let jump = zone.preceding(after.checked_add(1.second()).ok()?).next()?;
            Some(jump.timestamp().as_second())
        }
    }
}

/// What the sun does at a place on a local day; none without coordinates.
pub fn sun_day(date: Date, place: &Place) -> Option<Day> {
    let (latitude, longitude) = place.coordinates?;
    let noon = moment(date, Time::constant(12, 0, 0, 0), &TimeZone::UTC)? - (longitude * 240.0) as i64;
    Some(sun::day(noon, latitude, longitude))
}

fn sun_moment(date: Date, place: &Place, is_rise: bool, offset_min: i16) -> Option<i64> {
    match sun_day(date, place)? {
        Day::Rises { rise, set } => {
            let at = if is_rise { rise } else { set } + i64::from(offset_min) * 60;
            Some(at.div_euclid(60) * 60)
        }
        Day::AlwaysUp | Day::AlwaysDown => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;
    use proptest::prelude::*;

    fn place(zone: &str) -> Place {
        Place { zone: TimeZone::get(zone).unwrap(), coordinates: Some((45.5, -73.57)) }
    }
    fn daily(text: &str) -> Schedule {
        Schedule::Daily(At::parse(text).unwrap())
    }
    fn local(unix_s: i64, place: &Place) -> String {
        Timestamp::from_second(unix_s).unwrap().to_zoned(place.zone.clone()).strftime("%F %T %z").to_string()
    }

    #[test]
    fn a_skipped_local_time_happens_once_at_the_next_that_exists() {
        let paris = place("Europe/Paris");
        let at = daily("02:30").moments(date(2026, 3, 29), &paris);
        assert_eq!(at.iter().map(|at| local(*at, &paris)).collect::<Vec<_>>(), ["2026-03-29 03:00:00 +0200"]);
        let every = Schedule::Cron(Cron::parse("*/15 2 * * *").unwrap()).moments(date(2026, 3, 29), &paris);
        assert_eq!(every.len(), 1);
        // Half an hour only, on Lord Howe Island.
        let howe = place("Australia/Lord_Howe");
        let at = daily("02:15").moments(date(2026, 10, 4), &howe);
        assert_eq!(local(at[0], &howe), "2026-10-04 02:30:00 +1100");
        // A whole day, in Samoa.
        let apia = place("Pacific/Apia");
        let at = daily("12:00").moments(date(2011, 12, 30), &apia);
        assert_eq!(local(at[0], &apia), "2011-12-31 00:00:00 +1400");
    }

    #[test]
    fn a_doubled_local_time_happens_once() {
        let paris = place("Europe/Paris");
        let at = daily("02:30").moments(date(2026, 10, 25), &paris);
        assert_eq!(at.iter().map(|at| local(*at, &paris)).collect::<Vec<_>>(), ["2026-10-25 02:30:00 +0200"]);
    }

    #[test]
    fn sun_times_have_offsets_and_none_where_the_sun_does_not_rise() {
        let montreal = place("America/Montreal");
        let rise = daily("sunrise").moments(date(2015, 9, 23), &montreal);
        assert!((rise[0] - 1443004931).abs() <= 60);
        assert_eq!(daily("sunrise-30").moments(date(2015, 9, 23), &montreal), [rise[0] - 1800]);
        let tromso = Place { coordinates: Some((69.65, 18.96)), ..place("Europe/Oslo") };
        assert!(daily("sunset").moments(date(2026, 6, 21), &tromso).is_empty());
        let nowhere = Place { coordinates: None, ..place("UTC") };
        assert!(daily("sunrise").moments(date(2026, 6, 21), &nowhere).is_empty());
    }

    #[test]
    fn times_are_read_and_written_and_nonsense_refused() {
        for text in ["07:30", "00:00", "sunrise", "sunset-30", "sunrise+90"] {
            assert_eq!(String::from(At::parse(text).unwrap()), text);
        }
        for bad in [
            "",
            "7",
            "24:00",
            "12:60",
            "12:5",
            "sunrise30",
            "sunset-9999",
            "moonrise",
            "-1:00",
            "+7:30",
            "١٢:٠٠",
        ] {
            assert!(At::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_next_moment_is_found_far_ahead() {
        let cron = Schedule::Cron(Cron::parse("0 12 1 1 *").unwrap());
        let utc = place("UTC");
        assert_eq!(local(cron.next(1_790_000_000, &utc).unwrap(), &utc), "2027-01-01 12:00:00 +0000");
        assert_eq!(Schedule::Cron(Cron::parse("0 0 30 2 *").unwrap()).next(1_790_000_000, &utc), None);
    }

    proptest! {
        #[test]
        fn small_steps_and_large_ones_give_the_same_moments(
            start in 1_600_000_000i64..1_900_000_000, steps in proptest::collection::vec(1i64..90_000, 1..8),
            which in 0usize..5, zone in 0usize..4,
        ) {
            let place = place(["Europe/Paris", "Australia/Lord_Howe", "America/St_Johns", "UTC"][zone]);
            let schedule = [daily("02:30"), daily("01:45"), daily("sunset+20"),
                Schedule::Cron(Cron::parse("*/20 1-3 * * *").unwrap()), Schedule::Cron(Cron::parse("0 0 * * *").unwrap())][which].clone();
            let end = start + steps.iter().sum::<i64>();
            let whole = schedule.between(start, end, &place);
            let mut at = start;
            let mut parts = Vec::new();
            for step in steps {
                parts.extend(schedule.between(at, at + step, &place));
                at += step;
            }
            prop_assert_eq!(parts, whole);
        }
    }
}

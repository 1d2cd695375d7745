//! Cron expressions: `minute hour day-of-month month day-of-week`, as in crontab(5).
//!
//! Lists, ranges, steps and names; when both days are restricted, either is enough (crontab(5)). 0 and 7 are Sunday.

use jiff::civil::{Date, Time};
use serde::{Deserialize, Serialize};

/// A checked expression.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Cron {
    text: String,
    minutes: u64,
    hours: u32,
    days: u32,
    months: u16,
    weekdays: u8,
    /// Whether day of month and day of week are both restricted.
    either_day: bool,
}

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

impl Cron {
    /// Reads an expression.
    ///
    /// # Errors
    /// The field and what is wrong with it.
    pub fn parse(text: &str) -> Result<Cron, String> {
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [minute, hour, day, month, weekday] = fields[..] else {
            return Err(format!(
                "five fields are needed (minute hour day month weekday), not {}",
                fields.len()
            ));
        };
        let months = field(month, "month", 1, 12, &MONTHS)?;
        let week = field(weekday, "weekday", 0, 7, &WEEKDAYS)?;
        let cron = Cron {
            text: text.to_string(),
            minutes: field(minute, "minute", 0, 59, &[])?,
            hours: field(hour, "hour", 0, 23, &[])? as u32,
            days: field(day, "day", 1, 31, &[])? as u32,
            months: months as u16,
            weekdays: (week & 0x7f | week >> 7) as u8,
            either_day: !day.starts_with('*') && !weekday.starts_with('*'),
        };
        Ok(cron)
    }

    /// Whether it can fire on this day.
    pub fn is_on(&self, date: Date) -> bool {
        let day = self.days >> date.day() & 1 == 1;
        let weekday = self.weekdays >> date.weekday().to_sunday_zero_offset() & 1 == 1;
        let is_day = if self.either_day { day || weekday } else { day && weekday };
        is_day && self.months >> date.month() & 1 == 1
    }

    /// The times of a day on which it fires.
    pub fn times(&self) -> impl Iterator<Item = Time> {
        let hours = (0..24i8).filter(|hour| self.hours >> hour & 1 == 1);
        let all =
            hours.flat_map(|hour| (0..60i8).filter(|m| self.minutes >> m & 1 == 1).map(move |m| (hour, m)));
        all.filter_map(|(hour, minute)| Time::new(hour, minute, 0, 0).ok())
    }
}

impl TryFrom<String> for Cron {
    type Error = String;
    fn try_from(text: String) -> Result<Cron, String> {
        Cron::parse(&text)
    }
}

impl From<Cron> for String {
    fn from(cron: Cron) -> String {
        cron.text
    }
}

/// The set of numbers that a field allows, as bits.
fn field(text: &str, what: &str, low: u32, high: u32, names: &[&str]) -> Result<u64, String> {
    let wrong = || format!("{what}: {text:?} is not understood; {low} to {high}, *, a-b, */n or a list");
    let number = |part: &str| {
        let named =
            names.iter().position(|name| part.eq_ignore_ascii_case(name)).map(|at| at as u32 + low.min(1));
        let number = named.or_else(|| part.parse().ok()).filter(|n| (low..=high).contains(n));
        number.ok_or_else(wrong)
    };
    let mut bits = 0;
    for part in text.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, step.parse().ok().filter(|s| *s > 0).ok_or_else(wrong)?),
            None => (part, 1),
        };
        let (from, to) = match range.split_once('-') {
            _ if range == "*" => (low, high),
            Some((from, to)) => (number(from)?, number(to)?),
            None if part.contains('/') => (number(range)?, high),
            None => (number(range)?, number(range)?),
        };
        if from > to {
            return Err(wrong());
        }
        (from..=to).step_by(step).for_each(|n| bits |= 1u64 << n);
    }
    Ok(bits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    fn times(text: &str) -> Vec<String> {
        Cron::parse(text).unwrap().times().map(|t| t.strftime("%H:%M").to_string()).collect()
    }

    #[test]
    fn lists_ranges_and_steps_are_understood() {
        assert_eq!(times("*/30 6-7 * * *"), ["06:00", "06:30", "07:00", "07:30"]);
        assert_eq!(times("5,10 23 * * *"), ["23:05", "23:10"]);
        assert_eq!(times("10-20/5 0 * * *"), ["00:10", "00:15", "00:20"]);
        assert_eq!(times("50/5 0 * * *"), ["00:50", "00:55"]);
    }

    #[test]
    fn days_are_both_or_either_as_crontab_has_it() {
        let on = |text: &str, d: Date| Cron::parse(text).unwrap().is_on(d);
        let friday_13th = date(2026, 11, 13);
        assert!(
            on("0 0 13 * *", friday_13th)
                && on("0 0 * * fri", friday_13th)
                && on("0 0 13 * mon", friday_13th)
        );
        assert!(!on("0 0 * * mon", friday_13th) && !on("0 0 13 dec *", friday_13th));
        assert!(on("0 0 * * 7", date(2026, 11, 15)) && on("0 0 * * sun", date(2026, 11, 15)));
        assert!(on("0 0 * nov 1-5", friday_13th));
    }

    #[test]
    fn nonsense_is_refused_with_the_field() {
        for bad in [
            "",
            "* * * *",
            "60 * * * *",
            "* 24 * * *",
            "* * 0 * *",
            "* * * foo *",
            "*/0 * * * *",
            "5-1 * * * *",
            "1, * * * *",
            "* * * * 8",
            "99999999999 * * * *",
        ] {
            assert!(Cron::parse(bad).is_err(), "{bad}");
        }
    }
}

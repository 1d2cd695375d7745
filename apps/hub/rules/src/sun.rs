//! Sunrise and sunset, to well under a minute for places where the sun crosses the horizon at an angle.
//!
//! The sun's position follows Meeus, *Astronomical Algorithms*, chapter 25 (low accuracy, 0.01 degree), sidereal time chapter 12;
//! rising is where the upper limb, refracted, touches the horizon: an altitude of -50 arc minutes. Each event is found by
//! iterating on the hour angle at the event's own time, as the declination moves by up to a minute's worth a day.

/// What the sun does on a day at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Day {
    /// Unix seconds.
    Rises { rise: i64, set: i64 },
    /// It stays up.
    AlwaysUp,
    /// It stays down.
    AlwaysDown,
}

const ALTITUDE_DEG: f64 = -50.0 / 60.0;
/// How far the Earth turns in a day, in degrees (Meeus, equation 12.4).
const SIDEREAL_DEG_A_DAY: f64 = 360.985_647_366_29;
const DAY_S: f64 = 86_400.0;
/// J2000.0 as Unix time: 2000-01-01 12:00 UTC; the minute between UTC and TT is added in `position`.
const J2000_S: f64 = 946_728_000.0;
const TT_MINUS_UTC_S: f64 = 69.0;

/// Right ascension and declination in degrees at a Unix time.
fn position(unix_s: f64) -> (f64, f64) {
    let t = (unix_s + TT_MINUS_UTC_S - J2000_S) / DAY_S / 36_525.0;
    let mean_longitude = 280.466_46 + t * (36_000.769_83 + t * 0.000_303_2);
    let anomaly = (357.529_11 + t * (35_999.050_29 - t * 0.000_153_7)).to_radians();
    let centre = (1.914602 - t * (0.004817 + t * 0.000014)) * anomaly.sin()
        + (0.019993 - t * 0.000101) * (2.0 * anomaly).sin()
        + 0.000289 * (3.0 * anomaly).sin();
    let node = (125.04 - 1934.136 * t).to_radians();
    let longitude = (mean_longitude + centre - 0.00569 - 0.00478 * node.sin()).to_radians();
    let obliquity = (23.439291 - t * 0.0130042 + 0.00256 * node.cos()).to_radians();
    let ascension = (obliquity.cos() * longitude.sin()).atan2(longitude.cos());
    let declination = (obliquity.sin() * longitude.sin()).asin();
    (ascension.to_degrees(), declination.to_degrees())
}

/// Greenwich mean sidereal time in degrees.
fn sidereal(unix_s: f64) -> f64 {
    280.460_618_37 + SIDEREAL_DEG_A_DAY * (unix_s - J2000_S) / DAY_S
}

/// An angle between -180 and 180 degrees.
fn wrap(degrees: f64) -> f64 {
    (degrees + 180.0).rem_euclid(360.0) - 180.0
}

/// When the sun stands highest, closest to `guess`.
fn transit(guess_s: f64, longitude: f64) -> f64 {
    (0..4).fold(guess_s, |at, _| {
        let hour_angle = wrap(sidereal(at) + longitude - position(at).0);
        at - hour_angle / SIDEREAL_DEG_A_DAY * DAY_S
    })
}

/// The cosine of the hour angle at which the sun, standing as at this time, crosses the horizon.
fn cosine(at_s: f64, latitude: f64) -> f64 {
    let (latitude, declination) = (latitude.to_radians(), position(at_s).1.to_radians());
    (ALTITUDE_DEG.to_radians().sin() - latitude.sin() * declination.sin())
        / (latitude.cos() * declination.cos())
}

/// What the sun does on the day whose local mean noon is closest to `noon_s` (Unix seconds). Degrees, north and east positive.
pub fn day(noon_s: i64, latitude: f64, longitude: f64) -> Day {
    let latitude = latitude.clamp(-89.9, 89.9);
    let top = transit(noon_s as f64, longitude);
    let crossing = |side: f64| {
        let mut at = top;
        for _ in 0..8 {
            let cosine = cosine(at, latitude);
            if cosine.abs() > 1.0 {
                return Err(cosine);
            }
            let wanted = side * cosine.acos().to_degrees();
            let hour_angle = sidereal(at) + longitude - position(at).0;
            at += wrap(wanted - hour_angle) / SIDEREAL_DEG_A_DAY * DAY_S;
        }
        Ok(at.round() as i64)
    };
    match (crossing(-1.0), crossing(1.0)) {
        (Ok(rise), Ok(set)) => Day::Rises { rise, set },
        (Err(cosine), _) | (_, Err(cosine)) if cosine < 0.0 => Day::AlwaysUp,
        _ => Day::AlwaysDown,
    }
}

/// Whether the sun is up.
pub fn is_up(unix_s: i64, latitude: f64, longitude: f64) -> bool {
    let at = unix_s as f64;
    let (ascension, declination) = position(at);
    let hour_angle = (sidereal(at) + longitude - ascension).to_radians();
    let (latitude, declination) = (latitude.to_radians(), declination.to_radians());
    let height = latitude.sin() * declination.sin() + latitude.cos() * declination.cos() * hour_angle.cos();
    height.asin().to_degrees() > ALTITUDE_DEG
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;
    use jiff::tz::TimeZone;

    /// PyEphem 4.2 (libastro), the centre at -0:50, no pressure: an implementation that shares nothing with this one.
    const REFERENCE: &str = include_str!("../tests/sun.txt");

    #[test]
    fn twenty_places_agree_with_an_independent_reference_within_a_minute() {
        let mut worst = 0;
        for line in REFERENCE.lines() {
            let field: Vec<&str> = line.split(' ').collect();
            let number = |at: usize| field[at].parse::<f64>().unwrap();
            let (latitude, longitude) = (number(1), number(2));
            let noon = date(number(3) as i16, number(4) as i8, number(5) as i8).at(12, 0, 0, 0);
            let noon =
                noon.to_zoned(TimeZone::UTC).unwrap().timestamp().as_second() - (longitude * 240.0) as i64;
            match day(noon, latitude, longitude) {
                Day::Rises { rise, set } => {
                    let off = (rise - number(6) as i64).abs().max((set - number(7) as i64).abs());
                    assert!(off <= 60, "{line}: {rise} {set}");
                    worst = worst.max(off);
                    assert!(
                        is_up(rise + 120, latitude, longitude) && !is_up(rise - 120, latitude, longitude),
                        "{line}"
                    );
                }
                Day::AlwaysUp => assert_eq!(field[6], "day", "{line}"),
                Day::AlwaysDown => assert_eq!(field[6], "night", "{line}"),
            }
        }
        assert_eq!(REFERENCE.lines().count(), 120);
        println!("worst: {worst} s");
    }

    #[test]
    fn the_originals_values_are_two_to_four_minutes_off() {
        let noon = 1_443_009_600 + 73 * 240;
        let Day::Rises { rise, set } = day(noon, 45.5, -73.57) else { panic!("the sun rises in Montreal") };
        assert!(
            (60..300).contains(&(1_443_005_007 - rise)) || (60..300).contains(&(1_443_048_759 - set)),
            "{rise} {set}"
        );
    }

    #[test]
    fn the_poles_do_no_harm() {
        for latitude in [90.0, -90.0, 1e9, f64::NAN] {
            let _ = day(1_800_000_000, latitude, 0.0);
        }
    }
}

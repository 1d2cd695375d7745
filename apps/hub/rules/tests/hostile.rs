//! What people write as rules and times, damaged: refused with a reason or understood, and then of bounded work.

use hostile::attack;
use jiff::tz::TimeZone;
use rules::when::{At, Place, Schedule};
use rules::{Cron, Rule};

const NOW_S: i64 = 1_790_000_000;

fn place() -> Place {
    Place { coordinates: Some((48.86, 2.35)), zone: TimeZone::get("Europe/Paris").unwrap() }
}

#[test]
fn cron_expressions() {
    let examples: [&[u8]; 5] =
        [b"*/5 0-6,22 * jan-mar mon", b"0 12 1,15 * *", b"59 23 31 12 sun", b"* * * * *", b"0 0 29 feb *"];
    let place = place();
    attack(1, 2_000, &examples, |input| {
        if let Ok(text) = std::str::from_utf8(input)
            && let Ok(cron) = Cron::parse(text)
        {
            // Also one that never comes (30 February) is answered soon.
            let _ = Schedule::Cron(cron).next(NOW_S, &place);
        }
    });
}

#[test]
fn times_of_day() {
    let place = place();
    attack(2, 5_000, &[b"06:30", b"sunrise-30", b"sunset+120", b"23:59"], |input| {
        if let Ok(text) = std::str::from_utf8(input)
            && let Ok(at) = At::parse(text)
        {
            let _ = Schedule::Daily(at).next(NOW_S, &place);
        }
    });
}

#[test]
fn rules_as_json() {
    let rule = br#"{"name":"x","mode":"queued","triggers":[{"on":"state","entity":"a.b","above":3},{"on":"cron","when":"0 6 * * *"},
        {"on":"time","at":"sunset-15"},{"on":"webhook","id":"w"}],"conditions":[{"if":"any","of":[{"if":"state","entity":"a.b","is":true},
        {"if":"not","of":[{"if":"weekday","days":["mon"]}]}]}],"actions":[{"do":"command","entity":"a.b","command":"open","with":{"seconds":5}},
        {"do":"delay","seconds":1.5},{"do":"choose","when":[],"then":[{"do":"emit","event":"y"}]},{"do":"call","url":"/help"}]}"#;
    let small = br#"{"triggers":[{"on":"event","kind":"x*"}],"actions":[{"do":"scene","id":"s"}]}"#;
    attack(3, 5_000, &[rule, small], |input| {
        let Ok(rule) = serde_json::from_slice::<Rule>(input) else { return };
        if rule.check().is_ok() {
            let event = serde_json::json!({"event": "state", "entity": "a.b", "state": 5, "id": "w"});
            let _ = (rule.pulled_by(&event), rule.schedules());
        }
    });
}

//! A rule: when a trigger comes and the conditions hold, the actions run. Deciding is pure; each decision says why.

use crate::cron::Cron;
use crate::mode::Mode;
use crate::sun;
use crate::when::{At, Place, Schedule};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Actions of one rule, nested ones included, at most.
const MAX_STEPS: usize = 200;
/// How deep conditions and actions may nest.
const MAX_DEPTH: usize = 8;

/// A stored rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    #[serde(default)]
    pub name: String,
    #[serde(default = "yes")]
    pub enabled: bool,
    #[serde(default)]
    pub mode: Mode,
    pub triggers: Vec<Trigger>,
    /// All must hold.
    #[serde(default)]
    pub conditions: Vec<Condition>,
    pub actions: Vec<Action>,
}

fn yes() -> bool {
    true
}

/// What starts a rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "on", rename_all = "lowercase", deny_unknown_fields)]
pub enum Trigger {
    /// An entity's state changes: to a value, across a limit, or at all.
    State {
        entity: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<Value>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        above: Option<f64>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        below: Option<f64>,
    },
    /// An event of this kind whose fields are as in `with`.
    Event {
        kind: String,
        #[serde(default)]
        with: Map<String, Value>,
    },
    /// A local time, or the sun with an offset: `07:30`, `sunset-30`.
    Time {
        at: At,
    },
    Cron {
        when: Cron,
    },
    /// `POST /api/webhooks/{id}`.
    Webhook {
        id: String,
    },
}

/// What must be so.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "if", rename_all = "lowercase", deny_unknown_fields)]
pub enum Condition {
    State {
        entity: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        is: Option<Value>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        above: Option<f64>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        below: Option<f64>,
    },
    /// Local time within [after, before); over midnight when `after` is later.
    Time {
        after: At,
        before: At,
    },
    Sun {
        up: bool,
    },
    /// `mon` to `sun`.
    Weekday {
        days: Vec<String>,
    },
    Any {
        of: Vec<Condition>,
    },
    All {
        of: Vec<Condition>,
    },
    Not {
        of: Vec<Condition>,
    },
}

/// What is done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "lowercase", deny_unknown_fields)]
pub enum Action {
    Command {
        entity: String,
        command: String,
        #[serde(default)]
        with: Map<String, Value>,
    },
    /// A function of the table by its URL: `/dwn/n1/on?valve=a`.
    Call {
        url: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        method: Option<String>,
        #[serde(default)]
        body: Value,
    },
    Delay {
        seconds: f64,
    },
    Scene {
        id: String,
    },
    Script {
        id: String,
    },
    Emit {
        event: String,
        #[serde(default)]
        with: Map<String, Value>,
    },
    /// Goes on only while these hold.
    Check {
        conditions: Vec<Condition>,
    },
    Choose {
        when: Vec<Condition>,
        then: Vec<Action>,
        #[serde(default)]
        otherwise: Vec<Action>,
    },
}

/// What decisions are made on: the states at this moment.
pub trait Snapshot {
    /// The state of an entity as JSON; none when it is not known or cannot be reached.
    fn state(&self, entity: &str) -> Option<Value>;
}

/// A decision, and each step that led to it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Verdict {
    pub holds: bool,
    pub reasons: Vec<String>,
}

impl Rule {
    /// What is wrong with it, if anything.
    ///
    /// # Errors
    /// Where, and what.
    pub fn check(&self) -> Result<(), String> {
        if self.triggers.is_empty() || self.triggers.len() > 50 {
            return Err("triggers: 1 to 50 are needed".into());
        }
        if self.actions.is_empty() {
            return Err("actions: at least one is needed".into());
        }
        let mut steps = 0;
        check_conditions(&self.conditions, 0)?;
        check_actions(&self.actions, 0, &mut steps)
    }

    /// The schedules of its time triggers.
    pub fn schedules(&self) -> Vec<Schedule> {
        let schedule = |trigger: &Trigger| match trigger {
            Trigger::Time { at } => Some(Schedule::Daily(*at)),
            Trigger::Cron { when } => Some(Schedule::Cron(when.clone())),
            _ => None,
        };
        self.triggers.iter().filter_map(schedule).collect()
    }

    /// The first trigger that this event pulls, in words.
    pub fn pulled_by(&self, event: &Value) -> Option<String> {
        self.triggers.iter().find_map(|trigger| trigger.pulled_by(event))
    }
}

fn check_conditions(conditions: &[Condition], depth: usize) -> Result<(), String> {
    if depth > MAX_DEPTH {
        return Err(format!("conditions: nested deeper than {MAX_DEPTH}"));
    }
    for condition in conditions {
        match condition {
            Condition::Any { of } | Condition::All { of } | Condition::Not { of } => {
                check_conditions(of, depth + 1)?
            }
            Condition::Weekday { days } => {
                if let Some(day) = days.iter().find(|day| !WEEKDAYS.contains(&day.as_str())) {
                    return Err(format!("days: {day:?} is none of mon, tue, wed, thu, fri, sat, sun"));
                }
            }
            Condition::State { entity, is: None, above: None, below: None } => {
                return Err(format!("condition on {entity}: is, above or below is missing"));
            }
            _ => {}
        }
    }
    Ok(())
}

fn check_actions(actions: &[Action], depth: usize, steps: &mut usize) -> Result<(), String> {
    *steps += actions.len();
    if depth > MAX_DEPTH || *steps > MAX_STEPS {
        return Err(format!("actions: more than {MAX_STEPS}, or nested deeper than {MAX_DEPTH}"));
    }
    for action in actions {
        match action {
            Action::Delay { seconds } if !(0.0..=86_400.0).contains(seconds) => {
                return Err("delay: 0 to 86400 seconds".into());
            }
            Action::Call { url, .. } if !url.starts_with('/') => {
                return Err(format!("call: {url:?} must begin with /"));
            }
            Action::Check { conditions } => check_conditions(conditions, depth + 1)?,
            Action::Choose { when, then, otherwise } => {
                check_conditions(when, depth + 1)?;
                check_actions(then, depth + 1, steps)?;
                check_actions(otherwise, depth + 1, steps)?;
            }
            _ => {}
        }
    }
    Ok(())
}

impl Trigger {
    fn pulled_by(&self, event: &Value) -> Option<String> {
        match self {
            Trigger::State { entity, to, above, below } => {
                if event["event"] != "state" || event["entity"] != entity.as_str() {
                    return None;
                }
                let (new, old) = (&event["state"], &event["old"]);
                let crosses = |is_beyond: &dyn Fn(f64) -> bool| {
                    number(new).is_some_and(is_beyond) && !number(old).is_some_and(is_beyond)
                };
                let pulled = to.as_ref().is_none_or(|to| new == to)
                    && above.is_none_or(|limit| crosses(&|n| n > limit))
                    && below.is_none_or(|limit| crosses(&|n| n < limit));
                pulled.then(|| format!("{entity} changed from {old} to {new}"))
            }
            Trigger::Event { kind, with } => {
                let is_it =
                    event["event"] == kind.as_str() && with.iter().all(|(name, value)| event[name] == *value);
                is_it.then(|| format!("event {kind}"))
            }
            Trigger::Webhook { id } => {
                let is_it = event["event"] == "webhook" && event["id"] == id.as_str();
                is_it.then(|| format!("webhook {id}"))
            }
            Trigger::Time { .. } | Trigger::Cron { .. } => None,
        }
    }
}

fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_bool().map(|on| f64::from(u8::from(on))))
}

const WEEKDAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// Whether all conditions hold now, and why (not).
pub fn all_hold(conditions: &[Condition], states: &dyn Snapshot, now_s: i64, place: &Place) -> Verdict {
    let mut verdict = Verdict { holds: true, reasons: Vec::new() };
    for condition in conditions {
        let holds = condition.holds(states, now_s, place, &mut verdict.reasons);
        verdict.holds &= holds;
        if !holds {
            break;
        }
    }
    verdict
}

impl Condition {
    fn holds(&self, states: &dyn Snapshot, now_s: i64, place: &Place, reasons: &mut Vec<String>) -> bool {
        let (holds, reason) = match self {
            Condition::State { entity, is, above, below } => {
                let state = states.state(entity);
                let value = state.as_ref().and_then(number);
                let holds = state.is_some()
                    && is.as_ref().is_none_or(|is| state.as_ref() == Some(is))
                    && above.is_none_or(|limit| value.is_some_and(|v| v > limit))
                    && below.is_none_or(|limit| value.is_some_and(|v| v < limit));
                (holds, format!("{entity} is {}", state.map_or("not known".into(), |s| s.to_string())))
            }
            Condition::Time { after, before } => time_holds(*after, *before, now_s, place),
            Condition::Sun { up } => match place.coordinates {
                Some((latitude, longitude)) => {
                    let is_up = sun::is_up(now_s, latitude, longitude);
                    (is_up == *up, format!("the sun is {}", if is_up { "up" } else { "down" }))
                }
                None => (false, "the house has no coordinates".into()),
            },
            Condition::Weekday { days } => {
                let day =
                    Timestamp::from_second(now_s).ok().map(|t| t.to_zoned(place.zone.clone()).weekday());
                let name =
                    day.and_then(|d| WEEKDAYS.get(d.to_monday_zero_offset() as usize).copied()).unwrap_or("");
                (days.iter().any(|d| d == name), format!("it is {name}"))
            }
            Condition::Any { of } => {
                (of.iter().any(|c| c.holds(states, now_s, place, reasons)), "any".into())
            }
            Condition::All { of } => {
                (of.iter().all(|c| c.holds(states, now_s, place, reasons)), "all".into())
            }
            Condition::Not { of } => {
                (!of.iter().any(|c| c.holds(states, now_s, place, reasons)), "not".into())
            }
        };
        reasons.push(format!("{}: {reason}", if holds { "yes" } else { "no" }));
        holds
    }
}

fn time_holds(after: At, before: At, now_s: i64, place: &Place) -> (bool, String) {
    let Ok(now) = Timestamp::from_second(now_s).map(|t| t.to_zoned(place.zone.clone())) else {
        return (false, "the time makes no sense".into());
    };
    let moment = |at| Schedule::Daily(at).moments(now.date(), place).first().copied();
    let (Some(from), Some(to)) = (moment(after), moment(before)) else {
        return (false, "the sun does not rise or set today".into());
    };
    let holds = if from <= to { (from..to).contains(&now_s) } else { now_s >= from || now_s < to };
    (holds, format!("it is {}", now.strftime("%H:%M")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::tz::TimeZone;
    use serde_json::json;

    struct States(Value);
    impl Snapshot for States {
        fn state(&self, entity: &str) -> Option<Value> {
            self.0.get(entity).cloned()
        }
    }
    fn place() -> Place {
        Place { zone: TimeZone::UTC, coordinates: Some((51.5, 0.0)) }
    }
    fn rule(value: Value) -> Rule {
        serde_json::from_value(value).unwrap()
    }
    fn holds(conditions: Value, now_s: i64) -> Verdict {
        let conditions: Vec<Condition> = serde_json::from_value(conditions).unwrap();
        all_hold(&conditions, &States(json!({"lux": 50, "door": true})), now_s, &place())
    }

    #[test]
    fn a_limit_pulls_only_when_it_is_crossed() {
        let rule = rule(json!({"triggers": [{"on": "state", "entity": "t", "above": 25}],
                               "actions": [{"do": "delay", "seconds": 1}]}));
        let event = |old, new| json!({"event": "state", "entity": "t", "old": old, "state": new});
        assert!(rule.pulled_by(&event(json!(24), json!(26))).is_some());
        assert!(rule.pulled_by(&event(json!("unknown"), json!(26))).is_some());
        assert!(rule.pulled_by(&event(json!(26), json!(27))).is_none());
        assert!(rule.pulled_by(&event(json!(26), json!("unavailable"))).is_none());
    }

    #[test]
    fn events_pull_by_kind_and_fields() {
        let rule = rule(
            json!({"triggers": [{"on": "event", "kind": "dwn", "with": {"type": "new"}}, {"on": "webhook", "id": "w"}],
                               "actions": [{"do": "scene", "id": "s"}]}),
        );
        assert!(rule.pulled_by(&json!({"event": "dwn", "type": "new", "id": "x"})).is_some());
        assert!(rule.pulled_by(&json!({"event": "dwn", "type": "closed"})).is_none());
        assert!(rule.pulled_by(&json!({"event": "webhook", "id": "w"})).is_some());
    }

    #[test]
    fn a_verdict_says_why() {
        let verdict = holds(
            json!([{"if": "state", "entity": "lux", "below": 100}, {"if": "state", "entity": "gone", "is": 1}]),
            0,
        );
        assert!(!verdict.holds);
        assert_eq!(verdict.reasons, ["yes: lux is 50", "no: gone is not known"]);
    }

    #[test]
    fn conditions_combine() {
        let door = json!({"if": "state", "entity": "door", "is": true});
        let dark = json!({"if": "state", "entity": "lux", "below": 10});
        assert!(holds(json!([{"if": "any", "of": [dark, door]}]), 0).holds);
        assert!(!holds(json!([{"if": "all", "of": [dark, door]}]), 0).holds);
        assert!(holds(json!([{"if": "not", "of": [dark]}]), 0).holds);
    }

    #[test]
    fn a_time_window_may_span_midnight() {
        let night = json!([{"if": "time", "after": "22:00", "before": "06:00"}]);
        let at = |hour: i64| 1_790_035_200 / 86_400 * 86_400 + hour * 3_600;
        assert!(
            holds(night.clone(), at(23)).holds
                && holds(night.clone(), at(5)).holds
                && !holds(night, at(12)).holds
        );
        assert!(holds(json!([{"if": "sun", "up": true}]), at(12)).holds);
        assert!(!holds(json!([{"if": "sun", "up": true}]), at(0)).holds);
    }

    #[test]
    fn wrong_rules_are_refused_with_a_reason() {
        let ok = json!({"triggers": [{"on": "time", "at": "sunset-15"}], "actions": [{"do": "delay", "seconds": 1}]});
        assert_eq!(rule(ok.clone()).check(), Ok(()));
        let mut bad = ok.clone();
        bad["actions"][0]["seconds"] = json!(1e9);
        assert!(rule(bad).check().is_err());
        let mut deep = json!({"do": "delay", "seconds": 1});
        for _ in 0..20 {
            deep = json!({"do": "choose", "when": [], "then": [deep]});
        }
        let mut bad = ok.clone();
        bad["actions"] = json!([deep]);
        assert!(rule(bad).check().is_err());
        for (field, value) in [
            ("mode", json!("sometimes")),
            ("colour", json!(1)),
            ("triggers", json!([{"on": "cron", "when": "x"}])),
        ] {
            let mut bad = ok.clone();
            bad[field] = value;
            assert!(serde_json::from_value::<Rule>(bad).is_err(), "{field}");
        }
    }
}

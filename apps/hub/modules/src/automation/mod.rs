//! Automations: rules, scenes and scripts at work.
//!
//! Decisions are made in the crate `rules`; here events and minutes come in and actions go out. Each run leaves a trace that
//! says why it did, or did not, act.

mod functions;
mod interest;
mod run;
mod script;

pub(crate) use functions::check;

use crate::PlaceSettings;
use house::{BoxFuture, Delivery, Event, Filter, House, Module, Principal, Room};
use interest::Interest;
use rules::mode::Admission;
use rules::rule::{Snapshot, all_hold};
use rules::{Place, Rule};
use run::Outcome;
use script::Scripts;
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{MissedTickBehavior, interval};

/// Traces kept of each rule.
const TRACES: usize = 20;
/// A clock that jumped further than this did not pass the time between: what would have come in it does not come.
const LONGEST_CATCH_UP_S: i64 = 600;
/// Events that are looked at before time and people have their turn.
const BATCH: usize = 512;
/// Rules that cause each other for ever are stopped by this.
const RUNS_A_MINUTE: usize = 600;

/// What one run did and why.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Trace {
    /// Unix milliseconds.
    pub time: i64,
    pub cause: String,
    pub acted: bool,
    pub steps: Vec<String>,
}

/// The last traces of every rule.
#[derive(Clone, Debug, Default)]
pub(crate) struct Traces(Arc<Mutex<BTreeMap<String, VecDeque<Trace>>>>);

impl Traces {
    fn add(&self, rule: &str, trace: Trace) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let traces = all.entry(rule.to_string()).or_default();
        if traces.len() >= TRACES {
            traces.pop_front();
        }
        traces.push_back(trace);
    }
    /// Newest last.
    pub fn of(&self, rule: &str) -> Vec<Trace> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(rule).into_iter().flatten().cloned().collect()
    }
}

/// The states of the house for conditions.
pub(crate) struct States<'a>(pub &'a House);

impl Snapshot for States<'_> {
    fn state(&self, entity: &str) -> Option<Value> {
        self.0.look(|registry| registry.entity(entity)?.state.value().map(house::Value::to_json))
    }
}

/// The module.
#[derive(Debug)]
pub struct Automation {
    place: PlaceSettings,
}

impl Automation {
    /// A module for a house at this place.
    pub fn new(place: PlaceSettings) -> Automation {
        Automation { place }
    }
}

/// What the API asks of the module.
pub(crate) enum Request {
    /// Run a rule now, its conditions looked at or not.
    Run { id: String, skip_conditions: bool },
}

struct Engine {
    house: House,
    place: Place,
    rules: BTreeMap<String, Rule>,
    traces: Traces,
    runs: JoinSet<(String, Outcome)>,
    running: HashMap<String, Vec<AbortHandle>>,
    waiting: HashMap<String, VecDeque<String>>,
    scripts: Arc<Scripts>,
    /// Which events the rules look at; the others are not even parsed.
    interest: Interest,
    checked_s: i64,
    /// Runs started in this minute.
    started: (u64, usize),
}

impl Module for Automation {
    fn name(&self) -> &'static str {
        "automation"
    }

    fn run(self: Arc<Self>, room: Room) -> BoxFuture<'static, Result<(), String>> {
        Box::pin(async move {
            let house = room.house().clone();
            let (ask, mut asked) = mpsc::channel(64);
            let traces = Traces::default();
            let scripts = Arc::new(Scripts::new(house.clone()));
            let place = self.place.place();
            functions::register(&room, &ask, &traces, &scripts, &place);
            let mut events =
                house.bus().subscribe(Filter { patterns: Vec::new(), who: Principal::house() }, 16_384);
            let mut engine = Engine {
                checked_s: house.clock().now_ms().div_euclid(1000),
                house,
                place,
                rules: BTreeMap::new(),
                traces,
                runs: JoinSet::new(),
                running: HashMap::new(),
                waiting: HashMap::new(),
                scripts,
                interest: Interest::default(),
                started: (0, 0),
            };
            engine.read_rules();
            room.armed();
            let mut second = interval(Duration::from_secs(1));
            second.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    batch = events.next_batch(BATCH) => for delivery in batch {
                        match delivery {
                            Delivery::Event(event) if engine.wants(&event) => engine.event(&event.value()),
                            Delivery::Event(_) => {}
                            Delivery::Resync { missed } => {
                                tracing::warn!(missed, "automations missed events: too many at once");
                            }
                        }
                    },
                    _ = second.tick() => engine.pass_time(),
                    Some(Request::Run { id, skip_conditions }) = asked.recv() => {
                        engine.trigger(&id, "asked by a person", skip_conditions);
                    }
                    Some(ended) = engine.runs.join_next() => match ended {
                        Ok((id, outcome)) => engine.ended(&id, outcome),
                        Err(error) if error.is_panic() => return Err(format!("a run panicked: {error}")),
                        Err(_) => {}
                    },
                }
            }
        })
    }
}

impl Engine {
    fn read_rules(&mut self) {
        self.rules.clear();
        for (id, value) in self.house.definitions("rules") {
            match serde_json::from_value::<Rule>(value)
                .map_err(|e| e.to_string())
                .and_then(|rule| rule.check().map(|()| rule))
            {
                Ok(rule) => {
                    self.rules.insert(id, rule);
                }
                Err(reason) => tracing::error!(rule = id, reason, "a rule makes no sense and does not run"),
            }
        }
        self.scripts.read();
        self.interest = Interest::default();
        for trigger in self.rules.values().filter(|rule| rule.enabled).flat_map(|rule| &rule.triggers) {
            self.interest.add(trigger);
        }
    }

    /// Whether any rule or script, or the engine itself, has to look at this event.
    fn wants(&self, event: &Event) -> bool {
        event.kind == "changed" || self.interest.takes(event) || self.scripts.want_events()
    }

    fn event(&mut self, event: &Value) {
        if event["event"] == "changed" && ["rules", "scripts"].iter().any(|s| event["space"] == *s) {
            self.read_rules();
        }
        let pulled: Vec<(String, String)> = self
            .rules
            .iter()
            .filter(|(_, rule)| rule.enabled)
            .filter_map(|(id, rule)| Some((id.clone(), rule.pulled_by(event)?)))
            .collect();
        for (id, cause) in pulled {
            self.trigger(&id, &cause, false);
        }
        self.scripts.event(event);
    }

    /// Time triggers of the seconds since the last look.
    fn pass_time(&mut self) {
        let now_s = self.house.clock().now_ms().div_euclid(1000);
        if !self.house.clock().is_plausible() {
            // They wait; the health page says so. What came meanwhile is not made up for.
            self.checked_s = now_s;
            return;
        }
        let passed_s = now_s - self.checked_s;
        if !(0..=LONGEST_CATCH_UP_S).contains(&passed_s) && !(-LONGEST_CATCH_UP_S..0).contains(&passed_s) {
            tracing::warn!(by_s = passed_s, "the clock was set; times between are passed over");
            self.checked_s = now_s;
            return;
        }
        if passed_s <= 0 {
            // Set back a little: wait until it is past what was seen, so that nothing comes twice.
            return;
        }
        let due: Vec<String> = self
            .rules
            .iter()
            .filter(|(_, rule)| rule.enabled)
            .filter(|(_, rule)| {
                rule.schedules().iter().any(|s| !s.between(self.checked_s, now_s, &self.place).is_empty())
            })
            .map(|(id, _)| id.clone())
            .collect();
        self.checked_s = now_s;
        for id in due {
            self.trigger(&id, "its time has come", false);
        }
    }

    fn trace(&self, id: &str, cause: &str, acted: bool, steps: Vec<String>) {
        let time = self.house.clock().now_ms();
        self.traces.add(id, Trace { time, cause: cause.into(), acted, steps });
    }

    fn trigger(&mut self, id: &str, cause: &str, skip_conditions: bool) {
        let waiting = self.waiting.get(id).map_or(0, VecDeque::len);
        self.begin(id, cause, skip_conditions, waiting);
    }

    /// Starts a run if conditions and mode allow it; `waiting` others are before it in the queue.
    fn begin(&mut self, id: &str, cause: &str, skip_conditions: bool, waiting: usize) {
        let Some(rule) = self.rules.get(id).cloned() else { return };
        let minute = self.house.clock().monotonic_ms() / 60_000;
        if self.started.0 != minute {
            self.started = (minute, 0);
        }
        if self.started.1 >= RUNS_A_MINUTE {
            return self.trace(
                id,
                cause,
                false,
                vec!["too many runs in this minute: do rules cause each other?".into()],
            );
        }
        let now_s = self.house.clock().now_ms().div_euclid(1000);
        let mut reasons = Vec::new();
        if !skip_conditions {
            let verdict = all_hold(&rule.conditions, &States(&self.house), now_s, &self.place);
            reasons = verdict.reasons;
            if !verdict.holds {
                return self.trace(id, cause, false, reasons);
            }
        }
        let running = self.running.get(id).map_or(0, Vec::len);
        match rule.mode.admit(running, waiting) {
            Admission::Drop(reason) => {
                reasons.push(reason.into());
                return self.trace(id, cause, false, reasons);
            }
            Admission::Wait => {
                self.waiting.entry(id.to_string()).or_default().push_back(cause.to_string());
                return;
            }
            Admission::Replace => {
                self.running.remove(id).into_iter().flatten().for_each(|run| run.abort());
                reasons.push("the run before was ended (mode restart)".into());
            }
            Admission::Start => {}
        }
        self.started.1 += 1;
        // What the configuration says is the house's own will; what was made in the API may what a resident may, who made it.
        let who = match self.house.is_fixed("rules", id) {
            true => Principal::house(),
            false => Principal::automation(),
        };
        let run = run::Run {
            who,
            house: self.house.clone(),
            place: self.place.clone(),
            scripts: self.scripts.clone(),
            cause: cause.to_string(),
            reasons,
        };
        let name = id.to_string();
        let handle = self.runs.spawn(async move { (name, run.perform(rule.actions).await) });
        self.running.entry(id.to_string()).or_default().push(handle);
    }

    fn ended(&mut self, id: &str, outcome: Outcome) {
        if let Some(runs) = self.running.get_mut(id) {
            runs.retain(|run| !run.is_finished());
            if runs.is_empty() {
                self.running.remove(id);
            }
        }
        self.trace(id, &outcome.cause, true, outcome.steps);
        // The next of the queue; one whose conditions no longer hold makes room for the one after it.
        while !self.running.contains_key(id) {
            let Some(cause) = self.waiting.get_mut(id).and_then(VecDeque::pop_front) else { break };
            self.begin(id, &cause, false, 0);
        }
    }
}

//! The engine: one run at a time, its zones one after another, the next run waiting in the queue.

use crate::LONGEST_OPENING_S;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Runs that wait at most.
const QUEUE: usize = 32;
/// Zones of one run at most.
pub const MAX_ZONES: usize = 100;

/// A valve and how long.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Zone {
    /// The valve's entity id.
    pub valve: String,
    pub seconds: u32,
}

/// What happens to a run that comes while another runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Overlap {
    #[default]
    Queue,
    /// It does not happen.
    Skip,
    /// It takes the other's place.
    Replace,
}

/// A program's (or a sequence's) run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// The program's id, or `sequence/...`.
    pub id: String,
    pub zones: VecDeque<Zone>,
    #[serde(default)]
    pub overlap: Overlap,
}

/// What the engine is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    Start(Run),
    Pause,
    Resume,
    /// End the present zone.
    Skip,
    /// End the run of this id, running or waiting; `None` ends all.
    Stop(Option<String>),
    /// A valve could not be opened, or somebody else shut it.
    Failed(String),
    Tick,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    Open {
        valve: String,
        seconds: u32,
    },
    Shut {
        valve: String,
    },
    /// To be told: run and what happened to it.
    Tell {
        run: String,
        what: &'static str,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Active {
    run: Run,
    /// Of the zone at the front: milliseconds that are left.
    left_ms: u64,
    is_open: bool,
    /// Monotonic time of the last step.
    at_ms: u64,
    /// When the present opening ends at the valve.
    opening_ends_ms: u64,
}

/// The state of the irrigation.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Engine {
    active: Option<Active>,
    queue: VecDeque<Run>,
    is_paused: bool,
}

impl Engine {
    /// Takes one input; `now_ms` is monotonic.
    pub fn step(&mut self, now_ms: u64, input: Input) -> Vec<Action> {
        let mut actions = Vec::new();
        self.pass_time(now_ms);
        match input {
            Input::Start(run) => self.start(run, &mut actions),
            Input::Pause => {
                self.is_paused = true;
                self.shut(&mut actions);
            }
            Input::Resume => self.is_paused = false,
            Input::Skip => self.end_zone(&mut actions),
            Input::Stop(None) => {
                self.queue.clear();
                self.end_run("stopped", &mut actions);
            }
            Input::Stop(Some(id)) => {
                self.queue.retain(|run| run.id != id);
                if self.active.as_ref().is_some_and(|a| a.run.id == id) {
                    self.end_run("stopped", &mut actions);
                }
            }
            Input::Failed(valve) => {
                let is_present = |a: &Active| a.run.zones.front().is_some_and(|z| z.valve == valve);
                if let Some(active) = self.active.as_mut().filter(|a| is_present(a)) {
                    active.is_open = false;
                    active.left_ms = 0;
                    actions.push(Action::Tell { run: active.run.id.clone(), what: "zone failed" });
                }
            }
            Input::Tick => {}
        }
        self.go_on(now_ms, &mut actions);
        actions
    }

    /// The runs that are under way or wait; of the first one, the zones that are left.
    pub fn runs(&self) -> impl Iterator<Item = &Run> {
        self.active.iter().map(|active| &active.run).chain(&self.queue)
    }

    /// The run that is under way.
    pub fn active(&self) -> Option<&Run> {
        self.active.as_ref().map(|active| &active.run)
    }

    /// What somebody sees to whom only some runs are to be shown.
    pub fn shown(&self, is_shown: impl Fn(&Run) -> bool) -> Engine {
        let active = self.active.clone().filter(|active| is_shown(&active.run));
        let queue = self.queue.iter().filter(|run| is_shown(run)).cloned().collect();
        Engine { active, queue, is_paused: self.is_paused }
    }

    /// When the next tick is needed, in the time of [`Engine::step`].
    pub fn next_ms(&self) -> Option<u64> {
        let active = self.active.as_ref().filter(|_| !self.is_paused)?;
        Some((active.at_ms + active.left_ms).min(active.opening_ends_ms))
    }

    /// Whether this valve is open because of a run.
    pub fn is_watering(&self, valve: &str) -> bool {
        self.active
            .as_ref()
            .is_some_and(|a| a.is_open && a.run.zones.front().is_some_and(|z| z.valve == valve))
    }

    fn pass_time(&mut self, now_ms: u64) {
        if let Some(active) = &mut self.active {
            if active.is_open {
                active.left_ms = active.left_ms.saturating_sub(now_ms.saturating_sub(active.at_ms));
            }
            active.at_ms = now_ms;
        }
    }

    fn start(&mut self, run: Run, actions: &mut Vec<Action>) {
        let tell = |what| Action::Tell { run: run.id.clone(), what };
        let is_busy = self.active.is_some();
        match run.overlap {
            _ if run.zones.is_empty() || run.zones.len() > MAX_ZONES => actions.push(tell("refused")),
            Overlap::Skip if is_busy => actions.push(tell("skipped")),
            Overlap::Replace if is_busy => {
                self.end_run("replaced", actions);
                self.queue.push_front(run);
            }
            _ if self.queue.len() >= QUEUE => actions.push(tell("refused")),
            _ => {
                if is_busy {
                    actions.push(tell("queued"));
                }
                self.queue.push_back(run);
            }
        }
    }

    fn shut(&mut self, actions: &mut Vec<Action>) {
        if let Some(active) = &mut self.active
            && std::mem::take(&mut active.is_open)
            && let Some(zone) = active.run.zones.front()
        {
            actions.push(Action::Shut { valve: zone.valve.clone() });
        }
    }

    fn end_zone(&mut self, actions: &mut Vec<Action>) {
        self.shut(actions);
        if let Some(active) = &mut self.active {
            active.run.zones.pop_front();
            active.left_ms = active.run.zones.front().map_or(0, |zone| u64::from(zone.seconds) * 1000);
        }
    }

    fn end_run(&mut self, what: &'static str, actions: &mut Vec<Action>) {
        self.shut(actions);
        if let Some(active) = self.active.take() {
            actions.push(Action::Tell { run: active.run.id, what });
        }
    }

    /// Brings the valves to where the state says they should be.
    fn go_on(&mut self, now_ms: u64, actions: &mut Vec<Action>) {
        while !self.is_paused {
            let Some(active) = &mut self.active else {
                let Some(run) = self.queue.pop_front() else { return };
                actions.push(Action::Tell { run: run.id.clone(), what: "started" });
                let left_ms = run.zones.front().map_or(0, |zone| u64::from(zone.seconds) * 1000);
                self.active =
                    Some(Active { run, left_ms, is_open: false, at_ms: now_ms, opening_ends_ms: now_ms });
                continue;
            };
            if active.run.zones.is_empty() {
                self.end_run("finished", actions);
            } else if active.left_ms == 0 {
                self.end_zone(actions);
            } else if !active.is_open || now_ms >= active.opening_ends_ms {
                let Some(zone) = active.run.zones.front() else { return };
                let seconds = (active.left_ms.div_ceil(1000) as u32).min(LONGEST_OPENING_S);
                actions.push(Action::Open { valve: zone.valve.clone(), seconds });
                active.is_open = true;
                // A little before the valve's own end, so that a long zone has no gap.
                let lasts_ms = u64::from(seconds) * 1000;
                let margin_ms = if active.left_ms > lasts_ms { 5_000 } else { 0 };
                active.opening_ends_ms = now_ms + lasts_ms - margin_ms;
                return;
            } else {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn run(id: &str, zones: &[(&str, u32)]) -> Run {
        let zones = zones
            .iter()
            .map(|(valve, seconds)| Zone { valve: valve.to_string(), seconds: *seconds })
            .collect();
        Run { id: id.into(), zones, overlap: Overlap::Queue }
    }
    fn open(valve: &str, seconds: u32) -> Action {
        Action::Open { valve: valve.into(), seconds }
    }
    fn shut(valve: &str) -> Action {
        Action::Shut { valve: valve.into() }
    }
    fn tell(run: &str, what: &'static str) -> Action {
        Action::Tell { run: run.into(), what }
    }

    #[test]
    fn zones_run_in_order_and_then_all_is_shut() {
        let mut engine = Engine::default();
        let actions = engine.step(0, Input::Start(run("p", &[("a", 3), ("b", 6)])));
        assert_eq!(actions, [tell("p", "started"), open("a", 3)]);
        assert_eq!(engine.step(2_999, Input::Tick), []);
        assert_eq!(engine.step(3_000, Input::Tick), [shut("a"), open("b", 6)]);
        assert_eq!(engine.step(9_000, Input::Tick), [shut("b"), tell("p", "finished")]);
        assert_eq!(engine.next_ms(), None);
    }

    #[test]
    fn a_pause_shuts_and_what_was_left_runs_after_it() {
        let mut engine = Engine::default();
        engine.step(0, Input::Start(run("p", &[("a", 60)])));
        assert_eq!(engine.step(20_000, Input::Pause), [shut("a")]);
        assert_eq!(engine.step(500_000, Input::Tick), []);
        assert_eq!(engine.step(600_000, Input::Resume), [open("a", 40)]);
        assert_eq!(engine.step(640_000, Input::Tick), [shut("a"), tell("p", "finished")]);
    }

    #[test]
    fn a_zone_longer_than_the_node_allows_is_opened_again_in_time() {
        let mut engine = Engine::default();
        let actions = engine.step(0, Input::Start(run("p", &[("a", 2_400)])));
        assert_eq!(actions[1], open("a", 1_800));
        let again_ms = engine.next_ms().unwrap();
        assert_eq!(again_ms, 1_795_000);
        assert_eq!(engine.step(again_ms, Input::Tick), [open("a", 605)]);
        assert_eq!(engine.step(2_400_000, Input::Tick)[0], shut("a"));
    }

    #[test]
    fn overlapping_runs_wait_are_skipped_or_replace() {
        let mut engine = Engine::default();
        engine.step(0, Input::Start(run("p", &[("a", 10)])));
        assert_eq!(engine.step(1, Input::Start(run("q", &[("b", 10)]))), [tell("q", "queued")]);
        let skip = Run { overlap: Overlap::Skip, ..run("r", &[("c", 1)]) };
        assert_eq!(engine.step(2, Input::Start(skip)), [tell("r", "skipped")]);
        let replace = Run { overlap: Overlap::Replace, ..run("s", &[("d", 1)]) };
        let actions = engine.step(3, Input::Start(replace));
        assert_eq!(actions, [shut("a"), tell("p", "replaced"), tell("s", "started"), open("d", 1)]);
        let actions = engine.step(1_003, Input::Tick);
        assert_eq!(actions[2..], [tell("q", "started"), open("b", 10)]);
        assert_eq!(engine.step(1_004, Input::Stop(None)), [shut("b"), tell("q", "stopped")]);
    }

    #[test]
    fn a_zone_that_fails_is_passed_over() {
        let mut engine = Engine::default();
        engine.step(0, Input::Start(run("p", &[("a", 10), ("b", 10)])));
        let actions = engine.step(5, Input::Failed("a".into()));
        assert_eq!(actions, [tell("p", "zone failed"), open("b", 10)]);
        assert_eq!(engine.step(6, Input::Failed("a".into())), []);
        assert_eq!(engine.step(7, Input::Skip), [shut("b"), tell("p", "finished")]);
    }

    proptest! {
        #[test]
        fn whatever_happens_at_most_one_valve_is_open(steps in proptest::collection::vec((0u64..5_000, 0u8..8), 1..200)) {
            let mut engine = Engine::default();
            let mut opened: Option<String> = None;
            let mut now_ms = 0;
            for (wait_ms, what) in steps {
                now_ms += wait_ms;
                let input = match what {
                    0 => Input::Start(run("p", &[("a", 2), ("b", 1)])),
                    1 => Input::Start(Run { overlap: Overlap::Replace, ..run("q", &[("c", 3)]) }),
                    2 => Input::Pause,
                    3 => Input::Resume,
                    4 => Input::Skip,
                    5 => Input::Stop(Some("p".into())),
                    _ => Input::Tick,
                };
                for action in engine.step(now_ms, input) {
                    match action {
                        Action::Open { valve, seconds } => {
                            prop_assert!(seconds > 0 && opened.as_ref().is_none_or(|o| *o == valve));
                            opened = Some(valve);
                        }
                        Action::Shut { valve } => {
                            prop_assert_eq!(opened.take(), Some(valve));
                        }
                        Action::Tell { .. } => {}
                    }
                }
            }
            engine.step(now_ms, Input::Stop(None)).iter().for_each(|a| if matches!(a, Action::Shut { .. }) { opened = None; });
            prop_assert_eq!(opened, None);
        }
    }
}

//! The irrigation controller: four 24 VAC valves, and the rules that hold whatever the hub says.
//!
//! A portable core without I/O: a board or the simulator feeds [`Controller::step`] with the time and what happened, and
//! sets its relays as the answer says.
//!
//! Invariants, in order of weight:
//! 1. Every valve is shut when the controller starts (boot, watchdog reset): [`Controller::new`] has none open.
//! 2. At most one valve is open. Opening one shuts the others first.
//! 3. An open valve shuts by itself after the node's limit (30 minutes), or sooner when the opening said so (v2).
//! 4. Opening the valve that is already open starts its time anew only when the hub says so by another opening; nothing
//!    else prolongs it.
//!
//! Sequences are the hub's business. Neighbours: `wire::irrigation` has the bytes.
#![no_std]
#![forbid(unsafe_code)]

use wire::irrigation::{Command, NODE_LIMIT_MS, Report, Valve};

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// Time has passed. Must come at least once a second, so that limits hold.
    Tick,
    /// A hub has connected and wants to know.
    Connected,
    /// A hub commands.
    Command(Command),
}

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Output {
    /// The relays: bit i is valve i+1. All other valves are de-energised.
    pub relays: u8,
    /// What to tell the hub, if it listens.
    pub report: Option<Report>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Open {
    valve: Valve,
    since_ms: u64,
    for_ms: u64,
}

/// The state of the four valves.
#[derive(Clone, Debug)]
pub struct Controller {
    open: Option<Open>,
    limit_ms: u64,
}

impl Default for Controller {
    fn default() -> Self {
        Controller::new(NODE_LIMIT_MS)
    }
}

impl Controller {
    /// A controller that has just booted: every valve shut. `limit_ms` is [`NODE_LIMIT_MS`] on a board; simulations shorten it.
    pub fn new(limit_ms: u64) -> Controller {
        Controller { open: None, limit_ms }
    }

    /// Takes one input. `now_ms` is monotonic since boot.
    pub fn step(&mut self, now_ms: u64, input: Input) -> Output {
        let before = self.mask();
        if self.open.is_some_and(|open| now_ms.saturating_sub(open.since_ms) >= open.for_ms) {
            self.open = None;
        }
        match input {
            Input::Command(Command::Open { valve, seconds }) => {
                let asked_ms = seconds.map_or(self.limit_ms, |s| u64::from(s) * 1_000);
                let for_ms = asked_ms.min(self.limit_ms);
                self.open = (for_ms > 0).then_some(Open { valve, since_ms: now_ms, for_ms });
            }
            Input::Command(Command::Shut(valve)) if self.open.is_some_and(|open| open.valve == valve) => {
                self.open = None;
            }
            Input::Command(Command::ShutAll) => self.open = None,
            Input::Command(Command::Shut(_)) | Input::Tick | Input::Connected => {}
        }
        let relays = self.mask();
        let report = if relays != before {
            Some(Report::Changed { mask: relays })
        } else if input == Input::Connected || matches!(input, Input::Command(_)) {
            Some(Report::Status { mask: relays })
        } else {
            None
        };
        Output { relays, report }
    }

    /// The open valves, as the reports have them.
    pub fn mask(&self) -> u8 {
        self.open.map_or(0, |open| open.valve.bit())
    }

    /// When the open valve will shut by itself, in the time of [`Controller::step`].
    pub fn deadline_ms(&self) -> Option<u64> {
        self.open.map(|open| open.since_ms.saturating_add(open.for_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn valve(letter: char) -> Valve {
        Valve::from_letter(letter).unwrap()
    }
    fn open(letter: char, seconds: Option<u16>) -> Input {
        Input::Command(Command::Open { valve: valve(letter), seconds })
    }

    #[test]
    fn every_valve_is_shut_at_boot() {
        assert_eq!(Controller::default().step(0, Input::Tick), Output { relays: 0, report: None });
    }

    #[test]
    fn opening_one_valve_shuts_the_others() {
        let mut node = Controller::default();
        assert_eq!(node.step(0, open('a', None)).relays, 0b0001);
        let out = node.step(10, open('c', None));
        assert_eq!(out, Output { relays: 0b0100, report: Some(Report::Changed { mask: 0b0100 }) });
    }

    #[test]
    fn a_valve_shuts_itself_after_thirty_minutes() {
        let mut node = Controller::default();
        node.step(1_000, open('b', None));
        assert_eq!(node.step(1_000 + NODE_LIMIT_MS - 1, Input::Tick).relays, 0b0010);
        let out = node.step(1_000 + NODE_LIMIT_MS, Input::Tick);
        assert_eq!(out, Output { relays: 0, report: Some(Report::Changed { mask: 0 }) });
    }

    #[test]
    fn a_duration_travels_with_the_command_and_cannot_exceed_the_limit() {
        let mut node = Controller::default();
        node.step(0, open('a', Some(60)));
        assert_eq!(node.deadline_ms(), Some(60_000));
        assert_eq!(node.step(60_000, Input::Tick).relays, 0);
        node.step(60_000, open('a', Some(u16::MAX)));
        assert_eq!(node.deadline_ms(), Some(60_000 + NODE_LIMIT_MS));
        assert_eq!(node.step(61_000, open('a', Some(0))).relays, 0);
    }

    #[test]
    fn a_command_always_gets_a_report_so_that_the_hub_knows() {
        let mut node = Controller::default();
        let out = node.step(0, Input::Command(Command::ShutAll));
        assert_eq!(out.report, Some(Report::Status { mask: 0 }));
        node.step(0, open('a', None));
        assert_eq!(node.step(1, Input::Command(Command::Shut(valve('b')))).relays, 0b0001);
        assert_eq!(node.step(2, Input::Connected).report, Some(Report::Status { mask: 1 }));
        assert_eq!(node.step(3, Input::Tick).report, None);
    }
}

//! The guard: deadlines of open valves, across restarts of the hub and of the machine.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// After an opening, reports of before it may still arrive: for this long "shut" does not end the deadline.
const SETTLE_MS: u64 = 5_000;
/// A shut that had no effect is repeated after this.
const REPEAT_MS: u64 = 2_000;

/// When an open valve must be shut. It is on disk before the valve opens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deadline {
    /// Names the boot of the machine for which `until_boot_ms` counts.
    pub boot_id: String,
    pub until_boot_ms: i64,
    /// The same moment by the wall clock, for when the machine has rebooted. 0 when the clock was implausible.
    pub until_wall_ms: i64,
    pub seconds: u32,
}

/// The clocks at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Now<'a> {
    pub boot_id: &'a str,
    pub boot_ms: i64,
    pub wall_ms: i64,
    pub is_plausible: bool,
    /// Monotonic milliseconds of this run.
    pub monotonic_ms: u64,
}

impl Deadline {
    /// A deadline so many seconds from now.
    pub fn new(now: &Now, seconds: u32) -> Deadline {
        let ms = i64::from(seconds) * 1000;
        Deadline {
            boot_id: now.boot_id.to_string(),
            until_boot_ms: now.boot_ms + ms,
            until_wall_ms: if now.is_plausible { now.wall_ms + ms } else { 0 },
            seconds,
        }
    }

    /// Milliseconds left; 0 when it is over or nobody can know.
    pub fn left_ms(&self, now: &Now) -> i64 {
        let whole_ms = i64::from(self.seconds) * 1000;
        let left_ms = if !self.boot_id.is_empty() && self.boot_id == now.boot_id {
            self.until_boot_ms - now.boot_ms
        } else if now.is_plausible && self.until_wall_ms > 0 {
            self.until_wall_ms - now.wall_ms
        } else {
            0
        };
        // More than the whole means that the clock was set back while the machine was off.
        if (0..=whole_ms).contains(&left_ms) { left_ms } else { 0 }
    }
}

/// What a valve's state is to the guard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    Open,
    Shut,
    /// Reachable, not reported yet.
    Unknown,
    Unreachable,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Shut this valve now.
    Shut(String),
    /// The deadline is served: forget it.
    Forget(String),
}

#[derive(Clone, Debug)]
struct Watched {
    deadline: Option<Deadline>,
    seen: Seen,
    /// Monotonic time of the opening (or of the start of the hub).
    since_ms: u64,
    shut_at_ms: Option<u64>,
}

/// All valves that are open, may be open, or have a deadline.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    valves: BTreeMap<String, Watched>,
}

impl Guard {
    /// A deadline: of an opening that is about to happen, or of an earlier run.
    pub fn arm(&mut self, valve: &str, deadline: Deadline, now_ms: u64, is_restored: bool) {
        let since_ms = if is_restored { now_ms.saturating_sub(SETTLE_MS) } else { now_ms };
        let seen = self.valves.get(valve).map_or(Seen::Unreachable, |w| w.seen);
        let watched = Watched { deadline: Some(deadline), seen, since_ms, shut_at_ms: None };
        self.valves.insert(valve.to_string(), watched);
    }

    /// What a valve is said to be.
    pub fn see(&mut self, valve: &str, seen: Seen, now_ms: u64) {
        match self.valves.get_mut(valve) {
            Some(watched) => {
                // A device that came back gets its order at once, not when the repetition is due.
                if watched.seen == Seen::Unreachable {
                    watched.shut_at_ms = None;
                }
                watched.seen = seen;
            }
            None if seen == Seen::Open => {
                let watched = Watched { deadline: None, seen, since_ms: now_ms, shut_at_ms: None };
                self.valves.insert(valve.to_string(), watched);
            }
            None => {}
        }
    }

    /// Whether there is anything to watch.
    pub fn is_idle(&self) -> bool {
        self.valves.is_empty()
    }

    /// The deadline of a valve.
    pub fn deadline(&self, valve: &str) -> Option<&Deadline> {
        self.valves.get(valve)?.deadline.as_ref()
    }

    /// Decides. Valves that have nothing to fear are no longer watched.
    pub fn check(&mut self, now: &Now) -> Vec<Verdict> {
        let mut verdicts = Vec::new();
        self.valves.retain(|valve, watched| {
            let age_ms = now.monotonic_ms.saturating_sub(watched.since_ms);
            let is_over = watched.deadline.as_ref().is_none_or(|d| d.left_ms(now) == 0);
            if watched.seen == Seen::Shut && (age_ms >= SETTLE_MS || is_over) {
                if watched.deadline.is_some() {
                    verdicts.push(Verdict::Forget(valve.clone()));
                }
                return false;
            }
            let may_repeat =
                watched.shut_at_ms.is_none_or(|at| now.monotonic_ms.saturating_sub(at) >= REPEAT_MS);
            if is_over && watched.seen != Seen::Unreachable && may_repeat {
                watched.shut_at_ms = Some(now.monotonic_ms);
                verdicts.push(Verdict::Shut(valve.clone()));
            }
            true
        });
        verdicts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now(boot_ms: i64) -> Now<'static> {
        let wall_ms = 1_790_000_000_000 + boot_ms;
        Now { boot_id: "b1", boot_ms, wall_ms, is_plausible: true, monotonic_ms: boot_ms as u64 }
    }
    fn shut() -> Vec<Verdict> {
        vec![Verdict::Shut("v".into())]
    }

    #[test]
    fn an_open_valve_is_shut_at_its_deadline_again_and_again_until_it_reports() {
        let mut guard = Guard::default();
        guard.arm("v", Deadline::new(&now(0), 60), 0, false);
        guard.see("v", Seen::Open, 100);
        assert_eq!(guard.check(&now(59_999)), []);
        assert_eq!(guard.check(&now(60_000)), shut());
        assert_eq!(guard.check(&now(60_100)), []);
        assert_eq!(guard.check(&now(62_000)), shut());
        guard.see("v", Seen::Shut, 62_100);
        assert_eq!(guard.check(&now(62_100)), [Verdict::Forget("v".into())]);
        assert!(guard.is_idle());
    }

    #[test]
    fn a_report_from_before_the_opening_does_not_end_the_deadline() {
        let mut guard = Guard::default();
        guard.arm("v", Deadline::new(&now(0), 60), 0, false);
        guard.see("v", Seen::Shut, 10);
        assert_eq!(guard.check(&now(10)), []);
        guard.see("v", Seen::Open, 20);
        assert_eq!(guard.check(&now(60_000)), shut());
    }

    #[test]
    fn a_valve_that_opened_without_a_deadline_is_shut() {
        let mut guard = Guard::default();
        guard.see("v", Seen::Open, 0);
        assert_eq!(guard.check(&now(0)), shut());
    }

    #[test]
    fn a_valve_that_was_out_of_reach_is_shut_as_soon_as_it_is_back() {
        let mut guard = Guard::default();
        guard.arm("v", Deadline::new(&now(0), 60), 0, true);
        guard.see("v", Seen::Unreachable, 1);
        assert_eq!(guard.check(&now(600_000)), []);
        guard.see("v", Seen::Unknown, 600_001);
        assert_eq!(guard.check(&now(600_001)), shut());
    }

    #[test]
    fn the_time_left_survives_a_restart_a_reboot_and_a_wrong_clock() {
        let deadline = Deadline::new(&now(1_000), 60);
        assert_eq!(deadline.left_ms(&now(31_000)), 30_000);
        // The wall clock jumps; the boot clock does not.
        assert_eq!(deadline.left_ms(&Now { wall_ms: 0, is_plausible: false, ..now(31_000) }), 30_000);
        // Rebooted: the wall clock tells.
        let rebooted = Now { boot_id: "b2", boot_ms: 10, ..now(41_000) };
        assert_eq!(deadline.left_ms(&rebooted), 20_000.max(deadline.until_wall_ms - rebooted.wall_ms));
        // Rebooted without a clock, or with one that was set back: nobody knows, so nothing is left.
        assert_eq!(deadline.left_ms(&Now { is_plausible: false, ..rebooted.clone() }), 0);
        assert_eq!(deadline.left_ms(&Now { wall_ms: rebooted.wall_ms - 86_400_000, ..rebooted }), 0);
        // A kernel that does not name its boots.
        let unnamed = Now { boot_id: "", ..now(0) };
        assert_eq!(Deadline::new(&unnamed, 60).left_ms(&Now { is_plausible: false, ..unnamed }), 0);
    }
}

//! Backwards in time: travelling to a cycle, and searching for the last stop before one.

use crate::debugger::{Debugger, Progress, Stopped};
use crate::drive::{AnyStop, Task};
use soc_machine::Stop;

/// A search backwards: one segment between snapshots after the other, each run forwards.
pub(crate) struct Search {
    /// Where it began.
    pub origin: u64,
    /// What is looked at now ends here; all behind it has been looked at.
    end: u64,
    /// Where the segment begins, once it has been entered.
    segment: Option<u64>,
    /// The last hit in the segment so far.
    best: Option<(u64, Stopped)>,
}

impl Search {
    pub fn new(origin: u64) -> Self {
        Self { origin, end: origin, segment: None, best: None }
    }
}

impl Debugger {
    /// A travel to a cycle: from the best snapshot, which may lie in the known future.
    pub(crate) fn travel(&mut self, to: u64, then: Stopped) -> Task {
        let now = self.machine.cpu().cycle();
        if to < now || self.timeline.snapshot_before(to) > now {
            self.timeline.restore_before(&mut self.machine, to);
        }
        Task::Travel { from: self.machine.cpu().cycle(), to, then }
    }

    /// Goes to a cycle at once; for short ways.
    pub(crate) fn return_to(&mut self, cycle: u64) {
        if let Task::Travel { to, .. } = self.travel(cycle, Stopped::Done) {
            self.run_blindly(to);
        }
    }

    /// Runs to a cycle past every reason to stop. Ends early only where the machine is off for good.
    fn run_blindly(&mut self, to: u64) {
        loop {
            self.timeline.apply_due(&mut self.machine);
            let now = self.machine.cpu().cycle();
            if now >= to {
                break;
            }
            let mut until = to.min(self.timeline.next_snapshot(now).max(now + 1));
            if let Some(input) = self.timeline.next_input() {
                until = until.min(input);
            }
            let stop = self.machine.run(until);
            if stop == Stop::Asleep {
                self.machine.pass(until);
            }
            self.collect_output();
            self.timeline.take_snapshot(&mut self.machine);
            if matches!(stop, Stop::Off(_)) && self.machine.cpu().cycle() == now {
                break;
            }
        }
    }

    pub(crate) fn advance_travel(&mut self, from: u64, to: u64, then: Stopped, cycles: u64) -> Progress {
        let now = self.machine.cpu().cycle();
        self.run_blindly(to.min(now.saturating_add(cycles)));
        let reached = self.machine.cpu().cycle();
        if reached >= to || reached == now {
            return Progress::Stopped(then);
        }
        self.task = Some(Task::Travel { from, to, then });
        Progress::Running(Some((reached - from) as f64 / (to - from).max(1) as f64))
    }

    pub(crate) fn advance_search(&mut self, mut search: Search, cycles: u64) -> Progress {
        let start = self.timeline.start();
        if search.end <= start {
            self.return_to(start);
            return Progress::Stopped(Stopped::Beginning);
        }
        let segment = match search.segment {
            Some(segment) => segment,
            None => {
                self.timeline.restore_before(&mut self.machine, search.end - 1);
                let segment = self.machine.cpu().cycle();
                search.segment = Some(segment);
                if let Some(id) = self.points.hit(&self.machine) {
                    search.best = Some((segment, Stopped::Breakpoint(id)));
                }
                segment
            }
        };
        let limit = search.end.min(self.machine.cpu().cycle().saturating_add(cycles));
        let mut is_over = false;
        while self.machine.cpu().cycle() < limit && !is_over {
            let stop = self.run_until_any(limit);
            let now = self.machine.cpu().cycle();
            match stop {
                Some(AnyStop::Place) if now < search.end => {
                    if let Some(id) = self.points.hit(&self.machine) {
                        search.best = Some((now, Stopped::Breakpoint(id)));
                    }
                }
                // Backwards one stops before the instruction that touches what is watched.
                Some(AnyStop::Reason(reason @ Stopped::Watchpoint(..))) => {
                    search.best = Some((now - 1, reason))
                }
                Some(AnyStop::Reason(Stopped::Off(_) | Stopped::Asleep)) => is_over = true,
                _ => {}
            }
        }
        if self.machine.cpu().cycle() >= search.end || is_over {
            if let Some((cycle, reason)) = search.best {
                self.task = Some(self.travel(cycle, reason));
                return Progress::Running(Some(1.0));
            }
            search.end = segment;
            search.segment = None;
        }
        let done = (search.origin - search.end) as f64 / (search.origin - start).max(1) as f64;
        self.task = Some(Task::Search(search));
        Progress::Running(Some(done))
    }
}

//! The profile: where the last cycles went, counted by running them again.

use crate::debugger::Debugger;
use soc_machine::map::RAM_BYTES;
use soc_machine::{Observer, Stop};

/// Cycles that are counted at most: what runs again within a second.
const MOST: u64 = 20_000_000;

/// One address and how often it was executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProfileRow {
    pub address: u32,
    pub count: u64,
}

struct Counter(Vec<u64>);

impl Observer for Counter {
    fn fetched(&mut self, address: u32) {
        if let Some(count) = self.0.get_mut((address / 8) as usize) {
            *count += 1;
        }
    }
}

impl Debugger {
    /// The most executed addresses of the last cycles, the busiest first; and how many cycles that were.
    ///
    /// The machine ends where it was.
    pub fn profile(&mut self, cycles: u64, rows: usize) -> (Vec<ProfileRow>, u64) {
        self.abandon_travel();
        let now = self.machine.cpu().cycle();
        let from = now.saturating_sub(cycles.min(MOST)).max(self.timeline.start());
        self.return_to(from);
        let mut counter = Counter(vec![0; (RAM_BYTES / 8) as usize]);
        while self.machine.cpu().cycle() < now {
            let before = self.machine.cpu().cycle();
            let until = self.timeline.next_input().map_or(now, |input| input.min(now));
            if self.machine.run_observed(until, &mut counter) == Stop::Asleep {
                self.machine.pass(until);
            }
            self.collect_output();
            self.timeline.apply_due(&mut self.machine);
            if self.machine.cpu().cycle() == before
                && self.timeline.next_input().is_none_or(|input| input > before)
            {
                break;
            }
        }
        let mut counts: Vec<(u32, u64)> =
            (0u32..).step_by(8).zip(counter.0).filter(|(_, count)| *count > 0).collect();
        counts.sort_by_key(|(address, count)| (std::cmp::Reverse(*count), *address));
        let rows =
            counts.into_iter().take(rows).map(|(address, count)| ProfileRow { address, count }).collect();
        (rows, now - from)
    }
}

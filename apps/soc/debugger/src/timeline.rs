//! The known time: every input with its cycle, and snapshots to go back to.
//!
//! Snapshots are taken every [`INTERVAL`] cycles. When they take too much room, the one goes whose loss widens a gap
//! least in proportion to its distance from the present: near the present they stay dense, far away they get thin.

use soc_machine::{Input, Machine, Snapshot};
use std::collections::HashSet;

/// Cycles between snapshots near the present: what going back one step runs again at most.
pub(crate) const INTERVAL: u64 = 2_000_000;
/// Room for all snapshots.
pub const HISTORY_BYTES: usize = 60 << 20;
/// More snapshots than this help nobody.
const MOST: usize = 512;

struct Entry {
    snapshot: Snapshot,
    /// How many inputs had been applied.
    applied: usize,
}

/// Inputs and snapshots of one machine.
pub(crate) struct Timeline {
    inputs: Vec<(u64, Input)>,
    /// How many of the inputs the machine has got, being where it is.
    applied: usize,
    /// By rising cycle; the first is the beginning and never goes.
    entries: Vec<Entry>,
    /// Bytes of the pages that the snapshots hold, each counted once.
    page_bytes: usize,
    /// The latest cycle that was reached in this future.
    furthest: u64,
}

impl Timeline {
    /// The time of a machine that begins here. `inputs`, by rising cycle, are those that are known beforehand.
    pub fn new(machine: &mut Machine, inputs: Vec<(u64, Input)>) -> Self {
        let (snapshot, copied) = machine.snapshot();
        let entries = vec![Entry { snapshot, applied: 0 }];
        let mut timeline = Self { inputs, applied: 0, entries, page_bytes: copied, furthest: 0 };
        timeline.apply_due(machine);
        timeline
    }

    pub fn inputs(&self) -> &[(u64, Input)] {
        &self.inputs
    }

    /// The cycle of the beginning.
    pub fn start(&self) -> u64 {
        self.entries.first().map_or(0, |entry| entry.snapshot.cycle())
    }

    /// The latest cycle that is known of: where the machine has been, or where an input is known.
    pub fn horizon(&self) -> u64 {
        self.inputs.last().map_or(0, |(cycle, _)| *cycle).max(self.furthest)
    }

    /// The cycle of the next input that is known and not yet given.
    pub fn next_input(&self) -> Option<u64> {
        self.inputs.get(self.applied).map(|(cycle, _)| *cycle)
    }

    /// Gives the machine all inputs whose time has come.
    pub fn apply_due(&mut self, machine: &mut Machine) {
        while let Some((cycle, input)) = self.inputs.get(self.applied) {
            if *cycle > machine.cpu().cycle() {
                break;
            }
            machine.apply(input);
            self.applied += 1;
        }
    }

    /// Gives an input now, and cuts the future that was known.
    pub fn give(&mut self, machine: &mut Machine, input: Input) {
        let now = machine.cpu().cycle();
        self.furthest = now;
        self.inputs.truncate(self.applied);
        machine.apply(&input);
        self.inputs.push((now, input));
        self.applied += 1;
        let len = self.entries.len();
        self.entries.retain(|entry| entry.snapshot.cycle() <= now);
        if self.entries.len() != len {
            self.recount();
        }
    }

    fn recount(&mut self) {
        let pages: HashSet<usize> =
            self.entries.iter().flat_map(|entry| entry.snapshot.page_identities()).collect();
        self.page_bytes = pages.len() * Snapshot::PAGE_BYTES;
    }

    /// The last snapshot at or before a cycle.
    fn index_before(&self, cycle: u64) -> usize {
        self.entries.partition_point(|entry| entry.snapshot.cycle() <= cycle).saturating_sub(1)
    }

    /// The cycle of the last snapshot at or before a cycle.
    pub fn snapshot_before(&self, cycle: u64) -> u64 {
        self.entries.get(self.index_before(cycle)).map_or(0, |entry| entry.snapshot.cycle())
    }

    /// The cycle at which the next snapshot is wanted.
    pub fn next_snapshot(&self, now: u64) -> u64 {
        self.snapshot_before(now).saturating_add(INTERVAL)
    }

    /// Notes how far the machine has come, and takes a snapshot if it is time for one.
    pub fn take_snapshot(&mut self, machine: &mut Machine) {
        let now = machine.cpu().cycle();
        self.furthest = self.furthest.max(now);
        if now < self.next_snapshot(now) {
            return;
        }
        let (snapshot, copied) = machine.snapshot();
        self.page_bytes += copied;
        let index = self.index_before(now) + 1;
        self.entries.insert(index, Entry { snapshot, applied: self.applied });
        while self.bytes() > HISTORY_BYTES || self.entries.len() > MOST {
            if !self.thin(now) {
                break;
            }
        }
    }

    /// Drops the snapshot that is missed least; `false` where none may go.
    fn thin(&mut self, now: u64) -> bool {
        let cycle = |index: usize| self.entries.get(index).map_or(now, |entry| entry.snapshot.cycle());
        let cost = |index: usize| {
            let gap = cycle(index + 1).max(now.min(cycle(index) + INTERVAL)) - cycle(index - 1);
            let distance = now.abs_diff(cycle(index)) + INTERVAL;
            gap as f64 / distance as f64
        };
        let newest = self.index_before(now);
        let candidates = (1..self.entries.len()).filter(|&index| index != newest);
        let Some(victim) = candidates.min_by(|&left, &right| cost(left).total_cmp(&cost(right))) else {
            return false;
        };
        let entry = self.entries.remove(victim);
        self.page_bytes = self.page_bytes.saturating_sub(entry.snapshot.unshared_bytes());
        true
    }

    /// Room that all snapshots take.
    pub fn bytes(&self) -> usize {
        self.page_bytes + self.entries.len() * Snapshot::OVERHEAD_BYTES
    }

    /// How many snapshots there are.
    pub fn snapshots(&self) -> usize {
        self.entries.len()
    }

    /// Goes to the last snapshot at or before a cycle, and gives the inputs of its cycle.
    pub fn restore_before(&mut self, machine: &mut Machine, cycle: u64) {
        let index = self.index_before(cycle);
        let Some(entry) = self.entries.get(index) else { return };
        machine.restore(&entry.snapshot);
        self.applied = entry.applied;
        self.apply_due(machine);
    }
}

//! Snapshots: the whole state at a cycle, sharing the pages that have not changed with the snapshot before.

use crate::cpu::Cpu;
use crate::devices::Devices;
use crate::machine::Machine;
use crate::memory::{PAGE_BYTES, PAGES, Page};
use alloc::sync::Arc;
use alloc::vec::Vec;

/// A state that [`Machine::restore`] can go back to.
#[derive(Clone)]
pub struct Snapshot {
    cpu: Cpu,
    devices: Devices,
    pages: Vec<Arc<Page>>,
}

impl Snapshot {
    /// What every snapshot costs, whatever it shares: the list of its pages.
    pub const OVERHEAD_BYTES: usize =
        size_of::<Cpu>() + size_of::<Devices>() + PAGES * size_of::<Arc<Page>>();

    /// The cycle at which it was taken.
    pub fn cycle(&self) -> u64 {
        self.cpu.cycle()
    }

    /// Bytes of the pages that only this snapshot holds: what dropping it would free.
    pub fn unshared_bytes(&self) -> usize {
        self.pages.iter().filter(|page| Arc::strong_count(page) == 1).count() * PAGE_BYTES
    }

    /// A value that tells pages apart, for counting those that several snapshots hold.
    pub fn page_identities(&self) -> impl Iterator<Item = usize> + '_ {
        self.pages.iter().map(|page| Arc::as_ptr(page).addr())
    }

    /// Bytes in one page.
    pub const PAGE_BYTES: usize = PAGE_BYTES;
}

impl Machine {
    /// The state as it is now, and how many bytes of pages had to be copied for it.
    pub fn snapshot(&mut self) -> (Snapshot, usize) {
        let (pages, copied) = self.memory.pages();
        (Snapshot { cpu: self.cpu.clone(), devices: self.devices.clone(), pages }, copied * PAGE_BYTES)
    }

    /// Goes back to a state of this same machine. Bytes sent and not taken are dropped.
    pub fn restore(&mut self, snapshot: &Snapshot) {
        self.cpu = snapshot.cpu.clone();
        self.devices = snapshot.devices.clone();
        self.memory.restore(&snapshot.pages);
        self.output.clear();
    }

    /// Whether two machines are in the same state: processor, devices, memory.
    pub fn has_same_state(&self, other: &Self) -> bool {
        self.cpu == other.cpu
            && self.devices == other.devices
            && self.memory.filled_pages().eq(other.memory.filled_pages())
    }
}

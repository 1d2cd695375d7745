//! The one table of lock ranks, and the check that they are kept.

use core::sync::atomic::{AtomicU8, Ordering};

/// The order in which a processor may take spin locks: only a lock of a higher rank than all it holds. Locks
/// of the same rank may be held together only through
/// [`SpinLock::lock_nested`](super::SpinLock::lock_nested), whose caller states its own order (by address).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Rank {
    /// A process tree, process groups, sessions.
    Process = 1,
    /// Signals of a process.
    Signal,
    /// Descriptor tables, mount tables, credentials.
    Table,
    /// Dentry and inode state.
    Inode,
    /// A socket, a pipe, a terminal.
    Stream,
    /// The areas of an address space.
    AddressSpace,
    /// The pages of an object.
    Object,
    /// A table of hardware page entries.
    PageTable,
    /// Futex buckets.
    Futex,
    /// Device state. From here on interrupt handlers take locks too, so all of these hold off interrupts.
    Device,
    /// Poll subscriptions.
    Poll,
    /// A wait queue.
    WaitQueue,
    /// The timer wheel of a processor.
    Timer,
    /// A run queue.
    RunQueue,
    /// The log ring.
    Log,
    /// Heap magazines and slabs.
    Heap,
    /// The frame allocator.
    Frames,
    /// The console's output port: nothing is taken while it is held.
    Console,
}

impl Rank {
    /// Whether handlers of interrupts take locks of this rank.
    pub(crate) const fn is_for_interrupts(self) -> bool {
        self as u8 >= Self::Device as u8
    }
}

/// Which ranks a processor holds, for the check in debug builds. Only its own processor uses it.
pub(crate) struct HeldRanks {
    counts: [AtomicU8; 32],
}

impl HeldRanks {
    pub(crate) const fn new() -> Self {
        Self { counts: [const { AtomicU8::new(0) }; 32] }
    }

    /// Notes a lock that is about to be waited for.
    ///
    /// # Panics
    /// When a lock of a higher rank is held, or of the same one and not `is_nested`.
    #[track_caller]
    pub(crate) fn enter(&self, rank: u8, is_nested: bool) {
        let first_forbidden = usize::from(rank) + usize::from(is_nested);
        for (held, count) in self.counts.iter().enumerate().skip(first_forbidden) {
            let is_held = count.load(Ordering::Relaxed) != 0;
            assert!(!is_held, "a lock of rank {rank} is taken while one of rank {held} is held");
        }
        self.enter_unordered(rank);
    }

    /// Notes a lock that was taken without waiting.
    pub(crate) fn enter_unordered(&self, rank: u8) {
        self.counts[usize::from(rank)].fetch_add(1, Ordering::Relaxed);
    }

    /// Notes that a lock was given back.
    pub(crate) fn leave(&self, rank: u8) {
        self.counts[usize::from(rank)].fetch_sub(1, Ordering::Relaxed);
    }
}

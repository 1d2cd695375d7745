//! Out of memory: somebody has to go. Who, the process layer above decides.

use core::sync::atomic::{AtomicUsize, Ordering};

use machine::clock;
use machine::sync::Once;
use threads::{Wait, WaitQueue};

/// What a victim chooser has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A program is going to die (perhaps the caller's own); its memory comes back soon.
    Killed,
    /// There is nobody to kill.
    Nobody,
}

/// Chooses a program, logs its name and kills it. Called with nothing held; `pages` is how many are wanted.
pub type VictimChooser = fn(pages: usize) -> Verdict;

/// How many victims one allocation may cost.
pub(crate) const ATTEMPTS: usize = 8;
/// How long a victim has to give its memory back before the next is chosen.
const PATIENCE_NS: u64 = 2_000_000_000;

static CHOOSER: Once<VictimChooser> = Once::new();
static KILLS: AtomicUsize = AtomicUsize::new(0);
static FREED: WaitQueue = WaitQueue::new();

/// Says who chooses victims. Called once, at boot; later calls are ignored. Without a chooser allocations simply fail.
pub fn set_victim_chooser(chooser: VictimChooser) {
    // The first chooser stays: there is one process layer.
    let _ = CHOOSER.set(chooser);
}

/// How many programs have been killed for want of memory (`oom_kill` of /proc/vmstat).
pub fn kills() -> usize {
    KILLS.load(Ordering::Relaxed)
}

/// Has a program killed, and waits until `has_room` or until it is time for another. `false` when nobody was killed, or the caller itself is told to stop.
pub(crate) fn kill_one(pages: usize, has_room: impl Fn() -> bool) -> bool {
    let Some(chooser) = CHOOSER.get() else { return false };
    if chooser(pages) == Verdict::Nobody {
        return false;
    }
    KILLS.fetch_add(1, Ordering::Relaxed);
    let wait = Wait::INTERRUPTIBLE.with_deadline(clock::now_ns().saturating_add(PATIENCE_NS));
    !matches!(FREED.wait_until(wait, || has_room().then_some(())), Err(threads::WaitError::Interrupted))
}

/// Called when an address space has given its memory back.
pub(crate) fn memory_was_freed() {
    FREED.wake_all();
}

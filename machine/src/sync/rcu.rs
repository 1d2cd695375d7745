//! Read-copy-update: readers that take no lock, writers that wait for them by deferring.
//!
//! A reader holds off preemption for as long as it looks. Every processor counts the moments at which it can
//! hold no reader (a switch of threads, the entry to user mode, idling); what was deferred runs once every
//! processor that is not idle has passed such a moment since.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicPtr, Ordering};

use super::{Irq, Once, PreemptGuard, Rank, SpinLock, disable_preemption};
use crate::cpu;

type Deferred = Box<dyn FnOnce() + Send>;

struct Queue {
    /// Deferred since the current grace period began; they wait for the next one.
    next: Vec<Deferred>,
    /// They run when every processor's count differs from the one in `seen`.
    current: Vec<Deferred>,
    /// The counts of the processors when the current grace period began; none for one that has passed it.
    seen: Vec<Option<u64>>,
}

static QUEUE: SpinLock<Queue, Irq> =
    SpinLock::new(Rank::Timer, Queue { next: Vec::new(), current: Vec::new(), seen: Vec::new() });

/// Proof that the caller is a reader.
pub type RcuGuard = PreemptGuard;

/// Begins to read. What an [`RcuCell`] shows stays alive until the guard is dropped.
#[inline]
pub fn rcu_read() -> RcuGuard {
    disable_preemption()
}

/// Runs `what` after every reader that may be reading now has finished, on some thread that calls
/// [`rcu_poll`].
pub fn rcu_defer(what: impl FnOnce() + Send + 'static) {
    let boxed: Deferred = Box::new(what);
    QUEUE.lock().next.push(boxed);
    if let Some(hook) = HOOK.get() {
        hook();
    }
}

static HOOK: Once<fn()> = Once::new();

/// Sets what is called when something has been deferred, so that somebody calls [`rcu_poll`]. Called once, at
/// boot.
pub fn set_rcu_hook(hook: fn()) {
    assert!(HOOK.set(hook).is_ok(), "a second owner of deferred work");
}

/// Moves grace periods on and runs what has become due. Called by the softirq threads with nothing held;
/// returns whether something still waits.
pub fn rcu_poll() -> bool {
    let (due, is_waiting) = {
        let mut queue = QUEUE.lock();
        let queue = &mut *queue;
        for (index, seen) in queue.seen.iter_mut().enumerate() {
            if seen.is_some_and(|count| cpu::is_quiescent_since(index, count)) {
                *seen = None;
            }
        }
        let due = if queue.seen.iter().all(Option::is_none) {
            let due = core::mem::replace(&mut queue.current, core::mem::take(&mut queue.next));
            queue.seen.clear();
            if !queue.current.is_empty() {
                queue.seen.extend((0..cpu::count()).map(|index| Some(cpu::quiescent_count(index))));
            }
            due
        } else {
            for (index, _) in queue.seen.iter().enumerate().filter(|(_, seen)| seen.is_some()) {
                cpu::send_reschedule(index);
            }
            Vec::new()
        };
        (due, !queue.current.is_empty())
    };
    for deferred in due {
        deferred();
    }
    is_waiting
}

/// An `Arc` that readers can look at without a lock while a writer replaces it.
pub struct RcuCell<T: Send + Sync + 'static> {
    /// Made by `Arc::into_raw`; the cell owns one reference.
    pointer: AtomicPtr<T>,
}

impl<T: Send + Sync + 'static> RcuCell<T> {
    /// A cell that shows `value`.
    pub fn new(value: Arc<T>) -> Self {
        Self { pointer: AtomicPtr::new(Arc::into_raw(value).cast_mut()) }
    }

    /// What the cell shows now, for as long as the guard lives.
    #[inline]
    pub fn read<'g>(&self, _guard: &'g RcuGuard) -> &'g T
    where
        T: 'g,
    {
        // SAFETY: the pointer came from `Arc::into_raw`, and the reference behind it is only given up by a
        // deferred drop. That waits for this processor to switch, which the guard holds off for 'g.
        unsafe { &*self.pointer.load(Ordering::Acquire) }
    }

    /// A reference of its own to what the cell shows now.
    pub fn get(&self) -> Arc<T> {
        let _guard = rcu_read();
        let pointer = self.pointer.load(Ordering::Acquire);
        // SAFETY: as in `read`, the value is alive while the guard is; the count is raised before the guard
        // goes, so the `Arc` made here owns a reference of its own.
        unsafe {
            Arc::increment_strong_count(pointer);
            Arc::from_raw(pointer)
        }
    }

    /// Shows `value` from now on; the old one is dropped when no reader can be looking at it any more.
    pub fn replace(&self, value: Arc<T>) {
        let old = self.pointer.swap(Arc::into_raw(value).cast_mut(), Ordering::AcqRel);
        // SAFETY: `old` came from `Arc::into_raw`, and the swap took it out of the cell, so this is its only
        // owner.
        let old = unsafe { Arc::from_raw(old) };
        rcu_defer(move || drop(old));
    }
}

impl<T: Send + Sync + 'static> Drop for RcuCell<T> {
    fn drop(&mut self) {
        // SAFETY: the pointer came from `Arc::into_raw`. A reader's `&T` is bound to the guard, not to the
        // cell, so the drop has to be deferred like that of a replaced value.
        let last = unsafe { Arc::from_raw(*self.pointer.get_mut()) };
        rcu_defer(move || drop(last));
    }
}

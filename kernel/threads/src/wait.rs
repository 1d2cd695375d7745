//! Wait queues: threads that wait until a condition holds.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU32, Ordering::SeqCst, fence};

use machine::clock;
use machine::list::{Link, Linked, List};
use machine::sync::{Irq, Rank, SpinLock, is_atomic};

use crate::schedule;
use crate::thread::{Thread, current};
use crate::time::SleepTimer;

/// How a wait may end other than by its condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    /// Whether [`Thread::interrupt`] ends it.
    pub interruptible: bool,
    /// When it ends, in nanoseconds since boot.
    pub deadline_ns: Option<u64>,
}

impl Wait {
    /// Ends only when the condition holds.
    pub const UNINTERRUPTIBLE: Self = Self { interruptible: false, deadline_ns: None };
    /// Ends also when the thread is interrupted.
    pub const INTERRUPTIBLE: Self = Self { interruptible: true, deadline_ns: None };

    /// The same, and ends at `deadline_ns` (nanoseconds since boot) at the latest.
    #[must_use]
    pub const fn with_deadline(mut self, deadline_ns: u64) -> Self {
        self.deadline_ns = Some(deadline_ns);
        self
    }

    /// Whether the wait of `thread`, the current one, is over, condition or not.
    #[inline]
    pub(crate) fn end(&self, thread: &Thread) -> Option<WaitError> {
        if self.interruptible && thread.is_interrupted() {
            return Some(WaitError::Interrupted);
        }
        self.deadline_ns
            .is_some_and(|deadline_ns| clock::now_ns() >= deadline_ns)
            .then_some(WaitError::TimedOut)
    }
}

/// Why a wait ended before its condition held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitError {
    /// [`Thread::interrupt`] was called, before or during the wait.
    Interrupted,
    /// The deadline came.
    TimedOut,
}

impl core::fmt::Display for WaitError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Interrupted => "the wait was interrupted",
            Self::TimedOut => "the wait timed out",
        })
    }
}

/// Tag of the link by which a thread is in a wait queue.
pub(crate) struct Waiting;

impl Linked<Waiting> for Thread {
    #[inline]
    fn link(&self) -> &Link<Self, Waiting> {
        &self.waiting
    }
}

/// Threads that wait, first come first woken.
///
/// The condition is whatever the waiter tests; the queue only sees to it that it is tested again after each
/// wake-up. Whoever makes a condition true calls one of the `wake` functions afterwards: from any context,
/// with or without the lock that guards the condition.
pub struct WaitQueue {
    /// As many as are in the list, to be seen without the lock.
    len: AtomicU32,
    threads: SpinLock<List<Thread, Waiting>, Irq>,
}

impl WaitQueue {
    /// An empty queue.
    pub const fn new() -> Self {
        Self { len: AtomicU32::new(0), threads: SpinLock::new(Rank::WaitQueue, List::new()) }
    }

    /// Whether a thread waits. Ordered after whatever the caller stored before.
    #[inline]
    pub fn has_waiters(&self) -> bool {
        // Pairs with the waiter, which counts itself and then tests its condition.
        fence(SeqCst);
        self.len.load(SeqCst) != 0
    }

    /// Wakes the thread that has waited longest; whether there was one.
    #[inline]
    pub fn wake_one(&self) -> bool {
        self.has_waiters() && self.wake_first(false)
    }

    /// As [`wake_one`](Self::wake_one), by a thread that is about to wait itself: the woken thread is to
    /// run on this processor, then. For pipes and the like.
    #[inline]
    pub fn wake_one_sync(&self) -> bool {
        self.has_waiters() && self.wake_first(true)
    }

    /// Wakes up to `most` threads; returns how many.
    pub fn wake_n(&self, most: usize) -> usize {
        if !self.has_waiters() {
            return 0;
        }
        // Who waits again meanwhile is not woken again.
        let most = most.min(self.len.load(SeqCst) as usize);
        (0..most).take_while(|_| self.wake_first(false)).count()
    }

    /// Wakes all threads that wait now; returns how many.
    pub fn wake_all(&self) -> usize {
        self.wake_n(usize::MAX)
    }

    fn wake_first(&self, is_synchronous: bool) -> bool {
        loop {
            let thread = {
                let mut threads = self.threads.lock();
                let thread = threads.pop_front();
                self.len.store(threads.len() as u32, SeqCst);
                thread
            };
            match thread {
                // One that was woken by something else at the same time tests its condition anyway, but so
                // that a single wake-up is not spent on a thread whose wait has just timed out, the next
                // one is woken as well.
                Some(thread) => {
                    if schedule::wake(thread, is_synchronous) {
                        return true;
                    }
                }
                None => return false,
            }
        }
    }

    /// Waits until `condition` gives something, and returns that.
    ///
    /// The condition is tested first at once, and then after each wake-up; it may take spin locks but must
    /// not sleep, and it may find what it waits for taken away again by others. Called with nothing held.
    pub fn wait_until<R>(
        &self,
        wait: Wait,
        mut condition: impl FnMut() -> Option<R>,
    ) -> Result<R, WaitError> {
        if let Some(found) = condition() {
            return Ok(found);
        }
        debug_assert!(!is_atomic(), "a thread waits with a lock or guard held");
        let thread = current();
        let _timer = wait.deadline_ns.map(|deadline_ns| SleepTimer::arm(thread.to_arc(), deadline_ns));
        loop {
            thread.state.prepare(wait.interruptible);
            self.enter(thread.to_arc());
            if let Some(found) = condition() {
                thread.state.cancel();
                self.leave(&thread);
                return Ok(found);
            }
            if let Some(end) = wait.end(&thread) {
                thread.state.cancel();
                // A wake-up that was meant for this thread goes to the next one.
                if !self.leave(&thread) {
                    self.wake_one();
                }
                return Err(end);
            }
            schedule::park();
            self.leave(&thread);
            if let Some(found) = condition() {
                return Ok(found);
            }
        }
    }

    fn enter(&self, thread: Arc<Thread>) {
        let mut threads = self.threads.lock();
        let entered = threads.push_back(thread);
        debug_assert!(entered.is_ok(), "a condition waits itself");
        self.len.store(threads.len() as u32, SeqCst);
        drop(threads);
        // Pairs with the one in `has_waiters`: either the waker sees this thread, or the condition is seen to hold.
        fence(SeqCst);
    }

    /// Takes the thread out; `false` if a waker has done that.
    fn leave(&self, thread: &Thread) -> bool {
        if !thread.waiting.is_linked() {
            return false;
        }
        let mut threads = self.threads.lock();
        let was_in = threads.remove(thread).is_some();
        self.len.store(threads.len() as u32, SeqCst);
        was_in
    }
}

impl Default for WaitQueue {
    fn default() -> Self {
        Self::new()
    }
}

//! How parking and waking meet.
//!
//! ```text
//!                 prepare                 the switch
//!   Runnable ───────────────▶ Parking ───────────────▶ Parked
//!      ▲  ▲      cancel, or      │   (only if it still     │
//!      │  └──────────────────────┘      is Parking)        │
//!      │         wake: nothing else to do                  │
//!      └───────────────────────────────────────────────────┘
//!                wake: and put it in a run queue
//! ```
//!
//! Each arrow is one compare-and-swap, so exactly one waker wins, and it knows whether the thread has to be
//! enqueued. A thread that is woken between `prepare` and the switch just goes on. A thread that is
//! preempted while Parking stays in the run queue.

use core::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};

/// What a thread does, as /proc shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It runs or is in a run queue.
    Running,
    /// It waits, and a signal may end that.
    Interruptible,
    /// It waits, and nothing but the event ends that.
    Uninterruptible,
    /// It has ended.
    Dead,
}

const RUNNABLE: u32 = 0;
const PARKING: u32 = 1;
const PARKED: u32 = 2;
const DEAD: u32 = 3;

/// What a wake-up has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Woken {
    /// It was not waiting.
    No,
    /// It had not been switched away from, or is in a run queue: it goes on by itself.
    Early,
    /// It must be put in a run queue, by the caller and nobody else.
    Enqueue,
}

/// The state word of a thread.
pub(crate) struct StateWord {
    word: AtomicU32,
    is_interruptible: AtomicBool,
}

impl StateWord {
    pub const fn new() -> Self {
        Self { word: AtomicU32::new(RUNNABLE), is_interruptible: AtomicBool::new(false) }
    }

    /// The thread itself announces that it will park. After this it enqueues itself where wakers look, and
    /// then tests what it waits for.
    #[inline]
    pub fn prepare(&self, is_interruptible: bool) {
        self.is_interruptible.store(is_interruptible, SeqCst);
        self.word.store(PARKING, SeqCst);
    }

    /// The thread itself changes its mind.
    #[inline]
    pub fn cancel(&self) {
        self.word.store(RUNNABLE, SeqCst);
    }

    /// The switch takes the thread off its processor, unless it has been woken.
    #[inline]
    pub fn park(&self) -> bool {
        self.word.compare_exchange(PARKING, PARKED, SeqCst, SeqCst).is_ok()
    }

    #[inline]
    pub fn wake(&self) -> Woken {
        // At most two failures: the one step that the thread itself takes meanwhile, and another waker's.
        loop {
            let (from, outcome) = match self.word.load(SeqCst) {
                PARKING => (PARKING, Woken::Early),
                PARKED => (PARKED, Woken::Enqueue),
                _ => return Woken::No,
            };
            if self.word.compare_exchange(from, RUNNABLE, SeqCst, SeqCst).is_ok() {
                return outcome;
            }
        }
    }

    #[inline]
    pub fn is_interruptible(&self) -> bool {
        self.is_interruptible.load(SeqCst)
    }

    pub fn die(&self) {
        self.word.store(DEAD, SeqCst);
    }

    #[inline]
    pub fn is_dead(&self) -> bool {
        self.word.load(SeqCst) == DEAD
    }

    pub fn get(&self) -> State {
        match self.word.load(SeqCst) {
            RUNNABLE => State::Running,
            DEAD => State::Dead,
            _ if self.is_interruptible() => State::Interruptible,
            _ => State::Uninterruptible,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wake_up_before_the_switch_keeps_the_thread_running() {
        let state = StateWord::new();
        state.prepare(true);
        assert_eq!(state.wake(), Woken::Early);
        assert!(!state.park());
        assert_eq!(state.get(), State::Running);
    }

    #[test]
    fn only_one_waker_has_to_enqueue() {
        let state = StateWord::new();
        state.prepare(false);
        assert!(state.park());
        assert_eq!(state.get(), State::Uninterruptible);
        assert_eq!(state.wake(), Woken::Enqueue);
        assert_eq!(state.wake(), Woken::No);
    }
}

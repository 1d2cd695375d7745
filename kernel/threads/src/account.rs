//! Whose time a processor's time was.
//!
//! The clock is read at switches and ticks, never at the entry to the kernel. So the sum of a thread's
//! times is exact, and the split between user and kernel is sampled, as in Linux: a tick (every 10 ms while
//! a program runs) charges all since the last reading to the mode that it interrupted, a switch to the mode
//! of the last tick.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use crate::processor::Processor;
use crate::thread::Thread;

/// Between two samples of what a program's thread is doing, in nanoseconds.
pub(crate) const TICK_NS: u64 = 10_000_000;

/// The times of a thread. Written only by the processor that it runs on.
pub(crate) struct Account {
    user_ns: AtomicU64,
    system_ns: AtomicU64,
    voluntary: AtomicU64,
    involuntary: AtomicU64,
    is_program: AtomicBool,
    is_in_user_mode: AtomicBool,
    /// The mode of the last sample.
    was_in_user_mode: AtomicBool,
}

fn add(to: &AtomicU64, value: u64) {
    to.store(to.load(Relaxed).wrapping_add(value), Relaxed);
}

impl Account {
    pub const fn new() -> Self {
        Self {
            user_ns: AtomicU64::new(0),
            system_ns: AtomicU64::new(0),
            voluntary: AtomicU64::new(0),
            involuntary: AtomicU64::new(0),
            is_program: AtomicBool::new(false),
            is_in_user_mode: AtomicBool::new(false),
            was_in_user_mode: AtomicBool::new(false),
        }
    }

    /// Whether the thread runs a program, so that its mode is sampled.
    pub fn set_program(&self, is_program: bool) {
        self.is_program.store(is_program, Relaxed);
        self.was_in_user_mode.store(is_program, Relaxed);
    }

    #[inline]
    pub fn is_program(&self) -> bool {
        self.is_program.load(Relaxed)
    }

    /// Charges `ns`; whether to user mode. `is_sample`: the mode of this moment counts.
    pub fn charge(&self, ns: u64, is_sample: bool) -> bool {
        if is_sample {
            self.was_in_user_mode.store(self.is_in_user_mode.load(Relaxed), Relaxed);
        }
        let is_user = self.was_in_user_mode.load(Relaxed);
        add(if is_user { &self.user_ns } else { &self.system_ns }, ns);
        is_user
    }

    #[inline]
    pub fn count_switch(&self, is_voluntary: bool) {
        add(if is_voluntary { &self.voluntary } else { &self.involuntary }, 1);
    }

    pub fn times(&self) -> (u64, u64) {
        (self.user_ns.load(Relaxed), self.system_ns.load(Relaxed))
    }

    pub fn switches(&self) -> (u64, u64) {
        (self.voluntary.load(Relaxed), self.involuntary.load(Relaxed))
    }
}

impl Thread {
    /// Notes that the thread is about to enter user mode. One store.
    #[inline]
    pub fn charge_user(&self) {
        self.account.is_in_user_mode.store(true, Relaxed);
    }

    /// Notes that the thread has come back to the kernel. One store.
    #[inline]
    pub fn charge_system(&self) {
        self.account.is_in_user_mode.store(false, Relaxed);
    }

    /// Notes whether the thread runs a program: for one that began as a kernel thread and executes one.
    pub fn set_program(&self, is_program: bool) {
        self.account.set_program(is_program);
    }
}

/// Charges `thread`, which is the current one, for the time since the last reading of the clock on this
/// processor; called with interrupts held off.
pub(crate) fn charge(processor: &Processor, thread: &Thread, now_ns: u64, is_sample: bool) {
    let since = processor.charged_ns.load(Relaxed);
    processor.charged_ns.store(now_ns, Relaxed);
    let ns = now_ns.saturating_sub(since);
    if thread.is_idle {
        add(&processor.idle_ns, ns);
    } else if thread.account.charge(ns, is_sample) {
        add(&processor.user_ns, ns);
    } else {
        add(&processor.system_ns, ns);
    }
}

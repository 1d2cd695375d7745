//! Work that interrupts leave for a thread of the same processor.
//!
//! An interrupt handler quietens its device and raises a kind of work here; the softirq thread of that
//! processor does it, with interrupts enabled and preemptible, ahead of ordinary threads by its weight but
//! not to the exclusion of them.

use core::sync::atomic::Ordering::{Relaxed, SeqCst};

use machine::sync::{Once, disable_preemption, rcu_poll};
use machine::{clock, cpu};

use crate::builder::Builder;
use crate::mask::CpuMask;
use crate::processor::PROCESSORS;
use crate::thread::current;
use crate::time::{self, Timer};
use crate::{schedule, thread::Thread};

/// Kinds of work, in the order in which they are done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Timers that have expired.
    Timer = 0,
    /// Packets that have come, or have been sent.
    Network,
    /// Requests that disks have finished.
    Block,
    /// Everything else that a driver has to do.
    Device,
    /// What waits for readers of RCU.
    Rcu,
}

const KINDS: usize = 5;

/// Between two looks at whether a grace period has ended, in nanoseconds.
const GRACE_POLL_NS: u64 = 2_000_000;

static HANDLERS: [Once<fn()>; KINDS] = [const { Once::new() }; KINDS];
static GRACE_TIMER: Once<Timer> = Once::new();

/// Sets what does a kind of work: called in the softirq thread of the processor on which it was raised. It
/// may take sleeping locks, but all other work of that processor waits for it.
///
/// # Panics
/// When the kind has a handler already.
pub fn register(kind: Kind, handler: fn()) {
    assert!(HANDLERS[kind as usize].set(handler).is_ok(), "{kind:?} work has a handler already");
}

/// Asks for a kind of work to be done on this processor. From any context; raising what is raised already
/// does nothing.
pub fn raise(kind: Kind) {
    let guard = disable_preemption();
    let processor = PROCESSORS.get(&guard);
    let bit = 1 << kind as u8;
    if processor.raised.fetch_or(bit, SeqCst) & bit == 0
        && let Some(thread) = processor.softirq.get()
    {
        schedule::wake(thread.clone(), false);
    }
}

/// Makes the softirq thread of processor `here`.
pub(crate) fn start(here: usize) {
    if here == 0 {
        register(Kind::Timer, time::call_expired);
        register(Kind::Rcu, advance_grace_period);
        let timer = Timer::new(|| raise(Kind::Rcu));
        assert!(timer.is_ok_and(|timer| GRACE_TIMER.set(timer).is_ok()), "lit twice, or without memory");
    }
    let builder = Builder::new(b"softirq").nice(-20).affinity(CpuMask::one(here));
    match builder.build(work) {
        Ok(thread) => {
            let is_first = PROCESSORS.on(here).softirq.set(thread.clone()).is_ok();
            assert!(is_first, "a processor was lit twice");
            Thread::begin(&thread);
        }
        Err(_) => panic!("no memory for the softirq thread of processor {here}"),
    }
}

fn work() {
    let thread = current();
    // The thread may not run elsewhere, so its processor is always this one.
    let processor = PROCESSORS.on(cpu::current());
    loop {
        thread.state.prepare(false);
        if processor.raised.load(SeqCst) == 0 {
            schedule::park();
            continue;
        }
        thread.state.cancel();
        let raised = processor.raised.swap(0, SeqCst);
        for (index, handler) in HANDLERS.iter().enumerate() {
            if raised & (1 << index) != 0
                && let Some(handler) = handler.get()
            {
                handler();
            }
        }
    }
}

/// Called by the machine when something has been deferred until readers have finished.
pub(crate) fn on_deferred() {
    if let Some(timer) = GRACE_TIMER.get()
        && timer.deadline_ns().is_none()
    {
        timer.set(clock::now_ns() + GRACE_POLL_NS);
    }
}

fn advance_grace_period() {
    if rcu_poll()
        && let Some(timer) = GRACE_TIMER.get()
    {
        timer.set(clock::now_ns() + GRACE_POLL_NS);
    }
}

/// How much work of all kinds waits on processor `cpu`, as a mask, for diagnosis.
pub fn raised(cpu: usize) -> u32 {
    PROCESSORS.on(cpu).raised.load(Relaxed)
}

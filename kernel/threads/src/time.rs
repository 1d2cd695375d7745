//! Sleeping, and timers whose callbacks run in the softirq thread of their processor.
//!
//! Each processor has its timers in ordered trees and arms its one deadline for the first of them (or the
//! end of the current turn). A moment of nanosecond precision costs no more than any other, and a processor
//! with nothing due is not interrupted.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use machine::frame::OutOfMemory;
use machine::heap::{try_arc, try_box};
use machine::list::{Link, Linked, List};
use machine::sync::disable_interrupts;
use machine::tree::{Node, Rooted, Tree};
use machine::{clock, cpu};

use crate::account::{self, TICK_NS};
use crate::processor::{NEVER, PROCESSORS, Processor};
use crate::schedule;
use crate::softirq::{self, Kind};
use crate::thread::{Thread, current};
use crate::wait::{Wait, WaitError};

/// Tag of the node by which a sleeping thread is among the timers.
pub(crate) struct Sleep;
struct Armed;
struct Expired;

impl Rooted<Sleep> for Thread {
    type Key = u64;
    type Value = ();
    fn node(&self) -> &Node<Self, Sleep> {
        &self.sleep
    }
}

/// What is due on a processor.
pub(crate) struct Timers {
    sleeps: Tree<Thread, Sleep>,
    armed: Tree<Core, Armed>,
    expired: List<Core, Expired>,
}

impl Timers {
    pub const fn new() -> Self {
        Self { sleeps: Tree::new(), armed: Tree::new(), expired: List::new() }
    }

    fn first(&self) -> u64 {
        let sleep = self.sleeps.first().map_or(NEVER, |(_, deadline_ns)| deadline_ns);
        let timer = self.armed.first().map_or(NEVER, |(_, deadline_ns)| deadline_ns);
        sleep.min(timer)
    }
}

/// Changes the timers of this processor and arms its deadline anew.
fn change_own<R>(change: impl FnOnce(&mut Timers, usize) -> R) -> R {
    let _guard = disable_interrupts();
    let here = cpu::current();
    let processor = PROCESSORS.on(here);
    let mut timers = processor.timers.lock();
    let result = change(&mut timers, here);
    let first = timers.first();
    drop(timers);
    if first != processor.next_timer_ns.swap(first, Relaxed) {
        processor.arm();
    }
    result
}

/// Changes the timers of any processor. If its first one goes, its next interrupt comes for nothing.
fn change_on<R>(cpu: usize, change: impl FnOnce(&mut Timers) -> R) -> R {
    let processor = PROCESSORS.on(cpu);
    let mut timers = processor.timers.lock();
    let result = change(&mut timers);
    processor.next_timer_ns.store(timers.first(), Relaxed);
    result
}

/// Wakes a thread at a moment, unless it is dropped before.
pub(crate) struct SleepTimer {
    thread: Arc<Thread>,
}

impl SleepTimer {
    /// `thread` is the current one, and has no other.
    pub fn arm(thread: Arc<Thread>, deadline_ns: u64) -> Self {
        let sleeper = thread.clone();
        change_own(|timers, here| {
            sleeper.sleep_cpu.store(here as u32, Relaxed);
            let inserted = timers.sleeps.insert(sleeper, deadline_ns, ());
            debug_assert!(inserted.is_ok(), "a thread sleeps twice");
        });
        Self { thread }
    }
}

impl Drop for SleepTimer {
    fn drop(&mut self) {
        if self.thread.sleep.is_rooted() {
            let cpu = self.thread.sleep_cpu.load(Relaxed) as usize;
            change_on(cpu, |timers| timers.sleeps.remove(&self.thread));
        }
    }
}

/// Sleeps until `deadline_ns` (nanoseconds since boot), or until the thread is interrupted.
pub fn sleep_until(deadline_ns: u64, interruptible: bool) -> Result<(), WaitError> {
    let thread = current();
    let wait = Wait { interruptible, deadline_ns: Some(deadline_ns) };
    let _timer = SleepTimer::arm(thread.to_arc(), deadline_ns);
    loop {
        thread.state.prepare(interruptible);
        match wait.end(&thread) {
            None => schedule::park(),
            Some(end) => {
                thread.state.cancel();
                return if end == WaitError::TimedOut { Ok(()) } else { Err(end) };
            }
        }
    }
}

/// Sleeps for `ns` nanoseconds, whatever happens.
pub fn sleep(ns: u64) {
    let outcome = sleep_until(clock::now_ns().saturating_add(ns), false);
    debug_assert!(outcome.is_ok(), "this sleep has no other end");
}

/// Calls a function at a moment.
///
/// The function runs in the softirq thread of the processor on which the timer was set: it may take locks,
/// but should not sleep for long, since other timers wait for it. It may set or cancel its own timer.
/// Dropping the timer cancels it.
pub struct Timer {
    core: Arc<Core>,
}

struct Core {
    armed: Node<Core, Armed>,
    expired: Link<Core, Expired>,
    /// The processor in whose timers it is armed.
    cpu: AtomicU32,
    /// The one on which it has expired and not been called yet.
    expired_cpu: AtomicU32,
    deadline_ns: AtomicU64,
    call: Box<dyn Fn() + Send + Sync>,
}

impl Rooted<Armed> for Core {
    type Key = u64;
    type Value = ();
    fn node(&self) -> &Node<Self, Armed> {
        &self.armed
    }
}

impl Linked<Expired> for Core {
    fn link(&self) -> &Link<Self, Expired> {
        &self.expired
    }
}

impl Timer {
    /// A timer that is not set. What owns the timer is referred to weakly by `call`, or neither would ever
    /// be dropped.
    pub fn new(call: impl Fn() + Send + Sync + 'static) -> Result<Self, OutOfMemory> {
        Ok(Self {
            core: try_arc(Core {
                armed: Node::new(),
                expired: Link::new(),
                cpu: AtomicU32::new(0),
                expired_cpu: AtomicU32::new(0),
                deadline_ns: AtomicU64::new(NEVER),
                call: try_box(call)?,
            })?,
        })
    }

    /// Sets the timer to `deadline_ns` (nanoseconds since boot), in place of what it was set to. From any
    /// context.
    pub fn set(&self, deadline_ns: u64) {
        loop {
            self.cancel();
            let core = self.core.clone();
            let is_set = change_own(|timers, here| {
                let is_set = timers.armed.insert(core, deadline_ns, ()).is_ok();
                if is_set {
                    self.core.cpu.store(here as u32, Relaxed);
                    self.core.deadline_ns.store(deadline_ns, Relaxed);
                }
                is_set
            });
            // Else somebody else has set it at the same time: the later one counts.
            if is_set {
                return;
            }
        }
    }

    /// Takes the timer back; whether it was set and its call had not begun. A call that has begun on
    /// another processor goes on. From any context.
    pub fn cancel(&self) -> bool {
        let core = &*self.core;
        while core.armed.is_rooted() || core.expired.is_linked() {
            let on = |cpu: &AtomicU32| cpu.load(Relaxed) as usize;
            // Set again at the same time as it expired, it can be both; then its two calls are one.
            let was_armed = change_on(on(&core.cpu), |timers| timers.armed.remove(core).is_some());
            let was_expired =
                change_on(on(&core.expired_cpu), |timers| timers.expired.remove(core).is_some());
            if was_armed || was_expired {
                return true;
            }
            // Another processor moves it, under the lock that was just held for nothing.
            cpu::spin_wait();
        }
        false
    }

    /// The moment it is set to, in nanoseconds since boot, if that has not come.
    pub fn deadline_ns(&self) -> Option<u64> {
        self.core.armed.is_rooted().then(|| self.core.deadline_ns.load(Relaxed))
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.cancel();
    }
}

/// Called by the machine when this processor's deadline may have come; interrupts are held off.
pub(crate) fn on_deadline() {
    let processor = PROCESSORS.on(cpu::current());
    let now_ns = clock::now_ns();
    processor.disarm();
    if processor.tick_ns.load(Relaxed) <= now_ns {
        account::charge(processor, &current(), now_ns, true);
        processor.tick_ns.store(now_ns + TICK_NS, Relaxed);
    }
    if processor.next_timer_ns.load(Relaxed) <= now_ns {
        expire(processor, now_ns);
    }
    if processor.turn_end_ns.load(Relaxed) <= now_ns {
        processor.turn_end_ns.store(NEVER, Relaxed);
        cpu::request_reschedule();
    }
    processor.arm();
}

fn expire(processor: &Processor, now_ns: u64) {
    loop {
        let mut timers = processor.timers.lock();
        let Some(sleeper) = timers.sleeps.pop_first_until(now_ns) else { break };
        drop(timers);
        schedule::wake(sleeper, false);
    }
    let mut timers = processor.timers.lock();
    while let Some(core) = timers.armed.pop_first_until(now_ns) {
        let here = cpu::current() as u32;
        // One that is there already, on whatever processor, was set again before it could be called.
        if timers.expired.push_back(core.clone()).is_ok() {
            core.expired_cpu.store(here, Relaxed);
        }
    }
    let has_expired = !timers.expired.is_empty();
    processor.next_timer_ns.store(timers.first(), Relaxed);
    drop(timers);
    if has_expired {
        softirq::raise(Kind::Timer);
    }
}

/// Calls what has expired on this processor: the work of [`Kind::Timer`].
pub(crate) fn call_expired() {
    loop {
        let expired = change_own(|timers, _| timers.expired.pop_front());
        match expired {
            Some(core) => (core.call)(),
            None => return,
        }
    }
}

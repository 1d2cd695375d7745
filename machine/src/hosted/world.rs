//! The run: which processor executes, what time it is, when interrupts come.

use std::any::Any;
use std::boxed::Box;
use std::cell::UnsafeCell;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::vec::Vec;

use super::processor::{self, Processor, cpu_index, here, is_inside, lock, on};
use super::stack::{self, Stack};
use super::{memory, task};
use crate::cpu;

type Outcome = Result<(), Box<dyn Any + Send>>;

/// Spins without anything else happening after which the machine is taken to be stuck.
const STUCK_SPINS: u32 = 10_000_000;

static NOW_NS: AtomicU64 = AtomicU64::new(1_000_000);
static TIME_LIMIT_NS: AtomicU64 = AtomicU64::new(3_600_000_000_000);
static RANDOM: AtomicU64 = AtomicU64::new(1);
/// One point in so many hands over to another processor.
static HAND_OVER_RATE: AtomicU32 = AtomicU32::new(4);
static SPINS: AtomicU32 = AtomicU32::new(0);
static HAS_RUN: AtomicBool = AtomicBool::new(false);
static OUTCOME: Mutex<Option<Outcome>> = Mutex::new(None);
static HOME: Home = Home(UnsafeCell::new(0));
/// Boot stacks of the processors; freed when the machine has ended.
static BOOT_STACKS: Mutex<Vec<Stack>> = Mutex::new(Vec::new());

/// The stack pointer of the host thread that called [`run`].
struct Home(UnsafeCell<usize>);

// SAFETY: only the one host thread that executes the machine uses it.
unsafe impl Sync for Home {}

/// Runs a machine of `cpus` processors until `body`, the boot processor's flow of control, returns; a panic
/// on any processor ends the machine and goes on in the caller. Equal seeds give equal runs.
///
/// # Panics
/// When a machine has run in this process already: use `cargo nextest`, which starts a process for each
/// test.
pub fn run(cpus: usize, seed: u64, body: impl FnOnce() + 'static) {
    assert!((1..=cpu::MAX_CPUS).contains(&cpus), "1 to {} processors", cpu::MAX_CPUS);
    assert!(
        !HAS_RUN.swap(true, Relaxed),
        "a second machine in one process: run the tests with cargo nextest"
    );
    cpu::set_count(cpus);
    RANDOM.store(seed, Relaxed);
    memory::init_memory();
    crate::frame::init_caches();
    start(0, Box::new(body));
    processor::set_executing(0);
    processor::enter_machine();
    // SAFETY: the boot stack was made just now and nothing has run on it.
    unsafe { stack::switch(HOME.0.get(), *on(0).stack_pointer.get()) };
    processor::leave_machine();
    lock(&BOOT_STACKS).clear();
    if let Some(Err(panic)) = lock(&OUTCOME).take() {
        std::panic::resume_unwind(panic);
    }
}

pub(crate) fn release_others(entry: fn() -> !) {
    for index in 1..cpu::count() {
        start(index, Box::new(move || entry()));
    }
}

fn start(index: usize, body: stack::Body) {
    let (stack, pointer) = Stack::new(body);
    // SAFETY: the processor has not been started, so nobody else uses its stack pointer.
    unsafe { *on(index).stack_pointer.get() = pointer };
    on(index).is_started.store(true, Relaxed);
    lock(&BOOT_STACKS).push(stack);
}

/// Ends the machine, from any thread of it: [`run`] returns.
pub fn finish() -> ! {
    end(Ok(()))
}

/// Ends the machine from whichever stack executes.
pub(super) fn end(outcome: Outcome) -> ! {
    *lock(&OUTCOME) = Some(outcome);
    let mut abandoned = 0;
    // SAFETY: `run` stored its stack pointer when the machine began, and waits there.
    unsafe { stack::switch(&mut abandoned, *HOME.0.get()) };
    unreachable!("a machine that has ended went on")
}

/// The next number of the run (SplitMix64, Steele et al. 2014).
pub(super) fn random() -> u64 {
    let state = RANDOM.load(Relaxed).wrapping_add(0x9e37_79b9_7f4a_7c15);
    RANDOM.store(state, Relaxed);
    let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Sets after how much virtual time the machine is taken to be stuck, in nanoseconds since boot; an hour at
/// first. (A periodic timer keeps a machine in which all else waits for ever from having no deadline.)
pub fn set_time_limit(ns: u64) {
    TIME_LIMIT_NS.store(ns, Relaxed);
}

/// Sets that one point in `points` (on average) hands over to another processor; 4 at first. 0: only where
/// a processor cannot go on.
pub fn set_hand_over_rate(points: u32) {
    HAND_OVER_RATE.store(points, Relaxed);
}

/// Lets `ns` of virtual time pass. Deadlines that come due are dealt with at the next points of their
/// processors.
pub fn advance(ns: u64) {
    NOW_NS.fetch_add(ns, Relaxed);
    point();
}

/// A point, for test code that would otherwise run on without any: stands for a stretch of work.
pub fn step() {
    point();
}

/// Raises an interrupt on processor `cpu`: `handler` runs there, with interrupts held off, at its next
/// point at which it has them enabled.
pub fn interrupt(cpu: usize, handler: impl FnOnce() + Send + 'static) {
    lock(&on(cpu).pending).push_back(Box::new(handler));
    point();
}

pub(crate) fn now_ns() -> u64 {
    NOW_NS.load(Relaxed)
}

/// A moment between two instructions at which anything may happen.
pub(super) fn point() {
    if !is_inside() {
        return;
    }
    let chance = random();
    NOW_NS.fetch_add(chance >> 57, Relaxed);
    SPINS.store(0, Relaxed);
    let rate = HAND_OVER_RATE.load(Relaxed);
    if rate != 0 && (chance as u32).is_multiple_of(rate) {
        hand_over();
    }
    take_interrupts();
}

/// Handles what waits for this processor, if it has interrupts enabled, and calls the scheduler if that was
/// asked for.
fn take_interrupts() {
    let processor = here();
    if processor.interrupts_off.load(Relaxed) != 0 {
        return;
    }
    while processor.has_interrupt() {
        processor.interrupts_off.store(1, Relaxed);
        if processor.deadline_ns.load(Relaxed) <= now_ns() {
            processor.deadline_ns.store(u64::MAX, Relaxed);
            task::call_deadline_hook();
        }
        let handler = lock(&processor.pending).pop_front();
        if let Some(handler) = handler {
            handler();
        }
        processor.interrupts_off.store(0, Relaxed);
    }
    reschedule_if_asked(processor);
}

pub(super) fn reschedule_if_asked(processor: &Processor) {
    if processor.must_reschedule.load(Relaxed) && processor.preempt_off.load(Relaxed) == 0 {
        task::call_reschedule_hook();
    }
}

/// Lets another processor execute, if one has something to do. Returns whether one did, when this one
/// executes again.
fn hand_over() -> bool {
    let own = cpu_index();
    let others = (0..cpu::count()).filter(|&other| other != own && on(other).is_runnable());
    let others: Vec<usize> = others.collect();
    if others.is_empty() {
        return false;
    }
    let other = others[random() as usize % others.len()];
    processor::set_executing(other);
    // SAFETY: the other processor does not execute, so what it stored is unused; its stack is that of a
    // thread that it keeps alive, or its boot stack.
    unsafe { stack::switch(on(own).stack_pointer.get(), *on(other).stack_pointer.get()) };
    true
}

/// Lets other processors go on while this one waits for them.
pub(crate) fn spin_wait() {
    if !is_inside() {
        std::thread::yield_now();
        return;
    }
    NOW_NS.fetch_add(10, Relaxed);
    let spins = SPINS.load(Relaxed) + 1;
    SPINS.store(spins, Relaxed);
    assert!(spins < STUCK_SPINS, "every processor spins or idles: a lock is held for ever");
    hand_over();
    take_interrupts();
}

pub(crate) fn idle() {
    assert!(is_inside(), "only a processor of a running machine idles");
    let processor = here();
    assert!(!processor::is_atomic(), "idling with a guard or lock held");
    if processor.must_reschedule.load(Relaxed) {
        return;
    }
    processor.is_idle.store(true, Relaxed);
    processor.quiescent.fetch_add(1, Relaxed);
    while !processor.is_runnable() {
        if !hand_over() && !processor.is_runnable() {
            skip_to_next_deadline();
        }
    }
    processor.is_idle.store(false, Relaxed);
    take_interrupts();
}

fn skip_to_next_deadline() {
    let next = (0..cpu::count()).map(|index| on(index).deadline_ns.load(Relaxed)).min().unwrap_or(u64::MAX);
    assert!(
        next != u64::MAX,
        "every processor idles and no deadline is armed: all threads wait for each other"
    );
    assert!(
        next <= TIME_LIMIT_NS.load(Relaxed),
        "nothing but timers for an hour: all threads wait for each other"
    );
    NOW_NS.fetch_max(next, Relaxed);
}

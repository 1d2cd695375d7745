//! The state of a virtual processor: what it holds off, what it has been asked for, what it runs.

use std::boxed::Box;
use std::cell::{Cell, UnsafeCell};
use std::collections::VecDeque;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use super::task::{Left, Task};
use super::world;
use crate::cpu::MAX_CPUS;
use crate::paging::Space;
use crate::sync::HeldRanks;

pub(super) struct Processor {
    /// Guards and `Task` locks that are held.
    pub preempt_off: AtomicU32,
    /// Guards and `Irq` locks that are held, and the interrupt that is being handled.
    pub interrupts_off: AtomicU32,
    pub ranks: HeldRanks,
    pub must_reschedule: AtomicBool,
    /// When the deadline hook is due; `u64::MAX` for never.
    pub deadline_ns: AtomicU64,
    /// Interrupts that have been raised and not handled.
    pub pending: Mutex<VecDeque<Box<dyn FnOnce() + Send>>>,
    pub is_started: AtomicBool,
    pub is_idle: AtomicBool,
    pub quiescent: AtomicU64,
    /// The thread that runs here, made by `Arc::into_raw`, and the task in it.
    pub thread: AtomicPtr<()>,
    pub task: AtomicPtr<Task>,
    /// The thread that was just left, to be dropped on the next stack.
    pub left: Mutex<Option<Left>>,
    /// The address space whose tables are loaded.
    pub loaded: Mutex<Option<Arc<Space>>>,
    /// The stack pointer while another processor executes.
    pub stack_pointer: UnsafeCell<usize>,
}

// SAFETY: `stack_pointer` is only used by the one host thread that executes the machine; all else is shared
// safely. (A processor of a thread outside the machine is that thread's own.)
unsafe impl Sync for Processor {}

impl Processor {
    const fn new() -> Self {
        Self {
            preempt_off: AtomicU32::new(0),
            interrupts_off: AtomicU32::new(0),
            ranks: HeldRanks::new(),
            must_reschedule: AtomicBool::new(false),
            deadline_ns: AtomicU64::new(u64::MAX),
            pending: Mutex::new(VecDeque::new()),
            is_started: AtomicBool::new(false),
            is_idle: AtomicBool::new(false),
            quiescent: AtomicU64::new(0),
            thread: AtomicPtr::new(null_mut()),
            task: AtomicPtr::new(null_mut()),
            left: Mutex::new(None),
            loaded: Mutex::new(None),
            stack_pointer: UnsafeCell::new(0),
        }
    }

    /// Whether an interrupt waits for this processor.
    pub fn has_interrupt(&self) -> bool {
        self.deadline_ns.load(Relaxed) <= world::now_ns() || !lock(&self.pending).is_empty()
    }

    /// Whether another choice was asked for, and may be made.
    pub fn is_reschedule_due(&self) -> bool {
        self.must_reschedule.load(Relaxed)
            && self.preempt_off.load(Relaxed) == 0
            && self.interrupts_off.load(Relaxed) == 0
    }

    /// Whether this processor would do something if it executed.
    pub fn is_runnable(&self) -> bool {
        self.is_started.load(Relaxed)
            && (!self.is_idle.load(Relaxed) || self.must_reschedule.load(Relaxed) || self.has_interrupt())
    }
}

static PROCESSORS: [Processor; MAX_CPUS] = [const { Processor::new() }; MAX_CPUS];
/// The processor that executes now.
static EXECUTING: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// Whether this host thread executes the machine.
    static IS_INSIDE: Cell<bool> = const { Cell::new(false) };
    /// The state of a host thread that does not: it can use locks and frames, and is counted for itself.
    static OUTSIDE: &'static Processor = Box::leak(Box::new(Processor::new()));
}

/// Locks a mutex of the hosted machine, whatever a panicking test left behind.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

pub(super) fn enter_machine() {
    IS_INSIDE.set(true);
}

pub(super) fn leave_machine() {
    IS_INSIDE.set(false);
}

#[inline]
pub(super) fn is_inside() -> bool {
    IS_INSIDE.get()
}

/// The processor that runs this.
pub(super) fn here() -> &'static Processor {
    if is_inside() { on(EXECUTING.load(Relaxed)) } else { OUTSIDE.with(|own| *own) }
}

pub(super) fn on(cpu: usize) -> &'static Processor {
    &PROCESSORS[cpu]
}

pub(super) fn set_executing(cpu: usize) {
    EXECUTING.store(cpu, Relaxed);
}

pub(crate) fn cpu_index() -> usize {
    if is_inside() { EXECUTING.load(Relaxed) } else { 0 }
}

pub(crate) fn preempt_disable() {
    here().preempt_off.fetch_add(1, Relaxed);
}

pub(crate) fn preempt_enable() {
    let processor = here();
    let before = processor.preempt_off.fetch_sub(1, Relaxed);
    assert!(before > 0, "preemption enabled more often than disabled");
    if before == 1 && processor.interrupts_off.load(Relaxed) == 0 {
        world::point();
    }
}

pub(crate) fn interrupts_push_off() {
    here().interrupts_off.fetch_add(1, Relaxed);
}

pub(crate) fn interrupts_pop_off() {
    let before = here().interrupts_off.fetch_sub(1, Relaxed);
    assert!(before > 0, "interrupts enabled more often than disabled");
    if before == 1 {
        world::point();
    }
}

pub(crate) fn is_atomic() -> bool {
    let processor = here();
    processor.preempt_off.load(Relaxed) != 0 || processor.interrupts_off.load(Relaxed) != 0
}

#[track_caller]
pub(crate) fn rank_enter(rank: u8, is_nested: bool) {
    // Another processor may be quicker.
    world::point();
    here().ranks.enter(rank, is_nested);
}

pub(crate) fn rank_enter_unordered(rank: u8) {
    here().ranks.enter_unordered(rank);
}

pub(crate) fn rank_leave(rank: u8) {
    here().ranks.leave(rank);
}

pub(crate) fn request_reschedule() {
    here().must_reschedule.store(true, Relaxed);
}

pub(crate) fn take_reschedule_request() -> bool {
    here().must_reschedule.swap(false, Relaxed)
}

pub(crate) fn send_reschedule(cpu: usize) {
    on(cpu).must_reschedule.store(true, Relaxed);
}

pub(crate) fn set_deadline(deadline_ns: Option<u64>) {
    let armed = &here().deadline_ns;
    match deadline_ns {
        Some(deadline_ns) => armed.store(armed.load(Relaxed).min(deadline_ns), Relaxed),
        None => armed.store(u64::MAX, Relaxed),
    }
}

pub(crate) fn quiescent_count(cpu: usize) -> u64 {
    on(cpu).quiescent.load(Relaxed)
}

pub(crate) fn is_idle(cpu: usize) -> bool {
    on(cpu).is_idle.load(Relaxed)
}

//! What the scheduler keeps for each processor.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};

use machine::clock;
use machine::cpu::PerCpu;
use machine::sync::{Irq, Once, Rank, SpinLock};

use crate::mask::{AtomicMask, CpuMask};
use crate::queue::RunQueue;
use crate::thread::Thread;
use crate::time::Timers;

pub(crate) static PROCESSORS: PerCpu<Processor> = PerCpu::new();
/// Processors that run their idle thread and that nobody has yet chosen for a thread that was woken.
pub(crate) static IDLE: AtomicMask = AtomicMask::new(CpuMask::EMPTY);
/// Processors on which the scheduler has been lit.
pub(crate) static LIT: AtomicMask = AtomicMask::new(CpuMask::EMPTY);

/// Whether processor `cpu` runs threads, its own softirq thread among them.
#[cfg(not(target_os = "none"))]
pub(crate) fn is_lit(cpu: usize) -> bool {
    LIT.contains(cpu) && PROCESSORS.on(cpu).softirq.get().is_some()
}

/// No moment is later.
pub(crate) const NEVER: u64 = u64::MAX;

pub(crate) struct Processor {
    pub queue: SpinLock<RunQueue, Irq>,
    /// The thread that was switched away from because it may not run here any more, until the next one sees
    /// it off.
    moving: SpinLock<Option<Arc<Thread>>, Irq>,
    has_moving: AtomicBool,
    /// Runs when nothing else can.
    pub idle: Once<Arc<Thread>>,
    /// Threads that want the processor: those in the queue, and the current one unless it is the idle
    /// thread. A hint for others; exact under the queue's lock.
    pub load: AtomicU32,
    /// For when the timer is armed.
    pub armed_ns: AtomicU64,
    /// When the current thread's turn ends, if others wait.
    pub turn_end_ns: AtomicU64,
    /// When the current program's mode is to be sampled.
    pub tick_ns: AtomicU64,
    /// Until when the current thread has been charged.
    pub charged_ns: AtomicU64,
    pub user_ns: AtomicU64,
    pub system_ns: AtomicU64,
    pub idle_ns: AtomicU64,
    pub switches: AtomicU64,
    pub timers: SpinLock<Timers, Irq>,
    /// The first deadline in `timers`.
    pub next_timer_ns: AtomicU64,
    /// Bits of [`softirq`](crate::softirq) kinds that have been raised here.
    pub raised: AtomicU32,
    pub softirq: Once<Arc<Thread>>,
}

impl Processor {
    pub fn new() -> Self {
        Self {
            queue: SpinLock::new(Rank::RunQueue, RunQueue::new()),
            moving: SpinLock::new(Rank::RunQueue, None),
            has_moving: AtomicBool::new(false),
            idle: Once::new(),
            load: AtomicU32::new(0),
            armed_ns: AtomicU64::new(NEVER),
            turn_end_ns: AtomicU64::new(NEVER),
            tick_ns: AtomicU64::new(NEVER),
            charged_ns: AtomicU64::new(0),
            user_ns: AtomicU64::new(0),
            system_ns: AtomicU64::new(0),
            idle_ns: AtomicU64::new(0),
            switches: AtomicU64::new(0),
            timers: SpinLock::new(Rank::Timer, Timers::new()),
            next_timer_ns: AtomicU64::new(NEVER),
            raised: AtomicU32::new(0),
            softirq: Once::new(),
        }
    }

    /// Notes a thread that must run elsewhere, once its stack has been left. Called by this processor.
    pub fn set_moving(&self, thread: Arc<Thread>) {
        *self.moving.lock_nested() = Some(thread);
        self.has_moving.store(true, Relaxed);
    }

    /// Whether there is such a thread.
    #[inline]
    pub fn has_moving(&self) -> bool {
        self.has_moving.load(Relaxed)
    }

    /// Takes that thread. Called by this processor.
    pub fn take_moving(&self) -> Option<Arc<Thread>> {
        self.has_moving.store(false, Relaxed);
        self.moving.lock().take()
    }

    /// Arms the timer of this processor (which must be the calling one) for whatever comes first. Nothing
    /// is done when it is armed for that moment or an earlier one: then the interrupt arms it anew.
    #[inline]
    pub fn arm(&self) {
        let turn = self.turn_end_ns.load(Relaxed).min(self.tick_ns.load(Relaxed));
        let first = turn.min(self.next_timer_ns.load(Relaxed));
        if first < self.armed_ns.load(Relaxed) {
            self.armed_ns.store(first, Relaxed);
            clock::set_deadline(Some(first));
        }
    }

    /// Notes that the timer has fired.
    pub fn disarm(&self) {
        self.armed_ns.store(NEVER, Relaxed);
    }
}

//! Processors: who am I, how many are there, per-processor data, waking and stopping one another.

use alloc::boxed::Box;
use core::sync::atomic::{AtomicUsize, Ordering};

use crate::arch;
use crate::sync::{Once, PreemptGuard};

/// The most processors that one machine can have: 8-bit local APIC ids, of which 255 is the broadcast.
pub const MAX_CPUS: usize = 255;

static COUNT: AtomicUsize = AtomicUsize::new(1);

/// How many processors run. They are numbered from 0 (the one that booted) without gaps. Grows only during
/// boot, before the first thread is started.
#[inline]
pub fn count() -> usize {
    COUNT.load(Ordering::Relaxed)
}

pub(crate) fn set_count(count: usize) {
    COUNT.store(count, Ordering::Release);
}

/// The number of the processor that runs this. It is stale at once unless preemption is held off.
#[inline]
pub fn current() -> usize {
    arch::cpu_index()
}

/// A value for each processor.
///
/// Made empty in a static, filled once by [`init`](Self::init) when the number of processors is known. The
/// values are shared (`T: Sync`), since any processor may look at another's; what makes them cheap is that
/// nobody usually does.
pub struct PerCpu<T> {
    values: Once<Box<[Padded<T>]>>,
}

/// Two processors' values never share a cache line.
#[repr(align(64))]
struct Padded<T>(T);

impl<T: Send + Sync> PerCpu<T> {
    /// No values yet.
    pub const fn new() -> Self {
        Self { values: Once::new() }
    }

    /// Makes the value of each processor. A second call is ignored.
    pub fn init(&self, mut make: impl FnMut(usize) -> T) {
        if self.values.get().is_none() {
            let values = (0..count()).map(|index| Padded(make(index))).collect();
            // A second initialiser that came at the same time has made equal values; either may stay.
            let _ = self.values.set(values);
        }
    }

    /// The value of this processor, for as long as the caller stays on it.
    ///
    /// # Panics
    /// When [`init`](Self::init) has not been called.
    #[inline]
    #[track_caller]
    pub fn get<'g>(&'g self, _guard: &'g PreemptGuard) -> &'g T {
        self.on(current())
    }

    /// The value of processor `cpu`.
    ///
    /// # Panics
    /// When [`init`](Self::init) has not been called, or there is no such processor.
    #[inline]
    #[track_caller]
    pub fn on(&self, cpu: usize) -> &T {
        match self.values.get() {
            Some(values) => &values[cpu].0,
            None => panic!("per-processor data used before it was made"),
        }
    }

    /// Whether the values have been made.
    pub fn is_ready(&self) -> bool {
        self.values.get().is_some()
    }

    /// The values of all processors, in order.
    pub fn all(&self) -> impl Iterator<Item = &T> {
        self.values.get().into_iter().flatten().map(|padded| &padded.0)
    }
}

impl<T: Send + Sync> Default for PerCpu<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// Interrupts processor `cpu` so that it looks at its run queue: it leaves `hlt`, or calls the reschedule
/// hook on its way out of the interrupt. Cheap when `cpu` is this processor: only a bit is set.
#[inline]
pub fn send_reschedule(cpu: usize) {
    arch::send_reschedule(cpu);
}

/// Asks this processor to call the reschedule hook when its last lock is released, or before it enters user
/// mode.
#[inline]
pub fn request_reschedule() {
    arch::request_reschedule();
}

/// Takes back the request; returns whether there was one. The scheduler calls it when it chooses.
#[inline]
pub fn take_reschedule_request() -> bool {
    arch::take_reschedule_request()
}

/// Sleeps until an interrupt, unless a reschedule has been requested already. Called by an idle thread with
/// preemption enabled and interrupts enabled; there is no gap in which a wake-up could be lost.
#[inline]
pub fn idle() {
    arch::idle();
}

/// How often processor `cpu` has been at a point where it can hold no RCU reader.
#[inline]
pub(crate) fn quiescent_count(cpu: usize) -> u64 {
    arch::quiescent_count(cpu)
}

/// Whether processor `cpu` has been at such a point since its count was `seen`, or idles.
pub(crate) fn is_quiescent_since(cpu: usize, seen: u64) -> bool {
    arch::quiescent_count(cpu) != seen || arch::is_idle(cpu)
}

/// Lets another processor go on, inside a loop that waits for it.
#[inline]
pub fn spin_wait() {
    arch::spin_wait();
}

/// Lets the other processors, which have waited since they started, call `entry`, with interrupts enabled,
/// each on a stack of its own. Called once.
pub fn release_others(entry: fn() -> !) {
    arch::release_others(entry);
}

/// The processor's own name for itself.
pub fn brand() -> alloc::string::String {
    arch::cpu_brand()
}

/// Whether programs may be able to read the kernel's memory past its protection, by the processor's flaw that is called
/// Meltdown (CVE-2017-5754). Nothing here prevents that: kernel and program share page tables.
pub fn has_meltdown_flaw() -> bool {
    arch::has_meltdown_flaw()
}

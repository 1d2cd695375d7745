//! The monotonic clock, the wall clock's origin, and the one deadline of each processor.

#[cfg(any(target_os = "none", test))]
pub(crate) mod calibration;
#[cfg(any(target_os = "none", test))]
pub(crate) mod pvclock;
#[cfg(any(target_os = "none", test))]
pub(crate) mod running;

use crate::arch;

/// Nanoseconds since boot, monotonic on all processors together, never going back.
#[inline]
pub fn now_ns() -> u64 {
    arch::now_ns()
}

/// Nanoseconds since 1970-01-01 UTC at the moment when [`now_ns`] was 0, read once from the machine's own
/// clock at boot; `None` when the machine has none or it made no sense.
pub fn boot_time_ns() -> Option<u64> {
    arch::boot_time_ns()
}

/// What clock_getres(2) says of the clocks that are cheap to read, in nanoseconds (Linux with HZ 250). They are as exact as
/// the others here.
pub const COARSE_STEP_NS: u64 = 4_000_000;

/// Nanoseconds by which CLOCK_REALTIME is ahead of [`now_ns`]: [`boot_time_ns`] at first, 0 where there is none.
#[inline]
pub fn wall_offset_ns() -> u64 {
    arch::wall_offset_ns()
}

/// Sets the wall clock. May be called anywhere but in a handler of an NMI.
pub fn set_wall_offset_ns(offset_ns: u64) {
    arch::set_wall_offset_ns(offset_ns);
}

/// What came of [`refine`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refinement {
    /// The counter's rate is known better from now on.
    Better {
        /// The rate that it was taken for so far, in Hz.
        from_hz: u64,
        /// The rate now, in Hz.
        to_hz: u64,
        /// How far from the true rate it can be, in millionths.
        error_ppm: u64,
    },
    /// The counter has changed its rate since boot: it is not trusted any more.
    Unsteady,
    /// There is nothing to measure it against, or not any more; or the rate is known as well as it can be.
    Impossible,
}

/// Measures the counter again, over all the time since boot: the longer that is, the more exact. The measurement at boot is
/// short, so that the boot is, and leaves an error of up to 0.2 %. Time does not step, it only goes on at another rate. Takes
/// some microseconds; may be called anywhere but in a handler of an NMI.
pub fn refine() -> Refinement {
    arch::refine_clock()
}

/// Arms this processor's timer to call the deadline hook at `deadline_ns` (or at once if that has passed);
/// `None` disarms it. The timer is touched only when that moves the interrupt to an earlier moment, so calls
/// are cheap and the hook may come early: it must look at the clock.
#[inline]
pub fn set_deadline(deadline_ns: Option<u64>) {
    arch::set_deadline(deadline_ns);
}

/// How the monotonic clock is derived from the time stamp counter, for the vDSO: `ns = base_ns + ((tsc -
/// base_tsc) * multiplier) >> shift`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TscScale {
    /// Counter value at `base_ns`.
    pub base_tsc: u64,
    /// Nanoseconds since boot at `base_tsc`.
    pub base_ns: u64,
    /// Fixed-point nanoseconds per tick.
    pub multiplier: u64,
    /// The fixed point's place.
    pub shift: u32,
}

/// The scale, where the counter can be read by programs and is trusted to run alike on all processors.
pub fn tsc_scale() -> Option<TscScale> {
    arch::tsc_scale()
}

/// Names the clock that the counter was measured against, for the boot log.
pub fn reference_name() -> &'static str {
    arch::clock_reference_name()
}

/// Names the clock source for the boot log and /sys.
pub fn source_name() -> &'static str {
    arch::clock_source_name()
}

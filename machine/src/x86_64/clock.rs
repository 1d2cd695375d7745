//! Time: the time stamp counter, measured once against a clock whose rate is known, and the deadline timer.
//!
//! The reference is the first that there is: the hypervisor's word (CPUID), HPET, or channel 0 of the 8254
//! read through its latch, which every machine including QEMU's microvm has; where that stands still, a
//! second of the real-time clock.

use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use super::local::local;
use super::{apic, firmware, instructions, memory, ports, task};
use crate::address::PhysicalAddress;
use crate::clock::TscScale;
use crate::sync::Once;

/// Fixed-point nanoseconds a tick, and its place.
static MULTIPLIER: AtomicU32 = AtomicU32::new(0);
static SHIFT: AtomicU32 = AtomicU32::new(0);
static BASE: AtomicU64 = AtomicU64::new(0);
static TICKS_PER_SECOND: AtomicU64 = AtomicU64::new(0);
static REFERENCE: Once<&'static str> = Once::new();
/// Whether the counters of all processors were found to agree.
static IS_TRUSTED: AtomicBool = AtomicBool::new(true);
/// The latest time given out, where the counters do not agree.
static LATEST: AtomicU64 = AtomicU64::new(0);
static BOOT_TIME: Once<Option<u64>> = Once::new();

/// How long to measure.
const MEASURE_NS: u64 = 5_000_000;
/// Rate of the 8254, in Hz.
const PIT_HZ: u64 = 1_193_182;

pub fn cycles() -> u64 {
    instructions::read_tsc()
}

#[inline]
pub fn now_ns() -> u64 {
    let ticks = instructions::read_tsc().wrapping_sub(BASE.load(Ordering::Relaxed));
    let product = u128::from(ticks) * u128::from(MULTIPLIER.load(Ordering::Relaxed));
    let now = (product >> SHIFT.load(Ordering::Relaxed)) as u64;
    if IS_TRUSTED.load(Ordering::Relaxed) { now } else { LATEST.fetch_max(now, Ordering::AcqRel).max(now) }
}

/// How many ticks of the counter pass in `ns`.
pub fn ns_to_ticks(ns: u64) -> u64 {
    let ticks = u128::from(ns) * u128::from(TICKS_PER_SECOND.load(Ordering::Relaxed)) / 1_000_000_000;
    u64::try_from(ticks).unwrap_or(u64::MAX / 2)
}

pub fn tsc_scale() -> Option<TscScale> {
    IS_TRUSTED.load(Ordering::Relaxed).then(|| TscScale {
        base_tsc: BASE.load(Ordering::Relaxed),
        base_ns: 0,
        multiplier: MULTIPLIER.load(Ordering::Relaxed),
        shift: SHIFT.load(Ordering::Relaxed),
    })
}

/// What the counter was measured against.
pub fn clock_reference_name() -> &'static str {
    REFERENCE.get().copied().unwrap_or("nothing")
}

pub fn clock_source_name() -> &'static str {
    if IS_TRUSTED.load(Ordering::Relaxed) { "tsc" } else { "tsc-unsynchronised" }
}

/// Says that a processor's counter was seen behind another's.
pub fn distrust() {
    IS_TRUSTED.store(false, Ordering::Relaxed);
}

/// Measures counter and timer and starts the clock, on the boot processor. `base` is the counter's value at
/// the kernel's first instruction.
pub fn init(base: u64) {
    apic::start_measuring();
    let (name, ns, ticks, timer_ticks) = measure();
    let frequency = (u128::from(ticks) * 1_000_000_000 / u128::from(ns.max(1))) as u64;
    set_rate(frequency.max(1), base);
    apic::set_timer_rate(timer_ticks, ns);
    let _ = REFERENCE.set(name);
    let wall = ports::read_rtc().map(|seconds| (seconds * 1_000_000_000).saturating_sub(now_ns()));
    let _ = BOOT_TIME.set(wall);
}

fn set_rate(frequency: u64, base: u64) {
    TICKS_PER_SECOND.store(frequency, Ordering::Relaxed);
    let mut shift = 32;
    let multiplier = loop {
        let multiplier = (1_000_000_000u128 << shift) / u128::from(frequency);
        if let Ok(fits) = u32::try_from(multiplier) {
            break fits;
        }
        shift -= 1;
    };
    MULTIPLIER.store(multiplier, Ordering::Relaxed);
    SHIFT.store(shift, Ordering::Relaxed);
    BASE.store(base, Ordering::Relaxed);
}

pub fn boot_time_ns() -> Option<u64> {
    BOOT_TIME.get().copied().flatten()
}

/// Name, nanoseconds, counter ticks and timer ticks of one measurement. The timer was started just before.
fn measure() -> (&'static str, u64, u64, u64) {
    if let Some((ns, ticks, timer)) = firmware::hpet().and_then(measure_hpet) {
        return ("hpet", ns, ticks, timer);
    }
    if let Some((ns, ticks, timer)) = measure_pit() {
        return ("pit", ns, ticks, timer);
    }
    apic::start_measuring();
    let (ns, ticks, timer) = measure_rtc();
    ("rtc", ns, ticks, timer)
}

fn measure_hpet(address: PhysicalAddress) -> Option<(u64, u64, u64)> {
    const CAPABILITIES: usize = 0;
    const CONFIGURATION: usize = 0x10;
    const COUNTER: usize = 0xf0;
    let mapping = memory::map_device(address, 0x400).ok()?;
    let register = |offset: usize| mapping.pointer().wrapping_add(offset).cast::<u64>();
    // SAFETY: the mapping covers the device's registers (HPET specification 1.0a, 2.3.4); counting on harms
    // nobody.
    unsafe {
        let period_fs = register(CAPABILITIES).read_volatile() >> 32;
        if period_fs == 0 || period_fs > 100_000_000 {
            return None;
        }
        register(CONFIGURATION).write_volatile(register(CONFIGURATION).read_volatile() | 1);
        let counter = || register(COUNTER).read_volatile() as u32;
        let wanted = (MEASURE_NS * 1_000_000 / period_fs) as u32;
        let (first, first_tsc, first_timer) = (counter(), instructions::read_tsc(), apic::measured_ticks());
        let limit = first_tsc.wrapping_add(20_000_000_000);
        loop {
            let passed = counter().wrapping_sub(first);
            let tsc = instructions::read_tsc();
            if passed >= wanted {
                let timer = apic::measured_ticks() - first_timer;
                return Some((u64::from(passed) * period_fs / 1_000_000, tsc - first_tsc, timer.into()));
            }
            if tsc > limit {
                return None;
            }
            core::hint::spin_loop();
        }
    }
}

fn measure_pit() -> Option<(u64, u64, u64)> {
    ports::pit_start();
    let mut last = ports::pit_count();
    let (first_tsc, first_timer) = (instructions::read_tsc(), apic::measured_ticks());
    let mut passed = 0u64;
    let wanted = PIT_HZ * MEASURE_NS / 1_000_000_000;
    let mut idle_reads = 0;
    while passed < wanted {
        let count = ports::pit_count();
        let tsc = instructions::read_tsc();
        // It counts down and starts again from 65536.
        let step = last.wrapping_sub(count);
        last = count;
        passed += u64::from(step);
        idle_reads = if step == 0 { idle_reads + 1 } else { 0 };
        if idle_reads > 100_000 {
            return None;
        }
        if passed >= wanted {
            let timer = apic::measured_ticks() - first_timer;
            return Some((passed * 1_000_000_000 / PIT_HZ, tsc - first_tsc, timer.into()));
        }
    }
    None
}

/// Waits for two changes of the second.
fn measure_rtc() -> (u64, u64, u64) {
    let wait = || {
        let start = ports::rtc_second();
        while ports::rtc_second() == start {
            core::hint::spin_loop();
        }
    };
    wait();
    let (first_tsc, first_timer) = (instructions::read_tsc(), apic::measured_ticks());
    wait();
    let timer = apic::measured_ticks() - first_timer;
    (1_000_000_000, instructions::read_tsc() - first_tsc, timer.into())
}

pub fn set_deadline(deadline_ns: Option<u64>) {
    let _guard = crate::sync::disable_interrupts();
    let armed = &local().deadline_ns;
    match deadline_ns {
        // The interrupt that is still armed will find nothing to do.
        None => {}
        Some(deadline) if deadline >= armed.load(Ordering::Relaxed) => {}
        Some(deadline) => {
            armed.store(deadline, Ordering::Relaxed);
            apic::arm_timer(deadline.saturating_sub(now_ns()));
        }
    }
}

/// The timer's interrupt.
pub fn on_timer() {
    let armed = &local().deadline_ns;
    let deadline = armed.swap(u64::MAX, Ordering::Relaxed);
    if deadline != u64::MAX && now_ns() < deadline {
        // The counter was too short for the wait, or ran a little fast.
        set_deadline(Some(deadline));
        return;
    }
    task::call_deadline_hook();
}

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

/// How long to measure, and how often.
const WINDOW_NS: u64 = 3_000_000;
const WINDOWS: usize = 3;
/// Looks at a reference that does not move before it is given up.
const PATIENCE: u32 = 100_000;
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
    let (name, rates) = measure();
    set_rate(rates.tsc.max(1), base);
    apic::set_timer_rate(rates.timer);
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

/// Counter ticks and timer ticks in a second, and the name of what they were measured against. The timer was started
/// just before.
fn measure() -> (&'static str, Rates) {
    if let Some(rates) = firmware::hpet().and_then(measure_hpet) {
        return ("hpet", rates);
    }
    if let Some(rates) = measure_pit() {
        return ("pit", rates);
    }
    apic::start_measuring();
    ("rtc", measure_rtc())
}

/// Ticks in a second.
#[derive(Clone, Copy)]
struct Rates {
    tsc: u64,
    timer: u64,
}

impl Rates {
    fn new(tsc: u64, timer: u64, ns: u64) -> Self {
        let per_second = |ticks: u64| (u128::from(ticks) * 1_000_000_000 / u128::from(ns.max(1))) as u64;
        Self { tsc: per_second(tsc), timer: per_second(timer) }
    }
}

/// One look at all three clocks.
#[derive(Clone, Copy)]
struct Look {
    reference: u32,
    tsc: u64,
    timer: u32,
}

/// Looks three times and keeps the look that took the shortest: one in the middle of which a hypervisor let somebody
/// else run would put the clocks against each other.
fn look(reference: impl Fn() -> u32) -> Look {
    let once = || {
        let before = instructions::read_tsc();
        let look =
            Look { reference: reference(), tsc: instructions::read_tsc(), timer: apic::measured_ticks() };
        (instructions::read_tsc().wrapping_sub(before), look)
    };
    [once(), once(), once()]
        .into_iter()
        .min_by_key(|(took, _)| *took)
        .map_or_else(|| once().1, |(_, look)| look)
}

/// Measures in several windows and takes the middle result, so that one that was disturbed does not count. `reference` counts
/// up, modulo `mask + 1`, `hz` times a second. `None` when it stands still.
fn measure_windows(reference: impl Fn() -> u32, mask: u32, hz: u64) -> Option<Rates> {
    let wanted = (hz * WINDOW_NS / 1_000_000_000) as u32;
    let mut found = [Rates { tsc: 0, timer: 0 }; WINDOWS];
    for rates in &mut found {
        let first = look(&reference);
        let mut last = first.reference;
        let mut still = 0;
        loop {
            let now = reference();
            still = if now == last { still + 1 } else { 0 };
            last = now;
            if now.wrapping_sub(first.reference) & mask >= wanted {
                break;
            }
            if still > PATIENCE {
                return None;
            }
            core::hint::spin_loop();
        }
        let end = look(&reference);
        let passed = u64::from(end.reference.wrapping_sub(first.reference) & mask);
        let ns = passed * 1_000_000_000 / hz;
        *rates = Rates::new(end.tsc - first.tsc, u64::from(end.timer.wrapping_sub(first.timer)), ns);
    }
    let middle = |mut values: [u64; WINDOWS]| {
        values.sort_unstable();
        values[WINDOWS / 2]
    };
    Some(Rates { tsc: middle(found.map(|rates| rates.tsc)), timer: middle(found.map(|rates| rates.timer)) })
}

fn measure_hpet(address: PhysicalAddress) -> Option<Rates> {
    const CAPABILITIES: usize = 0;
    const CONFIGURATION: usize = 0x10;
    const COUNTER: usize = 0xf0;
    let mapping = memory::map_device(address, 0x400).ok()?;
    let register = |offset: usize| mapping.pointer().wrapping_add(offset).cast::<u64>();
    // SAFETY: the mapping covers the device's registers (HPET specification 1.0a, 2.3.4); counting on harms nobody.
    let period_fs = unsafe {
        register(CONFIGURATION).write_volatile(register(CONFIGURATION).read_volatile() | 1);
        register(CAPABILITIES).read_volatile() >> 32
    };
    if period_fs == 0 || period_fs > 100_000_000 {
        return None;
    }
    // SAFETY: as above.
    let counter = || unsafe { register(COUNTER).read_volatile() } as u32;
    measure_windows(counter, u32::MAX, 1_000_000_000_000_000 / period_fs)
}

fn measure_pit() -> Option<Rates> {
    ports::pit_start();
    // It counts down and starts again from 65536.
    measure_windows(|| u32::from(!ports::pit_count()), 0xffff, PIT_HZ)
}

/// Waits for two changes of the second.
fn measure_rtc() -> Rates {
    let wait = || {
        let start = ports::rtc_second();
        while ports::rtc_second() == start {
            core::hint::spin_loop();
        }
    };
    wait();
    let first = look(|| 0);
    wait();
    let end = look(|| 0);
    Rates::new(end.tsc - first.tsc, u64::from(end.timer.wrapping_sub(first.timer)), 1_000_000_000)
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

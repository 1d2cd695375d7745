//! Time: the time stamp counter, measured against a clock whose rate is known, and the deadline timer.
//!
//! The counter's rate is what kvm-clock says it is, or measured against the first of these that moves: HPET, the ACPI timer,
//! channel 0 of the 8254, which every machine has, QEMU's microvm included; where that stands still, a second of the real-time
//! clock. At boot that is done in a moment, to 0.2 %; [`refine`] does it better when there is a longer time to measure over.
//!
//! Where the counter is not trusted, HPET or the ACPI timer is the clock instead, which is slower to read; a machine with neither
//! goes on with the counter, and sees to it that time never goes back.

mod kvm;
pub mod page;
mod references;

use core::sync::atomic::{AtomicU64, Ordering};

use super::cpuid::features;
use super::local::local;
use super::{apic, instructions, ports, task};
use crate::clock::calibration::{self, Look, Ratio, Reference};
use crate::clock::running::Running;
use crate::clock::{Refinement, TscScale};
use crate::sync::Once;

static TICKS_PER_SECOND: AtomicU64 = AtomicU64::new(0);
static SOURCE: Once<Source> = Once::new();
/// The latest time given out, where the counters do not agree.
static LATEST: AtomicU64 = AtomicU64::new(0);
/// What tells the time in the counter's place, if it has to.
static SUBSTITUTE: Once<(&'static str, &'static (dyn Reference + Sync))> = Once::new();
/// The same, from the moment on when it has had to.
static RUNNING: Once<Running> = Once::new();
/// The latest value of the counter that any processor has seen, to compare counters.
static LATEST_TSC: AtomicU64 = AtomicU64::new(0);
static BOOT_TIME: Once<Option<u64>> = Once::new();

/// How exact the rates must be at boot, in millionths.
const ERROR_AT_BOOT_PPM: u64 = 2000;
/// Rounds in which each processor compares its counter with the others' when it has come up.
const ROUNDS: u32 = 32;

/// Looks at a reference before it is taken for one that stands still.
const LOOKS_AT_MOST: u32 = 100_000;

/// The word of the command line by which the counter is not to be trusted, as on Linux.
const UNSTABLE: &str = "tsc=unstable";

/// Where the counter's rate comes from.
struct Source {
    name: &'static str,
    /// The reference, a look at it at boot, and what was found then.
    measured: Option<(&'static (dyn Reference + Sync), Look, Ratio)>,
}

pub fn cycles() -> u64 {
    instructions::read_tsc()
}

#[inline]
pub fn now_ns() -> u64 {
    let (by_counter, is_trusted) = page::now();
    if is_trusted { by_counter } else { without_trust(by_counter) }
}

/// The time where the counter is not trusted, which says `by_counter`.
#[cold]
fn without_trust(by_counter: u64) -> u64 {
    if let Some((_, reference)) = SUBSTITUTE.get()
        && RUNNING.get().is_none()
    {
        // Of two that come first, one's start is that of all.
        let _ = RUNNING.set(Running::start(*reference, by_counter));
    }
    let now = RUNNING.get().map_or(by_counter, Running::now_ns);
    LATEST.fetch_max(now, Ordering::AcqRel).max(now)
}

/// Sees to it that this processor looks at a clock that runs round before it has done so.
fn keep_running() {
    if let Some(running) = RUNNING.get() {
        set_deadline(Some(now_ns().saturating_add(running.half_round_ns())));
    }
}

/// How many ticks of the counter pass in `ns`.
pub fn ns_to_ticks(ns: u64) -> u64 {
    let ticks = u128::from(ns) * u128::from(TICKS_PER_SECOND.load(Ordering::Relaxed)) / 1_000_000_000;
    u64::try_from(ticks).unwrap_or(u64::MAX / 2)
}

pub fn tsc_scale() -> Option<TscScale> {
    page::is_trusted().then(page::scale)
}

/// What the counter was measured against.
pub fn clock_reference_name() -> &'static str {
    SOURCE.get().map_or("nothing", |source| source.name)
}

pub fn clock_source_name() -> &'static str {
    if page::is_trusted() { "tsc" } else { SUBSTITUTE.get().map_or("tsc-unsynchronised", |(name, _)| name) }
}

pub fn wall_offset_ns() -> u64 {
    page::wall_offset_ns()
}

pub fn set_wall_offset_ns(offset_ns: u64) {
    page::set_wall_offset_ns(offset_ns);
}

/// Measures counter and timer and starts the clock, on the boot processor. `base` is the counter's value at
/// the kernel's first instruction.
pub fn init(base: u64) {
    let told = kvm::ask();
    let (source, hz) = match told {
        Some(told) => (Source { name: "kvm-clock", measured: None }, told.hz),
        None => find_rate(),
    };
    // Whoever emulates a processor or shares one out does not let the counter's rate follow that of the core.
    let is_steady = features().invariant_tsc || features().is_virtual;
    let is_allowed = !crate::boot::info().command_line.split_ascii_whitespace().any(|word| word == UNSTABLE);
    page::start(base, hz.max(1), is_allowed && is_steady && told.is_none_or(|told| told.is_stable));
    TICKS_PER_SECOND.store(hz.max(1), Ordering::Relaxed);
    if let Some(substitute) = find_substitute(&source, told.is_some()) {
        let _ = SUBSTITUTE.set(substitute);
    }
    let _ = SOURCE.set(source);
    if !features().tsc_deadline {
        apic::set_timer_rate(timer_hz(hz));
    }
    let wall = ports::read_rtc().map(|seconds| (seconds * 1_000_000_000).saturating_sub(now_ns()));
    let _ = BOOT_TIME.set(wall);
    page::set_wall_offset_ns(wall.unwrap_or(0));
}

pub fn boot_time_ns() -> Option<u64> {
    BOOT_TIME.get().copied().flatten()
}

/// The counter's rate in Hz by the first reference that can tell it.
fn find_rate() -> (Source, u64) {
    for (name, reference) in references::all() {
        let found = calibration::measure(instructions::read_tsc_ordered, reference, ERROR_AT_BOOT_PPM);
        if let Some((ratio, look)) = found {
            let measured = Some((reference, look, ratio));
            return (Source { name, measured }, ratio.hz(reference.hz()));
        }
    }
    (Source { name: "rtc", measured: None }, measure_second())
}

/// A reference that takes longer to run round than a processor may sleep: what the counter was measured against, or the first that counts where it
/// did not have to be measured.
fn find_substitute(
    source: &Source,
    is_told: bool,
) -> Option<(&'static str, &'static (dyn Reference + Sync))> {
    let counts = |reference: &dyn Reference| {
        let first = reference.read();
        (0..LOOKS_AT_MOST).any(|_| reference.read() != first)
    };
    match source.measured {
        Some((reference, ..)) => Some((source.name, reference)).filter(|(name, _)| *name != references::PIT),
        None if is_told => references::all()
            .take_while(|(name, _)| *name != references::PIT)
            .find(|(_, reference)| counts(*reference)),
        None => None,
    }
}

/// Ticks between two changes of the second.
fn measure_second() -> u64 {
    let edge = || {
        let start = ports::rtc_second();
        while ports::rtc_second() == start {
            core::hint::spin_loop();
        }
        instructions::read_tsc()
    };
    let first = edge();
    edge().saturating_sub(first)
}

/// The timer's rate in Hz, of which only the counter's rate needs to be known.
fn timer_hz(counter_hz: u64) -> u64 {
    struct Timer;
    impl Reference for Timer {
        fn read(&self) -> u64 {
            apic::measured_ticks().into()
        }

        fn modulus(&self) -> u64 {
            1 << 32
        }

        fn hz(&self) -> u64 {
            0
        }
    }
    apic::start_measuring();
    let found = calibration::measure(instructions::read_tsc_ordered, &Timer, ERROR_AT_BOOT_PPM);
    match found {
        Some((ratio, _)) => ratio.reference_hz(counter_hz),
        None => panic!("the timer of the interrupt controller does not count"),
    }
}

/// See [`crate::clock::refine`].
pub fn refine() -> Refinement {
    let Some((reference, look, known)) = SOURCE.get().and_then(|source| source.measured) else {
        return Refinement::Impossible;
    };
    let again = calibration::measure_again(instructions::read_tsc_ordered, reference, look, known);
    let Some(ratio) = again else { return Refinement::Impossible };
    let Some(agreed) = ratio.agreed(known) else {
        distrust();
        now_ns();
        keep_running();
        return Refinement::Unsteady;
    };
    let hz = agreed.hz(reference.hz()).max(1);
    page::go_on_at(hz);
    let from_hz = TICKS_PER_SECOND.swap(hz, Ordering::Relaxed);
    Refinement::Better { from_hz, to_hz: hz, error_ppm: agreed.error_ppm() }
}

/// Says that the counter does not tell the time on every processor alike.
fn distrust() {
    page::distrust();
}

/// Compares this processor's counter with what all others have seen, while they do the same.
pub fn compare() {
    let latest = LATEST_TSC.load(Ordering::Acquire);
    let mine = instructions::read_tsc_ordered();
    if mine < latest {
        distrust();
    }
    LATEST_TSC.fetch_max(mine, Ordering::AcqRel);
}

/// What a processor that has come up does to compare its counter.
pub fn compare_rounds() {
    for _ in 0..ROUNDS {
        compare();
        super::spin_wait();
    }
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
    keep_running();
}

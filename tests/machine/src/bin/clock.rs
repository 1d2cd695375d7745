//! The clock: measured again while all processors read it, it neither steps nor goes back.

#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::format;
use alloc::string::String;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use machine::clock::{self, Refinement, TscScale};
use machine::sync::SpinLock;
use machine::{cpu, random};
use machine_tests::{Thread, expect, first_thread};

#[cfg(target_os = "none")]
machine::entry!(main);

fn main() {
    cpu::release_others(other_main);
    machine_tests::run(&[
        ("the_counter_is_trusted", trusted),
        ("an_emulated_counter_keeps_its_rate", steady),
        ("the_rate_at_boot_is_right_to_a_half_percent", rate_at_boot),
        ("time_neither_steps_nor_goes_back_when_the_rate_is_measured_again", refined),
        ("the_wall_clock_moves_by_what_it_is_set_by", wall),
    ]);
}

/// What the other processors do until the machine ends: look whether time goes back.
static LATEST: SpinLock<(u64, u64)> = SpinLock::new(machine::sync::Rank::Table, (0, 0));
static WATCHES: AtomicBool = AtomicBool::new(false);
static LOOKED: AtomicUsize = AtomicUsize::new(0);

fn other_main() -> ! {
    machine::task::adopt(Thread::new);
    loop {
        if WATCHES.load(Ordering::Acquire) {
            watch();
            LOOKED.fetch_add(1, Ordering::AcqRel);
        } else {
            cpu::spin_wait();
        }
    }
}

fn watch() {
    let mut latest = LATEST.lock();
    let now = clock::now_ns();
    if now < latest.0 {
        latest.1 += 1;
    }
    latest.0 = now;
}

fn scale() -> Result<TscScale, String> {
    clock::tsc_scale().ok_or_else(|| "the counter is not trusted".into())
}

/// The counter's rate in Hz that follows from the scale.
fn hz(scale: TscScale) -> u128 {
    (1_000_000_000u128 << scale.shift) / u128::from(scale.multiplier)
}

fn trusted() -> Result<(), String> {
    let _ = first_thread();
    scale()?;
    expect("source", clock::source_name(), "tsc")
}

/// Lets time pass, by the clock itself.
fn wait_until(ns: u64) {
    while clock::now_ns() < ns {
        cpu::spin_wait();
    }
}

static AT_BOOT: SpinLock<Option<TscScale>> = SpinLock::new(machine::sync::Rank::Table, None);

fn steady() -> Result<(), String> {
    *AT_BOOT.lock() = Some(scale()?);
    wait_until(300_000_000);
    match clock::refine() {
        Refinement::Better { error_ppm, .. } if error_ppm <= 2000 => Ok(()),
        other => Err(format!("{other:?}")),
    }
}

fn rate_at_boot() -> Result<(), String> {
    let at_boot = AT_BOOT.lock().ok_or("the rate at boot is not known")?;
    let (then, now) = (hz(at_boot), hz(scale()?));
    let off_ppm = then.abs_diff(now) * 1_000_000 / now;
    if off_ppm <= 5000 { Ok(()) } else { Err(format!("{then} Hz at boot, {now} Hz now")) }
}

/// How long `ticks` are at a rate that is known to 2 %.
fn between(ticks: u64, hz: u128) -> (u128, u128) {
    let ns = u128::from(ticks) * 1_000_000_000 / hz;
    (ns * 98 / 100, ns * 102 / 100)
}

fn refined() -> Result<(), String> {
    WATCHES.store(true, Ordering::Release);
    for _ in 0..200 {
        let hz = hz(scale()?);
        // The clock is read outside the counter, then inside it.
        let (outer, inner) = (clock::now_ns(), random::cycles());
        let (later, start) = (clock::now_ns(), random::cycles());
        if clock::refine() == Refinement::Unsteady {
            return Err("the counter is called unsteady".into());
        }
        let (end, inner_end) = (clock::now_ns(), random::cycles());
        let outer_end = clock::now_ns();
        let (least, _) = between(inner_end - start, hz);
        let (_, most) = between(inner_end - inner, hz);
        expect("a clock that went on", u128::from(outer_end - outer) >= least, true)?;
        expect("a clock that did not step", u128::from(end - later) <= most, true)?;
        watch();
    }
    // Somebody else has looked meanwhile, if there is anybody.
    while cpu::count() > 1 && LOOKED.load(Ordering::Acquire) < 1000 {
        watch();
    }
    WATCHES.store(false, Ordering::Release);
    expect("steps back", LATEST.lock().1, 0)
}

fn wall() -> Result<(), String> {
    let before = clock::wall_offset_ns();
    clock::set_wall_offset_ns(before + 3_600_000_000_000);
    let moved = clock::wall_offset_ns() - before;
    clock::set_wall_offset_ns(before);
    expect("moved by", moved, 3_600_000_000_000)?;
    expect("the origin of the wall clock", clock::boot_time_ns().is_some(), true)
}

//! The page of the clock: how time follows from the counter.
//!
//! A sequence number that is odd while the page is changed makes readers try again (a seqlock), so they see all of a change
//! or nothing of it. Writers hold a lock with interrupts off, since a handler reads the clock as well.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

use crate::clock::TscScale;
use crate::sync::{Irq, Rank, SpinLock};
use crate::x86_64::instructions;

/// Value of `mode`: time does not follow from the counter alone, programs must ask the kernel.
const MODE_CALL: u32 = 0;
/// Value of `mode`: it does.
const MODE_COUNTER: u32 = 1;

/// What is known of the clock, on a page of its own.
#[repr(C, align(4096))]
pub struct Page {
    sequence: AtomicU32,
    mode: AtomicU32,
    base_tsc: AtomicU64,
    base_ns: AtomicU64,
    multiplier: AtomicU32,
    shift: AtomicU32,
    wall_offset_ns: AtomicU64,
}

static PAGE: Page = Page {
    sequence: AtomicU32::new(0),
    mode: AtomicU32::new(MODE_CALL),
    base_tsc: AtomicU64::new(0),
    base_ns: AtomicU64::new(0),
    multiplier: AtomicU32::new(0),
    shift: AtomicU32::new(0),
    wall_offset_ns: AtomicU64::new(0),
};

static WRITER: SpinLock<(), Irq> = SpinLock::new(Rank::Timer, ());

/// Reads what belongs together.
#[inline]
fn read<T>(what: impl Fn(&Page) -> T) -> T {
    loop {
        let sequence = PAGE.sequence.load(Ordering::Acquire);
        if sequence & 1 == 0 {
            let value = what(&PAGE);
            fence(Ordering::Acquire);
            if PAGE.sequence.load(Ordering::Relaxed) == sequence {
                return value;
            }
        }
        core::hint::spin_loop();
    }
}

fn change(how: impl FnOnce(&Page)) {
    let _writer = WRITER.lock();
    let sequence = PAGE.sequence.load(Ordering::Relaxed);
    PAGE.sequence.store(sequence.wrapping_add(1), Ordering::Relaxed);
    fence(Ordering::SeqCst);
    how(&PAGE);
    PAGE.sequence.store(sequence.wrapping_add(2), Ordering::Release);
}

/// Nanoseconds since boot at the counter's value `tsc`; the base's for an earlier value.
#[inline]
fn at(page: &Page, tsc: u64) -> u64 {
    let ticks = tsc.saturating_sub(page.base_tsc.load(Ordering::Relaxed));
    let product = u128::from(ticks) * u128::from(page.multiplier.load(Ordering::Relaxed));
    let passed = (product >> (page.shift.load(Ordering::Relaxed) & 127)) as u64;
    page.base_ns.load(Ordering::Relaxed).wrapping_add(passed)
}

/// Nanoseconds since boot by the counter, and whether that is the time on every processor.
#[inline]
pub fn now() -> (u64, bool) {
    read(|page| {
        (at(page, instructions::read_tsc_ordered()), page.mode.load(Ordering::Relaxed) == MODE_COUNTER)
    })
}

/// Starts the clock, which showed 0 when the counter showed `base_tsc`.
pub fn start(base_tsc: u64, hz: u64, is_trusted: bool) {
    change(|page| {
        page.base_tsc.store(base_tsc, Ordering::Relaxed);
        set_rate(page, hz);
        page.mode.store(if is_trusted { MODE_COUNTER } else { MODE_CALL }, Ordering::Relaxed);
    });
}

/// Goes on from now at another rate.
pub fn go_on_at(hz: u64) {
    change(|page| {
        // Readers wait, so nobody has seen a later time by the old rate.
        let tsc = instructions::read_tsc_ordered();
        page.base_ns.store(at(page, tsc), Ordering::Relaxed);
        page.base_tsc.store(tsc, Ordering::Relaxed);
        set_rate(page, hz);
    });
}

/// The most exact multiplier that fits: nanoseconds a tick, in 2^-shift.
fn set_rate(page: &Page, hz: u64) {
    let mut shift = 32;
    let multiplier = loop {
        if let Ok(fits) = u32::try_from((1_000_000_000u128 << shift) / u128::from(hz.max(1))) {
            break fits;
        }
        shift -= 1;
    };
    page.multiplier.store(multiplier, Ordering::Relaxed);
    page.shift.store(shift, Ordering::Relaxed);
}

/// Has programs ask the kernel from now on.
pub fn distrust() {
    change(|page| page.mode.store(MODE_CALL, Ordering::Relaxed));
}

pub fn is_trusted() -> bool {
    PAGE.mode.load(Ordering::Relaxed) == MODE_COUNTER
}

/// How time follows from the counter.
pub fn scale() -> TscScale {
    read(|page| TscScale {
        base_tsc: page.base_tsc.load(Ordering::Relaxed),
        base_ns: page.base_ns.load(Ordering::Relaxed),
        multiplier: page.multiplier.load(Ordering::Relaxed),
        shift: page.shift.load(Ordering::Relaxed),
    })
}

#[inline]
pub fn wall_offset_ns() -> u64 {
    PAGE.wall_offset_ns.load(Ordering::Relaxed)
}

pub fn set_wall_offset_ns(offset_ns: u64) {
    change(|page| page.wall_offset_ns.store(offset_ns, Ordering::Relaxed));
}

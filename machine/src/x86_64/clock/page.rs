//! The page of the clock: how time follows from the counter. Programs map it and read it too, by the code in `vdso`.
//!
//! A sequence number that is odd while the page is changed makes readers try again (a seqlock), so they see all of a change
//! or nothing of it. Writers hold a lock with interrupts off, since a handler reads the clock as well.

use core::mem::offset_of;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

use crate::address::PhysicalAddress;
use crate::clock::TscScale;
use crate::frame::Frame;
use crate::sync::{Irq, Once, Rank, SpinLock};
use crate::x86_64::{instructions, memory};

/// Value of `mode`: time does not follow from the counter alone, programs must ask the kernel.
const MODE_CALL: u32 = 0;
/// Value of `mode`: it does.
pub const MODE_COUNTER: u32 = 1;

/// The multiplier is in nanoseconds a tick, in 2^-32: at 5 GHz it is exact to a billionth.
pub const SHIFT: u32 = 32;

/// What is known of the clock. All of it may be seen by programs.
#[repr(C, align(4096))]
pub struct Page {
    sequence: AtomicU32,
    mode: AtomicU32,
    base_tsc: AtomicU64,
    base_ns: AtomicU64,
    multiplier: AtomicU64,
    wall_offset_ns: AtomicU64,
}

impl Page {
    pub const SEQUENCE: usize = offset_of!(Page, sequence);
    pub const MODE: usize = offset_of!(Page, mode);
    pub const BASE_TSC: usize = offset_of!(Page, base_tsc);
    pub const BASE_NS: usize = offset_of!(Page, base_ns);
    pub const MULTIPLIER: usize = offset_of!(Page, multiplier);
    pub const WALL_OFFSET_NS: usize = offset_of!(Page, wall_offset_ns);
}

static PAGE: Page = Page {
    sequence: AtomicU32::new(0),
    mode: AtomicU32::new(MODE_CALL),
    base_tsc: AtomicU64::new(0),
    base_ns: AtomicU64::new(0),
    multiplier: AtomicU64::new(0),
    wall_offset_ns: AtomicU64::new(0),
};

static WRITER: SpinLock<(), Irq> = SpinLock::new(Rank::Timer, ());
static FRAME: Once<Frame> = Once::new();

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
    let passed = (product >> SHIFT) as u64;
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

fn set_rate(page: &Page, hz: u64) {
    page.multiplier.store((1_000_000_000 << SHIFT) / hz.max(1), Ordering::Relaxed);
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
        shift: SHIFT,
    })
}

#[inline]
pub fn wall_offset_ns() -> u64 {
    PAGE.wall_offset_ns.load(Ordering::Relaxed)
}

pub fn set_wall_offset_ns(offset_ns: u64) {
    change(|page| page.wall_offset_ns.store(offset_ns, Ordering::Relaxed));
}

/// The page as a frame that programs may map, for reading only.
pub fn frame() -> Frame {
    if FRAME.get().is_none() {
        let address = PhysicalAddress(&raw const PAGE as u64 - memory::IMAGE);
        // SAFETY: a page of the image that holds nothing else, whose handle is taken here alone: were two to come at
        // once, the first to set it stays, and this is called by one thread, once.
        let _ = FRAME.set(unsafe { Frame::of_image(address) });
    }
    match FRAME.get() {
        Some(frame) => frame.clone(),
        None => unreachable!("just set"),
    }
}

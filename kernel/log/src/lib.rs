//! The kernel's log: numbered lines in a ring, the oldest giving way to the newest.
//!
//! A line can be logged from anywhere, interrupts and the middle of the scheduler included: nothing here
//! allocates after [`init`], waits or wakes. Whoever wants to see lines sets a sink, which is called at once
//! for every line (the console), or a notice, which is called when one has been added and wakes readers by
//! whatever means it has.
//!
//! Stands on `machine` alone, so that every room above can log. `/dev/kmsg` and syslog(2) read it.
//!
//! Start reading in `ring.rs`.

#![no_std]
#![forbid(unsafe_code)]
#![warn(missing_docs)]
#![cfg_attr(
    test,
    allow(
        clippy::disallowed_methods,
        clippy::disallowed_macros,
        reason = "a test may end for want of memory"
    )
)]

extern crate alloc;

mod ring;

use alloc::boxed::Box;
use core::fmt::{self, Write};
use core::sync::atomic::{AtomicBool, Ordering};

use arrayvec::ArrayString;
use machine::clock;
use machine::sync::{Irq, Once, Rank, SpinLock};

use ring::Ring;
pub use ring::{Entry, LINE_MAX};

/// How bad it is, as syslog(3) has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Level {
    /// The machine is going down.
    Emergency = 0,
    /// Something must be done at once.
    Alert,
    /// A part has failed.
    Critical,
    /// Something did not work.
    Error,
    /// Something may not work.
    Warning,
    /// Worth knowing: a few lines of every boot.
    Notice,
    /// What happens.
    Info,
    /// For whoever looks for a fault.
    Debug,
}

impl Level {
    /// The level with that number; numbers above the last are the last.
    pub fn from_number(number: u8) -> Self {
        match number {
            0 => Self::Emergency,
            1 => Self::Alert,
            2 => Self::Critical,
            3 => Self::Error,
            4 => Self::Warning,
            5 => Self::Notice,
            6 => Self::Info,
            _ => Self::Debug,
        }
    }
}

/// Bytes that the ring holds.
const CAPACITY: usize = 64 * 1024;

static RING: SpinLock<Option<Ring>, Irq> = SpinLock::new(Rank::Log, None);
static SINK: Once<fn(&Entry<'_>)> = Once::new();
static NOTICE: Once<fn()> = Once::new();
/// Whether lines have been added since readers were told.
static HAS_NEWS: AtomicBool = AtomicBool::new(false);

/// Makes the ring. Lines logged before are lost to readers, but not to the sink.
#[expect(clippy::disallowed_methods, reason = "made at boot")]
pub fn init() {
    let bytes: Box<[u8]> = core::iter::repeat_n(0, CAPACITY).collect();
    let ring = Ring::new(bytes);
    RING.lock().get_or_insert(ring);
}

/// Sets what sees every line at once; called with interrupts off and no lock of the log held. Called once.
pub fn set_sink(sink: fn(&Entry<'_>)) {
    // The first one stays.
    let _ = SINK.set(sink);
}

/// Sets what [`notify`] calls when lines have been added since. Called once.
pub fn set_notice(notice: fn()) {
    // The first one stays.
    let _ = NOTICE.set(notice);
}

/// Tells readers of new lines, if they have not been told. Called where waking is allowed: by softirqs, for
/// lines that were logged with a lock held or in an interrupt.
pub fn notify() {
    if HAS_NEWS.swap(false, Ordering::AcqRel)
        && let Some(notice) = NOTICE.get()
    {
        notice();
    }
}

/// Adds a line; what is longer than [`LINE_MAX`] bytes is cut off. Callable from anywhere.
pub fn write(level: Level, line: fmt::Arguments<'_>) {
    let mut text = ArrayString::<LINE_MAX>::new();
    // A line that does not fit is cut off: `write_fmt` fails, and what fitted is kept.
    let _ = Cut(&mut text).write_fmt(line);
    append(level as u32, text.as_bytes());
}

/// Adds a line with a syslog priority (facility * 8 + level), as programs do through /dev/kmsg.
pub fn append(priority: u32, text: &[u8]) {
    let text = &text[..text.len().min(LINE_MAX)];
    let time_ns = clock::now_ns();
    let sequence = RING.lock().as_mut().map_or(0, |ring| ring.push(priority, time_ns, text));
    if let Some(sink) = SINK.get() {
        let _guard = machine::sync::disable_interrupts();
        sink(&Entry { sequence, priority, time_ns, text });
    }
    HAS_NEWS.store(true, Ordering::Release);
    // With a lock held, waking could need that very lock; then whoever calls `notify` next tells them.
    if !machine::sync::is_atomic() {
        notify();
    }
}

/// Cuts what does not fit at a character.
struct Cut<'a>(&'a mut ArrayString<LINE_MAX>);

impl Write for Cut<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut room = self.0.remaining_capacity().min(text.len());
        while !text.is_char_boundary(room) {
            room -= 1;
        }
        self.0.push_str(&text[..room]);
        if room == text.len() { Ok(()) } else { Err(fmt::Error) }
    }
}

/// The number of the oldest line that is still there.
pub fn first() -> u64 {
    RING.lock().as_ref().map_or(0, Ring::first)
}

/// The number that the next line will have.
pub fn end() -> u64 {
    RING.lock().as_ref().map_or(0, Ring::end)
}

/// Shows `visit` the line with this number, or the oldest after it; `None` at the end. The ring is locked
/// meanwhile: `visit` copies.
pub fn with<R>(sequence: u64, visit: impl FnOnce(&Entry<'_>) -> R) -> Option<R> {
    RING.lock().as_ref()?.with(sequence, visit)
}

/// Bytes that the ring can hold, for syslog(2).
pub const fn capacity() -> usize {
    CAPACITY
}

/// Logs something that failed.
#[macro_export]
macro_rules! error {
    ($($argument:tt)*) => { $crate::write($crate::Level::Error, ::core::format_args!($($argument)*)) };
}

/// Logs something that may fail.
#[macro_export]
macro_rules! warn {
    ($($argument:tt)*) => { $crate::write($crate::Level::Warning, ::core::format_args!($($argument)*)) };
}

/// Logs one of the few lines of every boot.
#[macro_export]
macro_rules! notice {
    ($($argument:tt)*) => { $crate::write($crate::Level::Notice, ::core::format_args!($($argument)*)) };
}

/// Logs what happens.
#[macro_export]
macro_rules! info {
    ($($argument:tt)*) => { $crate::write($crate::Level::Info, ::core::format_args!($($argument)*)) };
}

//! How much memory programs may be promised (proc_sys_vm(5), `overcommit_memory`).

use core::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

use abi::Errno;
use machine::frame;

/// The policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Mode {
    /// Only a single request that is larger than all memory is refused. The default.
    Heuristic = 0,
    /// Nothing is refused.
    Always = 1,
    /// All promises together stay within [`commit_limit`].
    Never = 2,
}

static MODE: AtomicU8 = AtomicU8::new(0);
static RATIO_PERCENT: AtomicUsize = AtomicUsize::new(50);
static COMMITTED: AtomicUsize = AtomicUsize::new(0);

/// The policy in force.
pub fn mode() -> Mode {
    match MODE.load(Ordering::Relaxed) {
        1 => Mode::Always,
        2 => Mode::Never,
        _ => Mode::Heuristic,
    }
}

/// Sets the policy (`vm.overcommit_memory`).
pub fn set_mode(mode: Mode) {
    MODE.store(mode as u8, Ordering::Relaxed);
}

/// Sets how much of memory [`Mode::Never`] promises, in percent (`vm.overcommit_ratio`).
pub fn set_ratio(percent: usize) {
    RATIO_PERCENT.store(percent, Ordering::Relaxed);
}

/// Pages that [`Mode::Never`] promises in all (`CommitLimit` of /proc/meminfo).
pub fn commit_limit() -> usize {
    frame::total().saturating_mul(RATIO_PERCENT.load(Ordering::Relaxed)) / 100
}

/// Pages promised (`Committed_AS` of /proc/meminfo).
pub fn committed() -> usize {
    COMMITTED.load(Ordering::Relaxed)
}

/// Promises `pages`; `ENOMEM` when the policy forbids it.
pub(crate) fn charge(pages: usize) -> Result<(), Errno> {
    let before = COMMITTED.fetch_add(pages, Ordering::Relaxed);
    let is_allowed = match mode() {
        Mode::Heuristic => pages <= frame::total(),
        Mode::Always => true,
        Mode::Never => before.saturating_add(pages) <= commit_limit(),
    };
    if is_allowed {
        Ok(())
    } else {
        uncharge(pages);
        Err(Errno::ENOMEM)
    }
}

/// Takes a promise back.
pub(crate) fn uncharge(pages: usize) {
    COMMITTED.fetch_sub(pages, Ordering::Relaxed);
}

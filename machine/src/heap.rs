//! The kernel heap.
//!
//! Small objects (up to 2 KiB) come from slabs: frames cut into objects of one size, behind a small magazine
//! of free objects on each processor. Larger ones are blocks of the buddy allocator. On the host the heap is
//! std's.
//!
//! A failed small allocation cannot be reported by `Box::new` in stable Rust, so it must not happen: calls
//! and faults check [`has_reserve`] before they begin, and only small allocations get the last
//! [`RESERVE_FRAMES`]. What can be large grows through `try_reserve`.

#[cfg(target_os = "none")]
mod slab;

#[cfg(target_os = "none")]
pub(crate) use slab::init_magazines;

use crate::frame::{self, Owner};

/// Frames that are left to small allocations of the heap: no [`Frame`](crate::frame::Frame) for anybody else and
/// no large block of the heap is taken out of them.
pub const RESERVE_FRAMES: usize = 64;

/// Whether a bounded piece of kernel work may begin: enough frames are free that its small allocations cannot
/// fail.
#[inline]
pub fn has_reserve() -> bool {
    frame::count(Owner::Free) >= RESERVE_FRAMES
}

/// Gives what the processors keep for themselves back to the common lists, so that the counts of frames can
/// be compared in tests of leaks.
pub fn trim() {
    #[cfg(target_os = "none")]
    slab::trim();
}

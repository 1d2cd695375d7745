//! The kernel heap.
//!
//! Small objects (up to 2 KiB) come from slabs: frames cut into objects of one size, behind a small magazine
//! of free objects on each processor. Larger ones are blocks of the buddy allocator. On the host the heap is
//! std's.
//!
//! Whatever a program can cause to grow grows through [`Grow`] and its neighbours, which say when there is no memory. What is left to
//! `Box::new` and its like, which cannot say so, is small, seldom, and has the last [`RESERVE_FRAMES`] to itself.

mod grow;
#[cfg(target_os = "none")]
mod slab;

#[cfg(target_os = "none")]
pub(crate) use slab::init_magazines;

pub(crate) use grow::last_frames;
pub use grow::{
    Allowance, Grow, request, try_arc, try_arc_cyclic, try_arc_slice, try_box, try_collect, try_filled,
    try_format, try_insert, try_to_vec,
};

/// Frames that are left to small allocations of the heap: no [`Frame`](crate::frame::Frame) for anybody else and
/// no large block of the heap is taken out of them.
pub const RESERVE_FRAMES: usize = 64;

/// Gives what the processors keep for themselves back to the common lists, so that the counts of frames can
/// be compared in tests of leaks.
pub fn trim() {
    #[cfg(target_os = "none")]
    slab::trim();
}

/// Bytes that the kernel's heap has given out. Exact after [`trim`]: what lies ready on a processor counts as given out.
pub fn used_bytes() -> usize {
    #[cfg(target_os = "none")]
    let used = slab::used_bytes();
    #[cfg(not(target_os = "none"))]
    let used = 0;
    used
}

//! The machine: all that can break memory safety, behind an interface that cannot.
//!
//! This is the only crate of Hob in which `unsafe` may be written. What it offers to the safe kernel above:
//!
//! | module | what it is |
//! |---|---|
//! | [`boot`] | what the loader told |
//! | [`frame`] | physical memory, a frame at a time, counted |
//! | [`heap`] | the kernel's own memory, and how it grows on behalf of programs |
//! | [`failure`] | requests refused on purpose |
//! | [`paging`] | address spaces, changed through cursors |
//! | [`user`] | copying to and from a program's memory |
//! | [`context`] | running a program until it needs the kernel |
//! | [`task`] | kernel stacks and the switch between them |
//! | [`sync`] | spin locks with the interrupt state in the type, `Once`, RCU |
//! | [`cpu`] | who am I, per-processor data, idling, waking another |
//! | [`clock`] | monotonic time and one deadline for each processor |
//! | [`vdso`] | the clock's code for programs |
//! | [`interrupts`], [`io`] | devices |
//! | [`console`], [`power`] | the last resort for output, and the end |
//!
//! Invariants: frames that a program or a device can change are only ever copied, never seen through a
//! reference. Page tables own the frames they map. A stack that may run again is never freed. No safe
//! function here, called in any order with any values, breaks memory safety; a driver's programming of its
//! own device is the one thing that must be trusted where there is no IOMMU.
//!
//! There are two machines: `x86_64` (chosen on bare metal) and `hosted`, the same interface on the host's
//! std, on which the crates above run their tests. Start reading in [`task`] and [`context`].

#![cfg_attr(target_os = "none", no_std)]
#![warn(missing_docs)]

extern crate alloc;

pub mod address;
pub mod boot;
pub mod clock;
pub mod console;
pub mod context;
pub mod cpu;
pub mod failure;
pub mod firmware;
pub mod frame;
pub mod heap;
pub mod interrupts;
pub mod io;
pub mod list;
pub mod paging;
pub mod power;
pub mod random;
pub mod sync;
pub mod task;
pub mod tree;
pub mod user;
pub mod vdso;

#[cfg(not(target_os = "none"))]
pub mod hosted;
#[cfg(target_os = "none")]
mod x86_64;

#[cfg(not(target_os = "none"))]
use hosted as arch;
#[cfg(target_os = "none")]
use x86_64 as arch;

#[cfg(target_os = "none")]
mod panic;

#[cfg(target_os = "none")]
pub use panic::{set_panic_hook, write_backtrace};

/// Names the function that the machine calls, on the processor that booted, when it is ready:
/// `machine::entry!(main)`, with `fn main()`. The other processors wait until [`cpu::release_others`].
#[macro_export]
macro_rules! entry {
    ($main:path) => {
        #[unsafe(no_mangle)]
        extern "Rust" fn hob_kernel_main() {
            let main: fn() = $main;
            main();
        }
    };
}

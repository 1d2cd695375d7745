//! Linux: what programs see. Processes, signals, executables, descriptors, the system calls, /proc and /sys.
//!
//! ```text
//!   run (a thread's life) ── Trap::Call ──► calls (table, arguments) ──► process | signal | exec | time | futex
//!                        └── fault, exception ──► signal                  └──► files, memory, threads
//! ```
//!
//! | module | what it is |
//! |---|---|
//! | [`run`] | the loop in which a program's thread lives |
//! | [`calls`] | one table: number, handler, how complete; one file a subject |
//! | [`process`] | processes, threads, groups, sessions, identity, accounts |
//! | [`signal`] | sending, waiting, delivering, stopping |
//! | [`exec`] | from a path to the first instruction |
//! | [`descriptors`] | numbers for open files |
//! | [`proc`] | /proc and /sys |
//! | [`time`], [`futex`], [`sequence`] | clocks and timers; words to wait on; restartable sequences |
//!
//! Invariants:
//! - What a program gives is a claim: addresses are copied through `memory::user`, numbers are checked before they are used, and nothing that a program does panics.
//! - Only a thread itself touches its registers, its mask and what its [`Caller`](process::Caller) borrows; others leave a note in its exit-work word.
//! - Where a manual page and Linux differ, Linux is right.
//!
//! Neighbours: `threads`, `memory` and `files` below do the work of the calls; the kernel's binary above starts the first program and gives a [`Machinery`]
//! that can end the machine. Start reading in [`run`], then [`calls`].

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
#[cfg(test)]
extern crate std;

pub mod calls;
pub mod descriptors;
pub mod exec;
pub mod futex;
mod oom;
pub mod proc;
pub mod process;
mod processor;
mod random;
pub mod release;
pub mod run;
pub mod sequence;
pub mod signal;
mod start;
mod terminals;
pub mod time;
pub mod trace;

pub use proc::{offer_failures, set_command_line, start_file_systems};
pub use start::{Config, Input, Machinery, StartError, start};
pub(crate) use start::{init, machinery};

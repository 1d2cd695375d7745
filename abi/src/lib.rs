//! The Linux interface of x86-64 as data: what programs and the kernel say to each other.
//!
//! Numbers, flags and the layouts of structs, one module a subject, and not a line that does
//! anything. Names are Linux's own, so that a manual page can be read beside the code: constants keep
//! theirs, the flags of one argument are one type without the common prefix (`O_CREAT` is
//! [`fcntl::OpenFlags::CREAT`]), struct fields keep theirs.
//!
//! Invariants:
//! - Every struct is `repr(C)`, has no hidden padding and may hold any bits: it can be copied from
//!   and to a program's memory as it is, and copying it out leaks nothing. Padding fields are named
//!   `pad*` and zero in `Default`.
//! - A pointer of a program is a `u64` here: a claim, not something to follow.
//! - Flags are read with `from_bits_retain` where Linux ignores unknown bits and with `from_bits`
//!   where it refuses them; the type decides nothing.
//! - Every number, size and offset is compared by the tests with the Linux headers as other crates
//!   carry them, never with itself.
//!
//! Neighbours: the kernel's `linux` crate implements what is declared here; programs and host tools
//! use it too. Start with [`errno`] and [`syscall`].

#![no_std]
#![forbid(unsafe_code)]

pub mod auxv;
pub mod capability;
pub mod directory;
pub mod errno;
pub mod fcntl;
pub mod futex;
pub mod ioctl;
pub mod mman;
pub mod mount;
pub mod notify;
mod plain;
pub mod poll;
pub mod prctl;
pub mod resource;
pub mod rseq;
pub mod sched;
pub mod signal;
pub mod socket;
pub mod stat;
pub mod syscall;
pub mod system;
pub mod termios;
pub mod time;

pub use errno::{Errno, Result};

//! The program behind `./hob`: it builds Hob, makes images, starts QEMU, runs the suites, measures.
//!
//! Invariants: whatever is installed is announced in one line first; a machine that was started is ended when its
//! handle is dropped; the user's terminal is as it was when the program ends.
//!
//! Neighbours: `formats` (cpio, symbols) is shared with the kernel; everything else is run as a program: cargo, QEMU,
//! GRUB, apt. The suites of `./hob test` lie in `tests/`, the measured programs in `bench/`.
//!
//! Start reading at [`commands`]; [`emulator`] is how a machine is described and started, [`report`] what it says of
//! itself, [`job`] how it is told what to run.

pub mod args;
pub mod commands;
pub mod emulator;
pub mod initramfs;
pub mod job;
pub mod kernel_image;
pub mod prerequisites;
pub mod process;
pub mod progress;
pub mod pseudoterminal;
pub mod report;
pub mod suites;
pub mod terminal;
pub mod toolchain;
pub mod workspace;

//! Device drivers. Only the binary knows them; they know the rooms below: ports and interrupts from `machine`,
//! softirqs from `threads`, terminals from `files`.
//!
//! A driver's interrupt handler moves bytes between its device and its rings and raises a softirq; everything
//! else happens there, on a thread.
//!
//! | module | what it is |
//! |---|---|
//! | [`serial`] | 16550 serial ports |
//! | [`console`] | a serial port as a terminal |
//! | [`report`] | a serial port that tells the emulator's host how a job or a test ended |
//! | [`power`] | turning the machine off by ACPI |

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

pub mod console;
pub mod power;
pub mod report;
pub mod serial;

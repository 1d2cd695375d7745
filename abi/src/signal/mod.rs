//! Signals (signal(7), sigaction(2), sigaltstack(2)): numbers, sets and what a program asks for.
//!
//! [`info`] is what a handler is told, [`frame`] what the kernel lays on the stack for it.

pub mod frame;
pub mod info;
mod number;

use crate::plain::plain;
pub use number::{DefaultAction, SigSet, Signal};

bitflags::bitflags! {
    /// How a handler is run.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct ActionFlags: u64 {
        /// `SA_NOCLDSTOP`.
        const NOCLDSTOP = 0x1;
        /// `SA_NOCLDWAIT`.
        const NOCLDWAIT = 0x2;
        /// `SA_SIGINFO`.
        const SIGINFO = 0x4;
        /// `SA_UNSUPPORTED`.
        const UNSUPPORTED = 0x400;
        /// `SA_EXPOSE_TAGBITS`.
        const EXPOSE_TAGBITS = 0x800;
        /// `SA_ONSTACK`.
        const ONSTACK = 0x800_0000;
        /// `SA_RESTART`.
        const RESTART = 0x1000_0000;
        /// `SA_NODEFER`.
        const NODEFER = 0x4000_0000;
        /// `SA_RESETHAND`.
        const RESETHAND = 0x8000_0000;
        /// `SA_RESTORER`.
        const RESTORER = 0x400_0000;
    }
}

/// `SigAction::handler`: the signal's own effect.
pub const SIG_DFL: u64 = 0;
/// `SigAction::handler`: no effect.
pub const SIG_IGN: u64 = 1;

// How sigprocmask(2) changes the mask.
pub const SIG_BLOCK: u32 = 0;
pub const SIG_UNBLOCK: u32 = 1;
pub const SIG_SETMASK: u32 = 2;

// The state of an alternate stack.
pub const SS_ONSTACK: u32 = 0x1;
pub const SS_DISABLE: u32 = 0x2;
pub const SS_AUTODISARM: u32 = 0x8000_0000;

/// The least size of an alternate stack, in bytes.
pub const MINSIGSTKSZ: u64 = 2048;

// How a timer notifies (`SigEvent::sigev_notify`).
pub const SIGEV_SIGNAL: i32 = 0;
pub const SIGEV_NONE: i32 = 1;
pub const SIGEV_THREAD: i32 = 2;
pub const SIGEV_THREAD_ID: i32 = 4;

plain! {
    /// What rt_sigaction(2) takes (`struct kernel_sigaction`; the C library's own differs).
    pub struct SigAction {
        /// The handler's address, [`SIG_DFL`] or [`SIG_IGN`].
        pub sa_handler: u64,
        /// The bits of [`ActionFlags`].
        pub sa_flags: u64,
        /// Where the handler returns to: code that calls rt_sigreturn(2).
        pub sa_restorer: u64,
        /// Blocked while the handler runs.
        pub sa_mask: u64,
    }

    /// A stack for handlers (`stack_t`).
    pub struct SigAltStack {
        pub ss_sp: u64,
        pub ss_flags: u32,
        pub pad: u32,
        pub ss_size: u64,
    }

    /// How a timer or a queue notifies (`struct sigevent`).
    pub struct SigEvent {
        pub sigev_value: u64,
        pub sigev_signo: i32,
        pub sigev_notify: i32,
        /// The thread of SIGEV_THREAD_ID.
        pub sigev_tid: i32,
        pub pad: [u32; 11],
    }
}

impl SigAltStack {
    /// No alternate stack.
    pub const DISABLED: SigAltStack = SigAltStack { ss_sp: 0, ss_flags: SS_DISABLE, pad: 0, ss_size: 0 };
}

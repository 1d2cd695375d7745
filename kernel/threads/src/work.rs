//! Bits of the exit-work word that this crate gives a meaning. All from bit 8 on belong to the crate that
//! runs programs.
//!
//! The word is the one thing that is tested before user mode is entered. (That the processor should choose
//! another thread is known to the machine, which sees to it by itself.)

/// Interruptible waits end with [`Interrupted`](crate::WaitError::Interrupted), and begin no more. Set by
/// [`Thread::interrupt`](crate::Thread::interrupt), taken back by whoever has dealt with the reason.
pub const INTERRUPT: u32 = 1 << 0;
/// The bits that the crate above may define.
pub const FREE: u32 = !0xff;

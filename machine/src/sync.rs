//! Locks that spin, values made once, and the atomics that everything above uses.
//!
//! A [`SpinLock`] says in its type what it keeps out while it is held: [`Task`] holds off preemption, [`Irq`]
//! holds off interrupts as well. Data that an interrupt handler touches must be in an `Irq` lock. Guards may
//! be dropped in any order: both states are counted per processor and end with the last guard.
//!
//! Each lock has a [`Rank`]. Debug builds check that a processor takes locks only in rising rank, so that a
//! circle of waiting processors is found by the first run that could have made one.

mod once;
mod rank;
mod rcu;
mod shared;
mod spin;

pub use core::sync::atomic;
pub use once::Once;
pub(crate) use rank::HeldRanks;
pub use rank::Rank;
pub use rcu::{RcuCell, RcuGuard, rcu_defer, rcu_poll, rcu_read, set_rcu_hook};
pub use shared::{Reader, Shared, Writer};
pub use spin::{
    HeldGuard, Irq, IrqGuard, PreemptGuard, SpinGuard, SpinLock, State, Task, disable_interrupts,
    disable_preemption, is_atomic,
};

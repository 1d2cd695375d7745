//! Threads: who runs where and when, and everything that waits.
//!
//! Built on the machine's stacks, spin locks and one deadline for each processor. Nothing here knows of
//! programs, signals or files: the crates above give bits of the exit-work word, futex keys and poll
//! sources their meaning.
//!
//! | module | what it is |
//! |---|---|
//! | [`Thread`], [`Builder`] | a flow of control with a name, a policy and an exit-work word |
//! | [`WaitQueue`] | threads that wait for a condition |
//! | [`Mutex`], [`RwLock`] | locks whose waiters sleep |
//! | [`time`] | sleeping, timers |
//! | [`softirq`] | work that interrupts leave for a thread of the same processor |
//! | [`poll`] | waiting for many things at once: poll, select, epoll |
//! | [`futex`] | waiting on words of a program's memory |
//! | [`load`] | load averages and the processors' times |
//!
//! Invariants: a thread is current on one processor, or in one run queue, or parked, never two of these. A
//! thread in the run queue of a processor has left every other processor's stack, so a switch never waits.
//! A waiter is enqueued before it looks at its condition, and a waker changes the condition before it looks
//! at the queue, so no wake-up is lost. No lock is held across a switch.
//!
//! Lock order: futex bucket, poll source, wait queue, timers of a processor, run queue; two run queues
//! are never held together.
//!
//! Start reading in `state.rs` (how parking and waking meet) and `schedule.rs` (the switch). The chapter
//! "Threads" of the book has the figures.

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

mod account;
mod balance;
mod builder;
pub mod futex;
#[cfg(not(target_os = "none"))]
pub mod hosted;
pub mod load;
mod mask;
mod mutex;
mod policy;
pub mod poll;
mod processor;
mod queue;
mod rwlock;
mod schedule;
pub mod softirq;
mod start;
mod state;
mod thread;
pub mod time;
mod virtual_time;
mod wait;
pub mod work;

pub use builder::Builder;
pub use mask::CpuMask;
pub use mutex::{Mutex, MutexGuard};
pub use policy::Policy;
pub use rwlock::{ReadGuard, RwLock, WriteGuard};
pub use schedule::{exit, yield_now};
pub use start::{run_processor, start};
pub use state::State;
pub use thread::{Name, Thread, count, current, try_current};
pub use wait::{Wait, WaitError, WaitQueue};

//! Signals: sent by anybody, taken by the thread itself on its way back to the program.
//!
//! ```text
//!   send  ── queue (task or process) ── choose a thread, set its ATTEND bit, interrupt it
//!                                              │
//!   the thread, before it enters its program:  attend ── end | stop | take a signal ── ignore | terminate | stop | handler frame
//! ```
//!
//! Invariants: a signal is queued before a thread is told, and a thread clears its bit before it looks, so none is overlooked. Only the thread itself changes its
//! mask and its registers. Stopping and ending are decided once, in the process's state, and each thread finds out for itself.

mod action;
pub mod deliver;
pub mod descriptor;
pub mod frame;
mod queue;
pub mod send;
pub mod stop;
pub mod wait;

pub use action::{Actions, Disposition};
pub use queue::Pending;

//! The debugger: one machine, forwards and backwards in time, behind every dress.
//!
//! Terminal, GDB and web page all drive the same [`Debugger`]: they [`Debugger::start`] a [`Goal`] and call
//! [`Debugger::advance`] with a budget of cycles until it says that the machine has stopped. So a long search backwards
//! shows its progress and can be cancelled, and no dress ever hangs.
//!
//! Going back is going to an earlier snapshot and running forwards again; that is exact because a machine is
//! deterministic and every input is in the [`history`](Debugger::inputs) with its cycle. What is given or edited in the
//! past cuts the future that was known.
//!
//! Invariants: snapshots take less than [`HISTORY_BYTES`]; a step taken and reversed gives the same state.
//! Neighbours: `soc-machine` and `soc-assembler` below; `soc` and `soc-web` above.
//! Where to start reading: [`Goal`], then `drive`, `travel`, `timeline`.
#![forbid(unsafe_code)]

mod console;
mod debugger;
mod drive;
mod expression;
#[cfg(feature = "gdb")]
pub mod gdb;

mod inspect;
mod output;
mod points;
mod profile;
mod stack;
mod timeline;
mod trace;
mod travel;

pub use console::{Answer, HELP, execute};
pub use debugger::{Debugger, Goal, Progress, Stopped};
pub use expression::{Expression, ExpressionError};
pub use inspect::{disassembly, located, memory_text, registers_text};
pub use points::{Access, Breakpoint, Watchpoint};
pub use profile::ProfileRow;
pub use stack::Frame;
pub use timeline::HISTORY_BYTES;
pub use trace::TraceRow;

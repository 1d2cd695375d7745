//! Water: every open valve has an end, and programs that open them in turn.
//!
//! This room is pure: [`guard`] decides which valves must be shut now, [`engine`] which zone runs, [`program`] when a program
//! starts and for how long. `modules/irrigation` carries the decisions out.
//!
//! Invariants: a valve that is open and has no deadline is shut; a deadline is never forgotten before its valve was
//! reported shut; where it cannot be known how much time is left, none is.
#![forbid(unsafe_code)]

pub mod engine;
pub mod guard;
pub mod program;

pub use engine::{Action, Engine, Input, Run, Zone};
pub use guard::{Deadline, Guard, Now, Verdict};
pub use program::Program;

/// No opening lasts longer: what every irrigation controller enforces by itself.
pub const LONGEST_OPENING_S: u32 = 30 * 60;

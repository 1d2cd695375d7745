//! When something is to happen, and whether: pure decisions about time, sun and rules.
//!
//! Nothing here knows a clock or a device: the time and the states come in, decisions and their reasons go out.
//!
//! Invariants: each scheduled local time means exactly one moment (a skipped one the next that exists, a doubled one the
//! first); evaluating in small or large steps gives the same moments.
//!
//! Start reading at [`when`] (schedules to moments), then [`rule`] (trigger, condition, action).
#![forbid(unsafe_code)]

pub mod cron;
pub mod mode;
pub mod rule;
pub mod sun;
pub mod when;

pub use cron::Cron;
pub use rule::{Action, Condition, Rule, Trigger};
pub use when::{At, Place, Schedule};

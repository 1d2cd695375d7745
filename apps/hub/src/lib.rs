//! The hub: puts house, store, modules and server together, and speaks with people on the command line.
//!
//! The order of a start is a contract: the state is restored, then what guards and automates is armed, then the network is
//! opened ([`start`]). Start reading at [`start`], then [`api`] for what can be asked.
#![forbid(unsafe_code)]

pub mod api;
pub mod config;
pub mod demo;
pub mod local;
pub mod maintain;
pub mod start;

pub use config::Config;
pub use start::{Running, start, start_on};

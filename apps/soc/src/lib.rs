//! The device workbench on the command line: `soc as|dis|run|debug|test|fmt|isa`.
//!
//! This crate dresses what the others do: it reads files, prints, and turns the end of a program into an exit status.
//! Invariants: standard output carries results only, standard error everything else; `--json` prints one JSON value.
//! Neighbours: `soc-machine`, `soc-assembler`, `soc-debugger` below; nothing above.
//! Where to start reading: [`arguments`], then the command of interest in `commands`.
#![forbid(unsafe_code)]

pub mod arguments;
pub mod check;
mod commands;
pub mod expectation;
pub mod failure;
pub mod node;
pub mod outcome;
mod pace;
pub mod source;
mod start;
pub mod terminal;

pub use commands::dispatch;

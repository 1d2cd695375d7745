//! The machine of the device workbench: a small invented computer, whole and deterministic.
//!
//! What it is: sixteen 32-bit registers in two banks, 64-bit instruction words that are each conditional, one mebibyte
//! of memory, a screen, and a handful of devices. `docs/soc/specification.md` is normative; this crate follows it.
//!
//! Invariants:
//! - No clock, no chance: the state after *n* cycles is a function of the image, the [`Quirks`], the seed and the
//!   [`Input`]s with the cycles at which they were given.
//! - Nothing that a program or a saved state holds can make this crate panic.
//! - [`Machine::step`] is the meaning of an instruction; the quick loop in `interpreter` only ever does the same sooner.
//! - The table in [`isa`] is the only list of instructions; decoder, assembler, disassembler and documentation read it.
//!
//! Neighbours: `soc-assembler` makes images, `soc-debugger` drives a machine through time, `soc` and `soc-web` dress it.
//!
//! Where to start reading: [`isa`], then `step`, then `interpreter`.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod bus;
mod bytes;
mod cpu;
mod devices;
pub mod encoding;
mod input;
mod interpreter;
pub mod isa;
mod machine;
pub mod map;
mod memory;
mod observe;
mod quirks;
mod recording;
mod slots;
mod snapshot;
mod state;
mod step;

pub use cpu::{Bank, Cpu, FLAG_C, FLAG_E, FLAG_I, FLAG_Z, Power};
pub use input::Input;
pub use machine::{ImageTooLarge, Machine, Stop};
pub use observe::{Observer, Unobserved};
pub use quirks::Quirks;
pub use recording::Recording;
pub use snapshot::Snapshot;
pub use state::StateError;

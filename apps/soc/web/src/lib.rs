//! The workbench for the web page: everything behind the glass, as WebAssembly in a worker.
//!
//! [`Workbench`] is plain Rust and tested as such: a request in JSON in, an answer in JSON out. `bindings` makes it
//! callable from JavaScript; the macro that does so writes `unsafe`, here and nowhere else outside the kernel's machine.
//! Invariants: no request makes it panic, and no request takes longer than its budget of cycles.
//! Neighbours: `soc-debugger`, `soc-assembler`, `soc-machine` below; `assets/worker.js` and `soc-page` above.
//! Where to start reading: [`Request`], then `assets/worker.js`.

#[allow(unsafe_code, reason = "written by the macro of wasm-bindgen; by hand there is none")]
mod bindings;
mod examples;
mod request;
mod view;
mod workbench;

pub use request::{GoalName, Request};
pub use workbench::Workbench;

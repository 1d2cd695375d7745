//! Simulated devices on real sockets: the very cores that boards run, with a socket instead of a radio.
//!
//! Invariants: a simulated node behaves as a real one would also when it is treated badly (a peer that sends nonsense is
//! dropped, a v1 node's hub is whoever came last, a v2 node's whoever proved it), and it never outlives its [`Handle`].
//!
//! Neighbours: the cores (`nodes/*`), `wire`. Start reading at [`dwn`] (discovery, v1 and v2), then [`devices`].
#![forbid(unsafe_code)]

pub mod devices;
pub mod dwn;
pub mod jsonrpc;
mod lines;
pub mod serial;
pub mod servers;

pub use dwn::{Config, Handle, Trust, spawn};

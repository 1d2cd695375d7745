//! Simulated devices on real sockets: the very cores that boards run, with a socket instead of a radio.
//!
//! Invariants: a simulated node behaves as a real one would also when it is treated badly (a peer that sends nonsense is
//! dropped, a new hub replaces the old connection), and it never outlives its [`Handle`].
//!
//! Neighbours: the cores (`nodes/*`), `wire`. Start reading at [`dwn`] (discovery, v1 and v2), then [`devices`].
#![forbid(unsafe_code)]

pub mod devices;
pub mod dwn;
pub mod jsonrpc;
pub mod serial;
pub mod servers;

pub use dwn::{Config, Handle, Trust, spawn};

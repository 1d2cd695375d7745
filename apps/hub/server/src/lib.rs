//! The hub on the network: HTTP/1.1 in front of the table of functions, and the bus as WebSocket and server-sent events.
//!
//! Every request becomes a [`house::Call`] and every answer a [`house::Reply`]; there is no route that is not in the table,
//! but `/ws` and `/events`, which stay open. Who calls is decided by a [`Doorkeeper`].
//!
//! Invariants: nothing that comes from outside is buffered without a bound or waited for without an end; a handler that
//! panics is one 500; a client that goes away in the middle of a command does not cut the command in half; `Host` is
//! checked everywhere (DNS rebinding), `Origin` wherever a cookie could act.
//!
//! Start reading at [`listen`], then [`http`], then [`live`].
#![forbid(unsafe_code)]

pub mod door;
pub mod hosts;
pub mod http;
pub mod listen;
pub mod live;
pub mod tls;
pub mod users;

pub use door::{Credentials, Doorkeeper, Everyone};
pub use hosts::Hosts;
pub use listen::{Limits, Server};
pub use tls::Tls;
pub use users::Users;

//! What the hub and its devices say to each other, byte by byte.
//!
//! This room holds formats and nothing that touches the world: every decoder is a `push(bytes) -> messages` machine that
//! gives the same messages however the bytes were cut into segments, and never grows beyond a stated bound. It is `no_std`
//! (with `alloc`; `gpio` even without), because the same code runs on a board.
//!
//! Invariants: no input panics; what `encode` writes, the decoder reads back; a decoder that met something it cannot make
//! sense of says so once ([`Refused`]) and its owner closes the connection.
//!
//! Neighbours: `nodes/*` (the devices' portable cores), `nodes/simulator`, and the hub's modules.
//! Start reading at [`advert`] (how a device is found), then [`irrigation`] (the simplest payload), then [`session`] (v2).
#![no_std]
#![forbid(unsafe_code)]

#[cfg(any(test, feature = "alloc"))]
extern crate alloc;

#[cfg(feature = "alloc")]
pub mod advert;
#[cfg(feature = "alloc")]
pub mod alarm;
#[cfg(feature = "alloc")]
pub mod dial;
pub mod gpio;
#[cfg(feature = "alloc")]
pub mod io;
#[cfg(feature = "alloc")]
pub mod irrigation;
#[cfg(feature = "alloc")]
pub mod jsonrpc;
#[cfg(feature = "alloc")]
pub mod led;
#[cfg(feature = "alloc")]
pub mod message;
#[cfg(feature = "alloc")]
pub mod pairing;
#[cfg(feature = "alloc")]
pub mod reception;
#[cfg(feature = "alloc")]
pub mod session;
#[cfg(feature = "alloc")]
pub mod stream;
#[cfg(feature = "alloc")]
pub mod websocket;

/// The multicast group on which devices advertise themselves.
pub const GROUP: [u8; 4] = [224, 242, 242, 242];
/// The UDP and TCP port of DWN v1.
pub const PORT: u16 = 242;
/// What a v1 node sends over TCP to say that it lives.
pub const HEARTBEAT: &[u8; 5] = b"yo!\r\n";
/// How often a node advertises and, when connected, sends its heartbeat.
pub const HEARTBEAT_EVERY_MS: u64 = 5_000;
/// A node that has been silent for this long is gone: three heartbeats.
pub const HEARTBEAT_LOST_MS: u64 = 15_000;

/// Why a peer's bytes are not understood. The connection cannot be trusted further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// A byte that can start no message.
    NotAMessage(u8),
    /// A message longer than the protocol allows.
    TooLong { limit: usize },
    /// The shape was right, the content was not.
    Malformed(&'static str),
    /// A peer that does not know the code which the node shows, or the token of the node that dials.
    WrongCode,
}

impl core::fmt::Display for Refused {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Refused::NotAMessage(byte) => write!(f, "byte {byte:#04x} starts no message"),
            Refused::TooLong { limit } => write!(f, "a message longer than {limit} bytes"),
            Refused::Malformed(what) => write!(f, "malformed: {what}"),
            Refused::WrongCode => write!(f, "a wrong code or token"),
        }
    }
}

impl core::error::Error for Refused {}

//! Sockets as files see them; AF_UNIX is here, AF_INET is wrapped by whoever owns the network.

/// What can be asked of a socket besides reading and writing.
pub trait Socket: Send + Sync {}

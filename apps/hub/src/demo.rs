//! The living house of `hub --demo`: simulated devices in the same program, on loopback addresses of their own.

use hob_node::devices::{Io, Irrigation, Led};
use hob_node::{Config as Node, Handle, spawn};
use std::net::Ipv4Addr;
use std::time::Duration;

/// The port that needs no right.
pub const PORT: u16 = 24_242;

/// Starts the demonstration's devices; they run as long as the handles are kept.
///
/// # Errors
/// A socket could not be made.
pub fn devices(port: u16) -> std::io::Result<Vec<Handle>> {
    let node = |last: u8, name: &str, id: &str| Node {
        name: name.into(),
        id: id.into(),
        address: Ipv4Addr::new(127, 77, 0, last),
        port,
        interface: Ipv4Addr::LOCALHOST,
        heartbeat: Duration::from_millis(wire::HEARTBEAT_EVERY_MS),
        trust: None,
    };
    let (garden, _) = Irrigation::new(wire::irrigation::NODE_LIMIT_MS);
    let (greenhouse, _) = Irrigation::new(wire::irrigation::NODE_LIMIT_MS);
    Ok(vec![
        spawn(node(1, wire::irrigation::DRIVER_NAMES[0], "garden"), garden)?,
        spawn(node(2, wire::irrigation::DRIVER_NAMES[1], "greenhouse"), greenhouse)?,
        spawn(node(3, wire::led::DRIVER_NAME, "kitchen-strip"), Led::default())?,
        spawn(node(4, wire::io::DRIVER_NAME, "cellar-board"), Io::default())?,
    ])
}

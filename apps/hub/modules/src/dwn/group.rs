//! The multicast group in which nodes advertise themselves: on one interface of this machine, or on every one.

use rustix::net::netdevice::name_to_index;
use socket2::{InterfaceIndexOrAddress, SockRef};
use std::io;
use std::net::Ipv4Addr;
use std::time::Duration;
use tokio::net::UdpSocket;

/// The interfaces are looked at again after so long: one that comes up later is joined then.
pub(super) const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// Joins the group on the interface of this address; on every interface when it is unspecified. The system's own choice would
/// be the one to which its default route leads, and none before there is a route.
///
/// # Errors
/// The group can be joined nowhere.
pub(super) fn join(socket: &UdpSocket, interface: Ipv4Addr) -> io::Result<()> {
    let (socket, group) = (SockRef::from(socket), wire::GROUP.into());
    if !interface.is_unspecified() {
        return settled(socket.join_multicast_v4(&group, &interface));
    }
    let mut is_in = false;
    for name in names() {
        let joined = name_to_index(&*socket, &name).map_err(io::Error::from).and_then(|index| {
            settled(socket.join_multicast_v4_n(&group, &InterfaceIndexOrAddress::Index(index)))
        });
        match joined {
            Ok(()) => is_in = true,
            Err(error) => tracing::debug!(interface = name, %error, "no nodes are heard on it"),
        }
    }
    if is_in { Ok(()) } else { settled(socket.join_multicast_v4(&group, &interface)) }
}

/// Who is in the group already is in it.
fn settled(joined: io::Result<()>) -> io::Result<()> {
    match joined {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Ok(()),
        other => other,
    }
}

/// The names of the interfaces (proc_net_dev(5)); none where the system does not tell.
fn names() -> Vec<String> {
    let table = std::fs::read_to_string("/proc/net/dev").unwrap_or_default();
    let named = table.lines().skip(2).filter_map(|line| line.split_once(':'));
    named.map(|(name, _)| name.trim().to_string()).collect()
}

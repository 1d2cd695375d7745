//! DWN: the house's Wi-Fi nodes. Found by their adverts, reached over TCP, v1 as ever and v2 authenticated.
//!
//! An id belongs to whoever has it: while it is connected, adverts of the same id from another address change nothing; once
//! it has been paired, v1 adverts of it are refused for ever. A node is known by its id and followed when its address changes.
//!
//! Start reading at [`Dwn`] (adverts), then [`session`] (one connection), then [`driver`] (what a node is).

pub mod driver;
mod functions;
mod group;
pub mod pairing;
mod session;

use house::{BoxFuture, Module, Room, Status, Trust};
use serde::{Deserialize, Serialize};
use serde_json::json;
use socket2::{Domain, Protocol, Socket, Type};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::net::UdpSocket;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};
use wire::advert::Advert;

/// `[dwn]` of the configuration.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    pub enabled: bool,
    /// UDP port of the adverts, and TCP port of v1 nodes.
    pub port: u16,
    /// The address of the interface on which the nodes are; all by default.
    pub interface: Ipv4Addr,
    /// Silence after which a node is gone, in seconds.
    pub lost_after: f64,
}

impl Settings {
    /// What is wrong: the name of the field and the reason.
    ///
    /// # Errors
    /// A time that is none.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        match self.lost_after.is_finite() && self.lost_after > 0.0 {
            true => Ok(()),
            false => Err(("lost_after", "it must be more than 0 seconds; 15 is what nodes expect".into())),
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        let lost_after = wire::HEARTBEAT_LOST_MS as f64 / 1000.0;
        Settings { enabled: true, port: wire::PORT, interface: Ipv4Addr::UNSPECIFIED, lost_after }
    }
}

/// How a node was last seen.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub advert: Advert,
    pub address: SocketAddr,
    /// Whether a session task has it now.
    pub is_live: bool,
    /// When a refusal was last told, so that a liar does not fill the log.
    refused: Option<Instant>,
    /// Ends the session, because the key that it stands on is no longer trusted.
    hang_up: Arc<Notify>,
}

impl Node {
    fn new(advert: &Advert, address: SocketAddr) -> Node {
        Node { advert: advert.clone(), address, is_live: false, refused: None, hang_up: Arc::default() }
    }
}

/// All nodes that have been heard of, by id.
pub(crate) type Nodes = Arc<Mutex<HashMap<String, Node>>>;

/// Ids remembered at most, connected ones not counted.
const MAX_NODES: usize = 10_000;

/// The module.
#[derive(Debug)]
pub struct Dwn {
    settings: Settings,
}

impl Dwn {
    /// A module with these settings.
    pub fn new(settings: Settings) -> Dwn {
        Dwn { settings }
    }

    fn socket(&self) -> std::io::Result<UdpSocket> {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        // Adverts of a thousand nodes may come in one moment. More than the system allows is no error.
        let _ = socket.set_recv_buffer_size(1 << 20);
        socket
            .bind(&SocketAddr::from(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, self.settings.port)).into())?;
        let socket = UdpSocket::from_std(socket.into())?;
        group::join(&socket, self.settings.interface)?;
        Ok(socket)
    }
}

impl Module for Dwn {
    fn name(&self) -> &'static str {
        "dwn"
    }

    fn run(self: Arc<Self>, room: Room) -> BoxFuture<'static, Result<(), String>> {
        Box::pin(async move {
            if !self.settings.enabled {
                room.armed();
                return std::future::pending().await;
            }
            let socket = self.socket().map_err(|error| match error.kind() {
                std::io::ErrorKind::PermissionDenied => format!(
                    "UDP port {} needs a right: setcap cap_net_bind_service=+ep on the program, or set dwn.port",
                    self.settings.port
                ),
                _ => format!("UDP port {}: {error}", self.settings.port),
            })?;
            let keys = pairing::own_keys(room.house()).await?;
            let listener = Listener { room, settings: self.settings.clone(), keys, nodes: Nodes::default() };
            functions::register(&listener.room, &listener.nodes, &listener.keys);
            listener.room.armed();
            listener.run(&socket).await
        })
    }
}

struct Listener {
    room: Room,
    settings: Settings,
    keys: Arc<wire::session::Keys>,
    nodes: Nodes,
}

impl Listener {
    async fn run(&self, socket: &UdpSocket) -> Result<(), String> {
        let mut sessions = JoinSet::new();
        self.call_on_armed_valves(&mut sessions);
        let mut datagram = vec![0; wire::advert::MAX_BYTES + 1];
        let mut look = interval(group::LOOK_AGAIN);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = look.tick() => {
                    if let Err(error) = group::join(socket, self.settings.interface) {
                        tracing::debug!(%error, "no interface on which nodes could be heard");
                    }
                }
                received = socket.recv_from(&mut datagram) => {
                    let (len, from) = received.map_err(|error| format!("adverts: {error}"))?;
                    let SocketAddr::V4(from) = from else { continue };
                    if from.ip().is_unspecified() {
                        continue;
                    }
                    match Advert::decode(datagram.get(..len).unwrap_or(&[])) {
                        Ok(advert) => self.heard(advert, *from.ip(), &mut sessions),
                        Err(refused) => tracing::debug!(%from, %refused, "an advert was refused"),
                    }
                }
                Some(ended) = sessions.join_next() => {
                    if let Err(error) = ended && error.is_panic() {
                        return Err(format!("a session panicked: {error}"));
                    }
                }
            }
        }
    }

    /// Nodes whose valves were open when the hub last ran are called at once, without waiting for their adverts.
    fn call_on_armed_valves(&self, sessions: &mut JoinSet<()>) {
        for (valve, _) in self.room.house().memory().list("deadlines") {
            let device = self.room.house().look(|registry| {
                let device = registry.device(&registry.entity(&valve)?.device)?;
                Some((device.clone(), device.address.as_ref()?.parse::<SocketAddr>().ok()?))
            });
            let Some((device, address)) = device else { continue };
            let Some(id) = device.id.strip_prefix("dwn.") else { continue };
            let key = pairing::peer(self.room.house(), id);
            let version = if key.is_some() { wire::session::VERSION } else { 1 };
            let advert =
                Advert { name: device.driver, id: id.into(), version, port: Some(address.port()), key };
            if device.status == Status::Accepted && device.module == "dwn" {
                self.start(advert, address, sessions);
            }
        }
    }

    fn heard(&self, advert: Advert, from: Ipv4Addr, sessions: &mut JoinSet<()>) {
        let default_port = self.settings.port;
        let address = SocketAddr::new(IpAddr::V4(from), advert.port.unwrap_or(default_port));
        if let Some(reason) = self.objection(&advert, address) {
            return self.refuse(&advert, address, reason);
        }
        let trust = match pairing::peer(self.room.house(), &advert.id) {
            Some(_) => Trust::Paired,
            None => Trust::Unauthenticated,
        };
        let text = address.to_string();
        let name = format!("{} {}", driver::title(&advert.name), advert.id);
        let status = self.room.discover(&advert.id, &name, &advert.name, Some(&text), trust);
        let wants_session = {
            let mut nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
            if nodes.len() >= MAX_NODES && !nodes.contains_key(&advert.id) {
                nodes.retain(|_, node| node.is_live);
            }
            let node = nodes.entry(advert.id.clone()).or_insert_with(|| Node::new(&advert, address));
            (node.advert, node.address) = (advert.clone(), address);
            !node.is_live
        };
        if status == Some(Status::Accepted) && wants_session {
            self.start(advert, address, sessions);
        }
    }

    /// Why this advert must not be believed.
    fn objection(&self, advert: &Advert, address: SocketAddr) -> Option<&'static str> {
        let live = {
            let nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
            nodes.get(&advert.id).filter(|node| node.is_live).map(|node| node.address)
        };
        if live.is_some_and(|known| known != address) {
            return Some("another address advertises the id of a connected node");
        }
        match pairing::peer(self.room.house(), &advert.id) {
            Some(_) if advert.version < wire::session::VERSION => Some("a paired node was advertised as v1"),
            Some(key) if advert.key != Some(key) => Some("a paired node was advertised with another key"),
            _ => None,
        }
    }

    fn refuse(&self, advert: &Advert, address: SocketAddr, reason: &'static str) {
        let mut nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        let node = nodes.entry(advert.id.clone()).or_insert_with(|| Node::new(advert, address));
        let is_news = node.refused.is_none_or(|at| at.elapsed() > Duration::from_secs(60));
        if is_news {
            node.refused = Some(Instant::now());
            drop(nodes);
            let device = self.room.device_id(&advert.id);
            tracing::warn!(id = advert.id, %address, reason, "an advert was refused");
            self.room.emit(
                &device,
                "dwn",
                json!({"type": "refused", "id": advert.id, "ip": address.ip(), "reason": reason}),
            );
        }
    }

    fn start(&self, advert: Advert, address: SocketAddr, sessions: &mut JoinSet<()>) {
        let Some(driver) = driver::for_name(&advert.name) else {
            let device = self.room.device_id(&advert.id);
            return self.room.unavailable(&device, &format!("no driver for {:?}", advert.name));
        };
        let peer = pairing::peer(self.room.house(), &advert.id);
        if advert.version >= wire::session::VERSION && peer.is_none() {
            let device = self.room.device_id(&advert.id);
            return self.room.unavailable(&device, "not paired yet: enter the code that the node shows");
        }
        let hang_up = {
            let mut nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
            let node = nodes.entry(advert.id.clone()).or_insert_with(|| Node::new(&advert, address));
            // Two valves of one node may have a deadline: one session serves both.
            if std::mem::replace(&mut node.is_live, true) {
                return;
            }
            // Each session has its own: what ended the last one does not end this one.
            node.hang_up = Arc::default();
            node.hang_up.clone()
        };
        let live = Live { nodes: self.nodes.clone(), id: advert.id.clone() };
        let session = session::Session {
            room: self.room.clone(),
            device: self.room.device_id(&advert.id),
            advert,
            address,
            hang_up,
            lost_after: Duration::from_secs_f64(self.settings.lost_after.clamp(0.1, 3600.0)),
        };
        let keys = self.keys.clone();
        sessions.spawn(async move {
            let _live = live;
            session.run(driver, peer.map(|peer| (keys, peer))).await;
        });
    }
}

/// Marks a node as live for as long as its session runs, however it ends.
struct Live {
    nodes: Nodes,
    id: String,
}

impl Drop for Live {
    fn drop(&mut self) {
        let mut nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(node) = nodes.get_mut(&self.id) {
            node.is_live = false;
        }
    }
}

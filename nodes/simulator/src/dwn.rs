//! A DWN node: adverts over multicast, one hub at a time over TCP, heartbeats; v1 or v2.

use crate::devices::Device;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Interval, MissedTickBehavior, interval, sleep_until};
use wire::advert::Advert;
use wire::message::Message;
use wire::pairing::{Acceptor, Code, Window};
use wire::session::{Incoming, Keys, Link};

/// Who one node is and how it speaks.
#[derive(Clone, Debug)]
pub struct Config {
    /// Driver name in the advert.
    pub name: String,
    pub id: String,
    /// The node's own address; the hub connects to where the adverts come from.
    pub address: Ipv4Addr,
    /// UDP port of the adverts and, for v1, TCP port of the node.
    pub port: u16,
    /// The interface by which multicast leaves.
    pub interface: Ipv4Addr,
    /// 5 s for a real node.
    pub heartbeat: Duration,
    /// `None` speaks v1.
    pub trust: Option<Trust>,
}

/// What a v2 node knows: its keys, its hubs, and the code it shows. Shared, so that it outlives a restart of the node.
#[derive(Clone, Debug)]
pub struct Trust(Arc<Mutex<Acceptor>>);

impl Trust {
    /// A node that has never been paired, showing `code`.
    ///
    /// # Errors
    /// The system has no randomness to give.
    pub fn new(id: &str, code: Code) -> Result<Trust, wire::Refused> {
        let keys = Keys::generate()?;
        let acceptor = Acceptor { id: id.to_string(), keys, hubs: Vec::new(), window: Window::open(code) };
        Ok(Trust(Arc::new(Mutex::new(acceptor))))
    }

    /// Shows another code, as after a press on the node's button.
    pub fn open_window(&self, code: Code) {
        self.acceptor().window = Window::open(code);
    }

    /// Whether the node shows a code.
    pub fn can_be_paired(&self) -> bool {
        self.acceptor().window.code().is_some()
    }

    fn acceptor(&self) -> MutexGuard<'_, Acceptor> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a test does to a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mood {
    /// No more adverts and heartbeats; the connection stays.
    pub is_mute: bool,
    /// Counts up to make the node drop its hub.
    pub drops: u32,
}

/// A running node; dropping it stops the node at once, as pulling its plug would.
#[derive(Debug)]
pub struct Handle {
    mood: watch::Sender<Mood>,
    task: JoinHandle<()>,
}

impl Handle {
    /// Silences the node, or lets it speak again.
    pub fn mute(&self, is_mute: bool) {
        self.mood.send_modify(|mood| mood.is_mute = is_mute);
    }
    /// Closes the connection to the hub.
    pub fn drop_hub(&self) {
        self.mood.send_modify(|mood| mood.drops += 1);
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Starts a node.
///
/// # Errors
/// Its sockets cannot be made: the port is taken, or 242 needs a right that the program lacks.
pub fn spawn(config: Config, device: impl Device) -> io::Result<Handle> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_multicast_if_v4(&config.interface)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SockAddr::from(SocketAddrV4::new(config.address, 0)))?;
    let adverts = UdpSocket::from_std(socket.into())?;

    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    let port = if config.trust.is_some() { 0 } else { config.port };
    socket.bind(&SockAddr::from(SocketAddrV4::new(config.address, port)))?;
    socket.listen(8)?;
    let listener = TcpListener::from_std(socket.into())?;

    let (mood, seen) = watch::channel(Mood::default());
    let node = Node { config, device, adverts, listener, mood: seen, booted: Instant::now() };
    Ok(Handle { mood, task: tokio::spawn(node.run()) })
}

struct Node<D> {
    config: Config,
    device: D,
    adverts: UdpSocket,
    listener: TcpListener,
    mood: watch::Receiver<Mood>,
    booted: Instant,
}

/// A connected hub, and how to speak to it.
struct Hub {
    stream: TcpStream,
    link: Option<Link>,
}

impl Hub {
    /// Sends reports; over a v2 session that is not open yet they are dropped (the opening sends the state anyway).
    async fn report(&mut self, reports: Vec<Vec<u8>>) -> io::Result<()> {
        match &mut self.link {
            None => self.stream.write_all(&reports.concat()).await,
            Some(link) => {
                for payload in reports {
                    if link.is_open() {
                        link.send(&Message::Report { payload }).map_err(io::Error::other)?;
                    }
                }
                self.stream.write_all(&link.take_output()).await
            }
        }
    }

    async fn heartbeat(&mut self) -> io::Result<()> {
        match &mut self.link {
            None => self.stream.write_all(wire::HEARTBEAT).await,
            Some(link) if link.is_open() => {
                link.send(&Message::Alive).map_err(io::Error::other)?;
                self.stream.write_all(&link.take_output()).await
            }
            Some(_) => Ok(()),
        }
    }
}

/// What the hub says; for ever pending while there is none.
async fn read(hub: &mut Option<Hub>, segment: &mut [u8]) -> io::Result<usize> {
    match hub {
        Some(hub) => hub.stream.read(segment).await,
        None => std::future::pending().await,
    }
}

impl<D: Device> Node<D> {
    fn now_ms(&self) -> u64 {
        self.booted.elapsed().as_millis() as u64
    }

    async fn run(mut self) {
        let mut beat: Interval = interval(self.config.heartbeat);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut hub: Option<Hub> = None;
        let mut segment = [0; 1024];
        loop {
            let tick = self.device.next_tick_ms().map(|ms| self.booted + Duration::from_millis(ms));
            let step = tokio::select! {
                _ = beat.tick() => self.beat(&mut hub).await,
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) => self.welcome(stream, &mut hub).await,
                    Err(error) => Err(error),
                },
                read = read(&mut hub, &mut segment) => match read {
                    Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
                    Ok(len) => self.receive(segment.get(..len).unwrap_or(&[]), &mut hub).await,
                    Err(error) => Err(error),
                },
                () = sleep_until(tick.unwrap_or(self.booted).into()), if tick.is_some() => {
                    let reports = self.device.tick(self.now_ms());
                    match &mut hub {
                        Some(hub) => hub.report(reports).await,
                        None => Ok(()),
                    }
                }
                changed = self.mood.changed() => match changed {
                    Ok(()) if self.mood.borrow_and_update().drops > 0 => Err(io::ErrorKind::ConnectionAborted.into()),
                    Ok(()) => Ok(()),
                    Err(_) => return,
                },
            };
            if step.is_err() {
                hub = None;
            }
        }
    }

    async fn beat(&mut self, hub: &mut Option<Hub>) -> io::Result<()> {
        if self.mood.borrow().is_mute {
            return Ok(());
        }
        let advert = Advert {
            name: self.config.name.clone(),
            id: self.config.id.clone(),
            version: if self.config.trust.is_some() { wire::session::VERSION } else { 1 },
            port: if self.config.trust.is_some() { Some(self.listener.local_addr()?.port()) } else { None },
            key: self.config.trust.as_ref().map(|trust| trust.acceptor().keys.public),
        };
        let to = SocketAddrV4::new(wire::GROUP.into(), self.config.port);
        // A datagram may be lost; the next one follows.
        let _ = self.adverts.send_to(&advert.encode(), to).await;
        match hub {
            Some(hub) => hub.heartbeat().await,
            None => Ok(()),
        }
    }

    async fn welcome(&mut self, stream: TcpStream, hub: &mut Option<Hub>) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let link = self.config.trust.as_ref().map(|trust| Link::accept(trust.acceptor().clone()));
        let is_v1 = link.is_none();
        let new = hub.insert(Hub { stream, link });
        if is_v1 {
            let reports = self.device.connected(self.booted.elapsed().as_millis() as u64);
            new.report(reports).await?;
        }
        Ok(())
    }

    async fn receive(&mut self, segment: &[u8], hub: &mut Option<Hub>) -> io::Result<()> {
        let now_ms = self.now_ms();
        let Some(hub) = hub else { return Ok(()) };
        let Some(link) = &mut hub.link else {
            let reports = self.device.receive(now_ms, segment).map_err(io::Error::other)?;
            return hub.report(reports).await;
        };
        let incoming = match (link.push(segment), &self.config.trust) {
            (Ok(incoming), _) => incoming,
            (Err(refused), trust) => {
                if let (wire::Refused::WrongCode, Some(trust)) = (refused, trust) {
                    trust.acceptor().window.missed();
                }
                return Err(io::Error::other(refused));
            }
        };
        let mut reports = Vec::new();
        for message in incoming {
            match message {
                Incoming::Open { .. } => {
                    let boot = self.booted.elapsed().subsec_nanos();
                    link.send(&Message::Hello { version: wire::session::VERSION, boot })
                        .map_err(io::Error::other)?;
                    reports.extend(self.device.connected(now_ms));
                }
                Incoming::Proved { .. } => {
                    if let Some(trust) = &self.config.trust {
                        link.confirm(&mut trust.acceptor()).map_err(io::Error::other)?;
                    }
                }
                Incoming::Message(Message::Command { number, payload }) => {
                    let done = self.device.command(now_ms, &payload);
                    let accepted = done.is_ok();
                    reports.extend(done.unwrap_or_default());
                    link.send(&Message::Done { number, accepted }).map_err(io::Error::other)?;
                }
                Incoming::Message(_) | Incoming::Paired { .. } => {}
            }
        }
        let output = link.take_output();
        hub.stream.write_all(&output).await?;
        hub.report(reports).await
    }
}

//! A DWN node: adverts over multicast, one hub at a time over TCP, heartbeats; v1 or v2.

use crate::devices::Device;
use crate::lines::Lines;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Interval, MissedTickBehavior, interval, sleep_until};
use wire::Refused;
use wire::advert::Advert;
use wire::message::Message;
use wire::pairing::{Acceptor, Code, Window};
use wire::reception::Reception;
use wire::session::{Incoming, Keys};

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
    let reception = config.trust.is_some().then(Reception::default);
    let lines = Lines::default();
    let node =
        Node { config, device, adverts, listener, mood: seen, booted: Instant::now(), reception, lines };
    Ok(Handle { mood, task: tokio::spawn(node.run()) })
}

struct Node<D> {
    config: Config,
    device: D,
    adverts: UdpSocket,
    listener: TcpListener,
    mood: watch::Receiver<Mood>,
    booted: Instant,
    lines: Lines,
    /// Who of them may speak; `None` for v1.
    reception: Option<Reception>,
}

impl<D: Device> Node<D> {
    fn now_ms(&self) -> u64 {
        self.booted.elapsed().as_millis() as u64
    }

    async fn run(mut self) {
        let mut beat: Interval = interval(self.config.heartbeat);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let at = |ms| (self.booted + Duration::from_millis(ms)).into();
            let tick = self.device.next_tick_ms().map(at);
            let silence = self.reception.as_ref().and_then(Reception::next_tick_ms).map(at);
            let never = self.booted.into();
            // In this order: nobody who talks keeps the device from its time, and after a pause of this machine what was said
            // meanwhile is heard before anybody is taken to be silent.
            let step = tokio::select! {
                biased;
                () = sleep_until(tick.unwrap_or(never)), if tick.is_some() => {
                    let reports = self.device.tick(self.now_ms());
                    self.report(reports)
                }
                _ = beat.tick() => self.beat().await,
                changed = self.mood.changed() => match changed {
                    Ok(()) if self.mood.borrow_and_update().drops > 0 => Err(Refused::Malformed("a test")),
                    Ok(()) => Ok(()),
                    Err(_) => return,
                },
                (number, segment) = self.lines.heard() => self.receive(number, &segment),
                () = sleep_until(silence.unwrap_or(never)), if silence.is_some() => {
                    let now_ms = self.now_ms();
                    self.reception.iter_mut().for_each(|reception| reception.tick(now_ms));
                    Ok(())
                }
                accepted = self.listener.accept() => {
                    // A connection that is over before it was taken is nobody's loss.
                    let _ = accepted.and_then(|(stream, _)| self.welcome(stream));
                    Ok(())
                }
            };
            if step.is_err() {
                self.hang_up();
            }
            self.settle().await;
        }
    }

    /// Lets the hub go: the one in session, or the only one that a v1 node knows.
    fn hang_up(&mut self) {
        match &mut self.reception {
            Some(reception) => {
                if let Some(number) = reception.session() {
                    reception.depart(number);
                }
            }
            None => self.lines.keep(|_| false),
        }
    }

    /// Closes the connections that have no place any more, and sends what there is for the others.
    async fn settle(&mut self) {
        if let Some(reception) = &mut self.reception {
            self.lines.keep(|number| reception.contains(number));
            self.lines.each(|number, output| output.extend(reception.take_output(number)));
        }
        for number in self.lines.send().await {
            if let Some(reception) = &mut self.reception {
                reception.depart(number);
            }
        }
    }

    async fn beat(&mut self) -> Result<(), Refused> {
        if self.mood.borrow().is_mute {
            return Ok(());
        }
        let port = self.listener.local_addr().map(|at| at.port()).ok();
        let advert = Advert {
            name: self.config.name.clone(),
            id: self.config.id.clone(),
            version: if self.config.trust.is_some() { wire::session::VERSION } else { 1 },
            port: port.filter(|_| self.config.trust.is_some()),
            key: self.config.trust.as_ref().map(|trust| trust.acceptor().keys.public),
        };
        let to = SocketAddrV4::new(wire::GROUP.into(), self.config.port);
        // A datagram may be lost; the next one follows.
        let _ = self.adverts.send_to(&advert.encode(), to).await;
        match &mut self.reception {
            Some(reception) => reception.send(&Message::Alive)?,
            None => self.lines.each(|_, output| output.extend(wire::HEARTBEAT)),
        }
        Ok(())
    }

    fn welcome(&mut self, stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let now_ms = self.now_ms();
        match (&mut self.reception, &self.config.trust) {
            (Some(reception), Some(trust)) => {
                let number = self.lines.add(stream);
                reception.arrive(now_ms, number, &trust.acceptor());
            }
            // v1 knows no keys: who comes last is the hub.
            _ => {
                self.lines.keep(|_| false);
                self.lines.add(stream);
                let reports = self.device.connected(now_ms);
                self.lines.each(|_, output| output.extend(reports.concat()));
            }
        }
        Ok(())
    }

    fn report(&mut self, reports: Vec<Vec<u8>>) -> Result<(), Refused> {
        match &mut self.reception {
            Some(reception) => {
                reports.into_iter().try_for_each(|payload| reception.send(&Message::Report { payload }))
            }
            None => {
                self.lines.each(|_, output| output.extend(reports.concat()));
                Ok(())
            }
        }
    }

    /// What a connection gave; nothing when it is over. An error is the hub's, not a newcomer's.
    fn receive(&mut self, number: u32, segment: &[u8]) -> Result<(), Refused> {
        let now_ms = self.now_ms();
        if segment.is_empty() {
            self.lines.keep(|other| other != number);
            if let Some(reception) = &mut self.reception {
                reception.depart(number);
            }
            return Ok(());
        }
        let (Some(reception), Some(trust)) = (&mut self.reception, &self.config.trust) else {
            let reports = self.device.receive(now_ms, segment)?;
            return self.report(reports);
        };
        let mut acceptor = trust.acceptor();
        // Who is refused has lost its place, and nobody else theirs.
        let Ok(incoming) = reception.push(now_ms, number, segment, &mut acceptor) else { return Ok(()) };
        let mut reports = Vec::new();
        for message in incoming {
            match message {
                Incoming::Open { .. } => {
                    let boot = self.booted.elapsed().subsec_nanos();
                    reception.send(&Message::Hello { version: wire::session::VERSION, boot })?;
                    reports.extend(self.device.connected(now_ms));
                }
                Incoming::Proved { .. } => {
                    // A code that is no longer shown costs the newcomer its place.
                    let _ = reception.confirm(number, &mut acceptor);
                }
                Incoming::Message(Message::Command { number, payload }) => {
                    let done = self.device.command(now_ms, &payload);
                    let accepted = done.is_ok();
                    reports.extend(done.unwrap_or_default());
                    reception.send(&Message::Done { number, accepted })?;
                }
                Incoming::Message(_) | Incoming::Paired { .. } => {}
            }
        }
        drop(acceptor);
        self.report(reports)
    }
}

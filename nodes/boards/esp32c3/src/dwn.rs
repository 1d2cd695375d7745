//! The node's end of DWN v2: adverts, one hub at a time, pairing by a code on the console.
//!
//! A node that knows no hub opens its pairing window at boot and shows the code on the serial console; the BOOT button, held
//! while the node starts, makes it forget its hubs and opens the window again. Three wrong codes close it until the next boot.

use crate::memory::Memory;
use crate::watchdog::Watchdog;
use crate::{ID, random};
use alloc::vec::Vec;
use embassy_futures::select::{Either, select};
use embassy_net::tcp::TcpSocket;
use embassy_net::udp::{PacketMetadata, UdpSocket};
use embassy_net::{Ipv4Address, Stack};
use embassy_time::{Duration, Instant, Timer, with_timeout};
use embedded_io_async::Write as _;
use esp_println::println;
use wire::Refused;
use wire::advert::Advert;
use wire::message::Message;
use wire::pairing::{Acceptor, Code, Window};
use wire::session::{Incoming, Keys, Link, VERSION};

/// A hub that takes no bytes for so long is gone; shorter than a pass may be late.
const WRITE: Duration = Duration::from_millis(800);
/// A hub that has not said anything for so long is gone.
const SILENCE: Duration = Duration::from_millis(wire::HEARTBEAT_LOST_MS);

/// One device behind the session. Times are milliseconds since the boot.
pub trait Device {
    /// The driver name in the advert.
    const NAME: &'static str;
    /// How often [`Device::tick`] comes at least.
    const PASS: Duration;
    /// A hub has connected: what to tell it first.
    fn connected(&mut self, now_ms: u64) -> Vec<Vec<u8>>;
    /// One whole command.
    ///
    /// # Errors
    /// It is refused.
    fn command(&mut self, now_ms: u64, payload: &[u8]) -> Result<Vec<Vec<u8>>, Refused>;
    /// Time has passed: what there is to report unasked.
    fn tick(&mut self, now_ms: u64) -> Vec<Vec<u8>>;
}

/// The node: its device, its keys, and what keeps both honest.
pub struct Node<D> {
    device: D,
    watchdog: Watchdog,
    acceptor: Acceptor,
    memory: Memory,
    boot: u32,
    next_beat: Instant,
}

fn now_ms() -> u64 {
    Instant::now().as_millis()
}

/// Keys and hubs from the remembered record: 64 bytes of keys, then 32 for each hub.
fn recall(record: &[u8]) -> Option<(Keys, Vec<[u8; 32]>)> {
    let (private, rest) = record.split_first_chunk()?;
    let (public, hubs) = rest.split_first_chunk()?;
    let hubs = hubs.chunks_exact(32).filter_map(|hub| hub.try_into().ok()).collect();
    Some((Keys { private: *private, public: *public }, hubs))
}

impl<D: Device> Node<D> {
    /// A node with the keys that it remembers, or with fresh ones. The radio must be on: it feeds the randomness.
    pub fn new(
        device: D,
        watchdog: Watchdog,
        (mut memory, record): (Memory, Vec<u8>),
        is_button_held: bool,
    ) -> Node<D> {
        let known = recall(&record)
            .map_or_else(|| Keys::generate_from(Some(random)).map(|keys| (keys, Vec::new())), Ok);
        let (keys, mut hubs) = match known {
            Ok(known) => known,
            // Nothing but a fault of the cryptography itself; the watchdog starts the node anew.
            Err(refused) => panic!("no keys: {refused}"),
        };
        if is_button_held && !hubs.is_empty() {
            println!("the button is held: the hubs are forgotten");
            hubs.clear();
        }
        let mut window = Window::default();
        if hubs.is_empty() {
            let mut drawn = [0; 16];
            random(&mut drawn);
            let code = Code::from_random(drawn);
            println!("{ID} can be paired with {code}");
            window = Window::open(code);
        }
        let acceptor = Acceptor { id: ID.into(), keys, hubs, window };
        memory.store(&written(&acceptor));
        let mut boot = [0; 4];
        random(&mut boot);
        Node { device, watchdog, acceptor, memory, boot: u32::from_le_bytes(boot), next_beat: Instant::now() }
    }

    /// One pass: the device's limits hold, the watchdog is fed, and every five seconds the node advertises itself. Gives what
    /// the hub is to be told: reports, and whether a heartbeat is due.
    async fn pass(&mut self, adverts: &UdpSocket<'_>) -> (Vec<Vec<u8>>, bool) {
        let reports = self.device.tick(now_ms());
        self.watchdog.feed();
        let is_due = Instant::now() >= self.next_beat;
        if is_due {
            self.next_beat = Instant::now() + Duration::from_millis(wire::HEARTBEAT_EVERY_MS);
            let advert = Advert {
                name: D::NAME.into(),
                id: ID.into(),
                version: VERSION,
                port: Some(wire::PORT),
                key: Some(self.acceptor.keys.public),
            };
            let group = Ipv4Address::from(wire::GROUP);
            // A datagram may be lost, or the network may not be there yet; the next one follows.
            let _ = with_timeout(WRITE, adverts.send_to(&advert.encode(), (group, wire::PORT))).await;
        }
        (reports, is_due)
    }

    /// Lives for ever: waits for a hub, serves it, waits again.
    pub async fn live(mut self, stack: Stack<'static>) -> ! {
        let (mut in_meta, mut out_meta) = ([PacketMetadata::EMPTY; 1], [PacketMetadata::EMPTY; 2]);
        let (mut in_buffer, mut out_buffer) = ([0; 64], [0; 512]);
        let mut adverts = UdpSocket::new(stack, &mut in_meta, &mut in_buffer, &mut out_meta, &mut out_buffer);
        // The source port means nothing.
        if let Err(error) = adverts.bind(49_242) {
            println!("no adverts: {error:?}");
        }
        let (mut received, mut sending) = ([0; 2_048], [0; 2_048]);
        loop {
            let mut socket = TcpSocket::new(stack, &mut received, &mut sending);
            if self.wait(&mut socket, &adverts).await {
                self.serve(&mut socket, &adverts).await;
            }
            socket.abort();
        }
    }

    async fn wait(&mut self, socket: &mut TcpSocket<'_>, adverts: &UdpSocket<'_>) -> bool {
        let passes = async {
            loop {
                self.pass(adverts).await;
                Timer::after(D::PASS).await;
            }
        };
        match select(socket.accept(wire::PORT), passes).await {
            Either::First(accepted) => accepted.is_ok(),
            Either::Second(never) => never,
        }
    }

    /// Serves one hub until the connection is lost or makes no sense.
    async fn serve(&mut self, socket: &mut TcpSocket<'_>, adverts: &UdpSocket<'_>) {
        let mut link = Link::accept_from(self.acceptor.clone(), Some(random));
        let mut segment = [0; 512];
        let mut heard = Instant::now();
        loop {
            match with_timeout(WRITE, socket.write_all(&link.take_output())).await {
                Ok(Ok(())) => {}
                _ => return,
            }
            match select(socket.read(&mut segment), Timer::after(D::PASS)).await {
                Either::First(Ok(len @ 1..)) => {
                    heard = Instant::now();
                    if let Err(refused) = self.receive(&mut link, segment.get(..len).unwrap_or(&[])) {
                        println!("the hub is refused: {refused}");
                        // What explains the refusal is still sent.
                        let _ = with_timeout(WRITE, socket.write_all(&link.take_output())).await;
                        return;
                    }
                }
                Either::First(_) => return,
                Either::Second(()) if heard.elapsed() > SILENCE => return,
                Either::Second(()) => {}
            }
            let (reports, is_due) = self.pass(adverts).await;
            if tell(&mut link, reports, is_due).is_err() {
                return;
            }
        }
    }

    fn receive(&mut self, link: &mut Link, segment: &[u8]) -> Result<(), Refused> {
        let incoming = link.push(segment).inspect_err(|refused| {
            if *refused == Refused::WrongCode {
                self.acceptor.window.missed();
            }
        })?;
        for message in incoming {
            match message {
                Incoming::Open { .. } => {
                    link.send(&Message::Hello { version: VERSION, boot: self.boot })?;
                    tell(link, self.device.connected(now_ms()), false)?;
                }
                Incoming::Proved { .. } => {
                    link.confirm(&mut self.acceptor)?;
                    println!("paired");
                    self.memory.store(&written(&self.acceptor));
                }
                Incoming::Message(Message::Command { number, payload }) => {
                    let done = self.device.command(now_ms(), &payload);
                    link.send(&Message::Done { number, accepted: done.is_ok() })?;
                    tell(link, done.unwrap_or_default(), false)?;
                }
                Incoming::Message(_) | Incoming::Paired { .. } => {}
            }
        }
        Ok(())
    }
}

fn written(acceptor: &Acceptor) -> Vec<u8> {
    let mut record = Vec::new();
    record.extend(acceptor.keys.private);
    record.extend(acceptor.keys.public);
    acceptor.hubs.iter().for_each(|hub| record.extend(hub));
    record
}

/// Reports and a heartbeat, if the session is open; the opening tells the state anyway.
fn tell(link: &mut Link, reports: Vec<Vec<u8>>, is_beat_due: bool) -> Result<(), Refused> {
    if !link.is_open() {
        return Ok(());
    }
    for payload in reports {
        link.send(&Message::Report { payload })?;
    }
    if is_beat_due {
        link.send(&Message::Alive)?;
    }
    Ok(())
}

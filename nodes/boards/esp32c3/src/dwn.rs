//! The node's end of DWN v2: adverts, one hub at a time, a few that have yet to prove they are hubs, pairing by a code on the
//! console.
//!
//! A node that knows no hub opens its pairing window at boot and shows the code on the serial console; the BOOT button, held
//! while the node starts, makes it forget its hubs and opens the window again. Three wrong codes close it until the next boot.

use crate::memory::Memory;
use crate::watchdog::Watchdog;
use crate::{ID, random};
use alloc::vec::Vec;
use core::cell::RefCell;
use embassy_futures::join::{join, join_array};
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
use wire::reception::{NEWCOMERS, Reception};
use wire::session::{Incoming, Keys, VERSION};

/// A hub that takes no bytes for so long is gone; shorter than a pass may be late.
const WRITE: Duration = Duration::from_millis(800);
/// The hub in session, those who would be, and one that is waited for.
const CONNECTIONS: usize = 1 + NEWCOMERS + 1;
/// What a connection holds of either direction; the longest frame is longer by a little, and comes in two parts.
const BUFFER: usize = 1_536;

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
    reception: Reception,
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
        let reception = Reception::drawing_from(random);
        let boot = u32::from_le_bytes(boot);
        Node { device, watchdog, acceptor, reception, memory, boot, next_beat: Instant::now() }
    }

    /// One pass: the device's limits hold, the watchdog is fed, and who is silent loses its place. Gives the advert when one
    /// is due, which is every five seconds.
    fn pass(&mut self) -> Option<Vec<u8>> {
        let reports = self.device.tick(now_ms());
        self.watchdog.feed();
        self.reception.tick(now_ms());
        self.report(reports);
        if Instant::now() < self.next_beat {
            return None;
        }
        self.next_beat = Instant::now() + Duration::from_millis(wire::HEARTBEAT_EVERY_MS);
        self.tell(&Message::Alive);
        let advert = Advert {
            name: D::NAME.into(),
            id: ID.into(),
            version: VERSION,
            port: Some(wire::PORT),
            key: Some(self.acceptor.keys.public),
        };
        Some(advert.encode())
    }

    /// A hub that cannot be told, because the message is too long, is let go; it comes again and is told the state.
    fn tell(&mut self, message: &Message) {
        if let Err(refused) = self.reception.send(message) {
            println!("the hub cannot be told: {refused}");
            self.reception.session().into_iter().for_each(|number| self.reception.depart(number));
        }
    }

    fn report(&mut self, reports: Vec<Vec<u8>>) {
        reports.into_iter().for_each(|payload| self.tell(&Message::Report { payload }));
    }

    fn receive(&mut self, number: u32, segment: &[u8]) -> Result<(), Refused> {
        for message in self.reception.push(now_ms(), number, segment, &mut self.acceptor)? {
            match message {
                Incoming::Open { .. } => {
                    self.tell(&Message::Hello { version: VERSION, boot: self.boot });
                    let reports = self.device.connected(now_ms());
                    self.report(reports);
                }
                Incoming::Proved { .. } => {
                    self.reception.confirm(number, &mut self.acceptor)?;
                    println!("paired");
                    self.memory.store(&written(&self.acceptor));
                }
                Incoming::Message(Message::Command { number, payload }) => {
                    let done = self.device.command(now_ms(), &payload);
                    self.tell(&Message::Done { number, accepted: done.is_ok() });
                    self.report(done.unwrap_or_default());
                }
                Incoming::Message(_) | Incoming::Paired { .. } => {}
            }
        }
        Ok(())
    }

    /// Lives for ever.
    pub async fn live(self, stack: Stack<'static>) -> ! {
        let node = RefCell::new(self);
        let mut buffers = [[[0; BUFFER]; 2]; CONNECTIONS];
        let mut number = 0;
        let connections = buffers.each_mut().map(|[received, sending]| {
            number += 1;
            serve(&node, TcpSocket::new(stack, received, sending), number)
        });
        let (_, never) = join(join_array(connections), advertise(&node, stack)).await;
        never
    }
}

/// The passes, and their adverts.
async fn advertise<D: Device>(node: &RefCell<Node<D>>, stack: Stack<'static>) -> ! {
    let (mut in_meta, mut out_meta) = ([PacketMetadata::EMPTY; 1], [PacketMetadata::EMPTY; 2]);
    let (mut in_buffer, mut out_buffer) = ([0; 64], [0; 512]);
    let mut adverts = UdpSocket::new(stack, &mut in_meta, &mut in_buffer, &mut out_meta, &mut out_buffer);
    // The source port means nothing.
    if let Err(error) = adverts.bind(49_242) {
        println!("no adverts: {error:?}");
    }
    let group = Ipv4Address::from(wire::GROUP);
    loop {
        let advert = node.borrow_mut().pass();
        if let Some(advert) = advert {
            // A datagram may be lost, or the network may not be there yet; the next one follows.
            let _ = with_timeout(WRITE, adverts.send_to(&advert, (group, wire::PORT))).await;
        }
        Timer::after(D::PASS).await;
    }
}

/// One connection after the other: each as long as it has its place.
async fn serve<D: Device>(node: &RefCell<Node<D>>, mut socket: TcpSocket<'_>, number: u32) {
    loop {
        if socket.accept(wire::PORT).await.is_ok() {
            {
                let Node { reception, acceptor, .. } = &mut *node.borrow_mut();
                reception.arrive(now_ms(), number, acceptor);
            }
            converse(node, &mut socket, number).await;
            node.borrow_mut().reception.depart(number);
        }
        socket.abort();
        // The peer is told that it is over.
        let _ = with_timeout(WRITE, socket.flush()).await;
    }
}

async fn converse<D: Device>(node: &RefCell<Node<D>>, socket: &mut TcpSocket<'_>, number: u32) {
    let mut segment = [0; 512];
    loop {
        let output = node.borrow_mut().reception.take_output(number);
        if !matches!(with_timeout(WRITE, socket.write_all(&output)).await, Ok(Ok(()))) {
            return;
        }
        if let Either::First(read) = select(socket.read(&mut segment), Timer::after(D::PASS)).await {
            let Ok(len @ 1..) = read else { return };
            let received = node.borrow_mut().receive(number, segment.get(..len).unwrap_or(&[]));
            if let Err(refused) = received {
                println!("a caller is refused: {refused}");
                return;
            }
        }
        if !node.borrow().reception.contains(number) {
            return;
        }
    }
}

fn written(acceptor: &Acceptor) -> Vec<u8> {
    let mut record = Vec::new();
    record.extend(acceptor.keys.private);
    record.extend(acceptor.keys.public);
    acceptor.hubs.iter().for_each(|hub| record.extend(hub));
    record
}

//! The JSON-RPC node: HTTP and WebSocket on port 80, and dialling out to a hub if the build names one (`DWN_HUB`).
//!
//! Of the 43 pins of the protocol this chip has six that a person can use: GPIO 1, 2, 5, 6, 7 and 10. There is no sensor for the
//! climate, and new firmware comes by cable.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::string::{String, ToString};
use core::cell::RefCell;
use core::net::SocketAddrV4;
use embassy_executor::Spawner;
use embassy_futures::select::{Either, select};
use embassy_net::Stack;
use embassy_net::tcp::TcpSocket;
use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embassy_sync::pubsub::PubSubChannel;
use embassy_time::{Duration, Instant, Timer, with_timeout};
use embedded_io_async::Write as _;
use esp_backtrace as _;
use esp_hal::gpio::{AnyPin, Flex, InputConfig, Pull};
use esp_println::println;
use esp32c3_node::memory::Memory;
use esp32c3_node::watchdog::Watchdog;
use esp32c3_node::{HUB, ID, TOKEN, configuration, make_heap, network, random};
use jsonrpc_node::dial::Dialled;
use jsonrpc_node::serve::Connection;
use jsonrpc_node::{Action, Hardware, Input, Node};
use static_cell::StaticCell;
use wire::jsonrpc::Mode;

esp_bootloader_esp_idf::esp_app_desc!();

/// Connections at one time.
const CONNECTIONS: usize = 4;
/// How often contacts and fail-safes are looked at.
const PASS: Duration = Duration::from_millis(50);
/// A caller that takes no bytes, or says nothing, for so long is gone.
const WRITE: Duration = Duration::from_secs(5);
const IDLE: Duration = Duration::from_secs(600);
/// The pause before a hub is dialled again, and before a restart, so that the answer is still sent.
const AGAIN: Duration = Duration::from_secs(5);
const LAST_WORDS: Duration = Duration::from_millis(500);

type News = PubSubChannel<NoopRawMutex, String, 8, { CONNECTIONS + 1 }, 1>;

struct Board {
    node: Node,
    pins: [(usize, Flex<'static>); 6],
    memory: Memory,
    restart_at: Option<Instant>,
}

/// What all tasks share; they are of one executor.
struct Shared {
    board: RefCell<Board>,
    news: News,
}

impl Board {
    /// Sets every pin as the node's settings and outputs are.
    fn apply(&mut self, on: u64) {
        let stored = self.node.stored();
        let bytes_each = stored.len() / wire::jsonrpc::PINS;
        for (number, pin) in &mut self.pins {
            let mode = stored.get(*number * bytes_each).and_then(|mode| Mode::from_number(*mode));
            // Active low: what is off is high, and so is a pin before it becomes an output.
            pin.set_level((on >> *number & 1 == 0).into());
            pin.set_output_enable(mode == Some(Mode::Output));
        }
    }

    fn contacts(&self) -> u64 {
        self.pins.iter().filter(|(_, pin)| pin.is_low()).fold(0, |all, (number, _)| all | 1 << number)
    }
}

impl Shared {
    /// Steps the core, sets the pins, and tells everyone who listens; gives the answer.
    fn step(&self, input: Input) -> Option<String> {
        let mut board = self.board.borrow_mut();
        let output = board.node.step(Instant::now().as_millis(), input);
        board.apply(output.on);
        match output.action {
            Some(Action::Store) => {
                let record = board.node.stored();
                board.memory.store(&record);
            }
            Some(Action::Restart { forget }) => {
                if forget {
                    board.memory.store(&[]);
                }
                board.restart_at = Some(Instant::now() + LAST_WORDS);
            }
            Some(Action::Upgrade { url }) => println!("{url} is not fetched: new firmware comes by cable"),
            None => {}
        }
        let news = self.news.immediate_publisher();
        output.said.into_iter().for_each(|text| news.publish_immediate(text));
        output.answer
    }
}

/// Contacts, fail-safes, watchdog.
#[embassy_executor::task]
async fn watch(shared: &'static Shared, mut watchdog: Watchdog) {
    loop {
        let contacts = shared.board.borrow().contacts();
        shared.step(Input::Pins(contacts));
        watchdog.feed();
        let restart_at = shared.board.borrow().restart_at;
        if restart_at.is_some_and(|at| Instant::now() >= at) {
            esp_hal::system::software_reset();
        }
        Timer::after(PASS).await;
    }
}

/// One place for callers.
#[embassy_executor::task(pool_size = CONNECTIONS)]
async fn serve(shared: &'static Shared, stack: Stack<'static>) {
    let (mut received, mut sending) = ([0; 1024], [0; 2048]);
    loop {
        let mut socket = TcpSocket::new(stack, &mut received, &mut sending);
        if socket.accept(80).await.is_ok() {
            answer(shared, &mut socket).await;
            socket.close();
            // Whether the caller takes the last bytes is its own business.
            let _ = with_timeout(WRITE, socket.flush()).await;
        }
        socket.abort();
    }
}

async fn answer(shared: &Shared, socket: &mut TcpSocket<'_>) {
    let Ok(mut news) = shared.news.subscriber() else { return };
    let mut connection = Connection::new(TOKEN.map(str::to_string));
    let mut segment = [0; 512];
    while !connection.is_over() {
        match select(with_timeout(IDLE, socket.read(&mut segment)), news.next_message_pure()).await {
            Either::First(Ok(Ok(len @ 1..))) => {
                connection.push(segment.get(..len).unwrap_or(&[]));
                while let Some(request) = connection.next_request() {
                    if let Some(text) = shared.step(Input::Request(&request)) {
                        connection.answer(&text);
                    }
                }
            }
            Either::First(_) => return,
            Either::Second(text) => connection.tell(&text),
        }
        match with_timeout(WRITE, socket.write_all(&connection.take_output())).await {
            Ok(Ok(())) => {}
            _ => return,
        }
    }
}

/// Keeps a connection to the hub, from behind a NAT.
#[embassy_executor::task]
async fn dial(shared: &'static Shared, stack: Stack<'static>, hub: &'static str) {
    let Ok(at) = hub.parse::<SocketAddrV4>() else {
        println!("DWN_HUB: {hub} is no address:port");
        return;
    };
    let (mut received, mut sending) = ([0; 1024], [0; 2048]);
    loop {
        let mut socket = TcpSocket::new(stack, &mut received, &mut sending);
        if let Ok(Ok(())) = with_timeout(WRITE, socket.connect(at)).await {
            speak(shared, &mut socket).await;
        }
        socket.abort();
        Timer::after(AGAIN).await;
    }
}

async fn speak(shared: &Shared, socket: &mut TcpSocket<'_>) {
    let Ok(mut news) = shared.news.subscriber() else { return };
    let mut dialled = match Dialled::new(ID, TOKEN.unwrap_or(""), Some(random)) {
        Ok(dialled) => dialled,
        Err(refused) => {
            println!("the hub is not dialled: {refused} (DWN_TOKEN)");
            return;
        }
    };
    let mut segment = [0; 512];
    loop {
        match with_timeout(WRITE, socket.write_all(&dialled.take_output())).await {
            Ok(Ok(())) if !dialled.is_over() => {}
            _ => return,
        }
        match select(with_timeout(IDLE, socket.read(&mut segment)), news.next_message_pure()).await {
            Either::First(Ok(Ok(len @ 1..))) => {
                dialled.push(segment.get(..len).unwrap_or(&[]));
                while let Some(request) = dialled.next_request() {
                    if let Some(text) = shared.step(Input::Request(&request)) {
                        dialled.say(&text);
                    }
                }
            }
            Either::First(_) => return,
            Either::Second(text) => dialled.say(&text),
        }
    }
}

#[esp_rtos::main]
async fn main(spawner: Spawner) -> ! {
    let chip = esp_hal::init(configuration());
    // First of all no pin drives anything: relays are active low, and the pull-ups keep them off.
    let unused = |pin: AnyPin<'static>| {
        let mut pin = Flex::new(pin);
        pin.set_high();
        pin.apply_input_config(&InputConfig::default().with_pull(Pull::Up));
        pin.set_input_enable(true);
        pin
    };
    let pins = [
        (1, unused(chip.GPIO1.into())),
        (2, unused(chip.GPIO2.into())),
        (5, unused(chip.GPIO5.into())),
        (6, unused(chip.GPIO6.into())),
        (7, unused(chip.GPIO7.into())),
        (10, unused(chip.GPIO10.into())),
    ];
    let watchdog = Watchdog::start(chip.TIMG1);
    make_heap();
    let (memory, stored) = Memory::open(chip.FLASH);
    let revision = esp_hal::efuse::chip_revision();
    let hardware = Hardware {
        cores: 1,
        revision: (revision.major, revision.minor),
        flash_mb: 4,
        free_heap: esp_alloc::HEAP.free() as u32,
        mac: esp_hal::efuse::base_mac_address().as_bytes().try_into().unwrap_or_default(),
    };
    let board = Board { node: Node::new(hardware, &stored), pins, memory, restart_at: None };
    static SHARED: StaticCell<Shared> = StaticCell::new();
    let shared: &'static Shared =
        SHARED.init(Shared { board: RefCell::new(board), news: PubSubChannel::new() });
    spawner.spawn(watch(shared, watchdog).expect("the first task of its kind"));
    let stack = network::start(&spawner, chip.TIMG0, chip.FROM_CPU_INTR0, chip.WIFI);
    for _ in 0..CONNECTIONS {
        spawner.spawn(serve(shared, stack).expect("as many tasks as the pool has"));
    }
    if let Some(hub) = HUB {
        spawner.spawn(dial(shared, stack, hub).expect("the first task of its kind"));
    }
    core::future::pending().await
}

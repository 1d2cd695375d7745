//! The irrigation controller on an ESP32-C3: four relays, DWN v1 over Wi-Fi.
//!
//! The decisions are `irrigation-node`'s, the bytes are `wire`'s; here are only pins, radio and watchdog. Relays hang on GPIO 4
//! to 7 and are active low: the pins are driven high before anything else, so that every valve is shut at boot and after a
//! watchdog reset. The network's name and password come from the environment of the build: `DWN_SSID`, `DWN_PASSWORD`,
//! and the node's id from `DWN_ID`.
#![no_std]
#![no_main]

extern crate alloc;

use embassy_executor::Spawner;
use embassy_futures::select::{Either, select};
use embassy_net::tcp::TcpSocket;
use embassy_net::udp::{PacketMetadata, UdpSocket};
use embassy_net::{Ipv4Address, Runner, Stack, StackResources};
use embassy_time::{Duration, Instant, Timer, with_timeout};
use embedded_io_async::Write as _;
use esp_backtrace as _;
use esp_hal::clock::CpuClock;
use esp_hal::gpio::{Level, Output, OutputConfig};
use esp_hal::peripherals::TIMG1;
use esp_hal::rng::Rng;
use esp_hal::timer::timg::{MwdtStage, TimerGroup, Wdt};
use esp_println::println;
use esp_radio::wifi::sta::StationConfig;
use esp_radio::wifi::{AuthenticationMethodConfig, Config, Interface, WifiController};
use irrigation_node::{Controller, Input};
use static_cell::StaticCell;
use wire::advert::Advert;
use wire::irrigation::{Command, DRIVER_NAMES};
use wire::stream::{Received, Stream};

esp_bootloader_esp_idf::esp_app_desc!();

/// The controller wants to know of the time at least once a second.
const PASS: Duration = Duration::from_millis(200);
/// A hub that takes no bytes for so long is gone; shorter than a pass may be late.
const WRITE: Duration = Duration::from_millis(800);
/// A controller that hangs for so long is reset, which shuts every valve.
const WATCHDOG_S: u64 = 8;
const AGAIN: Duration = Duration::from_secs(5);

/// What the build was told, or a default with which nothing connects.
const fn told(value: Option<&'static str>, default: &'static str) -> &'static str {
    match value {
        Some(value) => value,
        None => default,
    }
}
const SSID: &str = told(option_env!("DWN_SSID"), "");
const PASSWORD: &str = told(option_env!("DWN_PASSWORD"), "");
const ID: &str = told(option_env!("DWN_ID"), "esp32c3");

/// The controller with its relays.
struct Garden {
    core: Controller,
    relays: [Output<'static>; 4],
    watchdog: Wdt<TIMG1<'static>>,
    next_beat: Instant,
}

impl Garden {
    /// Steps the core and sets the relays; gives the report, if there is one.
    fn step(&mut self, input: Input) -> Option<[u8; 2]> {
        let output = self.core.step(Instant::now().as_millis(), input);
        for (number, relay) in self.relays.iter_mut().enumerate() {
            let is_open = output.relays >> number & 1 == 1;
            relay.set_level(if is_open { Level::Low } else { Level::High });
        }
        output.report.map(|report| report.encode())
    }

    /// One pass: limits hold, the watchdog is fed, and every five seconds the node advertises itself. Gives what the hub is to
    /// be told: a report, and whether a heartbeat is due.
    async fn pass(&mut self, adverts: &UdpSocket<'_>) -> (Option<[u8; 2]>, bool) {
        let report = self.step(Input::Tick);
        self.watchdog.feed();
        let is_due = Instant::now() >= self.next_beat;
        if is_due {
            self.next_beat = Instant::now() + Duration::from_millis(wire::HEARTBEAT_EVERY_MS);
            let group = Ipv4Address::from(wire::GROUP);
            let advert = Advert::v1(DRIVER_NAMES[0], ID).encode();
            // A datagram may be lost, or the network may not be there yet; the next one follows.
            let _ = with_timeout(WRITE, adverts.send_to(&advert, (group, wire::PORT))).await;
        }
        (report, is_due)
    }

    /// Passes until a hub has connected.
    async fn wait(&mut self, socket: &mut TcpSocket<'_>, adverts: &UdpSocket<'_>) -> bool {
        let passes = async {
            loop {
                self.pass(adverts).await;
                Timer::after(PASS).await;
            }
        };
        match select(socket.accept(wire::PORT), passes).await {
            Either::First(accepted) => accepted.is_ok(),
            Either::Second(never) => never,
        }
    }

    /// Serves one hub until the connection is lost or makes no sense.
    async fn serve(&mut self, socket: &mut TcpSocket<'_>, adverts: &UdpSocket<'_>) {
        let mut stream = Stream::<Command>::default();
        let mut segment = [0; 256];
        let mut output = alloc::vec::Vec::new();
        output.extend(self.step(Input::Connected).into_iter().flatten());
        loop {
            match with_timeout(WRITE, socket.write_all(&output)).await {
                Ok(Ok(())) => output.clear(),
                _ => return,
            }
            match select(socket.read(&mut segment), Timer::after(PASS)).await {
                Either::First(Ok(len @ 1..)) => {
                    let mut commands = alloc::vec::Vec::new();
                    let pushed = stream.push(&segment[..len], |received| {
                        if let Received::Message(command) = received {
                            commands.push(command);
                        }
                    });
                    for command in commands {
                        output.extend(self.step(Input::Command(command)).into_iter().flatten());
                    }
                    if pushed.is_err() {
                        return;
                    }
                }
                Either::First(_) => return,
                Either::Second(()) => {}
            }
            let (report, is_due) = self.pass(adverts).await;
            output.extend(report.into_iter().flatten());
            if is_due {
                output.extend(wire::HEARTBEAT);
            }
        }
    }
}

#[esp_rtos::main]
async fn main(spawner: Spawner) -> ! {
    let peripherals = esp_hal::init(esp_hal::Config::default().with_cpu_clock(CpuClock::max()));
    // First of all every valve is shut.
    let shut = |pin: esp_hal::gpio::AnyPin<'static>| Output::new(pin, Level::High, OutputConfig::default());
    let relays = [
        shut(peripherals.GPIO4.into()),
        shut(peripherals.GPIO5.into()),
        shut(peripherals.GPIO6.into()),
        shut(peripherals.GPIO7.into()),
    ];
    let mut watchdog = TimerGroup::new(peripherals.TIMG1).wdt;
    watchdog.set_timeout(MwdtStage::Stage0, esp_hal::time::Duration::from_secs(WATCHDOG_S));
    watchdog.enable();

    esp_alloc::heap_allocator!(size: 96 * 1024);
    esp_rtos::start(TimerGroup::new(peripherals.TIMG0).timer0, peripherals.FROM_CPU_INTR0);
    let controller = match WifiController::new(peripherals.WIFI, Default::default()) {
        Ok(controller) => controller,
        // Without a radio the node is of no use; the watchdog starts it anew.
        Err(error) => panic!("no radio: {error:?}"),
    };
    let random = Rng::new();
    let seed = u64::from(random.random()) << 32 | u64::from(random.random());
    static RESOURCES: StaticCell<StackResources<4>> = StaticCell::new();
    let (stack, runner) = embassy_net::new(
        Interface::station(),
        embassy_net::Config::dhcpv4(Default::default()),
        RESOURCES.init(StackResources::new()),
        seed,
    );
    spawner.spawn(radio(controller).expect("the first task of its kind"));
    spawner.spawn(network(runner).expect("the first task of its kind"));
    let garden = Garden { core: Controller::default(), relays, watchdog, next_beat: Instant::now() };
    live(garden, stack).await
}

async fn live(mut garden: Garden, stack: Stack<'static>) -> ! {
    let (mut in_meta, mut out_meta) = ([PacketMetadata::EMPTY; 1], [PacketMetadata::EMPTY; 2]);
    let (mut in_buffer, mut out_buffer) = ([0; 64], [0; 512]);
    let mut adverts = UdpSocket::new(stack, &mut in_meta, &mut in_buffer, &mut out_meta, &mut out_buffer);
    // The source port means nothing.
    if let Err(error) = adverts.bind(49_242) {
        println!("no adverts: {error:?}");
    }
    let (mut received, mut sending) = ([0; 1024], [0; 1024]);
    loop {
        let mut socket = TcpSocket::new(stack, &mut received, &mut sending);
        if garden.wait(&mut socket, &adverts).await {
            garden.serve(&mut socket, &adverts).await;
        }
        socket.abort();
    }
}

/// Keeps the radio connected.
#[embassy_executor::task]
async fn radio(mut controller: WifiController<'static>) {
    let mut station = StationConfig::default();
    match (SSID.try_into(), PASSWORD.try_into()) {
        (Ok(ssid), Ok(password)) => {
            station = station.with_ssid(ssid);
            station = station.with_authentication(AuthenticationMethodConfig::Wpa2Personal(password));
        }
        _ => println!("the network's name or password is too long"),
    }
    loop {
        match controller.set_config(&Config::Station(station.clone())) {
            Ok(()) => match controller.connect_async().await {
                Ok(_) => {
                    println!("connected");
                    // Whatever ended it, it is connected anew.
                    let _ = controller.wait_for_disconnect_async().await;
                }
                Err(error) => println!("not connected: {error:?}"),
            },
            Err(error) => println!("the radio cannot be set up: {error:?}"),
        }
        Timer::after(AGAIN).await;
    }
}

/// Moves packets.
#[embassy_executor::task]
async fn network(mut runner: Runner<'static, Interface>) -> ! {
    runner.run().await
}

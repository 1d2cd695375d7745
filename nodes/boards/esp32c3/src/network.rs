//! The radio, kept connected, and the network over it.

use crate::{PASSWORD, SSID, random};
use embassy_executor::Spawner;
use embassy_net::{Runner, Stack, StackResources};
use embassy_time::{Duration, Timer};
use esp_hal::peripherals::{FROM_CPU_INTR0, TIMG0, WIFI};
use esp_hal::timer::timg::TimerGroup;
use esp_println::println;
use esp_radio::wifi::sta::StationConfig;
use esp_radio::wifi::{AuthenticationMethodConfig, Config, Interface, WifiController};
use static_cell::StaticCell;

/// The pause before a network that cannot be joined is tried again.
const AGAIN: Duration = Duration::from_secs(5);
/// Sockets of one node at most: DHCP, DNS, adverts, and the JSON-RPC node's connections.
const SOCKETS: usize = 8;

/// Starts radio and network; tasks of `spawner` keep them going.
pub fn start(
    spawner: &Spawner,
    timer: TIMG0<'static>,
    interrupt: FROM_CPU_INTR0<'static>,
    wifi: WIFI<'static>,
) -> Stack<'static> {
    esp_rtos::start(TimerGroup::new(timer).timer0, interrupt);
    let controller = match WifiController::new(wifi, Default::default()) {
        Ok(controller) => controller,
        // Without a radio the node is of no use; the watchdog starts it anew.
        Err(error) => panic!("no radio: {error:?}"),
    };
    let mut seed = [0; 8];
    random(&mut seed);
    static RESOURCES: StaticCell<StackResources<SOCKETS>> = StaticCell::new();
    let (stack, runner) = embassy_net::new(
        Interface::station(),
        embassy_net::Config::dhcpv4(Default::default()),
        RESOURCES.init(StackResources::new()),
        u64::from_le_bytes(seed),
    );
    spawner.spawn(keep_connected(controller).expect("the first task of its kind"));
    spawner.spawn(move_packets(runner).expect("the first task of its kind"));
    stack
}

#[embassy_executor::task]
async fn keep_connected(mut controller: WifiController<'static>) {
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

#[embassy_executor::task]
async fn move_packets(mut runner: Runner<'static, Interface>) -> ! {
    runner.run().await
}

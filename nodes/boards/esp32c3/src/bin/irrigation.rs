//! The irrigation controller: four relays for 24 VAC valves, active low, on GPIO 4 to 7.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::vec::Vec;
use embassy_executor::Spawner;
use embassy_time::Duration;
use esp_backtrace as _;
use esp_hal::gpio::Output;
use esp32c3_node::dwn::{Device, Node};
use esp32c3_node::memory::Memory;
use esp32c3_node::watchdog::Watchdog;
use esp32c3_node::{configuration, contact, make_heap, network, off, switch};
use irrigation_node::{Controller, Input};
use wire::Refused;
use wire::irrigation::{Command, DRIVER_NAMES};

esp_bootloader_esp_idf::esp_app_desc!();

struct Garden {
    core: Controller,
    relays: [Output<'static>; 4],
}

impl Garden {
    fn step(&mut self, now_ms: u64, input: Input) -> Vec<Vec<u8>> {
        let output = self.core.step(now_ms, input);
        for (number, relay) in self.relays.iter_mut().enumerate() {
            switch(relay, output.relays >> number & 1 == 1);
        }
        output.report.iter().map(|report| report.encode().to_vec()).collect()
    }
}

impl Device for Garden {
    const NAME: &'static str = DRIVER_NAMES[0];
    // The controller wants to know of the time at least once a second.
    const PASS: Duration = Duration::from_millis(200);
    fn connected(&mut self, now_ms: u64) -> Vec<Vec<u8>> {
        self.step(now_ms, Input::Connected)
    }
    fn command(&mut self, now_ms: u64, payload: &[u8]) -> Result<Vec<Vec<u8>>, Refused> {
        Ok(self.step(now_ms, Input::Command(Command::decode_v2(payload)?)))
    }
    fn tick(&mut self, now_ms: u64) -> Vec<Vec<u8>> {
        self.step(now_ms, Input::Tick)
    }
}

#[esp_rtos::main]
async fn main(spawner: Spawner) -> ! {
    let chip = esp_hal::init(configuration());
    // First of all every valve is shut.
    let relays = [off(chip.GPIO4), off(chip.GPIO5), off(chip.GPIO6), off(chip.GPIO7)];
    let watchdog = Watchdog::start(chip.TIMG1);
    make_heap();
    let stack = network::start(&spawner, chip.TIMG0, chip.FROM_CPU_INTR0, chip.WIFI);
    let garden = Garden { core: Controller::default(), relays };
    let is_held = contact(chip.GPIO9).is_low();
    Node::new(garden, watchdog, Memory::open(chip.FLASH), is_held).live(stack).await
}

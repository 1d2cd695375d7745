//! The LED strip: three MOSFETs (red, green, blue) on GPIO 4 to 6, software PWM.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::vec::Vec;
use embassy_executor::Spawner;
use embassy_time::Duration;
use esp_backtrace as _;
use esp_hal::gpio::{Level, Output, OutputConfig};
use esp32c3_node::dwn::{Device, Node};
use esp32c3_node::memory::Memory;
use esp32c3_node::pwm::{self, PERIOD_US};
use esp32c3_node::watchdog::Watchdog;
use esp32c3_node::{configuration, contact, make_heap, network};
use led_node::{Input, Strip, duty};
use wire::Refused;
use wire::led::{Command, DRIVER_NAME};
use wire::stream::Payload as _;

esp_bootloader_esp_idf::esp_app_desc!();

#[derive(Default)]
struct Light(Strip);

impl Light {
    fn step(&mut self, now_ms: u64, input: Input) -> Vec<Vec<u8>> {
        let output = self.0.step(now_ms, input);
        pwm::show(duty(output.show, PERIOD_US));
        output.report.iter().map(|report| report.encode().to_vec()).collect()
    }
}

impl Device for Light {
    const NAME: &'static str = DRIVER_NAME;
    // Fades and effects are smooth to the eye.
    const PASS: Duration = Duration::from_millis(20);
    fn connected(&mut self, now_ms: u64) -> Vec<Vec<u8>> {
        self.step(now_ms, Input::Connected)
    }
    fn command(&mut self, now_ms: u64, payload: &[u8]) -> Result<Vec<Vec<u8>>, Refused> {
        match Command::next(payload)? {
            Some((command, used)) if used == payload.len() => Ok(self.step(now_ms, Input::Command(command))),
            _ => Err(Refused::Malformed("command")),
        }
    }
    fn tick(&mut self, now_ms: u64) -> Vec<Vec<u8>> {
        self.step(now_ms, Input::Tick)
    }
}

#[esp_rtos::main]
async fn main(spawner: Spawner) -> ! {
    let chip = esp_hal::init(configuration());
    // First of all the strip is dark.
    let dark = |pin: esp_hal::gpio::AnyPin<'static>| Output::new(pin, Level::Low, OutputConfig::default());
    let channels = [dark(chip.GPIO4.into()), dark(chip.GPIO5.into()), dark(chip.GPIO6.into())];
    let watchdog = Watchdog::start(chip.TIMG1);
    make_heap();
    pwm::start(chip.SYSTIMER, channels);
    let stack = network::start(&spawner, chip.TIMG0, chip.FROM_CPU_INTR0, chip.WIFI);
    let is_held = contact(chip.GPIO9).is_low();
    Node::new(Light::default(), watchdog, Memory::open(chip.FLASH), is_held).live(stack).await
}

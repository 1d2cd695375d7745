//! What the four nodes on an ESP32-C3 share: radio, watchdog, memory of keys and settings, and the node's end of DWN v2.
//!
//! What a device decides is in its portable core (`nodes/irrigation`, `led`, `io`, `jsonrpc`), the bytes are in `nodes/wire`; a
//! program here (`src/bin`) brings its pins. A pin that must be safe at boot is set before anything else, so that it is safe after
//! a reset by the watchdog too. Start reading at `src/bin/irrigation.rs`, then [`dwn`].
//!
//! Told at build time: the network's name and password (`DWN_SSID`, `DWN_PASSWORD`), the node's id (`DWN_ID`); for the JSON-RPC
//! node also the token of its callers (`DWN_TOKEN`) and the hub that it dials (`DWN_HUB`, address:port).
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod dwn;
pub mod memory;
pub mod network;
pub mod pwm;
pub mod watchdog;

use esp_hal::clock::CpuClock;
use esp_hal::gpio::{AnyPin, Input, InputConfig, Level, Output, OutputConfig, Pull};
use esp_hal::rng::Rng;

/// What the build was told, or a default with which nothing connects.
const fn told(value: Option<&'static str>, default: &'static str) -> &'static str {
    match value {
        Some(value) => value,
        None => default,
    }
}

pub(crate) const SSID: &str = told(option_env!("DWN_SSID"), "");
pub(crate) const PASSWORD: &str = told(option_env!("DWN_PASSWORD"), "");
/// The node's id.
pub const ID: &str = told(option_env!("DWN_ID"), "esp32c3");
/// What callers of the JSON-RPC node must show.
pub const TOKEN: Option<&str> = option_env!("DWN_TOKEN");
/// The hub that the JSON-RPC node dials.
pub const HUB: Option<&str> = option_env!("DWN_HUB");

/// Memory for what has no fixed size; most of it is the radio's.
const HEAP_BYTES: usize = 96 * 1024;

/// How the chip is started.
pub fn configuration() -> esp_hal::Config {
    esp_hal::Config::default().with_cpu_clock(CpuClock::max())
}

/// Makes the heap. Once, after the pins are safe.
pub fn make_heap() {
    esp_alloc::heap_allocator!(size: HEAP_BYTES);
}

/// An output that is off: relays are active low.
pub fn off(pin: impl Into<AnyPin<'static>>) -> Output<'static> {
    Output::new(pin.into(), Level::High, OutputConfig::default())
}

/// Switches an active-low output.
pub fn switch(output: &mut Output<'static>, is_on: bool) {
    output.set_level(if is_on { Level::Low } else { Level::High });
}

/// A contact to ground.
pub fn contact(pin: impl Into<AnyPin<'static>>) -> Input<'static> {
    Input::new(pin.into(), InputConfig::default().with_pull(Pull::Up))
}

/// Randomness of the chip's generator, which the radio feeds: not to be asked before [`network::start`].
pub fn random(bytes: &mut [u8]) {
    Rng::new().read(bytes);
}

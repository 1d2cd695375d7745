//! The IO board: eight contacts to ground (GPIO 0, 1, 2, 8, 9, 10, 18, 19) and five relays, active low (GPIO 3 to 7).
//!
//! GPIO 9 is the BOOT button as well: closed while the node starts, it opens the pairing.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::vec::Vec;
use embassy_executor::Spawner;
use embassy_time::Duration;
use esp_backtrace as _;
use esp_hal::gpio::{Input as Contact, Output};
use esp32c3_node::dwn::{Device, Node};
use esp32c3_node::memory::Memory;
use esp32c3_node::watchdog::Watchdog;
use esp32c3_node::{configuration, contact, make_heap, network, off, switch};
use io_node::{Board, INPUTS, Input};
use wire::Refused;
use wire::io::{DRIVER_NAME, OUTPUTS, Set};
use wire::stream::Payload as _;

esp_bootloader_esp_idf::esp_app_desc!();

/// A contact counts as changed when it was read so often without another change.
const STEADY: u8 = 3;
/// Which contact is the button.
const BUTTON: usize = 4;

struct Panel {
    core: Board,
    contacts: [Contact<'static>; INPUTS],
    outputs: [Output<'static>; OUTPUTS as usize],
    pins: [bool; INPUTS],
    /// How often each contact was read other than `pins` has it.
    differs: [u8; INPUTS],
}

impl Panel {
    fn step(&mut self, input: Input) -> Vec<Vec<u8>> {
        let output = self.core.step(input);
        for (place, is_on) in self.outputs.iter_mut().zip(output.outputs) {
            switch(place, is_on);
        }
        output.reports.iter().map(wire::io::Report::encode).collect()
    }
}

impl Device for Panel {
    const NAME: &'static str = DRIVER_NAME;
    const PASS: Duration = Duration::from_millis(10);
    fn connected(&mut self, _now_ms: u64) -> Vec<Vec<u8>> {
        self.step(Input::Connected)
    }
    fn command(&mut self, _now_ms: u64, payload: &[u8]) -> Result<Vec<Vec<u8>>, Refused> {
        match Set::next(payload)? {
            Some((set, used)) if used == payload.len() => Ok(self.step(Input::Set(set))),
            _ => Err(Refused::Malformed("command")),
        }
    }
    fn tick(&mut self, _now_ms: u64) -> Vec<Vec<u8>> {
        for ((contact, pin), differs) in self.contacts.iter().zip(&mut self.pins).zip(&mut self.differs) {
            *differs = if contact.is_low() == *pin { 0 } else { *differs + 1 };
            if *differs >= STEADY {
                (*pin, *differs) = (!*pin, 0);
            }
        }
        self.step(Input::Pins(self.pins))
    }
}

#[esp_rtos::main]
async fn main(spawner: Spawner) -> ! {
    let chip = esp_hal::init(configuration());
    // First of all every output is off.
    let outputs = [off(chip.GPIO3), off(chip.GPIO4), off(chip.GPIO5), off(chip.GPIO6), off(chip.GPIO7)];
    let watchdog = Watchdog::start(chip.TIMG1);
    make_heap();
    let contacts = [
        contact(chip.GPIO0),
        contact(chip.GPIO1),
        contact(chip.GPIO2),
        contact(chip.GPIO8),
        contact(chip.GPIO9),
        contact(chip.GPIO10),
        contact(chip.GPIO18),
        contact(chip.GPIO19),
    ];
    let stack = network::start(&spawner, chip.TIMG0, chip.FROM_CPU_INTR0, chip.WIFI);
    let panel =
        Panel { core: Board::default(), contacts, outputs, pins: [false; INPUTS], differs: [0; INPUTS] };
    let memory = Memory::open(chip.FLASH);
    let is_held = panel.contacts[BUTTON].is_low();
    Node::new(panel, watchdog, memory, is_held).live(stack).await
}

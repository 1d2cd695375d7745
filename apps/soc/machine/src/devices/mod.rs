//! The devices: what they remember, which interrupts they raise, their registers.
//!
//! A device never acts by itself but for the timer, whose deadline is a cycle. Everything from outside comes as an
//! `Input`. Screen memory and the block store's bytes are in `memory`.

pub(crate) mod gpio;
pub(crate) mod keyboard;
pub(crate) mod random;
pub(crate) mod timer;
pub(crate) mod uart;

use crate::map::{IRQ_GPIO, IRQ_KEYBOARD, IRQ_TIMER, IRQ_UART, VIDEO_BYTES};
use gpio::Gpio;
use keyboard::Keyboard;
use random::Random;
use timer::Timer;
use uart::Uart;

/// The block store's registers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Block {
    pub number: u32,
    pub address: u32,
    pub status: u32,
}

/// The state of every device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Devices {
    pub video: [u8; VIDEO_BYTES as usize],
    pub keyboard: Keyboard,
    pub timer: Timer,
    pub uart: Uart,
    pub random: Random,
    pub block: Block,
    pub gpio: Gpio,
    /// High half of the cycle counter, latched when the low half is read.
    pub cycle_high: u32,
}

impl Devices {
    pub fn new(seed: u64) -> Self {
        Self {
            video: [0; VIDEO_BYTES as usize],
            keyboard: Keyboard::default(),
            timer: Timer::default(),
            uart: Uart::default(),
            random: Random::new(seed),
            block: Block::default(),
            gpio: Gpio::default(),
            cycle_high: 0,
        }
    }

    /// What a reset does: everything is as at power-on but the random sequence and the levels at the pins.
    pub fn reset(&mut self) {
        let transmitted = self.uart.transmitted;
        *self = Self { random: self.random.clone(), gpio: self.gpio.after_reset(), ..Self::new(0) };
        self.uart.transmitted = transmitted;
    }

    /// Bit *n* is set while interrupt *n* is wanted.
    #[inline]
    pub fn pending(&self) -> u16 {
        u16::from(self.keyboard.is_pending()) << IRQ_KEYBOARD
            | u16::from(self.timer.is_pending()) << IRQ_TIMER
            | u16::from(self.uart.is_pending()) << IRQ_UART
            | u16::from(self.gpio.is_pending()) << IRQ_GPIO
    }
}

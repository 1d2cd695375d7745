//! What comes from outside: the only way in which the world, or a debugger, changes a machine.

use crate::cpu::Bank;
use crate::machine::Machine;
use alloc::vec::Vec;

/// One event from outside. It takes effect before the step of the cycle at which it is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A key's code arrives in the keyboard's queue.
    Key(u8),
    /// A byte arrives at the UART.
    Serial(u8),
    /// The levels at all 32 GPIO inputs.
    Pins(u32),
    /// A debugger writes plain memory; device registers are not reached.
    Memory { address: u32, bytes: Vec<u8> },
    /// A debugger sets a register; numbers above 15 mean nothing.
    Register { bank: Bank, number: u8, value: u32 },
    /// A debugger sets the flags.
    Flags(u32),
    /// Somebody presses reset.
    Reset,
}

impl Machine {
    /// Lets an event happen now.
    pub fn apply(&mut self, input: &Input) {
        match input {
            Input::Key(key) => self.devices.keyboard.press(*key),
            Input::Serial(byte) => self.devices.uart.receive(*byte),
            Input::Pins(levels) => self.devices.gpio.set_input(*levels),
            Input::Memory { address, bytes } => {
                for (offset, &byte) in (0u32..).zip(bytes) {
                    self.memory.store(address.wrapping_add(offset), [byte]);
                }
            }
            Input::Register { bank, number, value } => {
                if let Some(register) = self.cpu.banks[*bank as usize].get_mut(usize::from(*number)) {
                    *register = *value;
                }
            }
            Input::Flags(flags) => self.cpu.flags = *flags,
            Input::Reset => self.reset(),
        }
    }
}

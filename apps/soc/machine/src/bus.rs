//! From an address to a device: every read and write that is not plain memory.

use crate::cpu::Power;
use crate::machine::Machine;
use crate::map::*;

/// Nothing answers at this address: exception 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoAnswer;

/// The part of a register that a narrow access sees.
fn narrow(value: u32, len: u32) -> u32 {
    match len {
        1 => value & 0xFF,
        2 => value & 0xFFFF,
        _ => value,
    }
}

impl Machine {
    /// Reads 1, 2 or 4 bytes as the program does, with all side effects, zero-extended.
    pub(crate) fn read(&mut self, address: u32, len: u32) -> Result<u32, NoAnswer> {
        let plain = match len {
            1 => self.memory.load::<1>(address).map(|[byte]| u32::from(byte)),
            2 => self.memory.load::<2>(address).map(|bytes| u32::from(u16::from_le_bytes(bytes))),
            _ => self.memory.load::<4>(address).map(u32::from_le_bytes),
        };
        match plain {
            Some(value) => Ok(value),
            None => self.read_device(address, len).ok_or(NoAnswer),
        }
    }

    /// Writes the low 1, 2 or 4 bytes as the program does, with all side effects.
    pub(crate) fn write(&mut self, address: u32, len: u32, value: u32) -> Result<(), NoAnswer> {
        let [a, b, c, d] = value.to_le_bytes();
        let is_plain = match len {
            1 => self.memory.store(address, [a]),
            2 => self.memory.store(address, [a, b]),
            _ => self.memory.store(address, [a, b, c, d]),
        };
        if is_plain { Ok(()) } else { self.write_device(address, len, value).ok_or(NoAnswer) }
    }

    fn read_device(&mut self, address: u32, len: u32) -> Option<u32> {
        let (base, offset) = (address & 0xFF00_0000, address & 0x00FF_FFFF);
        match base {
            VIDEO => gather(&self.devices.video, offset, len),
            KEYBOARD => {
                if offset + len > KEYBOARD_BYTES {
                    return None;
                }
                self.devices.keyboard.before_read(offset as usize);
                gather(&self.devices.keyboard.latch, offset, len)
            }
            _ if offset % 4 != 0 => None,
            TIMER => self.devices.timer.read(offset, self.cpu.cycle),
            UART => self.devices.uart.read(offset),
            RANDOM => self.devices.random.read(offset),
            BLOCK => self.read_block(offset),
            GPIO => self.devices.gpio.read(offset),
            SYSTEM => self.read_system(offset),
            _ => None,
        }
        .map(|value| narrow(value, len))
    }

    /// One byte of plain memory or of a device's register, as a read would find it now; looking changes nothing. `None`
    /// where there is nothing, and for the random numbers, of which the next is made by reading it.
    pub fn look(&self, address: u32) -> Option<u8> {
        self.peek(address).or_else(|| self.look_device(address))
    }

    fn look_device(&self, address: u32) -> Option<u8> {
        let (base, offset) = (address & 0xFF00_0000, address & 0x00FF_FFFF);
        let register = offset & !3;
        let value = match base {
            VIDEO => return self.devices.video.get(offset as usize).copied(),
            KEYBOARD => return self.devices.keyboard.look(offset),
            TIMER => self.devices.timer.read(register, self.cpu.cycle),
            UART => self.devices.uart.look(register),
            BLOCK => self.read_block(register),
            GPIO => self.devices.gpio.read(register),
            SYSTEM => self.look_system(register),
            _ => None,
        }?;
        value.to_le_bytes().get((offset % 4) as usize).copied()
    }

    fn write_device(&mut self, address: u32, len: u32, value: u32) -> Option<()> {
        let (base, offset) = (address & 0xFF00_0000, address & 0x00FF_FFFF);
        let value = narrow(value, len);
        match base {
            VIDEO => scatter(&mut self.devices.video, offset, len, value),
            KEYBOARD => scatter(&mut self.devices.keyboard.latch, offset, len, value),
            _ if offset % 4 != 0 => None,
            TIMER => self.devices.timer.write(offset, value, self.cpu.cycle + 1),
            UART => {
                let sent = self.devices.uart.write(offset, value)?;
                self.output.extend(sent);
                Some(())
            }
            RANDOM => self.devices.random.write(offset, value),
            BLOCK => self.write_block(offset, value),
            GPIO => self.devices.gpio.write(offset, value),
            SYSTEM => self.write_system(offset, value),
            _ => None,
        }
    }

    fn read_block(&self, offset: u32) -> Option<u32> {
        Some(match offset {
            BLOCK_NUMBER => self.devices.block.number,
            BLOCK_ADDRESS => self.devices.block.address,
            BLOCK_COMMAND => 0,
            BLOCK_STATUS => self.devices.block.status,
            BLOCK_COUNT => BLOCKS,
            _ => return None,
        })
    }

    fn write_block(&mut self, offset: u32, value: u32) -> Option<()> {
        let block = &mut self.devices.block;
        match offset {
            BLOCK_NUMBER => block.number = value,
            BLOCK_ADDRESS => block.address = value,
            BLOCK_COMMAND => {
                let (number, address) = (block.number, block.address);
                let status = match value {
                    1 | 2 if number >= BLOCKS => 1,
                    1 | 2 if self.memory.move_block(number, address, value == 1) => 0,
                    1 | 2 => 2,
                    _ => 3,
                };
                self.devices.block.status = status;
            }
            BLOCK_STATUS | BLOCK_COUNT => {}
            _ => return None,
        }
        Some(())
    }

    fn read_system(&mut self, offset: u32) -> Option<u32> {
        if offset == SYSTEM_CYCLE_LOW {
            self.devices.cycle_high = (self.cpu.cycle >> 32) as u32;
        }
        self.look_system(offset)
    }

    /// What a read gives, without what it does.
    fn look_system(&self, offset: u32) -> Option<u32> {
        Some(match offset {
            SYSTEM_EXIT | SYSTEM_WAIT => 0,
            SYSTEM_CYCLE_LOW => self.cpu.cycle as u32,
            SYSTEM_CYCLE_HIGH => self.devices.cycle_high,
            SYSTEM_CLOCK => CLOCK_HZ,
            SYSTEM_VERSION => VERSION,
            _ => return None,
        })
    }

    fn write_system(&mut self, offset: u32, value: u32) -> Option<()> {
        match offset {
            SYSTEM_EXIT => self.cpu.power = Power::Off(value),
            SYSTEM_WAIT => self.cpu.power = Power::Asleep,
            SYSTEM_CYCLE_LOW | SYSTEM_CYCLE_HIGH | SYSTEM_CLOCK | SYSTEM_VERSION => {}
            _ => return None,
        }
        Some(())
    }
}

fn gather(bytes: &[u8], offset: u32, len: u32) -> Option<u32> {
    let part = bytes.get(offset as usize..(offset + len) as usize)?;
    Some(part.iter().rev().fold(0, |value, &byte| value << 8 | u32::from(byte)))
}

fn scatter(bytes: &mut [u8], offset: u32, len: u32, value: u32) -> Option<()> {
    let part = bytes.get_mut(offset as usize..(offset + len) as usize)?;
    let from = value.to_le_bytes();
    part.copy_from_slice(from.get(..part.len())?);
    Some(())
}

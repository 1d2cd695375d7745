//! I/O interrupt controllers: from a device's line to a vector of a processor (Intel 82093AA data sheet).

use alloc::vec::Vec;

use super::memory::{IoMapping, map_device};
use crate::address::PhysicalAddress;
use crate::frame::OutOfMemory;
use crate::interrupts::Trigger;
use crate::sync::{Irq, Rank, SpinLock};

const VERSION: u32 = 1;
const REDIRECTION: u32 = 0x10;
const MASKED: u32 = 1 << 16;
const LEVEL: u32 = 1 << 15;
const ACTIVE_LOW: u32 = 1 << 13;

struct Controller {
    registers: IoMapping,
    first_line: u32,
    lines: u32,
}

static CONTROLLERS: SpinLock<Vec<Controller>, Irq> = SpinLock::new(Rank::Device, Vec::new());

impl Controller {
    fn read(&self, register: u32) -> u32 {
        // SAFETY: the mapping covers the index register at 0 and the data register at 0x10; the lock of
        // `CONTROLLERS` keeps the pair together.
        unsafe {
            self.registers.pointer().cast::<u32>().write_volatile(register);
            self.registers.pointer().add(0x10).cast::<u32>().read_volatile()
        }
    }

    fn write(&self, register: u32, value: u32) {
        // SAFETY: as in `read`. Routed vectors are ones that the kernel has gates for.
        unsafe {
            self.registers.pointer().cast::<u32>().write_volatile(register);
            self.registers.pointer().add(0x10).cast::<u32>().write_volatile(value);
        }
    }
}

/// Adds a controller, all of its lines masked.
pub fn add(address: PhysicalAddress, first_line: u32) -> Result<(), OutOfMemory> {
    let registers = map_device(address, 0x20)?;
    let mut controller = Controller { registers, first_line, lines: 0 };
    controller.lines = (controller.read(VERSION) >> 16 & 0xff) + 1;
    for line in 0..controller.lines {
        controller.write(REDIRECTION + 2 * line, MASKED);
    }
    CONTROLLERS.lock().push(controller);
    Ok(())
}

fn with_line(line: u32, visit: impl FnOnce(&Controller, u32)) {
    // `vectors` calls with its own lock of the same rank, never the other way round.
    let controllers = CONTROLLERS.lock_nested();
    let found = controllers.iter().find(|controller| {
        line.checked_sub(controller.first_line).is_some_and(|offset| offset < controller.lines)
    });
    if let Some(controller) = found {
        visit(controller, line - controller.first_line);
    }
}

/// Whether some controller has global line `line`.
pub fn has_line(line: u32) -> bool {
    let mut is_there = false;
    with_line(line, |_, _| is_there = true);
    is_there
}

/// Delivers `line` as `vector` to the processor with APIC id `target`.
pub fn route(line: u32, vector: u8, trigger: Trigger, is_active_low: bool, target: u32) {
    with_line(line, |controller, offset| {
        let mut low = u32::from(vector);
        if trigger == Trigger::Level {
            low |= LEVEL;
        }
        if is_active_low {
            low |= ACTIVE_LOW;
        }
        controller.write(REDIRECTION + 2 * offset + 1, target << 24);
        controller.write(REDIRECTION + 2 * offset, low);
    });
}

/// Delivers `line` no more.
pub fn mask(line: u32) {
    with_line(line, |controller, offset| controller.write(REDIRECTION + 2 * offset, MASKED));
}

//! One step: the meaning of every instruction, exception and interrupt (specification, sections 4 to 7).

use crate::bus::NoAnswer;
use crate::cpu::{Bank, FLAG_C, FLAG_E, FLAG_I, FLAG_Z, IP, Power, SP};
use crate::encoding::{IMMEDIATE, Word};
use crate::isa::{self, Operation};
use crate::machine::{Machine, Stop};
use crate::observe::Observer;
use crate::slots;

/// What ends an instruction early: an exception's number.
#[derive(Clone, Copy)]
struct Trap(u8);

const BREAKPOINT: Trap = Trap(0);
const UNDEFINED: Trap = Trap(1);
const INVALID_OPERAND: Trap = Trap(2);
const DIVISION_BY_ZERO: Trap = Trap(3);
const ILLEGAL_ACCESS: Trap = Trap(4);

impl From<NoAnswer> for Trap {
    fn from(_: NoAnswer) -> Self {
        ILLEGAL_ACCESS
    }
}

/// A register operand; anything else is invalid.
fn register(operand: u8) -> Result<usize, Trap> {
    if operand < 16 { Ok(usize::from(operand)) } else { Err(INVALID_OPERAND) }
}

impl Machine {
    /// Executes one instruction: one cycle. A machine that sleeps or is off lets the cycle pass.
    ///
    /// Gives the reason to stop if the step has one. Breakpoints are not looked at.
    pub fn step<O: Observer>(&mut self, observer: &mut O) -> Option<Stop> {
        self.devices.timer.advance(self.cpu.cycle);
        if self.cpu.power == Power::Asleep && self.devices.pending() != 0 {
            self.cpu.power = Power::Running;
        }
        let stop = match self.cpu.power {
            Power::Running => self.step_running(observer),
            Power::Asleep => None,
            Power::Off(status) => Some(Stop::Off(status)),
        };
        self.cpu.cycle += 1;
        if observer.wants_stop() { stop.or(Some(Stop::Observed)) } else { stop }
    }

    fn step_running<O: Observer>(&mut self, observer: &mut O) -> Option<Stop> {
        let outcome = self.instruction(observer).and_then(|()| self.interrupt(observer));
        match outcome {
            Ok(()) => match self.cpu.power {
                Power::Off(status) => Some(Stop::Off(status)),
                _ => None,
            },
            Err(trap) => self.exception(trap, observer),
        }
    }

    /// Fetches and executes; at its end r15 is the address of the next instruction.
    fn instruction<O: Observer>(&mut self, observer: &mut O) -> Result<(), Trap> {
        let address = self.cpu.ip();
        observer.fetched(address);
        if !address.is_multiple_of(8) {
            return Err(UNDEFINED);
        }
        let word = self.fetch(address)?;
        let truth = slots::truth(word.condition, self.quirks).ok_or(UNDEFINED)?;
        if truth >> (self.cpu.flags & 3) & 1 != 0 {
            self.execute(&word, observer)?;
        }
        let registers = self.cpu.registers_mut();
        registers[IP] = registers[IP].wrapping_add(8);
        Ok(())
    }

    fn fetch(&mut self, address: u32) -> Result<Word, Trap> {
        if let Some(word) = self.word(address) {
            return Ok(word);
        }
        // Outside plain memory the two halves are read as the program would read them.
        let low = self.read(address, 4)?.to_le_bytes();
        let high = self.read(address.wrapping_add(4), 4)?.to_le_bytes();
        let mut bytes = [0; 8];
        bytes[..4].copy_from_slice(&low);
        bytes[4..].copy_from_slice(&high);
        Ok(Word::decode(bytes))
    }

    /// The value of a register or immediate operand; anything else is invalid.
    fn value(&self, operand: u8, word: &Word) -> Result<u32, Trap> {
        if operand == IMMEDIATE { Ok(word.immediate) } else { Ok(self.cpu.registers()[register(operand)?]) }
    }

    /// The value of the operand of `push`, `jmp` and `call`: what is not a register is the immediate field.
    fn value_or_immediate(&self, word: &Word) -> u32 {
        self.cpu.registers().get(usize::from(word.first)).copied().unwrap_or(word.immediate)
    }

    fn target(&self, word: &Word) -> u32 {
        if self.quirks.jumps_ignore_registers { word.immediate } else { self.value_or_immediate(word) }
    }

    /// `R = f(R, X)`.
    fn arithmetic(&mut self, word: &Word, f: impl FnOnce(u32, u32) -> Result<u32, Trap>) -> Result<(), Trap> {
        let target = register(word.first)?;
        let value = self.value(word.second, word)?;
        let registers = self.cpu.registers_mut();
        registers[target] = f(registers[target], value)?;
        Ok(())
    }

    fn execute<O: Observer>(&mut self, word: &Word, observer: &mut O) -> Result<(), Trap> {
        let operation = isa::by_opcode(word.opcode).ok_or(UNDEFINED)?.operation;
        let quirks = self.quirks;
        match operation {
            Operation::Ud => return Err(UNDEFINED),
            Operation::Nop => {}
            Operation::Add => self.arithmetic(word, |r, x| Ok(r.wrapping_add(x)))?,
            Operation::Sub => self.arithmetic(word, |r, x| Ok(r.wrapping_sub(x)))?,
            Operation::Mul if quirks.lossy_multiplication => {
                self.arithmetic(word, |r, x| Ok(lossy_product(r, x)))?;
            }
            Operation::Mul => self.arithmetic(word, |r, x| Ok(r.wrapping_mul(x)))?,
            Operation::Div => self.arithmetic(word, |r, x| r.checked_div(x).ok_or(DIVISION_BY_ZERO))?,
            Operation::Mod if quirks.modulo_zero_is_zero => {
                self.arithmetic(word, |r, x| Ok(r.checked_rem(x).unwrap_or(0)))?;
            }
            Operation::Mod => self.arithmetic(word, |r, x| r.checked_rem(x).ok_or(DIVISION_BY_ZERO))?,
            Operation::Shl => self.arithmetic(word, |r, x| Ok(r.wrapping_shl(x)))?,
            Operation::Shr => self.arithmetic(word, |r, x| Ok(r.wrapping_shr(x)))?,
            Operation::Mov => self.arithmetic(word, |_, x| Ok(x))?,
            Operation::And => self.arithmetic(word, |r, x| Ok(r & x))?,
            Operation::Or => self.arithmetic(word, |r, x| Ok(r | x))?,
            Operation::Xor => self.arithmetic(word, |r, x| Ok(r ^ x))?,
            Operation::Not => {
                let target = register(word.first)?;
                let registers = self.cpu.registers_mut();
                registers[target] = !registers[target];
            }
            Operation::Cmp => {
                let left = self.cpu.registers()[register(word.first)?];
                let right = self.value(word.second, word)?;
                self.cpu.flags &= !(FLAG_Z | FLAG_C);
                self.cpu.flags |= (u32::from(left == right) * FLAG_Z) | (u32::from(left < right) * FLAG_C);
            }
            Operation::Jmp => self.cpu.registers_mut()[IP] = self.target(word).wrapping_sub(8),
            Operation::Call => {
                let target = self.target(word);
                self.push(self.cpu.ip(), observer)?;
                self.cpu.registers_mut()[IP] = target.wrapping_sub(8);
            }
            Operation::Ret => self.cpu.registers_mut()[IP] = self.pop(observer)?,
            Operation::Push => self.push(self.value_or_immediate(word), observer)?,
            Operation::Pop => {
                let target = register(word.first)?;
                let value = self.pop(observer)?;
                self.cpu.registers_mut()[target] = value;
            }
            Operation::Ld32 => self.load_operand(word, 4, observer)?,
            Operation::Ld16 => self.load_operand(word, 2, observer)?,
            Operation::Ld8 => self.load_operand(word, 1, observer)?,
            Operation::St32 => self.store_operand(word, 4, observer)?,
            Operation::St16 => self.store_operand(word, 2, observer)?,
            Operation::St8 => self.store_operand(word, 1, observer)?,
            Operation::Cli => self.cpu.flags &= !FLAG_I,
            Operation::Sti => self.cpu.flags |= FLAG_I,
            Operation::Break => {
                let registers = self.cpu.registers_mut();
                registers[IP] = registers[IP].wrapping_add(8);
                return Err(BREAKPOINT);
            }
            Operation::Reg => {
                if let Some((index, handler)) = self.handler(word)? {
                    self.cpu.exception_handlers[index] = Some(handler);
                }
            }
            Operation::Ireg => {
                if let Some((index, handler)) = self.handler(word)? {
                    self.cpu.interrupt_handlers[index] = Some(handler);
                }
            }
            Operation::Eret => {
                self.cpu.flags &= !FLAG_E;
                self.cpu.registers_mut()[IP] = self.pop(observer)?;
            }
            Operation::Iret => {
                self.cpu.bank = Bank::Generic;
                self.cpu.flags = self.pop(observer)?;
            }
            Operation::Movsi => {
                let target = register(word.first)?;
                let value = self.value(word.second, word)?;
                self.cpu.banks[Bank::Interrupt as usize][target] = value;
            }
        }
        Ok(())
    }

    /// Index and address for `reg` and `ireg`; `None` for the index that the original accepts in vain.
    fn handler(&self, word: &Word) -> Result<Option<(usize, u32)>, Trap> {
        let index = self.cpu.registers()[register(word.first)?];
        let last = if self.quirks.handler_index_16 { 16 } else { 15 };
        if index > last {
            return Err(BREAKPOINT);
        }
        let handler = self.value(word.second, word)?;
        Ok((index < 16).then_some((index as usize, handler)))
    }

    fn push<O: Observer>(&mut self, value: u32, observer: &mut O) -> Result<(), Trap> {
        let registers = self.cpu.registers_mut();
        let address = registers[SP].wrapping_sub(4);
        registers[SP] = address;
        self.write(address, 4, value)?;
        observer.stored(address, 4);
        Ok(())
    }

    fn pop<O: Observer>(&mut self, observer: &mut O) -> Result<u32, Trap> {
        let address = self.cpu.sp();
        let value = self.read(address, 4)?;
        observer.loaded(address, 4);
        self.cpu.registers_mut()[SP] = address.wrapping_add(4);
        Ok(value)
    }

    fn load_operand<O: Observer>(&mut self, word: &Word, len: u32, observer: &mut O) -> Result<(), Trap> {
        let target = register(word.first)?;
        let address = self.value(word.second, word)?;
        let value = self.read(address, len)?;
        observer.loaded(address, len);
        self.cpu.registers_mut()[target] = value;
        Ok(())
    }

    fn store_operand<O: Observer>(&mut self, word: &Word, len: u32, observer: &mut O) -> Result<(), Trap> {
        let address = self.value(word.first, word)?;
        let value = self.cpu.registers()[register(word.second)?];
        self.write(address, len, value)?;
        observer.stored(address, len);
        Ok(())
    }

    /// At the end of an instruction: enters the handler of the lowest interrupt that is ready.
    fn interrupt<O: Observer>(&mut self, observer: &mut O) -> Result<(), Trap> {
        let Some(handler) = self.ready_interrupt() else { return Ok(()) };
        // `iret` adds 8 again, so the interrupted bank keeps the address of the instruction that was executed last.
        let registers = self.cpu.registers_mut();
        registers[IP] = registers[IP].wrapping_sub(8);
        self.push(self.cpu.flags, observer)?;
        self.cpu.bank = Bank::Interrupt;
        self.cpu.flags &= !FLAG_I;
        self.cpu.registers_mut()[IP] = handler;
        Ok(())
    }

    /// The handler that would be entered at the end of an instruction: that of the lowest pending interrupt that has one.
    #[inline]
    pub(crate) fn ready_interrupt(&self) -> Option<u32> {
        if self.cpu.flags & FLAG_I == 0 {
            return None;
        }
        let mut pending = self.devices.pending();
        while pending != 0 {
            if let Some(&Some(handler)) = self.cpu.interrupt_handlers.get(pending.trailing_zeros() as usize) {
                return Some(handler);
            }
            pending &= pending - 1;
        }
        None
    }

    /// Delivers an exception to its handler, or to whoever runs the machine.
    fn exception<O: Observer>(&mut self, Trap(number): Trap, observer: &mut O) -> Option<Stop> {
        if number != 0 {
            if self.cpu.flags & FLAG_E != 0 {
                return self.double_fault();
            }
            self.cpu.flags |= FLAG_E;
        }
        let Some(&Some(handler)) = self.cpu.exception_handlers.get(usize::from(number)) else {
            return Some(Stop::Exception(number));
        };
        let resume = self.cpu.ip().wrapping_sub(8);
        if self.push(resume, observer).is_err() {
            return self.double_fault();
        }
        self.cpu.registers_mut()[IP] = handler;
        None
    }

    fn double_fault(&mut self) -> Option<Stop> {
        self.reset();
        Some(Stop::DoubleFault)
    }
}

/// The product as a double has it, modulo 2^32: the low bits of a product beyond 2^53 are lost.
fn lossy_product(left: u32, right: u32) -> u32 {
    let exact = u64::from(left) * u64::from(right);
    (exact as f64 as u128) as u32
}

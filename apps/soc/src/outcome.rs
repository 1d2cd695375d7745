//! How a run has ended, in words, in JSON and as an exit status.

use serde::Serialize;
use soc_machine::isa::exception_meaning;
use soc_machine::{Bank, FLAG_C, FLAG_E, FLAG_I, FLAG_Z, Machine, Stop};

/// Exit statuses besides the program's own.
pub const STATUS_FAILURE: u8 = 1;
/// Whoever read standard output has gone: what a shell says of a program that SIGPIPE (13) ended, 128 + 13.
pub const STATUS_READER_GONE: u8 = 141;
/// An unhandled exception n gives this plus n; a breakpoint gives 0.
pub const STATUS_EXCEPTION: u8 = 100;
pub const STATUS_DOUBLE_FAULT: u8 = 105;
/// The cycle limit, as `timeout` has it.
pub const STATUS_LIMIT: u8 = 124;

/// The end of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// `break`, `exit`, `exception`, `double fault`, `asleep` or `limit`.
    pub stop: &'static str,
    /// The program's status, or the exception's number.
    pub value: u32,
    /// Exit status of the command.
    pub status: u8,
    pub cycles: u64,
    pub registers: [u32; 16],
    pub interrupt_registers: [u32; 16],
    pub interrupt_bank: bool,
    pub flags: String,
}

/// The set flags as letters: `Z`, `C`, `i`, `e`.
pub fn flags_text(flags: u32) -> String {
    let letters = [(FLAG_Z, 'Z'), (FLAG_C, 'C'), (FLAG_I, 'i'), (FLAG_E, 'e')];
    letters.iter().filter(|(bit, _)| flags & bit != 0).map(|(_, letter)| letter).collect()
}

impl Outcome {
    /// The outcome of a machine that has stopped for this reason.
    pub fn new(machine: &Machine, stop: Stop) -> Self {
        let (name, value, status) = match stop {
            Stop::Exception(0) => ("break", 0, 0),
            Stop::Exception(number) => ("exception", u32::from(number), STATUS_EXCEPTION + number),
            Stop::DoubleFault => ("double fault", 0, STATUS_DOUBLE_FAULT),
            Stop::Off(status) => ("exit", status, status as u8),
            Stop::Asleep => ("asleep", 0, 0),
            _ => ("limit", 0, STATUS_LIMIT),
        };
        let cpu = machine.cpu();
        Self {
            stop: name,
            value,
            status,
            cycles: cpu.cycle(),
            registers: *cpu.bank_registers(Bank::Generic),
            interrupt_registers: *cpu.bank_registers(Bank::Interrupt),
            interrupt_bank: cpu.bank() == Bank::Interrupt,
            flags: flags_text(cpu.flags()),
        }
    }

    /// One line for a person.
    pub fn summary(&self) -> String {
        let what = match (self.stop, self.value) {
            ("exit", status) => format!("switched off with status {status}"),
            ("exception", number) => format!("exception {number}: {}", exception_meaning(number as u8)),
            ("break", _) => "breakpoint".to_owned(),
            ("asleep", _) => "asleep, with nothing to wake it".to_owned(),
            ("limit", _) => "stopped at the cycle limit".to_owned(),
            (other, _) => other.to_owned(),
        };
        format!("{what} at 0x{:08x} after {} cycles", self.registers[15], self.cycles)
    }

    /// Registers and flags, as the original prints them.
    pub fn registers_text(&self) -> String {
        let mut text = String::new();
        for (row, chunk) in self.registers.chunks(4).enumerate() {
            for (column, value) in chunk.iter().enumerate() {
                let name = format!("r{}", row * 4 + column);
                text.push_str(&format!("{name:>4} {value:08x}"));
            }
            text.push('\n');
        }
        text + &format!("flags {}\n", if self.flags.is_empty() { "-" } else { &self.flags })
    }
}

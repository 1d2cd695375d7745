//! Views of a machine as text: registers, memory, disassembly. What the console and the GDB monitor print.

use crate::debugger::Debugger;
use soc_assembler::instruction_text;
use soc_machine::encoding::WORD_BYTES;
use soc_machine::{Bank, FLAG_C, FLAG_E, FLAG_I, FLAG_Z, Machine, Power};
use std::fmt::Write as _;

/// An address, and `label+0x8` behind it if there is a label before it.
pub fn located(debugger: &Debugger, address: u32) -> String {
    match debugger.symbols().before(address) {
        Some((name, 0)) => format!("{address:08x} {name}"),
        Some((name, distance)) => format!("{address:08x} {name}+0x{distance:x}"),
        None => format!("{address:08x}"),
    }
}

/// Sixteen registers, four in a row.
pub(crate) fn bank_text(registers: &[u32; 16]) -> String {
    let mut text = String::new();
    for (number, value) in registers.iter().enumerate() {
        let end = if number % 4 == 3 { "\n" } else { "  " };
        let _ = write!(text, "{:>3} {value:08x}{end}", format!("r{number}"));
    }
    text
}

/// Registers of the bank in use, flags, bank, cycle.
pub fn registers_text(machine: &Machine) -> String {
    let cpu = machine.cpu();
    let mut text = bank_text(cpu.registers());
    let flag = |bit, letter| if cpu.flags() & bit != 0 { letter } else { '-' };
    let bank = if cpu.bank() == Bank::Generic { "generic" } else { "interrupt" };
    let power = match cpu.power() {
        Power::Running => "",
        Power::Asleep => ", asleep",
        Power::Off(_) => ", off",
    };
    let flags: String =
        [flag(FLAG_Z, 'Z'), flag(FLAG_C, 'C'), flag(FLAG_I, 'i'), flag(FLAG_E, 'e')].iter().collect();
    let _ = writeln!(text, "flags {flags}, {bank} bank, cycle {}{power}", cpu.cycle());
    text
}

/// Memory in rows of sixteen bytes, as hexadecimal and as letters. What cannot be looked at shows as `--`.
pub fn memory_text(machine: &Machine, address: u32, len: u32) -> String {
    let mut text = String::new();
    for row in (0..len).step_by(16) {
        let start = address.wrapping_add(row);
        let cells: Vec<Option<u8>> =
            (row..len.min(row + 16)).map(|offset| machine.look(address.wrapping_add(offset))).collect();
        let _ = write!(text, "{start:08x} ");
        for cell in &cells {
            let _ = match cell {
                Some(byte) => write!(text, " {byte:02x}"),
                None => write!(text, " --"),
            };
        }
        let padding = " ".repeat(3 * (16 - cells.len()));
        let letters: String = cells
            .iter()
            .map(|cell| {
                cell.map(char::from)
                    .filter(|letter| letter.is_ascii_graphic() || *letter == ' ')
                    .unwrap_or('.')
            })
            .collect();
        let _ = writeln!(text, "{padding}  {letters}");
    }
    text
}

/// Instructions from an address on, with labels, breakpoints (`*`) and the next instruction (`>`).
pub fn disassembly(debugger: &Debugger, address: u32, count: u32) -> String {
    let machine = debugger.machine();
    let mut text = String::new();
    for index in 0..count {
        let at = address.wrapping_add(index * WORD_BYTES);
        let Some(word) = machine.word(at) else { break };
        for label in debugger.symbols().all_at(at) {
            let _ = writeln!(text, "{label}:");
        }
        let here = if at == machine.cpu().ip() { '>' } else { ' ' };
        let point = if debugger.breakpoints().iter().any(|point| point.address == at) { '*' } else { ' ' };
        let _ = writeln!(text, "{here}{point}{at:08x}  {}", instruction_text(&word, debugger.symbols()));
    }
    text
}

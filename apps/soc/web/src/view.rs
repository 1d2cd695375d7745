//! All that the page shows of a machine, as JSON.

use serde_json::{Value, json};
use soc_assembler::instruction_text;
use soc_debugger::{Debugger, Stopped, located};
use soc_machine::{Bank, FLAG_C, FLAG_E, FLAG_I, FLAG_Z, Power};

/// Bytes in a row of memory.
const ROW: u32 = 16;
/// Rows that one view can have.
const MOST_ROWS: u32 = 256;
/// Bytes of the UART's output that are shown.
const MOST_OUTPUT: usize = 4096;

/// What a stop is called in the page's logic.
fn stop_name(stop: Stopped) -> &'static str {
    match stop {
        Stopped::Done => "done",
        Stopped::Breakpoint(_) => "breakpoint",
        Stopped::Watchpoint(..) => "watchpoint",
        Stopped::Exception(_) => "exception",
        Stopped::DoubleFault => "double_fault",
        Stopped::Off(_) => "off",
        Stopped::Asleep => "asleep",
        Stopped::Beginning => "beginning",
        Stopped::Cancelled => "cancelled",
    }
}

pub(crate) fn view(
    debugger: &Debugger,
    progress: Option<f64>,
    memory: (u32, u32),
    code: (Option<u32>, u32),
) -> Value {
    let machine = debugger.machine();
    let cpu = machine.cpu();
    let (start, end) = debugger.known_time();
    let flag = |bit| cpu.flags() & bit != 0;
    let output = debugger.output();
    let output = &output[output.len().saturating_sub(MOST_OUTPUT)..];
    let (snapshots, history_bytes) = debugger.history_size();
    json!({
        "registers": cpu.registers(),
        "interrupt_bank": cpu.bank() == Bank::Interrupt,
        "flags": [["Z", flag(FLAG_Z)], ["C", flag(FLAG_C)], ["i", flag(FLAG_I)], ["e", flag(FLAG_E)]],
        "cycle": cpu.cycle(),
        "start": start,
        "end": end,
        "power": match cpu.power() { Power::Running => "running", Power::Asleep => "asleep", Power::Off(_) => "off" },
        "busy": debugger.is_busy(),
        "progress": progress,
        "stop": stop_name(debugger.last_stop()),
        "stop_text": debugger.last_stop().to_string(),
        "line": debugger.source_line(cpu.ip()).map(|line| line.line),
        "shows_text": machine.shows_text(),
        "text": machine.text_lines().collect::<Vec<_>>(),
        "output": String::from_utf8_lossy(output),
        "pins": machine.pins(),
        "input_pins": machine.input_pins(),
        "breakpoints": debugger.breakpoints().iter().map(|point| point.address).collect::<Vec<_>>(),
        "breakpoint_lines": breakpoint_lines(debugger),
        "stack": debugger.frames().iter().map(|frame| located(debugger, frame.address)).collect::<Vec<_>>(),
        "code": code_rows(debugger, code.0, code.1),
        "memory": memory_rows(debugger, memory.0, memory.1),
        "snapshots": snapshots,
        "history_bytes": history_bytes,
    })
}

fn breakpoint_lines(debugger: &Debugger) -> Vec<u32> {
    debugger
        .breakpoints()
        .iter()
        .filter_map(|point| debugger.source_line(point.address))
        .map(|line| line.line)
        .collect()
}

fn code_rows(debugger: &Debugger, from: Option<u32>, rows: u32) -> Vec<Value> {
    let machine = debugger.machine();
    let rows = rows.min(MOST_ROWS);
    let start = from.unwrap_or_else(|| machine.cpu().ip().saturating_sub(rows / 3 * 8));
    let addresses = (0..rows).map(|row| start.wrapping_add(row * 8));
    addresses
        .filter_map(|address| {
            let word = machine.word(address)?;
            Some(json!({
                "address": address,
                "text": instruction_text(&word, debugger.symbols()),
                "label": debugger.symbols().at(address),
            }))
        })
        .collect()
}

fn memory_rows(debugger: &Debugger, from: u32, rows: u32) -> Vec<Value> {
    (0..rows.min(MOST_ROWS))
        .map(|row| {
            let address = from.wrapping_add(row * ROW);
            let bytes: Vec<Option<u8>> =
                (0..ROW).map(|offset| debugger.machine().look(address.wrapping_add(offset))).collect();
            json!({ "address": address, "bytes": bytes })
        })
        .collect()
}

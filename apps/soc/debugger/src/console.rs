//! The command language: one line in, text out. The terminal, the batch mode and GDB's `monitor` all speak it.

use crate::debugger::{Debugger, Goal};
use crate::expression::Expression;
use crate::inspect::{bank_text, disassembly, located, memory_text, registers_text};
use crate::points::Access;
use soc_machine::{Bank, Input};
use std::fmt::Write as _;

/// All commands.
pub const HELP: &str = "\
s, step [N]              execute N instructions      rs [N]    the same backwards
o, over                  step over a call            out       run to behind the call
c, continue              run                         rc        run backwards to the last stop
until ADDRESS            run to an address           goto N    travel to cycle N
break ADDRESS [if COND]  breakpoint                  watch ADDRESS [LENGTH] [r|w|rw]
delete ID                delete a point              points    list them
regs                     registers and flags         iregs     the interrupt bank's
set rN|flags VALUE       change a register           set [ADDRESS] VALUE   change a word
mem ADDRESS [LENGTH]     memory                      disas [ADDRESS] [COUNT]
print EXPRESSION         a value                     stack     functions under way
trace [N]                the last N steps            profile [N]   where the last N cycles went
key TEXT, serial TEXT    press keys, send bytes      pins VALUE    set the GPIO inputs
screen                   the text screen             output    what the UART has sent
symbols                  names and values            info      time, history, last stop
handlers                 of exceptions, interrupts
Addresses and values are expressions: 0x10, start+8, r14, [sp+4], cycle, 'A'.
mem shows devices too (0xF4000000 is the timer); looking changes nothing.
";

/// What a command has led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Done; this is to be shown.
    Text(String),
    /// The machine shall move: whoever asked starts the goal, and advances the debugger until it stops.
    Goal(Goal),
}

/// Carries out a line, but for a movement, which is only understood. The error says what is wrong with it.
pub fn execute(debugger: &mut Debugger, line: &str) -> Result<Answer, String> {
    let line = line.trim();
    let (command, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let rest = rest.trim();
    if let Some(goal) = goal(debugger, command, rest)? {
        return Ok(Answer::Goal(goal));
    }
    inspect(debugger, command, rest)
        .or_else(|| change(debugger, command, rest))
        .unwrap_or_else(|| Err(format!("unknown command `{command}`: help lists all")))
        .map(Answer::Text)
}

fn value(debugger: &Debugger, text: &str) -> Result<u64, String> {
    let expression = Expression::parse(text, debugger.symbols()).map_err(|error| error.to_string())?;
    Ok(expression.value(debugger.machine()))
}

fn value_or(debugger: &Debugger, text: &str, default: u64) -> Result<u64, String> {
    if text.is_empty() { Ok(default) } else { value(debugger, text) }
}

fn goal(debugger: &Debugger, command: &str, rest: &str) -> Result<Option<Goal>, String> {
    Ok(Some(match command {
        "s" | "step" => Goal::Step(value_or(debugger, rest, 1)?),
        "o" | "over" => Goal::StepOver,
        "out" => Goal::StepOut,
        "c" | "continue" => Goal::Continue,
        "until" => Goal::RunTo(value(debugger, rest)? as u32),
        "goto" => Goal::GoTo(value(debugger, rest)?),
        "rs" => Goal::ReverseStep(value_or(debugger, rest, 1)?),
        "rc" => Goal::ReverseContinue,
        _ => return Ok(None),
    }))
}

/// Two operands, of which the second may be missing.
fn pair(rest: &str) -> (&str, &str) {
    let (first, second) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    (first, second.trim())
}

fn inspect(debugger: &mut Debugger, command: &str, rest: &str) -> Option<Result<String, String>> {
    Some(match command {
        "help" | "h" | "?" => Ok(HELP.to_owned()),
        "regs" => Ok(registers_text(debugger.machine())),
        "iregs" => Ok(bank_text(debugger.machine().cpu().bank_registers(Bank::Interrupt))),
        "mem" => memory(debugger, rest),
        "disas" => disassemble(debugger, rest),
        "print" | "p" => value(debugger, rest).map(|value| format!("{value} 0x{value:x}\n")),
        "stack" => Ok(stack(debugger)),
        "trace" => value_or(debugger, rest, 16).map(|steps| trace(debugger, steps)),
        "profile" => value_or(debugger, rest, 1_000_000).map(|cycles| profile(debugger, cycles)),
        "points" => Ok(points(debugger)),
        "screen" => Ok(screen(debugger)),
        "output" => Ok(String::from_utf8_lossy(debugger.output()).into_owned()),
        "symbols" => Ok(debugger.symbols().to_text()),
        "info" => Ok(info(debugger)),
        "handlers" => Ok(handlers(debugger)),
        _ => return None,
    })
}

fn change(debugger: &mut Debugger, command: &str, rest: &str) -> Option<Result<String, String>> {
    Some(match command {
        "break" | "b" => set_breakpoint(debugger, rest),
        "watch" => set_watchpoint(debugger, rest),
        "delete" => value(debugger, rest).and_then(|id| match debugger.delete(id as u32) {
            true => Ok(format!("point {id} deleted\n")),
            false => Err(format!("there is no point {id}: points lists them")),
        }),
        "set" => set(debugger, rest),
        "key" | "serial" => give_text(debugger, command, rest),
        "pins" => value(debugger, rest).map(|levels| {
            debugger.give(Input::Pins(levels as u32));
            String::new()
        }),
        _ => return None,
    })
}

fn memory(debugger: &Debugger, rest: &str) -> Result<String, String> {
    let (address, len) = pair(rest);
    let address = value(debugger, address)? as u32;
    let len = value_or(debugger, len, 64)?.min(0x1_0000) as u32;
    Ok(memory_text(debugger.machine(), address, len))
}

fn disassemble(debugger: &Debugger, rest: &str) -> Result<String, String> {
    let (address, count) = pair(rest);
    let address = value_or(debugger, address, u64::from(debugger.machine().cpu().ip()))? as u32;
    let count = value_or(debugger, count, 10)?.min(4096) as u32;
    Ok(disassembly(debugger, address, count))
}

fn stack(debugger: &Debugger) -> String {
    let mut text = String::new();
    for (depth, frame) in debugger.frames().iter().enumerate() {
        let _ = writeln!(text, "#{depth} {}", located(debugger, frame.address));
    }
    text
}

fn trace(debugger: &mut Debugger, steps: u64) -> String {
    let mut text = String::new();
    for row in debugger.trace(steps) {
        let changed: String =
            row.changed.iter().map(|(number, value)| format!("  r{number}={value:x}")).collect();
        let _ = writeln!(text, "{:>10}  {:08x}  {:<28}{changed}", row.cycle, row.address, row.text);
    }
    text
}

fn profile(debugger: &mut Debugger, cycles: u64) -> String {
    let (rows, counted) = debugger.profile(cycles, 20);
    let mut text = format!("the last {counted} cycles\n");
    for row in rows {
        let share = row.count as f64 * 100.0 / counted.max(1) as f64;
        let _ = writeln!(text, "{share:5.1} %  {:>12}  {}", row.count, located(debugger, row.address));
    }
    text
}

fn points(debugger: &Debugger) -> String {
    let mut text = String::new();
    for point in debugger.breakpoints() {
        let condition =
            point.condition.as_ref().map_or(String::new(), |condition| format!(" if {condition}"));
        let at = located(debugger, point.address);
        let _ = writeln!(text, "{} break {at}{condition}", point.id);
    }
    for point in debugger.watchpoints() {
        let access = match point.access {
            Access::Read => "r",
            Access::Write => "w",
            Access::Both => "rw",
        };
        let _ = writeln!(text, "{} watch {:08x} {} {access}", point.id, point.address, point.len_bytes);
    }
    text
}

fn screen(debugger: &Debugger) -> String {
    let lines: Vec<String> = debugger.machine().text_lines().collect();
    let used = lines.iter().rposition(|line| !line.is_empty()).map_or(0, |last| last + 1);
    lines[..used].iter().map(|line| format!("{line}\n")).collect()
}

fn handlers(debugger: &Debugger) -> String {
    let cpu = debugger.machine().cpu();
    let mut text = String::new();
    for (kind, handlers) in [("exception", cpu.exception_handlers()), ("interrupt", cpu.interrupt_handlers())]
    {
        for (number, handler) in handlers.iter().enumerate() {
            if let Some(address) = handler {
                let _ = writeln!(text, "{kind} {number:>2}  {}", located(debugger, *address));
            }
        }
    }
    text
}

fn info(debugger: &Debugger) -> String {
    let (start, end) = debugger.known_time();
    let (snapshots, bytes) = debugger.history_size();
    format!(
        "{}\ncycle {} of the known {start} to {end}\n{snapshots} snapshots in {} KiB, {} inputs\n",
        debugger.last_stop(),
        debugger.machine().cpu().cycle(),
        bytes / 1024,
        debugger.inputs().len(),
    )
}

fn set_breakpoint(debugger: &mut Debugger, rest: &str) -> Result<String, String> {
    let (address, condition) = match rest.split_once(" if ") {
        Some((address, condition)) => (address, Some(condition)),
        None => (rest, None),
    };
    let address = value(debugger, address)? as u32;
    let condition = condition
        .map(|text| Expression::parse(text, debugger.symbols()))
        .transpose()
        .map_err(|error| error.to_string())?;
    let id = debugger.set_breakpoint(address, condition);
    Ok(format!("breakpoint {id} at {}\n", located(debugger, address)))
}

fn set_watchpoint(debugger: &mut Debugger, rest: &str) -> Result<String, String> {
    let mut words: Vec<&str> = rest.split_whitespace().collect();
    let access = match words.last() {
        Some(&"r") => Some(Access::Read),
        Some(&"w") => Some(Access::Write),
        Some(&"rw") => Some(Access::Both),
        _ => None,
    };
    if access.is_some() {
        words.pop();
    }
    let address = value(debugger, words.first().copied().unwrap_or(""))? as u32;
    let len = value_or(debugger, words.get(1).copied().unwrap_or(""), 4)?.min(u64::from(u32::MAX)) as u32;
    let id = debugger.set_watchpoint(address, len, access.unwrap_or(Access::Write));
    Ok(format!("watchpoint {id} at {address:08x}\n"))
}

fn set(debugger: &mut Debugger, rest: &str) -> Result<String, String> {
    const USAGE: &str = "write set r1 5, set flags 1 or set [0x100] 5";
    if let Some(inner) = rest.strip_prefix('[') {
        let (address, new) = inner.split_once(']').ok_or(USAGE)?;
        let (address, new) = (value(debugger, address)? as u32, value(debugger, new)? as u32);
        return match debugger.set_memory(address, &new.to_le_bytes()) {
            true => Ok(String::new()),
            false => Err(format!("0x{address:08x} is no plain memory")),
        };
    }
    let (target, new) = pair(rest);
    let new = value(debugger, new)? as u32;
    if target == "flags" {
        debugger.give(Input::Flags(new));
        return Ok(String::new());
    }
    let number =
        target.strip_prefix('r').and_then(|digits| digits.parse().ok()).filter(|&number: &u8| number < 16);
    debugger.set_register(number.ok_or(USAGE)?, new);
    Ok(String::new())
}

fn give_text(debugger: &mut Debugger, command: &str, rest: &str) -> Result<String, String> {
    for byte in soc_assembler::text_bytes(rest)? {
        debugger.give(if command == "key" { Input::Key(byte) } else { Input::Serial(byte) });
    }
    Ok(String::new())
}

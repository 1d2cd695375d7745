//! `soc debug`: the debugger in one of its dresses.

use crate::arguments::Debug;
use crate::failure::Failure;
use crate::outcome::{STATUS_FAILURE, STATUS_LIMIT};
use crate::source::{print, write};
use crate::start;
use crate::terminal;
use soc_assembler::Symbols;
use soc_debugger::{Answer, Debugger, Goal, Progress, Stopped, execute, gdb};
use soc_machine::Recording;
use std::io::BufRead as _;
use std::net::TcpListener;
use std::path::Path;

/// Cycles between two looks at the limit.
const SLICE: u64 = 50_000_000;

pub(super) fn debug(options: &Debug) -> Result<u8, Failure> {
    let Start { mut debugger, text, seed, disk } = prepare(options)?;
    let status = match (&options.gdb, options.batch.as_deref()) {
        (Some(address), _) => serve_gdb(&mut debugger, address)?,
        (None, Some("-")) => {
            let lines = std::io::stdin().lock().lines().collect::<Result<Vec<_>, _>>();
            let lines = lines.map_err(|error| error.to_string())?;
            batch(&mut debugger, lines.iter().map(String::as_str), options.cycles)?
        }
        (None, Some(commands)) => batch(&mut debugger, commands.split(';'), options.cycles)?,
        (None, None) => {
            debugger = terminal::run(debugger, text)
                .map_err(|error| format!("no terminal ({error}): --batch and --gdb do without one"))?;
            0
        }
    };
    if let Some(path) = &options.record {
        write(path, &debugger.recording(seed, disk).save())?;
    }
    Ok(status)
}

/// The debugger at power-on, and what is only known there.
struct Start {
    debugger: Debugger,
    /// The source, for the terminal to show.
    text: terminal::SourceText,
    seed: u64,
    disk: Vec<u8>,
}

fn prepare(options: &Debug) -> Result<Start, String> {
    if let Some(path) = &options.replay {
        let (machine, recording) = start::from_recording(path)?;
        let Recording { seed, disk, inputs, .. } = recording;
        let debugger = Debugger::with_inputs(machine, Symbols::default(), Vec::new(), inputs);
        return Ok(Start { debugger, text: terminal::SourceText::default(), seed, disk });
    }
    let path = options.program.as_deref().unwrap_or(Path::new("-"));
    let (machine, Recording { seed, disk, .. }, loaded) = start::from_program(path, &options.machine)?;
    let lines = loaded
        .assembly
        .as_ref()
        .and_then(|assembly| assembly.program.as_ref())
        .map(|program| program.lines.clone());
    let text = terminal::SourceText::new(loaded.assembly);
    Ok(Start {
        debugger: Debugger::new(machine, loaded.symbols, lines.unwrap_or_default()),
        text,
        seed,
        disk,
    })
}

/// Carries out lines and prints what they answer; the status tells whether all were understood and came to an end.
fn batch<'a>(
    debugger: &mut Debugger,
    lines: impl Iterator<Item = &'a str>,
    most_cycles: Option<u64>,
) -> Result<u8, Failure> {
    let mut status = 0;
    for line in lines.filter(|line| !line.trim().is_empty()) {
        match execute(debugger, line) {
            Ok(Answer::Text(text)) => print(text)?,
            Ok(Answer::Goal(goal)) => {
                let reason = match pursue(debugger, goal, most_cycles) {
                    Some(reason) => reason.to_string(),
                    None => {
                        status = STATUS_LIMIT;
                        "the cycle limit is reached".to_owned()
                    }
                };
                let cpu = debugger.machine().cpu();
                print(format!("{reason} at {:08x}, cycle {}\n", cpu.ip(), cpu.cycle()))?;
            }
            Err(reason) => {
                eprintln!("soc: {}: {reason}", line.trim());
                status = STATUS_FAILURE;
            }
        }
    }
    Ok(status)
}

/// Pursues the goal to its end; `None` if it was given up after as many cycles as may pass.
fn pursue(debugger: &mut Debugger, goal: Goal, most_cycles: Option<u64>) -> Option<Stopped> {
    let began = debugger.machine().cpu().cycle();
    debugger.start(goal);
    let Some(most_cycles) = most_cycles else { return Some(debugger.finish()) };
    // The way back leads through time that is known, which always ends; only going on may not.
    let end = began.saturating_add(most_cycles);
    while let Some(left) = end.checked_sub(debugger.machine().cpu().cycle()).filter(|&left| left > 0) {
        if let Progress::Stopped(reason) = debugger.advance(left.min(SLICE)) {
            return Some(reason);
        }
    }
    debugger.cancel();
    None
}

fn serve_gdb(debugger: &mut Debugger, address: &str) -> Result<u8, Failure> {
    let listener = TcpListener::bind(address).map_err(|error| format!("{address}: {error}"))?;
    let local = listener.local_addr().map_err(|error| error.to_string())?;
    print(format!("waiting for gdb: target remote {local}\n"))?;
    let (mut stream, _) = listener.accept().map_err(|error| error.to_string())?;
    // gdb's packets are small and each waits for its answer.
    stream.set_nodelay(true).map_err(|error| error.to_string())?;
    gdb::serve(debugger, &mut stream).map_err(|error| error.to_string())?;
    Ok(0)
}

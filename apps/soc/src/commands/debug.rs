//! `soc debug`: the debugger in one of its dresses.

use crate::arguments::Debug;
use crate::failure::Failure;
use crate::outcome::STATUS_FAILURE;
use crate::source::print;
use crate::start;
use crate::terminal;
use soc_assembler::Symbols;
use soc_debugger::{Answer, Debugger, execute, gdb};
use std::io::BufRead as _;
use std::net::TcpListener;
use std::path::Path;

pub(super) fn debug(options: &Debug) -> Result<u8, Failure> {
    let (mut debugger, sources) = prepare(options)?;
    if let Some(address) = &options.gdb {
        return serve_gdb(&mut debugger, address);
    }
    match options.batch.as_deref() {
        Some("-") => {
            let lines = std::io::stdin().lock().lines().collect::<Result<Vec<_>, _>>();
            batch(&mut debugger, lines.map_err(|error| error.to_string())?.iter().map(String::as_str))
        }
        Some(commands) => batch(&mut debugger, commands.split(';')),
        None => terminal::run(debugger, sources)
            .map_err(|error| format!("no terminal ({error}): --batch and --gdb do without one").into()),
    }
}

/// The debugger at power-on; and the source, for the terminal to show.
fn prepare(options: &Debug) -> Result<(Debugger, terminal::SourceText), String> {
    if let Some(path) = &options.replay {
        let (machine, recording) = start::from_recording(path)?;
        let debugger = Debugger::with_inputs(machine, Symbols::default(), Vec::new(), recording.inputs);
        return Ok((debugger, terminal::SourceText::default()));
    }
    let path = options.program.as_deref().unwrap_or(Path::new("-"));
    let (machine, _, loaded) = start::from_program(path, &options.machine)?;
    let lines = loaded
        .assembly
        .as_ref()
        .and_then(|assembly| assembly.program.as_ref())
        .map(|program| program.lines.clone());
    let text = terminal::SourceText::new(loaded.assembly);
    Ok((Debugger::new(machine, loaded.symbols, lines.unwrap_or_default()), text))
}

/// Carries out lines and prints what they answer; the status tells whether all were understood.
fn batch<'a>(debugger: &mut Debugger, lines: impl Iterator<Item = &'a str>) -> Result<u8, Failure> {
    let mut status = 0;
    for line in lines.filter(|line| !line.trim().is_empty()) {
        match execute(debugger, line) {
            Ok(Answer::Text(text)) => print(text)?,
            Ok(Answer::Goal(goal)) => {
                debugger.start(goal);
                let reason = debugger.finish();
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

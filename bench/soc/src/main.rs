//! Million instructions per second of processor time, natively: four programs, plain and under the debugger, and how long a step back takes.
//!
//! `cargo run --release -p soc-bench`. The same programs in the browser: `bench/soc/browser.mjs`. `soc-bench PROGRAM CYCLES`
//! only runs one program, for tools that count instructions (`valgrind --tool=callgrind`).
#![forbid(unsafe_code)]

use soc_assembler::{NoFiles, Options, Program, assemble};
use soc_debugger::{Debugger, Goal};
use soc_machine::{Machine, Quirks, Stop};
use std::error::Error;
use std::time::{Duration, Instant};

/// Cycles of one measurement.
const CYCLES: u64 = 500_000_000;
/// What is run before a step back is measured.
const LONG: u64 = 1_000_000_000;

const PROGRAMS: &[(&str, &str)] = &[
    ("fill", include_str!("../programs/fill.asm")),
    ("calls", include_str!("../programs/calls.asm")),
    ("memory", include_str!("../programs/memory.asm")),
    ("interrupts", include_str!("../programs/interrupts.asm")),
];

fn program(name: &str, text: &str) -> Result<Program, Box<dyn Error>> {
    let assembly = assemble(name, text, Options::default(), &mut NoFiles);
    let findings = assembly.render();
    assembly.program.ok_or_else(|| findings.into())
}

/// How long this thread has been on a processor; where that cannot be known, the time of day does.
///
/// A machine that others use too would otherwise be measured with them. (/proc/thread-self/schedstat, nanoseconds first:
/// Documentation/scheduler/sched-stats.rst of Linux.)
fn on_processor(started: Instant) -> Duration {
    std::fs::read_to_string("/proc/thread-self/schedstat")
        .ok()
        .and_then(|text| text.split_whitespace().next()?.parse().ok())
        .map_or_else(|| started.elapsed(), Duration::from_nanos)
}

/// The processor time that something takes, and what it gives.
fn timed<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let started = Instant::now();
    let before = on_processor(started);
    let value = work();
    (on_processor(started).saturating_sub(before), value)
}

/// Million cycles a second of the best of five runs. Breakpoints that are never met are set.
fn plain(program: &Program) -> Result<f64, Box<dyn Error>> {
    let mut best = 0f64;
    for _ in 0..5 {
        let mut machine = Machine::new(&program.image, Quirks::default(), 0)?;
        for address in [0xF0000, 0xF0008, 0xF0010] {
            machine.set_stop(address, true);
        }
        let (took, stop) = timed(|| machine.run(CYCLES));
        if stop != Stop::Cycle {
            return Err("the program has ended".into());
        }
        best = best.max(CYCLES as f64 / took.as_secs_f64() / 1e6);
    }
    Ok(best)
}

/// Million cycles a second under the debugger, with snapshots; then milliseconds of a step back, and the history's MiB.
fn debugged(program: &Program) -> Result<(f64, f64, f64), Box<dyn Error>> {
    let machine = Machine::new(&program.image, Quirks::default(), 0)?;
    let mut debugger = Debugger::new(machine, program.symbols.clone(), Vec::new());
    debugger.set_breakpoint(0xF0000, None);
    // A step that ends at a cycle of no round number, where no snapshot is.
    debugger.start(Goal::Step(LONG + 1_999_999));
    let (took, _) = timed(|| debugger.finish());
    let speed = debugger.machine().cpu().cycle() as f64 / took.as_secs_f64() / 1e6;
    let mut worst = 0f64;
    for _ in 0..10 {
        let (took, _) = timed(|| {
            debugger.start(Goal::ReverseStep(1));
            debugger.finish()
        });
        worst = worst.max(took.as_secs_f64() * 1e3);
    }
    Ok((speed, worst, debugger.history_size().1 as f64 / f64::from(1 << 20)))
}

/// Runs one of the programs for so many cycles, and measures nothing.
fn only_run(name: &str, cycles: &str) -> Result<(), Box<dyn Error>> {
    let (_, text) = PROGRAMS.iter().find(|(known, _)| *known == name).ok_or("there is no such program")?;
    let mut machine = Machine::new(&program(name, text)?.image, Quirks::default(), 0)?;
    machine.run(cycles.parse()?);
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match &arguments[..] {
        [] => measure_all(),
        [name, cycles] => only_run(name, cycles),
        _ => Err("soc-bench takes nothing, or a program and a number of cycles".into()),
    }
}

fn measure_all() -> Result<(), Box<dyn Error>> {
    println!(
        "| program | MIPS, breakpoints set | MIPS, debugger with history | step back after a billion, ms | history, MiB |"
    );
    println!("|---|---|---|---|---|");
    for (name, text) in PROGRAMS {
        let program = program(name, text)?;
        let speed = plain(&program)?;
        let (under, back, history) = debugged(&program)?;
        println!("| {name} | {speed:.0} | {under:.0} | {back:.1} | {history:.0} |");
    }
    Ok(())
}

//! `soc run`: a program, a saved state or a recording, to its end.

use crate::arguments::Run;
use crate::failure::Failure;
use crate::node::{self, Config, Node};
use crate::outcome::Outcome;
use crate::pace::Pace;
use crate::source;
use crate::start;
use soc_machine::map::{CLOCK_HZ, GRAPHICS_HEIGHT, GRAPHICS_WIDTH};
use soc_machine::{Input, Machine, Recording, Stop};
use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

/// Cycles from one given key or byte to the next.
const INPUT_EVERY: u64 = 1000;
/// Cycles between two looks at the output: at most this long is a byte held back.
const SLICE: u64 = 10_000_000;
/// Without a limit a run may take this long; it is out of reach, and leaves room for arithmetic.
const FOR_EVER: u64 = 1 << 62;

pub(super) fn run(options: &Run) -> Result<u8, Failure> {
    let (mut machine, recording) = prepare(options)?;
    let stop = match &options.node {
        Some(id) => be_node(&mut machine, &recording, id, options)?,
        None => drive(&mut machine, &recording, options)?,
    };
    let outcome = Outcome::new(&machine, stop);
    finish(&machine, recording, &outcome, options)?;
    if options.json {
        let json = serde_json::to_string(&outcome).map_err(|error| error.to_string())?;
        source::print(format!("{json}\n"))?;
    } else {
        eprintln!("soc: {}", outcome.summary());
        if outcome.stop == "exception" {
            eprint!("{}", outcome.registers_text());
        }
    }
    Ok(outcome.status)
}

/// The machine at its start, and all that it will be given.
fn prepare(options: &Run) -> Result<(Machine, Recording), String> {
    if let Some(path) = &options.replay {
        return start::from_recording(path);
    }
    let end = options.cycles.unwrap_or(FOR_EVER);
    let (start, machine, mut recording) = match (&options.load_state, &options.program) {
        (Some(path), _) => {
            let machine = Machine::load(&source::read(path)?)
                .map_err(|error| format!("{}: {error}", path.display()))?;
            (machine.cpu().cycle(), machine, Recording::default())
        }
        (None, Some(path)) => {
            let (machine, recording, _) = start::from_program(path, &options.machine)?;
            (0, machine, recording)
        }
        (None, None) => return Err("name a program, or --load-state, or --replay".to_owned()),
    };
    if options.load_state.is_some() && options.record.is_some() {
        return Err("a recording begins at power-on: --record does not go with --load-state".to_owned());
    }
    recording.end = start.saturating_add(end);
    if let Some(keys) = &options.keys {
        let keys = soc_assembler::text_bytes(keys)?;
        recording
            .inputs
            .extend((0u64..).zip(keys).map(|(index, key)| (start + index * INPUT_EVERY, Input::Key(key))));
    }
    if let Some(path) = &options.serial {
        let bytes = source::read(path)?;
        let inputs =
            (0u64..).zip(bytes).map(|(index, byte)| (start + index * INPUT_EVERY, Input::Serial(byte)));
        recording.inputs.extend(inputs);
    }
    recording.inputs.sort_by_key(|(cycle, _)| *cycle);
    Ok((machine, recording))
}

fn drive(machine: &mut Machine, recording: &Recording, options: &Run) -> Result<Stop, Failure> {
    let pace = Pace::new(machine);
    let mut inputs = recording.inputs.iter().peekable();
    loop {
        let now = machine.cpu().cycle();
        while let Some((_, input)) = inputs.next_if(|(cycle, _)| *cycle <= now) {
            machine.apply(input);
        }
        let slice = if options.realtime { u64::from(CLOCK_HZ) / 100 } else { SLICE };
        let mut until = recording.end.min(now + slice);
        if let Some((cycle, _)) = inputs.peek() {
            until = until.min(*cycle);
        }
        let stop = match machine.run(until) {
            Stop::Asleep if inputs.peek().is_some() => {
                machine.pass(until);
                Stop::Cycle
            }
            stop => stop,
        };
        let output = machine.take_output();
        if !output.is_empty() && !options.json {
            source::print(&output)?;
        }
        let is_over =
            machine.cpu().cycle() >= recording.end || (inputs.peek().is_none() && machine.waits_for_input());
        if stop != Stop::Cycle || is_over {
            return Ok(stop);
        }
        if options.realtime {
            pace.wait(machine);
        }
    }
}

fn be_node(machine: &mut Machine, recording: &Recording, id: &str, options: &Run) -> Result<Stop, Failure> {
    let config = Config {
        id: id.to_owned(),
        address: options.node_address,
        port: options.node_port,
        heartbeat: Duration::from_millis(wire::HEARTBEAT_EVERY_MS),
    };
    let mut node = Node::open(config).map_err(|error| {
        let remedy = match error.kind() {
            ErrorKind::PermissionDenied => {
                ": ports below 1024 want a right; --node-port takes another, the hub's"
            }
            ErrorKind::AddrInUse => {
                ": another node has it; --node-address takes another address of this machine"
            }
            ErrorKind::AddrNotAvailable => ": --node-address wants an address of this machine",
            _ => "",
        };
        format!("{}:{}: {error}{remedy}", options.node_address, options.node_port)
    })?;
    node::run(machine, &mut node, recording.end)
}

fn finish(
    machine: &Machine,
    mut recording: Recording,
    outcome: &Outcome,
    options: &Run,
) -> Result<(), Failure> {
    if options.screen {
        let lines: Vec<String> = machine.text_lines().collect();
        let used = lines.iter().rposition(|line| !line.is_empty()).map_or(0, |last| last + 1);
        source::print(lines[..used].iter().map(|line| format!("{line}\n")).collect::<String>())?;
    }
    if let Some(path) = &options.picture {
        source::write(path, &picture(machine))?;
    }
    if let Some(path) = &options.disk_out {
        source::write(path, machine.disk())?;
    }
    if let Some(path) = &options.save_state {
        source::write(path, &machine.save())?;
    }
    if let Some(path) = &options.record {
        recording.end = outcome.cycles;
        recording.inputs.retain(|(cycle, _)| *cycle <= outcome.cycles);
        write_recording(path, &recording)?;
    }
    Ok(())
}

fn write_recording(path: &Path, recording: &Recording) -> Result<(), Failure> {
    source::write(path, &recording.save())
}

/// The graphics screen as a binary PPM picture; what is transparent is black.
fn picture(machine: &Machine) -> Vec<u8> {
    let mut bytes = format!("P6\n{GRAPHICS_WIDTH} {GRAPHICS_HEIGHT}\n255\n").into_bytes();
    for pixel in machine.graphics().chunks_exact(4) {
        let alpha = u32::from(pixel[3]);
        bytes.extend(pixel[..3].iter().map(|&part| (u32::from(part) * alpha / 255) as u8));
    }
    bytes
}

//! Runs a program against its expectation.

use crate::expectation::{Expectation, Expected};
use crate::outcome::Outcome;
use crate::source;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use soc_machine::{Input, Machine, Quirks, Recording};
use std::fs;
use std::path::{Path, PathBuf};

/// The result of one expectation.
#[derive(Debug, Serialize)]
pub struct Checked {
    pub file: PathBuf,
    /// What did not hold; none where all is well.
    pub failures: Vec<String>,
    pub cycles: u64,
    /// All that repeats the run, and the checksum of the state at its end.
    #[serde(skip)]
    pub recording: Recording,
    #[serde(skip)]
    pub state_checksum: u64,
}

/// All expectations in files and folders, by name.
pub fn find(paths: &[PathBuf]) -> Result<Vec<PathBuf>, String> {
    let mut found = Vec::new();
    for path in paths {
        if path.is_dir() {
            search(path, &mut found)?;
        } else {
            found.push(path.clone());
        }
    }
    Ok(found)
}

fn search(folder: &Path, found: &mut Vec<PathBuf>) -> Result<(), String> {
    let entries = fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            search(&path, found)?;
        } else if path.extension().is_some_and(|extension| extension == "toml") {
            found.push(path);
        }
    }
    Ok(())
}

/// Checks one file. An error means that there was nothing to check.
pub fn check(file: &Path) -> Result<Checked, String> {
    let text = source::read_text(file)?;
    let expectation: Expectation =
        toml::from_str(&text).map_err(|error| format!("{}: {error}", file.display()))?;
    let program = match &expectation.program {
        Some(program) => file.parent().unwrap_or(Path::new("")).join(program),
        None => file.with_extension("asm"),
    };
    let loaded = source::load(&program, expectation.compat)?;
    let image_bytes = loaded.image.len();
    let recording = recording(&expectation, loaded.image)?;
    let mut machine = recording.machine().map_err(|error| error.to_string())?;
    let stop = recording.replay(&mut machine);
    let outcome = Outcome::new(&machine, stop);
    let state_checksum = machine.save().last_chunk().copied().map_or(0, u64::from_le_bytes);
    let mut failures = Failures::default();
    failures.equal("image_bytes", &expectation.expect.image_bytes, &image_bytes);
    compare(&expectation.expect, &mut machine, &outcome, &mut failures)?;
    Ok(Checked {
        file: file.to_owned(),
        failures: failures.0,
        cycles: outcome.cycles,
        recording,
        state_checksum,
    })
}

/// Everything that the expectation gives to the machine.
pub fn recording(expectation: &Expectation, image: Vec<u8>) -> Result<Recording, String> {
    let mut inputs = Vec::new();
    for given in &expectation.inputs {
        for (index, letter) in (0u64..).zip(given.keys.chars()) {
            let code =
                u8::try_from(u32::from(letter)).map_err(|_| format!("{letter} is no key: not in Latin-1"))?;
            inputs.push((given.cycle.saturating_add(index * given.every), Input::Key(code)));
        }
        for (index, byte) in (0u64..).zip(given.serial.bytes()) {
            inputs.push((given.cycle.saturating_add(index * given.every), Input::Serial(byte)));
        }
        inputs.extend(given.pins.map(|levels| (given.cycle, Input::Pins(levels))));
    }
    inputs.sort_by_key(|(cycle, _)| *cycle);
    let quirks = Quirks::chosen(expectation.compat);
    let (seed, end) = (expectation.seed, expectation.cycles);
    Ok(Recording { image, quirks, seed, disk: Vec::new(), inputs, end })
}

#[derive(Default)]
struct Failures(Vec<String>);

impl Failures {
    fn equal<T: PartialEq<U> + std::fmt::Debug, U: std::fmt::Debug>(
        &mut self,
        what: &str,
        expected: &Option<T>,
        found: &U,
    ) {
        if let Some(expected) = expected
            && expected != found
        {
            self.0.push(format!("{what}: expected {expected:?}, found {found:?}"));
        }
    }

    fn number(&mut self, what: &str, expected: u32, found: u32) {
        if expected != found {
            self.0.push(format!("{what}: expected 0x{expected:x}, found 0x{found:x}"));
        }
    }
}

fn register_number(name: &str) -> Result<usize, String> {
    let number = name.strip_prefix('r').and_then(|digits| digits.parse().ok()).filter(|&number| number < 16);
    number.ok_or_else(|| format!("`{name}` is no register: write r0 to r15"))
}

fn compare(
    expected: &Expected,
    machine: &mut Machine,
    outcome: &Outcome,
    failures: &mut Failures,
) -> Result<(), String> {
    failures.equal("stop", &expected.stop, &outcome.stop);
    failures.equal("value", &expected.value, &outcome.value);
    failures.equal("cycles", &expected.cycles, &outcome.cycles);
    failures.equal("flags", &expected.flags, &outcome.flags);
    let mut is_listed = [false; 16];
    for (name, value) in &expected.registers {
        let number = register_number(name)?;
        is_listed[number] = true;
        failures.number(name, *value, outcome.registers[number]);
    }
    if let Some(value) = expected.other_registers {
        for number in (0..16).filter(|&number| !is_listed[number]) {
            failures.number(&format!("r{number}"), value, outcome.registers[number]);
        }
    }
    for (name, value) in &expected.interrupt_registers {
        let number = register_number(name)?;
        failures.number(&format!("interrupt {name}"), *value, outcome.interrupt_registers[number]);
    }
    failures.equal("mode", &expected.mode, &machine.video_mode());
    failures.equal("graphics", &expected.graphics_sha256, &sha256(machine.graphics()));
    failures.equal("text screen", &expected.text_sha256, &sha256(machine.text()));
    for (row, (expected, found)) in expected.text.iter().zip(machine.text_lines()).enumerate() {
        failures.equal(&format!("text line {row}"), &Some(expected), &&found);
    }
    let output = String::from_utf8_lossy(&machine.take_output()).into_owned();
    failures.equal("output", &expected.output, &output);
    failures.equal("pins", &expected.pins, &machine.pins());
    for (address, value) in &expected.memory {
        let parsed = address
            .strip_prefix("0x")
            .map_or_else(|| address.parse().ok(), |hex| u32::from_str_radix(hex, 16).ok());
        let parsed = parsed.ok_or_else(|| format!("`{address}` is no address"))?;
        failures.equal(&format!("memory {address}"), &Some(Some(*value)), &machine.peek32(parsed));
    }
    Ok(())
}

/// SHA-256 in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

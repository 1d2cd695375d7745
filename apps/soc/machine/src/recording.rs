//! Recordings: everything that a run needs to be repeated exactly.

use crate::bytes::{Reader, Writer};
use crate::cpu::Bank;
use crate::input::Input;
use crate::machine::{ImageTooLarge, Machine, Stop};
use crate::quirks::Quirks;
use crate::state::{StateError, seal, unseal};
use alloc::vec::Vec;

const MAGIC: &[u8; 8] = b"SOCRECRD";
/// Cycles are below this, so that counting can never overflow.
const MOST_CYCLES: u64 = 1 << 63;

/// An image, how the machine was made, and every input with the cycle at which it was given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recording {
    pub image: Vec<u8>,
    pub quirks: Quirks,
    pub seed: u64,
    /// What the block store held at power-on; shorter than the store where the rest is zero.
    pub disk: Vec<u8>,
    /// By rising cycle.
    pub inputs: Vec<(u64, Input)>,
    /// The cycle at which the recording was ended.
    pub end: u64,
}

impl Recording {
    /// The machine at power-on.
    pub fn machine(&self) -> Result<Machine, ImageTooLarge> {
        let mut machine = Machine::new(&self.image, self.quirks, self.seed)?;
        if !self.disk.is_empty() {
            machine.set_disk(&self.disk);
        }
        Ok(machine)
    }

    /// Runs it all again, up to its end or an earlier reason to stop.
    pub fn replay(&self, machine: &mut Machine) -> Stop {
        for (cycle, input) in &self.inputs {
            match machine.run(*cycle) {
                Stop::Cycle => {}
                Stop::Asleep => machine.pass(*cycle),
                stop => return stop,
            }
            machine.apply(input);
        }
        machine.run(self.end)
    }

    /// The recording as a file.
    pub fn save(&self) -> Vec<u8> {
        let mut out = Writer::default();
        out.u8(self.quirks.to_bits());
        out.u64(self.seed);
        out.u64(self.end);
        out.blob(&self.image);
        out.blob(&self.disk);
        out.u32(self.inputs.len() as u32);
        for (cycle, input) in &self.inputs {
            out.u64(*cycle);
            save_input(input, &mut out);
        }
        seal(MAGIC, out)
    }

    /// A recording from a file.
    pub fn load(file: &[u8]) -> Result<Self, StateError> {
        let mut reader = unseal(MAGIC, file)?;
        load_body(&mut reader).filter(|_| reader.0.is_empty()).ok_or(StateError::Malformed)
    }
}

fn load_body(reader: &mut Reader) -> Option<Recording> {
    let quirks = Quirks::from_bits(reader.u8()?)?;
    let seed = reader.u64()?;
    let end = reader.u64().filter(|&cycle| cycle < MOST_CYCLES)?;
    let image = reader.blob()?.to_vec();
    let disk = reader.blob()?.to_vec();
    let count = reader.u32()?;
    let mut inputs: Vec<(u64, Input)> = Vec::new();
    for _ in 0..count {
        let cycle = reader.u64().filter(|&cycle| cycle < MOST_CYCLES)?;
        if inputs.last().is_some_and(|(last, _)| *last > cycle) {
            return None;
        }
        inputs.push((cycle, load_input(reader)?));
    }
    Some(Recording { image, quirks, seed, disk, inputs, end })
}

fn save_input(input: &Input, out: &mut Writer) {
    match input {
        Input::Key(key) => out.0.extend([0, *key]),
        Input::Serial(byte) => out.0.extend([1, *byte]),
        Input::Pins(levels) => {
            out.u8(2);
            out.u32(*levels);
        }
        Input::Memory { address, bytes } => {
            out.u8(3);
            out.u32(*address);
            out.blob(bytes);
        }
        Input::Register { bank, number, value } => {
            out.0.extend([4, *bank as u8, *number]);
            out.u32(*value);
        }
        Input::Flags(flags) => {
            out.u8(5);
            out.u32(*flags);
        }
        Input::Reset => out.u8(6),
    }
}

fn load_input(reader: &mut Reader) -> Option<Input> {
    Some(match reader.u8()? {
        0 => Input::Key(reader.u8()?),
        1 => Input::Serial(reader.u8()?),
        2 => Input::Pins(reader.u32()?),
        3 => Input::Memory { address: reader.u32()?, bytes: reader.blob()?.to_vec() },
        4 => Input::Register {
            bank: match reader.u8()? {
                0 => Bank::Generic,
                1 => Bank::Interrupt,
                _ => return None,
            },
            number: reader.u8().filter(|&number| number < 16)?,
            value: reader.u32()?,
        },
        5 => Input::Flags(reader.u32()?),
        6 => Input::Reset,
        _ => return None,
    })
}

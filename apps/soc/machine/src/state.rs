//! Saved states: a machine as a file, and back (specification, section 11).

use crate::bytes::{Reader, Writer, checksum};
use crate::cpu::{Bank, Cpu, Power};
use crate::devices::{self, Block, Devices};
use crate::machine::Machine;
use crate::map::RAM_BYTES;
use crate::memory::Memory;
use crate::quirks::Quirks;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::fmt;

const MAGIC: &[u8; 8] = b"SOCSTATE";
const VERSION: u32 = 1;
const LAST_PAGE: u32 = u32::MAX;

/// Why a file is not a state (or a recording).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateError {
    /// It does not begin as one.
    NotOne,
    /// It was made by another version.
    Version(u32),
    /// Its checksum does not fit its content.
    Damaged,
    /// It ends early, or a field has a value that means nothing.
    Malformed,
}

impl fmt::Display for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotOne => write!(f, "this file is not of the expected kind"),
            Self::Version(version) => {
                write!(f, "the file has version {version}; this program reads {VERSION}")
            }
            Self::Damaged => write!(f, "the file is damaged: its checksum does not fit"),
            Self::Malformed => write!(f, "the file is malformed: a field is missing or means nothing"),
        }
    }
}

impl core::error::Error for StateError {}

/// Puts magic and version before, and the checksum behind.
pub(crate) fn seal(magic: &[u8; 8], body: Writer) -> Vec<u8> {
    let mut file = Writer::default();
    file.0.extend(magic);
    file.u32(VERSION);
    file.0.extend(body.0);
    let sum = checksum(&file.0);
    file.u64(sum);
    file.0
}

/// The inverse of [`seal`].
pub(crate) fn unseal<'a>(magic: &[u8; 8], file: &'a [u8]) -> Result<Reader<'a>, StateError> {
    let mut reader = Reader(file);
    if reader.array::<8>().as_ref() != Some(magic) {
        return Err(StateError::NotOne);
    }
    match reader.u32() {
        Some(VERSION) => {}
        Some(other) => return Err(StateError::Version(other)),
        None => return Err(StateError::Malformed),
    }
    let (content, sum) = file.split_last_chunk::<8>().ok_or(StateError::Malformed)?;
    if checksum(content) != u64::from_le_bytes(*sum) {
        return Err(StateError::Damaged);
    }
    let len = reader.0.len() - 8;
    Ok(Reader(&reader.0[..len]))
}

impl Machine {
    /// The machine as a file.
    pub fn save(&self) -> Vec<u8> {
        let mut out = Writer::default();
        out.u8(self.quirks.to_bits());
        out.blob(&self.image);
        save_cpu(&self.cpu, &mut out);
        save_devices(&self.devices, &mut out);
        for (index, page) in self.memory.filled_pages() {
            out.u32(index as u32);
            out.0.extend(page);
        }
        out.u32(LAST_PAGE);
        seal(MAGIC, out)
    }

    /// A machine from a file. It has no breakpoints and no output that waits.
    pub fn load(file: &[u8]) -> Result<Self, StateError> {
        let mut reader = unseal(MAGIC, file)?;
        load_body(&mut reader).filter(|_| reader.0.is_empty()).ok_or(StateError::Malformed)
    }
}

fn load_body(reader: &mut Reader) -> Option<Machine> {
    let quirks = Quirks::from_bits(reader.u8()?)?;
    let image = reader.blob()?;
    if image.len() > RAM_BYTES as usize {
        return None;
    }
    let cpu = load_cpu(reader)?;
    let devices = load_devices(reader)?;
    let mut memory = Memory::new();
    loop {
        let index = reader.u32()?;
        if index == LAST_PAGE {
            break;
        }
        if !memory.load_page(index as usize, &reader.array()?) {
            return None;
        }
    }
    Some(Machine {
        cpu,
        memory,
        devices,
        quirks,
        image: image.into(),
        stops: BTreeSet::new(),
        output: Vec::new(),
    })
}

fn save_cpu(cpu: &Cpu, out: &mut Writer) {
    for register in cpu.banks.iter().flatten() {
        out.u32(*register);
    }
    out.u8(cpu.bank as u8);
    out.u32(cpu.flags);
    for handler in cpu.exception_handlers.iter().chain(&cpu.interrupt_handlers) {
        out.u8(u8::from(handler.is_some()));
        out.u32(handler.unwrap_or(0));
    }
    let (power, status) = match cpu.power {
        Power::Running => (0, 0),
        Power::Asleep => (1, 0),
        Power::Off(status) => (2, status),
    };
    out.u8(power);
    out.u32(status);
    out.u64(cpu.cycle);
}

fn load_cpu(reader: &mut Reader) -> Option<Cpu> {
    let mut cpu = Cpu::default();
    for register in cpu.banks.iter_mut().flatten() {
        *register = reader.u32()?;
    }
    cpu.bank = match reader.u8()? {
        0 => Bank::Generic,
        1 => Bank::Interrupt,
        _ => return None,
    };
    cpu.flags = reader.u32()?;
    for handler in cpu.exception_handlers.iter_mut().chain(&mut cpu.interrupt_handlers) {
        let is_some = reader.u8()?;
        let address = reader.u32()?;
        *handler = match is_some {
            0 => None,
            1 => Some(address),
            _ => return None,
        };
    }
    let power = reader.u8()?;
    let status = reader.u32()?;
    cpu.power = match power {
        0 => Power::Running,
        1 => Power::Asleep,
        2 => Power::Off(status),
        _ => return None,
    };
    // Half of the range is kept free, so that counting can never overflow.
    cpu.cycle = reader.u64().filter(|&cycle| cycle < 1 << 63)?;
    Some(cpu)
}

fn save_devices(devices: &Devices, out: &mut Writer) {
    let Devices { video, keyboard, timer, uart, random, block, gpio, cycle_high } = devices;
    out.0.extend(video);
    let (front, back) = keyboard.queue.as_slices();
    out.blob(&[front, back].concat());
    out.0.extend(keyboard.latch);
    out.u32(timer.control);
    out.u32(timer.period);
    out.u8(u8::from(timer.expired));
    out.u64(timer.deadline.unwrap_or(0));
    let (front, back) = uart.queue.as_slices();
    out.blob(&[front, back].concat());
    out.u8(u8::from(uart.has_overrun));
    out.u32(uart.control);
    out.u64(uart.transmitted);
    out.u64(random.state);
    for field in [block.number, block.address, block.status, gpio.output, gpio.input, gpio.mask, gpio.changed]
    {
        out.u32(field);
    }
    out.u32(*cycle_high);
}

fn load_devices(reader: &mut Reader) -> Option<Devices> {
    let mut devices = Devices::new(0);
    devices.video = reader.array()?;
    let keys = reader.blob()?;
    if keys.len() > devices::keyboard::QUEUE {
        return None;
    }
    devices.keyboard.queue.extend(keys);
    devices.keyboard.latch = reader.array()?;
    let timer = &mut devices.timer;
    timer.control = reader.u32()?;
    timer.period = reader.u32()?;
    timer.expired = reader.u8()? == 1;
    let deadline = reader.u64()?;
    timer.deadline = (timer.control & devices::timer::ENABLE != 0).then_some(deadline);
    let received = reader.blob()?;
    if received.len() > devices::uart::QUEUE {
        return None;
    }
    devices.uart.queue.extend(received);
    devices.uart.has_overrun = reader.u8()? == 1;
    devices.uart.control = reader.u32()?;
    devices.uart.transmitted = reader.u64().filter(|&count| count < 1 << 63)?;
    devices.random.state = reader.u64()?;
    devices.block = Block { number: reader.u32()?, address: reader.u32()?, status: reader.u32()? };
    for field in [
        &mut devices.gpio.output,
        &mut devices.gpio.input,
        &mut devices.gpio.mask,
        &mut devices.gpio.changed,
        &mut devices.cycle_high,
    ] {
        *field = reader.u32()?;
    }
    Some(devices)
}

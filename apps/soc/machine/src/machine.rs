//! A machine: its parts, power-on and reset, and what can be seen of it from outside.

use crate::cpu::Cpu;
use crate::devices::Devices;
use crate::encoding::Word;
use crate::map::{RAM_BYTES, VIDEO_MODE_TEXT};
use crate::memory::Memory;
use crate::quirks::Quirks;
use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

/// Why a machine has stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The cycle that was asked for has come.
    Cycle,
    /// An exception that the program does not handle.
    Exception(u8),
    /// An exception while another was handled. The machine has been reset.
    DoubleFault,
    /// The program has switched the machine off, with this exit status.
    Off(u32),
    /// The next instruction is at one of the addresses where the debugger wants to stop.
    Breakpoint,
    /// The observer wanted to stop.
    Observed,
    /// The machine sleeps, and only an input can wake it. No cycles pass for it unless [`Machine::pass`] lets them.
    Asleep,
}

/// An image that is larger than main memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageTooLarge {
    /// Its length in bytes.
    pub len_bytes: usize,
}

impl fmt::Display for ImageTooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the image has {} bytes, and memory only {RAM_BYTES}: make it smaller", self.len_bytes)
    }
}

impl core::error::Error for ImageTooLarge {}

/// The whole computer.
pub struct Machine {
    pub(crate) cpu: Cpu,
    pub(crate) memory: Memory,
    pub(crate) devices: Devices,
    pub(crate) quirks: Quirks,
    pub(crate) image: Arc<[u8]>,
    /// Where the debugger wants to stop. Not part of the state: it survives a restored snapshot.
    pub(crate) stops: BTreeSet<u32>,
    /// Bytes that the UART has sent and nobody has taken. Not part of the state.
    pub(crate) output: Vec<u8>,
}

impl Machine {
    /// A machine that has just been switched on, with this image at address 0.
    ///
    /// `seed` starts the random numbers. Fails where the image does not fit into memory.
    pub fn new(image: &[u8], quirks: Quirks, seed: u64) -> Result<Self, ImageTooLarge> {
        if image.len() > RAM_BYTES as usize {
            return Err(ImageTooLarge { len_bytes: image.len() });
        }
        let mut memory = Memory::new();
        memory.reset(image);
        Ok(Self {
            cpu: Cpu::default(),
            memory,
            devices: Devices::new(seed),
            quirks,
            image: image.into(),
            stops: BTreeSet::new(),
            output: Vec::new(),
        })
    }

    /// Sets the machine back (specification, section 9). The cycle counter goes on.
    pub fn reset(&mut self) {
        let cycle = self.cpu.cycle;
        let kept = self.quirks.reset_keeps_memory.then(|| self.cpu.clone());
        self.cpu = Cpu { cycle, ..Cpu::default() };
        if let Some(before) = kept {
            self.cpu.exception_handlers = before.exception_handlers;
            self.cpu.interrupt_handlers = before.interrupt_handlers;
            self.devices.keyboard = Default::default();
        } else {
            self.devices.reset();
            self.memory.reset(&self.image);
        }
    }

    /// Registers, flags, handlers, time.
    pub fn cpu(&self) -> &Cpu {
        &self.cpu
    }

    /// The faults of the original that this machine keeps.
    pub fn quirks(&self) -> Quirks {
        self.quirks
    }

    /// The image that was laid at address 0.
    pub fn image(&self) -> &[u8] {
        &self.image
    }

    /// One byte of plain memory (main memory or a screen), without any side effect.
    pub fn peek(&self, address: u32) -> Option<u8> {
        self.memory.load::<1>(address).map(|[byte]| byte)
    }

    /// Four bytes of plain memory, without any side effect.
    pub fn peek32(&self, address: u32) -> Option<u32> {
        self.memory.load::<4>(address).map(u32::from_le_bytes)
    }

    /// The instruction word at an address in plain memory.
    pub fn word(&self, address: u32) -> Option<Word> {
        self.memory.word(address).map(Word::decode)
    }

    /// The pixels: 320x200, four bytes R, G, B, A each, row by row.
    pub fn graphics(&self) -> &[u8] {
        self.memory.graphics()
    }

    /// The text cells: 80x25 Latin-1 bytes, row by row.
    pub fn text(&self) -> &[u8] {
        self.memory.text()
    }

    /// The video mode: 0 graphics, 1 text, others show what was shown before.
    pub fn video_mode(&self) -> u8 {
        self.devices.video[0]
    }

    /// The text screen as lines: Latin-1 made Unicode, 0 and control characters as spaces, ends trimmed.
    pub fn text_lines(&self) -> impl Iterator<Item = alloc::string::String> + '_ {
        self.text().chunks(crate::map::TEXT_COLUMNS as usize).map(|row| {
            let line: alloc::string::String = row
                .iter()
                .map(|&cell| if char::from(cell).is_control() { ' ' } else { char::from(cell) })
                .collect();
            line.trim_end().into()
        })
    }

    /// Whether the text screen is shown.
    pub fn shows_text(&self) -> bool {
        self.video_mode() == VIDEO_MODE_TEXT
    }

    /// The bytes of the block store.
    pub fn disk(&self) -> &[u8] {
        self.memory.disk()
    }

    /// Replaces the start of the block store, before the machine runs; what does not fit is left out.
    pub fn set_disk(&mut self, content: &[u8]) {
        self.memory.set_disk(content);
    }

    /// The levels at the 32 GPIO outputs.
    pub fn pins(&self) -> u32 {
        self.devices.gpio.output
    }

    /// The levels at the 32 GPIO inputs.
    pub fn input_pins(&self) -> u32 {
        self.devices.gpio.input
    }

    /// How many bytes the UART has sent since power-on.
    pub fn transmitted(&self) -> u64 {
        self.devices.uart.transmitted
    }

    /// Takes the bytes that the UART has sent since the last call. After time travel, bytes come again.
    pub fn take_output(&mut self) -> Vec<u8> {
        core::mem::take(&mut self.output)
    }

    /// Whether only an input can ever wake this machine: it sleeps and no timer runs.
    pub fn waits_for_input(&self) -> bool {
        self.cpu.power == crate::Power::Asleep
            && self.devices.timer.deadline.is_none()
            && self.devices.pending() == 0
    }

    /// Lets time pass for a machine that [`Machine::waits_for_input`], up to a cycle; for others it does nothing.
    pub fn pass(&mut self, until: u64) {
        if self.waits_for_input() {
            self.cpu.cycle = self.cpu.cycle.max(until);
        }
    }

    /// Whether the next instruction is where the debugger wants to stop.
    pub fn is_at_stop(&self) -> bool {
        self.cpu.power == crate::Power::Running && self.stops.contains(&self.cpu.ip())
    }

    /// Makes execution stop before the instruction at this address, or no longer.
    pub fn set_stop(&mut self, address: u32, is_wanted: bool) {
        let has_changed = if is_wanted { self.stops.insert(address) } else { self.stops.remove(&address) };
        if has_changed {
            self.memory.forget(address);
        }
    }
}

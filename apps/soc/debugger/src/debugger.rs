//! The debugger's state, what it can be told, and what it answers.

use crate::drive::Task;
use crate::expression::Expression;
use crate::output::Output;
use crate::points::{Access, Breakpoint, Points, Watchpoint};
use crate::timeline::Timeline;
use soc_assembler::{SourceLine, Symbols};
use soc_machine::isa::exception_meaning;
use soc_machine::{Bank, Input, Machine, Recording};
use std::fmt;

/// What the machine shall do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// Run until something stops it.
    Continue,
    /// This many instructions.
    Step(u64),
    /// One instruction; a call with all that it calls.
    StepOver,
    /// To behind the call that led here, or out of the interrupt handler.
    StepOut,
    /// To this address.
    RunTo(u32),
    /// This many instructions back.
    ReverseStep(u64),
    /// Back to the last breakpoint or watchpoint before, or to the beginning.
    ReverseContinue,
    /// To this cycle, in the past or in the future; breakpoints are passed over.
    GoTo(u64),
}

/// Why the machine stands still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// The goal is reached, or nothing was ever started.
    Done,
    Breakpoint(u32),
    /// The watchpoint's id and the address that was touched.
    Watchpoint(u32, u32),
    /// An exception that the program does not handle.
    Exception(u8),
    DoubleFault,
    /// The program has switched the machine off.
    Off(u32),
    /// The machine sleeps, and only an input could wake it.
    Asleep,
    /// There is no earlier time.
    Beginning,
    Cancelled,
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done => f.write_str("stopped"),
            Self::Breakpoint(id) => write!(f, "breakpoint {id}"),
            Self::Watchpoint(id, address) => write!(f, "watchpoint {id}: 0x{address:08x} was touched"),
            Self::Exception(number) => write!(f, "exception {number}: {}", exception_meaning(*number)),
            Self::DoubleFault => f.write_str("double fault: the machine was reset"),
            Self::Off(status) => write!(f, "switched off with status {status}"),
            Self::Asleep => f.write_str("asleep: only an input can wake the machine"),
            Self::Beginning => f.write_str("the beginning of time"),
            Self::Cancelled => f.write_str("cancelled"),
        }
    }
}

/// What [`Debugger::advance`] has come to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Progress {
    /// Not there yet: call again. For a search or a travel, how much of it is done, 0 to 1.
    Running(Option<f64>),
    Stopped(Stopped),
}

/// A machine with its past, its names and its points.
pub struct Debugger {
    pub(crate) machine: Machine,
    pub(crate) timeline: Timeline,
    pub(crate) points: Points,
    pub(crate) output: Output,
    pub(crate) task: Option<Task>,
    pub(crate) symbols: Symbols,
    pub(crate) lines: Vec<SourceLine>,
    pub(crate) last: Stopped,
}

impl Debugger {
    /// Takes over a machine; its time begins now.
    pub fn new(machine: Machine, symbols: Symbols, lines: Vec<SourceLine>) -> Self {
        Self::with_inputs(machine, symbols, lines, Vec::new())
    }

    /// Takes over a machine, with inputs that are known beforehand, by rising cycle.
    pub fn with_inputs(
        mut machine: Machine,
        symbols: Symbols,
        lines: Vec<SourceLine>,
        inputs: Vec<(u64, Input)>,
    ) -> Self {
        let output = Output::new(machine.transmitted());
        let timeline = Timeline::new(&mut machine, inputs);
        let points = Points::default();
        Self { machine, timeline, points, output, task: None, symbols, lines, last: Stopped::Done }
    }

    /// The machine as it is now.
    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    /// Names of addresses.
    pub fn symbols(&self) -> &Symbols {
        &self.symbols
    }

    /// The line of the source that made the bytes at an address.
    pub fn source_line(&self, address: u32) -> Option<&SourceLine> {
        let index = self.lines.partition_point(|line| line.address <= address).checked_sub(1)?;
        self.lines.get(index).filter(|line| address - line.address < line.len_bytes)
    }

    /// The lines of the source, by rising address.
    pub fn lines(&self) -> &[SourceLine] {
        &self.lines
    }

    /// Why the machine last stood still.
    pub fn last_stop(&self) -> Stopped {
        self.last
    }

    /// Whether a goal is being pursued.
    pub fn is_busy(&self) -> bool {
        self.task.is_some()
    }

    /// What the UART had sent by now; the oldest of very much is forgotten.
    pub fn output(&self) -> &[u8] {
        self.output.until(self.machine.transmitted())
    }

    /// Every input that is known, with its cycle.
    pub fn inputs(&self) -> &[(u64, Input)] {
        self.timeline.inputs()
    }

    /// The first cycle that one can go back to, and the last that is known of.
    pub fn known_time(&self) -> (u64, u64) {
        (self.timeline.start(), self.timeline.horizon().max(self.machine.cpu().cycle()))
    }

    /// Snapshots, and the bytes that they take.
    pub fn history_size(&self) -> (usize, usize) {
        (self.timeline.snapshots(), self.timeline.bytes())
    }

    /// All that is needed to repeat the run up to now. `disk` is what the block store held at power-on.
    pub fn recording(&self, seed: u64, disk: Vec<u8>) -> Recording {
        let now = self.machine.cpu().cycle();
        Recording {
            image: self.machine.image().to_vec(),
            quirks: self.machine.quirks(),
            seed,
            disk,
            inputs: self.timeline.inputs().iter().filter(|(cycle, _)| *cycle <= now).cloned().collect(),
            end: now,
        }
    }

    /// Gives an input now: from the world or as an edit. The future that was known is cut.
    ///
    /// A goal being pursued forwards goes on; a search or travel is cancelled first.
    pub fn give(&mut self, input: Input) {
        self.abandon_travel();
        self.timeline.give(&mut self.machine, input);
        self.output.cut(self.machine.transmitted());
    }

    /// Sets a register of the bank in use.
    pub fn set_register(&mut self, number: u8, value: u32) {
        let bank = self.machine.cpu().bank();
        self.set_bank_register(bank, number, value);
    }

    /// Sets a register of one bank.
    pub fn set_bank_register(&mut self, bank: Bank, number: u8, value: u32) {
        self.give(Input::Register { bank, number, value });
    }

    /// Writes plain memory; `false`, and nothing done, where some of it is none.
    pub fn set_memory(&mut self, address: u32, bytes: &[u8]) -> bool {
        let is_plain =
            (0u32..).zip(bytes).all(|(offset, _)| self.machine.peek(address.wrapping_add(offset)).is_some());
        if is_plain {
            self.give(Input::Memory { address, bytes: bytes.to_vec() });
        }
        is_plain
    }

    /// Sets a breakpoint; gives its id.
    pub fn set_breakpoint(&mut self, address: u32, condition: Option<Expression>) -> u32 {
        let id = self.points.next_id();
        self.points.breakpoints.push(Breakpoint { id, address, condition });
        self.machine.set_stop(address, true);
        id
    }

    /// Deletes the first breakpoint at an address, or sets one where there is none.
    pub fn toggle_breakpoint(&mut self, address: u32) {
        match self.points.breakpoints.iter().find(|point| point.address == address).map(|point| point.id) {
            Some(id) => drop(self.delete(id)),
            None => drop(self.set_breakpoint(address, None)),
        }
    }

    /// Sets a watchpoint; gives its id.
    pub fn set_watchpoint(&mut self, address: u32, len_bytes: u32, access: Access) -> u32 {
        let id = self.points.next_id();
        self.points.watchpoints.push(Watchpoint { id, address, len_bytes: len_bytes.max(1), access });
        id
    }

    /// Deletes a breakpoint or watchpoint; `false` where there is none with this id.
    pub fn delete(&mut self, id: u32) -> bool {
        let before = self.points.breakpoints.len() + self.points.watchpoints.len();
        self.points.watchpoints.retain(|point| point.id != id);
        let gone: Vec<u32> = self
            .points
            .breakpoints
            .iter()
            .filter(|point| point.id == id)
            .map(|point| point.address)
            .collect();
        self.points.breakpoints.retain(|point| point.id != id);
        for address in gone {
            self.release(address);
        }
        before != self.points.breakpoints.len() + self.points.watchpoints.len()
    }

    /// No longer stops at an address, unless a breakpoint is there.
    pub(crate) fn release(&mut self, address: u32) {
        if !self.points.breakpoints.iter().any(|point| point.address == address) {
            self.machine.set_stop(address, false);
        }
    }

    /// All breakpoints.
    pub fn breakpoints(&self) -> &[Breakpoint] {
        &self.points.breakpoints
    }

    /// All watchpoints.
    pub fn watchpoints(&self) -> &[Watchpoint] {
        &self.points.watchpoints
    }
}

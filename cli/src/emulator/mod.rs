//! QEMU: a machine is described by a builder, started, and ended when its handle is dropped.
//!
//! Start reading at [`Machine`]; [`options`](Machine::options) shows every option that QEMU is given and
//! [`running`] what can be done with a machine that runs. The second serial port always carries the report.

mod accelerator;
mod memory;
mod options;
pub mod running;

pub use memory::MemorySize;
pub use running::{Ended, Running};

use clap::ValueEnum;
use std::path::PathBuf;

/// The board that QEMU plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Board {
    /// A PC with PCI, SeaBIOS and ACPI.
    Q35,
    /// A small board for guests that want no PC: virtio over MMIO, no PCI.
    Microvm,
}

/// Where the first serial port, the guest's console, leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Console {
    /// The user's terminal; Ctrl-A X ends the machine, Ctrl-A C shows QEMU's monitor.
    Terminal,
    /// Standard input and output, every byte unchanged.
    Stdio,
    /// Standard output alone; nothing is typed.
    Output,
    /// A socket that [`Running::console`] reads and writes.
    Socket,
}

/// What the machine boots from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Boot {
    /// A kernel that QEMU loads itself (PVH, or Linux's own protocol), with an initramfs.
    Kernel { kernel: PathBuf, initramfs: Option<PathBuf> },
    /// A disc image that the firmware starts from.
    Disc(PathBuf),
}

/// What turns the machine on and brings its boot program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Firmware {
    /// The board's own.
    Default,
    /// A file that QEMU loads as the firmware.
    File(PathBuf),
}

/// How guest instructions become time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Time {
    /// The host's clock.
    Wall,
    /// One instruction is one nanosecond (`-icount`): counts repeat exactly. One processor only.
    Instructions,
}

/// A machine to be started.
#[derive(Debug, Clone)]
pub struct Machine {
    boot: Boot,
    board: Board,
    firmware: Firmware,
    processors: u32,
    memory: MemorySize,
    console: Console,
    cpu: Option<String>,
    time: Time,
    has_acpi: bool,
    waits_for_debugger: bool,
    words: Vec<String>,
    extra: Vec<String>,
}

impl Machine {
    /// A q35 board with one processor and 256 MiB, whose console is a socket.
    pub fn new(boot: Boot) -> Self {
        Self {
            boot,
            board: Board::Q35,
            firmware: Firmware::Default,
            processors: 1,
            memory: MemorySize::mebibytes(256),
            console: Console::Socket,
            cpu: None,
            time: Time::Wall,
            has_acpi: true,
            waits_for_debugger: false,
            words: Vec::new(),
            extra: Vec::new(),
        }
    }

    /// Chooses the board.
    pub fn board(mut self, board: Board) -> Self {
        self.board = board;
        self
    }

    /// Chooses the firmware.
    pub fn firmware(mut self, firmware: Firmware) -> Self {
        self.firmware = firmware;
        self
    }

    /// Sets the number of processors.
    pub fn smp(mut self, processors: u32) -> Self {
        self.processors = processors;
        self
    }

    /// Sets the size of the memory.
    pub fn memory(mut self, memory: MemorySize) -> Self {
        self.memory = memory;
        self
    }

    /// Chooses where the console leads.
    pub fn console(mut self, console: Console) -> Self {
        self.console = console;
        self
    }

    /// Sets the processor model; without it `host` under KVM and `max` under TCG.
    pub fn cpu(mut self, model: Option<String>) -> Self {
        self.cpu = model;
        self
    }

    /// Chooses what time is.
    pub fn time(mut self, time: Time) -> Self {
        self.time = time;
        self
    }

    /// Takes the ACPI tables away: processors are then found in the MP table. SeaBIOS makes tables of its own where QEMU gives
    /// none, so the kernel is told as well.
    pub fn without_acpi(mut self) -> Self {
        self.has_acpi = false;
        self.word("acpi=off")
    }

    /// Stops before the first instruction and listens for gdb on TCP port 1234.
    pub fn wait_for_debugger(mut self) -> Self {
        self.waits_for_debugger = true;
        self
    }

    /// Adds a word to the kernel's command line.
    pub fn word(mut self, word: impl Into<String>) -> Self {
        self.words.push(word.into());
        self
    }

    /// Adds options of QEMU's own: disks, cards.
    pub fn extra<S: Into<String>>(mut self, options: impl IntoIterator<Item = S>) -> Self {
        self.extra.extend(options.into_iter().map(Into::into));
        self
    }
}

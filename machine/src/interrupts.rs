//! Interrupts of devices: lines of the IO-APIC and messages.
//!
//! A handler runs with interrupts held off and does the least: it quietens its device and wakes a thread.

use alloc::boxed::Box;
use core::fmt;

use crate::arch;

/// Called in interrupt context; returns whether the device did want something (lines can be shared).
pub type Handler = Box<dyn Fn() -> bool + Send + Sync>;

/// How a line signals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// Active high edge, as ISA devices.
    Edge,
    /// Active low level, as PCI devices; shared.
    Level,
}

/// Why a handler could not be registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegisterError {
    /// No interrupt controller serves that line.
    NoSuchLine,
    /// All vectors are in use.
    NoVector,
    /// The line is in use with another trigger mode.
    Conflict,
}

impl fmt::Display for RegisterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoSuchLine => "no interrupt controller serves that line",
            Self::NoVector => "no interrupt vector is free",
            Self::Conflict => "the line is in use with another trigger mode",
        })
    }
}

/// A registered handler; dropping it masks the line (if nobody else uses it) and frees the vector.
pub struct Registration {
    _handler: arch::InterruptRegistration,
}

impl Registration {
    fn new(handler: arch::InterruptRegistration) -> Self {
        Self { _handler: handler }
    }
}

/// Where a device must send its message-signalled interrupt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// Bus address to write to.
    pub address: u64,
    /// What to write.
    pub data: u32,
}

/// Registers `handler` for global system interrupt `line` and unmasks it.
pub fn register_line(line: u32, trigger: Trigger, handler: Handler) -> Result<Registration, RegisterError> {
    arch::register_line(line, trigger, handler).map(Registration::new)
}

/// Registers `handler` for ISA interrupt `irq` (0 to 15), following the overrides of the MADT or the MP
/// table.
pub fn register_isa(irq: u8, handler: Handler) -> Result<Registration, RegisterError> {
    arch::register_isa(irq, handler).map(Registration::new)
}

/// Registers `handler` for a message of its own, delivered to processor `cpu`.
pub fn register_message(cpu: usize, handler: Handler) -> Result<(Registration, Message), RegisterError> {
    arch::register_message(cpu, handler)
        .map(|(registration, message)| (Registration::new(registration), message))
}

/// How often each vector or line has fired, for /proc/interrupts: name and counts by processor.
pub fn for_each_count(visit: impl FnMut(&str, &[u64])) {
    arch::for_each_interrupt_count(visit);
}

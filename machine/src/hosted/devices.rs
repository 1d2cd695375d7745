//! Devices that are not there, interrupt lines that a test can raise, and the end of the machine.

use std::boxed::Box;
use std::collections::BTreeMap;
use std::format;
use std::string::String;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::vec::Vec;

use formats::acpi::Tables;

use super::processor::{is_inside, lock};
use super::world::{self, random};
use crate::address::PhysicalAddress;
use crate::clock::{Refinement, TscScale};
use crate::firmware::Reader;
use crate::interrupts::{Handler, Message, RegisterError, Trigger};
use crate::io::IoError;
use crate::vdso::Vdso;

/// Where the numbers of messages begin; lines are below.
const FIRST_MESSAGE: u32 = 256;
/// Lines that the imagined interrupt controller serves.
const LINES: u32 = 24;

struct Line {
    trigger: Trigger,
    handlers: Vec<(u64, Arc<Handler>)>,
    count: u64,
}

static LINES_IN_USE: Mutex<BTreeMap<u32, Line>> = Mutex::new(BTreeMap::new());
static NEXT_HANDLER: AtomicU64 = AtomicU64::new(1);
static CONSOLE: Mutex<Vec<u8>> = Mutex::new(Vec::new());
/// What was given to `debug_exit` last; negative for nothing.
static EXIT_CODE: AtomicI32 = AtomicI32::new(-1);
static PORTS: Mutex<Vec<(u16, u16)>> = Mutex::new(Vec::new());

/// What has been written to the console.
pub fn console_output() -> Vec<u8> {
    lock(&CONSOLE).clone()
}

/// The code given to [`power::debug_exit`](crate::power::debug_exit), if it has been called.
pub fn exit_code() -> Option<u8> {
    u8::try_from(EXIT_CODE.load(Relaxed)).ok()
}

/// Raises a line (or the message whose data is `line`) on processor `cpu`; its handlers run there at its
/// next point at which it has interrupts enabled. A line that nobody has registered does nothing, as if it
/// were masked.
pub fn raise_line(cpu: usize, line: u32) {
    world::interrupt(cpu, move || {
        let handlers: Vec<_> = match lock(&LINES_IN_USE).get_mut(&line) {
            Some(line) => {
                line.count += 1;
                line.handlers.iter().map(|(_, handler)| handler.clone()).collect()
            }
            None => Vec::new(),
        };
        for handler in handlers {
            handler();
        }
    });
}

pub(crate) struct InterruptRegistration {
    line: u32,
    id: u64,
}

impl Drop for InterruptRegistration {
    fn drop(&mut self) {
        let mut lines = lock(&LINES_IN_USE);
        if let Some(line) = lines.get_mut(&self.line) {
            line.handlers.retain(|(id, _)| *id != self.id);
            if line.handlers.is_empty() {
                lines.remove(&self.line);
            }
        }
    }
}

fn register(line: u32, trigger: Trigger, handler: Handler) -> Result<InterruptRegistration, RegisterError> {
    let mut lines = lock(&LINES_IN_USE);
    let entry = lines.entry(line).or_insert(Line { trigger, handlers: Vec::new(), count: 0 });
    if entry.trigger != trigger {
        return Err(RegisterError::Conflict);
    }
    let id = NEXT_HANDLER.fetch_add(1, Relaxed);
    entry.handlers.push((id, Arc::new(handler)));
    Ok(InterruptRegistration { line, id })
}

pub(crate) fn register_line(
    line: u32,
    trigger: Trigger,
    handler: Handler,
) -> Result<InterruptRegistration, RegisterError> {
    if line >= LINES { Err(RegisterError::NoSuchLine) } else { register(line, trigger, handler) }
}

pub(crate) fn register_isa(irq: u8, handler: Handler) -> Result<InterruptRegistration, RegisterError> {
    if irq >= 16 { Err(RegisterError::NoSuchLine) } else { register(irq.into(), Trigger::Edge, handler) }
}

pub(crate) fn register_message(
    _cpu: usize,
    handler: Handler,
) -> Result<(InterruptRegistration, Message), RegisterError> {
    let highest = lock(&LINES_IN_USE).keys().next_back().copied().unwrap_or(0);
    let line = FIRST_MESSAGE.max(highest + 1);
    Ok((register(line, Trigger::Edge, handler)?, Message { address: 0xfee0_0000, data: line }))
}

pub(crate) fn for_each_interrupt_count(mut visit: impl FnMut(&str, &[u64])) {
    for (number, line) in lock(&LINES_IN_USE).iter() {
        visit(&format!("{number}"), &[line.count]);
    }
}

pub(crate) fn take_ports(first: u16, len: u16) -> Result<(), IoError> {
    let end = first.checked_add(len).ok_or(IoError::BadRange)?;
    if len == 0 {
        return Err(IoError::BadRange);
    }
    let mut ports = lock(&PORTS);
    if ports.iter().any(|&(other, len)| first < other + len && other < end) {
        return Err(IoError::Taken);
    }
    ports.push((first, len));
    Ok(())
}

pub(crate) fn release_ports(first: u16, len: u16) {
    lock(&PORTS).retain(|&range| range != (first, len));
}

pub(crate) unsafe fn port_in_u8(_port: u16) -> u8 {
    u8::MAX
}
pub(crate) unsafe fn port_in_u16(_port: u16) -> u16 {
    u16::MAX
}
pub(crate) unsafe fn port_in_u32(_port: u16) -> u32 {
    u32::MAX
}
pub(crate) unsafe fn port_out_u8(_port: u16, _value: u8) {}
pub(crate) unsafe fn port_out_u16(_port: u16, _value: u16) {}
pub(crate) unsafe fn port_out_u32(_port: u16, _value: u32) {}

/// Device memory that is zero until it is written.
pub(crate) struct IoMapping {
    /// Never seen through a reference: words of the widest register.
    words: *mut [u64],
}

// SAFETY: the memory is only used through volatile accesses of `IoMemory`, like a device's.
unsafe impl Send for IoMapping {}
// SAFETY: as above.
unsafe impl Sync for IoMapping {}

impl IoMapping {
    pub fn pointer(&self) -> *mut u8 {
        self.words.cast()
    }
}

impl Drop for IoMapping {
    fn drop(&mut self) {
        // SAFETY: made by `Box::into_raw` in `map_io`, and dropped once.
        drop(unsafe { Box::from_raw(self.words) });
    }
}

pub(crate) fn map_io(start: PhysicalAddress, len: usize) -> Result<IoMapping, IoError> {
    if len == 0 || start.0.checked_add(len as u64).is_none() {
        return Err(IoError::BadRange);
    }
    let words: Box<[u64]> = core::iter::repeat_n(0, len.div_ceil(8)).collect();
    Ok(IoMapping { words: Box::into_raw(words) })
}

pub(crate) fn read_firmware(_address: PhysicalAddress, _into: &mut [u8]) -> bool {
    false
}

pub(crate) fn acpi_tables() -> Option<Tables<'static, Reader>> {
    None
}

pub(crate) fn cpu_brand() -> String {
    "hosted".into()
}

pub(crate) fn has_meltdown_flaw() -> bool {
    false
}

pub(crate) fn console_write(bytes: &[u8]) {
    lock(&CONSOLE).extend_from_slice(bytes);
}

pub(crate) fn debug_exit(code: u8) {
    EXIT_CODE.store(code.into(), Relaxed);
}

pub(crate) fn stop() -> ! {
    end("the machine was stopped")
}

pub(crate) fn reset() -> ! {
    end("the machine was reset")
}

fn end(why: &'static str) -> ! {
    if is_inside() { world::end(Err(Box::new(why))) } else { panic!("{why}") }
}

pub(crate) fn boot_time_ns() -> Option<u64> {
    Some(BOOT_TIME_NS)
}

/// 2026-01-01 00:00:00 UTC.
const BOOT_TIME_NS: u64 = 1_767_225_600_000_000_000;
static WALL_OFFSET_NS: AtomicU64 = AtomicU64::new(BOOT_TIME_NS);

pub(crate) fn wall_offset_ns() -> u64 {
    WALL_OFFSET_NS.load(Relaxed)
}

pub(crate) fn set_wall_offset_ns(offset_ns: u64) {
    WALL_OFFSET_NS.store(offset_ns, Relaxed);
}

/// Programs have a script here and no code.
pub(crate) fn vdso() -> Option<Vdso> {
    None
}

pub(crate) fn refine_clock() -> Refinement {
    Refinement::Impossible
}

pub(crate) fn tsc_scale() -> Option<TscScale> {
    None
}

pub(crate) fn clock_reference_name() -> &'static str {
    "virtual time"
}

pub(crate) fn clock_source_name() -> &'static str {
    "virtual"
}

pub(crate) fn random_u64() -> Option<u64> {
    Some(random())
}

pub(crate) fn cycles() -> u64 {
    world::now_ns()
}

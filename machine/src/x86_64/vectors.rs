//! Interrupt vectors: who gets which, and what happens when one fires.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

use super::local::{local, local_of};
use super::{apic, clock, firmware, ioapic, tlb};
use crate::cpu::{self, PerCpu};
use crate::interrupts::{Handler, Message, RegisterError, Trigger};
use crate::sync::{Irq, Once, Rank, RcuCell, SpinLock, disable_preemption};

/// Vectors for devices.
const FIRST_DEVICE: u8 = 0x30;
const LAST_DEVICE: u8 = 0xef;

type Handlers = Vec<Arc<Handler>>;

/// What is called for each vector; filled when first used.
static HANDLERS: [Once<RcuCell<Handlers>>; 256] = [const { Once::new() }; 256];
/// How often each vector fired on each processor.
static COUNTS: PerCpu<Counts> = PerCpu::new();
static STATE: SpinLock<State, Irq> =
    SpinLock::new(Rank::Device, State { lines: BTreeMap::new(), used: [0; 4] });

struct Counts([AtomicU64; 256]);

struct State {
    lines: BTreeMap<u32, Line>,
    /// Bit n: vector n is given out.
    used: [u64; 4],
}

struct Line {
    vector: u8,
    trigger: Trigger,
    users: usize,
}

/// A handler in use; see [`crate::interrupts::Registration`].
pub struct InterruptRegistration {
    vector: u8,
    line: Option<u32>,
    handler: Arc<Handler>,
}

impl State {
    fn take_vector(&mut self) -> Result<u8, RegisterError> {
        let vector = (FIRST_DEVICE..=LAST_DEVICE)
            .find(|&vector| self.used[usize::from(vector / 64)] & 1 << (vector % 64) == 0)
            .ok_or(RegisterError::NoVector)?;
        self.used[usize::from(vector / 64)] |= 1 << (vector % 64);
        Ok(vector)
    }

    fn give_back(&mut self, vector: u8) {
        self.used[usize::from(vector / 64)] &= !(1 << (vector % 64));
    }
}

/// Makes the counters, when the processors have been counted.
pub fn init() {
    COUNTS.init(|_| Counts([const { AtomicU64::new(0) }; 256]));
}

/// Handles an interrupt: interrupts are off, and the depth says that one is being handled.
pub fn dispatch(vector: u8) {
    if COUNTS.is_ready() {
        COUNTS.on(local().index as usize).0[usize::from(vector)].fetch_add(1, Ordering::Relaxed);
    }
    match vector {
        apic::VECTOR_TIMER => {
            apic::end_of_interrupt();
            clock::on_timer();
        }
        apic::VECTOR_RESCHEDULE => {
            apic::end_of_interrupt();
            super::request_reschedule();
        }
        apic::VECTOR_FLUSH => {
            apic::end_of_interrupt();
            tlb::answer_if_asked();
        }
        apic::VECTOR_ERROR => {
            let _ = apic::take_errors();
            apic::end_of_interrupt();
        }
        // The controller takes no acknowledgement for a spurious one.
        apic::VECTOR_SPURIOUS => {}
        vector => {
            let guard = disable_preemption();
            if let Some(cell) = HANDLERS[usize::from(vector)].get() {
                for handler in cell.read(&guard) {
                    handler();
                }
            }
            drop(guard);
            apic::end_of_interrupt();
        }
    }
}

fn add_handler(vector: u8, handler: Arc<Handler>) {
    let slot = &HANDLERS[usize::from(vector)];
    match slot.get() {
        Some(cell) => {
            let mut handlers = (*cell.get()).clone();
            handlers.push(handler);
            cell.replace(Arc::new(handlers));
        }
        None => {
            // Changes are made under the lock of `STATE`.
            let _ = slot.set(RcuCell::new(Arc::new(Vec::from([handler]))));
        }
    }
}

fn remove_handler(vector: u8, handler: &Arc<Handler>) {
    if let Some(cell) = HANDLERS[usize::from(vector)].get() {
        let mut handlers = (*cell.get()).clone();
        handlers.retain(|other| !Arc::ptr_eq(other, handler));
        cell.replace(Arc::new(handlers));
    }
}

pub fn register_line(
    line: u32,
    trigger: Trigger,
    handler: Handler,
) -> Result<InterruptRegistration, RegisterError> {
    let is_active_low = trigger == Trigger::Level;
    register(line, trigger, is_active_low, handler)
}

pub fn register_isa(irq: u8, handler: Handler) -> Result<InterruptRegistration, RegisterError> {
    let (line, trigger, is_active_low) = firmware::isa_line(irq);
    register(line, trigger, is_active_low, handler)
}

fn register(
    line: u32,
    trigger: Trigger,
    is_active_low: bool,
    handler: Handler,
) -> Result<InterruptRegistration, RegisterError> {
    if !ioapic::has_line(line) {
        return Err(RegisterError::NoSuchLine);
    }
    let handler = Arc::new(handler);
    let mut state = STATE.lock();
    let vector = match state.lines.get_mut(&line) {
        Some(known) if known.trigger != trigger => return Err(RegisterError::Conflict),
        Some(known) => {
            known.users += 1;
            known.vector
        }
        None => {
            let vector = state.take_vector()?;
            state.lines.insert(line, Line { vector, trigger, users: 1 });
            vector
        }
    };
    add_handler(vector, Arc::clone(&handler));
    let target = local_of(0).map_or(0, |boot| boot.apic_id.load(Ordering::Relaxed));
    ioapic::route(line, vector, trigger, is_active_low, target);
    Ok(InterruptRegistration { vector, line: Some(line), handler })
}

pub fn register_message(
    cpu: usize,
    handler: Handler,
) -> Result<(InterruptRegistration, Message), RegisterError> {
    let handler = Arc::new(handler);
    let mut state = STATE.lock();
    let vector = state.take_vector()?;
    add_handler(vector, Arc::clone(&handler));
    let target = local_of(cpu).map_or(0, |local| local.apic_id.load(Ordering::Relaxed));
    // Intel SDM vol. 3, 11.11: fixed delivery, edge.
    let message = Message { address: 0xfee0_0000 | u64::from(target & 0xff) << 12, data: vector.into() };
    Ok((InterruptRegistration { vector, line: None, handler }, message))
}

impl Drop for InterruptRegistration {
    fn drop(&mut self) {
        let mut state = STATE.lock();
        remove_handler(self.vector, &self.handler);
        let is_last = match self.line {
            None => true,
            Some(line) => {
                let users = state.lines.get_mut(&line).map_or(0, |known| {
                    known.users -= 1;
                    known.users
                });
                if users == 0 {
                    ioapic::mask(line);
                    state.lines.remove(&line);
                }
                users == 0
            }
        };
        if is_last {
            state.give_back(self.vector);
        }
    }
}

pub fn for_each_interrupt_count(mut visit: impl FnMut(&str, &[u64])) {
    let lines: Vec<(u8, Box<str>)> = {
        let state = STATE.lock();
        state.lines.iter().map(|(line, known)| (known.vector, format!("{line}").into_boxed_str())).collect()
    };
    let mut show = |vector: u8, name: &str| {
        let counts: Vec<u64> = (0..cpu::count())
            .map(|cpu| {
                if COUNTS.is_ready() {
                    COUNTS.on(cpu).0[usize::from(vector)].load(Ordering::Relaxed)
                } else {
                    0
                }
            })
            .collect();
        visit(name, &counts);
    };
    for (vector, name) in lines {
        show(vector, &name);
    }
    for (vector, name) in [
        (apic::VECTOR_TIMER, "LOC"),
        (apic::VECTOR_RESCHEDULE, "RES"),
        (apic::VECTOR_FLUSH, "TLB"),
        (apic::VECTOR_ERROR, "ERR"),
    ] {
        show(vector, name);
    }
}

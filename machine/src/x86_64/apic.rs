//! The local interrupt controller of each processor: interprocessor interrupts and the timer (Intel SDM vol.
//! 3, chapter 11).

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::cpuid::features;
use super::local::{Local, local, local_of};
use super::memory::{IoMapping, map_device};
use super::{clock, instructions, request_reschedule};
use crate::address::PhysicalAddress;
use crate::frame::OutOfMemory;
use crate::sync::Once;

pub const VECTOR_TIMER: u8 = 0xf0;
pub const VECTOR_RESCHEDULE: u8 = 0xf1;
pub const VECTOR_FLUSH: u8 = 0xf2;
pub const VECTOR_ERROR: u8 = 0xfe;
pub const VECTOR_SPURIOUS: u8 = 0xff;

const ID: u32 = 0x20;
const END_OF_INTERRUPT: u32 = 0xb0;
const SPURIOUS: u32 = 0xf0;
const ERROR_STATUS: u32 = 0x280;
const COMMAND_LOW: u32 = 0x300;
const COMMAND_HIGH: u32 = 0x310;
const LVT_TIMER: u32 = 0x320;
const LVT_LINT0: u32 = 0x350;
const LVT_LINT1: u32 = 0x360;
const LVT_ERROR: u32 = 0x370;
const TIMER_INITIAL: u32 = 0x380;
const TIMER_CURRENT: u32 = 0x390;
const TIMER_DIVIDE: u32 = 0x3e0;

const MASKED: u32 = 1 << 16;
const DELIVERY_NMI: u32 = 0b100 << 8;
const DELIVERY_INIT: u32 = 0b101 << 8;
const DELIVERY_STARTUP: u32 = 0b110 << 8;
const LEVEL_ASSERT: u32 = 1 << 14;
const COMMAND_PENDING: u32 = 1 << 12;
const TIMER_TSC_DEADLINE: u32 = 0b10 << 17;

const MSR_APIC_BASE: u32 = 0x1b;
const MSR_TSC_DEADLINE: u32 = 0x6e0;
const X2APIC_ENABLE: u64 = 1 << 10;

static REGISTERS: Once<IoMapping> = Once::new();
static IS_X2: AtomicBool = AtomicBool::new(false);
/// Timer ticks in 2^32 nanoseconds, at divide by 1.
static TIMER_RATE: AtomicU64 = AtomicU64::new(0);

fn read(register: u32) -> u32 {
    if IS_X2.load(Ordering::Relaxed) {
        // SAFETY: in x2APIC mode every register used here is the MSR at 0x800 + number / 16.
        return unsafe { instructions::read_msr(0x800 + register / 16) } as u32;
    }
    match REGISTERS.get() {
        // SAFETY: the mapping is the controller's page; the offset is that of an aligned register.
        Some(mapping) => unsafe { mapping.pointer().add(register as usize).cast::<u32>().read_volatile() },
        None => 0,
    }
}

fn write(register: u32, value: u32) {
    if IS_X2.load(Ordering::Relaxed) {
        // SAFETY: as in `read`. What is written only makes interrupts that the kernel has gates for.
        unsafe { instructions::write_msr(0x800 + register / 16, value.into()) };
    } else if let Some(mapping) = REGISTERS.get() {
        // SAFETY: as in `read`.
        unsafe { mapping.pointer().add(register as usize).cast::<u32>().write_volatile(value) };
    }
}

/// Finds the controller; on the boot processor, once.
pub fn init(address: PhysicalAddress) -> Result<(), OutOfMemory> {
    if features().x2apic {
        IS_X2.store(true, Ordering::Relaxed);
    } else if REGISTERS.get().is_none() {
        // Nobody else runs yet.
        let _ = REGISTERS.set(map_device(address, 4096)?);
    }
    Ok(())
}

/// Switches the calling processor's controller on, with the timer masked until it is armed.
pub fn enable() {
    if IS_X2.load(Ordering::Relaxed) {
        // SAFETY: CPUID reports x2APIC; the transition from xAPIC mode is allowed.
        unsafe {
            let base = instructions::read_msr(MSR_APIC_BASE);
            instructions::write_msr(MSR_APIC_BASE, base | X2APIC_ENABLE | 1 << 11);
        }
    }
    write(SPURIOUS, 0x100 | u32::from(VECTOR_SPURIOUS));
    write(LVT_ERROR, VECTOR_ERROR.into());
    write(LVT_LINT0, MASKED);
    write(LVT_LINT1, DELIVERY_NMI);
    write(TIMER_DIVIDE, 0b1011);
    write(LVT_TIMER, MASKED | u32::from(VECTOR_TIMER));
    if features().tsc_deadline {
        write(LVT_TIMER, TIMER_TSC_DEADLINE | u32::from(VECTOR_TIMER));
    }
    write(ERROR_STATUS, 0);
    end_of_interrupt();
}

/// The calling processor's id.
pub fn id() -> u32 {
    let id = read(ID);
    if IS_X2.load(Ordering::Relaxed) { id } else { id >> 24 }
}

/// Says that the interrupt being handled is done with.
#[inline]
pub fn end_of_interrupt() {
    write(END_OF_INTERRUPT, 0);
}

/// Clears and returns the controller's errors.
pub fn take_errors() -> u32 {
    write(ERROR_STATUS, 0);
    read(ERROR_STATUS)
}

fn send(apic_id: u32, command: u32) {
    let flags = instructions::flags();
    // The two halves of the command belong together.
    instructions::disable_interrupts();
    if IS_X2.load(Ordering::Relaxed) {
        // SAFETY: the command register of x2APIC mode; interrupts sent are ones that the kernel has gates
        // for, or start-up commands of `smp`.
        unsafe { instructions::write_msr(0x830, u64::from(apic_id) << 32 | u64::from(command)) };
    } else {
        write(COMMAND_HIGH, apic_id << 24);
        write(COMMAND_LOW, command);
        while read(COMMAND_LOW) & COMMAND_PENDING != 0 {
            core::hint::spin_loop();
        }
    }
    if flags & instructions::FLAG_INTERRUPT != 0 {
        instructions::enable_interrupts();
    }
}

/// Resets the processor with that id.
pub fn send_init(apic_id: u32) {
    send(apic_id, DELIVERY_INIT | LEVEL_ASSERT);
}

/// Starts the processor with that id at `page << 12`, in real mode.
pub fn send_startup(apic_id: u32, page: u8) {
    send(apic_id, DELIVERY_STARTUP | LEVEL_ASSERT | u32::from(page));
}

/// Stops another processor for good.
pub fn send_stop(other: &Local) {
    send(other.apic_id.load(Ordering::Relaxed), DELIVERY_NMI | LEVEL_ASSERT);
}

/// Makes another processor look at its mailbox.
pub fn send_flush(other: &Local) {
    send(other.apic_id.load(Ordering::Relaxed), LEVEL_ASSERT | u32::from(VECTOR_FLUSH));
}

/// See [`crate::cpu::send_reschedule`].
pub fn send_reschedule(cpu: usize) {
    let _guard = crate::sync::disable_preemption();
    if cpu == local().index as usize {
        request_reschedule();
    } else if let Some(other) = local_of(cpu) {
        send(other.apic_id.load(Ordering::Relaxed), LEVEL_ASSERT | u32::from(VECTOR_RESCHEDULE));
    }
}

/// Starts the timer's longest count, to be measured.
pub fn start_measuring() {
    write(TIMER_INITIAL, u32::MAX);
}

/// Ticks since [`start_measuring`].
pub fn measured_ticks() -> u32 {
    u32::MAX - read(TIMER_CURRENT)
}

/// Ends the measurement: the timer makes `ticks` in a second.
pub fn set_timer_rate(ticks: u64) {
    write(TIMER_INITIAL, 0);
    let rate = (u128::from(ticks) << 32) / 1_000_000_000;
    TIMER_RATE.store(rate as u64, Ordering::Relaxed);
}

/// Makes the timer interrupt in `ns` nanoseconds (or a little later; at the latest when its counter ends, to
/// be set again).
pub fn arm_timer(ns: u64) {
    if features().tsc_deadline {
        // SAFETY: CPUID reports the register; a past value interrupts at once.
        unsafe {
            instructions::write_msr(MSR_TSC_DEADLINE, instructions::read_tsc() + clock::ns_to_ticks(ns))
        };
        return;
    }
    let ticks = (u128::from(ns) * u128::from(TIMER_RATE.load(Ordering::Relaxed))) >> 32;
    write(LVT_TIMER, VECTOR_TIMER.into());
    write(TIMER_INITIAL, u32::try_from(ticks).unwrap_or(u32::MAX).max(1));
}

//! I/O ports: those of the machine itself, and giving the others to drivers.

use alloc::collections::BTreeMap;
use core::arch::asm;

use super::local::local;
use super::{apic, instructions};
use crate::cpu;
use crate::io::IoError;
use crate::sync::{Irq, Rank, SpinLock};

/// Reads a byte.
///
/// # Safety
/// Reading the port has no effect that the kernel relies on not happening.
#[inline]
pub unsafe fn port_in_u8(port: u16) -> u8 {
    let value: u8;
    // SAFETY: the caller vouches for the port.
    unsafe { asm!("in al, dx", in("dx") port, out("al") value, options(nostack, preserves_flags)) };
    value
}

/// Writes a byte.
///
/// # Safety
/// Writing the port cannot change memory or what the kernel relies on.
#[inline]
pub unsafe fn port_out_u8(port: u16, value: u8) {
    // SAFETY: the caller vouches for the port.
    unsafe { asm!("out dx, al", in("dx") port, in("al") value, options(nostack, preserves_flags)) };
}

/// Reads 16 bits.
///
/// # Safety
/// As for [`port_in_u8`].
#[inline]
pub unsafe fn port_in_u16(port: u16) -> u16 {
    let value: u16;
    // SAFETY: the caller vouches for the port.
    unsafe { asm!("in ax, dx", in("dx") port, out("ax") value, options(nostack, preserves_flags)) };
    value
}

/// Writes 16 bits.
///
/// # Safety
/// As for [`port_out_u8`].
#[inline]
pub unsafe fn port_out_u16(port: u16, value: u16) {
    // SAFETY: the caller vouches for the port.
    unsafe { asm!("out dx, ax", in("dx") port, in("ax") value, options(nostack, preserves_flags)) };
}

/// Reads 32 bits.
///
/// # Safety
/// As for [`port_in_u8`].
#[inline]
pub unsafe fn port_in_u32(port: u16) -> u32 {
    let value: u32;
    // SAFETY: the caller vouches for the port.
    unsafe { asm!("in eax, dx", in("dx") port, out("eax") value, options(nostack, preserves_flags)) };
    value
}

/// Writes 32 bits.
///
/// # Safety
/// As for [`port_out_u8`].
#[inline]
pub unsafe fn port_out_u32(port: u16, value: u32) {
    // SAFETY: the caller vouches for the port.
    unsafe { asm!("out dx, eax", in("dx") port, in("eax") value, options(nostack, preserves_flags)) };
}

/// The machine's own ports: first and last.
const RESERVED: [(u16, u16); 7] = [
    (0x20, 0x21),   // PIC
    (0x40, 0x43),   // 8254
    (0x61, 0x61),   // its gate
    (0x70, 0x71),   // real-time clock and NMI mask: through `read_rtc`
    (0xa0, 0xa1),   // PIC
    (0xf4, 0xf7),   // debug exit
    (0xcf8, 0xcff), // PCI configuration
];

/// Ranges in use: first port to length.
static TAKEN: SpinLock<BTreeMap<u16, u16>, Irq> = SpinLock::new(Rank::Device, BTreeMap::new());

pub fn take_ports(first: u16, len: u16) -> Result<(), IoError> {
    let last = len.checked_sub(1).and_then(|more| first.checked_add(more)).ok_or(IoError::BadRange)?;
    if RESERVED.iter().any(|&(start, end)| first <= end && start <= last) {
        return Err(IoError::Reserved);
    }
    let mut taken = TAKEN.lock();
    let is_taken = taken.range(..=last).next_back().is_some_and(|(&start, &len)| start + (len - 1) >= first);
    if is_taken {
        return Err(IoError::Taken);
    }
    taken.insert(first, len);
    Ok(())
}

pub fn release_ports(first: u16, _: u16) {
    TAKEN.lock().remove(&first);
}

/// The first serial port, by its name on PCs.
const COM1: u16 = 0x3f8;

/// Writes to the first serial port, waiting for room; gives up on a port that never has any.
pub fn console_write(bytes: &[u8]) {
    for &byte in bytes {
        if byte == b'\n' {
            console_put(b'\r');
        }
        console_put(byte);
    }
}

fn console_put(byte: u8) {
    // SAFETY: the 16550's line status (bit 5: room) and data registers; they change nothing but the line.
    unsafe {
        for _ in 0..100_000 {
            if port_in_u8(COM1 + 5) & 1 << 5 != 0 {
                break;
            }
            core::hint::spin_loop();
        }
        port_out_u8(COM1, byte);
    }
}

/// Sets the first serial port to 115200 baud, 8N1, with its FIFO on.
pub fn console_init() {
    for (offset, value) in [(1, 0), (3, 0x80), (0, 1), (1, 0), (3, 3), (2, 7), (4, 0xb)] {
        // SAFETY: registers of the 16550 at COM1 (divisor 1; interrupts off until the driver wants them).
        unsafe { port_out_u8(COM1 + offset, value) };
    }
}

/// Masks both PICs: the IO-APIC delivers. Their vectors are moved away from the exceptions first, for a
/// spurious one.
pub fn disable_pic() {
    for (port, value) in [
        (0x20, 0x11),
        (0xa0, 0x11),
        (0x21, 0x20),
        (0xa1, 0x28),
        (0x21, 4),
        (0xa1, 2),
        (0x21, 1),
        (0xa1, 1),
        (0x21, 0xff),
        (0xa1, 0xff),
    ] {
        // SAFETY: the initialisation sequence of the 8259A; afterwards it is silent.
        unsafe { port_out_u8(port, value) };
    }
}

/// Starts channel 0 of the 8254 counting down from 65536 over and over (mode 2).
pub fn pit_start() {
    for (port, value) in [(0x43, 0x34), (0x40, 0), (0x40, 0)] {
        // SAFETY: the timer's line is masked in the PIC and unused in the IO-APIC.
        unsafe { port_out_u8(port, value) };
    }
}

/// The count of channel 0, through its latch.
pub fn pit_count() -> u16 {
    // SAFETY: latching and reading changes nothing else.
    unsafe {
        port_out_u8(0x43, 0);
        u16::from(port_in_u8(0x40)) | u16::from(port_in_u8(0x40)) << 8
    }
}

fn rtc_register(register: u8) -> u8 {
    // SAFETY: port 0x70 selects a register of the clock (bit 7 clear: NMI stays on), 0x71 reads it.
    unsafe {
        port_out_u8(0x70, register);
        port_in_u8(0x71)
    }
}

/// The seconds register, for measuring.
pub fn rtc_second() -> u8 {
    rtc_register(0)
}

/// Seconds since 1970 by the real-time clock, which is taken to run in UTC. `None` where it makes no sense.
pub fn read_rtc() -> Option<u64> {
    // Registers 0 2 4 7 8 9 50: second to year and century; A bit 7: an update is going on; B: formats
    // (MC146818A data sheet).
    let sample = || {
        let mut patience = 1_000_000;
        while rtc_register(0xa) & 0x80 != 0 && patience > 0 {
            patience -= 1;
        }
        [0, 2, 4, 7, 8, 9, 0x32].map(rtc_register)
    };
    let mut time = sample();
    for _ in 0..10 {
        let again = sample();
        if again == time {
            break;
        }
        time = again;
    }
    let format = rtc_register(0xb);
    let is_binary = format & 4 != 0;
    let number = |byte: u8| u64::from(if is_binary { byte } else { (byte >> 4) * 10 + (byte & 15) });
    let [second, minute, hour, day, month, year, century] = time;
    let is_afternoon = format & 2 == 0 && hour & 0x80 != 0;
    let mut hour = number(hour & 0x7f);
    if format & 2 == 0 {
        hour = hour % 12 + if is_afternoon { 12 } else { 0 };
    }
    let century = match number(century) {
        century @ 19..=29 => century,
        _ => 20,
    };
    let year = century * 100 + number(year);
    let (month, day) = (number(month), number(day));
    let is_sane = (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && number(minute) < 60
        && number(second) < 62;
    if !is_sane || year < 1970 {
        return None;
    }
    // Days from the civil calendar: years start in March, so that the leap day is the last.
    let (shifted_year, shifted_month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = shifted_year * 365 + shifted_year / 4 - shifted_year / 100
        + shifted_year / 400
        + (shifted_month * 153 + 2) / 5
        + day
        - 1;
    let days = days.checked_sub(719_468)?;
    Some(days * 86_400 + hour * 3600 + number(minute) * 60 + number(second))
}

pub fn debug_exit(code: u8) {
    // SAFETY: QEMU's isa-debug-exit ends the emulator; elsewhere nothing listens at that port.
    unsafe { port_out_u32(0xf4, code.into()) };
}

pub fn reset() -> ! {
    instructions::disable_interrupts();
    for _ in 0..1000 {
        // SAFETY: the keyboard controller's reset pulse; nothing of this machine's state matters any more.
        unsafe { port_out_u8(0x64, 0xfe) };
    }
    #[repr(C, packed)]
    struct Empty(u16, u64);
    let empty = Empty(0, 0);
    // SAFETY: with an empty table the trap becomes a triple fault, which resets the machine.
    unsafe { asm!("lidt [{}]", "int3", in(reg) &empty, options(noreturn)) };
}

pub fn stop() -> ! {
    instructions::disable_interrupts();
    let me = local().index as usize;
    for other in (0..cpu::count()).filter(|&cpu| cpu != me).filter_map(super::local::local_of) {
        apic::send_stop(other);
    }
    loop {
        instructions::halt();
    }
}

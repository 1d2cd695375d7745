//! Turning the machine off and on again by ACPI (ACPI 6.5, 4.8.3, 7.4.2 and 16.1.7).

use formats::acpi::{AddressSpace, Fadt, Register, SleepType};
use machine::address::PhysicalAddress;
use machine::firmware::acpi_tables;
use machine::io::{IoMemory, IoPorts};

/// Bit of the PM1 control registers that starts the transition, and where its type goes.
const PM1_SLEEP_ENABLE: u16 = 1 << 13;
const PM1_SLEEP_TYPE: u32 = 10;
/// Power management is the system's, not the firmware's.
const PM1_SCI_ENABLE: u16 = 1;
/// The same of the sleep control register of hardware-reduced machines.
const SLEEP_ENABLE: u8 = 1 << 5;
const SLEEP_TYPE: u32 = 2;

/// How long the machine may take.
const PATIENCE: u32 = 10_000_000;

fn port(register: Option<Register>) -> Option<u16> {
    let register = register.filter(|register| register.space == AddressSpace::Port)?;
    u16::try_from(register.address).ok()
}

fn wait() {
    (0..PATIENCE).for_each(|_| core::hint::spin_loop());
}

fn write_u8(register: Register, value: u8) {
    match register.space {
        AddressSpace::Port => {
            if let Some(port) = port(Some(register)).and_then(|port| IoPorts::take(port, 1).ok()) {
                port.write_u8(0, value);
            }
        }
        AddressSpace::Memory => {
            if let Ok(memory) = IoMemory::take(PhysicalAddress(register.address), 1) {
                memory.write_u8(0, value);
            }
        }
        _ => {}
    }
}

/// Takes power management from the firmware, where it has it.
fn take_over(fadt: &Fadt, control: &IoPorts) {
    let smi = u16::try_from(fadt.smi_command).ok().filter(|&port| port != 0);
    if let Some(smi) = smi.and_then(|port| IoPorts::take(port, 1).ok())
        && fadt.acpi_enable != 0
        && control.read_u16(0) & PM1_SCI_ENABLE == 0
    {
        smi.write_u8(0, fadt.acpi_enable);
        for _ in 0..PATIENCE {
            if control.read_u16(0) & PM1_SCI_ENABLE != 0 {
                break;
            }
        }
    }
}

/// Turns the machine off; returns if it cannot be.
pub fn off() {
    let Some(tables) = acpi_tables() else { return };
    let Some(fadt) = tables.fadt() else { return };
    // Hardware-reduced machines without the package have type 5 (QEMU's microvm).
    let sleep = tables.soft_off(&fadt).unwrap_or(SleepType { pm1a: 5, pm1b: 5 });
    if let Some(register) = fadt.sleep_control.filter(|register| register.address != 0) {
        write_u8(register, sleep.pm1a << SLEEP_TYPE | SLEEP_ENABLE);
        wait();
    }
    if let Some(control) = port(fadt.pm1a_control).and_then(|port| IoPorts::take(port, 2).ok()) {
        take_over(&fadt, &control);
        control.write_u16(0, u16::from(sleep.pm1a) << PM1_SLEEP_TYPE | PM1_SLEEP_ENABLE);
    }
    if let Some(control) = port(fadt.pm1b_control).and_then(|port| IoPorts::take(port, 2).ok()) {
        control.write_u16(0, u16::from(sleep.pm1b) << PM1_SLEEP_TYPE | PM1_SLEEP_ENABLE);
    }
    wait();
}

/// Resets the machine: by ACPI's reset register where there is one, else as the machine knows how.
pub fn reset() -> ! {
    let fadt = acpi_tables().and_then(|tables| tables.fadt());
    if let Some((fadt, register)) = fadt.and_then(|fadt| fadt.reset.map(|register| (fadt, register))) {
        write_u8(register, fadt.reset_value);
        wait();
    }
    machine::power::reset()
}

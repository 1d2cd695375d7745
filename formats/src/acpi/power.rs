//! The FADT: fixed registers, reset, what the board has (ACPI 6.5, 5.2.9); and how to switch off.

use super::Table;
use crate::bytes::{slice_at, u8_at, u16_at, u32_at, u64_at};

/// Where a register lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressSpace {
    /// In memory.
    Memory,
    /// In the processor's ports.
    Port,
    /// In PCI configuration space of bus 0.
    PciConfiguration,
    /// Somewhere else, by the specification's number.
    Other(u8),
}

/// A register as a generic address names it (5.2.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Register {
    /// Where it lies.
    pub space: AddressSpace,
    /// Its width in bits.
    pub width_bits: u8,
    /// Its address, never zero.
    pub address: u64,
}

impl Register {
    /// Reads a generic address; one of zero means that there is no such register.
    pub(super) fn parse(bytes: &[u8], offset: usize) -> Option<Register> {
        let bytes = slice_at(bytes, offset, 12)?;
        let space = match u8_at(bytes, 0)? {
            0 => AddressSpace::Memory,
            1 => AddressSpace::Port,
            2 => AddressSpace::PciConfiguration,
            other => AddressSpace::Other(other),
        };
        let register = Register { space, width_bits: u8_at(bytes, 1)?, address: u64_at(bytes, 4)? };
        (register.address != 0).then_some(register)
    }

    /// The register of a 64-bit field, else the port of a 32-bit one.
    fn either(bytes: &[u8], extended: usize, port: usize, width_bits: u8) -> Option<Register> {
        Register::parse(bytes, extended).or_else(|| {
            let address = u64::from(u32_at(bytes, port)?);
            (address != 0).then_some(Register { space: AddressSpace::Port, width_bits, address })
        })
    }
}

bitflags::bitflags! {
    /// Flags of the table that a kernel heeds.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct FadtFlags: u32 {
        /// The PM timer has 32 bits, not 24.
        const TIMER_32_BITS = 1 << 8;
        /// The reset register works.
        const RESET = 1 << 10;
        /// There are no PM1 registers.
        const HARDWARE_REDUCED = 1 << 20;
    }

    /// What of the old PC the board has (IAPC_BOOT_ARCH, 5.2.9.3).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct BootArchitecture: u16 {
        /// Devices on an ISA bus.
        const LEGACY_DEVICES = 1;
        /// A keyboard controller.
        const KEYBOARD_CONTROLLER = 2;
        /// Do not touch VGA.
        const NO_VGA = 4;
        /// Do not use MSI.
        const NO_MSI = 8;
        /// Do not use PCIe power management.
        const NO_ASPM = 16;
        /// There is no CMOS clock.
        const NO_CMOS_CLOCK = 32;
    }
}

/// What the table says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fadt {
    /// Where the DSDT lies.
    pub dsdt: u64,
    /// The interrupt of power events, as an ISA number or global line.
    pub sci: u16,
    /// The port to which `acpi_enable` is written to take power management from the firmware; zero
    /// where there is none.
    pub smi_command: u32,
    /// What to write there.
    pub acpi_enable: u8,
    /// Status and enable of power events; the enable half is the upper one.
    pub pm1a_event: Option<Register>,
    /// Control of power: sleep type and sleep enable.
    pub pm1a_control: Option<Register>,
    /// The second half of it, on boards that have one.
    pub pm1b_control: Option<Register>,
    /// The timer of 3.579545 MHz.
    pub timer: Option<Register>,
    /// Where [`Fadt::reset_value`] is written for a reset.
    pub reset: Option<Register>,
    /// What is written there.
    pub reset_value: u8,
    /// Where the sleep type goes on hardware-reduced boards.
    pub sleep_control: Option<Register>,
    /// Properties.
    pub flags: FadtFlags,
    /// What of the old PC there is; `None` from firmware too old to say, which has all of it.
    pub boot_architecture: Option<BootArchitecture>,
    /// The century's register in the CMOS clock, zero where there is none.
    pub century: u8,
}

impl Fadt {
    /// Reads the table, of any revision.
    pub fn parse(table: &Table) -> Option<Fadt> {
        let bytes = table.bytes;
        let flags = FadtFlags::from_bits_truncate(u32_at(bytes, 112)?);
        let extended = u64_at(bytes, 140).filter(|address| *address != 0);
        let is_old = table.revision < 2;
        let reset = Register::parse(bytes, 116).filter(|_| flags.contains(FadtFlags::RESET));
        Some(Fadt {
            dsdt: extended.unwrap_or(u64::from(u32_at(bytes, 40)?)),
            sci: u16_at(bytes, 46)?,
            smi_command: u32_at(bytes, 48)?,
            acpi_enable: u8_at(bytes, 52)?,
            pm1a_event: Register::either(bytes, 148, 56, 32),
            pm1a_control: Register::either(bytes, 172, 64, 16),
            pm1b_control: Register::either(bytes, 184, 68, 16),
            timer: Register::either(bytes, 208, 76, 32),
            reset,
            reset_value: u8_at(bytes, 128).unwrap_or(0),
            sleep_control: Register::parse(bytes, 244),
            flags,
            boot_architecture: u16_at(bytes, 109)
                .filter(|_| !is_old)
                .map(BootArchitecture::from_bits_truncate),
            century: u8_at(bytes, 108)?,
        })
    }
}

/// The values of the SLP_TYP field for one sleep state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SleepType {
    /// For the first control register.
    pub pm1a: u8,
    /// For the second.
    pub pm1b: u8,
}

/// Finds the package `\_S5_` (soft off) in a DSDT's AML without interpreting it (7.4.2, 20.2).
/// Firmware writes it as constants; anything else is not recognised.
pub fn soft_off(aml: &[u8]) -> Option<SleepType> {
    const NAME_OP: u8 = 0x08;
    aml.windows(4).enumerate().filter(|(_, window)| *window == b"_S5_").find_map(|(at, _)| {
        let before = aml.get(..at)?;
        let is_name = before.ends_with(&[NAME_OP]) || before.ends_with(&[NAME_OP, b'\\']);
        if is_name { sleep_package(aml.get(at.checked_add(4)?..)?) } else { None }
    })
}

fn sleep_package(aml: &[u8]) -> Option<SleepType> {
    const PACKAGE_OP: u8 = 0x12;
    let (PACKAGE_OP, rest) = aml.split_first().map(|(op, rest)| (*op, rest))? else { return None };
    // The length's first byte tells in its upper two bits how many more follow (20.2.4).
    let length_bytes = 1 + usize::from(u8_at(rest, 0)? >> 6);
    let elements = u8_at(rest, length_bytes)?;
    let (pm1a, rest) = constant(rest.get(length_bytes + 1..)?)?;
    let pm1b = if elements > 1 { constant(rest).map_or(0, |(value, _)| value) } else { 0 };
    Some(SleepType { pm1a, pm1b })
}

/// A constant that fits the field's three bits, and what follows it (20.2.3).
fn constant(aml: &[u8]) -> Option<(u8, &[u8])> {
    let (value, length) = match u8_at(aml, 0)? {
        0x00 => (0, 1),
        0x01 => (1, 1),
        0x0a => (u32::from(u8_at(aml, 1)?), 2),
        0x0b => (u32::from(u16_at(aml, 1)?), 3),
        0x0c => (u32_at(aml, 1)?, 5),
        _ => return None,
    };
    let value = u8::try_from(value).ok().filter(|value| *value < 8)?;
    Some((value, aml.get(length..)?))
}

//! Small tables that describe one device each: HPET and PCI configuration space.

use super::{Register, Table};
use crate::bytes::{u8_at, u16_at, u32_at, u64_at};

/// The high precision event timer (IA-PC HPET specification 1.0a, 3.2.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hpet {
    /// Its registers.
    pub registers: Register,
    /// Its number among several.
    pub number: u8,
    /// How many comparators it has.
    pub comparators: u8,
    /// Whether its counter has 64 bits.
    pub is_64_bits: bool,
    /// The shortest period of periodic mode, in ticks.
    pub minimum_tick: u16,
}

impl Hpet {
    /// Reads the table.
    pub fn parse(table: &Table) -> Option<Hpet> {
        let body = table.body();
        let block = u32_at(body, 0)?;
        Some(Hpet {
            registers: Register::parse(body, 4)?,
            number: u8_at(body, 16)?,
            comparators: (block >> 8 & 0x1f) as u8 + 1,
            is_64_bits: block >> 13 & 1 != 0,
            minimum_tick: u16_at(body, 17)?,
        })
    }
}

/// The configuration space of some PCI buses in memory (PCI Firmware specification 3.3, 4.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConfigurationSpace {
    /// Where bus 0 lies, even where the first bus is another: 1 MiB a bus.
    pub base: u64,
    /// The segment group.
    pub segment: u16,
    /// The first bus.
    pub first_bus: u8,
    /// The last bus, not below the first.
    pub last_bus: u8,
}

/// The entries of an MCFG table's body, those that contradict themselves left out.
pub fn configuration_spaces(body: &[u8]) -> impl Iterator<Item = ConfigurationSpace> + use<'_> {
    let entries = body.get(8..).unwrap_or(&[]);
    entries.chunks_exact(16).filter_map(|entry| {
        let space = ConfigurationSpace {
            base: u64_at(entry, 0)?,
            segment: u16_at(entry, 8)?,
            first_bus: u8_at(entry, 10)?,
            last_bus: u8_at(entry, 11)?,
        };
        let end = space.base.checked_add((u64::from(space.last_bus) + 1) << 20);
        (space.first_bus <= space.last_bus && end.is_some()).then_some(space)
    })
}

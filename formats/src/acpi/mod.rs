//! ACPI tables (ACPI specification 6.5, chapter 5): finding them, checking them, and the few that a
//! kernel without an AML interpreter can use.

mod description;
mod interrupts;
mod power;

use crate::bytes::{PhysicalMemory, array_at, checksum, slice_at, u8_at, u16_at, u32_at, u64_at};
pub use description::{ConfigurationSpace, Hpet, configuration_spaces};
pub(crate) use interrupts::line_flags;
pub use interrupts::{Madt, MadtEntry, Polarity, Trigger};
pub use power::{AddressSpace, BootArchitecture, Fadt, FadtFlags, Register, SleepType, soft_off};

/// The most bytes of one table that are believed: the largest real ones (SSDTs) have some hundred KiB.
const TABLE_MAX: usize = 16 << 20;
const HEADER_LENGTH: usize = 36;

/// The root pointer: where the tables are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rsdp {
    /// The list of 32-bit addresses.
    pub rsdt: u32,
    /// The list of 64-bit addresses, from revision 2 on.
    pub xsdt: Option<u64>,
}

impl Rsdp {
    /// The most bytes that a root pointer takes.
    pub const LENGTH_MAX: usize = 36;

    /// Reads a root pointer (20 bytes, or 36 from revision 2 on) and verifies its checksums.
    pub fn parse(bytes: &[u8]) -> Option<Rsdp> {
        let first = slice_at(bytes, 0, 20)?;
        if !first.starts_with(b"RSD PTR ") || checksum(first) != 0 {
            return None;
        }
        let rsdt = u32_at(bytes, 16)?;
        Some(Rsdp { rsdt, xsdt: Rsdp::extended(bytes) })
    }

    /// The second half, which a broken checksum makes worthless without harm to the first.
    fn extended(bytes: &[u8]) -> Option<u64> {
        let length = u32_at(bytes, 20)? as usize;
        if u8_at(bytes, 15)? < 2 || length < Rsdp::LENGTH_MAX {
            return None;
        }
        let whole = slice_at(bytes, 0, length.min(Rsdp::LENGTH_MAX))?;
        let address = u64_at(bytes, 24)?;
        (checksum(whole) == 0 && address != 0).then_some(address)
    }

    /// Reads the root pointer at a physical address.
    pub fn read<'a>(memory: &impl PhysicalMemory<'a>, address: u64) -> Option<Rsdp> {
        memory.read(address, Rsdp::LENGTH_MAX).or_else(|| memory.read(address, 20)).and_then(Rsdp::parse)
    }

    /// Searches where a BIOS leaves it: the first KiB of the extended BIOS data area, then the ROM
    /// below 1 MiB, on 16-byte boundaries (5.2.5.1).
    pub fn search<'a>(memory: &impl PhysicalMemory<'a>) -> Option<Rsdp> {
        let segment = memory.read(0x40e, 2).and_then(|bytes| u16_at(bytes, 0)).unwrap_or(0);
        let area = u64::from(segment) << 4;
        let regions = [(area, 1024), (0xe_0000, 0x2_0000)];
        regions.into_iter().filter(|region| region.0 != 0).find_map(|(address, length)| {
            let bytes = memory.read(address, length)?;
            (0..length).step_by(16).find_map(|offset| Rsdp::parse(bytes.get(offset..)?))
        })
    }
}

/// A table whose length and checksum are right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Table<'a> {
    /// What it is: `APIC`, `FACP`, ...
    pub signature: [u8; 4],
    /// The version of its layout.
    pub revision: u8,
    /// All of it, with its header.
    pub bytes: &'a [u8],
}

impl<'a> Table<'a> {
    /// Reads and verifies the table at a physical address.
    pub fn read(memory: &impl PhysicalMemory<'a>, address: u64) -> Option<Table<'a>> {
        let header = memory.read(address, HEADER_LENGTH)?;
        let length = u32_at(header, 4)? as usize;
        if !(HEADER_LENGTH..=TABLE_MAX).contains(&length) {
            return None;
        }
        let bytes = memory.read(address, length)?;
        let table = Table { signature: array_at(bytes, 0)?, revision: u8_at(bytes, 8)?, bytes };
        (bytes.len() == length && checksum(bytes) == 0).then_some(table)
    }

    /// What follows the header.
    pub fn body(&self) -> &'a [u8] {
        self.bytes.get(HEADER_LENGTH..).unwrap_or(&[])
    }
}

/// All tables that the root lists.
#[derive(Clone, Copy, Debug)]
pub struct Tables<'a, M> {
    memory: M,
    addresses: &'a [u8],
    address_length: usize,
}

impl<'a, M: PhysicalMemory<'a>> Tables<'a, M> {
    /// Opens the list: the 64-bit one where there is a good one, else the 32-bit one.
    pub fn open(memory: M, root: &Rsdp) -> Option<Tables<'a, M>> {
        let extended = root.xsdt.and_then(|address| Table::read(&memory, address));
        if let Some(list) = extended.filter(|table| table.signature == *b"XSDT") {
            return Some(Tables { memory, addresses: list.body(), address_length: 8 });
        }
        let list = Table::read(&memory, u64::from(root.rsdt))?;
        (list.signature == *b"RSDT").then_some(Tables { memory, addresses: list.body(), address_length: 4 })
    }

    /// The tables in the order of the list; those that are unreadable or fail their checksum are
    /// passed over.
    pub fn iter(&self) -> impl Iterator<Item = Table<'a>> {
        self.addresses.chunks_exact(self.address_length).filter_map(|entry| {
            let address = u64_at(entry, 0).or_else(|| u32_at(entry, 0).map(u64::from))?;
            Table::read(&self.memory, address)
        })
    }

    /// The first table with this signature.
    pub fn find(&self, signature: &[u8; 4]) -> Option<Table<'a>> {
        self.iter().find(|table| table.signature == *signature)
    }

    /// The interrupt controllers and processors.
    pub fn madt(&self) -> Option<Madt<'a>> {
        self.find(b"APIC").and_then(|table| Madt::parse(&table))
    }

    /// Fixed registers and flags.
    pub fn fadt(&self) -> Option<Fadt> {
        self.find(b"FACP").and_then(|table| Fadt::parse(&table))
    }

    /// The high precision event timer.
    pub fn hpet(&self) -> Option<Hpet> {
        self.find(b"HPET").and_then(|table| Hpet::parse(&table))
    }

    /// Where PCI configuration space lies in memory.
    pub fn configuration_spaces(&self) -> impl Iterator<Item = ConfigurationSpace> + use<'a, M> {
        let body = self.find(b"MCFG").map_or(&[][..], |table| table.body());
        configuration_spaces(body)
    }

    /// What to write to the PM1 control registers for soft off, from the DSDT that the FADT names.
    pub fn soft_off(&self, fadt: &Fadt) -> Option<SleepType> {
        let table = Table::read(&self.memory, fadt.dsdt)?;
        if table.signature == *b"DSDT" { soft_off(table.body()) } else { None }
    }
}

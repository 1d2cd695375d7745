//! The MP table: processors and interrupt wiring of machines without ACPI (Intel MultiProcessor
//! Specification 1.4, chapter 4).

pub use crate::acpi::{Polarity, Trigger};

use crate::acpi::line_flags;
use crate::bytes::{PhysicalMemory, array_at, checksum, slice_at, u8_at, u16_at, u32_at};

const HEADER_LENGTH: usize = 44;

/// The floating pointer: where the table is, if there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FloatingPointer {
    /// The table's physical address; zero where a default configuration stands for it.
    pub table: u32,
    /// The number of a default configuration (chapter 5: two processors, one I/O APIC), zero for none.
    pub default_configuration: u8,
    /// Whether the interrupt mode register must be switched away from the PIC.
    pub has_mode_register: bool,
}

impl FloatingPointer {
    /// Reads the 16 bytes of a floating pointer.
    pub fn parse(bytes: &[u8]) -> Option<FloatingPointer> {
        let bytes = slice_at(bytes, 0, 16)?;
        if !bytes.starts_with(b"_MP_") || u8_at(bytes, 8)? != 1 || checksum(bytes) != 0 {
            return None;
        }
        Some(FloatingPointer {
            table: u32_at(bytes, 4)?,
            default_configuration: u8_at(bytes, 11)?,
            has_mode_register: u8_at(bytes, 12)? & 0x80 != 0,
        })
    }

    /// Searches regions of memory (address and length) in their order, on 16-byte boundaries.
    pub fn search<'a>(
        memory: &impl PhysicalMemory<'a>,
        regions: impl IntoIterator<Item = (u64, usize)>,
    ) -> Option<FloatingPointer> {
        regions.into_iter().find_map(|(address, length)| {
            let bytes = memory.read(address, length)?;
            bytes.chunks_exact(16).find_map(FloatingPointer::parse)
        })
    }

    /// The regions that the specification names (4): the first KiB of the extended BIOS data area, the
    /// last KiB of base memory, and the BIOS ROM.
    pub fn regions<'a>(memory: &impl PhysicalMemory<'a>) -> impl Iterator<Item = (u64, usize)> {
        let word = |address| memory.read(address, 2).and_then(|bytes| u16_at(bytes, 0)).unwrap_or(0);
        let data_area = u64::from(word(0x40e)) << 4;
        let base_memory = u64::from(word(0x413)) << 10;
        let last = if (1024..=0xa_0000).contains(&base_memory) { base_memory - 1024 } else { 639 << 10 };
        [(data_area, 1024), (last, 1024), (0xf_0000, 0x1_0000)].into_iter().filter(|region| region.0 != 0)
    }
}

/// The kind of an interrupt (table 4-10).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InterruptKind {
    /// With a vector from the controller.
    Vectored,
    /// Non-maskable.
    NonMaskable,
    /// System management.
    SystemManagement,
    /// With a vector from an 8259 PIC.
    External,
    /// By a number that the specification does not know.
    Other(u8),
}

/// How an interrupt is wired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interrupt {
    /// Its kind.
    pub kind: InterruptKind,
    /// Which level it has.
    pub polarity: Polarity,
    /// How it is triggered.
    pub trigger: Trigger,
    /// The bus that it comes from.
    pub bus: u8,
    /// Which of the bus's: for PCI device << 2 | pin.
    pub source: u8,
    /// The controller that it goes to; 255 means all.
    pub controller: u8,
    /// Which input there.
    pub input: u8,
}

/// One entry of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A processor.
    Processor {
        /// Its local APIC's number.
        apic_id: u8,
        /// Whether it may be used.
        is_enabled: bool,
        /// Whether it is the one that booted.
        is_boot: bool,
    },
    /// A bus.
    Bus {
        /// Its number.
        id: u8,
        /// What it is: `ISA`, `PCI`, padded with spaces to six bytes.
        kind: [u8; 6],
    },
    /// An I/O APIC.
    IoApic {
        /// Its number.
        id: u8,
        /// Whether it may be used.
        is_enabled: bool,
        /// Its registers.
        address: u32,
    },
    /// A line to an I/O APIC.
    IoInterrupt(Interrupt),
    /// A line to a local APIC.
    LocalInterrupt(Interrupt),
}

/// The configuration table, its checksum verified.
#[derive(Clone, Copy, Debug)]
pub struct Configuration<'a> {
    /// Where every processor sees its own APIC.
    pub local_apic_address: u32,
    entries: &'a [u8],
}

impl<'a> Configuration<'a> {
    /// Reads the table that a floating pointer names.
    pub fn read(memory: &impl PhysicalMemory<'a>, pointer: &FloatingPointer) -> Option<Configuration<'a>> {
        let address = u64::from(pointer.table);
        if address == 0 {
            return None;
        }
        let length = usize::from(u16_at(memory.read(address, HEADER_LENGTH)?, 4)?);
        Configuration::parse(memory.read(address, length)?)
    }

    /// Reads a table from its bytes, of which there may be more.
    pub fn parse(bytes: &'a [u8]) -> Option<Configuration<'a>> {
        let length = usize::from(u16_at(bytes, 4)?);
        let table = slice_at(bytes, 0, length)?;
        if !table.starts_with(b"PCMP") || checksum(table) != 0 {
            return None;
        }
        Some(Configuration { local_apic_address: u32_at(table, 36)?, entries: table.get(HEADER_LENGTH..)? })
    }

    /// The entries in the order of the table, up to its end or the first that is malformed. The count in the header
    /// is not looked at, as in Linux: qboot leaves it zero.
    pub fn entries(&self) -> impl Iterator<Item = Entry> + use<'a> {
        let mut rest = self.entries;
        core::iter::from_fn(move || {
            let length = if u8_at(rest, 0)? == 0 { 20 } else { 8 };
            let entry = slice_at(rest, 0, length)?;
            rest = rest.get(length..)?;
            Entry::parse(entry)
        })
    }
}

impl Entry {
    fn parse(entry: &[u8]) -> Option<Entry> {
        let flags = u8_at(entry, 3)?;
        let id = u8_at(entry, 1)?;
        match u8_at(entry, 0)? {
            0 => Some(Entry::Processor { apic_id: id, is_enabled: flags & 1 != 0, is_boot: flags & 2 != 0 }),
            1 => Some(Entry::Bus { id, kind: array_at(entry, 2)? }),
            2 => Some(Entry::IoApic { id, is_enabled: flags & 1 != 0, address: u32_at(entry, 4)? }),
            3 => Interrupt::parse(entry).map(Entry::IoInterrupt),
            4 => Interrupt::parse(entry).map(Entry::LocalInterrupt),
            _ => None,
        }
    }
}

impl Interrupt {
    fn parse(entry: &[u8]) -> Option<Interrupt> {
        let (polarity, trigger) = line_flags(u16_at(entry, 2)?);
        let kind = match u8_at(entry, 1)? {
            0 => InterruptKind::Vectored,
            1 => InterruptKind::NonMaskable,
            2 => InterruptKind::SystemManagement,
            3 => InterruptKind::External,
            other => InterruptKind::Other(other),
        };
        Some(Interrupt {
            kind,
            polarity,
            trigger,
            bus: u8_at(entry, 4)?,
            source: u8_at(entry, 5)?,
            controller: u8_at(entry, 6)?,
            input: u8_at(entry, 7)?,
        })
    }
}

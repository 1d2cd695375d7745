//! The MADT: processors and interrupt controllers (ACPI 6.5, 5.2.12).

use super::Table;
use crate::bytes::{slice_at, u8_at, u16_at, u32_at, u64_at};

/// Which level of a line means an interrupt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Polarity {
    /// As the bus has it: ISA is active high, PCI low.
    Conforming,
    /// High.
    ActiveHigh,
    /// Low.
    ActiveLow,
}

/// What of a line means an interrupt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// As the bus has it: ISA is edge, PCI level.
    Conforming,
    /// The change.
    Edge,
    /// The state.
    Level,
}

/// Takes MPS INTI flags apart (5.2.12.5); the MP table has the same.
pub(crate) fn line_flags(flags: u16) -> (Polarity, Trigger) {
    let polarity = match flags & 3 {
        1 => Polarity::ActiveHigh,
        3 => Polarity::ActiveLow,
        _ => Polarity::Conforming,
    };
    let trigger = match flags >> 2 & 3 {
        1 => Trigger::Edge,
        3 => Trigger::Level,
        _ => Trigger::Conforming,
    };
    (polarity, trigger)
}

/// The table's head.
#[derive(Clone, Copy, Debug)]
pub struct Madt<'a> {
    /// Where every processor sees its own APIC, unless an entry says otherwise.
    pub local_apic_address: u32,
    /// Whether there are two 8259 PICs, to be masked.
    pub has_pics: bool,
    entries: &'a [u8],
}

/// One entry; kinds that no x86-64 kernel needs are not given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MadtEntry {
    /// A processor and its APIC (types 0 and 9).
    Processor {
        /// The number by which other entries name it.
        uid: u32,
        /// Its APIC's number.
        apic_id: u32,
        /// Whether it may be started now.
        is_enabled: bool,
        /// Whether it may be switched on later, where it is not enabled.
        is_online_capable: bool,
    },
    /// An interrupt controller (type 1).
    IoApic {
        /// Its number.
        id: u8,
        /// Its registers.
        address: u32,
        /// The global number of its first line.
        first_line: u32,
    },
    /// An ISA interrupt that is wired otherwise (type 2).
    Override {
        /// The ISA interrupt.
        source: u8,
        /// The global line that it arrives on.
        line: u32,
        /// Which level it has.
        polarity: Polarity,
        /// How it is triggered.
        trigger: Trigger,
    },
    /// A global line that is an NMI (type 3).
    NmiSource {
        /// The line.
        line: u32,
        /// Which level it has.
        polarity: Polarity,
        /// How it is triggered.
        trigger: Trigger,
    },
    /// A local input that is an NMI (types 4 and 10).
    LocalNmi {
        /// Whose; `None` means every processor's.
        uid: Option<u32>,
        /// LINT0 or LINT1.
        input: u8,
        /// Which level it has.
        polarity: Polarity,
        /// How it is triggered.
        trigger: Trigger,
    },
    /// The 64-bit address of the local APICs (type 5).
    LocalApicAddress(u64),
}

impl<'a> Madt<'a> {
    /// Reads the table.
    pub fn parse(table: &Table<'a>) -> Option<Madt<'a>> {
        let body = table.body();
        Some(Madt {
            local_apic_address: u32_at(body, 0)?,
            has_pics: u32_at(body, 4)? & 1 != 0,
            entries: body.get(8..)?,
        })
    }

    /// The entries in the order of the table, up to the first that is malformed.
    pub fn entries(&self) -> impl Iterator<Item = MadtEntry> + use<'a> {
        let mut rest = self.entries;
        core::iter::from_fn(move || {
            let length = usize::from(u8_at(rest, 1)?);
            let entry = slice_at(rest, 0, length).filter(|entry| entry.len() >= 2)?;
            rest = rest.get(length..)?;
            Some(MadtEntry::parse(entry))
        })
        .flatten()
    }

    /// The address of the local APICs, by entry or head.
    pub fn local_apic_address(&self) -> u64 {
        let by_entry = self.entries().find_map(|entry| match entry {
            MadtEntry::LocalApicAddress(address) => Some(address),
            _ => None,
        });
        by_entry.unwrap_or(u64::from(self.local_apic_address))
    }
}

impl MadtEntry {
    fn parse(entry: &[u8]) -> Option<MadtEntry> {
        match u8_at(entry, 0)? {
            0 => Some(MadtEntry::processor(
                u32::from(u8_at(entry, 2)?),
                u32::from(u8_at(entry, 3)?),
                u32_at(entry, 4)?,
            )),
            1 => Some(MadtEntry::IoApic {
                id: u8_at(entry, 2)?,
                address: u32_at(entry, 4)?,
                first_line: u32_at(entry, 8)?,
            }),
            2 => {
                let (polarity, trigger) = line_flags(u16_at(entry, 8)?);
                let (source, line) = (u8_at(entry, 3)?, u32_at(entry, 4)?);
                Some(MadtEntry::Override { source, line, polarity, trigger })
            }
            3 => {
                let (polarity, trigger) = line_flags(u16_at(entry, 2)?);
                Some(MadtEntry::NmiSource { line: u32_at(entry, 4)?, polarity, trigger })
            }
            4 => {
                let (polarity, trigger) = line_flags(u16_at(entry, 3)?);
                let uid = Some(u8_at(entry, 2)?).filter(|uid| *uid != 0xff).map(u32::from);
                Some(MadtEntry::LocalNmi { uid, input: u8_at(entry, 5)?, polarity, trigger })
            }
            5 => Some(MadtEntry::LocalApicAddress(u64_at(entry, 4)?)),
            9 => Some(MadtEntry::processor(u32_at(entry, 12)?, u32_at(entry, 4)?, u32_at(entry, 8)?)),
            10 => {
                let (polarity, trigger) = line_flags(u16_at(entry, 2)?);
                let uid = Some(u32_at(entry, 4)?).filter(|uid| *uid != u32::MAX);
                Some(MadtEntry::LocalNmi { uid, input: u8_at(entry, 8)?, polarity, trigger })
            }
            _ => None,
        }
    }

    fn processor(uid: u32, apic_id: u32, flags: u32) -> MadtEntry {
        let (is_enabled, is_online_capable) = (flags & 1 != 0, flags & 2 != 0);
        MadtEntry::Processor { uid, apic_id, is_enabled, is_online_capable }
    }
}

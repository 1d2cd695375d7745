//! What the firmware's tables say of processors and interrupts: ACPI where there is ACPI, else the MP table.

use alloc::vec::Vec;

use formats::acpi::{self, AddressSpace, Fadt, FadtFlags, MadtEntry, Polarity, Rsdp, Tables};
use formats::mptable::{self, Configuration, FloatingPointer};

use super::memory::DIRECT;
use crate::address::PhysicalAddress;
use crate::boot::{self, RegionKind};
use crate::firmware::Reader;
use crate::interrupts::Trigger;
use crate::sync::Once;

/// The machine's processors and interrupt controllers.
#[derive(Debug)]
pub struct Topology {
    /// "ACPI", "MP table" or "none".
    pub source: &'static str,
    /// APIC ids of the processors that can be started, the boot processor among them.
    pub apic_ids: Vec<u32>,
    pub local_apic: PhysicalAddress,
    /// Address and first line of each.
    pub io_apics: Vec<(PhysicalAddress, u32)>,
    overrides: Vec<Override>,
    hpet: Option<PhysicalAddress>,
    /// The port of ACPI's timer, and whether it has 32 bits.
    acpi_timer: Option<(u16, bool)>,
}

#[derive(Debug, Clone, Copy)]
struct Override {
    irq: u8,
    line: u32,
    trigger: Trigger,
    is_active_low: bool,
}

static TOPOLOGY: Once<Topology> = Once::new();

/// Where the local APIC is unless a table says otherwise.
const LOCAL_APIC: u64 = 0xfee0_0000;

/// The firmware's bytes at `address`: anything below 1 MiB, or outside usable memory.
fn bytes(address: u64, len: usize) -> Option<&'static [u8]> {
    let end = address.checked_add(len as u64)?;
    let is_usable = end > 1 << 20
        && boot::info().regions.iter().any(|region| {
            region.kind == RegionKind::Usable && address < region.start.0 + region.len && region.start.0 < end
        });
    if is_usable || end > 1 << 32 {
        return None;
    }
    // SAFETY: the direct map shows the first 4 GiB. The range is the firmware's or low memory that the kernel
    // leaves alone, not the allocator's, and not written while the tables are read.
    Some(unsafe { core::slice::from_raw_parts((DIRECT + address) as *const u8, len) })
}

pub fn read_firmware(address: PhysicalAddress, into: &mut [u8]) -> bool {
    match bytes(address.0, into.len()) {
        Some(from) => {
            into.copy_from_slice(from);
            true
        }
        None => false,
    }
}

/// Reads the tables; on the boot processor, once. With `acpi=off` on the command line the MP table alone.
pub fn init() -> &'static Topology {
    let is_acpi_allowed = !boot::info().command_line.split_ascii_whitespace().any(|word| word == "acpi=off");
    let topology =
        is_acpi_allowed.then(from_acpi).flatten().or_else(from_mp_table).unwrap_or_else(|| Topology {
            source: "none",
            apic_ids: Vec::new(),
            local_apic: PhysicalAddress(LOCAL_APIC),
            io_apics: Vec::new(),
            overrides: Vec::new(),
            hpet: None,
            acpi_timer: None,
        });
    // Called once.
    let _ = TOPOLOGY.set(topology);
    match TOPOLOGY.get() {
        Some(topology) => topology,
        None => unreachable!("just set"),
    }
}

/// The tables, for whoever wants more of them.
pub fn acpi_tables() -> Option<Tables<'static, Reader>> {
    let memory: Reader = bytes;
    let root = boot::info().acpi_root.or_else(|| Rsdp::search(&memory))?;
    Tables::open(memory, &root)
}

fn override_of(irq: u8, line: u32, polarity: Polarity, trigger: acpi::Trigger) -> Override {
    // ISA's own way is edge, active high.
    Override {
        irq,
        line,
        trigger: if trigger == acpi::Trigger::Level { Trigger::Level } else { Trigger::Edge },
        is_active_low: polarity == Polarity::ActiveLow,
    }
}

fn from_acpi() -> Option<Topology> {
    let tables = acpi_tables()?;
    let madt = tables.madt()?;
    let mut topology = Topology {
        source: "ACPI",
        apic_ids: Vec::new(),
        local_apic: PhysicalAddress(madt.local_apic_address()),
        io_apics: Vec::new(),
        overrides: Vec::new(),
        hpet: tables.hpet().map(|hpet| PhysicalAddress(hpet.registers.address)).filter(|hpet| hpet.0 != 0),
        acpi_timer: tables.fadt().and_then(|fadt| timer_of(&fadt)),
    };
    for entry in madt.entries() {
        match entry {
            MadtEntry::Processor { apic_id, is_enabled: true, .. } => topology.apic_ids.push(apic_id),
            MadtEntry::IoApic { address, first_line, .. } => {
                topology.io_apics.push((PhysicalAddress(address.into()), first_line));
            }
            MadtEntry::Override { source, line, polarity, trigger } => {
                topology.overrides.push(override_of(source, line, polarity, trigger));
            }
            _ => {}
        }
    }
    Some(topology)
}

/// The port of the timer, where it is one.
fn timer_of(fadt: &Fadt) -> Option<(u16, bool)> {
    let register = fadt.timer.filter(|register| register.space == AddressSpace::Port)?;
    let port = u16::try_from(register.address).ok()?;
    Some((port, fadt.flags.contains(FadtFlags::TIMER_32_BITS)))
}

fn from_mp_table() -> Option<Topology> {
    let memory = |address, len| bytes(address, len);
    let pointer = FloatingPointer::search(&memory, FloatingPointer::regions(&memory))?;
    let table = Configuration::read(&memory, &pointer)?;
    let mut topology = Topology {
        source: "MP table",
        apic_ids: Vec::new(),
        local_apic: PhysicalAddress(table.local_apic_address.into()),
        io_apics: Vec::new(),
        overrides: Vec::new(),
        hpet: None,
        acpi_timer: None,
    };
    let mut isa_buses = Vec::new();
    let mut first_line = 0;
    // Buses come before interrupts; I/O APICs number their lines one after the other, 24 each, as every chip
    // since the 82093AA.
    for entry in table.entries() {
        match entry {
            mptable::Entry::Processor { apic_id, is_enabled: true, .. } => {
                topology.apic_ids.push(apic_id.into())
            }
            mptable::Entry::Bus { id, kind } if &kind[..3] == b"ISA" => isa_buses.push(id),
            mptable::Entry::IoApic { is_enabled: true, address, .. } => {
                topology.io_apics.push((PhysicalAddress(address.into()), first_line));
                first_line += 24;
            }
            mptable::Entry::IoInterrupt(interrupt)
                if interrupt.kind == mptable::InterruptKind::Vectored
                    && isa_buses.contains(&interrupt.bus) =>
            {
                topology.overrides.push(override_of(
                    interrupt.source,
                    interrupt.input.into(),
                    interrupt.polarity,
                    interrupt.trigger,
                ));
            }
            _ => {}
        }
    }
    Some(topology)
}

/// Line, trigger and polarity (active low?) of an ISA interrupt.
pub fn isa_line(irq: u8) -> (u32, Trigger, bool) {
    TOPOLOGY
        .get()
        .and_then(|topology| topology.overrides.iter().find(|known| known.irq == irq))
        .map_or((irq.into(), Trigger::Edge, false), |known| (known.line, known.trigger, known.is_active_low))
}

/// The high precision event timer's registers.
pub fn hpet() -> Option<PhysicalAddress> {
    TOPOLOGY.get().and_then(|topology| topology.hpet)
}

/// The port of the timer of ACPI's power management, and whether it has 32 bits.
pub fn acpi_timer() -> Option<(u16, bool)> {
    TOPOLOGY.get().and_then(|topology| topology.acpi_timer)
}

/// Whether a range overlaps an interrupt controller or timer.
pub fn is_machine_memory(start: u64, end: u64) -> bool {
    let overlaps = |address: PhysicalAddress| start < address.0 + 4096 && address.0 < end;
    TOPOLOGY.get().is_some_and(|topology| {
        overlaps(topology.local_apic)
            || topology.hpet.is_some_and(overlaps)
            || topology.io_apics.iter().any(|&(address, _)| overlaps(address))
    })
}

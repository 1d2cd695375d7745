//! What a boot loader tells a kernel, whichever loader it was: one description, made without heap.
//!
//! [`pvh`] is QEMU's `-kernel`, Firecracker and Cloud Hypervisor; [`multiboot2`] is GRUB.

pub mod multiboot2;
pub mod pvh;

use crate::acpi::Rsdp;
use crate::bytes::{PhysicalMemory, u32_at, u64_at};
use core::fmt;

/// The most modules that a description keeps: an initial file system and a few more.
pub const MODULES_MAX: usize = 8;

/// Why a description cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// No magic number where it should be.
    BadMagic,
    /// A part lies where memory cannot be read, or ends within a field.
    Truncated,
    /// A module's end is before its start, or leaves the address space.
    BadModule,
    /// More than [`MODULES_MAX`] modules.
    TooManyModules,
    /// There is no memory map: Multiboot without the tag, or PVH before version 1.
    NoMemoryMap,
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Error::BadMagic => "the boot information has no magic number",
            Error::Truncated => "the boot information is cut off",
            Error::BadModule => "a boot module's end is not after its start",
            Error::TooManyModules => "more boot modules than the kernel keeps",
            Error::NoMemoryMap => "the boot loader gave no memory map",
        })
    }
}

impl core::error::Error for Error {}

/// What a region of memory is (ACPI 6.5, 15; both loaders use its numbers).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryKind {
    /// Free to use.
    Usable,
    /// Not to be touched.
    Reserved,
    /// Holds tables; free after they have been read.
    AcpiReclaimable,
    /// Firmware's own, kept over sleep.
    AcpiPersistent,
    /// Faulty.
    Unusable,
    /// Keeps its contents without power.
    NonVolatile,
    /// By a number that is not known here: not to be touched.
    Other(u32),
}

/// A region of physical memory whose end does not overflow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryRegion {
    /// The first byte.
    pub start: u64,
    /// Its bytes, at least one.
    pub length: u64,
    /// What it is.
    pub kind: MemoryKind,
}

/// The memory map as the loader left it: regions may overlap and are in no order.
#[derive(Clone, Copy, Debug, Default)]
pub struct MemoryMap<'a> {
    entries: &'a [u8],
    stride: usize,
}

impl<'a> MemoryMap<'a> {
    /// The regions; empty ones are left out, ends beyond 64 bits are cut.
    pub fn iter(&self) -> impl Iterator<Item = MemoryRegion> + Clone + use<'a> {
        self.entries.chunks_exact(self.stride.max(24)).filter_map(|entry| {
            let start = u64_at(entry, 0)?;
            let length = u64_at(entry, 8)?.min(u64::MAX - start);
            let kind = match u32_at(entry, 16)? {
                1 => MemoryKind::Usable,
                2 => MemoryKind::Reserved,
                3 => MemoryKind::AcpiReclaimable,
                4 => MemoryKind::AcpiPersistent,
                5 => MemoryKind::Unusable,
                7 => MemoryKind::NonVolatile,
                other => MemoryKind::Other(other),
            };
            (length > 0).then_some(MemoryRegion { start, length, kind })
        })
    }
}

/// A file that the loader put into memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Module<'a> {
    /// Its physical address.
    pub start: u64,
    /// Its bytes.
    pub length: u64,
    /// What was said beside it, without the NUL.
    pub command_line: &'a [u8],
}

/// One colour's place in a pixel, in bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Channel {
    /// The lowest bit.
    pub position: u8,
    /// How many bits.
    pub bits: u8,
}

/// A screen of direct colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Framebuffer {
    /// Its physical address.
    pub address: u64,
    /// The bytes from one line to the next.
    pub pitch: u32,
    /// Pixels in a line.
    pub width: u32,
    /// Lines.
    pub height: u32,
    /// Bits a pixel.
    pub bits_per_pixel: u8,
    /// Red, green, blue.
    pub channels: [Channel; 3],
}

/// Where the root of the ACPI tables is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RootPointer<'a> {
    /// At a physical address.
    Address(u64),
    /// Copied by the loader.
    Copy(&'a [u8]),
}

impl RootPointer<'_> {
    /// Reads it, its checksums verified.
    pub fn read<'a>(&self, memory: &impl PhysicalMemory<'a>) -> Option<Rsdp> {
        match self {
            RootPointer::Address(address) => Rsdp::read(memory, *address),
            RootPointer::Copy(bytes) => Rsdp::parse(bytes),
        }
    }
}

/// The kernel's own section headers, as GRUB loaded them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ElfSections<'a> {
    /// The headers, one after the other.
    pub headers: &'a [u8],
    /// The bytes of one.
    pub header_length: u32,
    /// Which of them holds the names.
    pub names: u32,
}

/// Everything that a loader tells.
#[derive(Clone, Copy, Debug, Default)]
pub struct Description<'a> {
    /// The kernel's options, without the NUL.
    pub command_line: &'a [u8],
    /// Who loaded the kernel, where it says so.
    pub loader: &'a [u8],
    /// Physical memory.
    pub memory: MemoryMap<'a>,
    /// The root of the ACPI tables.
    pub root_pointer: Option<RootPointer<'a>>,
    /// A screen.
    pub framebuffer: Option<Framebuffer>,
    /// The kernel's section headers.
    pub sections: Option<ElfSections<'a>>,
    modules: [Module<'a>; MODULES_MAX],
    modules_length: usize,
}

impl<'a> Description<'a> {
    /// The modules in the loader's order; the first is the initial file system.
    pub fn modules(&self) -> &[Module<'a>] {
        self.modules.get(..self.modules_length).unwrap_or(&[])
    }

    fn add_module(&mut self, module: Module<'a>) -> Result<(), Error> {
        module.start.checked_add(module.length).ok_or(Error::BadModule)?;
        let slot = self.modules.get_mut(self.modules_length).ok_or(Error::TooManyModules)?;
        *slot = module;
        self.modules_length += 1;
        Ok(())
    }
}

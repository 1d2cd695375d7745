//! What the boot loader told, in one form for all of them.

use alloc::string::String;
use alloc::vec::Vec;

use formats::acpi::Rsdp;

use crate::address::PhysicalAddress;
use crate::sync::Once;

/// A range of physical memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// First byte.
    pub start: PhysicalAddress,
    /// Bytes.
    pub len: u64,
    /// What it is.
    pub kind: RegionKind,
}

/// What a range of physical memory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegionKind {
    /// RAM that the kernel may use.
    Usable,
    /// ACPI tables that could be reclaimed.
    AcpiTables,
    /// Anything else.
    Reserved,
}

/// A linear frame buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameBuffer {
    /// First byte.
    pub address: PhysicalAddress,
    /// Bytes from a line to the next.
    pub pitch_bytes: u32,
    /// Pixels in a line.
    pub width: u32,
    /// Lines.
    pub height: u32,
    /// Bits in a pixel.
    pub bits_per_pixel: u8,
}

/// What the kernel is started with.
#[derive(Debug)]
pub struct BootInfo {
    /// "PVH" or "Multiboot2".
    pub protocol: &'static str,
    /// The memory map, as given.
    pub regions: Vec<Region>,
    /// The kernel's command line; bytes that are no UTF-8 are replaced.
    pub command_line: String,
    /// The initial file system, if there is one. It stays where the loader put it.
    pub initramfs: Option<Initramfs>,
    /// The root of the ACPI tables, if the loader gave it.
    pub acpi_root: Option<Rsdp>,
    /// The screen, if there is one.
    pub frame_buffer: Option<FrameBuffer>,
}

static INFO: Once<BootInfo> = Once::new();

/// What the kernel was started with.
///
/// # Panics
/// Before the machine has started.
pub fn info() -> &'static BootInfo {
    match INFO.get() {
        Some(info) => info,
        None => panic!("no boot information yet"),
    }
}

#[cfg_attr(not(target_os = "none"), expect(dead_code, reason = "hosted tests boot nothing"))]
pub(crate) fn set_info(info: BootInfo) {
    assert!(INFO.set(info).is_ok(), "booted twice");
}

/// How the processors came up.
#[derive(Debug)]
pub struct Processors {
    /// Where they were listed: "ACPI", "MP table" or "none".
    pub source: &'static str,
    /// APIC ids of those that were listed and did not start.
    pub missing: Vec<u32>,
}

static PROCESSORS: Once<Processors> = Once::new();

/// How the processors came up; none before they have.
pub fn processors() -> Option<&'static Processors> {
    PROCESSORS.get()
}

#[cfg_attr(not(target_os = "none"), expect(dead_code, reason = "hosted tests boot nothing"))]
pub(crate) fn set_processors(source: &'static str, missing: Vec<u32>) {
    assert!(PROCESSORS.set(Processors { source, missing }).is_ok(), "booted twice");
}

/// The bytes of the initial file system, reserved at boot. They are ordinary memory that nobody else writes,
/// so they can be read as a slice.
#[derive(Debug)]
pub struct Initramfs {
    start: *const u8,
    len: usize,
}

// SAFETY: the memory is reserved at boot and never written afterwards; sharing read-only bytes is fine.
unsafe impl Sync for Initramfs {}
// SAFETY: as above.
unsafe impl Send for Initramfs {}

impl Initramfs {
    /// Wraps `len` bytes at `start`.
    ///
    /// # Safety
    /// The bytes are mapped, initialised, and neither written nor freed as long as the kernel runs.
    #[cfg_attr(not(target_os = "none"), expect(dead_code, reason = "hosted tests boot nothing"))]
    pub(crate) unsafe fn new(start: *const u8, len: usize) -> Self {
        Self { start, len }
    }

    /// The archive.
    pub fn bytes(&self) -> &'static [u8] {
        // SAFETY: `new`'s contract.
        unsafe { core::slice::from_raw_parts(self.start, self.len) }
    }
}

/// Reads `into.len()` bytes of firmware memory (ACPI and MP tables) at `address`; `false` where that is not
/// firmware's: usable RAM, or nothing.
pub fn read_firmware(address: PhysicalAddress, into: &mut [u8]) -> bool {
    crate::arch::read_firmware(address, into)
}

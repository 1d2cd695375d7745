//! The kernel's half of every address space.
//!
//! ```text
//!   ffff_8000_0000_0000  direct map: all physical memory, writable, never executable
//!   ffff_c000_0000_0000  the kernel's area: stacks with guard pages, device memory
//!   ffff_ffff_8000_0000  the kernel's image: text R-X, read-only data R--, data RW-
//! ```

use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

use super::cpuid::features;
use super::{instructions, tlb};
use crate::address::{PAGE_SIZE, PhysicalAddress};
use crate::frame::{Frame, OutOfMemory, Owner};
use crate::io::IoError;
use crate::panic;
use crate::sync::{Rank, SpinLock};

pub const DIRECT: u64 = 0xffff_8000_0000_0000;
const AREA: usize = 0xffff_c000_0000_0000;
const AREA_END: usize = AREA + (1 << 39);
/// Difference between the image's virtual and physical addresses.
pub const IMAGE: u64 = 0xffff_ffff_8000_0000;

const PRESENT: u64 = 1;
const WRITABLE: u64 = 1 << 1;
const WRITE_THROUGH: u64 = 1 << 3;
const UNCACHED: u64 = 1 << 4;
const LARGE: u64 = 1 << 7;
const GLOBAL: u64 = 1 << 8;
const NO_EXECUTE: u64 = 1 << 63;
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

/// Entries of the root table that belong to the kernel and are in use; all others stay empty for ever.
static ROOT: AtomicU64 = AtomicU64::new(0);
static DIRECT_END: AtomicU64 = AtomicU64::new(1 << 32);

unsafe extern "C" {
    static image_start: u8;
    static text_start: u8;
    static text_end: u8;
    static rodata_end: u8;
}

/// First and last-plus-one physical byte of the kernel's image, symbols included.
pub fn image_extent() -> (u64, u64) {
    ((&raw const image_start) as u64 - IMAGE, image_end() - IMAGE)
}

/// Where the writable data ends and the symbols begin, and where those end.
fn symbols_start() -> u64 {
    panic::symbols_extent().0 as u64 & !(PAGE_SIZE as u64 - 1)
}

fn image_end() -> u64 {
    let (start, len) = panic::symbols_extent();
    (start as u64 + len as u64).next_multiple_of(PAGE_SIZE as u64)
}

/// The virtual addresses of the kernel's code.
pub fn text_extent() -> (u64, u64) {
    ((&raw const text_start) as u64, (&raw const text_end) as u64)
}

/// Where the direct map shows a physical address.
///
/// # Panics
/// For an address that the direct map does not reach.
#[inline]
pub fn physical_to_pointer(address: PhysicalAddress) -> *mut u8 {
    assert!(address.0 < DIRECT_END.load(Ordering::Relaxed), "{address:?} is outside the direct map");
    (DIRECT + address.0) as *mut u8
}

/// The physical address behind a pointer into the direct map.
#[inline]
pub fn pointer_to_physical(pointer: *mut u8) -> PhysicalAddress {
    PhysicalAddress((pointer as u64).wrapping_sub(DIRECT))
}

/// Whether a word at `address` lies on a stack of the kernel that is mapped.
pub fn is_stack(address: u64) -> bool {
    let address = address as usize;
    if (AREA..AREA_END).contains(&address) {
        // Stacks' lower half is their guard.
        return (address - AREA) % (GUARD_LEN + STACK_LEN) >= GUARD_LEN && is_mapped(address as u64);
    }
    (IMAGE..image_end()).contains(&(address as u64))
}

/// Whether two addresses lie on the same stack.
pub fn is_same_stack(one: u64, other: u64) -> bool {
    one / STACK_LEN as u64 == other / STACK_LEN as u64
}

fn is_mapped(address: u64) -> bool {
    let mut table = kernel_root();
    for level in [3, 2, 1, 0] {
        // SAFETY: the kernel's tables are never freed; a word is only read.
        let entry =
            unsafe { Tables::entry(table, crate::paging::index_at(address as usize, level)).read_volatile() };
        if entry & PRESENT == 0 {
            return false;
        }
        table = entry & ADDRESS;
    }
    true
}

/// The root of the kernel's own page tables.
pub fn kernel_root() -> u64 {
    ROOT.load(Ordering::Acquire)
}

/// Lets a new root table share the kernel's half.
pub fn copy_kernel_half(root: *mut u8) {
    let root = root.cast::<u64>();
    let kernel = physical_to_pointer(PhysicalAddress(kernel_root())).cast::<u64>();
    let direct_entries = DIRECT_END.load(Ordering::Relaxed).div_ceil(1 << 39) as usize;
    for index in (256..256 + direct_entries).chain([384, 511]) {
        // SAFETY: both are root tables, whole frames; the new one is not in use yet. The kernel's entries are
        // never changed once made.
        unsafe { root.add(index).write(kernel.add(index).read()) };
    }
}

/// Page tables of the kernel, changed under the lock of [`AREA_STATE`] or before there are others.
struct Tables {
    root: u64,
}

impl Tables {
    fn entry(table: u64, index: usize) -> *mut u64 {
        physical_to_pointer(PhysicalAddress(table)).cast::<u64>().wrapping_add(index)
    }

    /// The place of the entry for `address` at `level` (0: 4 KiB, 1: 2 MiB, 2: 1 GiB), with the tables above
    /// made.
    fn slot(&self, address: u64, level: usize) -> Result<*mut u64, OutOfMemory> {
        let mut table = self.root;
        for above in (level + 1..4).rev() {
            let entry = Self::entry(table, crate::paging::index_at(address as usize, above));
            // SAFETY: `table` is one of the kernel's tables, which are never freed; nobody else changes them
            // now (see the type).
            unsafe {
                if entry.read() & PRESENT == 0 {
                    let fresh = Frame::new(Owner::Kernel)?;
                    entry.write(fresh.into_raw().0 | PRESENT | WRITABLE);
                }
                table = entry.read() & ADDRESS;
            }
        }
        Ok(Self::entry(table, crate::paging::index_at(address as usize, level)))
    }

    fn map(&self, address: u64, level: usize, entry: u64) -> Result<(), OutOfMemory> {
        let slot = self.slot(address, level)?;
        // SAFETY: `slot` is an entry of a table of the kernel (see `slot`).
        unsafe { slot.write(entry) };
        Ok(())
    }

    fn unmap(&self, address: u64) -> Option<PhysicalAddress> {
        let slot = self.slot(address, 0).ok()?;
        // SAFETY: as in `map`.
        let old = unsafe { slot.replace(0) };
        (old & PRESENT != 0).then_some(PhysicalAddress(old & ADDRESS))
    }
}

/// Builds the kernel's tables for physical memory up to `memory_end` and loads them. Until then the loader's
/// map of the first 4 GiB is used.
pub fn init(memory_end: u64) -> Result<(), OutOfMemory> {
    let root = Frame::new(Owner::Kernel)?.into_raw().0;
    let tables = Tables { root };
    let (level, size): (usize, u64) = if features().gigabyte_pages { (2, 1 << 30) } else { (1, 2 << 20) };
    let direct_end = memory_end.max(1 << 32).next_multiple_of(1 << 30);
    for start in (0..direct_end).step_by(size as usize) {
        tables.map(DIRECT + start, level, start | PRESENT | WRITABLE | LARGE | GLOBAL | NO_EXECUTE)?;
    }
    let extent = |symbol: *const u8| symbol as u64;
    let text = extent(&raw const text_start)..extent(&raw const text_end);
    let read_only = extent(&raw const text_end)..extent(&raw const rodata_end);
    for page in (extent(&raw const image_start)..image_end()).step_by(PAGE_SIZE) {
        let rights = match page {
            _ if text.contains(&page) => 0,
            _ if read_only.contains(&page) || page >= symbols_start() => NO_EXECUTE,
            _ => WRITABLE | NO_EXECUTE,
        };
        tables.map(page, 0, (page - IMAGE) | PRESENT | GLOBAL | rights)?;
    }
    // The area's top table must exist before roots are copied.
    tables.slot(AREA as u64, 2)?;
    ROOT.store(root, Ordering::Release);
    // SAFETY: the tables map the image, the stack in use (part of the image) and the direct map as the
    // loader's did. PGE exists on all x86-64.
    unsafe {
        instructions::write_cr3(root);
        instructions::write_cr4(instructions::read_cr4() | 1 << 7);
    }
    DIRECT_END.store(direct_end, Ordering::Release);
    Ok(())
}

/// Moves another processor to the kernel's tables.
pub fn load_kernel_root() {
    // SAFETY: the kernel's tables are complete and never freed; every one maps what runs here.
    unsafe {
        instructions::write_cr3(kernel_root());
        instructions::write_cr4(instructions::read_cr4() | 1 << 7);
    }
}

/// The kernel's area: stacks are handed out upwards from its start, device memory downwards from its end.
/// Stacks that come back are kept for reuse.
struct Area {
    next: usize,
    next_device: usize,
    /// Tops of stacks that are mapped and unused.
    stacks: Vec<usize>,
    /// Lower ends of stack slots without frames.
    slots: Vec<usize>,
}

static AREA_STATE: SpinLock<Area> = SpinLock::new(
    Rank::PageTable,
    Area { next: AREA, next_device: AREA_END, stacks: Vec::new(), slots: Vec::new() },
);

/// Bytes of a kernel stack, and of the guard below it.
pub const STACK_LEN: usize = 16 * 1024;
const GUARD_LEN: usize = 16 * 1024;
/// Stacks kept with their frames.
const STACKS_KEPT: usize = 64;

impl Area {
    fn tables() -> Tables {
        Tables { root: kernel_root() }
    }

    fn take(&mut self, len: usize) -> Result<usize, OutOfMemory> {
        let start = self.next;
        let end = start.checked_add(len).filter(|&end| end <= self.next_device).ok_or(OutOfMemory)?;
        self.next = end;
        Ok(start)
    }

    fn take_device(&mut self, len: usize) -> Result<usize, OutOfMemory> {
        let start =
            self.next_device.checked_sub(len).filter(|&start| start >= self.next).ok_or(OutOfMemory)?;
        self.next_device = start;
        Ok(start)
    }

    fn map_stack(&mut self, slot: usize) -> Result<usize, OutOfMemory> {
        let bottom = slot + GUARD_LEN;
        for page in (bottom..bottom + STACK_LEN).step_by(PAGE_SIZE) {
            let frame = match Frame::new(Owner::Stack) {
                Ok(frame) => frame,
                Err(error) => {
                    self.unmap_stack(bottom, page);
                    return Err(error);
                }
            };
            let entry = frame.address().0 | PRESENT | WRITABLE | GLOBAL | NO_EXECUTE;
            if let Err(error) = Self::tables().map(page as u64, 0, entry) {
                self.unmap_stack(bottom, page);
                return Err(error);
            }
            // The entry owns the frame now.
            let _ = frame.into_raw();
        }
        Ok(bottom + STACK_LEN)
    }

    /// Unmaps the pages `bottom..end`, which nobody has used since the last flush.
    fn unmap_stack(&mut self, bottom: usize, end: usize) {
        for page in (bottom..end).step_by(PAGE_SIZE) {
            if let Some(address) = Self::tables().unmap(page as u64) {
                // SAFETY: the entry owned the frame, from `into_raw` in `map_stack`.
                drop(unsafe { Frame::from_raw(address) });
            }
        }
    }
}

/// A kernel stack: 16 KiB above an unmapped guard of the same size.
pub struct KernelStack {
    top: usize,
}

impl KernelStack {
    pub fn new() -> Result<Self, OutOfMemory> {
        let mut area = AREA_STATE.lock();
        if let Some(top) = area.stacks.pop() {
            return Ok(Self { top });
        }
        let slot = match area.slots.pop() {
            Some(slot) => slot,
            None => area.take(GUARD_LEN + STACK_LEN)?,
        };
        match area.map_stack(slot) {
            Ok(top) => Ok(Self { top }),
            Err(error) => {
                if area.slots.try_reserve(1).is_ok() {
                    area.slots.push(slot);
                }
                Err(error)
            }
        }
    }

    /// One past the highest byte; 16-byte aligned.
    pub fn top(&self) -> usize {
        self.top
    }
}

impl Drop for KernelStack {
    fn drop(&mut self) {
        let mut area = AREA_STATE.lock();
        if area.stacks.len() < STACKS_KEPT && area.stacks.try_reserve(1).is_ok() {
            area.stacks.push(self.top);
            return;
        }
        let bottom = self.top - STACK_LEN;
        let mut frames = arrayvec::ArrayVec::<Frame, { STACK_LEN / PAGE_SIZE }>::new();
        for page in (bottom..self.top).step_by(PAGE_SIZE) {
            if let Some(address) = Area::tables().unmap(page as u64) {
                // SAFETY: the entry owned the frame, from `into_raw` in `map_stack`; it is only dropped after
                // the flush below.
                frames.push(unsafe { Frame::from_raw(address) });
            }
        }
        drop(area);
        tlb::flush_kernel(bottom, self.top);
        drop(frames);
        let mut area = AREA_STATE.lock();
        if area.slots.try_reserve(1).is_ok() {
            area.slots.push(bottom - GUARD_LEN);
        }
    }
}

/// Device memory in the kernel's area, uncached. The addresses are not given back: devices are found once.
pub struct IoMapping {
    pointer: *mut u8,
}

// SAFETY: the mapping lasts for ever; what is done through the pointer is the owner's business.
unsafe impl Send for IoMapping {}
// SAFETY: as above.
unsafe impl Sync for IoMapping {}

impl IoMapping {
    pub fn pointer(&self) -> *mut u8 {
        self.pointer
    }
}

/// Maps device memory for a driver.
pub fn map_io(start: PhysicalAddress, len: usize) -> Result<IoMapping, IoError> {
    let end = start.0.checked_add(len as u64).filter(|_| len != 0).ok_or(IoError::BadRange)?;
    let is_reserved = crate::boot::info().regions.iter().any(|region| {
        region.kind != crate::boot::RegionKind::Reserved
            && start.0 < region.start.0 + region.len
            && region.start.0 < end
    }) || super::firmware::is_machine_memory(start.0, end);
    if is_reserved {
        return Err(IoError::Reserved);
    }
    map_device(start, len).map_err(|OutOfMemory| IoError::OutOfMemory)
}

/// Maps device memory for the machine itself.
pub fn map_device(start: PhysicalAddress, len: usize) -> Result<IoMapping, OutOfMemory> {
    let first = start.0 & !(PAGE_SIZE as u64 - 1);
    let offset = (start.0 - first) as usize;
    let pages = (offset + len).div_ceil(PAGE_SIZE);
    let mut area = AREA_STATE.lock();
    let address = area.take_device(pages * PAGE_SIZE)?;
    for page in 0..pages {
        let entry = (first + (page * PAGE_SIZE) as u64)
            | PRESENT
            | WRITABLE
            | GLOBAL
            | NO_EXECUTE
            | UNCACHED
            | WRITE_THROUGH;
        Area::tables().map((address + page * PAGE_SIZE) as u64, 0, entry)?;
    }
    Ok(IoMapping { pointer: (address + offset) as *mut u8 })
}

//! The static record of each frame: 32 bytes, indexed by frame number.

use core::num::NonZeroU32;
use core::sync::atomic::{AtomicPtr, AtomicU8, AtomicU16, AtomicU32, AtomicU64, AtomicUsize, Ordering};

use super::Owner;

/// Bit in [`Record::lock`]: the page table in this frame is locked by a cursor.
pub(crate) const PAGE_TABLE_LOCK: u32 = 1;

#[repr(C)]
pub(crate) struct Record {
    /// References: handles, page-table entries, cache entries.
    pub refs: AtomicU32,
    /// How many page-table entries map it.
    pub maps: AtomicU32,
    pub owner: AtomicU8,
    /// Of a free block's first frame: its order; elsewhere [`NOT_HEAD`].
    pub order: AtomicU8,
    /// Meaning given by the owner.
    pub flags: AtomicU16,
    /// Page-table frames: [`PAGE_TABLE_LOCK`]. Heap frames: size class.
    pub lock: AtomicU32,
    /// Free: next block. Heap: first free object. Page table: entries from the lowest used one on. Else: the object it belongs to.
    pub object: AtomicU64,
    /// Free: previous block. Heap: objects in use. Page table: one past the highest entry used. Else: the page index in the object.
    pub index: AtomicU64,
}

const _: () = assert!(size_of::<Record>() == 32);

/// `order` of a frame that is not the first of a free block.
pub(crate) const NOT_HEAD: u8 = 0xff;

impl Record {
    pub fn owner(&self) -> Owner {
        owner_from(self.owner.load(Ordering::Relaxed))
    }

    /// Of a page table: notes, before it is used, that entry `index` of `entries` may be in use from now on.
    #[inline]
    pub fn note_entry(&self, index: usize, entries: usize) {
        let end = index as u64 + 1;
        if self.index.load(Ordering::Relaxed) < end {
            self.index.fetch_max(end, Ordering::Relaxed);
        }
        let from_start = (entries - index) as u64;
        if self.object.load(Ordering::Relaxed) < from_start {
            self.object.fetch_max(from_start, Ordering::Relaxed);
        }
    }

    /// Of a page table: the entries that may ever have been in use, so that nobody looks at the others.
    #[inline]
    pub fn noted_entries(&self, entries: usize) -> core::ops::Range<usize> {
        entries - self.object.load(Ordering::Relaxed) as usize..self.index.load(Ordering::Relaxed) as usize
    }

    pub fn replace_owner(&self, owner: Owner) -> Owner {
        owner_from(self.owner.swap(owner as u8, Ordering::Relaxed))
    }
}

fn owner_from(byte: u8) -> Owner {
    match byte {
        0 => Owner::Free,
        2 => Owner::Heap,
        3 => Owner::PageTable,
        4 => Owner::User,
        5 => Owner::Stack,
        6 => Owner::Cache,
        7 => Owner::Dma,
        _ => Owner::Kernel,
    }
}

static RECORDS: AtomicPtr<Record> = AtomicPtr::new(core::ptr::null_mut());
static LEN: AtomicUsize = AtomicUsize::new(0);

/// Puts the records at `records`: one for each frame number below `len`.
///
/// # Safety
/// `records` points to `len` records' worth of memory, aligned, that is used for nothing else from now on.
/// Called once, before any other function of this module.
pub(crate) unsafe fn init_records(records: *mut Record, len: usize) {
    for index in 0..len {
        // SAFETY: `index < len`, so the record lies in the memory that the caller gave.
        unsafe {
            records.add(index).write(Record {
                refs: AtomicU32::new(0),
                maps: AtomicU32::new(0),
                owner: AtomicU8::new(Owner::Kernel as u8),
                order: AtomicU8::new(NOT_HEAD),
                flags: AtomicU16::new(0),
                lock: AtomicU32::new(0),
                object: AtomicU64::new(0),
                index: AtomicU64::new(0),
            });
        }
    }
    LEN.store(len, Ordering::Relaxed);
    RECORDS.store(records, Ordering::Release);
}

/// The record of frame `number`, if memory reaches that far.
#[inline]
pub(crate) fn record_at(number: usize) -> Option<&'static Record> {
    if number >= LEN.load(Ordering::Relaxed) {
        return None;
    }
    // SAFETY: `init_records` made `LEN` records there and they are never moved or freed; a record is all
    // atomics.
    Some(unsafe { &*RECORDS.load(Ordering::Relaxed).add(number) })
}

/// The record of an allocated frame.
#[inline]
pub(crate) fn record(number: NonZeroU32) -> &'static Record {
    match record_at(number.get() as usize) {
        Some(record) => record,
        None => panic!("frame {number} has no record"),
    }
}

//! Address spaces: four-level page tables, changed through cursors.
//!
//! A [`Space`] is the user half of an address space; the kernel half is the same in all. A [`Cursor`] holds
//! the lock of one leaf table (512 pages, 2 MiB); cursors on different tables do not disturb each other, so
//! faults take no lock of the whole space. Upper tables are only ever added, with a compare-and-swap, and go
//! with the space.
//!
//! Entries own their frames: mapping moves a [`Frame`] in, unmapping moves it into a [`Gather`], which frees
//! it only after every processor that may have the translation cached has dropped it.

mod cursor;
mod entry;
mod gather;

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};

use crate::address::{PAGE_SIZE, PhysicalAddress, USER_END, UserAddress};
use crate::arch;
use crate::cpu;
use crate::frame::{Frame, OutOfMemory, Owner, Record, record_at};
use crate::heap::try_arc;

pub use cursor::{Cursor, Shared};
pub use entry::{Mapping, Protection};
pub use gather::Gather;

pub(crate) use entry::Entry;

/// Bytes covered by one leaf table.
pub const TABLE_SPAN: usize = PAGE_SIZE * ENTRIES;
/// Entries of a table of any level.
pub(crate) const ENTRIES: usize = 512;

/// The set of processors on which a space is loaded.
pub(crate) struct CpuSet([AtomicU64; 4]);

impl CpuSet {
    const fn new() -> Self {
        Self([const { AtomicU64::new(0) }; 4])
    }

    pub(crate) fn insert(&self, cpu: usize) {
        self.0[cpu / 64].fetch_or(1 << (cpu % 64), Ordering::SeqCst);
    }

    pub(crate) fn remove(&self, cpu: usize) {
        self.0[cpu / 64].fetch_and(!(1 << (cpu % 64)), Ordering::SeqCst);
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = usize> {
        let words = [0, 1, 2, 3].map(|word: usize| self.0[word].load(Ordering::SeqCst));
        (0..cpu::count()).filter(move |&cpu| words[cpu / 64] & (1 << (cpu % 64)) != 0)
    }
}

/// The page tables of an address space.
pub struct Space {
    root: Frame,
    /// Where the tables are loaded, so that a change reaches just those processors.
    pub(crate) loaded: CpuSet,
}

impl Space {
    /// A space with nothing mapped below [`USER_END`].
    pub fn new() -> Result<Arc<Self>, OutOfMemory> {
        let root = Frame::new(Owner::PageTable)?;
        arch::copy_kernel_half(root.pointer());
        try_arc(Self { root, loaded: CpuSet::new() })
    }

    /// The address of the root table.
    pub(crate) fn root(&self) -> PhysicalAddress {
        self.root.address()
    }

    /// Locks the leaf table for `address`, making it and those above it if they are missing. `address` is
    /// below [`USER_END`].
    ///
    /// # Panics
    /// For an address that is not.
    pub fn cursor(&self, address: UserAddress) -> Result<Cursor<'_>, OutOfMemory> {
        let table = self.leaf(address, true)?.ok_or(OutOfMemory)?;
        Ok(Cursor::lock(self, table, address, false))
    }

    /// As [`cursor`](Self::cursor), while the caller has a cursor of another space: for `fork`, which locks
    /// the parent's first.
    pub fn cursor_nested(&self, address: UserAddress) -> Result<Cursor<'_>, OutOfMemory> {
        let table = self.leaf(address, true)?.ok_or(OutOfMemory)?;
        Ok(Cursor::lock(self, table, address, true))
    }

    /// Locks the leaf table for `address` if it exists.
    pub fn find(&self, address: UserAddress) -> Option<Cursor<'_>> {
        let table = self.leaf(address, false).ok().flatten()?;
        Some(Cursor::lock(self, table, address, false))
    }

    /// The first address in `start..end` that has a leaf table: how ranges are walked without visiting every
    /// hole.
    pub fn next_table(&self, start: UserAddress, end: UserAddress) -> Option<UserAddress> {
        let mut at = start.0;
        while at < end.0.min(USER_END) {
            let mut table = self.root.address();
            let mut missing = None;
            for level in [3, 2, 1] {
                let entry = Entry::slot(table, index_at(at, level)).load();
                if !entry.is_present() {
                    missing = Some(level);
                    break;
                }
                table = entry.address();
            }
            let Some(level) = missing else {
                return Some(UserAddress(at));
            };
            let span = TABLE_SPAN << (9 * (level - 1));
            at = (at & !(span - 1)) + span;
        }
        None
    }

    /// Walks to the leaf table for `address`.
    fn leaf(&self, address: UserAddress, may_create: bool) -> Result<Option<PhysicalAddress>, OutOfMemory> {
        assert!(address.0 < USER_END, "page tables of programs end at {USER_END:#x}");
        let mut table = self.root.address();
        for level in [3, 2, 1] {
            let slot = Entry::slot(table, index_at(address.0, level));
            let mut entry = slot.load();
            if !entry.is_present() {
                if !may_create {
                    return Ok(None);
                }
                let fresh = Frame::new(Owner::PageTable)?;
                table_record(table).note_entry(index_at(address.0, level), ENTRIES);
                entry = slot.install_table(fresh);
            }
            table = entry.address();
        }
        Ok(Some(table))
    }

    /// Takes this space off every processor that still has it loaded without running in it (a processor that
    /// went idle keeps the last space). Called when the last thread of a program has gone; the caller itself
    /// must have left it with [`set_space`](crate::task::set_space).
    pub fn evict(&self) {
        arch::evict_space(self);
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        // No processor has the space loaded (each holds a reference while it does), so no translation can be
        // cached.
        free_tables(self.root.address(), 3);
    }
}

/// Frees what the entries of a table refer to: of the root those for programs, which are the only ones that are noted. Three calls deep at the most.
fn free_tables(table: PhysicalAddress, level: usize) {
    for index in table_record(table).noted_entries(ENTRIES) {
        let entry = Entry::slot(table, index).take();
        if level == 0 {
            drop(entry.into_frame());
        } else if entry.is_present() {
            free_tables(entry.address(), level - 1);
            drop(entry.into_table());
        }
    }
}

/// The record of the frame that a page table is in.
pub(crate) fn table_record(table: PhysicalAddress) -> &'static Record {
    match record_at(table.frame_number()) {
        Some(record) => record,
        None => panic!("a page table outside memory"),
    }
}

/// The index of `address` in a table of `level` (0: leaf, 3: root).
pub(crate) const fn index_at(address: usize, level: usize) -> usize {
    (address >> (12 + 9 * level)) & (ENTRIES - 1)
}

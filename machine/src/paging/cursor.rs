//! The lock of one leaf table, and what can be done with it.

use core::ops::Range;
use core::sync::atomic::Ordering;

use super::{ENTRIES, Entry, Gather, Mapping, Protection, Space, TABLE_SPAN, index_at, table_record};
use crate::address::{PAGE_SIZE, PhysicalAddress, UserAddress};
use crate::arch;
use crate::frame::{Frame, Owner, PAGE_TABLE_LOCK};
use crate::sync::{PreemptGuard, Rank, disable_preemption};

/// How many pages a fork has shared, by what their frames are used for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shared {
    /// Anonymous memory.
    pub user: usize,
    /// Pages of objects.
    pub cache: usize,
    /// Others: the page of zeroes.
    pub other: usize,
}

/// Holds a leaf table locked: no fault and no other cursor changes its pages meanwhile. Preemption is held
/// off.
pub struct Cursor<'a> {
    space: &'a Space,
    table: PhysicalAddress,
    /// First address that the table covers.
    base: UserAddress,
    _preempt: PreemptGuard,
}

impl<'a> Cursor<'a> {
    pub(super) fn lock(
        space: &'a Space,
        table: PhysicalAddress,
        address: UserAddress,
        is_nested: bool,
    ) -> Self {
        let preempt = disable_preemption();
        arch::rank_enter(Rank::PageTable as u8, is_nested);
        let record = table_record(table);
        while record.lock.fetch_or(PAGE_TABLE_LOCK, Ordering::Acquire) & PAGE_TABLE_LOCK != 0 {
            while record.lock.load(Ordering::Relaxed) & PAGE_TABLE_LOCK != 0 {
                arch::spin_wait();
            }
        }
        Self { space, table, base: UserAddress(address.0 & !(TABLE_SPAN - 1)), _preempt: preempt }
    }

    /// The addresses that this cursor can change.
    pub fn window(&self) -> Range<UserAddress> {
        self.base..UserAddress(self.base.0 + TABLE_SPAN)
    }

    #[track_caller]
    fn slot(&self, address: UserAddress) -> super::entry::Slot {
        assert!(self.window().contains(&address), "{address:?} is outside the cursor's window");
        Entry::slot(self.table, index_at(address.0, 0))
    }

    /// What is mapped at the page of `address`.
    pub fn get(&self, address: UserAddress) -> Option<Mapping> {
        self.slot(address).load().mapping()
    }

    /// A reference to the frame at the page of `address`.
    pub fn frame(&self, address: UserAddress) -> Option<Frame> {
        self.slot(address).load().share_frame()
    }

    /// Maps `frame` at the page of `address`, which must be empty: otherwise the frame comes back. No flush
    /// is needed: processors do not cache absent pages.
    pub fn map(&mut self, address: UserAddress, frame: Frame, protection: Protection) -> Result<(), Frame> {
        let slot = self.slot(address);
        if slot.load().is_owned() {
            return Err(frame);
        }
        self.note(address);
        slot.replace(Entry::leaf(frame, protection));
        Ok(())
    }

    /// Maps `frame` in place of what is at the page of `address` (copy on write); the old frame goes to the
    /// gather.
    pub fn replace(
        &mut self,
        address: UserAddress,
        frame: Frame,
        protection: Protection,
        gather: &mut Gather<'_>,
    ) {
        self.check(gather);
        self.note(address);
        let old = self.slot(address).replace(Entry::leaf(frame, protection));
        if let Some(old) = old.into_frame() {
            gather.add(address, old);
        }
    }

    /// Changes the rights to a mapped page; nothing happens where none is. Taking rights away needs the
    /// gather's flush before it counts.
    pub fn protect(&mut self, address: UserAddress, protection: Protection, gather: &mut Gather<'_>) {
        self.check(gather);
        let slot = self.slot(address);
        if slot.load().is_owned() {
            let old = slot.protect(protection);
            if !protection.contains(old.protection()) {
                gather.touch(address);
            }
        }
    }

    /// Unmaps a page; its frame goes to the gather. Returns what was there.
    pub fn unmap(&mut self, address: UserAddress, gather: &mut Gather<'_>) -> Option<Mapping> {
        self.check(gather);
        let old = self.slot(address).take();
        let mapping = old.mapping();
        if let Some(frame) = old.into_frame() {
            gather.add(address, frame);
        }
        mapping
    }

    /// Clears the dirty and/or accessed bits of a mapped page; returns how it was before. A cleared dirty bit
    /// is set again only after the gather's flush.
    pub fn clear(
        &mut self,
        address: UserAddress,
        dirty: bool,
        accessed: bool,
        gather: &mut Gather<'_>,
    ) -> Option<Mapping> {
        self.check(gather);
        let slot = self.slot(address);
        slot.load().mapping()?;
        let old = slot.clear(dirty, accessed);
        if dirty {
            gather.touch(address);
        }
        old.mapping()
    }

    /// The first mapped page in `range`, as far as this cursor's window reaches.
    pub fn next_mapped(&self, range: Range<UserAddress>) -> Option<(UserAddress, Mapping)> {
        self.entries(&range).find_map(|index| {
            let mapping = Entry::slot(self.table, index).load().mapping()?;
            Some((UserAddress(self.base.0 + index * PAGE_SIZE), mapping))
        })
    }

    /// The entries for `range`, as far as this window reaches, that may be in use.
    fn entries(&self, range: &Range<UserAddress>) -> Range<usize> {
        let start = range.start.0.max(self.base.0);
        let end = range.end.0.min(self.base.0 + TABLE_SPAN);
        if start >= end {
            return 0..0;
        }
        let noted = table_record(self.table).noted_entries(ENTRIES);
        index_at(start, 0).max(noted.start)..(index_at(end - 1, 0) + 1).min(noted.end)
    }

    /// Notes that the entry for `address` is about to be used.
    fn note(&self, address: UserAddress) {
        table_record(self.table).note_entry(index_at(address.0, 0), ENTRIES);
    }

    /// Maps every page of `range` (cut to this window) that is mapped here into `child` as well, at the same
    /// addresses, which must be empty there. With `is_private`, both lose the right to store, so that the
    /// first store copies; the gather is of this cursor's space. Returns how many pages of which kind.
    pub fn share_with(
        &mut self,
        child: &mut Cursor<'_>,
        range: Range<UserAddress>,
        is_private: bool,
        gather: &mut Gather<'_>,
    ) -> Shared {
        self.check(gather);
        assert!(child.base == self.base, "fork copies a table to the same place");
        let mut shared = Shared::default();
        for index in self.entries(&range) {
            let slot = Entry::slot(self.table, index);
            let mut entry = slot.load();
            let Some(frame) = entry.share_frame() else { continue };
            if is_private && entry.protection().contains(Protection::WRITE) {
                entry = slot.protect(entry.protection() - Protection::WRITE);
                gather.touch(UserAddress(self.base.0 + index * PAGE_SIZE));
            }
            let mut protection = entry.protection();
            if is_private {
                protection -= Protection::WRITE;
            }
            match frame.owner() {
                Owner::User => shared.user += 1,
                Owner::Cache => shared.cache += 1,
                _ => shared.other += 1,
            }
            table_record(child.table).note_entry(index, ENTRIES);
            let old = Entry::slot(child.table, index).replace(Entry::leaf(frame, protection));
            assert!(!old.is_owned(), "fork found a page in the child");
        }
        shared
    }

    fn check(&self, gather: &Gather<'_>) {
        assert!(core::ptr::eq(self.space, gather.space()), "a gather of another space");
    }
}

impl Drop for Cursor<'_> {
    fn drop(&mut self) {
        arch::rank_leave(Rank::PageTable as u8);
        table_record(self.table).lock.fetch_and(!PAGE_TABLE_LOCK, Ordering::Release);
    }
}

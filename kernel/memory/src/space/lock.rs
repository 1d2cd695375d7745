//! mlock(2), munlock(2), mlockall(2), munlockall(2), mincore(2).
//!
//! Nothing is ever swapped out, so a lock brings pages in and keeps the clock's hand off pages of objects.

use core::ops::Range;

use abi::Errno;
use abi::mman::MlockallFlags;
use machine::address::{PAGE_SHIFT, PAGE_SIZE, USER_END, UserAddress};

use super::{AddressSpace, FaultError};
use crate::area::AreaFlags;

impl AddressSpace {
    /// Locks the pages that the range touches (mlock(2)); `is_on_fault` only those that come in later (`MLOCK_ONFAULT`).
    ///
    /// `EPERM` when nothing may be locked, `ENOMEM` over the limit or for holes, `EAGAIN` when a page could not be brought in, `EINVAL` when the range wraps.
    pub fn lock_range(&self, start: UserAddress, len: usize, is_on_fault: bool) -> Result<(), Errno> {
        let limit = self.limits().locked;
        if limit == 0 {
            return Err(Errno::EPERM);
        }
        let range = touched_pages(start, len)?;
        {
            let _changes = self.changes.lock();
            let already = self.locked_in(&range);
            let wanted = (self.account.locked_pages() + (range.len() >> PAGE_SHIFT)).saturating_sub(already);
            if (wanted as u64).saturating_mul(PAGE_SIZE as u64) > limit {
                return Err(Errno::ENOMEM);
            }
            let flags =
                if is_on_fault { AreaFlags::LOCKED | AreaFlags::LOCK_ON_FAULT } else { AreaFlags::LOCKED };
            self.set_flags(range.clone(), AreaFlags::LOCKED | AreaFlags::LOCK_ON_FAULT, flags)?;
        }
        if is_on_fault {
            return Ok(());
        }
        self.populate(range).map_err(|error| match error {
            FaultError::OutOfMemory => Errno::EAGAIN,
            _ => Errno::ENOMEM,
        })
    }

    /// Unlocks the pages that the range touches (munlock(2)). `ENOMEM` for holes.
    pub fn unlock_range(&self, start: UserAddress, len: usize) -> Result<(), Errno> {
        let range = touched_pages(start, len)?;
        let _changes = self.changes.lock();
        self.set_flags(range, AreaFlags::LOCKED | AreaFlags::LOCK_ON_FAULT, AreaFlags::empty())
    }

    /// Locks all areas, or all to come, or both (mlockall(2)). `EINVAL` for bad flags, `EPERM` and `ENOMEM` as in [`lock_range`](Self::lock_range).
    pub fn lock_all(&self, flags: MlockallFlags) -> Result<(), Errno> {
        if flags.is_empty() || flags == MlockallFlags::ONFAULT || !MlockallFlags::all().contains(flags) {
            return Err(Errno::EINVAL);
        }
        let limit = self.limits().locked;
        if limit == 0 {
            return Err(Errno::EPERM);
        }
        {
            let mut changes = self.changes.lock();
            let is_current = flags.contains(MlockallFlags::CURRENT);
            if is_current && ((self.account.virtual_pages() as u64) << PAGE_SHIFT) > limit {
                return Err(Errno::ENOMEM);
            }
            changes.future = if flags.contains(MlockallFlags::FUTURE) {
                flags & !MlockallFlags::CURRENT
            } else {
                MlockallFlags::empty()
            };
            if !is_current {
                return Ok(());
            }
            let is_on_fault = flags.contains(MlockallFlags::ONFAULT);
            let set =
                if is_on_fault { AreaFlags::LOCKED | AreaFlags::LOCK_ON_FAULT } else { AreaFlags::LOCKED };
            self.set_flags_everywhere(AreaFlags::LOCKED | AreaFlags::LOCK_ON_FAULT, set)?;
            if is_on_fault {
                return Ok(());
            }
        }
        // As in Linux, what cannot be brought in does not matter here.
        for area in self.snapshot().range(0, USER_END) {
            let _ = self.populate(area.used());
        }
        Ok(())
    }

    /// Unlocks all, and what comes (munlockall(2)).
    pub fn unlock_all(&self) -> Result<(), Errno> {
        let mut changes = self.changes.lock();
        changes.future = MlockallFlags::empty();
        self.set_flags_everywhere(AreaFlags::LOCKED | AreaFlags::LOCK_ON_FAULT, AreaFlags::empty())
    }

    /// Says of each page of the range whether it is in memory, bit 0 of a byte each, in pieces (mincore(2)). `EINVAL` for an unaligned start, `ENOMEM` for holes and ranges outside user space.
    pub fn residency(
        &self,
        start: UserAddress,
        len: usize,
        mut visit: impl FnMut(&[u8]) -> Result<(), Errno>,
    ) -> Result<(), Errno> {
        let range = super::map::whole_pages(start, len, Errno::ENOMEM)?;
        let mut bytes = arrayvec::ArrayVec::<u8, 256>::new();
        let mut at = range.start;
        while at < range.end {
            let (area, _) = self.find(UserAddress(at)).ok_or(Errno::ENOMEM)?;
            let end = area.end.min(range.end);
            while at < end {
                let page = UserAddress(at);
                let is_mapped = self.space.find(page).is_some_and(|cursor| cursor.get(page).is_some());
                let is_cached =
                    || area.object().is_some_and(|object| object.resident(area.index_at(at)).is_some());
                bytes.push(u8::from(is_mapped || is_cached()));
                if bytes.is_full() {
                    visit(&bytes)?;
                    bytes.clear();
                }
                at += PAGE_SIZE;
            }
            // Before it is known whether something is mapped behind it.
            visit(&bytes)?;
            bytes.clear();
        }
        Ok(())
    }

    /// Pages of `range` that are locked.
    fn locked_in(&self, range: &Range<usize>) -> usize {
        let areas = self.areas.lock();
        areas
            .range(range.start, range.end)
            .filter(|area| area.flags.contains(AreaFlags::LOCKED))
            .map(|area| {
                area.used().end.min(range.end).saturating_sub(area.used().start.max(range.start))
                    >> PAGE_SHIFT
            })
            .sum()
    }

    /// Replaces the flags of `mask` in all areas of `range` by `set`, with `changes` held. `ENOMEM` at the first hole; what comes before it is changed.
    pub(super) fn set_flags(
        &self,
        range: Range<usize>,
        mask: AreaFlags,
        set: AreaFlags,
    ) -> Result<(), Errno> {
        let mut at = range.start;
        while at < range.end {
            let area = self.areas.lock().find(at).cloned().ok_or(Errno::ENOMEM)?;
            let part = at..area.end.min(range.end);
            at = part.end;
            if area.flags & mask != set {
                self.change_part(&area, part, |new| new.flags = (new.flags - mask) | set)?;
            }
        }
        Ok(())
    }

    fn set_flags_everywhere(&self, mask: AreaFlags, set: AreaFlags) -> Result<(), Errno> {
        let mut at = 0;
        loop {
            let Some(area) = self.areas.lock().at_or_after(at).cloned() else { return Ok(()) };
            at = area.end;
            if area.flags & mask != set {
                self.change_part(&area, area.start..area.end, |new| new.flags = (new.flags - mask) | set)?;
            }
        }
    }
}

/// The whole pages that a range of bytes touches.
fn touched_pages(start: UserAddress, len: usize) -> Result<Range<usize>, Errno> {
    let first = start.page_floor().0;
    let end = first.wrapping_add(super::map::wrapping_ceil(len.wrapping_add(start.page_offset())));
    // What lies outside user space is a hole.
    if end < first { Err(Errno::EINVAL) } else { Ok(first..end) }
}

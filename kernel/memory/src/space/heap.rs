//! What grows: the heap (brk(2)) and the stack.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicUsize, Ordering};

use abi::Errno;
use machine::address::{PAGE_SHIFT, PAGE_SIZE, USER_END, UserAddress, page_ceil};
use machine::heap::try_arc;
use machine::paging::Protection;

use super::edit::{Removed, allowance};
use super::{AddressSpace, FaultError, LOWEST_ADDRESS};
use crate::area::{Area, AreaFlags, Backing, MapKind, STACK_GUARD_BYTES};
use crate::overcommit;

/// Pages of the stack that a new program has from the start (Linux: `stack_expand`, 128 KiB, and the page of the arguments).
const STACK_START_BYTES: usize = (128 << 10) + PAGE_SIZE;

impl AddressSpace {
    /// Says where the heap begins: at the end of the program just loaded, moved up by the layout's gap.
    pub fn set_heap_start(&self, program_end: UserAddress) {
        let mut changes = self.changes.lock();
        let start = page_ceil(program_end.0.saturating_add(changes.layout.heap_gap)).unwrap_or(0);
        (changes.heap_start, changes.heap_end) = (start, start);
    }

    /// Where the heap begins and ends now.
    pub fn heap(&self) -> (UserAddress, UserAddress) {
        let changes = self.changes.lock();
        (UserAddress(changes.heap_start), UserAddress(changes.heap_end))
    }

    /// Moves the end of the heap to `end` if that can be, and returns where it is then (the system call brk, which has no errors).
    pub fn brk(&self, end: UserAddress) -> UserAddress {
        let mut removed = Removed::new();
        let mut changes = self.changes.lock();
        let (start, old) = (changes.heap_start, changes.heap_end);
        let (Some(old_top), Some(new_top)) = (page_ceil(old), page_ceil(end.0)) else {
            return UserAddress(old);
        };
        if start == 0 || end.0 < start || new_top > USER_END {
            return UserAddress(old);
        }
        let outcome = if new_top < old_top {
            self.unmap_locked(new_top..old_top, &mut removed)
        } else if new_top > old_top {
            self.grow_heap(&mut changes, old_top, new_top, (end.0 - start) as u64, &mut removed)
        } else {
            Ok(())
        };
        if outcome.is_ok() {
            changes.heap_end = end.0;
        }
        let (now, locks) = (changes.heap_end, changes.future);
        drop(changes);
        use abi::mman::MlockallFlags;
        if outcome.is_ok() && locks.contains(MlockallFlags::FUTURE) && !locks.contains(MlockallFlags::ONFAULT)
        {
            // The heap has grown even where its pages cannot be brought in now.
            let _ = self.populate(old_top.min(new_top)..new_top);
        }
        UserAddress(now)
    }

    fn grow_heap(
        &self,
        changes: &mut super::Changes,
        old_top: usize,
        new_top: usize,
        heap_bytes: u64,
        removed: &mut Removed,
    ) -> Result<(), Errno> {
        if heap_bytes > self.limits().data {
            return Err(Errno::ENOMEM);
        }
        // A page stays free above the heap, and the guard gap of a stack.
        let end = new_top + PAGE_SIZE;
        if self.areas.lock().highest_gap(end - old_top, old_top, end).is_none() {
            return Err(Errno::ENOMEM);
        }
        let mut flags = AreaFlags::empty();
        flags.set(AreaFlags::LOCKED, changes.future.contains(abi::mman::MlockallFlags::FUTURE));
        flags.set(AreaFlags::LOCK_ON_FAULT, changes.future.contains(abi::mman::MlockallFlags::ONFAULT));
        let area = Area {
            start: old_top,
            end: new_top,
            protection: Protection::READ | Protection::WRITE,
            kind: MapKind::Private,
            backing: Backing::Anonymous,
            flags,
            low: None,
            has_copies: None,
        };
        self.map_at(changes, area, false, removed)
    }

    /// Makes the stack of a new program, and returns its top. Its room is reserved at once, and used as it is touched, up to the limit in force.
    pub fn map_stack(&self, protection: Protection) -> Result<UserAddress, Errno> {
        let mut removed = Removed::new();
        let mut changes = self.changes.lock();
        let top = changes.layout.stack_top;
        let start = top.saturating_sub(changes.layout.stack_room).max(LOWEST_ADDRESS);
        let area = Area {
            start,
            end: top,
            protection,
            kind: MapKind::Private,
            backing: Backing::Anonymous,
            flags: AreaFlags::GROWS_DOWN,
            low: Some(try_arc(AtomicUsize::new(top.saturating_sub(STACK_START_BYTES)))?),
            has_copies: None,
        };
        if self.overlap(&(start..top)).0 > 0 {
            return Err(Errno::ENOMEM);
        }
        self.map_at(&mut changes, area, false, &mut removed)?;
        Ok(UserAddress(top))
    }

    /// Lets the stack whose reservation holds `page` grow down to it.
    pub(super) fn grow_stack(&self, page: UserAddress) -> Result<(), FaultError> {
        let _changes = self.changes.lock();
        let Some(area) = self.areas.lock().find(page.0).cloned() else { return Err(FaultError::Unmapped) };
        let Some(low) = &area.low else { return Ok(()) };
        let old = low.load(Ordering::Relaxed);
        // Another thread may have been here meanwhile.
        if page.0 < old {
            self.promise_growth(&area, page, old)?;
            low.store(page.0, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Lets an area that grows down and has nothing reserved (`MAP_GROWSDOWN`) grow to `page`, where nothing is, if it is the next above.
    pub(super) fn extend_stack(&self, page: UserAddress) -> Result<(), FaultError> {
        let grows_down = |area: &Arc<Area>| area.flags.contains(AreaFlags::GROWS_DOWN);
        if !self.areas.lock().at_or_after(page.0).is_some_and(grows_down) {
            return Err(FaultError::Unmapped);
        }
        let _changes = self.changes.lock();
        let Some(area) = self.areas.lock().at_or_after(page.0).cloned() else {
            return Err(FaultError::Unmapped);
        };
        if area.start <= page.0 {
            return Ok(());
        }
        if !grows_down(&area) || area.low.is_some() || page.0 < LOWEST_ADDRESS {
            return Err(FaultError::Unmapped);
        }
        let _allowance = allowance(0).map_err(|_| FaultError::OutOfMemory)?;
        self.promise_growth(&area, page, area.start)?;
        let grown = area.part(area.start..area.end, |grown| grown.start = page.0);
        self.edit(|areas| {
            areas.remove(area.start);
            areas.insert(grown);
        });
        Ok(())
    }

    /// Counts and promises the growth of a stack from `old` down to `page`, or refuses it: over a limit, or too near to what lies below.
    fn promise_growth(&self, area: &Area, page: UserAddress, old: usize) -> Result<(), FaultError> {
        let pages = (old - page.0) >> PAGE_SHIFT;
        let is_too_near = {
            let areas = self.areas.lock();
            // Unless nothing can be touched there, or it is a stack itself (Linux: `expand_downwards`).
            let below = areas
                .before(area.start)
                .filter(|below| !below.protection.is_empty() && !below.flags.contains(AreaFlags::GROWS_DOWN));
            below.is_some_and(|below| page.0 < below.end.saturating_add(STACK_GUARD_BYTES))
        };
        if is_too_near
            || (area.end - page.0) as u64 > self.limits().stack
            || self.check_limits(area, pages).is_err()
        {
            return Err(FaultError::Unmapped);
        }
        if area.flags.contains(AreaFlags::ACCOUNTED) {
            overcommit::charge(pages).map_err(|_| FaultError::Unmapped)?;
        }
        self.account.added(area, pages);
        Ok(())
    }
}

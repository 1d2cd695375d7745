//! mremap(2).

use alloc::sync::Arc;
use core::ops::Range;

use abi::Errno;
use abi::mman::MremapFlags;
use arrayvec::ArrayVec;
use machine::address::{PAGE_SHIFT, PAGE_SIZE, USER_END, UserAddress, page_ceil};
use machine::frame::Frame;
use machine::paging::{Gather, Protection, TABLE_SPAN};

use super::edit::{Removed, allowance, make_room};
use super::map::wrapping_ceil;
use super::{AddressSpace, Changes, LOWEST_ADDRESS};
use crate::area::{Area, AreaFlags};
use crate::{overcommit, reclaim};

/// Pages moved from one table to another at a time.
const MOVE_BATCH: usize = 64;

impl AddressSpace {
    /// Changes the length of a mapping, and moves it where that must or shall be (mremap(2)); returns where it is.
    ///
    /// - `EINVAL`: bad flags, unaligned addresses, no new length, a new place that overlaps the old
    /// - `EFAULT`: the range is not one mapping
    /// - `ENOMEM`: no room (without `MAYMOVE`: not behind it), or over a limit
    /// - `EAGAIN`: more locked memory than allowed
    pub fn remap(
        &self,
        old: UserAddress,
        old_len: usize,
        new_len: usize,
        flags: MremapFlags,
        new: UserAddress,
    ) -> Result<UserAddress, Errno> {
        let may_move = flags.contains(MremapFlags::MAYMOVE);
        let keeps_old = flags.contains(MremapFlags::DONTUNMAP);
        let is_fixed = flags.contains(MremapFlags::FIXED);
        if !MremapFlags::all().contains(flags) || (is_fixed || keeps_old) && !may_move {
            return Err(Errno::EINVAL);
        }
        let old_len = wrapping_ceil(old_len);
        let new_len = page_ceil(new_len).filter(|len| (1..=USER_END).contains(len)).ok_or(Errno::EINVAL)?;
        if !old.is_page_aligned() || (keeps_old && old_len != new_len) {
            return Err(Errno::EINVAL);
        }
        if is_fixed {
            self.check_target(old.0, old_len, new, new_len)?;
        }
        let mut removed = Removed::new();
        let (range, locks) = {
            let mut changes = self.changes.lock();
            let wanted = Wanted {
                old: old.0,
                old_len,
                new_len,
                target: is_fixed.then_some(new.0),
                may_move,
                keeps_old,
            };
            let start = self.remap_locked(&mut changes, &wanted, &mut removed)?;
            let locks = self.areas.lock().find(start).is_some_and(|area| {
                area.flags.contains(AreaFlags::LOCKED) && !area.flags.contains(AreaFlags::LOCK_ON_FAULT)
            });
            (start..start + new_len, locks)
        };
        drop(removed);
        if locks && new_len > old_len {
            // The mapping stands, whatever cannot be brought in.
            let _ = self.populate(range.start + old_len..range.end);
        }
        Ok(UserAddress(range.start))
    }

    fn check_target(
        &self,
        old: usize,
        old_len: usize,
        new: UserAddress,
        new_len: usize,
    ) -> Result<(), Errno> {
        let end = new.0.checked_add(new_len).filter(|end| *end <= USER_END).ok_or(Errno::EINVAL)?;
        let old_end = old.wrapping_add(old_len);
        if !new.is_page_aligned() || (new.0 < old_end && old < end) {
            return Err(Errno::EINVAL);
        }
        Ok(())
    }

    fn remap_locked(
        &self,
        changes: &mut Changes,
        wanted: &Wanted,
        removed: &mut Removed,
    ) -> Result<usize, Errno> {
        let &Wanted { old, old_len, new_len, .. } = wanted;
        let area = self.areas.lock().find(old).cloned().ok_or(Errno::EFAULT)?;
        if wanted.target.is_some_and(|target| target < LOWEST_ADDRESS) && !self.limits().may_map_low {
            return Err(Errno::EPERM);
        }
        if old_len == 0 {
            // A second mapping of the same shared object.
            if !area.is_shared() || !wanted.may_move {
                return Err(Errno::EINVAL);
            }
            return self.move_mapping(changes, &area, wanted, removed);
        }
        if let (Some(target), false) = (wanted.target, wanted.keeps_old) {
            return self.move_to(changes, wanted, target, removed);
        }
        let stays = !wanted.keeps_old;
        if stays && new_len <= old_len {
            // Only what goes is looked at, and there need be nothing.
            if old.checked_add(old_len).is_none_or(|end| end > USER_END) {
                return Err(Errno::EINVAL);
            }
            if new_len < old_len {
                self.unmap_locked(old + new_len..old + old_len, removed)?;
            }
            return Ok(old);
        }
        if old_len > area.end - old {
            return Err(Errno::EFAULT);
        }
        if wanted.keeps_old {
            return self.move_mapping(changes, &area, wanted, removed);
        }
        if old + old_len == area.end && self.is_free(area.end..old.saturating_add(new_len)) {
            self.extend(changes, &area, new_len - old_len, removed)?;
            return Ok(old);
        }
        if !wanted.may_move {
            return Err(Errno::ENOMEM);
        }
        self.move_mapping(changes, &area, wanted, removed)
    }

    /// Moves a range to a place of the program's choice. What keeps its length there may be several mappings, and gaps between them
    /// (Linux since 6.17).
    fn move_to(
        &self,
        changes: &mut Changes,
        wanted: &Wanted,
        target: usize,
        removed: &mut Removed,
    ) -> Result<usize, Errno> {
        let &Wanted { old, old_len, new_len, .. } = wanted;
        let end = old.checked_add(old_len).filter(|end| *end <= USER_END).ok_or(Errno::EINVAL)?;
        let is_one = new_len != old_len;
        let kept_end = old + old_len.min(new_len);
        // Before anything is changed.
        if is_one && self.areas.lock().find(old).is_none_or(|area| area.end < kept_end) {
            return Err(Errno::EFAULT);
        }
        if new_len < old_len {
            self.unmap_locked(old + new_len..end, removed)?;
        }
        let end = kept_end;
        let mut at = old;
        loop {
            let next = self.areas.lock().range(at, end).next().cloned();
            let Some(area) = next else { break };
            if is_one {
                let shorter = Wanted { old_len: end - old, ..*wanted };
                return self.move_mapping(changes, &area, &shorter, removed);
            }
            let start = area.start.max(at);
            let len = area.end.min(end) - start;
            let part = Wanted {
                old: start,
                old_len: len,
                new_len: len,
                target: Some(target + (start - old)),
                may_move: true,
                keeps_old: false,
            };
            self.move_mapping(changes, &area, &part, removed)?;
            at = start + len;
        }
        Ok(target)
    }

    /// Whether nothing is in `range`, which must be in user space.
    fn is_free(&self, range: Range<usize>) -> bool {
        range.end <= USER_END && self.areas.lock().highest_gap(range.len(), range.start, range.end).is_some()
    }

    /// Makes an area longer, where it is.
    fn extend(
        &self,
        changes: &mut Changes,
        area: &Arc<Area>,
        more: usize,
        removed: &mut Removed,
    ) -> Result<(), Errno> {
        let _allowance = allowance(0)?;
        let mut tail = piece(area, area.end - PAGE_SIZE..area.end);
        set_offset(&mut tail, area.offset_bytes() + (area.end - area.start) as u64)?;
        (tail.start, tail.end) = (area.end, area.end + more);
        self.map_at(changes, tail, false, removed)
    }

    #[expect(clippy::disallowed_methods, reason = "made with an allowance in hand")]
    fn move_mapping(
        &self,
        changes: &mut Changes,
        area: &Arc<Area>,
        wanted: &Wanted,
        removed: &mut Removed,
    ) -> Result<usize, Errno> {
        let &Wanted { old, old_len, new_len, target, keeps_old, .. } = wanted;
        let start = match target {
            Some(target) => target,
            None => {
                let areas = self.areas.lock();
                let top = changes.layout.mapping_top;
                let place = areas.highest_gap(new_len, LOWEST_ADDRESS, top);
                place.or_else(|| areas.lowest_gap(new_len, top, USER_END)).ok_or(Errno::ENOMEM)?
            }
        };
        // What is left of the old range when the move is done is unmapped: room for its areas, and for those at the target.
        let (old_count, _) = self.overlap(&(old..old + old_len));
        let (new_count, _) = self.overlap(&(start..start + new_len));
        make_room(removed, old_count + new_count)?;
        let _allowance = allowance(old_count + new_count)?;
        self.check_count(4)?;
        let moved_len = old_len.min(new_len);
        // In each table of the old place there may be pages for two of the new.
        reclaim::reserve((moved_len / TABLE_SPAN + 2) * 2)?;
        self.make_tables(old..old + moved_len, start)?;

        let mut copy = piece(area, old..area.end);
        (copy.start, copy.end) = (start, start + new_len);
        let offset = copy.offset_bytes();
        set_offset(&mut copy, offset)?;
        let goes = if keeps_old { 0 } else { moved_len >> PAGE_SHIFT };
        self.check_limits(&copy, (new_len >> PAGE_SHIFT).saturating_sub(goes))?;
        // The new place is promised whole; what the old had is given back with it.
        copy.flags.remove(AreaFlags::ACCOUNTED);
        if area.flags.contains(AreaFlags::ACCOUNTED) {
            overcommit::charge(new_len >> PAGE_SHIFT)?;
            copy.flags.insert(AreaFlags::ACCOUNTED);
        }
        if new_count > 0 {
            self.remove_range(start..start + new_len, removed);
        }
        // Faults meanwhile find their area changed at every step; a page that is brought in at the old place after the move goes with it.
        self.note_object(&copy);
        self.move_pages(area, old..old + moved_len, start);
        self.forget_object(&copy);
        self.add_area(Arc::new(copy));
        if !keeps_old && old_len > 0 {
            self.remove_range(old..old + old_len, removed);
        }
        Ok(start)
    }

    /// Makes the page tables at the new place for all that exist at the old, so that the move itself cannot fail.
    fn make_tables(&self, old: Range<usize>, new: usize) -> Result<(), Errno> {
        let mut at = old.start;
        while let Some(table) = self.space.next_table(UserAddress(at), UserAddress(old.end)) {
            let end = ((table.0 & !(TABLE_SPAN - 1)) + TABLE_SPAN).min(old.end);
            let first = new + (table.0 - old.start);
            let last = new + (end - 1 - old.start);
            for address in [first, last] {
                drop(self.space.cursor(UserAddress(address))?);
            }
            at = end;
        }
        Ok(())
    }

    /// Moves the pages of `old` to `new`, where nothing is and tables are.
    fn move_pages(&self, area: &Area, old: Range<usize>, new: usize) {
        let mut gather = Gather::new(&self.space);
        let mut at = UserAddress(old.start);
        let end = UserAddress(old.end);
        loop {
            let mut batch = ArrayVec::<(UserAddress, Frame, Protection), MOVE_BATCH>::new();
            let Some(table) = self.space.next_table(at, end) else { break };
            let Some(mut cursor) = self.space.find(table) else { break };
            let window_end = cursor.window().end.min(end);
            at = table;
            while !batch.is_full()
                && let Some((page, mapping)) = cursor.next_mapped(at..window_end)
            {
                if let Some(frame) = cursor.frame(page) {
                    cursor.unmap(page, &mut gather);
                    batch.push((UserAddress(new + (page.0 - old.start)), frame, mapping.protection));
                }
                at = UserAddress(page.0 + PAGE_SIZE);
            }
            if !batch.is_full() {
                at = window_end;
            }
            drop(cursor);
            for (page, frame, protection) in batch {
                let kind = crate::account::Resident::of(area, frame.owner());
                let is_mapped = match self.space.find(page) {
                    Some(mut cursor) => cursor.map(page, frame, protection).is_ok(),
                    None => false,
                };
                if !is_mapped {
                    self.account.unmapped(kind, 1);
                }
            }
        }
    }
}

/// What is to become of a mapping.
struct Wanted {
    old: usize,
    old_len: usize,
    new_len: usize,
    target: Option<usize>,
    may_move: bool,
    keeps_old: bool,
}

/// An area like the part `range` of another, not in a tree.
fn piece(area: &Area, range: Range<usize>) -> Area {
    let part = area.part(range, |part| part.low = None);
    Area {
        start: part.start,
        end: part.end,
        protection: part.protection,
        kind: part.kind,
        backing: part.backing.clone(),
        flags: part.flags,
        low: None,
        has_copies: part.has_copies.clone(),
    }
}

/// Says where in its object an area begins.
fn set_offset(area: &mut Area, offset: u64) -> Result<(), Errno> {
    let len = (area.end - area.start) as u64;
    if let crate::area::Backing::Object { offset_bytes, .. } = &mut area.backing {
        offset.checked_add(len).filter(|end| *end <= i64::MAX as u64).ok_or(Errno::EINVAL)?;
        *offset_bytes = offset;
    }
    Ok(())
}

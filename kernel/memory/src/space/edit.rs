//! Editing the tree of areas: adding, cutting out, replacing, joining neighbours.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;
use core::sync::atomic::Ordering;

use abi::Errno;
use machine::address::PAGE_SHIFT;
use machine::heap::{Allowance, Grow};

use super::{AddressSpace, MAX_AREAS};
use crate::area::{Area, AreaFlags};
use crate::overcommit;
use crate::tree::AreaTree;

/// Areas that were taken out. To be dropped after `changes` is released, since the last reference to a file may be among them: so it is made before the lock is taken.
pub(super) type Removed = Vec<Arc<Area>>;

/// Room in `removed` for what a change of `range` takes out; `ENOMEM` while nothing has changed yet.
pub(super) fn make_room(removed: &mut Removed, count: usize) -> Result<(), Errno> {
    Ok(removed.try_grow(count)?)
}

/// Room for the tree's nodes and what else a change of so many areas makes, which may not stop in the middle. A node is made for each area whose
/// path a fork has too, and each area may be new to its object: an eighth of a frame is more than both.
pub(super) fn allowance(areas: usize) -> Result<Allowance, Errno> {
    Ok(Allowance::of(ONE_CHANGE_FRAMES + areas / 8)?)
}

/// Frames that the nodes on a few paths of the tree take, each as long as the deepest.
const ONE_CHANGE_FRAMES: usize = 8;

/// Joins the area at `start` with its neighbours where they are alike. Joined areas are dropped here; the joined one keeps their file alive.
fn join_around(areas: &mut AreaTree, start: usize) -> usize {
    let mut joined = 0;
    let Some(mut area) = areas.find(start).cloned() else { return 0 };
    if let Some(previous) = areas.before(area.start).cloned()
        && previous.continues_in(&area)
    {
        areas.remove(previous.start);
        areas.remove(area.start);
        area = previous.joined(&area);
        areas.insert(area.clone());
        joined += 1;
    }
    if let Some(next) = areas.find(area.end).cloned()
        && area.continues_in(&next)
    {
        areas.remove(next.start);
        areas.remove(area.start);
        areas.insert(area.joined(&next));
        joined += 1;
    }
    joined
}

impl AddressSpace {
    /// Notes with its object that an area maps it.
    pub(super) fn note_object(&self, area: &Area) {
        if let Some(mappers) = area.object().and_then(|object| object.mappers()) {
            mappers.add(self.id, &self.this, area.may_store_to_object());
        }
    }

    /// Takes the note back.
    pub(super) fn forget_object(&self, area: &Area) {
        if let Some(mappers) = area.object().and_then(|object| object.mappers()) {
            mappers.remove(self.id, area.may_store_to_object());
        }
    }

    /// Edits the tree; every fault that is under way looks its area up again.
    pub(super) fn edit<R>(&self, edit: impl FnOnce(&mut AreaTree) -> R) -> R {
        let mut areas = self.areas.lock();
        let result = edit(&mut areas);
        self.generation.fetch_add(1, Ordering::AcqRel);
        result
    }

    /// How many areas overlap `range`, and the pages they use in it.
    pub(super) fn overlap(&self, range: &Range<usize>) -> (usize, usize) {
        let areas = self.areas.lock();
        areas.range(range.start, range.end).fold((0, 0), |(count, pages), area| {
            let used = area.used();
            let bytes = used.end.min(range.end).saturating_sub(used.start.max(range.start));
            (count + 1, pages + (bytes >> PAGE_SHIFT))
        })
    }

    /// Adds an area, whose promise has been made, where nothing is.
    pub(super) fn add_area(&self, area: Arc<Area>) {
        self.note_object(&area);
        self.account.added(&area, area.pages());
        let joined = self.edit(|areas| {
            let start = area.start;
            areas.insert(area.clone());
            join_around(areas, start)
        });
        self.forget_joined(&area, joined);
    }

    /// Each join makes one area of two of the same object.
    fn forget_joined(&self, area: &Area, joined: usize) {
        for _ in 0..joined {
            self.forget_object(area);
        }
    }

    /// Takes `range` out of `area`, which is in the tree and overlaps it, leaving what lies outside. Returns the part taken out.
    fn cut(&self, area: &Arc<Area>, range: &Range<usize>) -> Arc<Area> {
        if range.start <= area.start && area.end <= range.end {
            self.edit(|areas| areas.remove(area.start));
            return area.clone();
        }
        let (start, end) = (area.start.max(range.start), area.end.min(range.end));
        let before =
            (area.start < start && area.used().start < start).then(|| area.part(area.start..start, |_| {}));
        let after = (end < area.end).then(|| {
            area.part(end..area.end, |part| {
                // The reservation of a stack shrinks from below as long as it has not grown so far.
                if area.used().start >= end {
                    part.low = area.low.clone();
                }
            })
        });
        let middle = area.part(start..end, |_| {});
        for part in [&before, &after].into_iter().flatten() {
            self.note_object(part);
        }
        self.edit(|areas| {
            areas.remove(area.start);
            for part in [before, after].into_iter().flatten() {
                areas.insert(part);
            }
        });
        middle
    }

    /// Unmaps `range`: areas and pages. `removed` has room for the areas that overlap it.
    pub(super) fn remove_range(&self, range: Range<usize>, removed: &mut Removed) {
        let mut gather = machine::paging::Gather::new(&self.space);
        loop {
            let Some(area) = self.areas.lock().range(range.start, range.end).next().cloned() else { break };
            let before = area.pages();
            let middle = self.cut(&area, &range);
            // What remains is counted anew, as a stack cannot have grown meanwhile in what is cut out of it.
            let is_whole = Arc::ptr_eq(&middle, &area);
            let remaining = if is_whole { 0 } else { self.used_pages_of(&area) };
            let pages = before.saturating_sub(remaining);
            self.account.removed(&area, pages);
            if area.flags.contains(AreaFlags::ACCOUNTED) {
                overcommit::uncharge(pages);
            }
            self.unmap_pages(&middle, middle.start..middle.end, &mut gather);
            self.forget_object(&area);
            removed.push(area);
        }
    }

    /// Pages used by the areas that now lie where `area` was.
    fn used_pages_of(&self, area: &Area) -> usize {
        self.areas.lock().range(area.start, area.end).map(|part| part.pages()).sum()
    }

    /// Whether `more` areas fit.
    pub(super) fn check_count(&self, more: usize) -> Result<(), Errno> {
        if self.areas.lock().len() + more > MAX_AREAS { Err(Errno::ENOMEM) } else { Ok(()) }
    }

    /// Replaces the part `range` of the area that begins or lies there by what `change` makes of it. Pages are as before; the caller brings them in line.
    pub(super) fn change_part(
        &self,
        area: &Arc<Area>,
        range: Range<usize>,
        change: impl FnOnce(&mut Area),
    ) -> Result<Arc<Area>, Errno> {
        // A stack that is changed from its lowest page on goes on growing as changed.
        let start = if area.used().start >= range.start { area.start } else { range.start };
        let range = start..range.end;
        let cuts = usize::from(area.start < range.start) + usize::from(range.end < area.end);
        self.check_count(cuts)?;
        let _allowance = allowance(0)?;
        let before = (area.start < range.start).then(|| area.part(area.start..range.start, |_| {}));
        let after = (range.end < area.end).then(|| area.part(range.end..area.end, |_| {}));
        let middle = area.part(range, change);
        for part in [&before, &after].into_iter().flatten() {
            self.note_object(part);
        }
        self.account.removed(&middle_as_before(area, &middle), middle.pages());
        self.account.added(&middle, middle.pages());
        let joined = self.edit(|areas| {
            areas.remove(area.start);
            for part in [before, after].into_iter().flatten() {
                areas.insert(part);
            }
            areas.insert(middle.clone());
            join_around(areas, middle.start)
        });
        self.forget_joined(area, joined);
        Ok(middle)
    }
}

/// The part of `area` that became `middle`, as it was.
fn middle_as_before(area: &Area, middle: &Area) -> Arc<Area> {
    area.part(middle.start..middle.end, |_| {})
}

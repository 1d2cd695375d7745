//! What areas' changes mean for the page tables: unmapping, changing rights, bringing pages in.

use core::ops::Range;
use core::sync::atomic::Ordering;

use machine::address::{PAGE_SIZE, UserAddress};
use machine::context::Access;
use machine::frame;
use machine::paging::{Cursor, Gather, Protection};

use super::{AddressSpace, FaultError};
use crate::account::Resident;
use crate::area::{Area, MapKind};
use crate::oom;

/// Which pages of an area are meant.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Pages {
    /// All.
    All,
    /// Those that belong to the object, not private copies of them.
    OfObject,
}

impl AddressSpace {
    /// Visits the leaf tables that exist in `range`, locked one after the other.
    pub(super) fn for_each_table(
        &self,
        range: Range<usize>,
        mut visit: impl FnMut(&mut Cursor<'_>, Range<UserAddress>),
    ) {
        let end = UserAddress(range.end);
        let mut at = UserAddress(range.start);
        while at < end
            && let Some(table) = self.space.next_table(at, end)
            && let Some(mut cursor) = self.space.find(table)
        {
            let next = cursor.window().end;
            visit(&mut cursor, table..end.min(next));
            at = next;
        }
    }

    /// Unmaps the pages of `area` in `range`. Their frames go with the gather.
    pub(super) fn unmap_pages(&self, area: &Area, range: Range<usize>, gather: &mut Gather<'_>) {
        self.unmap_some(area, range, Pages::All, gather);
    }

    /// As [`unmap_pages`](Self::unmap_pages), for some pages only.
    pub(super) fn unmap_some(&self, area: &Area, range: Range<usize>, which: Pages, gather: &mut Gather<'_>) {
        self.for_each_table(range, |cursor, window| {
            let (mut anonymous, mut of_object) = (0, 0);
            let mut object_kind = Resident::Nothing;
            let mut at = window.start;
            while let Some((page, mapping)) = cursor.next_mapped(at..window.end) {
                at = UserAddress(page.0 + PAGE_SIZE);
                match Resident::of(area, frame::owner_at(mapping.frame)) {
                    Resident::Anonymous if which == Pages::OfObject => continue,
                    Resident::Anonymous => anonymous += 1,
                    Resident::Nothing => {}
                    kind => {
                        object_kind = kind;
                        of_object += 1;
                    }
                }
                cursor.unmap(page, gather);
            }
            self.account.unmapped(Resident::Anonymous, anonymous);
            self.account.unmapped(object_kind, of_object);
        });
    }

    /// Takes from a program that is to end the pages that nobody else has; from now on it gets none. Whether that was done: not while its areas are being changed.
    pub fn take_away(&self) -> bool {
        let Some(_changes) = self.changes.try_lock() else { return false };
        self.is_emptied.store(true, Ordering::SeqCst);
        let areas = self.snapshot();
        let mut gather = Gather::new(&self.space);
        for area in areas.range(0, usize::MAX).filter(|area| area.has_own_pages()) {
            self.unmap_pages(area, area.start..area.end, &mut gather);
        }
        drop(gather);
        oom::memory_was_freed();
        true
    }

    /// Whether [`take_away`](Self::take_away) has been done.
    pub fn is_emptied(&self) -> bool {
        self.is_emptied.load(Ordering::SeqCst)
    }

    /// Gives the mapped pages in `range` the rights of `area`, which has new ones: stores to what may be shared stay forbidden, and fault.
    pub(super) fn protect_pages(&self, area: &Area, range: Range<usize>, gather: &mut Gather<'_>) {
        let may_store_directly =
            area.kind == MapKind::Shared && !area.object().is_some_and(|object| object.tracks_dirty());
        self.for_each_table(range, |cursor, window| {
            let mut at = window.start;
            while let Some((page, mapping)) = cursor.next_mapped(at..window.end) {
                at = UserAddress(page.0 + PAGE_SIZE);
                let mut protection = area.protection;
                if !may_store_directly && !mapping.protection.contains(Protection::WRITE) {
                    protection -= Protection::WRITE;
                }
                cursor.protect(page, protection, gather);
            }
        });
    }

    /// Brings the pages of `range` in, writable ones of private areas for writing. Stops at the first that fails.
    pub(super) fn populate(&self, range: Range<usize>) -> Result<(), FaultError> {
        let mut at = range.start;
        while at < range.end {
            let Some((area, _)) = self.find(UserAddress(at)) else { return Err(FaultError::Unmapped) };
            let access = if area.kind == MapKind::Private && area.protection.contains(Protection::WRITE) {
                Access::Write
            } else {
                Access::Read
            };
            let end = area.end.min(range.end);
            for page in (at..end).step_by(PAGE_SIZE) {
                self.fault(UserAddress(page), access)?;
            }
            at = end;
        }
        Ok(())
    }
}

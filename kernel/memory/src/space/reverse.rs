//! From a page of an object to the page tables it is in: for truncation, write-back and reclaim.

use machine::address::{PAGE_SIZE, UserAddress};
use machine::paging::{Gather, Protection};

use super::AddressSpace;
use super::pages::Pages;
use crate::area::AreaFlags;
use crate::object::{Object, touch};

impl AddressSpace {
    /// Unmaps pages `start..end` of an object; private copies of them only if `with_copies`. Waits for changes of the areas that are under way.
    pub(crate) fn unmap_object(&self, object: &Object, start: u64, end: u64, with_copies: bool) {
        let _changes = self.changes.lock();
        let which = if with_copies { Pages::All } else { Pages::OfObject };
        let areas = self.snapshot();
        let mut gather = Gather::new(&self.space);
        for area in areas.range(0, usize::MAX) {
            if area.object().is_some_and(|mapped| mapped.id() == object.id()) {
                self.unmap_some(area, area.addresses_of(start, end), which, &mut gather);
            }
        }
    }

    /// Takes the right to store to page `index` of an object away, so that the next store is noticed.
    pub(crate) fn write_protect(&self, object: &Object, index: u64) {
        let _changes = self.changes.lock();
        let areas = self.snapshot();
        let mut gather = Gather::new(&self.space);
        for area in areas.range(0, usize::MAX) {
            if !area.is_shared() || area.object().is_none_or(|mapped| mapped.id() != object.id()) {
                continue;
            }
            for page in area.addresses_of(index, index + 1).step_by(PAGE_SIZE) {
                let page = UserAddress(page);
                if let Some(mut cursor) = self.space.find(page)
                    && let Some(mapping) = cursor.get(page)
                {
                    cursor.protect(page, mapping.protection - Protection::WRITE, &mut gather);
                }
            }
        }
    }

    /// Looks whether a program has used page `index` of an object lately: then notes that, else unmaps it. Leaves a space alone whose areas are being changed.
    pub(crate) fn age(&self, object: &Object, index: u64) {
        let Some(_changes) = self.changes.try_lock() else { return };
        let areas = self.snapshot();
        let mut gather = Gather::new(&self.space);
        for area in areas.range(0, usize::MAX) {
            if area.object().is_none_or(|mapped| mapped.id() != object.id()) {
                continue;
            }
            for page in area.addresses_of(index, index + 1).step_by(PAGE_SIZE) {
                let is_used = {
                    let page = UserAddress(page);
                    let Some(mut cursor) = self.space.find(page) else { continue };
                    let used =
                        cursor.clear(page, false, true, &mut gather).is_some_and(|before| before.is_accessed);
                    let frame = cursor.frame(page);
                    if let Some(frame) = frame.filter(|_| used || area.flags.contains(AreaFlags::LOCKED)) {
                        touch(&frame);
                        true
                    } else {
                        false
                    }
                };
                if !is_used {
                    self.unmap_some(area, page..page + PAGE_SIZE, Pages::OfObject, &mut gather);
                }
            }
        }
    }
}

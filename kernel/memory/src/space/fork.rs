//! fork(2): a second address space with the same contents.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicUsize, Ordering};

use abi::Errno;
use abi::mman::MlockallFlags;
use machine::paging::Gather;

use super::edit::allowance;
use super::{AddressSpace, Changes};
use crate::account::Resident;
use crate::area::{Area, AreaFlags, MapKind};
use crate::tree::AreaTree;
use crate::{overcommit, reclaim};

/// Page tables that the first page of a leaf table may need.
const TABLE_FRAMES: usize = 3;

impl AddressSpace {
    /// A copy of this address space. Pages of objects are left out (they can be faulted in again); the program's own pages are shared until either side stores to them.
    ///
    /// `ENOMEM` when page tables or the promise for the child cannot be had; the parent is as before then, but may copy or take over pages at its next stores.
    pub fn fork(&self) -> Result<Arc<Self>, Errno> {
        reclaim::reserve(1)?;
        let changes = self.changes.lock();
        let count = self.areas.lock().len();
        // Areas that differ, and what is noted with their objects.
        let allowance = allowance(count)?;
        let areas = self.inherited();
        let promised: usize = areas
            .range(0, usize::MAX)
            .filter(|area| area.flags.contains(AreaFlags::ACCOUNTED))
            .map(|area| area.pages())
            .sum();
        let child = Self::make(
            AreaTree::new(),
            Changes {
                layout: changes.layout,
                heap_start: changes.heap_start,
                heap_end: changes.heap_end,
                // Locks are not inherited (mlock(2)).
                future: MlockallFlags::empty(),
            },
            self.limits(),
        )?;
        overcommit::charge(promised)?;
        for area in areas.range(0, usize::MAX) {
            // Before a page is shared: who empties the object's mappings finds the child then.
            child.note_object(area);
            child.account.added(area, area.pages());
        }
        // From here on dropping the child takes back all that was noted and promised.
        child.edit(|tree| *tree = areas.clone());
        drop(allowance);
        let mut gather = Gather::new(&self.space);
        for area in areas.range(0, usize::MAX) {
            if !area.flags.contains(AreaFlags::WIPE_ON_FORK)
                && area.kind == MapKind::Private
                && area.has_own_pages()
            {
                reclaim::reserve(TABLE_FRAMES)?;
                self.share(&child, area, &mut gather)?;
            }
        }
        Ok(child)
    }

    /// The child's areas: the parent's own tree, with what differs replaced.
    #[expect(clippy::disallowed_methods, reason = "a fork has an allowance")]
    fn inherited(&self) -> AreaTree {
        let parent = self.snapshot();
        let mut child = parent.clone();
        for area in parent.range(0, usize::MAX) {
            if area.flags.contains(AreaFlags::DONT_FORK) {
                child.remove(area.start);
            } else if area.low.is_some() || area.flags.contains(AreaFlags::LOCKED) {
                let own = area.part(area.start..area.end, |part| {
                    part.flags.remove(AreaFlags::LOCKED | AreaFlags::LOCK_ON_FAULT);
                    part.low =
                        area.low.as_ref().map(|low| Arc::new(AtomicUsize::new(low.load(Ordering::Relaxed))));
                });
                child.remove(area.start);
                child.insert(own);
            }
        }
        child
    }

    /// Shares the pages of a private area with the child.
    fn share(&self, child: &Self, area: &Area, gather: &mut Gather<'_>) -> Result<(), Errno> {
        let mut outcome = Ok(());
        self.for_each_table(area.used(), |cursor, window| {
            if outcome.is_err() || cursor.next_mapped(window.clone()).is_none() {
                return;
            }
            // Under a cursor this only looks whether the kernel's own reserve is near.
            if let Err(error) = reclaim::reserve(TABLE_FRAMES) {
                outcome = Err(error);
                return;
            }
            match child.space.cursor_nested(window.start) {
                Ok(mut nested) => {
                    let shared = cursor.share_with(&mut nested, window, true, gather);
                    child.account.mapped(Resident::Anonymous, shared.user);
                    child.account.mapped(Resident::of(area, machine::frame::Owner::Cache), shared.cache);
                }
                Err(error) => outcome = Err(Errno::from(error)),
            }
        });
        outcome
    }
}

//! madvise(2) and msync(2).

use alloc::sync::Arc;
use core::ops::Range;

use abi::Errno;
use abi::mman::{self, MsyncFlags};
use machine::address::{PAGE_SIZE, UserAddress};
use machine::context::Access;
use machine::paging::Gather;

use super::map::wrapping_ceil;
use super::{AddressSpace, FaultError};
use crate::area::{Area, AreaFlags, MapKind};
use crate::object::Object;

/// What an advice does to the areas of a range.
enum Action {
    /// Replaces flags.
    Flags { mask: AreaFlags, set: AreaFlags },
    /// Drops pages.
    Drop { may_be_locked: bool, is_anonymous_only: bool },
    /// Brings pages in for an access.
    Populate(Access),
    /// Reads the pages of objects ahead.
    ReadAhead,
    /// Punches a hole into the object.
    Remove,
    /// Only checks that something is mapped and not locked.
    Cool,
}

fn action(advice: i32) -> Result<Action, Errno> {
    let flags = |mask, set| Action::Flags { mask, set };
    let access_pattern = AreaFlags::SEQUENTIAL | AreaFlags::RANDOM;
    let huge = AreaFlags::HUGE | AreaFlags::NO_HUGE;
    Ok(match advice {
        mman::MADV_NORMAL => flags(access_pattern, AreaFlags::empty()),
        mman::MADV_RANDOM => flags(access_pattern, AreaFlags::RANDOM),
        mman::MADV_SEQUENTIAL => flags(access_pattern, AreaFlags::SEQUENTIAL),
        mman::MADV_DONTFORK => flags(AreaFlags::DONT_FORK, AreaFlags::DONT_FORK),
        mman::MADV_DOFORK => flags(AreaFlags::DONT_FORK, AreaFlags::empty()),
        mman::MADV_WIPEONFORK => flags(AreaFlags::WIPE_ON_FORK, AreaFlags::WIPE_ON_FORK),
        mman::MADV_KEEPONFORK => flags(AreaFlags::WIPE_ON_FORK, AreaFlags::empty()),
        mman::MADV_DONTDUMP => flags(AreaFlags::DONT_DUMP, AreaFlags::DONT_DUMP),
        mman::MADV_DODUMP => flags(AreaFlags::DONT_DUMP, AreaFlags::empty()),
        mman::MADV_HUGEPAGE => flags(huge, AreaFlags::HUGE),
        mman::MADV_NOHUGEPAGE => flags(huge, AreaFlags::NO_HUGE),
        mman::MADV_MERGEABLE => flags(AreaFlags::MERGEABLE, AreaFlags::MERGEABLE),
        mman::MADV_UNMERGEABLE => flags(AreaFlags::MERGEABLE, AreaFlags::empty()),
        mman::MADV_DONTNEED => Action::Drop { may_be_locked: false, is_anonymous_only: false },
        mman::MADV_DONTNEED_LOCKED => Action::Drop { may_be_locked: true, is_anonymous_only: false },
        // The pages may go at any time from now on: so they go now.
        mman::MADV_FREE => Action::Drop { may_be_locked: false, is_anonymous_only: true },
        mman::MADV_POPULATE_READ => Action::Populate(Access::Read),
        mman::MADV_POPULATE_WRITE => Action::Populate(Access::Write),
        mman::MADV_WILLNEED => Action::ReadAhead,
        mman::MADV_REMOVE => Action::Remove,
        mman::MADV_COLD | mman::MADV_PAGEOUT => Action::Cool,
        _ => return Err(Errno::EINVAL),
    })
}

impl AddressSpace {
    /// Takes advice about a range (madvise(2)). Holes are passed over and give `ENOMEM` at the end; the first area that cannot take the advice ends it.
    pub fn advise(&self, start: UserAddress, len: usize, advice: i32) -> Result<(), Errno> {
        let action = action(advice)?;
        let range = start.0..start.0.wrapping_add(wrapping_ceil(len));
        if !start.is_page_aligned() || range.end < range.start || (range.is_empty() && len > 0) {
            return Err(Errno::EINVAL);
        }
        if range.is_empty() {
            return Ok(());
        }
        match action {
            Action::Populate(access) => self.populate_for(range, access),
            Action::ReadAhead => self.read_ahead(range),
            Action::Remove => self.remove_pages(range),
            Action::Flags { mask, set } => {
                let _changes = self.changes.lock();
                self.for_each_part(range, |area, part| {
                    if set.contains(AreaFlags::WIPE_ON_FORK) && !is_private_anonymous(area) {
                        return Err(Errno::EINVAL);
                    }
                    if area.flags & mask != set {
                        self.change_part(area, part, |new| new.flags = (new.flags - mask) | set)?;
                    }
                    Ok(())
                })
            }
            Action::Drop { may_be_locked, is_anonymous_only } => {
                let _changes = self.changes.lock();
                let mut gather = Gather::new(&self.space);
                self.for_each_part(range, |area, part| {
                    if area.flags.contains(AreaFlags::LOCKED) && !may_be_locked
                        || is_anonymous_only && !is_private_anonymous(area)
                    {
                        return Err(Errno::EINVAL);
                    }
                    self.unmap_pages(area, part, &mut gather);
                    Ok(())
                })
            }
            Action::Cool => self.for_each_part(range, |area, _| {
                if area.flags.contains(AreaFlags::LOCKED) { Err(Errno::EINVAL) } else { Ok(()) }
            }),
        }
    }

    /// Visits the parts of areas in `range`; `ENOMEM` at the end if there are holes.
    fn for_each_part(
        &self,
        range: Range<usize>,
        mut visit: impl FnMut(&Arc<Area>, Range<usize>) -> Result<(), Errno>,
    ) -> Result<(), Errno> {
        let mut outcome = Ok(());
        let mut at = range.start;
        while at < range.end {
            let Some(area) = self.areas.lock().range(at, range.end).next().cloned() else {
                return Err(Errno::ENOMEM);
            };
            if area.start > at {
                outcome = Err(Errno::ENOMEM);
            }
            let part = area.start.max(at)..area.end.min(range.end);
            at = part.end;
            visit(&area, part)?;
        }
        outcome
    }

    fn populate_for(&self, range: Range<usize>, access: Access) -> Result<(), Errno> {
        for page in range.step_by(PAGE_SIZE) {
            self.fault(UserAddress(page), access).map_err(|error| match error {
                FaultError::Unmapped | FaultError::OutOfMemory => Errno::ENOMEM,
                FaultError::Protection => Errno::EINVAL,
                FaultError::Bus => Errno::EFAULT,
            })?;
        }
        Ok(())
    }

    fn read_ahead(&self, range: Range<usize>) -> Result<(), Errno> {
        self.for_each_part(range, |area, part| {
            let Some(object) = area.object().filter(|object| !object.is_memory()) else { return Ok(()) };
            for page in part.step_by(PAGE_SIZE) {
                // Advice: what cannot be read is not missed before it is touched.
                if object.page(area.index_at(page)).is_err() {
                    break;
                }
            }
            Ok(())
        })
    }

    /// `MADV_REMOVE`: only memory objects can do it without their file system.
    fn remove_pages(&self, range: Range<usize>) -> Result<(), Errno> {
        self.for_each_part(range, |area, part| {
            let object =
                area.object().filter(|_| !area.flags.contains(AreaFlags::LOCKED)).ok_or(Errno::EINVAL)?;
            if !area.may_store_to_object() {
                return Err(Errno::EACCES);
            }
            if !object.is_memory() {
                return Err(Errno::EOPNOTSUPP);
            }
            let start = area.offset_bytes() + (part.start - area.start) as u64;
            object.punch(start, start + part.len() as u64)
        })
    }

    /// Writes what was stored to shared mappings back to their objects (msync(2)).
    ///
    /// `EINVAL` for bad flags or an unaligned start, `ENOMEM` for holes (after the rest was done), `EBUSY` for `INVALIDATE` of locked areas, or the pager's error.
    pub fn sync(&self, start: UserAddress, len: usize, flags: MsyncFlags) -> Result<(), Errno> {
        if !MsyncFlags::all().contains(flags) || flags.contains(MsyncFlags::ASYNC | MsyncFlags::SYNC) {
            return Err(Errno::EINVAL);
        }
        if !start.is_page_aligned() {
            return Err(Errno::EINVAL);
        }
        let range = start.0..start.0.wrapping_add(wrapping_ceil(len));
        if range.end < range.start {
            return Err(Errno::ENOMEM);
        }
        self.for_each_part(range, |area, part| {
            if flags.contains(MsyncFlags::INVALIDATE) && area.flags.contains(AreaFlags::LOCKED) {
                return Err(Errno::EBUSY);
            }
            let object: Option<&Arc<Object>> = area.object().filter(|_| area.is_shared());
            match object.filter(|_| flags.contains(MsyncFlags::SYNC)) {
                Some(object) => {
                    let start = area.offset_bytes() + (part.start - area.start) as u64;
                    object.sync(start, start + part.len() as u64)
                }
                None => Ok(()),
            }
        })
    }
}

fn is_private_anonymous(area: &Area) -> bool {
    area.kind == MapKind::Private && area.object().is_none()
}

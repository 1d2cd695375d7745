//! An area: a range of an address space whose pages are all of one kind.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use abi::Errno;
use machine::address::{PAGE_SHIFT, PAGE_SIZE};
use machine::paging::Protection;

use crate::object::Object;

/// Bytes kept free below a stack (Linux: `stack_guard_gap`, 256 pages).
pub const STACK_GUARD_BYTES: usize = 256 * PAGE_SIZE;

/// Whom stores reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapKind {
    /// This address space alone: the first store copies the page.
    Private,
    /// All who map the object.
    Shared,
}

/// The file behind a mapping, as /proc shows it. It lives at least as long as the mapping.
pub trait MappedFile: Send + Sync {
    /// Device number (as in `st_dev`) and inode number.
    fn identity(&self) -> (u64, u64);

    /// The path shown in /proc/PID/maps, or a name such as `[vdso]`.
    fn name(&self) -> Result<Vec<u8>, Errno>;
}

/// Where the pages of a mapping come from.
#[derive(Clone)]
pub enum Backing {
    /// Zeroes.
    Anonymous,
    /// An object, from `offset_bytes` (a multiple of the page size) on.
    Object {
        /// The pages.
        object: Arc<Object>,
        /// Where in the object the mapping begins.
        offset_bytes: u64,
        /// What /proc shows; none for shared anonymous memory.
        file: Option<Arc<dyn MappedFile>>,
        /// Whether a shared mapping may be made writable: the file was opened for writing.
        may_write: bool,
    },
}

bitflags::bitflags! {
    /// What else there is to say about an area.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct AreaFlags: u16 {
        /// Its pages count as promised memory.
        const ACCOUNTED = 1 << 0;
        /// Asked for without promise (`MAP_NORESERVE`).
        const NO_RESERVE = 1 << 1;
        /// Pages stay in memory (mlock(2)).
        const LOCKED = 1 << 2;
        /// ... but are not brought in before they are touched.
        const LOCK_ON_FAULT = 1 << 3;
        /// Not inherited by fork (`MADV_DONTFORK`).
        const DONT_FORK = 1 << 4;
        /// Zero in the child of a fork (`MADV_WIPEONFORK`).
        const WIPE_ON_FORK = 1 << 5;
        /// Not in core dumps (`MADV_DONTDUMP`).
        const DONT_DUMP = 1 << 6;
        /// A stack: grows towards lower addresses.
        const GROWS_DOWN = 1 << 7;
        /// Read from front to back (`MADV_SEQUENTIAL`).
        const SEQUENTIAL = 1 << 8;
        /// Read here and there (`MADV_RANDOM`): neighbours are not mapped along.
        const RANDOM = 1 << 9;
        /// Huge pages are welcome (`MADV_HUGEPAGE`).
        const HUGE = 1 << 10;
        /// Huge pages are not welcome (`MADV_NOHUGEPAGE`).
        const NO_HUGE = 1 << 11;
        /// Equal pages may be merged (`MADV_MERGEABLE`).
        const MERGEABLE = 1 << 12;
    }
}

/// An area. It does not change while it is in a tree: what has to change is replaced.
pub struct Area {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) protection: Protection,
    pub(crate) kind: MapKind,
    pub(crate) backing: Backing,
    pub(crate) flags: AreaFlags,
    /// Of a stack: the lowest address in use. What lies below, down to `start`, is reserved for it.
    pub(crate) low: Option<Arc<AtomicUsize>>,
    /// Of a private mapping of an object: whether it has pages of its own, which a fork must share. All pieces that an area was cut into have the same flag, so it may be set without need.
    pub(crate) has_copies: Option<Arc<AtomicBool>>,
}

impl Area {
    /// The bytes in use: all of it, or of a stack the part down to which it has grown.
    pub(crate) fn used(&self) -> Range<usize> {
        match &self.low {
            Some(low) => low.load(Ordering::Relaxed).clamp(self.start, self.end)..self.end,
            None => self.start..self.end,
        }
    }

    /// Pages in use.
    pub(crate) fn pages(&self) -> usize {
        self.used().len() >> PAGE_SHIFT
    }

    /// Where new mappings must end that are placed below.
    pub(crate) fn guarded_start(&self) -> usize {
        if self.flags.contains(AreaFlags::GROWS_DOWN) {
            self.start.saturating_sub(STACK_GUARD_BYTES)
        } else {
            self.start
        }
    }

    pub(crate) fn object(&self) -> Option<&Arc<Object>> {
        match &self.backing {
            Backing::Anonymous => None,
            Backing::Object { object, .. } => Some(object),
        }
    }

    pub(crate) fn file(&self) -> Option<&Arc<dyn MappedFile>> {
        match &self.backing {
            Backing::Anonymous => None,
            Backing::Object { file, .. } => file.as_ref(),
        }
    }

    pub(crate) fn offset_bytes(&self) -> u64 {
        match &self.backing {
            Backing::Anonymous => 0,
            Backing::Object { offset_bytes, .. } => *offset_bytes,
        }
    }

    /// The object's page at `address`.
    pub(crate) fn index_at(&self, address: usize) -> u64 {
        (self.offset_bytes() >> PAGE_SHIFT) + ((address - self.start) >> PAGE_SHIFT) as u64
    }

    /// The addresses at which pages `start..end` of the object are, as far as they are in this area.
    pub(crate) fn addresses_of(&self, start: u64, end: u64) -> Range<usize> {
        let first = self.offset_bytes() >> PAGE_SHIFT;
        let pages = ((self.end - self.start) >> PAGE_SHIFT) as u64;
        let to_address =
            |index: u64| self.start + (index.saturating_sub(first).min(pages) << PAGE_SHIFT) as usize;
        to_address(start)..to_address(end)
    }

    pub(crate) fn is_shared(&self) -> bool {
        self.kind == MapKind::Shared
    }

    /// Whether the object behind can be stored to through this area, now or after mprotect(2).
    pub(crate) fn may_store_to_object(&self) -> bool {
        self.is_shared() && matches!(self.backing, Backing::Object { may_write: true, .. })
    }

    /// Whether its pages have to be promised: private and writable.
    pub(crate) fn wants_accounting(&self) -> bool {
        self.kind == MapKind::Private
            && self.protection.contains(Protection::WRITE)
            && !self.flags.contains(AreaFlags::NO_RESERVE)
    }

    /// Whether it counts as data (RLIMIT_DATA): private, writable, no stack.
    pub(crate) fn is_data(&self) -> bool {
        self.kind == MapKind::Private
            && self.protection.contains(Protection::WRITE)
            && !self.flags.contains(AreaFlags::GROWS_DOWN)
    }

    /// The part `range` of this area, changed by `change`. `range` lies inside, on page bounds.
    #[expect(clippy::disallowed_methods, reason = "a change of areas has an allowance")]
    pub(crate) fn part(&self, range: Range<usize>, change: impl FnOnce(&mut Area)) -> Arc<Area> {
        let mut backing = self.backing.clone();
        if let Backing::Object { offset_bytes, .. } = &mut backing {
            *offset_bytes += (range.start - self.start) as u64;
        }
        // Of a stack that is cut, only the piece that holds what was reserved goes on growing.
        let low = self.low.as_ref().filter(|_| range.start == self.start).cloned();
        let mut part = Area {
            start: range.start,
            end: range.end,
            protection: self.protection,
            kind: self.kind,
            backing,
            flags: self.flags,
            low,
            has_copies: self.has_copies.clone(),
        };
        change(&mut part);
        Arc::new(part)
    }

    /// Whether pages may be its own that cannot be faulted in again: anonymous ones, and copies of an object's.
    pub(crate) fn has_own_pages(&self) -> bool {
        match (&self.backing, &self.has_copies) {
            (Backing::Anonymous, _) => true,
            (_, Some(flag)) => flag.load(Ordering::Relaxed),
            (_, None) => false,
        }
    }

    /// Whether `next`, which begins where this ends, is more of the same.
    pub(crate) fn continues_in(&self, next: &Area) -> bool {
        let is_same_backing = match (&self.backing, &next.backing) {
            (Backing::Anonymous, Backing::Anonymous) => true,
            (
                Backing::Object { object, offset_bytes, file, may_write },
                Backing::Object {
                    object: next_object,
                    offset_bytes: next_offset,
                    file: next_file,
                    may_write: next_may_write,
                },
            ) => {
                let is_same_file = match (file, next_file) {
                    (None, None) => true,
                    (Some(file), Some(next_file)) => Arc::ptr_eq(file, next_file),
                    _ => false,
                };
                Arc::ptr_eq(object, next_object)
                    && offset_bytes.checked_add((self.end - self.start) as u64) == Some(*next_offset)
                    && is_same_file
                    && may_write == next_may_write
            }
            _ => false,
        };
        self.end == next.start
            && self.protection == next.protection
            && self.kind == next.kind
            && self.flags == next.flags
            && next.low.is_none()
            && is_same_backing
            && is_same_flag(&self.has_copies, &next.has_copies)
    }

    /// This area and `next` in one.
    #[expect(clippy::disallowed_methods, reason = "a change of areas has an allowance")]
    pub(crate) fn joined(&self, next: &Area) -> Arc<Area> {
        Arc::new(Area {
            start: self.start,
            end: next.end,
            protection: self.protection,
            kind: self.kind,
            backing: self.backing.clone(),
            flags: self.flags,
            low: self.low.clone(),
            has_copies: self.has_copies.clone(),
        })
    }
}

fn is_same_flag(one: &Option<Arc<AtomicBool>>, other: &Option<Arc<AtomicBool>>) -> bool {
    match (one, other) {
        (None, None) => true,
        (Some(one), Some(other)) => Arc::ptr_eq(one, other),
        _ => false,
    }
}

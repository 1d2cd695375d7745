//! mmap(2) and munmap(2).

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;
use core::sync::atomic::AtomicBool;

use abi::Errno;
use abi::mman::{MapFlags, MlockallFlags};
use machine::address::{PAGE_SHIFT, PAGE_SIZE, USER_END, UserAddress, page_ceil};
use machine::heap::{try_arc, try_to_vec};
use machine::paging::Protection;

use super::edit::{Removed, allowance, make_room};
use super::{AddressSpace, Changes, LOWEST_ADDRESS};
use crate::area::{Area, AreaFlags, Backing, MapKind};
use crate::object::Object;
use crate::overcommit;

/// `MAP_32BIT` places mappings here.
const LOW_AREA: Range<usize> = 0x4000_0000..0x8000_0000;

/// A range of whole pages that lies in user space.
pub(super) fn whole_pages(start: UserAddress, len: usize, too_long: Errno) -> Result<Range<usize>, Errno> {
    if !start.is_page_aligned() {
        return Err(Errno::EINVAL);
    }
    let len = page_ceil(len).ok_or(too_long)?;
    let end = start.0.checked_add(len).ok_or(too_long)?;
    if end > USER_END { Err(too_long) } else { Ok(start.0..end) }
}

/// `len` rounded up to pages, around the end of numbers, as Linux does it: what is left is 0 then.
pub(super) fn wrapping_ceil(len: usize) -> usize {
    len.wrapping_add(PAGE_SIZE - 1) & !(PAGE_SIZE - 1)
}

impl AddressSpace {
    /// Maps `len` bytes, rounded up to pages, and returns where (mmap(2)).
    ///
    /// `hint` is where the caller would like it, or (`FIXED`, `FIXED_NOREPLACE`) must have it. Of `flags`, these are heeded: `FIXED`, `FIXED_NOREPLACE`, `_32BIT`, `NORESERVE`, `GROWSDOWN`, `LOCKED`,
    /// `POPULATE`, `NONBLOCK`. What the file was opened for is the caller's to check.
    ///
    /// - `EINVAL`: no length, an unaligned fixed address or offset, a shared stack
    /// - `EOVERFLOW`: the object's offsets end before the mapping does
    /// - `ENOMEM`: no room, too many areas, over a limit, or more than the machine can promise
    /// - `EPERM`: a fixed address below [`LOWEST_ADDRESS`]
    /// - `EEXIST`: `FIXED_NOREPLACE` and something is there
    /// - `EAGAIN`: more locked memory than allowed
    pub fn map(
        &self,
        hint: UserAddress,
        len: usize,
        protection: Protection,
        kind: MapKind,
        backing: Backing,
        flags: MapFlags,
    ) -> Result<UserAddress, Errno> {
        if len == 0 {
            return Err(Errno::EINVAL);
        }
        let len = page_ceil(len).filter(|len| *len <= USER_END).ok_or(Errno::ENOMEM)?;
        check_backing(&backing, len)?;
        let mut area_flags = AreaFlags::empty();
        area_flags.set(
            AreaFlags::NO_RESERVE,
            flags.contains(MapFlags::NORESERVE) && overcommit::mode() != overcommit::Mode::Never,
        );
        area_flags.set(AreaFlags::GROWS_DOWN, flags.contains(MapFlags::GROWSDOWN));
        if area_flags.contains(AreaFlags::GROWS_DOWN)
            && (kind == MapKind::Shared || !matches!(backing, Backing::Anonymous))
        {
            return Err(Errno::EINVAL);
        }
        let backing = match backing {
            Backing::Anonymous if kind == MapKind::Shared => shared_memory(len, area_flags)?,
            backing => backing,
        };
        let mut removed = Removed::new();
        let (start, future) = {
            let mut changes = self.changes.lock();
            let mut future = changes.future;
            if flags.contains(MapFlags::LOCKED) {
                future |= MlockallFlags::FUTURE;
            }
            area_flags.set(AreaFlags::LOCKED, future.contains(MlockallFlags::FUTURE));
            area_flags.set(
                AreaFlags::LOCK_ON_FAULT,
                future.contains(MlockallFlags::FUTURE | MlockallFlags::ONFAULT),
            );
            let start = self.place(&changes, hint, len, flags)?;
            let range = start..start + len;
            let area = Area {
                start,
                end: range.end,
                protection,
                kind,
                has_copies: new_copies_flag(kind, &backing)?,
                backing,
                flags: area_flags,
                low: None,
            };
            let replaces = flags.contains(MapFlags::FIXED) || flags.contains(MapFlags::FIXED_NOREPLACE);
            self.map_at(&mut changes, area, replaces, &mut removed)?;
            (start, future)
        };
        drop(removed);
        let is_locked = future.contains(MlockallFlags::FUTURE) && !future.contains(MlockallFlags::ONFAULT);
        let is_wanted_now = flags.contains(MapFlags::POPULATE) && !flags.contains(MapFlags::NONBLOCK);
        if is_locked || is_wanted_now {
            // As in Linux the mapping stands, whatever could not be brought in.
            let _ = self.populate(start..start + len);
        }
        Ok(UserAddress(start))
    }

    /// Adds `area` after checking limits and promises; with `replaces`, in place of whatever is there, else where nothing is. The removed areas leave through `removed`.
    #[expect(clippy::disallowed_methods, reason = "made with an allowance in hand")]
    pub(super) fn map_at(
        &self,
        _changes: &mut Changes,
        mut area: Area,
        replaces: bool,
        removed: &mut Removed,
    ) -> Result<(), Errno> {
        let range = area.start..area.end;
        let (count, replaced) = if replaces { self.overlap(&range) } else { (0, 0) };
        self.check_count(2)?;
        self.check_limits(&area, area.pages().saturating_sub(replaced))?;
        make_room(removed, count)?;
        let _allowance = allowance(count)?;
        // What continues an area that was promised is promised too, whatever may be done with it now.
        if area.wants_accounting() || area.flags.contains(AreaFlags::ACCOUNTED) {
            overcommit::charge(area.pages())?;
            area.flags.insert(AreaFlags::ACCOUNTED);
        }
        if count > 0 {
            self.remove_range(range, removed);
        }
        self.add_area(Arc::new(area));
        Ok(())
    }

    /// Whether `pages` more of what `area` is may be had.
    pub(super) fn check_limits(&self, area: &Area, pages: usize) -> Result<(), Errno> {
        let limits = self.limits();
        let exceeds = |used: usize, limit: u64| ((used + pages) as u64) << PAGE_SHIFT > limit;
        if exceeds(self.account.virtual_pages(), limits.address_space) {
            return Err(Errno::ENOMEM);
        }
        if area.is_data() {
            self.check_data(pages)?;
        }
        if area.flags.contains(AreaFlags::LOCKED) && exceeds(self.account.locked_pages(), limits.locked) {
            return Err(Errno::EAGAIN);
        }
        Ok(())
    }

    /// Whether `pages` more of data may be had.
    pub(super) fn check_data(&self, pages: usize) -> Result<(), Errno> {
        let data = ((self.account.data_pages() + pages) as u64) << PAGE_SHIFT;
        if data > self.limits().data { Err(Errno::ENOMEM) } else { Ok(()) }
    }

    /// Where `len` bytes would be mapped that may lie anywhere: `ENOMEM`. Somebody else may map something there meanwhile.
    pub fn find_room(&self, len: usize) -> Result<UserAddress, Errno> {
        let len = page_ceil(len).filter(|len| *len <= USER_END).ok_or(Errno::ENOMEM)?;
        let changes = self.changes.lock();
        self.place(&changes, UserAddress::NULL, len, MapFlags::empty()).map(UserAddress)
    }

    /// Chooses where `len` bytes go.
    fn place(
        &self,
        changes: &Changes,
        hint: UserAddress,
        len: usize,
        flags: MapFlags,
    ) -> Result<usize, Errno> {
        if flags.intersects(MapFlags::FIXED | MapFlags::FIXED_NOREPLACE) {
            return self.check_fixed(hint, len, flags.contains(MapFlags::FIXED_NOREPLACE));
        }
        let areas = self.areas.lock();
        if flags.contains(MapFlags::_32BIT) {
            return areas.lowest_gap(len, LOW_AREA.start, LOW_AREA.end).ok_or(Errno::ENOMEM);
        }
        // A hint counts from its page; one below the lowest address is moved up (Linux: `round_hint_to_min`).
        let hint = hint.page_floor().0;
        if hint > 0 {
            let hint = hint.max(LOWEST_ADDRESS);
            if let Some(end) = hint.checked_add(len).filter(|end| *end <= USER_END)
                && areas.highest_gap(len, hint, end) == Some(hint)
            {
                return Ok(hint);
            }
        }
        let top = changes.layout.mapping_top;
        areas
            .highest_gap(len, LOWEST_ADDRESS, top)
            // Above the usual place there may still be room.
            .or_else(|| areas.lowest_gap(len, top, USER_END))
            .ok_or(Errno::ENOMEM)
    }

    fn check_fixed(&self, address: UserAddress, len: usize, must_be_free: bool) -> Result<usize, Errno> {
        let end = address.0.checked_add(len).filter(|end| *end <= USER_END).ok_or(Errno::ENOMEM)?;
        if !address.is_page_aligned() {
            return Err(Errno::EINVAL);
        }
        if address.0 < LOWEST_ADDRESS && !self.limits().may_map_low {
            return Err(Errno::EPERM);
        }
        if must_be_free {
            let areas = self.areas.lock();
            // What is only reserved for a stack is free.
            if areas.range(address.0, end).any(|area| area.used().start < end) {
                return Err(Errno::EEXIST);
            }
        }
        Ok(address.0)
    }

    /// Unmaps the pages of a range, splitting areas at its ends (munmap(2)). `EINVAL` for no length, an unaligned start or a range outside user space; `ENOMEM` when a split makes too many areas.
    pub fn unmap(&self, start: UserAddress, len: usize) -> Result<(), Errno> {
        let range = whole_pages(start, len, Errno::EINVAL)?;
        if range.is_empty() {
            return Err(Errno::EINVAL);
        }
        let mut removed = Removed::new();
        let _changes = self.changes.lock();
        self.unmap_locked(range, &mut removed)
    }

    /// Unmaps a range, with `changes` held.
    pub(super) fn unmap_locked(&self, range: Range<usize>, removed: &mut Removed) -> Result<(), Errno> {
        let (count, _) = self.overlap(&range);
        make_room(removed, count)?;
        let _allowance = allowance(count)?;
        let splits = {
            let areas = self.areas.lock();
            areas.find(range.start).is_some_and(|area| area.start < range.start && area.end > range.end)
        };
        if splits {
            self.check_count(1)?;
        }
        self.remove_range(range, removed);
        Ok(())
    }
}

/// The flag of a new private mapping of an object.
pub(super) fn new_copies_flag(kind: MapKind, backing: &Backing) -> Result<Option<Arc<AtomicBool>>, Errno> {
    let is_needed = kind == MapKind::Private && matches!(backing, Backing::Object { .. });
    Ok(if is_needed { Some(try_arc(AtomicBool::new(false))?) } else { None })
}

fn check_backing(backing: &Backing, len: usize) -> Result<(), Errno> {
    let Backing::Object { offset_bytes, .. } = backing else { return Ok(()) };
    if offset_bytes % PAGE_SIZE as u64 != 0 {
        return Err(Errno::EINVAL);
    }
    offset_bytes.checked_add(len as u64).filter(|end| *end <= i64::MAX as u64).ok_or(Errno::EOVERFLOW)?;
    Ok(())
}

/// Shared anonymous memory of `len` bytes.
fn shared_memory(len: usize, flags: AreaFlags) -> Result<Backing, Errno> {
    let object = if flags.contains(AreaFlags::NO_RESERVE) {
        Object::memory(len as u64)?
    } else {
        Object::promised_memory(len as u64)?
    };
    Ok(Backing::Object { object, offset_bytes: 0, file: Some(try_arc(SharedMemory)?), may_write: true })
}

/// What /proc shows for shared anonymous memory.
struct SharedMemory;

impl crate::area::MappedFile for SharedMemory {
    fn identity(&self) -> (u64, u64) {
        (1, 0)
    }

    fn name(&self) -> Result<Vec<u8>, Errno> {
        Ok(try_to_vec(b"/dev/zero (deleted)")?)
    }
}

//! Page faults.
//!
//! | area | access | page table entry | what happens |
//! |---|---|---|---|
//! | anonymous | read | absent | the page of zeroes, without the right to store |
//! | anonymous | write | absent | a fresh page |
//! | private | write | present, no store | reuse if nobody else has the frame, else copy |
//! | private object | read | absent | the object's page without the right to store, and 16 resident ones around |
//! | private object | write | absent | a copy of the object's page |
//! | shared memory | any | absent | the object's page with all rights |
//! | shared with pager | read | absent | the object's page without the right to store |
//! | shared with pager | write | any | the page is marked dirty, then gets the right to store |

use core::fmt;
use core::sync::atomic::Ordering;

use abi::Errno;
use machine::address::{PAGE_SHIFT, PAGE_SIZE, USER_END, UserAddress};
use machine::context::Access;
use machine::frame::{Frame, Owner};
use machine::paging::{Cursor, Gather, Mapping, Protection, TABLE_SPAN};
use machine::sync::Once;

use super::AddressSpace;
use crate::account::Resident;
use crate::area::{Area, AreaFlags, MapKind};
use crate::object::{DETACHED, DIRTY, Object, pages_for};
use crate::reclaim;

/// Frames that one fault may need: the page, and page tables of three levels.
const FAULT_FRAMES: usize = 4;
/// Pages mapped together on a read fault.
const AROUND: u64 = 16;

/// Why a page cannot be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultError {
    /// Nothing is mapped there (`SIGSEGV`, `SEGV_MAPERR`).
    Unmapped,
    /// The mapping does not allow that (`SIGSEGV`, `SEGV_ACCERR`).
    Protection,
    /// Past the end of the object, or its pager failed (`SIGBUS`).
    Bus,
    /// No frame is free, and nobody could be killed for one.
    OutOfMemory,
}

impl fmt::Display for FaultError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unmapped => "nothing is mapped there",
            Self::Protection => "the mapping does not allow that",
            Self::Bus => "the mapped object has no such page",
            Self::OutOfMemory => "out of memory",
        })
    }
}

impl From<machine::frame::OutOfMemory> for FaultError {
    fn from(_: machine::frame::OutOfMemory) -> Self {
        Self::OutOfMemory
    }
}

/// What a step of a fault came to.
enum Step {
    Done,
    /// Something changed meanwhile: look the area up again.
    Again,
}

type Outcome = Result<Step, FaultError>;

/// The page of zeroes that all read faults of anonymous memory share.
static ZEROES: Once<Frame> = Once::new();

fn zeroes() -> Result<Frame, FaultError> {
    if let Some(frame) = ZEROES.get() {
        return Ok(frame.clone());
    }
    let frame = Frame::new(Owner::Kernel)?;
    // Another processor may have been quicker: its page serves as well.
    let _ = ZEROES.set(frame.clone());
    Ok(ZEROES.get().cloned().unwrap_or(frame))
}

fn allows(area: &Area, access: Access) -> bool {
    match access {
        // This processor cannot forbid loads from what may be stored to or executed.
        Access::Read => !area.protection.is_empty(),
        Access::Write => area.protection.contains(Protection::WRITE),
        Access::Execute => area.protection.contains(Protection::EXECUTE),
    }
}

fn grants(mapping: &Mapping, access: Access) -> bool {
    match access {
        Access::Read => !mapping.protection.is_empty(),
        Access::Write => mapping.protection.contains(Protection::WRITE),
        Access::Execute => mapping.protection.contains(Protection::EXECUTE),
    }
}

fn object_error(error: Errno) -> FaultError {
    if error == Errno::ENOMEM { FaultError::OutOfMemory } else { FaultError::Bus }
}

/// One fault, with the area as it was looked up.
struct Fault<'a> {
    space: &'a AddressSpace,
    area: &'a Area,
    generation: u64,
    page: UserAddress,
    access: Access,
    /// The kernel wants the page whatever the program may do with it (ptrace(2)).
    is_forced: bool,
}

impl AddressSpace {
    /// Brings the page of `address` in so that `access` can go on. May sleep; called with nothing held.
    ///
    /// Also right when another thread has brought the page in already: then nothing happens.
    pub fn fault(&self, address: UserAddress, access: Access) -> Result<(), FaultError> {
        self.bring_in(address, access, false)
    }

    pub(super) fn bring_in(
        &self,
        address: UserAddress,
        access: Access,
        is_forced: bool,
    ) -> Result<(), FaultError> {
        if address.0 >= USER_END {
            return Err(FaultError::Unmapped);
        }
        // What has been taken from it is not to be found empty.
        if self.is_emptied() {
            return Err(FaultError::OutOfMemory);
        }
        reclaim::reserve(FAULT_FRAMES).map_err(|_| FaultError::OutOfMemory)?;
        let page = address.page_floor();
        loop {
            let Some((area, generation)) = self.find(address) else {
                self.extend_stack(page)?;
                continue;
            };
            let is_allowed = allows(&area, access) || (is_forced && may_be_forced(&area, access));
            if !is_allowed {
                return Err(FaultError::Protection);
            }
            if let Some(low) = &area.low
                && page.0 < low.load(Ordering::Relaxed)
            {
                self.grow_stack(page)?;
            }
            let fault = Fault { space: self, area: &area, generation, page, access, is_forced };
            let step = match area.object() {
                None => fault.anonymous()?,
                Some(object) => fault.of_object(object)?,
            };
            if let Step::Done = step {
                return Ok(());
            }
        }
    }
}

/// Whether a debugger may do what the program may not: read anything, and write to its own copy.
fn may_be_forced(area: &Area, access: Access) -> bool {
    access == Access::Read || (access == Access::Write && area.kind == MapKind::Private)
}

impl Fault<'_> {
    fn is_write(&self) -> bool {
        self.access == Access::Write
    }

    /// The rights of a page that others may have too.
    fn without_store(&self) -> Protection {
        self.area.protection - Protection::WRITE
    }

    /// The cursor for the page; none if the areas have changed.
    fn cursor(&self) -> Result<Option<Cursor<'_>>, FaultError> {
        let cursor = self.space.space.cursor(self.page)?;
        Ok(self.space.is_current(self.generation).then_some(cursor))
    }

    /// Whether the entry serves as it is.
    fn is_served(&self, cursor: &Cursor<'_>, mapping: &Mapping) -> bool {
        if grants(mapping, self.access) {
            return true;
        }
        // A forced store needs no right, just a page that is the program's own.
        self.is_forced && (!self.is_write() || cursor.frame(self.page).is_some_and(|frame| is_own(&frame)))
    }

    fn anonymous(&self) -> Outcome {
        // After the cursor is released the gather makes other processors forget the old page.
        let mut gather = Gather::new(&self.space.space);
        let Some(mut cursor) = self.cursor()? else { return Ok(Step::Again) };
        match cursor.get(self.page) {
            None if self.is_write() => {
                let frame = Frame::new(Owner::User)?;
                self.map(&mut cursor, frame, self.area.protection, Resident::Anonymous);
            }
            None => self.map(&mut cursor, zeroes()?, self.without_store(), Resident::Nothing),
            Some(mapping) if self.is_served(&cursor, &mapping) => {}
            Some(_) if self.is_write() => self.own(&mut cursor, &mut gather)?,
            // Another thread is about to give the page its new rights.
            Some(_) => {}
        }
        Ok(Step::Done)
    }

    /// Maps a page where the cursor has shown that none is.
    fn map(&self, cursor: &mut Cursor<'_>, frame: Frame, protection: Protection, kind: Resident) {
        if cursor.map(self.page, frame, protection).is_ok() {
            self.space.account.mapped(kind, 1);
        }
    }

    /// Makes the mapped page the program's own: takes the frame over if nobody else has it, else copies it.
    fn own(&self, cursor: &mut Cursor<'_>, gather: &mut Gather<'_>) -> Result<(), FaultError> {
        let Some(old) = cursor.frame(self.page) else { return Ok(()) };
        if is_own(&old) {
            cursor.protect(self.page, self.area.protection, gather);
            return Ok(());
        }
        let old_kind = Resident::of(self.area, old.owner());
        let new = if old_kind == Resident::Nothing {
            Frame::new(Owner::User)?
        } else {
            let new = Frame::new_dirty(Owner::User)?;
            new.copy_from(&old);
            new
        };
        self.note_copy();
        cursor.replace(self.page, new, self.area.protection, gather);
        if old_kind != Resident::Anonymous {
            self.space.account.unmapped(old_kind, 1);
            self.space.account.mapped(Resident::Anonymous, 1);
        }
        Ok(())
    }

    fn note_copy(&self) {
        if let Some(flag) = &self.area.has_copies
            && !flag.load(Ordering::Relaxed)
        {
            flag.store(true, Ordering::Relaxed);
        }
    }

    fn of_object(&self, object: &Object) -> Outcome {
        let is_private = self.area.kind == MapKind::Private;
        let mut gather = Gather::new(&self.space.space);
        // A load finds out at the end whether the page is there; a store to one that is there need not ask the object.
        if self.is_write()
            && let Some(mut cursor) = self.space.space.find(self.page)
        {
            if !self.space.is_current(self.generation) {
                return Ok(Step::Again);
            }
            match cursor.get(self.page) {
                Some(mapping) if self.is_served(&cursor, &mapping) => return Ok(Step::Done),
                Some(_) if is_private => {
                    self.own(&mut cursor, &mut gather)?;
                    return Ok(Step::Done);
                }
                _ => {}
            }
        }
        let index = self.area.index_at(self.page.0);
        if index >= pages_for(object.size()) {
            return Err(FaultError::Bus);
        }
        if self.is_write() && !is_private {
            self.store_to_shared(object, index, &mut gather)
        } else if self.is_write() {
            self.copy_of_object(object, index)
        } else {
            self.read_of_object(object, index)
        }
    }

    fn copy_of_object(&self, object: &Object, index: u64) -> Outcome {
        let from = object.page(index).map_err(object_error)?;
        let copy = Frame::new_dirty(Owner::User)?;
        copy.copy_from(&from);
        let Some(mut cursor) = self.cursor()? else { return Ok(Step::Again) };
        if from.flags() & DETACHED != 0 || cursor.get(self.page).is_some() {
            return Ok(Step::Again);
        }
        self.note_copy();
        self.map(&mut cursor, copy, self.area.protection, Resident::Anonymous);
        Ok(Step::Done)
    }

    fn store_to_shared(&self, object: &Object, index: u64, gather: &mut Gather<'_>) -> Outcome {
        let is_tracked = object.tracks_dirty();
        let found = if is_tracked { object.page_to_store(index) } else { object.page(index) };
        let frame = found.map_err(object_error)?;
        let Some(mut cursor) = self.cursor()? else { return Ok(Step::Again) };
        let flags = frame.flags();
        if flags & DETACHED != 0 || (is_tracked && flags & DIRTY == 0) {
            return Ok(Step::Again);
        }
        match cursor.get(self.page) {
            None => {
                let kind = Resident::of(self.area, Owner::Cache);
                self.map(&mut cursor, frame, self.area.protection, kind);
                Ok(Step::Done)
            }
            Some(mapping) if mapping.frame == frame.address() => {
                cursor.protect(self.page, self.area.protection, gather);
                Ok(Step::Done)
            }
            // A page that is being truncated away is still there.
            Some(_) => Ok(Step::Again),
        }
    }

    fn read_of_object(&self, object: &Object, index: u64) -> Outcome {
        let (start, end) = self.around(object, index);
        let mut frames = object.resident_around(start, end);
        if !frames.iter().any(|(found, _)| *found == index) {
            let frame = object.page(index).map_err(object_error)?;
            if let Some(place) = frames.iter().position(|(found, _)| *found > index) {
                // The window has at most 16 pages and lacked this one.
                frames.insert(place, (index, frame));
            } else {
                frames.push((index, frame));
            }
        }
        let is_tracked = object.tracks_dirty();
        let protection =
            if self.area.is_shared() && !is_tracked { self.area.protection } else { self.without_store() };
        let Some(mut cursor) = self.cursor()? else { return Ok(Step::Again) };
        if cursor.get(self.page).is_some() {
            return Ok(Step::Done);
        }
        let mut mapped = 0;
        let mut is_served = false;
        for (found, frame) in frames {
            if frame.flags() & DETACHED != 0 {
                continue;
            }
            is_served |= found == index;
            let page = UserAddress(
                self.page.0.wrapping_add_signed((found as i64 - index as i64) as isize * PAGE_SIZE as isize),
            );
            if cursor.map(page, frame, protection).is_ok() {
                mapped += 1;
            }
        }
        self.space.account.mapped(Resident::of(self.area, Owner::Cache), mapped);
        Ok(if is_served { Step::Done } else { Step::Again })
    }

    /// The object's pages that are mapped along with `index`: 16, aligned, inside the area, the leaf table and the object.
    fn around(&self, object: &Object, index: u64) -> (u64, u64) {
        if self.area.flags.contains(AreaFlags::RANDOM) {
            return (index, index + 1);
        }
        let window_pages = |address: usize| ((address - self.page.0) >> PAGE_SHIFT) as u64;
        let table = self.page.0 & !(TABLE_SPAN - 1);
        let below = ((self.page.0 - table.max(self.area.start)) >> PAGE_SHIFT) as u64;
        let above = window_pages((table + TABLE_SPAN).min(self.area.end));
        let aligned = index & !(AROUND - 1);
        let start = aligned.max(index.saturating_sub(below));
        let end = (aligned + AROUND).min(index + above).min(pages_for(object.size())).max(index + 1);
        (start, end)
    }
}

/// Whether a frame, of which the caller has a handle, belongs to one page table entry and to nobody else.
pub(super) fn is_own(frame: &Frame) -> bool {
    frame.owner() == Owner::User && frame.references() == 2
}

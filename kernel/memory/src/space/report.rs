//! What /proc/PID/maps and smaps show.

use alloc::vec::Vec;
use core::ops::Range;

use abi::Errno;
use machine::address::{PAGE_SIZE, UserAddress};
use machine::frame::{self, Owner};
use machine::heap::try_to_vec;
use machine::paging::Protection;

use super::AddressSpace;
use crate::area::{Area, AreaFlags, MapKind};

/// One line of /proc/PID/maps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AreaReport {
    /// The addresses in use.
    pub range: Range<usize>,
    /// What the program may do.
    pub protection: Protection,
    /// Private or shared.
    pub kind: MapKind,
    /// What else there is to say (`VmFlags`).
    pub flags: AreaFlags,
    /// Where in the file it begins.
    pub offset_bytes: u64,
    /// Device and inode number of the file; zero without one.
    pub identity: (u64, u64),
    /// The file's path, `[heap]`, `[stack]`, or nothing; `ENOMEM` when there is no room for it.
    pub name: Result<Vec<u8>, Errno>,
}

/// Memory behind an area (/proc/PID/smaps), in pages; `proportional` in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PageUse {
    /// Mapped (`Rss`).
    pub resident: usize,
    /// Mapped, each page divided by how many map it (`Pss`), in bytes.
    pub proportional_bytes: usize,
    /// Mapped by several, and unchanged.
    pub shared_clean: usize,
    /// Mapped by several, and changed.
    pub shared_dirty: usize,
    /// Mapped here only, and unchanged.
    pub private_clean: usize,
    /// Mapped here only, and changed.
    pub private_dirty: usize,
    /// Used lately (`Referenced`).
    pub referenced: usize,
    /// Anonymous.
    pub anonymous: usize,
}

impl AddressSpace {
    /// Visits the areas in order of address, as they were at one moment, until `visit` gives `false`.
    pub fn for_each_area(&self, from: UserAddress, mut visit: impl FnMut(AreaReport) -> bool) {
        let heap = {
            let changes = self.changes.lock();
            changes.heap_start..changes.heap_end
        };
        for area in self.snapshot().range(from.0, usize::MAX) {
            if !visit(report(area, &heap)) {
                break;
            }
        }
    }

    /// Counts the pages behind `range`, which [`for_each_area`](Self::for_each_area) gave.
    pub fn page_use(&self, range: Range<usize>) -> PageUse {
        let mut sum = PageUse::default();
        self.for_each_table(range, |cursor, window| {
            let mut at = window.start;
            while let Some((page, mapping)) = cursor.next_mapped(at..window.end) {
                at = UserAddress(page.0 + PAGE_SIZE);
                let owner = frame::owner_at(mapping.frame);
                if owner == Owner::Kernel {
                    continue;
                }
                let mappings = cursor.frame(page).map_or(1, |frame| frame.mappings().max(1)) as usize;
                let is_dirty = mapping.is_dirty || owner == Owner::User;
                let class = match (mappings > 1, is_dirty) {
                    (true, false) => &mut sum.shared_clean,
                    (true, true) => &mut sum.shared_dirty,
                    (false, false) => &mut sum.private_clean,
                    (false, true) => &mut sum.private_dirty,
                };
                *class += 1;
                sum.resident += 1;
                sum.proportional_bytes += PAGE_SIZE / mappings;
                sum.referenced += usize::from(mapping.is_accessed);
                sum.anonymous += usize::from(owner == Owner::User);
            }
        });
        sum
    }
}

fn report(area: &Area, heap: &Range<usize>) -> AreaReport {
    let name = |name: &[u8]| try_to_vec(name).map_err(Errno::from);
    let range = area.used();
    let name = match area.file() {
        Some(file) => file.name(),
        None if area.low.is_some() => name(b"[stack]"),
        None if area.object().is_none() && area.start < heap.end && area.end > heap.start => name(b"[heap]"),
        None => Ok(Vec::new()),
    };
    AreaReport {
        range,
        protection: area.protection,
        kind: area.kind,
        flags: area.flags,
        offset_bytes: area.offset_bytes(),
        identity: area.file().map_or((0, 0), |file| file.identity()),
        name,
    }
}

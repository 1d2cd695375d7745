//! Giving pages back: the clock's hand passes over an object.
//!
//! Each use of a page counts up to two; the hand counts down, and takes a page that is at zero. So a page read once in a scan goes at the hand's second pass, one that is used again and
//! again stays for as long as that lasts: age and frequency both weigh.

use arrayvec::ArrayVec;
use machine::frame::Frame;

use super::{DIRTY, FILLING, Object, USED_OFTEN, USED_ONCE, WRITEBACK};
use crate::index::Which;

/// Pages looked at under the lock at a time.
const BATCH: usize = 32;

impl Object {
    /// Moves the hand from page `from` over up to `visits` pages. Returns how many frames it freed, and where it stands; none at the object's end.
    pub(crate) fn shrink(&self, from: u64, visits: usize) -> (usize, Option<u64>) {
        let mut freed = 0;
        let mut at = from;
        let mut visited = 0;
        while visited < visits {
            let mut taken = ArrayVec::<Frame, BATCH>::new();
            let mut mapped = ArrayVec::<u64, BATCH>::new();
            let mut is_end = false;
            {
                let mut pages = self.pages.lock();
                for _ in 0..BATCH {
                    let Some((index, frame)) = pages.next(at, u64::MAX, Which::All) else {
                        is_end = true;
                        break;
                    };
                    at = index + 1;
                    visited += 1;
                    if frame.flags() & (DIRTY | FILLING | WRITEBACK) != 0 || self.is_memory() {
                        continue;
                    }
                    if frame.flags() & USED_OFTEN != 0 {
                        frame.clear_flags(USED_OFTEN);
                    } else if frame.flags() & USED_ONCE != 0 {
                        frame.clear_flags(USED_ONCE);
                    } else if frame.is_unique() {
                        // Nobody can get another reference while the index is locked.
                        taken.extend(self.remove_page(&mut pages, index));
                    } else if frame.mappings() > 0 {
                        mapped.push(index);
                    }
                }
            }
            freed += taken.len();
            // Unmapped pages that nobody uses any more go when the hand comes round.
            for index in mapped {
                self.mappers.for_each(|space| space.age(self, index));
            }
            if is_end {
                return (freed, None);
            }
        }
        (freed, Some(at))
    }
}

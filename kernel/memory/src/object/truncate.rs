//! Taking pages away: shorter objects and holes.

use core::sync::atomic::Ordering;

use abi::Errno;
use machine::address::{PAGE_SHIFT, PAGE_SIZE};
use machine::frame::Frame;

use super::{DETACHED, DIRTY, FILLING, MEMORY_PAGES, Object, WRITEBACK, pages_for};
use crate::index::Which;
use crate::reclaim;

impl Object {
    /// Changes the size. Pages past a smaller size go, also from the programs that have them mapped (private copies too: Linux, truncate(2)); what grows reads as zero.
    ///
    /// `EFBIG` past 63 bits; the pager's error when the new last page cannot be read to be cut: then nothing has changed. Sleeps while a page is being read or written. The caller keeps writers and other truncations away.
    pub fn truncate(&self, size_bytes: u64) -> Result<(), Errno> {
        if size_bytes > i64::MAX as u64 {
            return Err(Errno::EFBIG);
        }
        let old = self.size();
        if size_bytes >= old {
            self.clear_tail();
            self.size_bytes.store(size_bytes, Ordering::Release);
            return Ok(());
        }
        let within = size_bytes as usize % PAGE_SIZE;
        // What the pager still has past the new end must not come back when the object grows again, so the last page is changed, absent or not.
        let last = match within {
            0 => None,
            _ if self.is_memory() => self.resident(size_bytes >> PAGE_SHIFT),
            _ => Some(self.page_to_change(size_bytes >> PAGE_SHIFT, false)?),
        };
        {
            // Under the lock, so that nobody makes a page past the new end after this.
            let _pages = self.pages.lock();
            self.size_bytes.store(size_bytes, Ordering::Release);
        }
        self.detach(pages_for(size_bytes), u64::MAX, true);
        if let Some(frame) = last {
            frame.zero_range(within, PAGE_SIZE);
            self.mark_dirty(size_bytes >> PAGE_SHIFT, &frame);
        }
        Ok(())
    }

    /// Makes `start..end` (bytes) read as zero without changing the size (fallocate(2), `FALLOC_FL_PUNCH_HOLE`). Whole pages leave the cache and all shared mappings;
    /// what a pager still has for them is the file system's to remove, before it calls this.
    pub fn punch(&self, start: u64, end: u64) -> Result<(), Errno> {
        let end = end.min(self.size());
        if start >= end {
            return Ok(());
        }
        let first_whole = pages_for(start);
        let last_whole = end >> PAGE_SHIFT;
        if first_whole < last_whole {
            self.detach(first_whole, last_whole, false);
        }
        let page_end = |at: u64| ((at >> PAGE_SHIFT) + 1) << PAGE_SHIFT;
        for (from, to) in [(start, end.min(page_end(start))), (start.max(last_whole << PAGE_SHIFT), end)] {
            if from < to
                && (!(from as usize).is_multiple_of(PAGE_SIZE) || !(to as usize).is_multiple_of(PAGE_SIZE))
            {
                self.zero_part(from, to)?;
            }
        }
        Ok(())
    }

    /// Zeroes `from..to`, which lies in one page.
    fn zero_part(&self, from: u64, to: u64) -> Result<(), Errno> {
        let index = from >> PAGE_SHIFT;
        if self.is_memory() && self.resident(index).is_none() {
            return Ok(());
        }
        let frame = self.page_to_change(index, false)?;
        frame.zero_range(from as usize % PAGE_SIZE, (to - from) as usize);
        self.mark_dirty(index, &frame);
        Ok(())
    }

    /// Takes the pages `start..end` out of the cache and out of all mappings.
    fn detach(&self, start: u64, end: u64, with_copies: bool) {
        let mut at = start;
        loop {
            let mut pages = self.pages.lock();
            let Some((index, frame)) = pages.next(at, end, Which::All) else { break };
            let frame = frame.clone();
            let busy = frame.flags() & (FILLING | WRITEBACK);
            if busy != 0 {
                drop(pages);
                self.wait_while(&frame, busy);
                continue;
            }
            self.remove_page(&mut pages, index);
            at = index + 1;
        }
        self.mappers.for_each(|space| space.unmap_object(self, start, end, with_copies));
    }

    /// Takes page `index` back out if it still is `frame`, clean and unused.
    pub(super) fn forget(&self, index: u64, frame: &Frame) {
        let mut pages = self.pages.lock();
        if pages.get(index) == Some(frame) && frame.flags() & (DIRTY | FILLING | WRITEBACK) == 0 {
            self.remove_page(&mut pages, index);
        }
    }

    /// Takes a page out of the index; its frame goes with the last who holds it.
    pub(super) fn remove_page(&self, pages: &mut crate::index::PageIndex, index: u64) -> Option<Frame> {
        let dirty = pages.dirty();
        let frame = pages.remove(index)?;
        frame.set_flags(DETACHED);
        if self.is_memory() {
            MEMORY_PAGES.fetch_sub(1, Ordering::Relaxed);
        } else if self.is_writable {
            reclaim::uncount_dirty(dirty - pages.dirty());
        }
        Some(frame)
    }
}

//! Changed pages: how they are marked, and how they go back to the pager.

use abi::Errno;
use machine::address::{PAGE_SHIFT, PAGE_SIZE};
use machine::frame::Frame;

use super::{DIRTY, Object, WRITEBACK, pages_for};
use crate::index::Which;
use crate::pager::Pager;
use crate::reclaim;

impl Object {
    /// Page `index` for a change: found or made, and not being written back.
    pub(super) fn page_to_change(&self, index: u64, may_extend: bool) -> Result<Frame, Errno> {
        loop {
            let frame = self.obtain(index, 1, may_extend)?;
            if frame.flags() & WRITEBACK == 0 {
                return Ok(frame);
            }
            self.wait_while(&frame, WRITEBACK);
        }
    }

    /// Page `index` for a mapping that may store to it: marked dirty already. The caller grants the right to store only if it sees the page still dirty under its cursor.
    ///
    /// Errors as [`page`](Self::page).
    pub(crate) fn page_to_store(&self, index: u64) -> Result<Frame, Errno> {
        let frame = self.page_to_change(index, false)?;
        self.mark_dirty(index, &frame);
        Ok(frame)
    }

    /// Marks a page changed, after the change.
    pub(super) fn mark_dirty(&self, index: u64, frame: &Frame) {
        if !self.tracks_dirty() || frame.flags() & DIRTY != 0 {
            return;
        }
        let mut pages = self.pages.lock();
        // A page that was truncated away meanwhile stays clean: nobody will write it.
        if pages.get(index) == Some(frame) {
            frame.set_flags(DIRTY);
            if pages.mark(index, true) && self.is_writable {
                reclaim::count_dirty();
            }
        }
    }

    /// Writes the dirty pages of `start..end` (bytes) back and waits until the pager has taken them, also those that others are writing. Every page is tried; the first error is returned.
    ///
    /// Does not flush a disk's own cache: that is for the file system above.
    pub fn sync(&self, start: u64, end: u64) -> Result<(), Errno> {
        let Some(pager) = self.pager.as_ref().filter(|_| self.is_writable) else { return Ok(()) };
        let mut outcome = Ok(());
        self.write_back(pager.as_ref(), start >> PAGE_SHIFT, pages_for(end), usize::MAX, &mut outcome);
        outcome
    }

    /// Writes up to `limit` dirty pages back; returns how many were tried.
    pub(crate) fn write_some(&self, limit: usize) -> usize {
        let Some(pager) = self.pager.as_ref().filter(|_| self.is_writable) else { return 0 };
        let mut outcome = Ok(());
        // The error stays with the pages' owner: its own sync meets the device again.
        self.write_back(pager.as_ref(), 0, u64::MAX, limit, &mut outcome)
    }

    fn write_back(
        &self,
        pager: &dyn Pager,
        start: u64,
        end: u64,
        limit: usize,
        outcome: &mut Result<(), Errno>,
    ) -> usize {
        let mut at = start;
        let mut tried = 0;
        while tried < limit {
            let mut pages = self.pages.lock();
            let Some((index, frame)) = pages.next(at, end, Which::Dirty) else { break };
            let frame = frame.clone();
            if frame.flags() & WRITEBACK != 0 {
                drop(pages);
                self.wait_while(&frame, WRITEBACK);
                continue;
            }
            pages.mark(index, false);
            frame.set_flags(WRITEBACK);
            frame.clear_flags(DIRTY);
            drop(pages);
            reclaim::uncount_dirty(1);

            let result = self.write_page(pager, index, &frame);
            if result.is_err() {
                // Another attempt may succeed; until then the cache has the only copy.
                self.mark_dirty(index, &frame);
            }
            frame.clear_flags(WRITEBACK);
            self.settled.wake_all();
            if outcome.is_ok() {
                *outcome = result;
            }
            tried += 1;
            at = index + 1;
        }
        self.wait_for_writers(start, end);
        tried
    }

    fn write_page(&self, pager: &dyn Pager, index: u64, frame: &Frame) -> Result<(), Errno> {
        if self.mappers.may_be_written() {
            self.mappers.for_each(|space| space.write_protect(self, index));
        }
        // What a program stored past the end through a mapping is not part of the file (mmap(2)).
        let start = index << PAGE_SHIFT;
        let size = self.size();
        if size < start.saturating_add(PAGE_SIZE as u64) {
            frame.zero_range(size.saturating_sub(start) as usize, PAGE_SIZE);
        }
        pager.write_page(index, frame)
    }

    /// Waits for pages that others are writing and that are clean otherwise.
    fn wait_for_writers(&self, start: u64, end: u64) {
        let mut at = start;
        loop {
            let found = {
                let pages = self.pages.lock();
                let mut next = pages.next(at, end, Which::All);
                while let Some((index, frame)) = next
                    && frame.flags() & WRITEBACK == 0
                {
                    next = pages.next(index + 1, end, Which::All);
                }
                next.map(|(index, frame)| (index, frame.clone()))
            };
            let Some((index, frame)) = found else { return };
            self.wait_while(&frame, WRITEBACK);
            at = index + 1;
        }
    }
}

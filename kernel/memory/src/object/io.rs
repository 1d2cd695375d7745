//! Reading and writing an object's bytes through the cache.

use core::sync::atomic::Ordering;

use abi::Errno;
use machine::address::{PAGE_SHIFT, PAGE_SIZE};
use machine::frame::{Frame, Owner};
use machine::heap::Allowance;

use super::{DIRTY, INDEX_FRAMES, Object, USED_ONCE, WINDOW, pages_for, touch};
use crate::reclaim;
use crate::transfer::{Sink, Source};

/// Page index, offset in the page, and bytes up to its end or `left`.
fn place(offset: u64, left: usize) -> (u64, usize, usize) {
    let within = offset as usize % PAGE_SIZE;
    (offset >> PAGE_SHIFT, within, left.min(PAGE_SIZE - within))
}

impl Object {
    /// Reads from `offset` until the sink is full or the object ends; returns how many bytes. 0 at or past the end.
    ///
    /// An error (the pager's, or `EFAULT` of the sink) is returned only if nothing was read before it.
    pub fn read(&self, offset: u64, sink: &mut dyn Sink) -> Result<usize, Errno> {
        let mut done = 0;
        loop {
            let at = offset.saturating_add(done as u64);
            let left = self.size().saturating_sub(at).min(sink.remaining() as u64) as usize;
            if left == 0 {
                return Ok(done);
            }
            let (index, within, len) = place(at, left);
            let step = self.page_to_read(index).and_then(|frame| match frame {
                Some(frame) => sink.write_frame(&frame, within, len),
                None => sink.zero(len),
            });
            match step {
                Ok(moved) => {
                    done += moved;
                    if moved < len {
                        return Ok(done);
                    }
                }
                // Truncated meanwhile: the end is here.
                Err(Errno::ENXIO) => return Ok(done),
                Err(error) if done == 0 => return Err(error),
                Err(_) => return Ok(done),
            }
        }
    }

    /// A page for reading; none for an absent page of a memory object, which need not be made to be read.
    fn page_to_read(&self, index: u64) -> Result<Option<Frame>, Errno> {
        if self.is_memory() {
            let frame = self.resident(index);
            if let Some(frame) = &frame {
                touch(frame);
            }
            return Ok(frame);
        }
        // Readers that go straight on get more with every miss, others one page.
        let is_sequential = self.next_read.swap(index + 1, Ordering::Relaxed).wrapping_sub(index) <= 1;
        if let Some(frame) = self.resident(index) {
            touch(&frame);
            return Ok(Some(frame));
        }
        let window = if is_sequential { self.read_window.load(Ordering::Relaxed) } else { 1 };
        self.read_window.store((window * 2).min(WINDOW), Ordering::Relaxed);
        self.obtain(index, window, false).map(Some)
    }

    /// Writes at `offset` all that the source has, growing the object where it ends later than before; returns how many bytes. Sleeps while too many pages are dirty.
    ///
    /// An error (`ENOMEM`, `EFBIG` when the range leaves 63 bits, the pager's, or `EFAULT` of the source) is returned only if nothing was written before it. The caller keeps two
    /// writers, and a writer and a truncation, apart.
    pub fn write(&self, offset: u64, source: &mut dyn Source) -> Result<usize, Errno> {
        let end = offset.checked_add(source.remaining() as u64).filter(|end| *end <= i64::MAX as u64);
        if end.ok_or(Errno::EFBIG)? > self.size() {
            self.clear_tail();
        }
        let mut done = 0;
        let outcome = loop {
            let left = source.remaining();
            if left == 0 {
                break Ok(());
            }
            let at = offset + done as u64;
            let (index, within, len) = place(at, left);
            let step = if len == PAGE_SIZE {
                self.write_whole(index, source)
            } else {
                self.write_part(index, within, len, source)
            };
            match step {
                Ok(moved) => {
                    done += moved;
                    self.size_bytes.fetch_max(at + moved as u64, Ordering::AcqRel);
                    if moved < len {
                        break Ok(());
                    }
                }
                Err(error) => break Err(error),
            }
        };
        if self.is_writable {
            reclaim::balance_dirty(self);
        }
        match outcome {
            Err(error) if done == 0 => Err(error),
            _ => Ok(done),
        }
    }

    fn write_part(
        &self,
        index: u64,
        within: usize,
        len: usize,
        source: &mut dyn Source,
    ) -> Result<usize, Errno> {
        let is_new = index >= pages_for(self.size());
        let frame = self.page_to_change(index, true)?;
        let moved = source.read_frame(&frame, within, len);
        match moved {
            Ok(1..) => self.mark_dirty(index, &frame),
            // A page past the end that nothing was written to is not part of the object.
            _ if is_new => self.forget(index, &frame),
            _ => {}
        }
        moved
    }

    /// Writes a whole page, which need not be read first.
    fn write_whole(&self, index: u64, source: &mut dyn Source) -> Result<usize, Errno> {
        if self.resident(index).is_some() {
            return self.write_part(index, 0, PAGE_SIZE, source);
        }
        reclaim::reserve(1)?;
        let fresh = Frame::new_dirty(Owner::Cache)?;
        let moved = source.read_frame(&fresh, 0, PAGE_SIZE)?;
        if moved == PAGE_SIZE {
            fresh.set_flags(if self.tracks_dirty() { USED_ONCE | DIRTY } else { USED_ONCE });
            fresh.set_place(self.id, index);
            let _allowance = Allowance::of(INDEX_FRAMES)?;
            let mut pages = self.pages.lock();
            if pages.insert(index, fresh.clone()).is_ok() {
                if self.tracks_dirty() && pages.mark(index, true) && self.is_writable {
                    reclaim::count_dirty();
                }
                drop(pages);
                if self.is_memory() {
                    super::MEMORY_PAGES.fetch_add(1, Ordering::Relaxed);
                }
                return Ok(moved);
            }
        }
        // The source ended early, or somebody else made the page meanwhile: go through the page that counts.
        let frame = self.page_to_change(index, true)?;
        copy(&fresh, &frame, moved);
        self.mark_dirty(index, &frame);
        Ok(moved)
    }

    /// Makes what lies in the last page past the end zero, as the object is about to grow over it.
    pub(super) fn clear_tail(&self) {
        let size = self.size();
        let within = size as usize % PAGE_SIZE;
        if within != 0
            && let Some(frame) = self.resident(size >> PAGE_SHIFT)
        {
            frame.zero_range(within, PAGE_SIZE);
        }
    }
}

/// Copies the first `len` bytes of a frame to another.
fn copy(from: &Frame, to: &Frame, len: usize) {
    let mut buffer = [0; 256];
    for offset in (0..len).step_by(buffer.len()) {
        let part = &mut buffer[..(len - offset).min(256)];
        from.read(offset, part);
        to.write(offset, part);
    }
}

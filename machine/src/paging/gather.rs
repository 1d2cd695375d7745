//! Changes of mappings whose effect on other processors is still outstanding.

use arrayvec::ArrayVec;

use super::Space;
use crate::address::{PAGE_SIZE, UserAddress};
use crate::arch;
use crate::frame::Frame;

/// Frames collected before a flush is forced.
const BATCH: usize = 64;

/// Collects frames that were unmapped and addresses whose rights shrank. [`flush`](Self::flush), also called
/// on drop, makes every processor forget them, and only then frees the frames.
///
/// May be kept across several cursors; a flush waits for other processors, which answer from interrupts, so
/// it may be done with cursors and `Task` locks held, but not with interrupts off.
pub struct Gather<'a> {
    space: &'a Space,
    frames: ArrayVec<Frame, BATCH>,
    start: usize,
    end: usize,
}

impl<'a> Gather<'a> {
    /// An empty gather for changes of `space`.
    pub fn new(space: &'a Space) -> Self {
        Self { space, frames: ArrayVec::new(), start: usize::MAX, end: 0 }
    }

    pub(super) fn space(&self) -> &Space {
        self.space
    }

    /// Notes that the translation of a page may be cached with more than it has now.
    pub(super) fn touch(&mut self, address: UserAddress) {
        let page = address.page_floor().0;
        self.start = self.start.min(page);
        self.end = self.end.max(page + PAGE_SIZE);
    }

    /// Takes a frame that was unmapped at `address`.
    pub(super) fn add(&mut self, address: UserAddress, frame: Frame) {
        self.touch(address);
        if let Err(full) = self.frames.try_push(frame) {
            self.flush();
            self.touch(address);
            self.frames.push(full.element());
        }
    }

    /// Waits until no processor uses an old translation, then drops the frames.
    pub fn flush(&mut self) {
        if self.start < self.end {
            arch::shoot_down(self.space, self.start, self.end);
            self.start = usize::MAX;
            self.end = 0;
        }
        self.frames.clear();
    }
}

impl Drop for Gather<'_> {
    fn drop(&mut self) {
        self.flush();
    }
}

//! Where an object's pages come from and go to.

use abi::Errno;
use machine::frame::Frame;

/// Reads and writes the pages of an [`Object`](crate::Object): a file system, a disk, an archive. Every call may sleep.
pub trait Pager: Send + Sync {
    /// Fills the whole of `into` with page `index`. What lies past the object's size is made zero by the caller afterwards.
    fn read_page(&self, index: u64, into: &Frame) -> Result<(), Errno>;

    /// Writes page `index` back. `from` may change meanwhile when a program has it mapped for writing; it is written again then.
    fn write_page(&self, index: u64, from: &Frame) -> Result<(), Errno>;

    /// Fills pages `first..`, one after the other. A pager that can fetch neighbours in one request does so here.
    fn read_pages(&self, first: u64, into: &[Frame]) -> Result<(), Errno> {
        into.iter().zip(first..).try_for_each(|(frame, index)| self.read_page(index, frame))
    }

    /// Whether pages that were written can be written back. Where not (an archive in memory), the cache holds the only copy of a changed page and keeps it.
    fn is_writable(&self) -> bool {
        true
    }
}

//! Descriptors: the small numbers by which a program names its open files.
//!
//! Threads that were made with CLONE_FILES share one table. A call takes the open file out by counting a reference, so that a close by another thread does not
//! take it away in the middle; closing happens with the table unlocked, since it may sleep.

mod table;

use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::Errno;
use files::OpenFile;
use files::locks::LockOwner;
use files::socket::unix::socket_was_closed;
use machine::heap::{Grow, try_arc};
use machine::sync::atomic::{AtomicU64, Ordering};
use machine::sync::{Rank, SpinLock};

use table::Table;

static NEXT_OWNER: AtomicU64 = AtomicU64::new(1);

/// A table of descriptors.
pub struct Descriptors {
    table: SpinLock<Table<Arc<OpenFile>>>,
    /// Who holds the record locks that are taken through this table (fcntl(2): they belong to the process).
    owner: LockOwner,
}

impl Descriptors {
    /// No descriptors.
    pub fn new() -> Result<Arc<Self>, Errno> {
        Self::with(Table::new())
    }

    fn with(table: Table<Arc<OpenFile>>) -> Result<Arc<Self>, Errno> {
        let owner = LockOwner::Process(NEXT_OWNER.fetch_add(1, Ordering::Relaxed));
        Ok(try_arc(Self { table: SpinLock::new(Rank::Table, table), owner })?)
    }

    /// A copy that changes by itself: ENOMEM.
    pub fn duplicate(&self) -> Result<Arc<Self>, Errno> {
        // The copy is dropped unlocked, should it be incomplete.
        let copy = self.table.lock().try_clone()?;
        Self::with(copy)
    }

    /// Who holds record locks taken through this table.
    pub fn owner(&self) -> LockOwner {
        self.owner
    }

    /// The open file with number `descriptor`: EBADF.
    #[inline]
    pub fn get(&self, descriptor: i32) -> Result<Arc<OpenFile>, Errno> {
        let number = usize::try_from(descriptor).map_err(|_| Errno::EBADF)?;
        self.table.lock().get(number).cloned().ok_or(Errno::EBADF)
    }

    /// As [`get`](Self::get), but a descriptor that is only a place (O_PATH) is EBADF as well.
    #[inline]
    pub fn get_usable(&self, descriptor: i32) -> Result<Arc<OpenFile>, Errno> {
        let file = self.get(descriptor)?;
        if file.is_path() { Err(Errno::EBADF) } else { Ok(file) }
    }

    /// Gives `file` the lowest free number from `least` on, below `limit`: EMFILE, ENOMEM.
    pub fn insert(
        &self,
        file: Arc<OpenFile>,
        closes_on_exec: bool,
        least: usize,
        limit: usize,
    ) -> Result<i32, Errno> {
        let number = self.reserve(least, limit)?;
        Ok(number.fill(file, closes_on_exec))
    }

    /// Takes a number before the file is opened, so that opening is not undone for want of one.
    pub fn reserve(&self, least: usize, limit: usize) -> Result<ReservedDescriptor<'_>, Errno> {
        let number = self.table.lock().reserve(least, limit)?;
        Ok(ReservedDescriptor { descriptors: self, number, is_filled: false })
    }

    /// Lets `descriptor` name `file`, closing what it named before: EBADF at the limit, EBUSY.
    pub fn replace(
        &self,
        descriptor: usize,
        file: Arc<OpenFile>,
        closes_on_exec: bool,
        limit: usize,
    ) -> Result<(), Errno> {
        if descriptor >= limit {
            return Err(Errno::EBADF);
        }
        let old = self.table.lock().replace(descriptor, file, closes_on_exec)?;
        if let Some(old) = old {
            // dup2(2) does not tell of errors of the close.
            let _ = self.finish_close(old);
        }
        Ok(())
    }

    /// Closes `descriptor`: EBADF, or what the file says.
    pub fn close(&self, descriptor: i32) -> Result<(), Errno> {
        let number = usize::try_from(descriptor).map_err(|_| Errno::EBADF)?;
        let file = self.table.lock().remove(number).ok_or(Errno::EBADF)?;
        self.finish_close(file)
    }

    /// Closes the descriptors in `first..=last`, or those of them that execve(2) closes.
    pub fn close_range(&self, first: usize, last: usize, closing_on_exec_only: bool) {
        let mut from = first;
        loop {
            let next = self.table.lock().remove_next(from, last, closing_on_exec_only);
            let Some((number, file)) = next else { break };
            // Nobody is told of errors here.
            let _ = self.finish_close(file);
            from = number + 1;
        }
    }

    fn finish_close(&self, file: Arc<OpenFile>) -> Result<(), Errno> {
        let is_socket = file.file().as_socket().is_some();
        let outcome = file.closed_by(self.owner);
        drop(file);
        if is_socket {
            socket_was_closed();
        }
        outcome
    }

    /// Marks the descriptors in `first..=last` to be closed by execve(2).
    pub fn mark_range(&self, first: usize, last: usize) {
        let mut table = self.table.lock();
        let mut from = first;
        loop {
            let next = table.numbers(from, last).next();
            let Some(number) = next else { break };
            table.set_closes_on_exec(number, true);
            from = number + 1;
        }
    }

    /// Whether `descriptor` is closed by execve(2): EBADF.
    pub fn closes_on_exec(&self, descriptor: i32) -> Result<bool, Errno> {
        let number = usize::try_from(descriptor).map_err(|_| Errno::EBADF)?;
        self.table.lock().closes_on_exec(number).ok_or(Errno::EBADF)
    }

    /// Sets whether `descriptor` is closed by execve(2): EBADF.
    pub fn set_closes_on_exec(&self, descriptor: i32, closes_on_exec: bool) -> Result<(), Errno> {
        let number = usize::try_from(descriptor).map_err(|_| Errno::EBADF)?;
        if self.table.lock().set_closes_on_exec(number, closes_on_exec) { Ok(()) } else { Err(Errno::EBADF) }
    }

    /// The numbers that are in use, in order: ENOMEM.
    pub fn numbers(&self) -> Result<Vec<usize>, Errno> {
        let mut numbers = Vec::new();
        let count = self.table.lock().count();
        numbers.try_grow_exact(count)?;
        numbers.extend(self.table.lock().numbers(0, usize::MAX).take(count));
        Ok(numbers)
    }
}

impl Drop for Descriptors {
    fn drop(&mut self) {
        // The last thread that used the table has ended.
        self.close_range(0, usize::MAX, false);
    }
}

/// A number that names nothing yet; given back when dropped unfilled.
pub struct ReservedDescriptor<'a> {
    descriptors: &'a Descriptors,
    number: usize,
    is_filled: bool,
}

impl ReservedDescriptor<'_> {
    /// The number.
    pub fn number(&self) -> i32 {
        self.number as i32
    }

    /// Lets it name `file`.
    pub fn fill(mut self, file: Arc<OpenFile>, closes_on_exec: bool) -> i32 {
        self.descriptors.table.lock().fill(self.number, file, closes_on_exec);
        self.is_filled = true;
        self.number as i32
    }
}

impl Drop for ReservedDescriptor<'_> {
    fn drop(&mut self) {
        if !self.is_filled {
            self.descriptors.table.lock().release(self.number);
        }
    }
}

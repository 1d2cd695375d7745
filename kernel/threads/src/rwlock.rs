//! The lock of many readers or one writer, whose waiters sleep.

use core::ops::{Deref, DerefMut};
use core::sync::atomic::{AtomicU32, Ordering::SeqCst};

use machine::sync::{Reader, Shared, Writer};

use crate::wait::{Wait, WaitError, WaitQueue};

/// A lock that many readers share.
///
/// A writer that waits keeps new readers out, so that it does not starve. When a writer gives the lock
/// back, as many readers as wait then may go in although the next writer waits, so that they do not starve
/// either.
pub struct RwLock<T: ?Sized> {
    waiters: Waiters,
    value: Shared<T>,
}

struct Waiters {
    /// Writers that wait.
    writing: AtomicU32,
    /// Readers that wait.
    reading: AtomicU32,
    /// Readers that may go in before a writer that waits.
    admitted: AtomicU32,
    writers: WaitQueue,
    readers: WaitQueue,
}

impl<T> RwLock<T> {
    /// A free lock around `value`.
    pub const fn new(value: T) -> Self {
        Self {
            value: Shared::new(value),
            waiters: Waiters {
                writing: AtomicU32::new(0),
                reading: AtomicU32::new(0),
                admitted: AtomicU32::new(0),
                writers: WaitQueue::new(),
                readers: WaitQueue::new(),
            },
        }
    }

    /// The value, when the lock is no longer needed.
    pub fn into_inner(self) -> T {
        self.value.into_inner()
    }
}

impl<T: ?Sized> RwLock<T> {
    /// Waits to read. May sleep. A thread that reads already must not: a writer that waits would keep it
    /// out for ever.
    #[inline]
    pub fn read(&self) -> ReadGuard<'_, T> {
        match self.try_read() {
            Some(guard) => guard,
            None => match self.wait_to_read(Wait::UNINTERRUPTIBLE) {
                Ok(guard) => guard,
                Err(_) => unreachable!("this wait has no other end"),
            },
        }
    }

    /// Waits to read until the thread is interrupted.
    pub fn read_interruptible(&self) -> Result<ReadGuard<'_, T>, WaitError> {
        self.try_read().map_or_else(|| self.wait_to_read(Wait::INTERRUPTIBLE), Ok)
    }

    /// Reads if no writer writes or waits; never waits itself.
    #[inline]
    pub fn try_read(&self) -> Option<ReadGuard<'_, T>> {
        let may_enter = self.waiters.writing.load(SeqCst) == 0 || self.waiters.admit();
        if may_enter { self.borrow() } else { None }
    }

    #[inline]
    fn borrow(&self) -> Option<ReadGuard<'_, T>> {
        self.value.try_read().map(|value| ReadGuard { value, _left: ReaderLeaves(self) })
    }

    #[cold]
    fn wait_to_read(&self, wait: Wait) -> Result<ReadGuard<'_, T>, WaitError> {
        self.waiters.reading.fetch_add(1, SeqCst);
        let outcome = self.waiters.readers.wait_until(wait, || self.try_read());
        self.waiters.reading.fetch_sub(1, SeqCst);
        outcome
    }

    /// Waits to write. May sleep.
    #[inline]
    pub fn write(&self) -> WriteGuard<'_, T> {
        match self.try_write() {
            Some(guard) => guard,
            None => match self.wait_to_write(Wait::UNINTERRUPTIBLE) {
                Ok(guard) => guard,
                Err(_) => unreachable!("this wait has no other end"),
            },
        }
    }

    /// Waits to write until the thread is interrupted.
    pub fn write_interruptible(&self) -> Result<WriteGuard<'_, T>, WaitError> {
        self.try_write().map_or_else(|| self.wait_to_write(Wait::INTERRUPTIBLE), Ok)
    }

    /// Writes if nobody reads or writes; never waits.
    #[inline]
    pub fn try_write(&self) -> Option<WriteGuard<'_, T>> {
        self.value.try_write().map(|value| WriteGuard { value, _left: WriterLeaves(&self.waiters) })
    }

    #[cold]
    fn wait_to_write(&self, wait: Wait) -> Result<WriteGuard<'_, T>, WaitError> {
        self.waiters.writing.fetch_add(1, SeqCst);
        let outcome = self.waiters.writers.wait_until(wait, || self.try_write());
        if self.waiters.writing.fetch_sub(1, SeqCst) == 1 && outcome.is_err() {
            // Those that were kept out for this writer.
            self.waiters.readers.wake_all();
        }
        outcome
    }

    /// The value without locking: `&mut self` proves that nobody else has it.
    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }
}

impl Waiters {
    /// Uses up the right of one reader to go in before a writer that waits.
    fn admit(&self) -> bool {
        self.admitted.fetch_update(SeqCst, SeqCst, |admitted| admitted.checked_sub(1)).is_ok()
    }

    fn writer_has_left(&self) {
        let reading = self.reading.load(SeqCst);
        if reading != 0 {
            self.admitted.store(reading, SeqCst);
        }
        self.readers.wake_all();
        self.writers.wake_one();
    }
}

impl<T: Default> Default for RwLock<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

/// The right to look at a lock's value; gives the lock back when dropped.
pub struct ReadGuard<'a, T: ?Sized> {
    // Dropped in this order: the borrow has ended when somebody is woken for that.
    value: Reader<'a, T>,
    _left: ReaderLeaves<'a, T>,
}

/// Wakes a writer when it is dropped, if no reader is left.
struct ReaderLeaves<'a, T: ?Sized>(&'a RwLock<T>);

impl<T: ?Sized> Drop for ReaderLeaves<'_, T> {
    #[inline]
    fn drop(&mut self) {
        if !self.0.value.is_borrowed() {
            self.0.waiters.writers.wake_one();
        }
    }
}

impl<T: ?Sized> Deref for ReadGuard<'_, T> {
    type Target = T;
    #[inline]
    fn deref(&self) -> &T {
        &self.value
    }
}

/// The right to use a lock's value; gives the lock back when dropped.
pub struct WriteGuard<'a, T: ?Sized> {
    // Dropped in this order: the borrow has ended when others are woken for that.
    value: Writer<'a, T>,
    _left: WriterLeaves<'a>,
}

/// Lets those in that waited for a writer when it is dropped.
struct WriterLeaves<'a>(&'a Waiters);

impl Drop for WriterLeaves<'_> {
    #[inline]
    fn drop(&mut self) {
        self.0.writer_has_left();
    }
}

impl<T: ?Sized> Deref for WriteGuard<'_, T> {
    type Target = T;
    #[inline]
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: ?Sized> DerefMut for WriteGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

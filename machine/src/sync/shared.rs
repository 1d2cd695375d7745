//! A value whose borrows are counted while the program runs: what sleeping locks are made of.

use core::cell::UnsafeCell;
use core::ops::{Deref, DerefMut};
use core::sync::atomic::{AtomicU32, Ordering};

/// Borrowed by one writer.
const WRITER: u32 = u32::MAX;

/// A value that is borrowed by one writer or by many readers. Nothing here waits: a borrow that cannot be
/// had is refused.
pub struct Shared<T: ?Sized> {
    /// Readers, or [`WRITER`].
    borrows: AtomicU32,
    value: UnsafeCell<T>,
}

// SAFETY: the value is borrowed like in a lock: by one `&mut` at a time (T: Send), or by many `&` (T:
// Sync).
unsafe impl<T: ?Sized + Send + Sync> Sync for Shared<T> {}
// SAFETY: the cell owns its value.
unsafe impl<T: ?Sized + Send> Send for Shared<T> {}

impl<T> Shared<T> {
    /// A value that nobody borrows.
    pub const fn new(value: T) -> Self {
        Self { borrows: AtomicU32::new(0), value: UnsafeCell::new(value) }
    }

    /// The value.
    pub fn into_inner(self) -> T {
        self.value.into_inner()
    }
}

impl<T: ?Sized> Shared<T> {
    /// Borrows the value to change it, if nobody else borrows it.
    #[inline]
    pub fn try_write(&self) -> Option<Writer<'_, T>> {
        let is_free = self.borrows.compare_exchange(0, WRITER, Ordering::Acquire, Ordering::Relaxed).is_ok();
        is_free.then(|| Writer { of: self })
    }

    /// Borrows the value to look at it, if nobody borrows it to change it.
    #[inline]
    pub fn try_read(&self) -> Option<Reader<'_, T>> {
        let more = |borrows: u32| (borrows < WRITER - 1).then(|| borrows + 1);
        self.borrows
            .fetch_update(Ordering::Acquire, Ordering::Relaxed, more)
            .ok()
            .map(|_| Reader { of: self })
    }

    /// Whether somebody borrows the value. Stale at once.
    #[inline]
    pub fn is_borrowed(&self) -> bool {
        self.borrows.load(Ordering::Relaxed) != 0
    }

    /// The value: `&mut self` proves that nobody borrows it.
    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }
}

/// A borrow to change; ends when dropped.
pub struct Writer<'a, T: ?Sized> {
    of: &'a Shared<T>,
}

impl<T: ?Sized> Deref for Writer<'_, T> {
    type Target = T;
    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: while the count is WRITER this is the only borrow.
        unsafe { &*self.of.value.get() }
    }
}

impl<T: ?Sized> DerefMut for Writer<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: while the count is WRITER this is the only borrow, and it is borrowed uniquely itself.
        unsafe { &mut *self.of.value.get() }
    }
}

impl<T: ?Sized> Drop for Writer<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.of.borrows.store(0, Ordering::Release);
    }
}

/// A borrow to look at; ends when dropped.
pub struct Reader<'a, T: ?Sized> {
    of: &'a Shared<T>,
}

impl<T: ?Sized> Deref for Reader<'_, T> {
    type Target = T;
    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: while the count is neither 0 nor WRITER there are only readers.
        unsafe { &*self.of.value.get() }
    }
}

impl<T: ?Sized> Drop for Reader<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.of.borrows.fetch_sub(1, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_writer_excludes_everyone_and_readers_exclude_writers() {
        let value = Shared::new(1);
        let mut writer = value.try_write().expect("free");
        *writer += 1;
        assert!(value.try_write().is_none() && value.try_read().is_none());
        drop(writer);
        let one = value.try_read().expect("free");
        let two = value.try_read().expect("readers share");
        assert!(value.try_write().is_none());
        assert_eq!(*one + *two, 4);
        drop((one, two));
        assert!(value.try_write().is_some());
    }
}

//! The lock whose waiters sleep.

use core::ops::{Deref, DerefMut};

use machine::sync::{Shared, Writer};

use crate::wait::{Wait, WaitError, WaitQueue};

/// A lock around a value, for work that may sleep while the lock is held.
///
/// The lock is not handed over: whoever comes first after it is given back has it. Waiters are woken in the
/// order in which they came, so a thread waits for as many turns as there were waiters before it, and for
/// those that found the lock free in between.
pub struct Mutex<T: ?Sized> {
    waiters: WaitQueue,
    value: Shared<T>,
}

impl<T> Mutex<T> {
    /// A free lock around `value`.
    pub const fn new(value: T) -> Self {
        Self { waiters: WaitQueue::new(), value: Shared::new(value) }
    }

    /// The value, when the lock is no longer needed.
    pub fn into_inner(self) -> T {
        self.value.into_inner()
    }
}

impl<T: ?Sized> Mutex<T> {
    /// Waits for the lock. May sleep.
    #[inline]
    pub fn lock(&self) -> MutexGuard<'_, T> {
        match self.value.try_write() {
            Some(value) => MutexGuard { value, _wake: WakeNext(&self.waiters) },
            None => match self.wait(Wait::UNINTERRUPTIBLE) {
                Ok(guard) => guard,
                Err(_) => unreachable!("this wait has no other end"),
            },
        }
    }

    /// Waits for the lock until the thread is interrupted.
    pub fn lock_interruptible(&self) -> Result<MutexGuard<'_, T>, WaitError> {
        self.try_lock().map_or_else(|| self.wait(Wait::INTERRUPTIBLE), Ok)
    }

    /// Takes the lock if it is free; never waits.
    #[inline]
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        self.value.try_write().map(|value| MutexGuard { value, _wake: WakeNext(&self.waiters) })
    }

    #[cold]
    fn wait(&self, wait: Wait) -> Result<MutexGuard<'_, T>, WaitError> {
        self.waiters.wait_until(wait, || self.try_lock())
    }

    /// Whether somebody has the lock. Stale at once.
    pub fn is_locked(&self) -> bool {
        self.value.is_borrowed()
    }

    /// The value without locking: `&mut self` proves that nobody else has it.
    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }
}

impl<T: Default> Default for Mutex<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

/// The right to use a lock's value; gives the lock back when dropped.
pub struct MutexGuard<'a, T: ?Sized> {
    // Dropped in this order: the lock is free when the next one is woken.
    value: Writer<'a, T>,
    _wake: WakeNext<'a>,
}

/// Wakes the thread that has waited longest when it is dropped.
struct WakeNext<'a>(&'a WaitQueue);

impl Drop for WakeNext<'_> {
    #[inline]
    fn drop(&mut self) {
        self.0.wake_one();
    }
}

impl<T: ?Sized> Deref for MutexGuard<'_, T> {
    type Target = T;
    #[inline]
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: ?Sized> DerefMut for MutexGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

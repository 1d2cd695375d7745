//! A value that is set once and read for ever after.

use core::cell::UnsafeCell;
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicU8, Ordering};

const EMPTY: u8 = 0;
const BUSY: u8 = 1;
const READY: u8 = 2;

/// A cell that is empty until the first [`set`](Once::set), and never changes again.
pub struct Once<T> {
    state: AtomicU8,
    value: UnsafeCell<MaybeUninit<T>>,
}

// SAFETY: the value is written by the one caller that moved the state from EMPTY to BUSY, before READY is
// published with Release; every reader has seen READY with Acquire and only gets `&T`. So sharing the cell
// shares `&T` (T: Sync) and moves one `T` in from whichever thread sets it (T: Send).
unsafe impl<T: Send + Sync> Sync for Once<T> {}
// SAFETY: the cell owns its value; sending it sends the value.
unsafe impl<T: Send> Send for Once<T> {}

impl<T> Once<T> {
    /// An empty cell.
    pub const fn new() -> Self {
        Self { state: AtomicU8::new(EMPTY), value: UnsafeCell::new(MaybeUninit::uninit()) }
    }

    /// Puts `value` in; gives it back if the cell has (or is just being given) another one. Never waits.
    pub fn set(&self, value: T) -> Result<(), T> {
        if self.state.compare_exchange(EMPTY, BUSY, Ordering::Acquire, Ordering::Relaxed).is_err() {
            return Err(value);
        }
        // SAFETY: only the caller that changed EMPTY to BUSY gets here, and no reader looks before READY.
        unsafe { (*self.value.get()).write(value) };
        self.state.store(READY, Ordering::Release);
        Ok(())
    }

    /// The value, if it has been set.
    #[inline]
    pub fn get(&self) -> Option<&T> {
        if self.state.load(Ordering::Acquire) == READY {
            // SAFETY: READY is stored after the value was written, and the value never changes afterwards.
            Some(unsafe { (*self.value.get()).assume_init_ref() })
        } else {
            None
        }
    }
}

impl<T> Default for Once<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Drop for Once<T> {
    fn drop(&mut self) {
        if *self.state.get_mut() == READY {
            // SAFETY: READY says that the value was written; `&mut self` says that nobody else looks.
            unsafe { self.value.get_mut().assume_init_drop() };
        }
    }
}

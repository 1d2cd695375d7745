//! The spin lock, and the two states it can hold off.

use core::cell::UnsafeCell;
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};
use core::sync::atomic::{AtomicBool, Ordering};

use super::Rank;
use crate::arch;

/// What a lock keeps out of its processor while it is held. Sealed: [`Task`] and [`Irq`] are all there are.
pub trait State: sealed::Sealed {
    #[doc(hidden)]
    const HOLDS_OFF_INTERRUPTS: bool;
    #[doc(hidden)]
    fn enter();
    #[doc(hidden)]
    fn leave();
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Task {}
    impl Sealed for super::Irq {}
}

/// Holds off preemption: for data that only threads touch.
pub struct Task;
/// Holds off interrupts and preemption: for data that an interrupt handler touches too.
pub struct Irq;

impl State for Task {
    const HOLDS_OFF_INTERRUPTS: bool = false;
    #[inline]
    fn enter() {
        arch::preempt_disable();
    }
    #[inline]
    fn leave() {
        arch::preempt_enable();
    }
}

impl State for Irq {
    const HOLDS_OFF_INTERRUPTS: bool = true;
    #[inline]
    fn enter() {
        arch::interrupts_push_off();
    }
    #[inline]
    fn leave() {
        arch::interrupts_pop_off();
    }
}

/// A lock whose waiters spin. Hold it for a few instructions, and never park while holding it (that is
/// caught).
pub struct SpinLock<T: ?Sized, S: State = Task> {
    rank: Rank,
    held: AtomicBool,
    state: PhantomData<fn() -> S>,
    value: UnsafeCell<T>,
}

// SAFETY: the lock gives out at most one guard at a time (`held`), so the value is only ever used by one
// thread at a time; that needs T: Send and nothing more.
unsafe impl<T: ?Sized + Send, S: State> Sync for SpinLock<T, S> {}
// SAFETY: the lock owns its value.
unsafe impl<T: ?Sized + Send, S: State> Send for SpinLock<T, S> {}

impl<T, S: State> SpinLock<T, S> {
    /// A free lock around `value`.
    ///
    /// # Panics
    /// When an interrupt handler may take locks of this rank and the lock does not hold off interrupts: the handler
    /// would break the order of ranks on the processor that it interrupts. For a static that is a compile error.
    pub const fn new(rank: Rank, value: T) -> Self {
        assert!(
            S::HOLDS_OFF_INTERRUPTS || !rank.is_for_interrupts(),
            "a lock of this rank holds off interrupts, since their handlers take such locks"
        );
        Self { rank, held: AtomicBool::new(false), state: PhantomData, value: UnsafeCell::new(value) }
    }

    /// The value, when the lock is no longer needed.
    pub fn into_inner(self) -> T {
        self.value.into_inner()
    }
}

impl<T: ?Sized, S: State> SpinLock<T, S> {
    /// Waits for the lock. Must not be called with a lock of the same or a higher rank held.
    #[inline]
    #[track_caller]
    pub fn lock(&self) -> SpinGuard<'_, T, S> {
        self.acquire(false)
    }

    /// As [`lock`](Self::lock), with a lock of the same rank held. The caller takes such pairs in order of
    /// address.
    #[inline]
    #[track_caller]
    pub fn lock_nested(&self) -> SpinGuard<'_, T, S> {
        self.acquire(true)
    }

    #[inline]
    #[track_caller]
    fn acquire(&self, is_nested: bool) -> SpinGuard<'_, T, S> {
        S::enter();
        arch::rank_enter(self.rank as u8, is_nested);
        self.spin();
        SpinGuard { lock: self, not_send: PhantomData }
    }

    #[inline]
    fn spin(&self) {
        while self.held.compare_exchange_weak(false, true, Ordering::Acquire, Ordering::Relaxed).is_err() {
            while self.held.load(Ordering::Relaxed) {
                arch::spin_wait();
            }
        }
    }

    /// Takes the lock if it is free; never waits, so the rank does not matter.
    #[inline]
    pub fn try_lock(&self) -> Option<SpinGuard<'_, T, S>> {
        S::enter();
        if self.held.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).is_err() {
            S::leave();
            return None;
        }
        arch::rank_enter_unordered(self.rank as u8);
        Some(SpinGuard { lock: self, not_send: PhantomData })
    }

    /// The value without locking: `&mut self` proves that nobody else has it.
    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }
}

/// The right to use a lock's value; gives the lock back when dropped.
pub struct SpinGuard<'a, T: ?Sized, S: State = Task> {
    lock: &'a SpinLock<T, S>,
    /// The states are counted on the processor that entered them, so a guard must not move to another thread.
    not_send: PhantomData<*mut ()>,
}

// SAFETY: a shared guard gives only `&T`.
unsafe impl<T: ?Sized + Sync, S: State> Sync for SpinGuard<'_, T, S> {}

impl<T: ?Sized, S: State> Deref for SpinGuard<'_, T, S> {
    type Target = T;
    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: this guard is the only one while `held` is set.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T: ?Sized, S: State> DerefMut for SpinGuard<'_, T, S> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: this guard is the only one while `held` is set, and it is borrowed uniquely.
        unsafe { &mut *self.lock.value.get() }
    }
}

impl<T: ?Sized, S: State> Drop for SpinGuard<'_, T, S> {
    #[inline]
    fn drop(&mut self) {
        arch::rank_leave(self.lock.rank as u8);
        self.lock.held.store(false, Ordering::Release);
        S::leave();
    }
}

impl<T: ?Sized> SpinLock<T, Irq> {
    /// As [`lock`](Self::lock), by a caller that holds off interrupts already: the state need not be entered once more.
    #[inline]
    #[track_caller]
    pub fn lock_held<'a>(&'a self, _guard: &'a IrqGuard) -> HeldGuard<'a, T> {
        arch::rank_enter(self.rank as u8, false);
        self.spin();
        HeldGuard { lock: self, irq: PhantomData }
    }
}

/// The right to use a lock's value while an [`IrqGuard`] lives; gives the lock back when dropped.
pub struct HeldGuard<'a, T: ?Sized> {
    lock: &'a SpinLock<T, Irq>,
    /// Keeps interrupts off; not `Send`, so this is not either.
    irq: PhantomData<&'a IrqGuard>,
}

impl<T: ?Sized> Deref for HeldGuard<'_, T> {
    type Target = T;
    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: this guard is the only one while `held` is set.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T: ?Sized> DerefMut for HeldGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: this guard is the only one while `held` is set, and it is borrowed uniquely.
        unsafe { &mut *self.lock.value.get() }
    }
}

impl<T: ?Sized> Drop for HeldGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        arch::rank_leave(self.lock.rank as u8);
        self.lock.held.store(false, Ordering::Release);
    }
}

/// Holds off preemption of this processor until it is dropped.
pub struct PreemptGuard(PhantomData<*mut ()>);

/// Holds off preemption: the caller stays on this processor, and no other thread runs here.
#[inline]
pub fn disable_preemption() -> PreemptGuard {
    Task::enter();
    PreemptGuard(PhantomData)
}

impl Drop for PreemptGuard {
    #[inline]
    fn drop(&mut self) {
        Task::leave();
    }
}

/// Holds off interrupts of this processor until it is dropped.
pub struct IrqGuard(PhantomData<*mut ()>);

/// Holds off interrupts and preemption of this processor.
#[inline]
pub fn disable_interrupts() -> IrqGuard {
    Irq::enter();
    IrqGuard(PhantomData)
}

impl Drop for IrqGuard {
    #[inline]
    fn drop(&mut self) {
        Irq::leave();
    }
}

/// Whether this processor may not park now: a spin lock or a guard is held, or an interrupt is being handled.
#[inline]
pub fn is_atomic() -> bool {
    arch::is_atomic()
}

//! Kernel stacks and the switch between them.
//!
//! The scheduler above has one thread type, which embeds a [`Task`] and says so with [`Schedulable`]. The
//! machine keeps, for each processor, the reference to the thread that runs there; that reference and the
//! stack live until the processor has left the stack for good.

use alloc::sync::Arc;
use core::any::TypeId;
use core::marker::PhantomData;
use core::ops::Deref;
use core::sync::atomic::{AtomicBool, Ordering};

use crate::arch;
use crate::frame::OutOfMemory;
use crate::paging::Space;
use crate::sync::{IrqGuard, Once, disable_preemption};

/// A kernel stack with the registers saved on it while it does not run.
pub struct Task {
    pub(crate) arch: arch::Task,
}

/// The scheduler's thread type. There is one in the whole system; [`switch_to`] and [`current`] panic for a
/// second.
pub trait Schedulable: Send + Sync + 'static {
    /// The stack embedded in this thread.
    fn task(&self) -> &Task;
}

static THREAD_TYPE: Once<TypeId> = Once::new();

fn check_thread_type<T: Schedulable>() {
    let wanted = TypeId::of::<T>();
    match THREAD_TYPE.get() {
        Some(known) => assert!(*known == wanted, "a second thread type"),
        None => {
            // Two processors that set it at once set the same type, or the loser panics here at its next
            // call.
            let _ = THREAD_TYPE.set(wanted);
        }
    }
}

impl Task {
    /// A new stack that, when it is first switched to, calls `entry` with interrupts enabled. `entry` must
    /// end by switching away for ever; returning from it is a kernel bug and panics. The thread runs in
    /// `space`; a kernel thread has none and keeps whatever is loaded.
    pub fn new(entry: fn(), space: Option<Arc<Space>>) -> Result<Self, OutOfMemory> {
        Ok(Self { arch: arch::Task::new(entry, space)? })
    }

    /// Whether a processor runs on this stack, or has not quite left it. Once a thread has been given up by
    /// the one that ran it, this turns false and stays so until somebody switches to it.
    #[inline]
    pub fn is_on_processor(&self) -> bool {
        self.arch.is_on_processor()
    }
}

/// Makes the calling flow of control, which has a stack from boot, into the thread `make` returns. Called
/// once on each processor.
pub fn adopt<T: Schedulable>(make: impl FnOnce(Task) -> Arc<T>) {
    check_thread_type::<T>();
    let thread = make(Task { arch: arch::Task::for_boot_stack() });
    arch::adopt(thread);
}

/// The thread that runs on this processor.
///
/// It cannot leave this thread's own stack (`!Send`, `!Sync`), and the machine keeps the thread alive for as
/// long as that stack runs, so no count is touched.
pub struct Current<T: Schedulable> {
    thread: *const T,
    not_send: PhantomData<*mut ()>,
}

impl<T: Schedulable> Clone for Current<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T: Schedulable> Copy for Current<T> {}

impl<T: Schedulable> Deref for Current<T> {
    type Target = T;
    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: see the type: the processor (or, while switched out, the scheduler through `switch_to`'s
        // contract that only an `Arc` can be switched to) owns a reference for as long as code can run on
        // this stack.
        unsafe { &*self.thread }
    }
}

impl<T: Schedulable> Current<T> {
    /// A counted reference to the current thread.
    pub fn to_arc(self) -> Arc<T> {
        // SAFETY: the pointer came from `Arc::into_raw` in `adopt` or `switch_to`, and that reference is
        // alive (see `deref`).
        unsafe {
            Arc::increment_strong_count(self.thread);
            Arc::from_raw(self.thread)
        }
    }
}

/// Moves the current thread to another address space (`execve`), or out of all of them (`exit`), at once. The
/// old space is not loaded on this processor any more when this returns.
pub fn set_space(space: Option<Arc<Space>>) {
    arch::set_space(space);
}

/// Sets what is called, with interrupts enabled and nothing held, when a reschedule was requested and the
/// last lock of a processor is released, or an interrupt returns to kernel code that holds none. Called once,
/// at boot.
pub fn set_reschedule_hook(hook: fn()) {
    arch::set_reschedule_hook(hook);
}

/// Sets what is called, inside the timer interrupt with interrupts held off, when the deadline of a processor
/// may have come. Called once, at boot.
pub fn set_deadline_hook(hook: fn()) {
    arch::set_deadline_hook(hook);
}

/// The thread that runs here; `None` before [`adopt`].
#[inline]
pub fn try_current<T: Schedulable>() -> Option<Current<T>> {
    if THREAD_TYPE.get() != Some(&TypeId::of::<T>()) {
        return None;
    }
    let thread = arch::current_thread().cast::<T>();
    (!thread.is_null()).then_some(Current { thread, not_send: PhantomData })
}

/// The thread that runs here.
///
/// # Panics
/// Before [`adopt`] has been called on this processor.
#[inline]
#[track_caller]
pub fn current<T: Schedulable>() -> Current<T> {
    match try_current() {
        Some(current) => current,
        None => panic!("no current thread"),
    }
}

/// Runs `next` on this processor. Returns when some processor switches back to the calling thread, which may
/// be another one.
///
/// The caller gives the guard under which it chose, so that nothing comes between the choice and the switch;
/// it holds no other guard and no lock. The guard ends when this returns, on the processor on which it
/// returns: every switch is made, and every new thread begins, with just that one held. If `next` is still
/// being switched away from by another processor, this waits for the few instructions that takes; two
/// processors that wait so for each other's thread wait for ever, so a scheduler switches only to a thread
/// that [has left its processor](Task::is_on_processor) or was on this one. The reference to the thread that
/// was left is dropped on the new stack, so a thread that nobody refers to any more is freed there. Switching
/// to the current thread returns at once.
///
/// # Panics
/// When another guard or a spin lock is held, or `next` runs on another processor (a kernel bug: a thread was
/// in two run queues).
pub fn switch_to<T: Schedulable>(next: Arc<T>, guard: IrqGuard) {
    check_thread_type::<T>();
    let left = arch::switch_to(next);
    drop_left(left, || drop(guard));
}

/// Drops what a switch has left behind, before anything else can run here: a thread that has ended must not linger
/// until whoever ran before it runs again.
pub(crate) fn drop_left<L>(left: L, end_guard: impl FnOnce()) {
    let preemption = disable_preemption();
    end_guard();
    drop(left);
    drop(preemption);
}

/// Calls the scheduler for the flow of control whose `is_choosing` this is, until no further choice `is_due`.
///
/// A choice can be asked for while one is being made: what the scheduler does last, with the new thread already
/// chosen, may wake others. That must not begin a choice inside the one that is ending, or a thread that is asked
/// each time it goes on would fill its stack. So one choice is made at a time on each stack, and the outer call makes
/// the next. A flow of control that has no task yet (`None`) has no scheduler to speak of either.
pub(crate) fn choose(is_choosing: Option<&AtomicBool>, scheduler: fn(), is_due: impl Fn() -> bool) {
    let Some(is_choosing) = is_choosing else { return scheduler() };
    while !is_choosing.swap(true, Ordering::Relaxed) {
        scheduler();
        // What is asked for before this is seen below; what is asked for after it finds nobody choosing.
        is_choosing.store(false, Ordering::Relaxed);
        if !is_due() {
            return;
        }
    }
}

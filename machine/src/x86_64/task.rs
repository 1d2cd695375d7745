//! Switching between kernel stacks.

use alloc::sync::Arc;
use core::arch::global_asm;
use core::cell::UnsafeCell;
use core::mem::offset_of;
use core::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

use super::local::{Local, current_pointer, current_task, local, note_quiescent};
use super::memory::KernelStack;
use super::{context, instructions};
use crate::frame::OutOfMemory;
use crate::paging::Space;
use crate::sync::Once;
use crate::task::Schedulable;

global_asm!(
    ".globl switch_stacks, first_run",
    // void switch_stacks(usize *save rdi, usize to rsi)
    "switch_stacks:",
    "push rbx", "push rbp", "push r12", "push r13", "push r14", "push r15",
    "mov [rdi], rsp",
    "mov rsp, rsi",
    "pop r15", "pop r14", "pop r13", "pop r12", "pop rbp", "pop rbx",
    "ret",
    // A new stack's first return address.
    "first_run:",
    "xor ebp, ebp",
    "call {first}",
    "ud2",
    first = sym first,
);

unsafe extern "C" {
    fn switch_stacks(save: *mut usize, to: usize);
    fn first_run();
}

/// Words that `switch_stacks` pops, and the address it returns to.
const SAVED_WORDS: usize = 7;

/// A kernel stack and what is saved on it.
///
/// `is_running` is the lock of `stack_pointer` and `space`: whoever sets it (the processor that switches to
/// the task) may use them until it has switched away.
pub struct Task {
    /// Kept for as long as the task may run; none for a boot stack, which is never given back.
    _stack: Option<KernelStack>,
    is_running: AtomicBool,
    /// See [`crate::task::choose`].
    is_choosing: AtomicBool,
    stack_pointer: UnsafeCell<usize>,
    space: UnsafeCell<Option<Arc<Space>>>,
    entry: fn(),
}

// SAFETY: the cells are only used by the processor that has set `is_running` (see the type).
unsafe impl Sync for Task {}
// SAFETY: a task is plain data and a stack that is not running.
unsafe impl Send for Task {}

/// What the flow of control that was switched to has to finish.
pub struct Switch {
    /// The task that runs here; null before [`adopt`]. For the parts of the machine that do not know the thread's
    /// type.
    current: AtomicPtr<Task>,
    /// The task that was left.
    previous: AtomicPtr<Task>,
    /// Its thread, as made by `Arc::into_raw`, and how to drop that.
    thread: AtomicPtr<()>,
    drop_thread: AtomicPtr<()>,
    /// A space that was unloaded.
    space: AtomicPtr<Space>,
}

impl Switch {
    /// Where the task that runs here is found.
    pub const CURRENT: usize = offset_of!(Self, current);

    pub const fn new() -> Self {
        Self {
            current: AtomicPtr::new(core::ptr::null_mut()),
            previous: AtomicPtr::new(core::ptr::null_mut()),
            thread: AtomicPtr::new(core::ptr::null_mut()),
            drop_thread: AtomicPtr::new(core::ptr::null_mut()),
            space: AtomicPtr::new(core::ptr::null_mut()),
        }
    }
}

static RESCHEDULE: Once<fn()> = Once::new();
static DEADLINE: Once<fn()> = Once::new();

pub fn set_reschedule_hook(hook: fn()) {
    // The first one stays.
    let _ = RESCHEDULE.set(hook);
}

pub fn set_deadline_hook(hook: fn()) {
    // The first one stays.
    let _ = DEADLINE.set(hook);
}

/// Whether there is somebody to take up requests to reschedule.
pub fn has_scheduler() -> bool {
    RESCHEDULE.get().is_some()
}

/// Without a scheduler the request stays, for `idle` to see.
pub fn call_reschedule_hook() {
    let Some(&hook) = RESCHEDULE.get() else { return };
    // SAFETY: the task is the one on whose stack this runs, and a thread is kept alive for as long as its stack runs.
    // It is null on a stack from boot that was not adopted yet.
    let task = unsafe { current_task().as_ref() };
    crate::task::choose(task.map(|task| &task.is_choosing), hook, super::local::is_reschedule_due);
}

pub fn call_deadline_hook() {
    if let Some(hook) = DEADLINE.get() {
        hook();
    }
}

impl Task {
    pub fn new(entry: fn(), space: Option<Arc<Space>>) -> Result<Self, OutOfMemory> {
        let stack = KernelStack::new()?;
        let top = stack.top() as *mut usize;
        // After the return into `first_run` the stack pointer must be a multiple of 16, as at any place
        // before a call.
        let stack_pointer = top.wrapping_sub(SAVED_WORDS + 2);
        for word in 0..SAVED_WORDS - 1 {
            // SAFETY: the words lie in the new stack, below its top, and nobody else uses it.
            unsafe { stack_pointer.add(word).write(0) };
        }
        // SAFETY: as above.
        unsafe { stack_pointer.add(SAVED_WORDS - 1).write(first_run as *const () as usize) };
        Ok(Self {
            _stack: Some(stack),
            is_running: AtomicBool::new(false),
            is_choosing: AtomicBool::new(false),
            stack_pointer: UnsafeCell::new(stack_pointer as usize),
            space: UnsafeCell::new(space),
            entry,
        })
    }

    /// For the flow of control that boot began; it runs already.
    pub fn for_boot_stack() -> Self {
        Self {
            _stack: None,
            is_running: AtomicBool::new(true),
            is_choosing: AtomicBool::new(false),
            stack_pointer: UnsafeCell::new(0),
            space: UnsafeCell::new(None),
            entry: || {},
        }
    }

    pub fn is_on_processor(&self) -> bool {
        self.is_running.load(Ordering::Acquire)
    }
}

/// Makes the calling flow of control into `thread`.
pub fn adopt<T: Schedulable>(thread: Arc<T>) {
    let local = local();
    assert!(local.current.load(Ordering::Relaxed).is_null(), "a processor's boot stack was adopted twice");
    local.switch.current.store(core::ptr::from_ref(&thread.task().arch).cast_mut(), Ordering::Relaxed);
    local.current.store(Arc::into_raw(thread).cast_mut().cast(), Ordering::Release);
    local.switch.previous.store(core::ptr::null_mut(), Ordering::Relaxed);
}

#[inline]
pub fn current_thread() -> *const () {
    current_pointer()
}

fn drop_thread<T>(thread: *const ()) {
    // SAFETY: `thread` was made by `Arc::into_raw` of an `Arc<T>`; `switch_to` stored this function with it,
    // and it is taken out once.
    drop(unsafe { Arc::from_raw(thread.cast::<T>()) });
}

/// Called with just one guard held, which keeps interrupts off; so this side and the one that is switched to
/// agree on what is counted. What the caller gets is to be dropped when it has ended that guard.
pub fn switch_to<T: Schedulable>(next: Arc<T>) -> Option<Left> {
    let here = local();
    assert!(
        here.holds_one_interrupt_guard(),
        "a thread parks with a lock or another guard held, or in an interrupt"
    );
    let previous_thread = here.current.load(Ordering::Relaxed).cast::<T>().cast_const();
    assert!(!previous_thread.is_null(), "a switch before a thread was adopted");
    if core::ptr::eq(previous_thread, Arc::as_ptr(&next)) {
        return None;
    }
    let next = Arc::into_raw(next);
    // SAFETY: the processor owns a reference to each of the two threads (`current`, and the one just given),
    // so both are alive.
    let (previous_task, next_task) = unsafe { (&(*previous_thread).task().arch, &(*next).task().arch) };
    while next_task.is_running.swap(true, Ordering::Acquire) {
        // Another processor is in the middle of leaving it.
        super::spin_wait();
    }
    context::save_live();
    note_quiescent();
    // What the guard restores belongs to this flow of control, not to the processor.
    let were_on = here.were_interrupts_on();
    // SAFETY: `is_running` of the next task is ours, so its cells are.
    let (space, to) = unsafe { (&*next_task.space.get(), *next_task.stack_pointer.get()) };
    if let Some(space) = space {
        load_space(here, space);
    }
    here.current.store(next.cast_mut().cast(), Ordering::Relaxed);
    here.switch.current.store(core::ptr::from_ref(next_task).cast_mut(), Ordering::Relaxed);
    here.switch.previous.store(core::ptr::from_ref(previous_task).cast_mut(), Ordering::Relaxed);
    here.switch.thread.store(previous_thread.cast_mut().cast(), Ordering::Relaxed);
    here.switch.drop_thread.store(drop_thread::<T> as *mut (), Ordering::Relaxed);
    // SAFETY: `to` was saved by an earlier switch away from the next task or made by `Task::new`; its stack
    // belongs to a thread that is alive. This stack's pointer goes to the previous task, whose `is_running`
    // is still set.
    unsafe { switch_stacks(previous_task.stack_pointer.get(), to) };
    local().set_were_interrupts_on(were_on);
    Some(finish())
}

fn restore(flags: u64) {
    if flags & instructions::FLAG_INTERRUPT != 0 {
        instructions::enable_interrupts();
    }
}

/// The thread and the space that a processor has left; dropping it gives the references up.
pub struct Left {
    thread: *const (),
    drop_thread: *mut (),
    space: *const Space,
}

impl Drop for Left {
    fn drop(&mut self) {
        // SAFETY: `finish` took the pointers out of where `switch_to` had put them, each made by
        // `Arc::into_raw`; `drop_thread` was stored as a function of that type, for that thread.
        unsafe {
            core::mem::transmute::<*mut (), fn(*const ())>(self.drop_thread)(self.thread);
            if !self.space.is_null() {
                drop(Arc::from_raw(self.space));
            }
        }
    }
}

/// The other half of a switch, on the stack that was switched to: lets go of the stack that was left.
/// Interrupts are off.
fn finish() -> Left {
    let here = local();
    let previous = here.switch.previous.swap(core::ptr::null_mut(), Ordering::Relaxed);
    let thread = here.switch.thread.load(Ordering::Relaxed).cast_const();
    let drop_thread = here.switch.drop_thread.load(Ordering::Relaxed);
    let space = here.switch.space.swap(core::ptr::null_mut(), Ordering::Relaxed).cast_const();
    // SAFETY: `switch_to` stored it on this processor, with interrupts off since; the previous task is part
    // of the thread, of which a reference is held until `Left` is dropped.
    unsafe { (*previous).is_running.store(false, Ordering::Release) };
    Left { thread, drop_thread, space }
}

/// Where a new stack begins.
extern "C" fn first() -> ! {
    let task = current_task();
    // SAFETY: `switch_to` stored the task of the thread that it switched to, which is this one; interrupts
    // have been off since.
    let entry = unsafe { (*task).entry };
    local().set_were_interrupts_on(true);
    let left = finish();
    // The guard of the switch, which nobody else ends here.
    crate::task::drop_left(left, super::interrupts_pop_off);
    entry();
    panic!("a thread's entry returned");
}

/// Loads `space` unless it is loaded. Interrupts are off.
fn load_space(here: &Local, space: &Arc<Space>) {
    let loaded = here.space.load(Ordering::Relaxed);
    if core::ptr::eq(loaded, Arc::as_ptr(space)) {
        return;
    }
    let cpu = here.index as usize;
    space.loaded.insert(cpu);
    // SAFETY: the root belongs to a space of which this processor takes a reference; every space maps the
    // kernel.
    unsafe { instructions::write_cr3(space.root().0) };
    here.space.store(Arc::into_raw(Arc::clone(space)).cast_mut(), Ordering::Relaxed);
    if !loaded.is_null() {
        // SAFETY: `loaded` was made by `Arc::into_raw` here, and its reference is handed to `finish`.
        unsafe { (*loaded).loaded.remove(cpu) };
        here.switch.space.store(loaded, Ordering::Relaxed);
    }
}

/// Leaves whatever space is loaded; the caller keeps a reference to it. Interrupts are off.
pub fn unload_space(here: &Local) {
    let loaded = here.space.swap(core::ptr::null_mut(), Ordering::Relaxed);
    super::tlb::load_kernel_tables();
    if !loaded.is_null() {
        // SAFETY: `loaded` was made by `Arc::into_raw` in `load_space`. Whoever asked for this holds a
        // reference, so this is not the last one.
        unsafe {
            (*loaded).loaded.remove(here.index as usize);
            drop(Arc::from_raw(loaded.cast_const()));
        }
    }
}

/// Whether the current thread of this processor lives in `space`.
pub fn is_current_space(space: *const Space) -> bool {
    let task = current_task();
    if task.is_null() {
        return false;
    }
    // SAFETY: the task of the thread that runs here is alive, and its cells belong to this processor, which
    // is not switching now.
    let own = unsafe { &*(*task).space.get() };
    own.as_ref().is_some_and(|own| core::ptr::eq(Arc::as_ptr(own), space))
}

pub fn set_space(space: Option<Arc<Space>>) {
    let flags = instructions::flags();
    instructions::disable_interrupts();
    let here = local();
    let task = current_task();
    assert!(!task.is_null(), "only a thread that was switched to can move to another space");
    // SAFETY: the task is that of the current thread, which runs here; interrupts are off, so nobody else on
    // this processor looks.
    let old = unsafe { core::mem::replace(&mut *(*task).space.get(), space.clone()) };
    match &space {
        Some(space) => load_space(here, space),
        None => {
            // `old` keeps the space alive, and its last reference is not dropped with interrupts off.
            unload_space(here);
        }
    }
    let unloaded = here.switch.space.swap(core::ptr::null_mut(), Ordering::Relaxed);
    restore(flags);
    if !unloaded.is_null() {
        // SAFETY: `load_space` stored a pointer from `Arc::into_raw`.
        drop(unsafe { Arc::from_raw(unloaded.cast_const()) });
    }
    drop(old);
}

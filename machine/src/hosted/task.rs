//! Threads on stacks of their own, and the switch between them.

use std::boxed::Box;
use std::cell::UnsafeCell;
use std::ptr::from_ref;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock};

use super::processor::{here, lock};
use super::stack::{self, Stack};
use super::world;
use crate::frame::{OutOfMemory, Owner, alloc_block, free_block};
use crate::paging::Space;
use crate::task::Schedulable;

/// A kernel stack has `1 << STACK_ORDER` frames (16 KiB) on the real machine; here they are only counted.
const STACK_ORDER: usize = 2;

/// The frames that the stack would be in.
struct StackFrames(usize);

impl StackFrames {
    fn new() -> Result<Self, OutOfMemory> {
        alloc_block(STACK_ORDER, Owner::Stack).map(Self)
    }
}

impl Drop for StackFrames {
    fn drop(&mut self) {
        free_block(self.0, STACK_ORDER, Owner::Stack);
    }
}

pub(crate) struct Task {
    /// None for a flow of control that has its stack from boot.
    stack: Option<Stack>,
    stack_pointer: UnsafeCell<usize>,
    /// From the moment when it is switched to until its registers are saved again.
    is_running: AtomicBool,
    /// See [`crate::task::choose`].
    is_choosing: AtomicBool,
    pub(super) space: Mutex<Option<Arc<Space>>>,
    _frames: Option<StackFrames>,
}

// SAFETY: `stack_pointer` is only used by the one host thread that executes the machine.
unsafe impl Sync for Task {}
// SAFETY: as above.
unsafe impl Send for Task {}

/// A thread that a processor has just left.
pub(crate) struct Left {
    task: *const Task,
    /// Drops the reference that the processor had.
    drop_thread: Option<Box<dyn FnOnce()>>,
}

impl Drop for Left {
    fn drop(&mut self) {
        if let Some(drop_thread) = self.drop_thread.take() {
            drop_thread();
        }
    }
}

// SAFETY: only the one host thread that executes the machine makes and uses it.
unsafe impl Send for Left {}

static RESCHEDULE_HOOK: OnceLock<fn()> = OnceLock::new();
static DEADLINE_HOOK: OnceLock<fn()> = OnceLock::new();

impl Task {
    pub fn new(entry: fn(), space: Option<Arc<Space>>) -> Result<Self, OutOfMemory> {
        let frames = StackFrames::new()?;
        let (stack, pointer) = Stack::new(Box::new(move || {
            let left = finish_switch();
            crate::task::drop_left(left, super::interrupts_pop_off);
            entry();
            panic!("the entry of a thread returned");
        }));
        Ok(Self {
            stack: Some(stack),
            stack_pointer: UnsafeCell::new(pointer),
            is_running: AtomicBool::new(false),
            is_choosing: AtomicBool::new(false),
            space: Mutex::new(space),
            _frames: Some(frames),
        })
    }

    pub fn is_on_processor(&self) -> bool {
        self.is_running.load(Relaxed)
    }

    pub fn for_boot_stack() -> Self {
        Self {
            stack: None,
            stack_pointer: UnsafeCell::new(0),
            is_running: AtomicBool::new(true),
            is_choosing: AtomicBool::new(false),
            space: Mutex::new(None),
            _frames: None,
        }
    }
}

pub(crate) fn set_reschedule_hook(hook: fn()) {
    assert!(RESCHEDULE_HOOK.set(hook).is_ok(), "a second scheduler");
}

pub(crate) fn set_deadline_hook(hook: fn()) {
    assert!(DEADLINE_HOOK.set(hook).is_ok(), "a second owner of the deadlines");
}

pub(super) fn call_reschedule_hook() {
    let Some(&hook) = RESCHEDULE_HOOK.get() else { return };
    crate::task::choose(current_task().map(|task| &task.is_choosing), hook, || here().is_reschedule_due());
}

pub(super) fn call_deadline_hook() {
    if let Some(hook) = DEADLINE_HOOK.get() {
        hook();
    }
}

pub(crate) fn current_thread() -> *const () {
    here().thread.load(Relaxed)
}

/// The task that runs on this processor.
pub(super) fn current_task() -> Option<&'static Task> {
    // SAFETY: the processor keeps a reference to the thread in which the task is until it has left it;
    // callers use the result before they switch.
    unsafe { here().task.load(Relaxed).as_ref() }
}

pub(crate) fn adopt<T: Schedulable>(thread: Arc<T>) {
    let processor = here();
    assert!(processor.thread.load(Relaxed).is_null(), "a processor adopted twice");
    processor.task.store(from_ref(&thread.task().arch).cast_mut(), Relaxed);
    processor.thread.store(Arc::into_raw(thread).cast_mut().cast(), Relaxed);
}

pub(crate) fn set_space(space: Option<Arc<Space>>) {
    let Some(task) = current_task() else { panic!("no thread to move to another address space") };
    (*lock(&task.space)).clone_from(&space);
    super::memory::load_space(space);
}

/// Called with the one guard held; the caller drops what it gets when it has ended that.
pub(crate) fn switch_to<T: Schedulable>(next: Arc<T>) -> Option<Left> {
    let processor = here();
    let is_alone = processor.interrupts_off.load(Relaxed) == 1 && processor.preempt_off.load(Relaxed) == 0;
    assert!(is_alone, "switching with a lock or another guard held");
    let Some(left) = current_task() else { panic!("switching away from a processor that has no thread") };
    let task = from_ref(&next.task().arch);
    if std::ptr::eq(left, task) {
        return None;
    }
    if let Some(stack) = &left.stack {
        stack.check();
    }
    // SAFETY: `next` is alive, and after the line that forgets it the processor keeps its reference.
    let task = unsafe { &*task };
    while task.is_running.swap(true, Relaxed) {
        world::spin_wait();
    }
    if let Some(space) = lock(&task.space).clone() {
        super::memory::load_space(Some(space));
    }
    processor.quiescent.fetch_add(1, Relaxed);
    let thread = processor.thread.swap(Arc::into_raw(next).cast_mut().cast(), Relaxed).cast::<T>();
    processor.task.store(from_ref(task).cast_mut(), Relaxed);
    // SAFETY: the pointer came from `Arc::into_raw` in `adopt` or the line above, for the same type
    // (checked by the caller), and this is the processor's one reference.
    let drop_thread = Box::new(move || drop(unsafe { Arc::from_raw(thread) }));
    *lock(&processor.left) = Some(Left { task: left, drop_thread: Some(drop_thread) });
    // SAFETY: `is_running` was clear, so the pointer was stored by an earlier switch or by `new` and has
    // not been used since.
    unsafe { stack::switch(left.stack_pointer.get(), *task.stack_pointer.get()) };
    finish_switch()
}

/// On the new stack: lets go of the stack that was left.
fn finish_switch() -> Option<Left> {
    let left = lock(&here().left).take();
    if let Some(left) = &left {
        // SAFETY: `left` has a reference that keeps the task alive.
        unsafe { (*left.task).is_running.store(false, Relaxed) };
    }
    left
}

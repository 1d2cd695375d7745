//! Physical memory as an arena, and a program's memory found by walking its tables in software.

use std::alloc::{Layout, alloc_zeroed, handle_alloc_error};
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Once};

use super::processor::{cpu_index, here, lock, on};
use super::task::current_task;
use super::world;
use crate::address::{PAGE_SIZE, PhysicalAddress, UserAddress};
use crate::context::Access;
use crate::cpu;
use crate::frame::{Record, add_region, init_records};
use crate::paging::{Entry, Protection, Space, index_at};

/// Frames at the bottom that the allocator does not get, like the firmware's and the kernel's.
const RESERVED_FRAMES: usize = 16;

static SIZE: AtomicUsize = AtomicUsize::new(64 << 20);
static ARENA: AtomicPtr<u8> = AtomicPtr::new(std::ptr::null_mut());
static INIT: Once = Once::new();
static SHOOT_DOWNS: AtomicU64 = AtomicU64::new(0);

/// Sets how much memory the machine will have, in bytes; 64 MiB if nobody does. Heed: before
/// [`run`](super::run) and [`init_memory`].
pub fn set_memory(bytes: usize) {
    assert!(!INIT.is_completed(), "the machine has its memory already");
    SIZE.store(bytes, Relaxed);
}

/// Makes the machine's memory, once: for tests that use frames without [`run`](super::run), which does this
/// by itself.
pub fn init_memory() {
    INIT.call_once(|| {
        let frames = SIZE.load(Relaxed) / PAGE_SIZE;
        assert!(frames > RESERVED_FRAMES, "too little memory for a machine");
        ARENA.store(allocate(frames * PAGE_SIZE, PAGE_SIZE), Relaxed);
        let records = allocate(frames * size_of::<Record>(), align_of::<Record>());
        // SAFETY: room for `frames` records was just made, aligned, for nothing else; `call_once` says that
        // this is the only time.
        unsafe { init_records(records.cast(), frames) };
        add_region(RESERVED_FRAMES, frames);
    });
}

fn allocate(size: usize, align: usize) -> *mut u8 {
    let Ok(layout) = Layout::from_size_align(size, align) else {
        panic!("no memory of {size} bytes can be had")
    };
    // SAFETY: callers ask for more than nothing.
    let memory = unsafe { alloc_zeroed(layout) };
    if memory.is_null() {
        handle_alloc_error(layout);
    }
    memory
}

/// How often address spaces have been flushed on several processors: what a change of mappings costs.
pub fn shoot_downs() -> u64 {
    SHOOT_DOWNS.load(Relaxed)
}

pub(crate) fn physical_to_pointer(address: PhysicalAddress) -> *mut u8 {
    ARENA.load(Relaxed).wrapping_add(address.0 as usize)
}

pub(crate) unsafe fn copy(to: *mut u8, from: *const u8, len: usize) {
    // SAFETY: both ranges are valid by the caller's contract; `ptr::copy` allows them to overlap.
    unsafe { std::ptr::copy(from, to, len) };
}

pub(crate) unsafe fn zero(to: *mut u8, len: usize) {
    // SAFETY: the range is valid by the caller's contract.
    unsafe { std::ptr::write_bytes(to, 0, len) };
}

pub(crate) fn copy_kernel_half(_root: *mut u8) {}

/// Makes this processor keep `space` loaded; none keeps what there is, except that the caller has left it.
pub(super) fn load_space(space: Option<Arc<Space>>) {
    let own = cpu_index();
    if let Some(space) = &space {
        space.loaded.insert(own);
    }
    let old = std::mem::replace(&mut *lock(&here().loaded), space.clone());
    if let Some(old) = old
        && !space.is_some_and(|space| Arc::ptr_eq(&space, &old))
    {
        old.loaded.remove(own);
    }
}

pub(crate) fn evict_space(space: &Space) {
    for index in 0..cpu::count() {
        // SAFETY: the processor keeps the thread of its task alive, and the one host thread that could
        // switch it away is here.
        let task = unsafe { on(index).task.load(Relaxed).as_ref() };
        let is_running =
            task.is_some_and(|task| lock(&task.space).as_deref().is_some_and(|own| std::ptr::eq(own, space)));
        let mut loaded = lock(&on(index).loaded);
        if !is_running && loaded.as_deref().is_some_and(|loaded| std::ptr::eq(loaded, space)) {
            space.loaded.remove(index);
            *loaded = None;
        }
    }
}

pub(crate) fn shoot_down(space: &Space, _start: usize, _end: usize) {
    assert!(
        here().interrupts_off.load(Relaxed) == 0,
        "a flush waits for other processors with interrupts held off"
    );
    if space.loaded.iter().any(|index| index != cpu_index()) {
        SHOOT_DOWNS.fetch_add(1, Relaxed);
        world::point();
    }
}

/// The byte of the arena at a program's address, if the current thread may use it so, as the processor
/// would find it.
fn translate(address: usize, access: Access) -> Option<*mut u8> {
    let task = current_task()?;
    let space = lock(&task.space);
    let mut table = space.as_ref()?.root();
    for level in [3, 2, 1] {
        let entry = Entry::slot(table, index_at(address, level)).load();
        if !entry.is_present() {
            return None;
        }
        table = entry.address();
    }
    let slot = Entry::slot(table, index_at(address, 0));
    let entry = slot.load();
    let needed = match access {
        Access::Read => Protection::READ,
        Access::Write => Protection::WRITE,
        Access::Execute => Protection::EXECUTE,
    };
    if !entry.protection().contains(needed) {
        return None;
    }
    slot.mark(access == Access::Write);
    Some(physical_to_pointer(entry.address()).wrapping_add(UserAddress(address).page_offset()))
}

/// Calls `each` for the pieces of a range that lie in one page, with the bytes done before, until one
/// cannot be reached; returns the bytes done.
fn for_each_piece(
    start: usize,
    len: usize,
    access: Access,
    mut each: impl FnMut(*mut u8, usize, usize),
) -> usize {
    let mut done = 0;
    while done < len {
        let address = start + done;
        let Some(pointer) = translate(address, access) else { break };
        let piece = (len - done).min(PAGE_SIZE - UserAddress(address).page_offset());
        each(pointer, done, piece);
        done += piece;
    }
    done
}

pub(crate) unsafe fn copy_from_user(to: *mut u8, from: usize, len: usize) -> usize {
    // SAFETY: the piece lies in a mapped frame of the arena, and `to` has `len` bytes by the caller's
    // contract.
    for_each_piece(from, len, Access::Read, |pointer, done, piece| unsafe {
        copy(to.add(done), pointer, piece)
    })
}

pub(crate) unsafe fn copy_to_user(to: usize, from: *const u8, len: usize) -> usize {
    // SAFETY: as in `copy_from_user`, the other way round.
    for_each_piece(to, len, Access::Write, |pointer, done, piece| unsafe {
        copy(pointer, from.add(done), piece)
    })
}

pub(crate) unsafe fn zero_user(to: usize, len: usize) -> usize {
    // SAFETY: the piece lies in a mapped frame of the arena.
    for_each_piece(to, len, Access::Write, |pointer, _, piece| unsafe { zero(pointer, piece) })
}

pub(crate) unsafe fn load_user(at: usize, into: &mut [u8; 4]) -> bool {
    // SAFETY: the target is four bytes.
    unsafe { copy_from_user(into.as_mut_ptr(), at, 4) == 4 }
}

/// Exchanges an aligned word; the value that was there, or none when it cannot be stored to.
pub(crate) unsafe fn compare_exchange_user(at: usize, old: u32, new: u32) -> Option<u32> {
    let pointer = translate(at, Access::Write)?;
    // SAFETY: aligned by the caller's contract, so inside one mapped frame, which is untyped memory.
    let word = unsafe { AtomicU32::from_ptr(pointer.cast()) };
    Some(word.compare_exchange(old, new, Relaxed, Relaxed).unwrap_or_else(|seen| seen))
}

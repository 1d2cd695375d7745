//! This program's own memory, from a part of itself: what it asks the kernel for is only what is tested.
#![expect(unsafe_code, reason = "an allocator")]

use std::alloc::{GlobalAlloc, Layout};
use std::cell::UnsafeCell;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, Ordering};

const LEN: usize = 16 << 20;
/// Sizes are powers of two, from 16 bytes on.
const CLASSES: usize = 20;

/// Blocks cut off the arena's front, and kept by size when they come back.
pub struct Arena {
    is_taken: AtomicBool,
    state: UnsafeCell<State>,
}

#[repr(align(4096))]
struct State {
    bytes: [u8; LEN],
    used: usize,
    free: [*mut u8; CLASSES],
}

// SAFETY: the state is touched only by who has taken it.
unsafe impl Sync for Arena {}

impl Arena {
    pub const fn new() -> Self {
        let state = State { bytes: [0; LEN], used: 0, free: [null_mut(); CLASSES] };
        Self { is_taken: AtomicBool::new(false), state: UnsafeCell::new(state) }
    }

    fn with<R>(&self, body: impl FnOnce(&mut State) -> R) -> R {
        while self.is_taken.swap(true, Ordering::Acquire) {
            std::hint::spin_loop();
        }
        // SAFETY: nobody else has taken it.
        let result = body(unsafe { &mut *self.state.get() });
        self.is_taken.store(false, Ordering::Release);
        result
    }
}

fn class(layout: Layout) -> usize {
    let size = layout.size().max(layout.align()).max(16).next_power_of_two();
    size.trailing_zeros() as usize - 4
}

// SAFETY: a block is as large as its class, at least as aligned as was asked for, and in one place at a time.
unsafe impl GlobalAlloc for Arena {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let class = class(layout);
        let size = 16 << class;
        self.with(|state| {
            let Some(first) = state.free.get_mut(class) else { return null_mut() };
            let block = *first;
            if !block.is_null() {
                // SAFETY: a free block holds the next one.
                *first = unsafe { block.cast::<*mut u8>().read() };
                return block;
            }
            let start = state.used.next_multiple_of(size.min(4096));
            if start + size > LEN {
                return null_mut();
            }
            state.used = start + size;
            state.bytes.as_mut_ptr().wrapping_add(start)
        })
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        self.with(|state| {
            if let Some(first) = state.free.get_mut(class(layout)) {
                // SAFETY: the block is the caller's, who gives it back.
                unsafe { block.cast::<*mut u8>().write(*first) };
                *first = block;
            }
        });
    }
}

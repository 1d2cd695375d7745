//! Stacks of their own for virtual processors and kernel threads, and the jump from one to another.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::boxed::Box;

#[cfg(not(target_arch = "x86_64"))]
compile_error!(
    "the hosted machine switches stacks with x86-64 instructions: run the tests on an x86-64 host"
);

/// Bytes of a stack. The host gives memory only to the part that is used.
const SIZE: usize = 1 << 20;
/// At the far end of each stack, to see that it did not run over.
const CANARY: u64 = 0x57ac_4e0d_57ac_4e0d;

pub(super) type Body = Box<dyn FnOnce()>;

/// A stack that runs `body` when it is first switched to.
pub(super) struct Stack {
    base: *mut u8,
}

// SAFETY: the memory is owned by the stack, and whoever runs on it is decided by the one executing thread.
unsafe impl Send for Stack {}
// SAFETY: as above; `&Stack` only allows looking at the canary.
unsafe impl Sync for Stack {}

impl Stack {
    fn layout() -> Layout {
        Layout::new::<[u128; SIZE / 16]>()
    }

    /// The stack, and the stack pointer to switch to first. `body` must not return.
    pub fn new(body: Body) -> (Self, usize) {
        // SAFETY: the layout's size is not zero.
        let base = unsafe { alloc(Self::layout()) };
        if base.is_null() {
            handle_alloc_error(Self::layout());
        }
        let body = Box::into_raw(Box::new(body));
        // What `switch` pops: r15 r14 r13 r12 rbx rbp, the address to return to, and the end of the chain
        // of frames.
        let frame = [0, 0, 0, body as usize, 0, 0, enter as *const () as usize, 0];
        let top = SIZE - size_of_val(&frame);
        // SAFETY: `top` leaves room for the frame and is a multiple of 16; the canary is at the other end.
        // All of it was just allocated.
        unsafe {
            base.cast::<u64>().write(CANARY);
            base.add(top).cast::<[usize; 8]>().write(frame);
        }
        (Self { base }, base as usize + top)
    }

    /// Panics when the stack has run over.
    pub fn check(&self) {
        // SAFETY: the canary was written in `new`, and the memory lives as long as `self`.
        let canary = unsafe { self.base.cast::<u64>().read_volatile() };
        assert!(canary == CANARY, "a kernel stack of the hosted machine ran over");
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // SAFETY: allocated with the same layout in `new`. Its owner says by dropping it that it will not
        // run again.
        unsafe { dealloc(self.base, Self::layout()) };
    }
}

/// Stores the stack pointer at `save` and goes on where `load` was stored.
///
/// # Safety
/// `load` came from [`Stack::new`] or was stored by this function, has not been used since, and its stack
/// is alive.
#[unsafe(naked)]
pub(super) unsafe extern "sysv64" fn switch(save: *mut usize, load: usize) {
    core::arch::naked_asm!(
        "push rbp",
        "push rbx",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "mov [rdi], rsp",
        "mov rsp, rsi",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbx",
        "pop rbp",
        "ret",
    )
}

/// The first thing on a new stack, which is aligned to 16 less the 8 of an absent return address.
#[unsafe(naked)]
extern "sysv64" fn enter() -> ! {
    core::arch::naked_asm!("mov rdi, r12", "jmp {begin}", begin = sym begin)
}

extern "sysv64" fn begin(body: *mut Body) -> ! {
    // SAFETY: made by `Box::into_raw` in `Stack::new`, and a stack begins once.
    let body = unsafe { Box::from_raw(body) };
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body));
    super::world::end(result)
}

//! Making processors forget translations.
//!
//! The asking processor writes its request in its own mailbox, sets its bit in the inbox of each processor
//! that may have the translation, interrupts them, and waits until all have counted the request down. While
//! it waits it answers requests of others, so two that ask each other both get on.

use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering};

use super::local::{Local, local, local_of};
use super::{apic, instructions, memory, task};
use crate::address::PAGE_SIZE;
use crate::cpu;
use crate::paging::Space;
use crate::sync::disable_preemption;

/// Above this many pages everything is dropped.
const PAGES_ONE_BY_ONE: usize = 32;

/// A processor's request and the bits of those who ask it.
pub struct Mailbox {
    /// Bit n: processor n wants something.
    inbox: [AtomicU64; 4],
    /// Processors that have not answered my request yet.
    waiting: AtomicU32,
    kind: AtomicU32,
    space: AtomicPtr<Space>,
    start: AtomicUsize,
    end: AtomicUsize,
}

/// Drop the pages `start..end` if `space` is loaded.
const PAGES: u32 = 0;
/// Drop the pages `start..end` of the kernel.
const KERNEL_PAGES: u32 = 1;
/// Unload `space` if it is only loaded for want of another.
const EVICT: u32 = 2;

impl Mailbox {
    pub const fn new() -> Self {
        Self {
            inbox: [const { AtomicU64::new(0) }; 4],
            waiting: AtomicU32::new(0),
            kind: AtomicU32::new(PAGES),
            space: AtomicPtr::new(core::ptr::null_mut()),
            start: AtomicUsize::new(0),
            end: AtomicUsize::new(0),
        }
    }
}

fn flush_pages(start: usize, end: usize) {
    if (end - start) / PAGE_SIZE > PAGES_ONE_BY_ONE {
        // SAFETY: the tables that are loaded stay loaded.
        unsafe { instructions::write_cr3(instructions::read_cr3()) };
    } else {
        (start..end).step_by(PAGE_SIZE).for_each(instructions::flush_page);
    }
}

/// Does on this processor what a request asks.
fn carry_out(kind: u32, space: *const Space, start: usize, end: usize) {
    let local = local();
    match kind {
        PAGES => {
            if core::ptr::eq(local.space.load(Ordering::Relaxed), space) {
                flush_pages(start, end);
            }
        }
        KERNEL_PAGES => (start..end).step_by(PAGE_SIZE).for_each(instructions::flush_page),
        _ => {
            if core::ptr::eq(local.space.load(Ordering::Relaxed), space) && !task::is_current_space(space) {
                task::unload_space(local);
            }
        }
    }
}

/// Answers whoever asked this processor. Called by the interrupt and by loops that wait with interrupts off.
#[inline]
pub fn answer_if_asked() {
    let local = local();
    if local.tlb.inbox.iter().any(|word| word.load(Ordering::Relaxed) != 0) {
        answer(local);
    }
}

#[cold]
fn answer(_: &Local) {
    // Being moved to another processor, or interrupted by the same request, must not lose an answer.
    let _guard = crate::sync::disable_interrupts();
    let local = local();
    for (word, bits) in local.tlb.inbox.iter().enumerate() {
        let mut askers = bits.swap(0, Ordering::SeqCst);
        while askers != 0 {
            let asker = word * 64 + askers.trailing_zeros() as usize;
            askers &= askers - 1;
            let Some(asker) = local_of(asker) else { continue };
            let request = &asker.tlb;
            carry_out(
                request.kind.load(Ordering::Acquire),
                request.space.load(Ordering::Acquire),
                request.start.load(Ordering::Acquire),
                request.end.load(Ordering::Acquire),
            );
            request.waiting.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

/// Asks `others` and waits for their answers. Preemption is held off by the caller.
fn ask(others: impl Iterator<Item = usize>, kind: u32, space: *const Space, start: usize, end: usize) {
    let local = local();
    let me = local.index as usize;
    let mailbox = &local.tlb;
    mailbox.kind.store(kind, Ordering::Relaxed);
    mailbox.space.store(space.cast_mut(), Ordering::Relaxed);
    mailbox.start.store(start, Ordering::Relaxed);
    mailbox.end.store(end, Ordering::Relaxed);
    for cpu in others.filter(|&cpu| cpu != me) {
        let Some(other) = local_of(cpu) else { continue };
        mailbox.waiting.fetch_add(1, Ordering::SeqCst);
        other.tlb.inbox[me / 64].fetch_or(1 << (me % 64), Ordering::SeqCst);
        apic::send_flush(other);
    }
    while mailbox.waiting.load(Ordering::SeqCst) != 0 {
        super::spin_wait();
    }
}

/// Makes every processor that has `space` loaded forget the pages `start..end` of it.
pub fn shoot_down(space: &Space, start: usize, end: usize) {
    let _guard = disable_preemption();
    carry_out(PAGES, space, start, end);
    ask(space.loaded.iter(), PAGES, space, start, end);
}

/// Makes every processor forget the kernel's pages `start..end`.
pub fn flush_kernel(start: usize, end: usize) {
    let _guard = disable_preemption();
    carry_out(KERNEL_PAGES, core::ptr::null(), start, end);
    ask(0..cpu::count(), KERNEL_PAGES, core::ptr::null(), start, end);
}

/// Unloads `space` where it is loaded without being in use.
pub fn evict_space(space: &Space) {
    let _guard = disable_preemption();
    {
        let _guard = crate::sync::disable_interrupts();
        carry_out(EVICT, space, 0, 0);
    }
    ask(space.loaded.iter(), EVICT, space, 0, 0);
}

/// Loads the kernel's own tables on this processor; interrupts are off.
pub fn load_kernel_tables() {
    memory::load_kernel_root();
}

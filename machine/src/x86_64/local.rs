//! What each processor keeps to itself, behind its GS segment.
//!
//! Fields that assembly uses have fixed offsets, checked below. A field is written only by its own processor
//! (the inbox of [`super::tlb`] and the counters excepted, which are atomic), so single instructions through
//! GS need no lock: they cannot be torn by a move to another processor.

use core::arch::asm;
use core::mem::offset_of;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering};

use super::descriptors::{Gdt, TaskState};
use super::{instructions, task, tlb};
use crate::cpu::MAX_CPUS;

/// Set in [`Local::preempt`] while *no* reschedule is requested, so that the word is zero exactly when
/// preemption is allowed and wanted.
pub const NO_REQUEST: u32 = 1 << 31;

/// A processor's own data.
#[repr(C, align(64))]
pub struct Local {
    /// Its own address, to turn GS into a pointer.
    this: *const Local,
    /// The processor's number.
    pub index: u32,
    /// How many guards hold off preemption; top bit: [`NO_REQUEST`].
    pub preempt: AtomicU32,
    /// Stack pointer to return to when the program comes back.
    pub kernel_stack: AtomicUsize,
    /// Registers of the program that runs.
    pub user_frame: AtomicUsize,
    /// Holds the program's stack pointer for three instructions of the call entry.
    scratch: AtomicUsize,
    /// Top of the stack for interrupts that come in kernel mode.
    pub interrupt_stack: AtomicUsize,
    /// Whether an interrupt is being handled.
    pub interrupt_depth: AtomicU32,
    /// How many guards hold off interrupts.
    irq_off: AtomicU32,
    /// Whether interrupts were on before the first of them.
    irq_was_on: AtomicBool,
    /// The task state segment; the processor reads the stack for traps from user mode there.
    pub task_state: TaskState,
    pub gdt: Gdt,
    /// The thread that runs here, as made by `Arc::into_raw`.
    pub current: AtomicPtr<()>,
    /// The switch that is being finished (see [`super::task`]).
    pub switch: task::Switch,
    /// Address space that is loaded, as made by `Arc::into_raw`; null: only the kernel's.
    pub space: AtomicPtr<crate::paging::Space>,
    /// Extended state that is in the registers now; null: none.
    pub live: AtomicPtr<super::context::Extended>,
    /// Translations that other processors must drop.
    pub tlb: tlb::Mailbox,
    /// See [`crate::cpu::quiescent_count`].
    quiescent: AtomicU64,
    /// Halted, or about to be, with nothing that could read under RCU.
    pub is_idle: AtomicBool,
    /// The local APIC id.
    pub apic_id: AtomicU32,
    /// When the timer will interrupt, in nanoseconds; `u64::MAX`: never.
    pub deadline_ns: AtomicU64,
    /// Bit r: a lock of rank r is held (debug builds).
    ranks: crate::sync::HeldRanks,
}

pub const PREEMPT: usize = offset_of!(Local, preempt);
pub const KERNEL_STACK: usize = offset_of!(Local, kernel_stack);
pub const USER_FRAME: usize = offset_of!(Local, user_frame);
pub const SCRATCH: usize = offset_of!(Local, scratch);
pub const INTERRUPT_STACK: usize = offset_of!(Local, interrupt_stack);
pub const INTERRUPT_DEPTH: usize = offset_of!(Local, interrupt_depth);
pub const TASK_STACK0: usize = offset_of!(Local, task_state) + TaskState::STACK0;
const INDEX: usize = offset_of!(Local, index);
const IRQ_OFF: usize = offset_of!(Local, irq_off);
const CURRENT: usize = offset_of!(Local, current);
const TASK: usize = offset_of!(Local, switch) + task::Switch::CURRENT;
const QUIESCENT: usize = offset_of!(Local, quiescent);

static ALL: [AtomicPtr<Local>; MAX_CPUS] = [const { AtomicPtr::new(core::ptr::null_mut()) }; MAX_CPUS];

impl Local {
    pub const fn new(index: u32) -> Self {
        Self {
            this: core::ptr::null(),
            index,
            preempt: AtomicU32::new(NO_REQUEST),
            kernel_stack: AtomicUsize::new(0),
            user_frame: AtomicUsize::new(0),
            scratch: AtomicUsize::new(0),
            interrupt_stack: AtomicUsize::new(0),
            interrupt_depth: AtomicU32::new(0),
            irq_off: AtomicU32::new(0),
            irq_was_on: AtomicBool::new(false),
            task_state: TaskState::new(),
            gdt: Gdt::new(),
            current: AtomicPtr::new(core::ptr::null_mut()),
            switch: task::Switch::new(),
            space: AtomicPtr::new(core::ptr::null_mut()),
            live: AtomicPtr::new(core::ptr::null_mut()),
            tlb: tlb::Mailbox::new(),
            quiescent: AtomicU64::new(0),
            is_idle: AtomicBool::new(false),
            apic_id: AtomicU32::new(0),
            deadline_ns: AtomicU64::new(u64::MAX),
            ranks: crate::sync::HeldRanks::new(),
        }
    }

    /// Whether interrupts come on again when the last guard that holds them off ends.
    pub fn were_interrupts_on(&self) -> bool {
        self.irq_was_on.load(Ordering::Relaxed)
    }

    pub fn set_were_interrupts_on(&self, were_on: bool) {
        self.irq_was_on.store(were_on, Ordering::Relaxed);
    }

    /// Whether just one guard is held, and that holds off interrupts: the state in which threads are
    /// switched.
    pub fn holds_one_interrupt_guard(&self) -> bool {
        self.irq_off.load(Ordering::Relaxed) == 1
            && self.preempt.load(Ordering::Relaxed) & !NO_REQUEST == 0
            && self.interrupt_depth.load(Ordering::Relaxed) == 0
    }
}

/// Makes `local` the data of the calling processor, for ever.
///
/// # Safety
/// `local` is complete, is never freed or moved, and belongs to this processor alone.
pub unsafe fn install(local: *mut Local, index: u32) {
    // SAFETY: the caller gives the structure to this processor; nobody else sees it before it is stored in
    // `ALL`. GS base (MSR 0xc0000101) points to it from now on; the base of the program's GS (0xc0000102)
    // starts as 0.
    unsafe {
        (*local).this = local;
        (*local).index = index;
        instructions::write_msr(0xc000_0101, local as u64);
        instructions::write_msr(0xc000_0102, 0);
    }
    if let Some(slot) = ALL.get(index as usize) {
        slot.store(local, Ordering::Release);
    }
}

/// The calling processor's data. The reference is only meaningful as "mine" while preemption is held off.
#[inline]
pub fn local() -> &'static Local {
    let pointer: *const Local;
    // SAFETY: GS is set before anything can call this, and the first word is the structure's own address,
    // never changed. The structure is leaked, and all that is changed through the reference is atomic or a
    // cell with a protocol of its own.
    unsafe {
        asm!("mov {}, gs:[0]", out(reg) pointer, options(nostack, preserves_flags, readonly));
        &*pointer
    }
}

/// The data of processor `cpu`, if it has started.
#[inline]
pub fn local_of(cpu: usize) -> Option<&'static Local> {
    let pointer = ALL.get(cpu)?.load(Ordering::Acquire);
    // SAFETY: as in `local`; the pointer was stored after the structure was complete.
    unsafe { pointer.as_ref() }
}

#[inline]
pub fn cpu_index() -> usize {
    let index: u32;
    // SAFETY: a load of a field that never changes.
    unsafe {
        asm!("mov {0:e}, gs:[{1}]", out(reg) index, const INDEX, options(nostack, preserves_flags, readonly));
    }
    index as usize
}

#[inline]
pub fn current_pointer() -> *const () {
    let pointer: *const ();
    // SAFETY: a single load; whichever processor executes it, the thread that does is its current thread.
    unsafe {
        asm!("mov {0}, gs:[{1}]", out(reg) pointer, const CURRENT, options(nostack, preserves_flags, readonly));
    }
    pointer
}

/// The task that runs here; null before a thread was adopted.
#[inline]
pub fn current_task() -> *const task::Task {
    let pointer: *const task::Task;
    // SAFETY: as in `current_pointer`: a single load, which no move to another processor can come into.
    unsafe {
        asm!("mov {0}, gs:[{1}]", out(reg) pointer, const TASK, options(nostack, preserves_flags, readonly));
    }
    pointer
}

#[inline]
pub fn preempt_disable() {
    // SAFETY: one instruction on a counter of this processor; being moved just before it is harmless.
    unsafe { asm!("add dword ptr gs:[{0}], 1", const PREEMPT, options(nostack)) };
}

#[inline]
pub fn preempt_enable() {
    let is_wanted: u8;
    // SAFETY: as in `preempt_disable`. Memory is clobbered, so what the lock guarded has been written.
    unsafe {
        asm!("sub dword ptr gs:[{0}], 1", "setz {1}", const PREEMPT, out(reg_byte) is_wanted, options(nostack));
    }
    if is_wanted != 0 {
        reschedule_if_possible();
    }
}

/// Preemption is allowed and wanted: calls the scheduler, unless interrupts are off (their return, or the
/// guard's, will).
#[cold]
#[inline(never)]
fn reschedule_if_possible() {
    if instructions::flags() & instructions::FLAG_INTERRUPT != 0 {
        task::call_reschedule_hook();
    }
}

#[inline]
pub fn interrupts_push_off() {
    let flags = instructions::flags();
    instructions::disable_interrupts();
    let local = local();
    let depth = local.irq_off.load(Ordering::Relaxed);
    if depth == 0 {
        local.irq_was_on.store(flags & instructions::FLAG_INTERRUPT != 0, Ordering::Relaxed);
    }
    local.irq_off.store(depth + 1, Ordering::Relaxed);
}

#[inline]
pub fn interrupts_pop_off() {
    let local = local();
    let depth = local.irq_off.load(Ordering::Relaxed) - 1;
    local.irq_off.store(depth, Ordering::Relaxed);
    if depth == 0 && local.irq_was_on.load(Ordering::Relaxed) {
        let is_wanted = local.preempt.load(Ordering::Relaxed) == 0;
        instructions::enable_interrupts();
        if is_wanted {
            reschedule_if_possible();
        }
    }
}

/// Whether the current flow of control holds a guard or handles an interrupt.
#[inline]
pub fn is_atomic() -> bool {
    let (preempt, irq_off): (u32, u32);
    // SAFETY: plain loads of this processor's words. When either is not zero the flow of control cannot move
    // between them; when both are zero it does not matter where they were read.
    unsafe {
        asm!("mov {0:e}, gs:[{2}]", "mov {1:e}, gs:[{3}]", out(reg) preempt, out(reg) irq_off, const PREEMPT,
             const IRQ_OFF, options(nostack, preserves_flags, readonly));
    }
    preempt & !NO_REQUEST != 0 || irq_off != 0 || local().interrupt_depth.load(Ordering::Relaxed) != 0
}

#[inline]
pub fn request_reschedule() {
    // SAFETY: one instruction on this processor's word.
    unsafe { asm!("and dword ptr gs:[{0}], {1}", const PREEMPT, const !NO_REQUEST as i32, options(nostack)) };
}

#[inline]
pub fn take_reschedule_request() -> bool {
    let was_set: u8;
    // SAFETY: one read-modify-write instruction on this processor's word; `bts` gives the old bit in the
    // carry flag.
    unsafe {
        asm!("bts dword ptr gs:[{0}], 31", "setnc {1}", const PREEMPT, out(reg_byte) was_set, options(nostack));
    }
    was_set != 0
}

/// Whether the whole word says "allowed and wanted".
#[inline]
pub fn is_reschedule_due() -> bool {
    local().preempt.load(Ordering::Relaxed) == 0
}

/// Notes a moment without RCU readers.
#[inline]
pub fn note_quiescent() {
    // SAFETY: one instruction on this processor's counter.
    unsafe { asm!("add qword ptr gs:[{0}], 1", const QUIESCENT, options(nostack)) };
}

pub fn quiescent_count(cpu: usize) -> u64 {
    local_of(cpu).map_or(0, |local| local.quiescent.load(Ordering::Acquire))
}

pub fn is_idle(cpu: usize) -> bool {
    local_of(cpu).is_none_or(|local| local.is_idle.load(Ordering::Acquire))
}

pub fn idle() {
    instructions::disable_interrupts();
    let local = local();
    if local.preempt.load(Ordering::Relaxed) & NO_REQUEST != 0 {
        note_quiescent();
        local.is_idle.store(true, Ordering::SeqCst);
        instructions::enable_and_halt();
        local.is_idle.store(false, Ordering::SeqCst);
        note_quiescent();
    } else {
        instructions::enable_interrupts();
    }
}

/// One turn of a loop that waits for another processor. Answers requests to drop translations, so that two
/// processors that wait for each other with interrupts off both get on.
#[inline]
pub fn spin_wait() {
    core::hint::spin_loop();
    tlb::answer_if_asked();
}

#[inline]
pub fn rank_enter(rank: u8, is_nested: bool) {
    if cfg!(debug_assertions) {
        local().ranks.enter(rank, is_nested);
    }
}

#[inline]
pub fn rank_enter_unordered(rank: u8) {
    if cfg!(debug_assertions) {
        local().ranks.enter_unordered(rank);
    }
}

#[inline]
pub fn rank_leave(rank: u8) {
    if cfg!(debug_assertions) {
        local().ranks.leave(rank);
    }
}

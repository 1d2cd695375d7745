//! Starting the other processors (Intel SDM vol. 3, 9.4): reset them, send them to the trampoline below 1
//! MiB, wait until each has said hello.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::arch::global_asm;
use core::mem::ManuallyDrop;
use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering};

use super::local::{Local, local};
use super::memory::{self, KernelStack};
use super::{apic, boot, clock, cpuid, instructions};
use crate::address::PhysicalAddress;
use crate::cpu::{self, MAX_CPUS};
use crate::sync::Once;

/// Where the trampoline is copied: low memory, which the allocator does not have.
pub const TRAMPOLINE: u64 = 0x8000;

global_asm!(
    ".globl trampoline_start, trampoline_end, trampoline_root",
    ".pushsection .rodata.trampoline, \"a\"",
    ".balign 16",
    "trampoline_start:",
    ".code16",
    "cli",
    "cld",
    "xor ax, ax",
    "mov ds, ax",
    ".set gdt_pointer_at, {at} + (trampoline_gdt_pointer - trampoline_start)",
    "lgdtd [gdt_pointer_at]",
    "mov eax, cr0",
    "or eax, 1",
    "mov cr0, eax",
    // ljmp 0x08:trampoline32, 32-bit offset
    ".byte 0x66, 0xea",
    ".long {at} + (trampoline32 - trampoline_start)",
    ".word 0x08",
    ".code32",
    "trampoline32:",
    "mov ax, 0x10",
    "mov ds, ax",
    "mov ss, ax",
    "mov eax, cr4",
    "or eax, 0xa0", // PAE, PGE
    "mov cr4, eax",
    ".set root_at, {at} + (trampoline_root - trampoline_start)",
    "mov eax, [root_at]",
    "mov cr3, eax",
    "mov ecx, 0xc0000080",
    "rdmsr",
    "or eax, 0x900", // LME, NXE
    "wrmsr",
    "mov eax, cr0",
    "or eax, 0x80000000",
    "mov cr0, eax",
    ".byte 0xea",
    ".long {at} + (trampoline64 - trampoline_start)",
    ".word 0x18",
    ".code64",
    "trampoline64:",
    "mov rax, offset other_entry",
    "jmp rax",
    ".balign 8",
    "trampoline_gdt:",
    ".quad 0, 0x00cf9b000000ffff, 0x00cf93000000ffff, 0x00af9b000000ffff",
    "trampoline_gdt_pointer:",
    ".word 31",
    ".long {at} + (trampoline_gdt - trampoline_start)",
    ".balign 8",
    "trampoline_root:",
    ".quad 0",
    "trampoline_end:",
    ".popsection",

    // In the image: find my stack by my APIC id. All run this at the same time.
    "other_entry:",
    "mov eax, 1",
    "cpuid",
    "shr ebx, 24",
    "lea rcx, [rip + {stacks}]",
    "mov rsp, [rcx + rbx * 8]",
    "test rsp, rsp",
    "jz 2f",
    "mov rax, [rip + {root}]",
    "mov cr3, rax",
    "mov edi, ebx",
    "xor ebp, ebp",
    "call {other_start}",
    "2:",
    "cli",
    "hlt",
    "jmp 2b",
    at = const TRAMPOLINE,
    stacks = sym STACKS,
    root = sym KERNEL_ROOT,
    other_start = sym other_start,
);

unsafe extern "C" {
    static trampoline_start: u8;
    static trampoline_end: u8;
    static trampoline_root: u8;
}

/// The stack and the data of the processor with each APIC id; 0: it is not wanted.
static STACKS: [AtomicU64; 256] = [const { AtomicU64::new(0) }; 256];
static LOCALS: [AtomicPtr<Local>; 256] = [const { AtomicPtr::new(core::ptr::null_mut()) }; 256];
static KERNEL_ROOT: AtomicU64 = AtomicU64::new(0);
/// How many processors have come, the first included: the next one's number.
static ARRIVED: AtomicU32 = AtomicU32::new(1);
/// How many of the others have compared their clocks with the first one's.
static COMPARED: AtomicU32 = AtomicU32::new(0);
/// Set when the others may go on into the kernel.
static ENTRY: Once<fn() -> !> = Once::new();

/// How long the processors are waited for after the first start-up message and after the second, in nanoseconds. One that
/// works answers in microseconds; a hypervisor that has not let it run yet may take a moment. Only a machine in which one is
/// missing waits to the end.
const PATIENCE_NS: [u64; 2] = [200_000_000, 2_000_000_000];

/// A processor that did not come up.
#[derive(Clone, Copy, Debug)]
pub struct Missing {
    /// Its APIC id.
    pub apic_id: u32,
}

fn wait_ns(ns: u64, until: impl Fn() -> bool) -> bool {
    let end = clock::now_ns() + ns;
    loop {
        if until() {
            return true;
        }
        if clock::now_ns() >= end {
            return false;
        }
        core::hint::spin_loop();
    }
}

/// Starts the processors with these APIC ids, as far as `most` allows; each waits for [`release`]. Returns
/// those that did not come up; the rest have been counted. `loader_root` are page tables that map low memory
/// and the image.
pub fn start(apic_ids: &[u32], most: usize, loader_root: u64) -> Vec<Missing> {
    let me = apic::id();
    let wanted: Vec<u32> = apic_ids
        .iter()
        .copied()
        .filter(|&id| id != me && id < MAX_CPUS as u32)
        .take(most.clamp(1, MAX_CPUS) - 1)
        .collect();
    if wanted.is_empty() {
        return Vec::new();
    }
    KERNEL_ROOT.store(memory::kernel_root(), Ordering::Release);
    copy_trampoline(loader_root);
    let mut begun = Vec::new();
    for &apic_id in &wanted {
        // Neither is freed: they are the idle thread's for ever, or kept from a processor that is only late.
        let Ok(stack) = KernelStack::new().map(ManuallyDrop::new) else { break };
        LOCALS[apic_id as usize].store(Box::into_raw(boot::make_local(apic_id)), Ordering::Release);
        STACKS[apic_id as usize].store(stack.top() as u64, Ordering::Release);
        begun.push(apic_id);
    }
    for &apic_id in &begun {
        apic::send_init(apic_id);
    }
    if cpuid::features().slow_reset {
        wait_ns(10_000_000, || false);
    }
    for patience_ns in PATIENCE_NS {
        for &apic_id in begun.iter().filter(|&&id| !has_come(id)) {
            apic::send_startup(apic_id, (TRAMPOLINE >> 12) as u8);
        }
        let all_are_here = || {
            clock::compare();
            COMPARED.load(Ordering::Acquire) as usize >= begun.len()
        };
        if wait_ns(patience_ns, all_are_here) {
            break;
        }
    }
    cpu::set_count(ARRIVED.load(Ordering::Acquire) as usize);
    begun.into_iter().filter(|&id| !has_come(id)).map(|apic_id| Missing { apic_id }).collect()
}

/// Whether the processor with that id has taken its data.
fn has_come(apic_id: u32) -> bool {
    LOCALS[apic_id as usize].load(Ordering::Acquire).is_null()
}

/// Lets the processors that have come up into the kernel, at `entry`.
pub fn release(entry: fn() -> !) {
    // The first one counts.
    let _ = ENTRY.set(entry);
}

fn copy_trampoline(loader_root: u64) {
    let target = memory::physical_to_pointer(PhysicalAddress(TRAMPOLINE));
    let start = &raw const trampoline_start;
    let len = (&raw const trampoline_end) as usize - start as usize;
    let root = (&raw const trampoline_root) as usize - start as usize;
    // SAFETY: the page at `TRAMPOLINE` is usable low memory that nobody was given; source and length are the
    // linker's.
    unsafe {
        super::copy(target, start, len);
        target.add(root).cast::<u64>().write_unaligned(loader_root);
    }
}

/// The first Rust code of another processor: on its own stack, with the kernel's page tables, without locks
/// until its data is installed.
extern "C" fn other_start(apic_id: u32) -> ! {
    let data = LOCALS[apic_id as usize].swap(core::ptr::null_mut(), Ordering::AcqRel);
    if data.is_null() {
        park();
    }
    let index = ARRIVED.fetch_add(1, Ordering::AcqRel);
    // SAFETY: the data came from `Box::into_raw` and the swap gave it to this processor alone; it is leaked,
    // and used here only.
    unsafe { boot::install_local(data, index) };
    cpuid::enable();
    memory::load_kernel_root();
    apic::enable();
    clock::compare_rounds();
    COMPARED.fetch_add(1, Ordering::AcqRel);
    let entry = loop {
        if let Some(entry) = ENTRY.get() {
            break entry;
        }
        super::spin_wait();
    };
    if local().index as usize >= cpu::count() {
        // Came after the processors were counted.
        park();
    }
    instructions::enable_interrupts();
    entry()
}

fn park() -> ! {
    loop {
        instructions::disable_interrupts();
        instructions::halt();
    }
}

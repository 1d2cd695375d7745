//! Segments, the task state segment and the interrupt descriptor table.
//!
//! Selectors are Linux's, since programs see them: user code 0x33, user data 0x2b.

use core::arch::asm;
use core::cell::UnsafeCell;
use core::mem::offset_of;

use super::local::Local;
use super::traps;

pub const KERNEL_CODE: u16 = 0x10;
pub const KERNEL_DATA: u16 = 0x18;
/// SYSRET takes user code from here + 16 and user data from here + 8.
pub const USER_BASE: u16 = 0x23;
pub const USER_DATA: u16 = 0x2b;
pub const USER_CODE: u16 = 0x33;
const TASK_STATE: u16 = 0x40;
/// A segment whose limit is the processor's number: programs read it by LSL (Linux: `__CPUNODE_SEG`).
pub const PROCESSOR_NUMBER: u16 = 0x7b;

/// Interrupt stack table slots (1-based in the gates).
const STACK_NMI: u8 = 1;
const STACK_DOUBLE_FAULT: u8 = 2;
const STACK_MACHINE_CHECK: u8 = 3;

/// Bytes of each emergency stack.
const EMERGENCY_STACK: usize = 8192;

/// Intel SDM vol. 3, figure 8-11.
#[repr(C, packed(4))]
pub struct TaskState {
    reserved0: u32,
    /// Stack for traps from user mode; written through GS by `context`.
    stack0: u64,
    stack1: u64,
    stack2: u64,
    reserved1: u64,
    interrupt_stacks: [u64; 7],
    reserved2: u64,
    reserved3: u16,
    io_map_base: u16,
}

impl TaskState {
    pub const STACK0: usize = offset_of!(TaskState, stack0);

    pub const fn new() -> Self {
        Self {
            reserved0: 0,
            stack0: 0,
            stack1: 0,
            stack2: 0,
            reserved1: 0,
            interrupt_stacks: [0; 7],
            reserved2: 0,
            reserved3: 0,
            // Past the limit: every port is forbidden to programs.
            io_map_base: size_of::<TaskState>() as u16,
        }
    }
}

/// Segment descriptors; the task state segment's and the last one are filled in when loaded.
#[repr(C, align(16))]
pub struct Gdt([u64; 16]);

impl Gdt {
    pub const fn new() -> Self {
        Self([
            0,
            0,
            0x00af_9b00_0000_ffff, // 0x10 kernel code
            0x00cf_9300_0000_ffff, // 0x18 kernel data
            0x00cf_fb00_0000_ffff, // 0x20 user code, 32 bit: only SYSRET's base
            0x00cf_f300_0000_ffff, // 0x28 user data
            0x00af_fb00_0000_ffff, // 0x30 user code
            0,
            0, // 0x40 task state
            0,
            0,
            0,
            0,
            0,
            0,
            0, // 0x78 the processor's number
        ])
    }
}

#[repr(C, packed)]
struct TablePointer {
    limit: u16,
    base: u64,
}

/// A stack for traps that may come at any moment.
#[repr(C, align(16))]
pub struct EmergencyStack([u8; EMERGENCY_STACK]);

impl EmergencyStack {
    pub const fn new() -> Self {
        Self([0; EMERGENCY_STACK])
    }
}

/// How many of them a processor needs.
pub const EMERGENCY_STACKS: usize = 3;

impl Gate {
    const EMPTY: Self =
        Self { offset_low: 0, selector: 0, stack: 0, kind: 0, offset_middle: 0, offset_high: 0, reserved: 0 };
}

/// A gate of the interrupt descriptor table.
#[repr(C)]
#[derive(Clone, Copy)]
struct Gate {
    offset_low: u16,
    selector: u16,
    stack: u8,
    kind: u8,
    offset_middle: u16,
    offset_high: u32,
    reserved: u32,
}

#[repr(C, align(4096))]
struct Idt([Gate; 256]);

/// The one table of gates, in its own pages; written by [`init`] before any processor has loaded it.
struct IdtCell(UnsafeCell<Idt>);

// SAFETY: written once, before it is loaded and before other processors run; afterwards only processors read
// it.
unsafe impl Sync for IdtCell {}

static IDT: IdtCell = IdtCell(UnsafeCell::new(Idt([Gate::EMPTY; 256])));

/// Points a processor's emergency stack slots at `stacks`, which it never gives back.
///
/// # Safety
/// `local` is not installed yet; `stacks` point to stacks that are used for nothing else for ever.
pub unsafe fn set_emergency_stacks(local: *mut Local, stacks: [*mut EmergencyStack; EMERGENCY_STACKS]) {
    let mut tops = [0; 7];
    for (slot, stack) in [STACK_NMI, STACK_DOUBLE_FAULT, STACK_MACHINE_CHECK].into_iter().zip(stacks) {
        tops[slot as usize - 1] = stack as u64 + EMERGENCY_STACK as u64;
    }
    // SAFETY: the caller owns `local`.
    unsafe { (&raw mut (*local).task_state.interrupt_stacks).write_unaligned(tops) };
}

/// Loads segments, task state and the trap gates. [`super::local::install`] must follow at once: loading GS
/// clears its base.
///
/// # Safety
/// `local` is what this processor, the one with number `index`, will install, it never moves, and nobody else uses it yet.
pub unsafe fn load(local: *mut Local, index: u32) {
    let limit = size_of::<TaskState>() as u64 - 1;
    // SAFETY: the caller owns `local`.
    let gdt = unsafe {
        let task_state = (&raw const (*local).task_state) as u64;
        let gdt = &raw mut (*local).gdt;
        (*gdt).0[8] = limit | (task_state & 0xff_ffff) << 16 | 0x89 << 40 | (task_state >> 24 & 0xff) << 56;
        (*gdt).0[9] = task_state >> 32;
        // Data that programs may only read, 32 bit, counted in bytes.
        (*gdt).0[PROCESSOR_NUMBER as usize >> 3] = 0x0040_f100_0000_0000 | u64::from(index & 0xffff);
        gdt
    };
    let gdt_pointer = TablePointer { limit: size_of::<Gdt>() as u16 - 1, base: gdt as u64 };
    let idt_pointer = TablePointer { limit: size_of::<Idt>() as u16 - 1, base: IDT.0.get() as u64 };
    // SAFETY: the tables stay for ever and are well-formed; the selectors are those of `Gdt`; the far return
    // reloads CS with the kernel's code segment and continues at the next instruction.
    unsafe {
        asm!(
            "lgdt [{gdt}]",
            "lidt [{idt}]",
            "push {code}",
            "lea {scratch}, [rip + 2f]",
            "push {scratch}",
            "retfq",
            "2:",
            "mov ds, {data:e}",
            "mov es, {data:e}",
            "mov ss, {data:e}",
            "mov fs, {null:e}",
            "mov gs, {null:e}",
            "ltr {task:x}",
            gdt = in(reg) &gdt_pointer,
            idt = in(reg) &idt_pointer,
            code = const KERNEL_CODE as i32,
            scratch = out(reg) _,
            data = in(reg) u32::from(KERNEL_DATA),
            null = in(reg) 0u32,
            task = in(reg) TASK_STATE,
        );
    }
}

/// Fills the gates, on the boot processor, before anything loads them.
pub fn init() {
    // SAFETY: called once, while only the boot processor runs and no table is loaded (see `IdtCell`).
    let idt = unsafe { &mut *IDT.0.get() };
    for (vector, gate) in idt.0.iter_mut().enumerate() {
        let entry = traps::entry_address(vector);
        gate.offset_low = entry as u16;
        gate.offset_middle = (entry >> 16) as u16;
        gate.offset_high = (entry >> 32) as u32;
        gate.selector = KERNEL_CODE;
        // Interrupt gates: interrupts are off in the handler. Only the breakpoint and overflow gates may be
        // used by programs' INT.
        let privilege = if vector == 3 || vector == 4 { 3 } else { 0 };
        gate.kind = 0x8e | privilege << 5;
        gate.stack = match vector {
            2 => STACK_NMI,
            8 => STACK_DOUBLE_FAULT,
            18 => STACK_MACHINE_CHECK,
            _ => 0,
        };
    }
}

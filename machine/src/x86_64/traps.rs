//! Every way into the kernel: exceptions, interrupts, system calls.
//!
//! A trap from a program pushes its frame right into the program's [`Registers`] (the task state segment
//! points there), then returns from `enter_user`, which is how [`super::context`] sees it: as a function that
//! returned. A trap from the kernel itself pushes a frame on the kernel's stack; interrupts continue on the
//! processor's interrupt stack.

use core::arch::global_asm;
use core::mem::offset_of;
use core::sync::atomic::Ordering;

use super::local::{
    INTERRUPT_DEPTH, INTERRUPT_STACK, KERNEL_STACK, PREEMPT, SCRATCH, TASK_STACK0, USER_FRAME, local,
};
use super::{instructions, task, usercopy, vectors};
use crate::context::Registers;

/// What `enter_user` returns for a system call; other values are vectors.
pub const CALL: u64 = 0x100;

/// The processor's vector of a page fault.
pub const PAGE_FAULT: u64 = 14;

global_asm!(
    ".globl trap_stubs, call_entry, enter_user, iret_to_user",
    // One stub a vector, 16 bytes each: makes every frame look alike, with an error code and the vector.
    ".balign 16",
    "trap_stubs:",
    ".set vector, 0",
    ".rept 256",
    ".balign 16",
    ".if !((vector == 8) || ((vector >= 10) && (vector <= 14)) || (vector == 17) || (vector == 21) || (vector == 29) || (vector == 30))",
    "push 0",
    ".endif",
    ".byte 0x68",
    ".long vector",
    ".if (vector == 2) || (vector == 8) || (vector == 18)",
    "jmp trap_emergency",
    ".else",
    "jmp trap_common",
    ".endif",
    ".set vector, vector + 1",
    ".endr",

    "trap_common:",
    "cld",
    "test byte ptr [rsp + 24], 3",
    "jnz trap_from_user",
    "push rdi", "push rsi", "push rdx", "push rcx", "push rax", "push r8", "push r9", "push r10",
    "push r11", "push rbx", "push rbp", "push r12", "push r13", "push r14", "push r15",
    // AC may be set by a copy that was interrupted: SMAP holds in the handler.
    "push 2",
    "popfq",
    "mov rdi, rsp",
    "mov rbx, rsp",
    "cmp qword ptr [rsp + {vector}], 32",
    "jb 2f",
    // An interrupt: handlers never nest, so the interrupt stack is free.
    "mov rsp, gs:[{interrupt_stack}]",
    "add dword ptr gs:[{interrupt_depth}], 1",
    "call {kernel_interrupt}",
    "sub dword ptr gs:[{interrupt_depth}], 1",
    "mov rsp, rbx",
    "cmp dword ptr gs:[{preempt}], 0",
    "jne 3f",
    "test dword ptr [rsp + {rflags}], 0x200", // interrupts were off: the code there is not to be preempted
    "jz 3f",
    "and rsp, -16",
    "call {preempt_kernel}",
    "mov rsp, rbx",
    "jmp 3f",
    "2:",
    "and rsp, -16",
    "call {kernel_exception}",
    "mov rsp, rbx",
    "3:",
    "pop r15", "pop r14", "pop r13", "pop r12", "pop rbp", "pop rbx", "pop r11", "pop r10", "pop r9",
    "pop r8", "pop rax", "pop rcx", "pop rdx", "pop rsi", "pop rdi",
    "add rsp, 16",
    "iretq",

    // Pushed into the program's registers: leave them there, and return from `enter_user` with the vector.
    "trap_from_user:",
    "swapgs",
    "push rdi", "push rsi", "push rdx", "push rcx", "push rax", "push r8", "push r9", "push r10",
    "push r11", "push rbx", "push rbp", "push r12", "push r13", "push r14", "push r15",
    "mov rax, [rsp + {vector}]",
    "mov rsp, gs:[{kernel_stack}]",
    // The program's AC flag would switch SMAP off.
    "push 2",
    "popfq",
    "pop r15", "pop r14", "pop r13", "pop r12", "pop rbp", "pop rbx",
    "ret",

    // NMI, double fault, machine check: on a stack of their own; GS may be the program's or the kernel's.
    // They do not return.
    "trap_emergency:",
    "cld",
    "push rdi", "push rsi", "push rdx", "push rcx", "push rax", "push r8", "push r9", "push r10",
    "push r11", "push rbx", "push rbp", "push r12", "push r13", "push r14", "push r15",
    "mov ecx, 0xc0000101",
    "rdmsr",
    "test edx, edx",
    "js 4f",
    "swapgs",
    "4:",
    "mov rdi, rsp",
    "and rsp, -16",
    "call {emergency}",
    "ud2",

    ".balign 16",
    "call_entry:",
    "swapgs",
    "mov gs:[{scratch}], rsp",
    "mov rsp, gs:[{user_frame}]",
    "mov [rsp + {rax}], rax",
    "mov [rsp + {rbx}], rbx",
    "mov [rsp + {rcx}], rcx",
    "mov [rsp + {rdx}], rdx",
    "mov [rsp + {rsi}], rsi",
    "mov [rsp + {rdi}], rdi",
    "mov [rsp + {rbp}], rbp",
    "mov [rsp + {r8}], r8",
    "mov [rsp + {r9}], r9",
    "mov [rsp + {r10}], r10",
    "mov [rsp + {r11}], r11",
    "mov [rsp + {r12}], r12",
    "mov [rsp + {r13}], r13",
    "mov [rsp + {r14}], r14",
    "mov [rsp + {r15}], r15",
    "mov [rsp + {rip}], rcx",
    "mov [rsp + {rflags}], r11",
    "mov rax, gs:[{scratch}]",
    "mov [rsp + {rsp}], rax",
    "mov rsp, gs:[{kernel_stack}]",
    "pop r15", "pop r14", "pop r13", "pop r12", "pop rbp", "pop rbx",
    "mov eax, {call}",
    "ret",

    // u64 enter_user(Registers *rdi): interrupts are off.
    ".balign 16",
    "enter_user:",
    "push rbx", "push rbp", "push r12", "push r13", "push r14", "push r15",
    "mov gs:[{kernel_stack}], rsp",
    "mov gs:[{user_frame}], rdi",
    "lea rax, [rdi + {frame_len}]",
    "mov gs:[{task_stack0}], rax",
    "mov rsp, rdi",
    "mov rcx, [rsp + {rip}]",
    "mov r11, [rsp + {rflags}]",
    "mov r15, [rsp + {r15}]",
    "mov r14, [rsp + {r14}]",
    "mov r13, [rsp + {r13}]",
    "mov r12, [rsp + {r12}]",
    "mov rbp, [rsp + {rbp}]",
    "mov rbx, [rsp + {rbx}]",
    "mov r10, [rsp + {r10}]",
    "mov r9, [rsp + {r9}]",
    "mov r8, [rsp + {r8}]",
    "mov rax, [rsp + {rax}]",
    "mov rdx, [rsp + {rdx}]",
    "mov rsi, [rsp + {rsi}]",
    "mov rdi, [rsp + {rdi}]",
    // SYSRET gives RCX = RIP and R11 = flags: only right where a program expects just that, and RIP is
    // canonical (else the fault comes with the program's stack in kernel mode, on Intel). Flags TF and RF
    // want IRET.
    "cmp [rsp + {rcx}], rcx",
    "jne 5f",
    "cmp [rsp + {r11}], r11",
    "jne 5f",
    "test r11d, 0x10100",
    "jnz 5f",
    "bt rcx, 47",
    "jc 5f",
    "mov rsp, [rsp + {rsp}]",
    "swapgs",
    "sysretq",
    "5:",
    "mov rcx, [rsp + {rcx}]",
    "mov r11, [rsp + {r11}]",
    "add rsp, {rip}",
    "swapgs",
    "iret_to_user:",
    "iretq",

    rax = const offset_of!(Registers, rax),
    rbx = const offset_of!(Registers, rbx),
    rcx = const offset_of!(Registers, rcx),
    rdx = const offset_of!(Registers, rdx),
    rsi = const offset_of!(Registers, rsi),
    rdi = const offset_of!(Registers, rdi),
    rbp = const offset_of!(Registers, rbp),
    r8 = const offset_of!(Registers, r8),
    r9 = const offset_of!(Registers, r9),
    r10 = const offset_of!(Registers, r10),
    r11 = const offset_of!(Registers, r11),
    r12 = const offset_of!(Registers, r12),
    r13 = const offset_of!(Registers, r13),
    r14 = const offset_of!(Registers, r14),
    r15 = const offset_of!(Registers, r15),
    rip = const offset_of!(Registers, rip),
    rsp = const offset_of!(Registers, rsp),
    rflags = const offset_of!(Registers, rflags),
    vector = const offset_of!(Registers, vector),
    frame_len = const size_of::<Registers>(),
    call = const CALL,
    preempt = const PREEMPT,
    kernel_stack = const KERNEL_STACK,
    user_frame = const USER_FRAME,
    scratch = const SCRATCH,
    interrupt_stack = const INTERRUPT_STACK,
    interrupt_depth = const INTERRUPT_DEPTH,
    task_stack0 = const TASK_STACK0,
    kernel_interrupt = sym kernel_interrupt,
    kernel_exception = sym kernel_exception,
    preempt_kernel = sym preempt_kernel,
    emergency = sym emergency,
);

unsafe extern "C" {
    static trap_stubs: [u8; 256 * 16];
    fn call_entry();
    fn enter_user(registers: *mut Registers) -> u64;
    fn iret_to_user();
}

/// Where the processor continues for `vector`.
pub fn entry_address(vector: usize) -> u64 {
    (&raw const trap_stubs) as u64 + vector as u64 * 16
}

/// Where the processor continues for a system call.
pub fn call_entry_address() -> u64 {
    call_entry as *const () as u64
}

/// Runs the program with these registers until something needs the kernel; returns the vector, or [`CALL`].
/// Interrupts are off before and after.
///
/// # Safety
/// `registers` stays where it is until this returns, with the program's code and data selectors in `cs` and
/// `ss`, and flags that have interrupts on and I/O privilege 0. The loaded address space is the program's.
#[inline]
pub unsafe fn run(registers: *mut Registers) -> u64 {
    // The processor aligns the stack to 16 before it pushes the frame.
    debug_assert!(registers.cast::<u128>().is_aligned());
    // SAFETY: the caller vouches for the registers; everything the program can do comes back through the
    // entries above.
    unsafe { enter_user(registers) }
}

/// An interrupt while the kernel ran: on the interrupt stack, interrupts off.
extern "C" fn kernel_interrupt(frame: &Registers) {
    // The handler may be a reader of RCU: a processor that idled does not any more.
    local().is_idle.store(false, Ordering::SeqCst);
    vectors::dispatch(frame.vector as u8);
}

/// An interrupt is over, and the thread that it interrupted may and should make way: on that thread's stack.
/// Interrupts are off, and for this thread they stay off until its frame has been popped: or else each one that came
/// just before that would leave one more frame on the stack. The thread that is switched to has its own state.
extern "C" fn preempt_kernel() {
    task::call_reschedule_hook();
}

/// An exception while the kernel ran: a copy from or to a program that stopped, or a bug.
extern "C" fn kernel_exception(frame: &mut Registers) {
    if frame.vector == PAGE_FAULT {
        let address = instructions::read_cr2();
        if let Some(landing) = usercopy::landing(frame.rip) {
            frame.rip = landing;
            frame.rax = address;
            return;
        }
        panic!(
            "page fault in the kernel: address {address:#x}, code {:#x}, at {:#x}, stack {:#x}",
            frame.code, frame.rip, frame.rsp
        );
    }
    if let Some(landing) = usercopy::landing(frame.rip) {
        // A non-canonical address; callers check ranges, so this is a second line of defence.
        frame.rip = landing;
        frame.rax = u64::MAX;
        return;
    }
    if frame.rip == iret_to_user as *const () as u64 {
        // Cannot happen: the selectors are constants and IRET to a non-canonical address faults in the
        // program.
        panic!("the return to a program failed: code {:#x}", frame.code);
    }
    panic!(
        "exception {} in the kernel: code {:#x}, at {:#x}, stack {:#x}",
        frame.vector, frame.code, frame.rip, frame.rsp
    );
}

/// NMI (another processor stops all), double fault (a kernel stack ran over), machine check.
extern "C" fn emergency(frame: &Registers) -> ! {
    match frame.vector {
        2 => loop {
            instructions::disable_interrupts();
            instructions::halt();
        },
        8 => panic!(
            "double fault on processor {}, at {:#x}, stack {:#x} (guard page hit?), CR2 {:#x}",
            local().index,
            frame.rip,
            frame.rsp,
            instructions::read_cr2()
        ),
        vector => panic!("machine check (vector {vector}) at {:#x}", frame.rip),
    }
}

/// Handles an interrupt that came while a program ran: on the thread's stack, interrupts off.
pub fn interrupt_from_user(vector: u8) {
    let depth = &local().interrupt_depth;
    depth.store(1, Ordering::Relaxed);
    vectors::dispatch(vector);
    depth.store(0, Ordering::Relaxed);
}

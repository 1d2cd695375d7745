//! The code of the vDSO. It runs in programs: position-independent, with no stack of its own, all in caller-saved registers.
//!
//! Time is computed from [`Page`] as [`clock::page`](super::clock::page) does it: read the sequence number, which is odd
//! while the page is changed; read the counter, and scale it; begin again if the number is another one then.

use core::arch::global_asm;

use super::clock::page::{self, MODE_COUNTER, Page, SHIFT};
use super::descriptors::PROCESSOR_NUMBER;
use crate::address::PAGE_SIZE;
use crate::clock::COARSE_STEP_NS;
use crate::vdso::{CODE_OFFSET, Function, Vdso};

/// A bit for each clock that shows the time of day: CLOCK_REALTIME, CLOCK_REALTIME_COARSE, CLOCK_TAI.
const WALL_CLOCKS: u32 = 1 << 0 | 1 << 5 | 1 << 11;
/// Those that show the time since boot: CLOCK_MONOTONIC, its raw and coarse kind, CLOCK_BOOTTIME.
const BOOT_CLOCKS: u32 = 1 << 1 | 1 << 4 | 1 << 6 | 1 << 7;
/// The coarse ones.
const COARSE_CLOCKS: u32 = 1 << 5 | 1 << 6;
const LAST_CLOCK: u32 = 11;

global_asm!(
    ".pushsection .rodata.vdso, \"a\"",
    ".balign 16",
    ".globl vdso_start, vdso_end",
    ".globl vdso_clock_gettime, vdso_gettimeofday, vdso_time, vdso_clock_getres, vdso_getcpu",
    "vdso_start:",
    ".Lvdso_here:",
    // The clock's page lies in front of the shared object.
    ".set .Lvdso_page, .Lvdso_here - {distance}",

    // rax: nanoseconds, of the clock since boot where r8 is 0, of the wall clock where it is -1. To \call if the counter does
    // not tell the time. Keeps rdi and rsi.
    ".macro VDSO_NOW call",
    "20:",
    "mov r9d, [rip + .Lvdso_page + {sequence}]",
    "test r9d, 1",
    "jnz 21f",
    "cmp dword ptr [rip + .Lvdso_page + {mode}], {mode_counter}",
    "jne \\call",
    "lfence",
    "rdtsc",
    "shl rdx, 32",
    "or rax, rdx",
    "xor ecx, ecx",
    "sub rax, [rip + .Lvdso_page + {base_tsc}]",
    "cmovb rax, rcx",
    "mul qword ptr [rip + .Lvdso_page + {multiplier}]",
    "shrd rax, rdx, {shift}",
    "add rax, [rip + .Lvdso_page + {base_ns}]",
    "mov rdx, [rip + .Lvdso_page + {wall_offset_ns}]",
    "and rdx, r8",
    "add rax, rdx",
    "cmp r9d, [rip + .Lvdso_page + {sequence}]",
    "je 22f",
    "21:",
    "pause",
    "jmp 20b",
    "22:",
    ".endm",

    // rdx: the seconds in rax, rcx: what is left. Divides by 10^9 through its reciprocal, 2^-84 * 0x44b82fa09b5a53, after 2^9.
    ".macro VDSO_SPLIT",
    "mov rcx, rax",
    "shr rax, 9",
    "movabs rdx, 0x44b82fa09b5a53",
    "mul rdx",
    "shr rdx, 11",
    "imul rax, rdx, 1000000000",
    "sub rcx, rax",
    ".endm",

    // int clock_gettime(clockid_t edi, struct timespec *rsi)
    "vdso_clock_gettime:",
    "cmp edi, {last_clock}",
    "ja 2f",
    "mov eax, {clocks}",
    "bt eax, edi",
    "jnc 2f",
    "mov eax, {wall_clocks}",
    "bt eax, edi",
    "sbb r8, r8",
    "VDSO_NOW 2f",
    "VDSO_SPLIT",
    "mov [rsi], rdx",
    "mov [rsi + 8], rcx",
    "xor eax, eax",
    "ret",
    "2:",
    "mov eax, 228",
    "syscall",
    "ret",
    ".balign 16",

    // int gettimeofday(struct timeval *rdi, struct timezone *rsi)
    "vdso_gettimeofday:",
    "test rdi, rdi",
    "jz 3f",
    "mov r8, -1",
    "VDSO_NOW 2f",
    "VDSO_SPLIT",
    // By 1000 through its reciprocal, 2^-38 * 0x10624dd3.
    "imul rax, rcx, 0x10624dd3",
    "shr rax, 38",
    "mov [rdi], rdx",
    "mov [rdi + 8], rax",
    "3:",
    "test rsi, rsi",
    "jz 4f",
    "mov qword ptr [rsi], 0",
    "4:",
    "xor eax, eax",
    "ret",
    "2:",
    "mov eax, 96",
    "syscall",
    "ret",
    ".balign 16",

    // time_t time(time_t *rdi)
    "vdso_time:",
    "mov r8, -1",
    "VDSO_NOW 2f",
    "VDSO_SPLIT",
    "test rdi, rdi",
    "jz 3f",
    "mov [rdi], rdx",
    "3:",
    "mov rax, rdx",
    "ret",
    "2:",
    "mov eax, 201",
    "syscall",
    "ret",
    ".balign 16",

    // int clock_getres(clockid_t edi, struct timespec *rsi)
    "vdso_clock_getres:",
    "cmp edi, {last_clock}",
    "ja 2f",
    "mov eax, {clocks}",
    "bt eax, edi",
    "jnc 2f",
    "test rsi, rsi",
    "jz 3f",
    "mov edx, {coarse_clocks}",
    "bt edx, edi",
    "mov eax, 1",
    "mov edx, {coarse_step_ns}",
    "cmovc eax, edx",
    "mov qword ptr [rsi], 0",
    "mov [rsi + 8], rax",
    "3:",
    "xor eax, eax",
    "ret",
    "2:",
    "mov eax, 229",
    "syscall",
    "ret",
    ".balign 16",

    // int getcpu(unsigned *rdi, unsigned *rsi, void *)
    "vdso_getcpu:",
    "test rdi, rdi",
    "jz 3f",
    "mov eax, {processor_number}",
    "lsl eax, eax",
    "mov [rdi], eax",
    "3:",
    "test rsi, rsi",
    "jz 4f",
    "mov dword ptr [rsi], 0",
    "4:",
    "xor eax, eax",
    "ret",
    "vdso_end:",
    ".purgem VDSO_NOW",
    ".purgem VDSO_SPLIT",
    ".popsection",
    distance = const PAGE_SIZE + CODE_OFFSET,
    sequence = const Page::SEQUENCE,
    mode = const Page::MODE,
    mode_counter = const MODE_COUNTER,
    base_tsc = const Page::BASE_TSC,
    base_ns = const Page::BASE_NS,
    multiplier = const Page::MULTIPLIER,
    shift = const SHIFT,
    wall_offset_ns = const Page::WALL_OFFSET_NS,
    last_clock = const LAST_CLOCK,
    clocks = const WALL_CLOCKS | BOOT_CLOCKS,
    wall_clocks = const WALL_CLOCKS,
    coarse_clocks = const COARSE_CLOCKS,
    coarse_step_ns = const COARSE_STEP_NS,
    processor_number = const PROCESSOR_NUMBER,
);

unsafe extern "C" {
    static vdso_start: u8;
    static vdso_clock_gettime: u8;
    static vdso_gettimeofday: u8;
    static vdso_time: u8;
    static vdso_clock_getres: u8;
    static vdso_getcpu: u8;
    static vdso_end: u8;
}

/// See [`crate::vdso::vdso`].
pub fn vdso() -> Option<Vdso> {
    let start = &raw const vdso_start;
    let offset = |label: *const u8| label as usize - start as usize;
    // The functions in order, and the end of the last one.
    let places = [
        ("clock_gettime", &raw const vdso_clock_gettime),
        ("gettimeofday", &raw const vdso_gettimeofday),
        ("time", &raw const vdso_time),
        ("clock_getres", &raw const vdso_clock_getres),
        ("getcpu", &raw const vdso_getcpu),
        ("", &raw const vdso_end),
    ];
    let functions = core::array::from_fn(|index| {
        let ((name, label), (_, next)) = (places[index], places[index + 1]);
        Function { name, offset: offset(label), length: next as usize - label as usize }
    });
    // SAFETY: all that lies between the two labels is the code above, which is never written.
    let code = unsafe { core::slice::from_raw_parts(start, offset(&raw const vdso_end)) };
    Some(Vdso { code, functions, page: page::frame() })
}

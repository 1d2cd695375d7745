//! The program's first instructions: they note the time-stamp counter and go on to the C library's own start.
#![expect(unsafe_code, reason = "what comes before main is assembly")]

use std::arch::global_asm;
use std::sync::atomic::{AtomicU64, Ordering};

/// The counter when the program began.
#[unsafe(no_mangle)]
static BENCH_BOOT_TICKS: AtomicU64 = AtomicU64::new(0);

// The System V ABI leaves every register but RSP and RDX unspecified at a program's start; RDX is kept. The static is reached
// relative to RIP, since a position-independent program has not been relocated yet.
global_asm!(
    ".globl bench_boot_first",
    "bench_boot_first:",
    "mov r8, rdx",
    "rdtsc",
    "shl rdx, 32",
    "or rax, rdx",
    "mov [rip + BENCH_BOOT_TICKS], rax",
    "mov rdx, r8",
    "jmp _start",
);

/// Ticks of the counter at the program's first instruction.
pub fn ticks() -> u64 {
    BENCH_BOOT_TICKS.load(Ordering::Relaxed)
}

//! Copying, in the kernel and between it and programs.
//!
//! The functions that touch a program's memory are assembly with known extents. A fault inside one continues
//! at its landing (see [`landing`]), which works out how far it got. Words are copied first; when a word
//! faults, its bytes are tried one by one, so that the count is exact.

use core::arch::{asm, global_asm};
use core::sync::atomic::{AtomicU8, Ordering};

/// 1 where the processor keeps the kernel out of user memory unless AC is set (SMAP).
static HAS_SMAP: AtomicU8 = AtomicU8::new(0);

/// Says that SMAP is on; called once, at boot.
pub fn set_smap(is_on: bool) {
    HAS_SMAP.store(is_on.into(), Ordering::Relaxed);
}

global_asm!(
    ".globl user_copy, user_zero, user_load, user_exchange",
    ".globl user_copy_words, user_copy_bytes, user_copy_end, user_copy_words_failed",
    ".globl user_zero_words, user_zero_bytes, user_zero_end, user_zero_words_failed",
    ".globl user_load_word, user_load_end, user_load_failed, user_exchange_word",
    ".globl user_exchange_end, user_exchange_failed",
    ".macro user_open",
    "cmp byte ptr [rip + {smap}], 0",
    "je 77f",
    "stac",
    "77:",
    ".endm",
    ".macro user_close",
    "cmp byte ptr [rip + {smap}], 0",
    "je 78f",
    "clac",
    "78:",
    ".endm",

    // usize user_copy(to rdi, from rsi, len rdx) -> bytes not copied
    "user_copy:",
    "user_open",
    "mov rcx, rdx",
    "shr rcx, 3",
    "user_copy_words:",
    "rep movsq",
    "mov ecx, edx",
    "and ecx, 7",
    "user_copy_bytes:",
    "rep movsb",
    "user_copy_end:",
    "mov rax, rcx",
    "user_close",
    "ret",
    "user_copy_words_failed:",
    "and edx, 7",
    "lea rcx, [rdx + rcx * 8]",
    "jmp user_copy_bytes",

    // usize user_zero(to rdi, len rsi) -> bytes not zeroed
    "user_zero:",
    "user_open",
    "xor eax, eax",
    "mov rcx, rsi",
    "shr rcx, 3",
    "user_zero_words:",
    "rep stosq",
    "mov ecx, esi",
    "and ecx, 7",
    "user_zero_bytes:",
    "rep stosb",
    "user_zero_end:",
    "mov rax, rcx",
    "user_close",
    "ret",
    "user_zero_words_failed:",
    "xor eax, eax",
    "and esi, 7",
    "lea rcx, [rsi + rcx * 8]",
    "jmp user_zero_bytes",

    // u64 user_load(from rdi) -> word, or bit 32 set
    "user_load:",
    "user_open",
    "user_load_word:",
    "mov eax, [rdi]",
    "user_load_end:",
    "user_close",
    "ret",
    "user_load_failed:",
    "mov eax, 1",
    "shl rax, 32",
    "jmp user_load_end",

    // u64 user_exchange(at rdi, old esi, new edx) -> word seen, or bit 32 set
    "user_exchange:",
    "user_open",
    "mov eax, esi",
    "user_exchange_word:",
    "lock cmpxchg [rdi], edx",
    "user_exchange_end:",
    "mov eax, eax",
    "user_close",
    "ret",
    "user_exchange_failed:",
    "mov eax, 1",
    "shl rax, 32",
    "user_close",
    "ret",
    smap = sym HAS_SMAP,
);

unsafe extern "C" {
    fn user_copy(to: *mut u8, from: *const u8, len: usize) -> usize;
    fn user_zero(to: usize, len: usize) -> usize;
    fn user_load(from: usize) -> u64;
    fn user_exchange(at: usize, old: u32, new: u32) -> u64;
    fn user_copy_words();
    fn user_copy_bytes();
    fn user_copy_end();
    fn user_copy_words_failed();
    fn user_zero_words();
    fn user_zero_bytes();
    fn user_zero_end();
    fn user_zero_words_failed();
    fn user_load_word();
    fn user_load_end();
    fn user_load_failed();
    fn user_exchange_word();
    fn user_exchange_end();
    fn user_exchange_failed();
}

/// Where to continue after a fault at `rip`, if that is an instruction above that may fault.
pub fn landing(rip: u64) -> Option<u64> {
    let extents: [(unsafe extern "C" fn(), unsafe extern "C" fn(), unsafe extern "C" fn()); 6] = [
        (user_copy_words, user_copy_bytes, user_copy_words_failed),
        (user_copy_bytes, user_copy_end, user_copy_end),
        (user_zero_words, user_zero_bytes, user_zero_words_failed),
        (user_zero_bytes, user_zero_end, user_zero_end),
        (user_load_word, user_load_end, user_load_failed),
        (user_exchange_word, user_exchange_end, user_exchange_failed),
    ];
    let address = |function: unsafe extern "C" fn()| function as *const () as u64;
    extents
        .into_iter()
        .find(|&(start, end, _)| (address(start)..address(end)).contains(&rip))
        .map(|(_, _, landing)| address(landing))
}

/// Copies from a program; returns how many bytes were copied before a fault.
///
/// # Safety
/// `to` has room for `len` bytes; `from..from + len` is below the end of user space.
#[inline]
pub unsafe fn copy_from_user(to: *mut u8, from: usize, len: usize) -> usize {
    // SAFETY: the caller vouches for `to`; faults of `from` are recovered from.
    len - unsafe { user_copy(to, from as *const u8, len) }
}

/// Copies to a program; returns how many bytes were copied before a fault.
///
/// # Safety
/// `from` has `len` readable bytes; `to..to + len` is below the end of user space.
#[inline]
pub unsafe fn copy_to_user(to: usize, from: *const u8, len: usize) -> usize {
    // SAFETY: the caller vouches for `from`; faults of `to` are recovered from.
    len - unsafe { user_copy(to as *mut u8, from, len) }
}

/// Zeroes a program's bytes; returns how many before a fault.
///
/// # Safety
/// `to..to + len` is below the end of user space.
#[inline]
pub unsafe fn zero_user(to: usize, len: usize) -> usize {
    // SAFETY: the range is the program's, and faults are recovered from.
    len - unsafe { user_zero(to, len) }
}

/// Loads an aligned word of a program in one access; `false` after a fault.
///
/// # Safety
/// `from` is aligned, and below the end of user space.
#[inline]
pub unsafe fn load_user(from: usize, into: &mut [u8; 4]) -> bool {
    // SAFETY: the address is the program's, and a fault is recovered from.
    let value = unsafe { user_load(from) };
    *into = (value as u32).to_ne_bytes();
    value >> 32 == 0
}

/// Compares and exchanges an aligned word of a program; the value seen, or `None` after a fault.
///
/// # Safety
/// `at` is aligned, and below the end of user space.
#[inline]
pub unsafe fn compare_exchange_user(at: usize, old: u32, new: u32) -> Option<u32> {
    // SAFETY: the address is the program's, and a fault is recovered from.
    let value = unsafe { user_exchange(at, old, new) };
    (value >> 32 == 0).then_some(value as u32)
}

/// Copies memory that others may be changing, as plain bytes.
///
/// # Safety
/// Both ranges are mapped, `to` is writable, and no Rust reference covers what is written.
#[inline]
pub unsafe fn copy(to: *mut u8, from: *const u8, len: usize) {
    // SAFETY: the caller vouches for the ranges. The string instructions are opaque to the compiler, so bytes
    // that change meanwhile are only bytes.
    unsafe {
        asm!("rep movsq", inout("rcx") len / 8 => _, inout("rdi") to => _, inout("rsi") from => _,
             options(nostack, preserves_flags));
        if !len.is_multiple_of(8) {
            asm!("rep movsb", inout("rcx") len % 8 => _, inout("rdi") to.add(len & !7) => _,
                 inout("rsi") from.add(len & !7) => _, options(nostack, preserves_flags));
        }
    }
}

/// Zeroes memory that others may be changing.
///
/// # Safety
/// The range is mapped and writable, and no Rust reference covers it.
#[inline]
pub unsafe fn zero(to: *mut u8, len: usize) {
    // SAFETY: as in `copy`.
    unsafe {
        asm!("rep stosq", inout("rcx") len / 8 => _, inout("rdi") to => _, in("rax") 0,
             options(nostack, preserves_flags));
        if !len.is_multiple_of(8) {
            asm!("rep stosb", inout("rcx") len % 8 => _, inout("rdi") to.add(len & !7) => _, in("al") 0u8,
                 options(nostack, preserves_flags));
        }
    }
}

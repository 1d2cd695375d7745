//! Single instructions, named.

use core::arch::asm;

/// RFLAGS.IF: interrupts are taken.
pub const FLAG_INTERRUPT: u64 = 1 << 9;

/// Reads a model-specific register.
///
/// # Safety
/// The register exists on this processor.
#[inline]
pub unsafe fn read_msr(register: u32) -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: reading an existing register changes nothing.
    unsafe {
        asm!("rdmsr", in("ecx") register, out("eax") low, out("edx") high, options(nomem, nostack, preserves_flags));
    }
    u64::from(high) << 32 | u64::from(low)
}

/// Writes a model-specific register.
///
/// # Safety
/// The register exists, and the value keeps what the rest of the kernel relies on.
#[inline]
pub unsafe fn write_msr(register: u32, value: u64) {
    // SAFETY: the caller vouches for register and value.
    unsafe {
        asm!("wrmsr", in("ecx") register, in("eax") value as u32, in("edx") (value >> 32) as u32,
             options(nostack, preserves_flags));
    }
}

/// The flags register.
#[inline]
pub fn flags() -> u64 {
    let flags: u64;
    // SAFETY: pushes and pops one word of the stack, nothing else.
    unsafe { asm!("pushfq", "pop {}", out(reg) flags, options(preserves_flags)) };
    flags
}

/// Stops taking interrupts.
#[inline]
pub fn disable_interrupts() {
    // SAFETY: fewer interrupts cannot break memory safety. No `nomem`: it orders accesses like a lock.
    unsafe { asm!("cli", options(nostack)) };
}

/// Takes interrupts.
#[inline]
pub fn enable_interrupts() {
    // SAFETY: handlers only use what is guarded against them.
    unsafe { asm!("sti", options(nostack)) };
}

/// Takes interrupts and waits for one; nothing comes between the two.
#[inline]
pub fn enable_and_halt() {
    // SAFETY: `sti` takes effect after the next instruction, so no wake-up is lost.
    unsafe { asm!("sti", "hlt", options(nostack)) };
}

/// Waits for an interrupt that cannot come.
#[inline]
pub fn halt() {
    // SAFETY: harmless.
    unsafe { asm!("hlt", options(nomem, nostack, preserves_flags)) };
}

/// The time stamp counter, not ordered against other instructions.
#[inline]
pub fn read_tsc() -> u64 {
    // SAFETY: every x86-64 processor has it, and CR4.TSD is clear.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// The time stamp counter, read after all loads before it.
#[inline]
pub fn read_tsc_ordered() -> u64 {
    // SAFETY: both instructions exist on every x86-64 processor; the first waits for the loads before it.
    unsafe {
        core::arch::x86_64::_mm_lfence();
        core::arch::x86_64::_rdtsc()
    }
}

/// The address of the last page fault.
#[inline]
pub fn read_cr2() -> u64 {
    let value: u64;
    // SAFETY: reading CR2 changes nothing.
    unsafe { asm!("mov {}, cr2", out(reg) value, options(nomem, nostack, preserves_flags)) };
    value
}

/// The physical address of the root page table.
#[inline]
pub fn read_cr3() -> u64 {
    let value: u64;
    // SAFETY: reading CR3 changes nothing.
    unsafe { asm!("mov {}, cr3", out(reg) value, options(nomem, nostack, preserves_flags)) };
    value
}

/// Loads the root page table, dropping all translations that are not global.
///
/// # Safety
/// The table at `root` maps the kernel as all others do, and stays until another one is loaded.
#[inline]
pub unsafe fn write_cr3(root: u64) {
    // SAFETY: the caller vouches for the tables.
    unsafe { asm!("mov cr3, {}", in(reg) root, options(nostack, preserves_flags)) };
}

/// Control register 0.
#[inline]
pub fn read_cr0() -> u64 {
    let value: u64;
    // SAFETY: reading CR0 changes nothing.
    unsafe { asm!("mov {}, cr0", out(reg) value, options(nomem, nostack, preserves_flags)) };
    value
}

/// Sets control register 0.
///
/// # Safety
/// Paging, protection and write-protect stay on.
#[inline]
pub unsafe fn write_cr0(value: u64) {
    // SAFETY: the caller vouches for the value.
    unsafe { asm!("mov cr0, {}", in(reg) value, options(nostack, preserves_flags)) };
}

/// Control register 4.
#[inline]
pub fn read_cr4() -> u64 {
    let value: u64;
    // SAFETY: reading CR4 changes nothing.
    unsafe { asm!("mov {}, cr4", out(reg) value, options(nomem, nostack, preserves_flags)) };
    value
}

/// Sets control register 4.
///
/// # Safety
/// The processor has every feature that is switched on, and none that the kernel relies on is switched off.
#[inline]
pub unsafe fn write_cr4(value: u64) {
    // SAFETY: the caller vouches for the value.
    unsafe { asm!("mov cr4, {}", in(reg) value, options(nostack, preserves_flags)) };
}

/// Drops the translation of one page, in the loaded address space.
#[inline]
pub fn flush_page(address: usize) {
    // SAFETY: dropping a cached translation only costs a walk.
    unsafe { asm!("invlpg [{}]", in(reg) address, options(nostack, preserves_flags)) };
}

/// Sets an extended control register (XCR0 is number 0).
///
/// # Safety
/// CR4.OSXSAVE is set and the processor supports every bit of `value`.
pub unsafe fn write_xcr0(value: u64) {
    // SAFETY: the caller vouches for the value.
    unsafe {
        asm!("xsetbv", in("ecx") 0, in("eax") value as u32, in("edx") (value >> 32) as u32,
             options(nomem, nostack, preserves_flags));
    }
}

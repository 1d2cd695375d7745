//! The clock's code for programs: what the vDSO is made of.
//!
//! A program that asks for the time need not enter the kernel: it maps the page of the clock for reading, and beside it code
//! that reads it. Both are the machine's, since the code is assembly and the page is the kernel's own clock. Whoever makes the
//! shared object puts the code at [`CODE_OFFSET`] in it, and maps the clock's page in front of the object: the code finds
//! the one by its distance from the other.

use crate::arch;
use crate::frame::Frame;

/// Where the code must lie in the shared object, in bytes.
pub const CODE_OFFSET: usize = 0x600;

/// A function of the code, for calls by the C convention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Function {
    /// Linux's name for it, without the `__vdso_` in front.
    pub name: &'static str,
    /// Where it begins in the code, in bytes.
    pub offset: usize,
    /// Its length in bytes.
    pub length: usize,
}

/// The code and what it reads.
pub struct Vdso {
    /// Position-independent code that never moves the stack pointer.
    pub code: &'static [u8],
    /// The functions in it: clock_gettime, gettimeofday, time, clock_getres and getcpu, each like the call of its name. They make
    /// that call where the time cannot be told without the kernel.
    pub functions: [Function; 5],
    /// The clock's page, which holds nothing else. The kernel changes it.
    pub page: Frame,
}

/// The code, where programs run on a processor. Called once.
pub fn vdso() -> Option<Vdso> {
    arch::vdso()
}

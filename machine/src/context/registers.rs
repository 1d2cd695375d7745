//! The general registers of a program's thread.

/// General registers, instruction pointer and flags. The layout is that of the trap frame that the entry code
/// and the processor build, from low to high addresses; the private words are theirs.
#[repr(C, align(16))]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the registers' names say it")]
pub struct Registers {
    pub r15: u64,
    pub r14: u64,
    pub r13: u64,
    pub r12: u64,
    pub rbp: u64,
    pub rbx: u64,
    pub r11: u64,
    pub r10: u64,
    pub r9: u64,
    pub r8: u64,
    pub rax: u64,
    pub rcx: u64,
    pub rdx: u64,
    pub rsi: u64,
    pub rdi: u64,
    pub(crate) vector: u64,
    pub(crate) code: u64,
    pub rip: u64,
    pub(crate) cs: u64,
    pub rflags: u64,
    pub rsp: u64,
    pub(crate) ss: u64,
}

impl Registers {
    /// The flags that a program may set: CF PF AF ZF SF TF DF OF NT RF AC ID. Interrupts are always on, I/O
    /// privilege always 0.
    pub const USER_FLAGS: u64 = 0x25_4dd5;
}

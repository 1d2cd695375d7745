//! Running a program: its registers, and the reasons for which it comes back.

use crate::address::UserAddress;
use crate::arch;
use crate::frame::OutOfMemory;

mod registers;

pub use arch::context::ExtendedState;
pub use registers::Registers;

/// How memory was touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// A load.
    Read,
    /// A store.
    Write,
    /// An instruction fetch.
    Execute,
}

/// A processor exception that a program caused, other than a page fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exception {
    /// The vector (Intel SDM vol. 3, table 6-1): 0 divide error, 3 breakpoint, 6 invalid opcode, 13 general
    /// protection ...
    pub vector: u8,
    /// The error code pushed by the processor, 0 where there is none.
    pub code: u64,
}

/// Why a program stopped running.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trap {
    /// It executed `syscall`: number in `rax`, arguments in `rdi rsi rdx r10 r8 r9`.
    Call,
    /// It touched memory that is not mapped so.
    Fault {
        /// The address touched; not necessarily below the end of user space.
        address: UserAddress,
        /// What it tried.
        access: Access,
        /// Whether the page was mapped, without the right that was needed.
        is_protection: bool,
    },
    /// Another exception.
    Exception(Exception),
    /// A device, the timer or another processor wanted this processor; that has been dealt with already.
    Interrupt,
}

/// The registers of a program's thread, and its floating-point state while it is not loaded.
///
/// General registers are always here when the kernel runs. The extended state (x87, SSE, AVX ...) and the
/// segment bases stay in the processor until another program's thread runs there or
/// [`extended`](Self::extended) asks for them.
pub struct UserContext {
    pub(crate) arch: arch::context::Context,
}

impl UserContext {
    /// A context with zeroed registers, interrupts on, and the extended state in its reset form.
    pub fn new() -> Result<Self, OutOfMemory> {
        Ok(Self { arch: arch::context::Context::new()? })
    }

    /// A copy, for a new thread of the program.
    pub fn duplicate(&mut self) -> Result<Self, OutOfMemory> {
        Ok(Self { arch: self.arch.duplicate()? })
    }

    /// Sets everything to the state of a program that has just been loaded.
    pub fn reset(&mut self) {
        self.arch.reset();
    }

    /// Runs the program in the current thread's address space until something needs the kernel. Called with
    /// nothing held.
    ///
    /// If `has_work` finds something set (it is tested with interrupts held off, so that no notice given by
    /// an interrupt or another processor is missed), returns [`Trap::Interrupt`] without entering.
    #[inline]
    pub fn run(&mut self, has_work: impl Fn() -> bool) -> Trap {
        self.arch.run(has_work)
    }

    /// The general registers.
    #[inline]
    pub fn registers(&self) -> &Registers {
        self.arch.registers()
    }

    /// The general registers, to change. Unsafe values (flags, segment selectors, a kernel or non-canonical
    /// instruction pointer) cannot harm the kernel: they are masked at entry, or come back as a general
    /// protection exception of the program.
    #[inline]
    pub fn registers_mut(&mut self) -> &mut Registers {
        self.arch.registers_mut()
    }

    /// The extended state, taken out of the processor if it is there.
    pub fn extended(&mut self) -> &mut ExtendedState {
        self.arch.extended()
    }

    /// The base of the FS segment (thread-local storage).
    pub fn fs_base(&mut self) -> u64 {
        self.arch.fs_base()
    }

    /// Sets the base of FS; a non-canonical or kernel address is refused with `false`.
    pub fn set_fs_base(&mut self, base: u64) -> bool {
        self.arch.set_fs_base(base)
    }

    /// The base of the GS segment of the program.
    pub fn gs_base(&mut self) -> u64 {
        self.arch.gs_base()
    }

    /// Sets the base of GS; a non-canonical or kernel address is refused with `false`.
    pub fn set_gs_base(&mut self, base: u64) -> bool {
        self.arch.set_gs_base(base)
    }
}

//! What lies on a handler's stack: the return address, a [`UContext`] with all registers, a
//! [`super::info::SigInfo`], and the extended state that `fpstate` points at (asm/sigcontext.h,
//! asm/ucontext.h). rt_sigreturn(2) reads it back, so everything in it is the program's word.

use super::SigAltStack;
use super::info::SigInfo;
use crate::plain::plain;

/// In [`SoftwareBytes::magic1`]: extended state follows the legacy area.
pub const FP_XSTATE_MAGIC1: u32 = 0x4650_5853;
/// The four bytes after the extended state: it was not cut off.
pub const FP_XSTATE_MAGIC2: u32 = 0x4650_5845;
/// The size of [`FP_XSTATE_MAGIC2`] in the frame.
pub const FP_XSTATE_MAGIC2_SIZE: usize = 4;

/// `UContext::uc_flags`: the extended state is in the format of XSAVE.
pub const UC_FP_XSTATE: u64 = 1;
/// `UContext::uc_flags`: `ss` was saved.
pub const UC_SIGCONTEXT_SS: u64 = 2;
/// `UContext::uc_flags`: restore `ss` exactly.
pub const UC_STRICT_RESTORE_SS: u64 = 4;

plain! {
    /// The registers of the interrupted program (`struct sigcontext_64`).
    pub struct SigContext {
        pub r8: u64,
        pub r9: u64,
        pub r10: u64,
        pub r11: u64,
        pub r12: u64,
        pub r13: u64,
        pub r14: u64,
        pub r15: u64,
        pub rdi: u64,
        pub rsi: u64,
        pub rbp: u64,
        pub rbx: u64,
        pub rdx: u64,
        pub rax: u64,
        pub rcx: u64,
        pub rsp: u64,
        pub rip: u64,
        pub eflags: u64,
        pub cs: u16,
        pub gs: u16,
        pub fs: u16,
        pub ss: u16,
        pub err: u64,
        pub trapno: u64,
        pub oldmask: u64,
        pub cr2: u64,
        /// The address of the [`FpState`], 64-byte aligned, or zero where there is none.
        pub fpstate: u64,
        pub reserved: [u64; 8],
    }

    /// The context that a handler may change (`struct ucontext`, with the kernel's 8-byte mask).
    pub struct UContext {
        pub uc_flags: u64,
        pub uc_link: u64,
        pub uc_stack: SigAltStack,
        pub uc_mcontext: SigContext,
        pub uc_sigmask: u64,
    }

    /// The frame from the stack pointer upwards (`struct rt_sigframe`).
    pub struct RtSigFrame {
        /// The handler's return address: `SigAction::sa_restorer`.
        pub pretcode: u64,
        pub uc: UContext,
        pub info: SigInfo,
    }

    /// What software keeps in the last bytes of FXSAVE's area (`struct _fpx_sw_bytes`).
    pub struct SoftwareBytes {
        /// [`FP_XSTATE_MAGIC1`] where extended state follows.
        pub magic1: u32,
        /// All bytes from the area's start to the end of the second magic.
        pub extended_size: u32,
        /// The components that are in the area (XCR0's bits).
        pub xfeatures: u64,
        /// The bytes that XSAVE wrote.
        pub xstate_size: u32,
        pub padding: [u32; 7],
    }

    /// The legacy area of FXSAVE and XSAVE (`struct _fpstate_64`).
    pub struct FpState {
        pub cwd: u16,
        pub swd: u16,
        pub twd: u16,
        pub fop: u16,
        pub rip: u64,
        pub rdp: u64,
        pub mxcsr: u32,
        pub mxcsr_mask: u32,
        pub st_space: [u32; 32],
        pub xmm_space: [u32; 64],
        pub reserved: [u32; 12],
        pub sw_reserved: SoftwareBytes,
    }

    /// What follows the legacy area in XSAVE's (Intel SDM volume 1, 13.4.2).
    pub struct XsaveHeader {
        pub xstate_bv: u64,
        pub xcomp_bv: u64,
        pub reserved: [u64; 6],
    }
}

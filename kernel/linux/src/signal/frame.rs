//! The frame that a handler finds on its stack, in Linux's exact layout, and what is believed of it when it comes back.
//!
//! ```text
//!   higher   | 128 bytes of red zone, unless on the alternate stack |
//!            | extended state (XSAVE), 64-byte aligned              | <- uc.uc_mcontext.fpstate
//!            | siginfo, ucontext                                    |
//!   rsp ->   | return address: the action's restorer                | rsp + 8 is 16-byte aligned, as after a call
//! ```
//!
//! Everything in it can be changed by the program before rt_sigreturn(2): registers are taken as they are (the machine masks what could hurt the kernel),
//! the mask loses what cannot be blocked, the extended state is checked by the machine before it is loaded.

use abi::signal::frame::RtSigFrame;
use abi::signal::{SS_DISABLE, SigAltStack};
use core::mem::size_of;

/// What the ABI keeps below the stack pointer for leaf functions (System V ABI, 3.2.2).
const RED_ZONE: u64 = 128;

/// Where the parts of a frame go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placement {
    /// The new stack pointer: the address of the [`RtSigFrame`].
    pub frame: u64,
    /// The address of the extended state, 64-byte aligned.
    pub extended: u64,
    /// Whether the frame lies on the alternate stack.
    pub is_alternate: bool,
}

/// Whether `stack_pointer` lies on the alternate stack.
pub fn is_on(stack: &SigAltStack, stack_pointer: u64) -> bool {
    stack.ss_flags & SS_DISABLE == 0
        && stack_pointer > stack.ss_sp
        && stack_pointer - stack.ss_sp <= stack.ss_size
}

/// Chooses the place of a frame with `extended_len` bytes of extended state; `None` when it would leave the alternate stack, or the address space: the
/// program cannot be told and is ended (sigaltstack(2), NOTES).
pub fn place(
    stack_pointer: u64,
    alternate: &SigAltStack,
    wants_alternate: bool,
    extended_len: u64,
) -> Option<Placement> {
    let is_already_on = is_on(alternate, stack_pointer);
    let switches =
        wants_alternate && !is_already_on && alternate.ss_flags & SS_DISABLE == 0 && alternate.ss_size > 0;
    let top = if switches {
        alternate.ss_sp.checked_add(alternate.ss_size)?
    } else {
        stack_pointer.checked_sub(RED_ZONE)?
    };
    let extended = top.checked_sub(extended_len)? & !63;
    let frame = (extended.checked_sub(size_of::<RtSigFrame>() as u64)? & !15).checked_sub(8)?;
    if (switches || is_already_on) && frame < alternate.ss_sp {
        return None;
    }
    Some(Placement { frame, extended, is_alternate: switches || is_already_on })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: SigAltStack = SigAltStack::DISABLED;

    fn alternate() -> SigAltStack {
        SigAltStack { ss_sp: 0x10000, ss_flags: 0, pad: 0, ss_size: 0x4000 }
    }

    #[test]
    fn the_frame_leaves_the_red_zone_alone_and_is_aligned_as_after_a_call() {
        let placement = place(0x7fff_1234_5678, &NONE, false, 1000).unwrap();
        assert!(placement.extended + 1000 <= 0x7fff_1234_5678 - RED_ZONE);
        assert_eq!(placement.extended % 64, 0);
        assert_eq!((placement.frame + 8) % 16, 0);
        assert!(placement.frame + size_of::<RtSigFrame>() as u64 <= placement.extended);
    }

    #[test]
    fn a_handler_on_the_alternate_stack_starts_at_its_top() {
        let placement = place(0x7fff_0000_0000, &alternate(), true, 832).unwrap();
        assert!(placement.is_alternate);
        assert!(placement.frame > 0x10000 && placement.frame < 0x14000);
    }

    #[test]
    fn a_second_handler_goes_on_below_the_first_on_the_alternate_stack() {
        let placement = place(0x12000, &alternate(), true, 832).unwrap();
        assert!(placement.is_alternate && placement.frame < 0x12000 - RED_ZONE - 832);
    }

    #[test]
    fn an_alternate_stack_that_is_full_has_no_place() {
        assert_eq!(place(0x10400, &alternate(), true, 832), None);
    }

    #[test]
    fn a_stack_pointer_near_zero_has_no_place() {
        for stack_pointer in [0, 1, 127, 128, 700] {
            assert_eq!(place(stack_pointer, &NONE, false, 832), None);
        }
    }
}

//! The call stack, read from the stack itself.
//!
//! A call pushes its own address. So a word on the stack that is the address of a `call` is taken for a return address;
//! a program that keeps such a number as data shows a frame too many.

use crate::debugger::Debugger;
use soc_machine::isa::{self, Operation};

/// Words of the stack that are looked at.
const DEEPEST: u32 = 4096;
/// Frames that are listed.
const MOST: usize = 256;

/// One function under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Where it is: the next instruction for the first frame, the call that has not returned for the others.
    pub address: u32,
    /// Where on the stack that was found; the stack pointer for the first.
    pub slot: u32,
}

impl Debugger {
    /// The functions under way, the innermost first.
    pub fn frames(&self) -> Vec<Frame> {
        let cpu = self.machine.cpu();
        let mut frames = vec![Frame { address: cpu.ip(), slot: cpu.sp() }];
        for index in 0..DEEPEST {
            let slot = cpu.sp().wrapping_add(index * 4);
            let Some(address) = self.machine.peek32(slot) else { break };
            let is_call = address.is_multiple_of(8)
                && self
                    .machine
                    .word(address)
                    .and_then(|word| isa::by_opcode(word.opcode))
                    .is_some_and(|row| row.operation == Operation::Call);
            if is_call {
                frames.push(Frame { address, slot });
                if frames.len() == MOST {
                    break;
                }
            }
        }
        frames
    }
}

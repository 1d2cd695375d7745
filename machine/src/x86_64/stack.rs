//! Walking the kernel's stacks by their frame pointers.

use super::{local, memory};
use core::arch::asm;

/// Frames followed at the most.
const DEPTH: usize = 48;

/// Calls `visit` with each return address, innermost first.
pub fn walk_stack(visit: &mut dyn FnMut(u64)) {
    let mut frame: u64;
    // SAFETY: reads a register.
    unsafe { asm!("mov {}, rbp", out(reg) frame, options(nomem, nostack, preserves_flags)) };
    let (text_start, text_end) = memory::text_extent();
    for _ in 0..DEPTH {
        if !frame.is_multiple_of(8) || !memory::is_stack(frame) || !memory::is_stack(frame + 8) {
            return;
        }
        // SAFETY: both words lie on mapped stacks of the kernel; whatever they hold is only a number.
        let (next, address) = unsafe { ((frame as *const u64).read(), (frame as *const u64).add(1).read()) };
        if !(text_start..text_end).contains(&address) {
            return;
        }
        visit(address);
        if next <= frame && memory::is_same_stack(next, frame) {
            return;
        }
        frame = next;
    }
}

/// Stops all processors but this one.
pub fn stop_others() {
    let me = local::local().index as usize;
    let others = (0..crate::cpu::MAX_CPUS).filter(|&cpu| cpu != me).filter_map(local::local_of);
    others.for_each(super::apic::send_stop);
}

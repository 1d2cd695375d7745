//! What several guest programs use: system calls made with whatever arguments, and a child for what must not be seen by the
//! rest of a program.
#![expect(unsafe_code, reason = "no safe wrapper makes calls with arbitrary arguments")]

use std::arch::asm;

/// `AT_FDCWD`.
pub const HERE: usize = 100_usize.wrapping_neg();

/// Makes the call with this number.
///
/// # Safety
///
/// What the call does must leave alone what the program goes on using: memory it maps, descriptors it owns.
pub unsafe fn call(number: usize, arguments: [usize; 6]) -> isize {
    let result: isize;
    // SAFETY: the instruction itself changes nothing but the three registers named; the call's effects are the caller's word.
    unsafe {
        asm!("syscall", inlateout("rax") number as isize => result,
             in("rdi") arguments[0], in("rsi") arguments[1], in("rdx") arguments[2],
             in("r10") arguments[3], in("r8") arguments[4], in("r9") arguments[5],
             lateout("rcx") _, lateout("r11") _);
    }
    result
}

/// Runs `act` in a process of its own, and gives what wait(2) says of its end. The program must have one thread only.
pub fn in_a_child(act: impl FnOnce()) -> i32 {
    const FORK: usize = 57;
    const EXIT_GROUP: usize = 231;
    const WAIT4: usize = 61;
    // SAFETY: the copy has the only thread that there was, so nothing in it is half done.
    let child = unsafe { call(FORK, [0; 6]) };
    assert!(child >= 0, "no child: {child}");
    if child == 0 {
        act();
        // SAFETY: the process ends.
        unsafe { call(EXIT_GROUP, [0; 6]) };
    }
    let mut status = 0_i32;
    // SAFETY: the call writes to `status`, which outlives it.
    unsafe { call(WAIT4, [child as usize, &raw mut status as usize, 0, 0, 0, 0]) };
    status
}

//! Tracing: a line of the kernel's log for each call, as strace(1) would show it. Off, it costs one load in each call.

use abi::Errno;
use machine::sync::atomic::{AtomicBool, Ordering};

use crate::process::Caller;

static IS_ON: AtomicBool = AtomicBool::new(false);

/// Turns tracing on.
pub fn start() {
    IS_ON.store(true, Ordering::Relaxed);
}

/// Whether calls are traced.
#[inline]
pub fn is_on() -> bool {
    IS_ON.load(Ordering::Relaxed)
}

/// A call has been made, and its result is in `rax`.
#[cold]
pub fn call_finished(caller: &Caller, number: u64) {
    let registers = caller.context.registers();
    let arguments = [registers.rdi, registers.rsi, registers.rdx, registers.r10, registers.r8, registers.r9];
    let name = abi::syscall::name(number).unwrap_or("unknown");
    let tid = caller.task.tid();
    let [a, b, c, d, e, f] = arguments;
    match Errno::from_return_value(registers.rax as i64) {
        Some(error) => kernel_log::info!(
            "[{tid}] {name}({a:#x}, {b:#x}, {c:#x}, {d:#x}, {e:#x}, {f:#x}) = -1 {} ({})",
            error.name(),
            error.description()
        ),
        None => kernel_log::info!(
            "[{tid}] {name}({a:#x}, {b:#x}, {c:#x}, {d:#x}, {e:#x}, {f:#x}) = {:#x}",
            registers.rax
        ),
    }
}

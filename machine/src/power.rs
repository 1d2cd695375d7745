//! The end: stopping all processors, leaving the emulator.

use crate::arch;

/// Stops every processor, this one last. For a panic and for `halt`.
pub fn stop() -> ! {
    arch::stop()
}

/// Tells QEMU's debug-exit device (port 0xf4, where present) to end with status `(code << 1) | 1`. Returns
/// where there is no such device.
pub fn debug_exit(code: u8) {
    arch::debug_exit(code);
}

/// Resets the machine: the keyboard controller's pulse, then a triple fault.
pub fn reset() -> ! {
    arch::reset()
}

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

/// Writes the ACPI sleep value to the PM1a control block (and PM1b if there is one): soft off. The values
/// come from the firmware's tables. Returns if the machine is still running a moment later.
pub fn acpi_off(pm1a_port: u16, pm1b_port: Option<u16>, sleep_type_a: u8, sleep_type_b: u8) {
    arch::acpi_off(pm1a_port, pm1b_port, sleep_type_a, sleep_type_b);
}

/// Resets the machine: the keyboard controller's pulse, then a triple fault.
pub fn reset() -> ! {
    arch::reset()
}

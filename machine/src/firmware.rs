//! The firmware's ACPI tables, for the safe code that reads them.

use formats::acpi::Tables;

use crate::arch;

/// Reads firmware memory by physical address; never the allocator's memory.
pub type Reader = fn(u64, usize) -> Option<&'static [u8]>;

/// The ACPI tables, if the machine has them.
pub fn acpi_tables() -> Option<Tables<'static, Reader>> {
    arch::acpi_tables()
}

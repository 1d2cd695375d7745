//! Ports and device memory, handed out so that no driver can reach RAM or the machine's own devices through
//! them.

use core::fmt;

use crate::address::PhysicalAddress;
use crate::arch;

/// Why a range cannot be given to a driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IoError {
    /// It overlaps RAM, an interrupt controller, the PIC, the timers or PCI configuration space, which are
    /// the machine's.
    Reserved,
    /// Another driver has it.
    Taken,
    /// It is empty or wraps around.
    BadRange,
    /// There was no memory to map it.
    OutOfMemory,
}

impl fmt::Display for IoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Reserved => "the range belongs to the machine",
            Self::Taken => "another driver has the range",
            Self::BadRange => "the range is empty or wraps around",
            Self::OutOfMemory => "no memory to map the range",
        })
    }
}

/// A range of I/O ports, owned by one driver.
pub struct IoPorts {
    first: u16,
    len: u16,
}

impl IoPorts {
    /// Takes `len` ports from `first`.
    pub fn take(first: u16, len: u16) -> Result<Self, IoError> {
        arch::take_ports(first, len)?;
        Ok(Self { first, len })
    }

    #[track_caller]
    fn port(&self, offset: u16, width: u16) -> u16 {
        assert!(
            offset.checked_add(width).is_some_and(|end| end <= self.len),
            "port {offset} of {}",
            self.len
        );
        self.first + offset
    }

    /// Reads a byte.
    pub fn read_u8(&self, offset: u16) -> u8 {
        // SAFETY: the port is one of ours, and `take` gives out none that can harm memory.
        unsafe { arch::port_in_u8(self.port(offset, 1)) }
    }

    /// Writes a byte.
    pub fn write_u8(&self, offset: u16, value: u8) {
        // SAFETY: as in `read_u8`.
        unsafe { arch::port_out_u8(self.port(offset, 1), value) }
    }

    /// Reads 16 bits.
    pub fn read_u16(&self, offset: u16) -> u16 {
        // SAFETY: as in `read_u8`.
        unsafe { arch::port_in_u16(self.port(offset, 2)) }
    }

    /// Writes 16 bits.
    pub fn write_u16(&self, offset: u16, value: u16) {
        // SAFETY: as in `read_u8`.
        unsafe { arch::port_out_u16(self.port(offset, 2), value) }
    }

    /// Reads 32 bits.
    pub fn read_u32(&self, offset: u16) -> u32 {
        // SAFETY: as in `read_u8`.
        unsafe { arch::port_in_u32(self.port(offset, 4)) }
    }

    /// Writes 32 bits.
    pub fn write_u32(&self, offset: u16, value: u32) {
        // SAFETY: as in `read_u8`.
        unsafe { arch::port_out_u32(self.port(offset, 4), value) }
    }
}

impl Drop for IoPorts {
    fn drop(&mut self) {
        arch::release_ports(self.first, self.len);
    }
}

/// A range of device memory, mapped uncached, owned by one driver.
pub struct IoMemory {
    mapping: arch::IoMapping,
    len: usize,
}

impl IoMemory {
    /// Takes and maps `len` bytes at `start`.
    pub fn take(start: PhysicalAddress, len: usize) -> Result<Self, IoError> {
        Ok(Self { mapping: arch::map_io(start, len)?, len })
    }

    /// Bytes in the range.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the range is empty; it never is.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    #[track_caller]
    fn pointer<T>(&self, offset: usize) -> *mut T {
        let is_inside = offset.checked_add(size_of::<T>()).is_some_and(|end| end <= self.len);
        assert!(
            is_inside && offset.is_multiple_of(align_of::<T>()),
            "device memory offset {offset:#x} of {:#x}",
            self.len
        );
        self.mapping.pointer().wrapping_add(offset).cast()
    }

    /// Reads a byte register.
    pub fn read_u8(&self, offset: usize) -> u8 {
        // SAFETY: inside the mapping, aligned; a volatile access to device memory that no reference covers.
        unsafe { self.pointer::<u8>(offset).read_volatile() }
    }

    /// Writes a byte register.
    pub fn write_u8(&self, offset: usize, value: u8) {
        // SAFETY: as in `read_u8`.
        unsafe { self.pointer::<u8>(offset).write_volatile(value) }
    }

    /// Reads a 16-bit register.
    pub fn read_u16(&self, offset: usize) -> u16 {
        // SAFETY: as in `read_u8`.
        unsafe { self.pointer::<u16>(offset).read_volatile() }
    }

    /// Writes a 16-bit register.
    pub fn write_u16(&self, offset: usize, value: u16) {
        // SAFETY: as in `read_u8`.
        unsafe { self.pointer::<u16>(offset).write_volatile(value) }
    }

    /// Reads a 32-bit register.
    pub fn read_u32(&self, offset: usize) -> u32 {
        // SAFETY: as in `read_u8`.
        unsafe { self.pointer::<u32>(offset).read_volatile() }
    }

    /// Writes a 32-bit register.
    pub fn write_u32(&self, offset: usize, value: u32) {
        // SAFETY: as in `read_u8`.
        unsafe { self.pointer::<u32>(offset).write_volatile(value) }
    }
}

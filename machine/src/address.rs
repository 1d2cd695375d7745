//! Addresses: physical, of a program, and pages.
//!
//! A [`UserAddress`] is a *claim*: a number that a program gave. It says nothing about what is mapped there;
//! only the cursors in [`crate::user`] find out, by trying.

use core::fmt;

/// Bytes in a page and in a frame.
pub const PAGE_SIZE: usize = 4096;
/// log2 of [`PAGE_SIZE`].
pub const PAGE_SHIFT: usize = 12;
/// One past the highest address a program can use (Linux: `TASK_SIZE_MAX` with four-level tables).
pub const USER_END: usize = 0x7fff_ffff_f000;

/// A physical address, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PhysicalAddress(pub u64);

impl PhysicalAddress {
    /// The number of the frame that holds this address.
    pub const fn frame_number(self) -> usize {
        (self.0 >> PAGE_SHIFT) as usize
    }
}

impl fmt::Debug for PhysicalAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "p{:#x}", self.0)
    }
}

/// An address that a program gave, or that belongs to a program. Any 64-bit value can be one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct UserAddress(pub usize);

impl UserAddress {
    /// The address 0, which is never mapped.
    pub const NULL: Self = Self(0);

    /// The start of the page that holds this address.
    pub const fn page_floor(self) -> Self {
        Self(self.0 & !(PAGE_SIZE - 1))
    }

    /// Bytes from the start of the page.
    pub const fn page_offset(self) -> usize {
        self.0 & (PAGE_SIZE - 1)
    }

    /// Whether the address is the start of a page.
    pub const fn is_page_aligned(self) -> bool {
        self.page_offset() == 0
    }

    /// This address moved up by `bytes`; none where that leaves the 64-bit range.
    pub const fn checked_add(self, bytes: usize) -> Option<Self> {
        match self.0.checked_add(bytes) {
            Some(sum) => Some(Self(sum)),
            None => None,
        }
    }

    /// Whether `len_bytes` from here lie wholly below [`USER_END`]. An empty range is inside when its start
    /// is not above the end, as in Linux's `access_ok`.
    pub const fn is_user_range(self, len_bytes: usize) -> bool {
        match self.0.checked_add(len_bytes) {
            Some(end) => end <= USER_END,
            None => false,
        }
    }
}

impl fmt::Debug for UserAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "u{:#x}", self.0)
    }
}

/// `len_bytes` rounded up to whole pages, in bytes; none on overflow.
pub const fn page_ceil(len_bytes: usize) -> Option<usize> {
    match len_bytes.checked_add(PAGE_SIZE - 1) {
        Some(sum) => Some(sum & !(PAGE_SIZE - 1)),
        None => None,
    }
}

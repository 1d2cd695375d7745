//! Reading little-endian numbers and strings out of bytes without a way to go wrong.

/// The `N` bytes at an offset, if they are there.
pub fn array_at<const N: usize>(bytes: &[u8], offset: usize) -> Option<[u8; N]> {
    bytes.get(offset..)?.first_chunk().copied()
}

/// The byte at an offset.
pub fn u8_at(bytes: &[u8], offset: usize) -> Option<u8> {
    bytes.get(offset).copied()
}

/// The 16-bit number at an offset.
pub fn u16_at(bytes: &[u8], offset: usize) -> Option<u16> {
    array_at(bytes, offset).map(u16::from_le_bytes)
}

/// The 32-bit number at an offset.
pub fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    array_at(bytes, offset).map(u32::from_le_bytes)
}

/// The 64-bit number at an offset.
pub fn u64_at(bytes: &[u8], offset: usize) -> Option<u64> {
    array_at(bytes, offset).map(u64::from_le_bytes)
}

/// The `length` bytes at an offset.
pub fn slice_at(bytes: &[u8], offset: usize, length: usize) -> Option<&[u8]> {
    bytes.get(offset..offset.checked_add(length)?)
}

/// The bytes up to the first NUL, or all of them where there is none.
pub fn until_nul(bytes: &[u8]) -> &[u8] {
    bytes.split(|byte| *byte == 0).next().unwrap_or(bytes)
}

/// The sum of all bytes, which firmware makes zero by a byte of its own.
pub fn checksum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum: u8, byte| sum.wrapping_add(*byte))
}

/// Physical memory as readers of firmware tables see it: borrowed, and only where the owner of the
/// memory vouches that nothing changes it meanwhile.
///
/// A closure `|address, length| -> Option<&[u8]>` is one.
pub trait PhysicalMemory<'a> {
    /// The bytes at a physical address, or `None` where they cannot be read.
    fn read(&self, address: u64, length: usize) -> Option<&'a [u8]>;
}

impl<'a, F: Fn(u64, usize) -> Option<&'a [u8]>> PhysicalMemory<'a> for F {
    fn read(&self, address: u64, length: usize) -> Option<&'a [u8]> {
        self(address, length)
    }
}

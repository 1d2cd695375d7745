//! A made-up physical memory, and bytes that are nearly right.

use proptest::prelude::*;

/// Memory that begins at an address and holds these bytes; nothing else can be read.
pub struct Arena {
    /// The address of the first byte.
    pub start: u64,
    /// The bytes.
    pub bytes: Vec<u8>,
}

impl Arena {
    /// Memory of zeros.
    pub fn new(start: u64, length: usize) -> Arena {
        Arena { start, bytes: vec![0; length] }
    }

    /// Writes bytes at a physical address.
    pub fn put(&mut self, address: u64, bytes: &[u8]) {
        let offset = (address - self.start) as usize;
        self.bytes[offset..offset + bytes.len()].copy_from_slice(bytes);
    }

    /// What a reader of firmware tables is given.
    pub fn reader<'a>(&'a self) -> impl Fn(u64, usize) -> Option<&'a [u8]> {
        |address, length| {
            let offset = usize::try_from(address.checked_sub(self.start)?).ok()?;
            self.bytes.get(offset..offset.checked_add(length)?)
        }
    }
}

/// Makes the sum of all bytes zero by the byte at an offset.
pub fn fix_checksum(bytes: &mut [u8], offset: usize) {
    bytes[offset] = 0;
    let sum = bytes.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
    bytes[offset] = sum.wrapping_neg();
}

/// The bytes with some of them replaced and the end cut off.
pub fn damaged(bytes: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    let length = bytes.len();
    let value = prop_oneof![Just(0u8), Just(1), Just(0x7f), Just(0x80), Just(0xff), any::<u8>()];
    let changes = prop::collection::vec((0..length, value), 0..12);
    (changes, prop_oneof![3 => Just(length), 1 => 0..=length]).prop_map(move |(changes, end)| {
        let mut bytes = bytes.clone();
        for (at, value) in changes {
            bytes[at] = value;
        }
        bytes.truncate(end);
        bytes
    })
}

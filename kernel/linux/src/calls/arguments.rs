//! The six argument registers of a call, and how their parts are read. Each is a claim: a number that may mean anything.

use abi::Errno;
use machine::address::UserAddress;
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// `rdi rsi rdx r10 r8 r9`.
#[derive(Clone, Copy, Debug)]
pub struct Arguments(pub [u64; 6]);

/// The most bytes that one read or write moves (Linux: MAX_RW_COUNT).
pub const MAX_TRANSFER: usize = 0x7fff_f000;

impl Arguments {
    /// The whole register.
    #[inline]
    pub fn word(&self, index: usize) -> u64 {
        self.0[index]
    }

    /// A size or count.
    #[inline]
    pub fn size(&self, index: usize) -> usize {
        self.0[index] as usize
    }

    /// A C `int`: the upper half of the register does not count.
    #[inline]
    pub fn int(&self, index: usize) -> i32 {
        self.0[index] as i32
    }

    /// A C `unsigned int`.
    #[inline]
    pub fn unsigned(&self, index: usize) -> u32 {
        self.0[index] as u32
    }

    /// A C `long`.
    #[inline]
    pub fn long(&self, index: usize) -> i64 {
        self.0[index] as i64
    }

    /// An address of the program.
    #[inline]
    pub fn address(&self, index: usize) -> UserAddress {
        UserAddress(self.0[index] as usize)
    }

    /// An address that may be null, which means that there is nothing.
    #[inline]
    pub fn optional(&self, index: usize) -> Option<UserAddress> {
        (self.0[index] != 0).then(|| self.address(index))
    }
}

/// Reads a value that the program may leave out by a null pointer.
pub fn read_optional<T: FromBytes + IntoBytes>(address: Option<UserAddress>) -> Result<Option<T>, Errno> {
    address.map(memory::user::read_value).transpose()
}

/// Writes a value where the program wants it.
pub fn write_optional<T: IntoBytes + Immutable>(
    address: Option<UserAddress>,
    value: &T,
) -> Result<(), Errno> {
    match address {
        Some(address) => memory::user::write_value(address, value),
        None => Ok(()),
    }
}

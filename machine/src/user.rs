//! Copying to and from a program's memory, in the address space of the current thread.
//!
//! Addresses are claims: each copy tries, and says where it stopped. Nothing here sleeps or brings pages in;
//! a caller that may sleep does that with the [`CopyFault`] (see the `memory` crate), and one that may not
//! treats it as an error.

use core::sync::atomic::AtomicU32;

use crate::address::{PAGE_SIZE, UserAddress};
use crate::arch;
use crate::context::Access;
use crate::frame::Frame;

/// A copy that stopped early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CopyFault {
    /// The first address that could not be used. Not below [`USER_END`](crate::address::USER_END): bringing
    /// pages in cannot help.
    pub address: UserAddress,
    /// How it was used.
    pub access: Access,
    /// Bytes copied before it.
    pub done: usize,
}

fn check(address: UserAddress, len: usize, access: Access) -> Result<(), CopyFault> {
    if address.is_user_range(len) {
        Ok(())
    } else {
        // Nothing is copied from a range that leaves user space, as in Linux. The address reported is one
        // that no page can be at.
        Err(CopyFault { address: UserAddress(usize::MAX), access, done: 0 })
    }
}

fn outcome(start: UserAddress, done: usize, len: usize, access: Access) -> Result<(), CopyFault> {
    if done == len { Ok(()) } else { Err(CopyFault { address: UserAddress(start.0 + done), access, done }) }
}

/// Copies `into.len()` bytes from the program.
pub fn read(from: UserAddress, into: &mut [u8]) -> Result<(), CopyFault> {
    check(from, into.len(), Access::Read)?;
    // SAFETY: the range lies in user space, where the copy recovers from every fault; `into` is a valid
    // slice.
    let done = unsafe { arch::copy_from_user(into.as_mut_ptr(), from.0, into.len()) };
    outcome(from, done, into.len(), Access::Read)
}

/// Copies `from.len()` bytes to the program.
pub fn write(to: UserAddress, from: &[u8]) -> Result<(), CopyFault> {
    check(to, from.len(), Access::Write)?;
    // SAFETY: as in `read`.
    let done = unsafe { arch::copy_to_user(to.0, from.as_ptr(), from.len()) };
    outcome(to, done, from.len(), Access::Write)
}

/// Writes `len` zero bytes to the program.
pub fn zero(to: UserAddress, len: usize) -> Result<(), CopyFault> {
    check(to, len, Access::Write)?;
    // SAFETY: as in `read`.
    let done = unsafe { arch::zero_user(to.0, len) };
    outcome(to, done, len, Access::Write)
}

/// Copies `len` bytes at `offset` of a frame to the program, without a stop in between.
///
/// # Panics
/// When the range leaves the frame.
pub fn write_frame(to: UserAddress, frame: &Frame, offset: usize, len: usize) -> Result<(), CopyFault> {
    check(to, len, Access::Write)?;
    assert!(offset <= PAGE_SIZE && len <= PAGE_SIZE - offset);
    // SAFETY: the source lies in a frame that `frame` keeps allocated; the target recovers from faults.
    let done = unsafe { arch::copy_to_user(to.0, frame.pointer().add(offset), len) };
    outcome(to, done, len, Access::Write)
}

/// Copies `len` bytes from the program into a frame at `offset`, without a stop in between.
///
/// # Panics
/// When the range leaves the frame.
pub fn read_frame(from: UserAddress, frame: &Frame, offset: usize, len: usize) -> Result<(), CopyFault> {
    check(from, len, Access::Read)?;
    assert!(offset <= PAGE_SIZE && len <= PAGE_SIZE - offset);
    // SAFETY: the target lies in a frame of untyped memory that `frame` keeps allocated; the source recovers
    // from faults.
    let done = unsafe { arch::copy_from_user(frame.pointer().add(offset), from.0, len) };
    outcome(from, done, len, Access::Read)
}

/// Applies `change` to an aligned 32-bit word of the program until no other processor interferes; returns the
/// value before. `change` gives `None` to leave it.
///
/// An unaligned address is reported as a fault at `usize::MAX`; callers check alignment first, as the error
/// differs by call.
pub fn update_u32(at: UserAddress, mut change: impl FnMut(u32) -> Option<u32>) -> Result<u32, CopyFault> {
    let mut old = load_u32(at)?;
    loop {
        let Some(new) = change(old) else { return Ok(old) };
        // SAFETY: `load_u32` has checked range and alignment; the exchange recovers from faults.
        match unsafe { arch::compare_exchange_user(at.0, old, new) } {
            Some(seen) if seen == old => return Ok(old),
            Some(seen) => old = seen,
            None => return Err(CopyFault { address: at, access: Access::Write, done: 0 }),
        }
    }
}

/// Loads an aligned 32-bit word of the program in one piece.
pub fn load_u32(at: UserAddress) -> Result<u32, CopyFault> {
    if !at.0.is_multiple_of(align_of::<AtomicU32>()) {
        return Err(CopyFault { address: UserAddress(usize::MAX), access: Access::Read, done: 0 });
    }
    check(at, 4, Access::Read)?;
    let mut bytes = [0; 4];
    // SAFETY: as in `read`. An aligned copy of four bytes is a single load (see `arch::load_user`).
    if unsafe { arch::load_user(at.0, &mut bytes) } {
        Ok(u32::from_ne_bytes(bytes))
    } else {
        Err(CopyFault { address: at, access: Access::Read, done: 0 })
    }
}

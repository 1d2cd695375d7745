//! The memory of the program that the current thread runs: values, bytes, strings, and the sinks and sources on it.
//!
//! `machine::user` copies and stops at the first page that is not there; this brings the page in and goes on. May sleep: nothing is held around a call.
//! Which address space the thread belongs to is known above, so the fault handler is injected with [`set_fault_handler`].

mod ranges;

use alloc::vec::Vec;

use abi::Errno;
use machine::address::{PAGE_SIZE, USER_END, UserAddress};
use machine::context::Access;
use machine::heap::Grow;
use machine::sync::Once;
use machine::user::CopyFault;
use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::FaultError;

pub use ranges::{UserSink, UserSource};

/// Brings in the page of `address` in the current thread's address space.
pub type FaultHandler = fn(UserAddress, Access) -> Result<(), FaultError>;

static HANDLER: Once<FaultHandler> = Once::new();

/// Says how pages of the current thread's program are brought in. Called once, before the first program runs; later calls are ignored.
pub fn set_fault_handler(handler: FaultHandler) {
    // The first handler stays: there is one kernel above this crate.
    let _ = HANDLER.set(handler);
}

/// Brings the page of `address` in for `access`; `EFAULT` where the program may not do that.
pub fn fault_in(address: UserAddress, access: Access) -> Result<(), Errno> {
    if address.0 >= USER_END {
        return Err(Errno::EFAULT);
    }
    let handler = HANDLER.get().ok_or(Errno::EFAULT)?;
    handler(address, access).map_err(|_| Errno::EFAULT)
}

fn retry(mut copy: impl FnMut(usize) -> Result<(), CopyFault>) -> Result<(), Errno> {
    let mut done = 0;
    while let Err(fault) = copy(done) {
        done += fault.done;
        fault_in(fault.address, fault.access)?;
    }
    Ok(())
}

/// Reads `into.len()` bytes of the program, or gives `EFAULT`; part of `into` may have changed then.
pub fn read_bytes(from: UserAddress, into: &mut [u8]) -> Result<(), Errno> {
    retry(|done| machine::user::read(UserAddress(from.0.wrapping_add(done)), &mut into[done..]))
}

/// Writes `from` to the program, or gives `EFAULT`; part may have been written then.
pub fn write_bytes(to: UserAddress, from: &[u8]) -> Result<(), Errno> {
    if from.is_empty() {
        return Ok(());
    }
    retry(|done| machine::user::write(UserAddress(to.0.wrapping_add(done)), &from[done..]))
}

/// Writes `len` zero bytes to the program.
pub fn zero_bytes(to: UserAddress, len: usize) -> Result<(), Errno> {
    retry(|done| machine::user::zero(UserAddress(to.0.wrapping_add(done)), len - done))
}

/// Reads a value of the program.
pub fn read_value<T: FromBytes + IntoBytes>(from: UserAddress) -> Result<T, Errno> {
    let mut value = T::new_zeroed();
    read_bytes(from, value.as_mut_bytes())?;
    Ok(value)
}

/// Writes a value to the program.
pub fn write_value<T: IntoBytes + Immutable>(to: UserAddress, value: &T) -> Result<(), Errno> {
    write_bytes(to, value.as_bytes())
}

/// Reads `count` values that lie one after the other; `ENOMEM` when the kernel has no room for as many.
pub fn read_array<T: FromBytes + IntoBytes + Clone>(
    from: UserAddress,
    count: usize,
) -> Result<Vec<T>, Errno> {
    let len = count.checked_mul(size_of::<T>()).ok_or(Errno::EFAULT)?;
    if len == 0 {
        return Ok(Vec::new());
    }
    if !from.is_user_range(len) {
        return Err(Errno::EFAULT);
    }
    let mut values = Vec::new();
    values.try_grow_exact(count)?;
    values.resize(count, T::new_zeroed());
    read_bytes(from, values.as_mut_slice().as_mut_bytes())?;
    Ok(values)
}

/// Reads a string that ends with a zero byte, which is left out. `ENAMETOOLONG` when no zero is among the first `max` bytes.
pub fn read_string(from: UserAddress, max: usize) -> Result<Vec<u8>, Errno> {
    let mut string = Vec::new();
    let mut chunk = [0; 128];
    let mut at = from;
    while string.len() < max {
        // Never past the end of a page: the next one need not be mapped.
        let len = chunk.len().min(PAGE_SIZE - at.page_offset()).min(max - string.len());
        let chunk = &mut chunk[..len];
        read_bytes(at, chunk)?;
        let end = chunk.iter().position(|&byte| byte == 0);
        let part = &chunk[..end.unwrap_or(len)];
        string.try_grow(part.len())?;
        string.extend_from_slice(part);
        if end.is_some() {
            return Ok(string);
        }
        at = at.checked_add(len).ok_or(Errno::EFAULT)?;
    }
    Err(Errno::ENAMETOOLONG)
}

fn check_aligned(at: UserAddress) -> Result<(), Errno> {
    if at.0.is_multiple_of(4) { Ok(()) } else { Err(Errno::EINVAL) }
}

/// Loads an aligned 32-bit word in one piece; `EINVAL` where it is not aligned.
pub fn read_u32(at: UserAddress) -> Result<u32, Errno> {
    check_aligned(at)?;
    loop {
        match machine::user::load_u32(at) {
            Ok(value) => return Ok(value),
            Err(fault) => fault_in(fault.address, fault.access)?,
        }
    }
}

/// Applies `change` to an aligned 32-bit word atomically, bringing the page in; returns the value before. `change` may be called several times; it gives `None` to leave the word.
/// `EINVAL` where the word is not aligned.
pub fn update_u32(at: UserAddress, mut change: impl FnMut(u32) -> Option<u32>) -> Result<u32, Errno> {
    check_aligned(at)?;
    loop {
        match machine::user::update_u32(at, &mut change) {
            Ok(value) => return Ok(value),
            Err(fault) => fault_in(fault.address, fault.access)?,
        }
    }
}

//! Sinks and sources on ranges of the program's memory.

use alloc::vec::Vec;

use abi::Errno;
use machine::address::{PAGE_SIZE, UserAddress};
use machine::frame::Frame;
use machine::user::{self, CopyFault};

use super::fault_in;
use crate::transfer::{Sink, Source};

/// One range, or several one after the other (readv(2)).
struct Ranges {
    /// What is left of the current range.
    at: UserAddress,
    len: usize,
    /// The ranges after it; `next` is the first not begun.
    rest: Vec<(UserAddress, usize)>,
    next: usize,
    remaining: usize,
}

impl Ranges {
    fn single(at: UserAddress, len: usize) -> Result<Self, Errno> {
        if !at.is_user_range(len) {
            return Err(Errno::EFAULT);
        }
        Ok(Self { at, len, rest: Vec::new(), next: 0, remaining: len })
    }

    fn vector(ranges: Vec<(UserAddress, usize)>) -> Result<Self, Errno> {
        let mut remaining = 0usize;
        for (at, len) in &ranges {
            if !at.is_user_range(*len) {
                return Err(Errno::EFAULT);
            }
            remaining = remaining.checked_add(*len).ok_or(Errno::EINVAL)?;
        }
        Ok(Self { at: UserAddress::NULL, len: 0, rest: ranges, next: 0, remaining })
    }

    /// Moves up to `len` bytes with `copy(address, bytes moved before, length)`.
    fn transfer(
        &mut self,
        len: usize,
        mut copy: impl FnMut(UserAddress, usize, usize) -> Result<(), CopyFault>,
    ) -> Result<usize, Errno> {
        let len = len.min(self.remaining);
        let mut done = 0;
        while done < len {
            if self.len == 0 {
                let Some(&(at, len)) = self.rest.get(self.next) else { break };
                (self.at, self.len) = (at, len);
                self.next += 1;
                continue;
            }
            let piece = self.len.min(len - done);
            let (moved, fault) = match copy(self.at, done, piece) {
                Ok(()) => (piece, None),
                Err(fault) => (fault.done, Some(fault)),
            };
            self.at = UserAddress(self.at.0 + moved);
            self.len -= moved;
            self.remaining -= moved;
            done += moved;
            if let Some(fault) = fault
                && let Err(error) = fault_in(fault.address, fault.access)
            {
                return if done == 0 { Err(error) } else { Ok(done) };
            }
        }
        Ok(done)
    }
}

/// A sink on the program's memory.
pub struct UserSink(Ranges);

impl UserSink {
    /// One buffer; `EFAULT` when it is not below the end of user space.
    pub fn new(at: UserAddress, len: usize) -> Result<Self, Errno> {
        Ranges::single(at, len).map(Self)
    }

    /// Several buffers, filled in order; `EFAULT` as in [`new`](Self::new), `EINVAL` when their lengths overflow.
    pub fn vector(ranges: Vec<(UserAddress, usize)>) -> Result<Self, Errno> {
        Ranges::vector(ranges).map(Self)
    }
}

impl Sink for UserSink {
    fn remaining(&self) -> usize {
        self.0.remaining
    }

    fn write(&mut self, from: &[u8]) -> Result<usize, Errno> {
        self.0.transfer(from.len(), |at, done, len| user::write(at, &from[done..done + len]))
    }

    fn write_frame(&mut self, frame: &Frame, offset: usize, len: usize) -> Result<usize, Errno> {
        let len = len.min(PAGE_SIZE.saturating_sub(offset));
        self.0.transfer(len, |at, done, len| user::write_frame(at, frame, offset + done, len))
    }

    fn zero(&mut self, len: usize) -> Result<usize, Errno> {
        self.0.transfer(len, |at, _, len| user::zero(at, len))
    }
}

/// A source on the program's memory.
pub struct UserSource(Ranges);

impl UserSource {
    /// One buffer; `EFAULT` when it is not below the end of user space.
    pub fn new(at: UserAddress, len: usize) -> Result<Self, Errno> {
        Ranges::single(at, len).map(Self)
    }

    /// Several buffers, emptied in order; `EFAULT` as in [`new`](Self::new), `EINVAL` when their lengths overflow.
    pub fn vector(ranges: Vec<(UserAddress, usize)>) -> Result<Self, Errno> {
        Ranges::vector(ranges).map(Self)
    }
}

impl Source for UserSource {
    fn remaining(&self) -> usize {
        self.0.remaining
    }

    fn read(&mut self, into: &mut [u8]) -> Result<usize, Errno> {
        let len = into.len();
        self.0.transfer(len, |at, done, len| user::read(at, &mut into[done..done + len]))
    }

    fn read_frame(&mut self, frame: &Frame, offset: usize, len: usize) -> Result<usize, Errno> {
        let len = len.min(PAGE_SIZE.saturating_sub(offset));
        self.0.transfer(len, |at, done, len| user::read_frame(at, frame, offset + done, len))
    }
}

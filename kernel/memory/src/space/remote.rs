//! A program's memory from outside: exec's arguments, ptrace(2), /proc/PID/mem, process_vm_readv(2).

use abi::Errno;
use machine::address::{PAGE_SIZE, USER_END, UserAddress};
use machine::context::Access;
use machine::frame::Frame;
use machine::paging::Protection;

use super::AddressSpace;
use super::fault::{FaultError, is_own};

impl AddressSpace {
    /// Copies bytes out of this address space, whoever runs; returns how many until the first that cannot be read, or `EFAULT` when that is the first of all;
    /// `ENOMEM` when a page could not be brought in for want of memory, whatever was copied before.
    ///
    /// `is_forced` reads what the program itself may not (ptrace(2)). May sleep.
    pub fn read_remote(&self, from: UserAddress, into: &mut [u8], is_forced: bool) -> Result<usize, Errno> {
        self.for_each_piece(from, into.len(), Access::Read, is_forced, |frame, offset, done, len| {
            frame.read(offset, &mut into[done..done + len]);
        })
    }

    /// Copies bytes into this address space; as [`read_remote`](Self::read_remote). Forced stores to read-only private memory make a copy of the page, which stays read-only for the program.
    pub fn write_remote(&self, to: UserAddress, from: &[u8], is_forced: bool) -> Result<usize, Errno> {
        self.for_each_piece(to, from.len(), Access::Write, is_forced, |frame, offset, done, len| {
            frame.write(offset, &from[done..done + len]);
        })
    }

    /// Visits the pages of a range with `visit(frame, offset in it, bytes before, bytes)`.
    fn for_each_piece(
        &self,
        start: UserAddress,
        len: usize,
        access: Access,
        is_forced: bool,
        mut visit: impl FnMut(&Frame, usize, usize, usize),
    ) -> Result<usize, Errno> {
        let mut done = 0;
        while done < len {
            let Some(at) = start.checked_add(done).filter(|at| at.0 < USER_END) else { break };
            let offset = at.page_offset();
            let piece = (PAGE_SIZE - offset).min(len - done);
            let is_visited =
                self.with_page(at.page_floor(), access, is_forced, |frame| visit(frame, offset, done, piece));
            if is_visited {
                done += piece;
                continue;
            }
            match self.bring_in(at, access, is_forced) {
                Ok(()) => {}
                Err(FaultError::OutOfMemory) => return Err(Errno::ENOMEM),
                Err(_) => break,
            }
        }
        if done == 0 && len > 0 { Err(Errno::EFAULT) } else { Ok(done) }
    }

    /// Calls `visit` with the frame of a page while nobody can unmap it; `false` if the page has to be brought in first.
    fn with_page(
        &self,
        page: UserAddress,
        access: Access,
        is_forced: bool,
        visit: impl FnOnce(&Frame),
    ) -> bool {
        let Some(cursor) = self.space.find(page) else { return false };
        let (Some(mapping), Some(frame)) = (cursor.get(page), cursor.frame(page)) else { return false };
        let may = match access {
            Access::Write => mapping.protection.contains(Protection::WRITE) || (is_forced && is_own(&frame)),
            _ => !mapping.protection.is_empty() || is_forced,
        };
        if may {
            visit(&frame);
        }
        may
    }
}

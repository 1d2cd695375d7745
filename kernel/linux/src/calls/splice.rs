//! Pipes, and moving bytes from file to file inside the kernel: pipe2(2), sendfile(2), copy_file_range(2), splice(2).

use abi::Errno;
use abi::fcntl::{OpenFlags, SpliceFlags};
use alloc::sync::Arc;
use alloc::vec::Vec;
use files::{Kind, OpenFile, Positioning};
use machine::address::UserAddress;
use memory::{KernelSink, KernelSource, Source, user};

use super::Arguments;
use super::arguments::MAX_TRANSFER;
use super::io::finish_write;
use crate::process::Caller;

type Outcome = Result<usize, Errno>;

fn make_pipe(caller: &Caller, address: UserAddress, flags: u32) -> Outcome {
    let allowed = OpenFlags::CLOEXEC | OpenFlags::NONBLOCK | OpenFlags::DIRECT;
    let flags = OpenFlags::from_bits(flags).filter(|flags| allowed.contains(*flags)).ok_or(Errno::EINVAL)?;
    let limit = caller.process.limits.descriptors();
    let closes_on_exec = flags.contains(OpenFlags::CLOEXEC);
    let read_number = caller.descriptors.reserve(0, limit)?;
    let write_number = caller.descriptors.reserve(0, limit)?;
    let who = &caller.credentials;
    let (read_end, write_end) = files::pipe::create(flags - OpenFlags::CLOEXEC, who.fsuid, who.fsgid);
    // Written before the descriptors exist, so that a wild address leaves nothing open.
    user::write_value(address, &[read_number.number(), write_number.number()])?;
    read_number.fill(read_end, closes_on_exec);
    write_number.fill(write_end, closes_on_exec);
    Ok(0)
}

/// pipe(2).
pub fn pipe(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    make_pipe(caller, arguments.address(0), 0)
}

/// pipe2(2).
pub fn pipe2(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    make_pipe(caller, arguments.address(0), arguments.unsigned(1))
}

/// Bytes that are in the kernel at a time on their way from file to file.
const CHUNK: usize = 64 << 10;

/// One side of a move: a file, and the offset to use in place of its position.
struct Side<'a> {
    file: &'a Arc<OpenFile>,
    offset: Option<i64>,
}

impl Side<'_> {
    fn read(&mut self, into: &mut [u8]) -> Outcome {
        let mut sink = KernelSink::new(into);
        let done = match self.offset {
            Some(offset) => self.file.read_at(&mut sink, offset)?,
            None => self.file.read(&mut sink)?,
        };
        self.offset = self.offset.map(|offset| offset + done as i64);
        Ok(done)
    }

    fn write(&mut self, from: &[u8]) -> Outcome {
        let mut source = KernelSource::new(from);
        let mut total = 0;
        while source.remaining() > 0 {
            let outcome = match self.offset {
                Some(offset) => self.file.write_at(&mut source, offset + total as i64),
                None => self.file.write(&mut source),
            };
            match outcome {
                Ok(0) => break,
                Ok(done) => total += done,
                Err(error) if total == 0 => return Err(error),
                Err(_) => break,
            }
        }
        self.offset = self.offset.map(|offset| offset + total as i64);
        Ok(total)
    }

    /// Takes back what was read and could not be written: only a file with a position can.
    fn step_back(&mut self, bytes: usize) {
        match &mut self.offset {
            Some(offset) => *offset -= bytes as i64,
            None => {
                // A stream has no position; what was read of it and not taken is lost, as with read and write.
                let _ = self.file.seek(files::Seek::Current(-(bytes as i64)));
            }
        }
    }
}

/// Moves up to `len` bytes; fewer when the source ends or an end would wait.
fn shift(from: &mut Side<'_>, to: &mut Side<'_>, len: usize, is_patient: bool) -> Outcome {
    let mut buffer: Vec<u8> = Vec::new();
    let room = CHUNK.min(len);
    buffer.try_reserve_exact(room).map_err(|_| Errno::ENOMEM)?;
    buffer.resize(room, 0);
    let mut total = 0;
    while total < len {
        let part = buffer.get_mut(..room.min(len - total)).unwrap_or_default();
        let read = match from.read(part) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if total == 0 => return Err(error),
            Err(_) => break,
        };
        let outcome = to.write(part.get(..read).unwrap_or_default());
        let written = *outcome.as_ref().unwrap_or(&0);
        if written < read {
            from.step_back(read - written);
        }
        match outcome {
            Ok(written) => total += written,
            Err(error) if total == 0 => return Err(error),
            Err(_) => break,
        }
        if written < read || !is_patient || threads::current().is_interrupted() {
            break;
        }
    }
    Ok(total)
}

/// Reads an offset that may be left out.
fn read_offset(address: Option<UserAddress>) -> Result<Option<i64>, Errno> {
    let offset: Option<i64> = super::arguments::read_optional(address)?;
    if offset.is_some_and(|offset| offset < 0) { Err(Errno::EINVAL) } else { Ok(offset) }
}

fn write_offset(address: Option<UserAddress>, offset: Option<i64>) -> Result<(), Errno> {
    match (address, offset) {
        (Some(address), Some(offset)) => user::write_value(address, &offset),
        _ => Ok(()),
    }
}

/// sendfile(2).
pub fn sendfile(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let target = caller.descriptors.get_usable(arguments.int(0))?;
    let source = caller.descriptors.get_usable(arguments.int(1))?;
    let offset = read_offset(arguments.optional(2))?;
    if !source.flags().can_read() || !target.flags().can_write() {
        return Err(Errno::EBADF);
    }
    if target.flags().contains(OpenFlags::APPEND) || source.metadata().kind() == Kind::Directory {
        return Err(Errno::EINVAL);
    }
    if offset.is_some() && source.file().positioning() == Positioning::Stream {
        return Err(Errno::ESPIPE);
    }
    let len = arguments.size(3).min(MAX_TRANSFER);
    let mut from = Side { file: &source, offset };
    let mut to = Side { file: &target, offset: None };
    let outcome = shift(&mut from, &mut to, len, true);
    if outcome.is_ok() {
        write_offset(arguments.optional(2), from.offset)?;
    }
    if let Ok(moved) = outcome {
        caller.process.account.note_read(moved);
    }
    finish_write(caller, outcome)
}

/// copy_file_range(2).
pub fn copy_file_range(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let source = caller.descriptors.get_usable(arguments.int(0))?;
    let target = caller.descriptors.get_usable(arguments.int(2))?;
    let source_offset = read_offset(arguments.optional(1))?;
    let target_offset = read_offset(arguments.optional(3))?;
    if arguments.unsigned(5) != 0 {
        return Err(Errno::EINVAL);
    }
    for file in [&source, &target] {
        match file.metadata().kind() {
            Kind::Regular => {}
            Kind::Directory => return Err(Errno::EISDIR),
            _ => return Err(Errno::EINVAL),
        }
    }
    let appends = target.flags().contains(OpenFlags::APPEND);
    if !source.flags().can_read() || !target.flags().can_write() || appends {
        return Err(Errno::EBADF);
    }
    let len = arguments.size(4).min(MAX_TRANSFER);
    let start = |file: &OpenFile, offset: Option<i64>| offset.unwrap_or_else(|| file.position() as i64);
    let (from, to) = (start(&source, source_offset), start(&target, target_offset));
    let is_same = Arc::ptr_eq(source.inode(), target.inode());
    if is_same && from < to.saturating_add(len as i64) && to < from.saturating_add(len as i64) {
        return Err(Errno::EINVAL);
    }
    let mut from = Side { file: &source, offset: source_offset };
    let mut to = Side { file: &target, offset: target_offset };
    let moved = shift(&mut from, &mut to, len, true)?;
    write_offset(arguments.optional(1), from.offset)?;
    write_offset(arguments.optional(3), to.offset)?;
    Ok(moved)
}

/// splice(2): one end at least is a pipe.
pub fn splice(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let flags = SpliceFlags::from_bits(arguments.unsigned(5)).ok_or(Errno::EINVAL)?;
    let source = caller.descriptors.get_usable(arguments.int(0))?;
    let target = caller.descriptors.get_usable(arguments.int(2))?;
    let (from_pipe, to_pipe) = (source.file().as_pipe(), target.file().as_pipe());
    if !source.flags().can_read() || !target.flags().can_write() {
        return Err(Errno::EBADF);
    }
    if from_pipe.is_none() && to_pipe.is_none() || target.flags().contains(OpenFlags::APPEND) {
        return Err(Errno::EINVAL);
    }
    if from_pipe.is_some() && arguments.optional(1).is_some() || to_pipe.is_some() && arguments.optional(3).is_some() {
        return Err(Errno::ESPIPE);
    }
    if let (Some(from), Some(to)) = (from_pipe, to_pipe)
        && Arc::ptr_eq(from.pipe(), to.pipe())
    {
        return Err(Errno::EINVAL);
    }
    let source_offset = read_offset(arguments.optional(1))?;
    let target_offset = read_offset(arguments.optional(3))?;
    let mut len = arguments.size(4).min(MAX_TRANSFER);
    // What a pipe gives up is gone, so no more is taken than can be put down: a pipe's room is waited for by its write.
    if let Some(to) = to_pipe {
        let free = to.pipe().size().saturating_sub(to.pipe().bytes());
        let is_nonblocking = flags.contains(SpliceFlags::NONBLOCK) || target.flags().contains(OpenFlags::NONBLOCK);
        if free == 0 && is_nonblocking {
            return Err(Errno::EAGAIN);
        }
        len = len.min(free.max(machine::address::PAGE_SIZE));
    }
    if let Some(from) = from_pipe
        && flags.contains(SpliceFlags::NONBLOCK)
        && from.pipe().bytes() == 0
    {
        return Err(Errno::EAGAIN);
    }
    let mut from = Side { file: &source, offset: source_offset };
    let mut to = Side { file: &target, offset: target_offset };
    let outcome = shift(&mut from, &mut to, len, false);
    if outcome.is_ok() {
        write_offset(arguments.optional(1), from.offset)?;
        write_offset(arguments.optional(3), to.offset)?;
    }
    finish_write(caller, outcome)
}

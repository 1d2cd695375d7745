//! Pipes, and moving bytes from file to file inside the kernel: pipe2(2), sendfile(2), copy_file_range(2), splice(2), tee(2).

use abi::Errno;
use abi::fcntl::{OpenFlags, SpliceFlags};
use alloc::sync::Arc;
use files::splice::SizeLimit;
use files::{Kind, OpenFile};
use machine::address::UserAddress;
use memory::user;

use super::Arguments;
use super::arguments::MAX_TRANSFER;
use super::io::{finish_write, size_limit, tell_too_long};
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
    let (read_end, write_end) = files::pipe::create(flags - OpenFlags::CLOEXEC, who.fsuid, who.fsgid)?;
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

/// Reads an offset that may be left out: EINVAL for a negative one.
fn read_offset(address: Option<UserAddress>) -> Result<Option<u64>, Errno> {
    let offset: Option<i64> = super::arguments::read_optional(address)?;
    offset.map(|offset| u64::try_from(offset).map_err(|_| Errno::EINVAL)).transpose()
}

fn write_offset(address: Option<UserAddress>, offset: Option<u64>) -> Result<(), Errno> {
    match (address, offset) {
        (Some(address), Some(offset)) => user::write_value(address, &offset),
        _ => Ok(()),
    }
}

/// The two open files of a call that reads one and writes the other: EBADF.
fn pair(caller: &Caller, from: i32, to: i32) -> Result<(Arc<OpenFile>, Arc<OpenFile>), Errno> {
    let source = caller.descriptors.get_usable(from)?;
    let target = caller.descriptors.get_usable(to)?;
    if source.flags().can_read() && target.flags().can_write() {
        Ok((source, target))
    } else {
        Err(Errno::EBADF)
    }
}

/// sendfile(2).
pub fn sendfile(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let mut offset = read_offset(arguments.optional(2))?;
    let (source, target) = pair(caller, arguments.int(1), arguments.int(0))?;
    if offset.is_some() {
        source.check_offsets()?;
    }
    if target.flags().contains(OpenFlags::APPEND) {
        return Err(Errno::EINVAL);
    }
    let len = arguments.size(3).min(MAX_TRANSFER);
    target.drop_privileges(&caller.credentials)?;
    let mut limit = SizeLimit { max: size_limit(caller), was_hit: false };
    let outcome = files::splice::copy(&source, &mut offset, &target, &mut None, len, &mut limit);
    if limit.was_hit && outcome.is_ok() {
        tell_too_long(caller)?;
    }
    if let Ok(moved) = outcome {
        caller.process.account.note_read(moved);
        write_offset(arguments.optional(2), offset)?;
    }
    finish_write(caller, outcome)
}

/// copy_file_range(2).
pub fn copy_file_range(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let mut source_offset = read_offset(arguments.optional(1))?;
    let mut target_offset = read_offset(arguments.optional(3))?;
    for number in [arguments.int(0), arguments.int(2)] {
        caller.descriptors.get_usable(number)?;
    }
    if arguments.unsigned(5) != 0 {
        return Err(Errno::EINVAL);
    }
    let source = caller.descriptors.get_usable(arguments.int(0))?;
    let target = caller.descriptors.get_usable(arguments.int(2))?;
    for file in [&source, &target] {
        let metadata = file.metadata();
        match metadata.kind() {
            Kind::Directory => return Err(Errno::EISDIR),
            _ if !metadata.is_regular() => return Err(Errno::EINVAL),
            _ => {}
        }
    }
    let may_copy = source.flags().can_read() && target.flags().can_write();
    if !may_copy || target.flags().contains(OpenFlags::APPEND) {
        return Err(Errno::EBADF);
    }
    if !Arc::ptr_eq(source.path().mount.superblock(), target.path().mount.superblock()) {
        return Err(Errno::EXDEV);
    }
    let len = arguments.size(4).min(MAX_TRANSFER);
    let start = |file: &OpenFile, offset: Option<u64>| offset.unwrap_or_else(|| file.position());
    let (from, to) = (start(&source, source_offset), start(&target, target_offset));
    let overlaps = from < to.saturating_add(len as u64) && to < from.saturating_add(len as u64);
    if Arc::ptr_eq(source.inode(), target.inode()) && overlaps {
        return Err(Errno::EINVAL);
    }
    target.drop_privileges(&caller.credentials)?;
    // Cut to what the file may hold before it begins, so that a limit that is reached is no error.
    let mut limit = SizeLimit { max: size_limit(caller), was_hit: false };
    let outcome =
        files::splice::copy(&source, &mut source_offset, &target, &mut target_offset, len, &mut limit);
    let moved = finish_write(caller, outcome)?;
    write_offset(arguments.optional(1), source_offset)?;
    write_offset(arguments.optional(3), target_offset)?;
    Ok(moved)
}

/// splice(2).
pub fn splice(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    if arguments.size(4) == 0 {
        return Ok(0);
    }
    let flags = SpliceFlags::from_bits(arguments.unsigned(5)).ok_or(Errno::EINVAL)?;
    let source = caller.descriptors.get_usable(arguments.int(0))?;
    let target = caller.descriptors.get_usable(arguments.int(2))?;
    let is_pipe = |file: &OpenFile| file.file().as_pipe().is_some();
    // Offsets of pipes are refused before they are looked at.
    if is_pipe(&source) && arguments.optional(1).is_some()
        || is_pipe(&target) && arguments.optional(3).is_some()
    {
        return Err(Errno::ESPIPE);
    }
    let mut source_offset = read_offset(arguments.optional(1))?;
    let mut target_offset = read_offset(arguments.optional(3))?;
    let len = arguments.size(4).min(MAX_TRANSFER);
    let is_nonblocking = flags.contains(SpliceFlags::NONBLOCK);
    target.drop_privileges(&caller.credentials)?;
    let mut limit = SizeLimit { max: size_limit(caller), was_hit: false };
    let (from_offset, to_offset) = (&mut source_offset, &mut target_offset);
    let outcome =
        files::splice::splice(&source, from_offset, &target, to_offset, len, is_nonblocking, &mut limit);
    if limit.was_hit && outcome.is_ok() {
        tell_too_long(caller)?;
    }
    if outcome.is_ok() {
        write_offset(arguments.optional(1), source_offset)?;
        write_offset(arguments.optional(3), target_offset)?;
    }
    finish_write(caller, outcome)
}

/// tee(2).
pub fn tee(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    if arguments.size(2) == 0 {
        return Ok(0);
    }
    let flags = SpliceFlags::from_bits(arguments.unsigned(3)).ok_or(Errno::EINVAL)?;
    let (source, target) = pair(caller, arguments.int(0), arguments.int(1))?;
    let len = arguments.size(2).min(MAX_TRANSFER);
    files::splice::tee(&source, &target, len, flags.contains(SpliceFlags::NONBLOCK))
}

/// vmsplice(2): bytes are copied, so that the program may go on using its memory as it likes.
pub fn vmsplice(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    SpliceFlags::from_bits(arguments.unsigned(3)).ok_or(Errno::EINVAL)?;
    let file = caller.descriptors.get_usable(arguments.int(0))?;
    let segments = super::io::segments(arguments.address(1), arguments.unsigned(2))?;
    if segments.iter().all(|(_, len)| *len == 0) {
        return Ok(0);
    }
    if file.file().as_pipe().is_none() {
        return Err(Errno::EBADF);
    }
    if file.flags().can_write() {
        let outcome = file.write(&mut user::UserSource::vector(segments)?);
        finish_write(caller, outcome)
    } else {
        file.read(&mut user::UserSink::vector(segments)?)
    }
}

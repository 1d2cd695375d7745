//! Pipes, and moving bytes from file to file inside the kernel: pipe2(2), sendfile(2), copy_file_range(2), splice(2), tee(2).

use abi::Errno;
use abi::fcntl::{OpenFlags, SpliceFlags};
use alloc::sync::Arc;
use files::pipe::Pipe;
use files::splice::SizeLimit;
use files::{Kind, OpenFile};
use machine::address::{PAGE_SIZE, UserAddress};
use memory::user;

use super::Arguments;
use super::arguments::{MAX_TRANSFER, read_optional};
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
    checked_offset(read_optional(address)?)
}

fn checked_offset(offset: Option<i64>) -> Result<Option<u64>, Errno> {
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

/// EINVAL for a length beyond what a file can have behind its position or an offset.
fn check_area(file: &OpenFile, offset: Option<u64>, len: usize) -> Result<(), Errno> {
    let position = || if file.file().positioning().has_position() { file.position() } else { 0 };
    let end = offset.unwrap_or_else(position).checked_add(len as u64);
    if (len as isize) < 0 || end.is_none_or(|end| i64::try_from(end).is_err()) {
        Err(Errno::EINVAL)
    } else {
        Ok(())
    }
}

/// sendfile(2).
pub fn sendfile(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let offset: Option<i64> = read_optional(arguments.optional(2))?;
    let source = caller.descriptors.get_usable(arguments.int(1))?;
    if !source.flags().can_read() {
        return Err(Errno::EBADF);
    }
    if offset.is_some() {
        source.check_offsets()?;
    }
    let mut offset = checked_offset(offset)?;
    check_area(&source, offset, arguments.size(3))?;
    let (source, target) = pair(caller, arguments.int(1), arguments.int(0))?;
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
    finish_write(caller, &target, outcome)
}

/// copy_file_range(2).
pub fn copy_file_range(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    for number in [arguments.int(0), arguments.int(2)] {
        caller.descriptors.get_usable(number)?;
    }
    let mut source_offset = read_offset(arguments.optional(1))?;
    let mut target_offset = read_offset(arguments.optional(3))?;
    if arguments.unsigned(5) != 0 {
        return Err(Errno::EINVAL);
    }
    let source = caller.descriptors.get_usable(arguments.int(0))?;
    let target = caller.descriptors.get_usable(arguments.int(2))?;
    let both = [source.metadata(), target.metadata()];
    if both.iter().any(|metadata| metadata.kind() == Kind::Directory) {
        return Err(Errno::EISDIR);
    }
    if !both.iter().all(|metadata| metadata.is_regular()) {
        return Err(Errno::EINVAL);
    }
    let may_copy = source.flags().can_read() && target.flags().can_write();
    if !may_copy || target.flags().contains(OpenFlags::APPEND) {
        return Err(Errno::EBADF);
    }
    if !Arc::ptr_eq(source.path().mount.superblock(), target.path().mount.superblock()) {
        return Err(Errno::EXDEV);
    }
    let start = |file: &OpenFile, offset: Option<u64>| offset.unwrap_or_else(|| file.position());
    let (from, to) = (start(&source, source_offset), start(&target, target_offset));
    let len = arguments.size(4) as u64;
    if from.checked_add(len).is_none() || to.checked_add(len).is_none() {
        return Err(Errno::EOVERFLOW);
    }
    // What there is to copy ends with the file.
    let left = usize::try_from(source.metadata().size.saturating_sub(from)).unwrap_or(usize::MAX);
    let len = arguments.size(4).min(MAX_TRANSFER).min(left);
    let overlaps = from < to.saturating_add(len as u64) && to < from.saturating_add(len as u64);
    if Arc::ptr_eq(source.inode(), target.inode()) && overlaps {
        return Err(Errno::EINVAL);
    }
    target.drop_privileges(&caller.credentials)?;
    // Cut to what the file may hold before it begins, so that a limit that is reached is no error.
    let mut limit = SizeLimit { max: size_limit(caller), was_hit: false };
    let outcome =
        files::splice::copy(&source, &mut source_offset, &target, &mut target_offset, len, &mut limit);
    let moved = finish_write(caller, &target, outcome)?;
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
    let raw: [Option<i64>; 2] =
        [read_optional(arguments.optional(1))?, read_optional(arguments.optional(3))?];
    if !source.flags().can_read() || !target.flags().can_write() {
        return Err(Errno::EBADF);
    }
    let mut source_offset = checked_offset(raw[0])?;
    let mut target_offset = checked_offset(raw[1])?;
    match (is_pipe(&source), is_pipe(&target)) {
        (true, false) => check_area(&target, target_offset, arguments.size(4))?,
        (false, true) => check_area(&source, source_offset, arguments.size(4))?,
        _ => {}
    }
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
    finish_write(caller, &target, outcome)
}

/// tee(2).
pub fn tee(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let flags = SpliceFlags::from_bits(arguments.unsigned(3)).ok_or(Errno::EINVAL)?;
    if arguments.size(2) == 0 {
        return Ok(0);
    }
    let (source, target) = pair(caller, arguments.int(0), arguments.int(1))?;
    let len = arguments.size(2).min(MAX_TRANSFER);
    let outcome = files::splice::tee(&source, &target, len, flags.contains(SpliceFlags::NONBLOCK));
    finish_write(caller, &target, outcome)
}

/// Puts one page of the segments after the other into a pipe, as far as they can be read and there is room. `patient` is for the first.
fn write_each(pipe: &Pipe, segments: &[(UserAddress, usize)], patient: bool) -> Outcome {
    let mut done = 0;
    for &(base, len) in segments {
        let mut at = base;
        while at.0 < base.0 + len {
            // A page can be read or not; what is in front of one that cannot is written.
            let part = (PAGE_SIZE - at.page_offset()).min(base.0 + len - at.0);
            match pipe.put_in(&mut user::UserSource::new(at, part)?, patient && done == 0) {
                Ok(written) => {
                    done += written;
                    at.0 += written;
                    if written < part {
                        return Ok(done);
                    }
                }
                Err(error) if done == 0 => return Err(error),
                Err(_) => return Ok(done),
            }
        }
    }
    Ok(done)
}

/// vmsplice(2): bytes are copied, so that the program may go on using its memory as it likes. Only for the first byte does it wait.
pub fn vmsplice(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let flags = SpliceFlags::from_bits(arguments.unsigned(3)).ok_or(Errno::EINVAL)?;
    let file = caller.descriptors.get_usable(arguments.int(0))?;
    let segments = super::io::segments(arguments.address(1), arguments.unsigned(2))?;
    if segments.iter().all(|(_, len)| *len == 0) {
        return Ok(0);
    }
    let pipe = file.file().as_pipe().ok_or(Errno::EBADF)?.pipe();
    if file.flags().can_write() {
        let outcome = write_each(pipe, &segments, !flags.contains(SpliceFlags::NONBLOCK));
        finish_write(caller, &file, outcome)
    } else {
        file.read(&mut user::UserSink::vector(segments)?)
    }
}

//! Reading and writing: read(2), write(2), their vectored and positioned kin, lseek(2).

use alloc::vec::Vec;

use abi::Errno;
use abi::fcntl::{Iovec, ReadWriteFlags, UIO_MAXIOV};
use abi::resource::{RLIM_INFINITY, RLIMIT_FSIZE};
use abi::signal::Signal;
use abi::signal::info::{SI_USER, SigInfo};
use abi::socket::SOCK_STREAM;
use files::{Metadata, OpenFile, Seek};
use machine::address::{USER_END, UserAddress};
use machine::heap::Grow;
use memory::user::{self, UserSink, UserSource};
use memory::{Sink, Source};

use super::Arguments;
use super::arguments::MAX_TRANSFER;
use crate::process::Caller;
use crate::signal::send;

type Outcome = Result<usize, Errno>;

/// Checks a buffer as Linux does before anything is moved: it must lie in user space as a whole (EFAULT). Its length is cut to what one call moves.
fn buffer(address: UserAddress, len: usize) -> Result<usize, Errno> {
    if address.is_user_range(len) { Ok(len.min(MAX_TRANSFER)) } else { Err(Errno::EFAULT) }
}

/// The segments of a vectored call: EINVAL for too many or for lengths whose sum is no `ssize_t`, EFAULT; the sum is cut to what one call moves.
pub fn segments(address: UserAddress, count: u32) -> Result<Vec<(UserAddress, usize)>, Errno> {
    // Linux has a 32-bit number where it counts; the upper half of the register does not count.
    let count = count as usize;
    if count > UIO_MAXIOV {
        return Err(Errno::EINVAL);
    }
    let vector: Vec<Iovec> = user::read_array(address, count)?;
    let mut ranges = Vec::new();
    ranges.try_grow_exact(count)?;
    let mut left = MAX_TRANSFER;
    // All lengths are looked at before any address is.
    if vector.iter().any(|segment| (segment.iov_len as isize) < 0) {
        return Err(Errno::EINVAL);
    }
    for segment in &vector {
        let (base, len) = (UserAddress(segment.iov_base as usize), segment.iov_len as usize);
        if !base.is_user_range(len.min(USER_END)) {
            return Err(Errno::EFAULT);
        }
        let len = len.min(left);
        left -= len;
        ranges.push((base, len));
    }
    Ok(ranges)
}

/// What every write does with its result: bytes are counted; a pipe or stream that nobody reads is SIGPIPE as well as an error, a file
/// that would become too long SIGXFSZ.
pub fn finish_write(caller: &Caller, file: &OpenFile, outcome: Outcome) -> Outcome {
    let is_stream = || file.file().as_socket().is_none_or(|socket| socket.kind() == SOCK_STREAM as i32);
    match outcome {
        Ok(written) => caller.process.account.note_write(written),
        Err(Errno::EPIPE) if is_stream() => {
            let info = SigInfo::sent(Signal::SIGPIPE, SI_USER, caller.process.pid(), caller.credentials.uid);
            send::to_task(&caller.task, Signal::SIGPIPE, info)?;
        }
        Err(Errno::EFBIG) if size_limit(caller).is_some() => tell_too_long(caller)?,
        Err(_) => {}
    }
    outcome
}

/// Counts what was read.
pub fn finish_read(caller: &Caller, outcome: Outcome) -> Outcome {
    if let Ok(read) = outcome {
        caller.process.account.note_read(read);
    }
    outcome
}

/// read(2).
pub fn read(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let file = caller.descriptors.get_usable(arguments.int(0))?;
    check_reads(&file)?;
    let len = buffer(arguments.address(1), arguments.size(2))?;
    let mut sink = UserSink::new(arguments.address(1), len)?;
    finish_read(caller, file.read(&mut sink))
}

/// write(2).
pub fn write(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let file = caller.descriptors.get_usable(arguments.int(0))?;
    check_writes(&file)?;
    let len = buffer(arguments.address(1), arguments.size(2))?;
    let mut source = UserSource::new(arguments.address(1), len)?;
    let outcome = write_limited(caller, &file, &mut source, None);
    finish_write(caller, &file, outcome)
}

/// The longest file that the caller may make (RLIMIT_FSIZE).
pub fn size_limit(caller: &Caller) -> Option<u64> {
    let limit = caller.process.limits.soft(RLIMIT_FSIZE);
    (limit != RLIM_INFINITY).then_some(limit)
}

/// SIGXFSZ: a file would have become too long.
pub fn tell_too_long(caller: &Caller) -> Result<(), Errno> {
    let info = SigInfo::sent(Signal::SIGXFSZ, SI_USER, caller.process.pid(), caller.credentials.uid);
    send::to_task(&caller.task, Signal::SIGXFSZ, info)
}

/// A file that is to become `size` bytes long: EFBIG and SIGXFSZ where the caller may not make it as long.
pub fn check_size(caller: &Caller, metadata: &Metadata, size: u64) -> Result<(), Errno> {
    let is_too_long = size_limit(caller).is_some_and(|limit| size > limit);
    if metadata.is_regular() && size > metadata.size && is_too_long {
        tell_too_long(caller)?;
        return Err(Errno::EFBIG);
    }
    Ok(())
}

/// Writes at the position, or at an offset.
fn write_limited(caller: &Caller, file: &OpenFile, source: &mut dyn Source, at: Option<i64>) -> Outcome {
    if source.remaining() > 0 {
        file.drop_privileges(&caller.credentials)?;
    }
    match at {
        Some(at) => file.write_at(source, at, size_limit(caller)),
        None => file.write_within(source, size_limit(caller)),
    }
}

/// EBADF where the file was not opened to be read, EINVAL where it is of a kind that never is.
fn check_reads(file: &OpenFile) -> Result<(), Errno> {
    match (file.flags().can_read(), file.file().abilities().reads) {
        (false, _) => Err(Errno::EBADF),
        (true, false) => Err(Errno::EINVAL),
        (true, true) => Ok(()),
    }
}

/// The same for writing.
fn check_writes(file: &OpenFile) -> Result<(), Errno> {
    match (file.flags().can_write(), file.file().abilities().writes) {
        (false, _) => Err(Errno::EBADF),
        (true, false) => Err(Errno::EINVAL),
        (true, true) => Ok(()),
    }
}

/// Reads into segments, at the position or at an offset. No bytes at all is asked of no file.
fn read_vector(caller: &Caller, arguments: &Arguments, at: Option<i64>, flags: u32) -> Outcome {
    let file = caller.descriptors.get_usable(arguments.int(0))?;
    if at.is_some() {
        file.check_offsets()?;
    }
    check_reads(&file)?;
    let mut sink = UserSink::vector(segments(arguments.address(1), arguments.unsigned(2))?)?;
    if sink.remaining() == 0 {
        return Ok(0);
    }
    check_end(at, sink.remaining())?;
    let flags = checked_flags(flags)?;
    if !(flags - HINTS).is_empty() && file.path().dentry.is_directory() {
        return Err(Errno::EOPNOTSUPP);
    }
    let outcome = match at {
        Some(at) => file.read_at(&mut sink, at),
        None => file.read(&mut sink),
    };
    finish_read(caller, outcome)
}

/// Writes from segments, at the position or at an offset. No bytes at all is asked of no file.
fn write_vector(caller: &Caller, arguments: &Arguments, at: Option<i64>, flags: u32) -> Outcome {
    let file = caller.descriptors.get_usable(arguments.int(0))?;
    if at.is_some() {
        file.check_write_offsets()?;
    }
    check_writes(&file)?;
    let mut source = UserSource::vector(segments(arguments.address(1), arguments.unsigned(2))?)?;
    if source.remaining() == 0 {
        return Ok(0);
    }
    check_end(at, source.remaining())?;
    let flags = checked_flags(flags)?;
    let outcome = write_limited(caller, &file, &mut source, at);
    let written = finish_write(caller, &file, outcome)?;
    if flags.intersects(SYNCHRONOUS) && file.metadata().is_regular() {
        file.sync(!flags.contains(ReadWriteFlags::SYNC))?;
    }
    Ok(written)
}

/// readv(2).
pub fn readv(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    read_vector(caller, arguments, None, 0)
}

/// writev(2).
pub fn writev(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    write_vector(caller, arguments, None, 0)
}

/// pread64(2).
pub fn pread(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let offset = checked_offset(arguments.long(3))?;
    let file = caller.descriptors.get_usable(arguments.int(0))?;
    file.check_offsets()?;
    check_reads(&file)?;
    let len = buffer(arguments.address(1), arguments.size(2))?;
    let mut sink = UserSink::new(arguments.address(1), len)?;
    finish_read(caller, file.read_at(&mut sink, offset))
}

/// pwrite64(2).
pub fn pwrite(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let offset = checked_offset(arguments.long(3))?;
    let file = caller.descriptors.get_usable(arguments.int(0))?;
    file.check_write_offsets()?;
    check_writes(&file)?;
    let len = buffer(arguments.address(1), arguments.size(2))?;
    let mut source = UserSource::new(arguments.address(1), len)?;
    let outcome = write_limited(caller, &file, &mut source, Some(offset));
    finish_write(caller, &file, outcome)
}

fn checked_offset(offset: i64) -> Result<i64, Errno> {
    if offset < 0 { Err(Errno::EINVAL) } else { Ok(offset) }
}

/// preadv(2).
pub fn preadv(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    read_vector(caller, arguments, Some(checked_offset(arguments.long(3))?), 0)
}

/// pwritev(2).
pub fn pwritev(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    write_vector(caller, arguments, Some(checked_offset(arguments.long(3))?), 0)
}

/// Flags of preadv2 and pwritev2 that are hints, and may be passed over.
const HINTS: ReadWriteFlags = ReadWriteFlags::HIPRI;
/// Flags that ask for what the file does after the write.
const SYNCHRONOUS: ReadWriteFlags = ReadWriteFlags::DSYNC.union(ReadWriteFlags::SYNC);

/// The offset of preadv2 and pwritev2: -1 is the position of the file.
fn offset_or_position(offset: i64) -> Result<Option<i64>, Errno> {
    if offset == -1 { Ok(None) } else { checked_offset(offset).map(Some) }
}

/// EINVAL for bytes that would lie beyond the largest position.
fn check_end(at: Option<i64>, len: usize) -> Result<(), Errno> {
    let is_beyond =
        at.is_some_and(|at| i64::try_from(len).ok().and_then(|len| at.checked_add(len)).is_none());
    if is_beyond { Err(Errno::EINVAL) } else { Ok(()) }
}

/// The flags of preadv2 and pwritev2, asked for once there is something to move: EOPNOTSUPP for those that there are not.
fn checked_flags(flags: u32) -> Result<ReadWriteFlags, Errno> {
    ReadWriteFlags::from_bits(flags)
        .filter(|flags| (HINTS | SYNCHRONOUS).contains(*flags))
        .ok_or(Errno::EOPNOTSUPP)
}

/// preadv2(2).
pub fn preadv2(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let at = offset_or_position(arguments.long(3))?;
    read_vector(caller, arguments, at, arguments.unsigned(5))
}

/// pwritev2(2).
pub fn pwritev2(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let at = offset_or_position(arguments.long(3))?;
    write_vector(caller, arguments, at, arguments.unsigned(5))
}

/// lseek(2).
pub fn lseek(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let file = caller.descriptors.get_usable(arguments.int(0))?;
    let to = Seek::new(arguments.long(1), arguments.unsigned(2))?;
    file.seek(to).map(|position| position as usize)
}

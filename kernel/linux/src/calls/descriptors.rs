//! What is done with descriptors themselves: close(2), dup(2), fcntl(2), ioctl(2), flock(2).

use alloc::sync::Arc;

use abi::Errno;
use abi::fcntl::*;
use abi::ioctl::*;
use files::locks::{FileLocks, LockKind, LockOwner, Range, Record};
use files::{IoctlArgument, Kind, OpenFile};
use machine::address::UserAddress;
use memory::user;

use super::Arguments;
use crate::process::Caller;

type Outcome = Result<usize, Errno>;

/// close(2).
pub fn close(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    caller.descriptors.close(arguments.int(0))?;
    Ok(0)
}

/// close_range(2).
pub fn close_range(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    const UNSHARE: u32 = 1 << 1;
    const CLOEXEC: u32 = 1 << 2;
    let (first, last) = (arguments.unsigned(0) as usize, arguments.unsigned(1) as usize);
    let flags = arguments.unsigned(2);
    if flags & !(UNSHARE | CLOEXEC) != 0 || first > last {
        return Err(Errno::EINVAL);
    }
    if flags & UNSHARE != 0 {
        unshare(caller)?;
    }
    if flags & CLOEXEC != 0 {
        caller.descriptors.mark_range(first, last);
    } else {
        caller.descriptors.close_range(first, last, false);
    }
    Ok(0)
}

/// Gives the caller a table of its own.
pub fn unshare(caller: &mut Caller) -> Result<(), Errno> {
    let own = caller.descriptors.duplicate()?;
    drop(caller.task.set_descriptors(Some(own.clone())));
    caller.descriptors = own;
    Ok(())
}

fn duplicate(caller: &Caller, descriptor: i32, least: usize, closes_on_exec: bool) -> Outcome {
    let file = caller.descriptors.get(descriptor)?;
    let limit = caller.process.limits.descriptors();
    Ok(caller.descriptors.insert(file, closes_on_exec, least, limit)? as usize)
}

/// dup(2).
pub fn dup(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    duplicate(caller, arguments.int(0), 0, false)
}

/// dup2(2): the same descriptor twice is left alone.
pub fn dup2(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    if arguments.unsigned(0) == arguments.unsigned(1) {
        caller.descriptors.get(arguments.int(0))?;
        return Ok(arguments.unsigned(0) as usize);
    }
    replace(caller, arguments, false)
}

/// dup3(2): the same descriptor twice is EINVAL.
pub fn dup3(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let flags = arguments.unsigned(2);
    if flags & !OpenFlags::CLOEXEC.bits() != 0 || arguments.unsigned(0) == arguments.unsigned(1) {
        return Err(Errno::EINVAL);
    }
    replace(caller, arguments, flags != 0)
}

fn replace(caller: &Caller, arguments: &Arguments, closes_on_exec: bool) -> Outcome {
    let limit = caller.process.limits.descriptors();
    let target = arguments.unsigned(1) as usize;
    if target >= limit {
        return Err(Errno::EBADF);
    }
    let file = caller.descriptors.get(arguments.int(0))?;
    caller.descriptors.replace(target, file, closes_on_exec, limit)?;
    Ok(target)
}

/// fcntl(2).
pub fn fcntl(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let descriptor = arguments.int(0);
    let command = arguments.unsigned(1);
    let file = caller.descriptors.get(descriptor)?;
    let works_on_places =
        matches!(command, F_DUPFD | F_DUPFD_CLOEXEC | F_DUPFD_QUERY | F_GETFD | F_SETFD | F_GETFL);
    if file.is_path() && !works_on_places {
        return Err(Errno::EBADF);
    }
    match command {
        F_DUPFD | F_DUPFD_CLOEXEC => {
            let least = arguments.unsigned(2) as usize;
            if least >= caller.process.limits.descriptors() {
                return Err(Errno::EINVAL);
            }
            duplicate(caller, descriptor, least, command == F_DUPFD_CLOEXEC)
        }
        F_GETFD => Ok(usize::from(caller.descriptors.closes_on_exec(descriptor)?)),
        F_SETFD => {
            caller.descriptors.set_closes_on_exec(descriptor, arguments.unsigned(2) & FD_CLOEXEC != 0)?;
            Ok(0)
        }
        F_GETFL => Ok(file.flags().bits() as usize),
        F_SETFL => {
            let flags = OpenFlags::from_bits_retain(arguments.unsigned(2));
            if flags.contains(OpenFlags::DIRECT) && !file.file().abilities().direct {
                return Err(Errno::EINVAL);
            }
            let is_new = flags.contains(OpenFlags::NOATIME) && !file.flags().contains(OpenFlags::NOATIME);
            if is_new && !caller.credentials.is_owner(file.inode().ownership()) {
                return Err(Errno::EPERM);
            }
            file.set_flags(flags);
            Ok(0)
        }
        F_GETLK | F_OFD_GETLK => get_lock(caller, &file, command, arguments.address(2)),
        F_SETLK | F_SETLKW | F_OFD_SETLK | F_OFD_SETLKW => {
            set_lock(caller, &file, command, arguments.address(2))
        }
        F_SETPIPE_SZ => {
            let may_exceed = caller.credentials.has(abi::capability::CAP_SYS_RESOURCE);
            file.file()
                .as_pipe()
                .ok_or(Errno::EBADF)?
                .pipe()
                .resize(arguments.unsigned(2) as usize, may_exceed)
        }
        F_GETPIPE_SZ => Ok(file.file().as_pipe().ok_or(Errno::EBADF)?.pipe().size()),
        F_ADD_SEALS => files::memfd::add_seals(&file, arguments.unsigned(2)).map(|()| 0),
        F_GET_SEALS => Ok(files::memfd::seals(&file)?.bits() as usize),
        F_GETOWN | F_GETSIG => Ok(0),
        // Nobody has a lease.
        F_GETLEASE => Ok(F_UNLCK as usize),
        F_DUPFD_QUERY => {
            let other = caller.descriptors.get(arguments.int(2))?;
            Ok(usize::from(Arc::ptr_eq(&file, &other)))
        }
        // How long what is written will live means nothing to memory.
        F_GET_RW_HINT => user::write_value(arguments.address(2), &0_u64).map(|()| 0),
        F_SET_RW_HINT => set_lifetime_hint(arguments.address(2)),
        _ => Err(Errno::EINVAL),
    }
}

/// F_SET_RW_HINT: EINVAL for a hint that there is not.
fn set_lifetime_hint(address: UserAddress) -> Outcome {
    const HINT_MAX: u64 = 5;
    let hint: u64 = user::read_value(address)?;
    if hint > HINT_MAX { Err(Errno::EINVAL) } else { Ok(0) }
}

fn record(file: &OpenFile, lock: &Flock, is_open_file: bool) -> Result<Range, Errno> {
    let base = match u32::try_from(i32::from(lock.l_whence)) {
        Ok(SEEK_SET) => 0,
        Ok(SEEK_CUR) => file.position() as i64,
        Ok(SEEK_END) => file.metadata().size as i64,
        _ => return Err(Errno::EINVAL),
    };
    if is_open_file && lock.l_pid != 0 {
        return Err(Errno::EINVAL);
    }
    Range::new(base.checked_add(lock.l_start).ok_or(Errno::EOVERFLOW)?, lock.l_len)
}

fn owner(caller: &Caller, file: &OpenFile, is_open_file: bool) -> (LockOwner, i32) {
    if is_open_file {
        (LockOwner::OpenFile(file.id()), -1)
    } else {
        (caller.descriptors.owner(), caller.process.pid())
    }
}

fn kind(lock_type: i16) -> Option<LockKind> {
    match lock_type {
        F_RDLCK => Some(LockKind::Shared),
        F_WRLCK => Some(LockKind::Exclusive),
        _ => None,
    }
}

fn locks(file: &OpenFile) -> Result<&FileLocks, Errno> {
    file.inode().locks().ok_or(Errno::ENOLCK)
}

fn get_lock(caller: &Caller, file: &OpenFile, command: u32, address: UserAddress) -> Outcome {
    let is_open_file = command == F_OFD_GETLK;
    let mut lock: Flock = user::read_value(address)?;
    let wanted = kind(lock.l_type).ok_or(Errno::EINVAL);
    if !is_open_file {
        wanted?;
    }
    let range = record(file, &lock, is_open_file)?;
    let kind = wanted?;
    let (owner, pid) = owner(caller, file, is_open_file);
    match locks(file)?.find_conflict(&Record { range, kind, owner, pid }) {
        Some(other) => {
            lock.l_type = if other.kind == LockKind::Shared { F_RDLCK } else { F_WRLCK };
            lock.l_whence = SEEK_SET as i16;
            lock.l_start = other.range.start as i64;
            lock.l_len = other.range.len();
            lock.l_pid = other.pid;
        }
        None => lock.l_type = F_UNLCK,
    }
    user::write_value(address, &lock)?;
    Ok(0)
}

fn set_lock(caller: &Caller, file: &OpenFile, command: u32, address: UserAddress) -> Outcome {
    let is_open_file = matches!(command, F_OFD_SETLK | F_OFD_SETLKW);
    let may_wait = matches!(command, F_SETLKW | F_OFD_SETLKW);
    let lock: Flock = user::read_value(address)?;
    let range = record(file, &lock, is_open_file)?;
    let (owner, pid) = owner(caller, file, is_open_file);
    if lock.l_type == F_UNLCK {
        locks(file)?.unlock_record(owner, range)?;
        return Ok(0);
    }
    let kind = kind(lock.l_type).ok_or(Errno::EINVAL)?;
    let may_lock = match kind {
        LockKind::Shared => file.flags().can_read(),
        LockKind::Exclusive => file.flags().can_write(),
    };
    if !may_lock {
        return Err(Errno::EBADF);
    }
    locks(file)?.lock_record(Record { range, kind, owner, pid }, may_wait)?;
    Ok(0)
}

/// flock(2).
pub fn flock(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let operation = arguments.unsigned(1);
    if operation & LOCK_MAND != 0 {
        // Mandatory locks are gone from Linux, which says so and goes on.
        return Ok(0);
    }
    let may_wait = operation & LOCK_NB == 0;
    if !matches!(operation & !LOCK_NB, LOCK_SH | LOCK_EX | LOCK_UN) {
        return Err(Errno::EINVAL);
    }
    let file = caller.descriptors.get_usable(arguments.int(0))?;
    let locks = locks(&file)?;
    match operation & !LOCK_NB {
        LOCK_SH => locks.lock_whole(file.id(), LockKind::Shared, may_wait)?,
        LOCK_EX => locks.lock_whole(file.id(), LockKind::Exclusive, may_wait)?,
        _ => locks.unlock_whole(file.id()),
    }
    Ok(0)
}

/// The last argument of ioctl(2): an address of the program, or a number.
struct Argument(UserAddress);

impl IoctlArgument for Argument {
    fn value(&self) -> usize {
        self.0.0
    }

    fn read(&mut self, into: &mut [u8]) -> Result<(), Errno> {
        user::read_bytes(self.0, into)
    }

    fn write(&mut self, from: &[u8]) -> Result<(), Errno> {
        user::write_bytes(self.0, from)
    }
}

/// ioctl(2): what concerns the descriptor is done here, all else by the file.
pub fn ioctl(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let descriptor = arguments.int(0);
    let file = caller.descriptors.get_usable(descriptor)?;
    let request = arguments.unsigned(1);
    match request {
        FIOCLEX => caller.descriptors.set_closes_on_exec(descriptor, true).map(|()| 0),
        FIONCLEX => caller.descriptors.set_closes_on_exec(descriptor, false).map(|()| 0),
        FIONBIO | FIOASYNC => {
            let value: i32 = user::read_value(arguments.address(2))?;
            let flag = if request == FIONBIO { OpenFlags::NONBLOCK } else { OpenFlags::FASYNC };
            file.set_flag(flag, value != 0);
            Ok(0)
        }
        FIGETBSZ => {
            let statistics = file.path().mount.superblock().file_system().statistics();
            user::write_value(arguments.address(2), &(statistics.f_bsize as i32)).map(|()| 0)
        }
        FIOQSIZE => {
            let metadata = file.metadata();
            if !metadata.is_regular() && metadata.kind() != Kind::Directory {
                return Err(Errno::ENOTTY);
            }
            user::write_value(arguments.address(2), &metadata.size).map(|()| 0)
        }
        FIONREAD if file.metadata().is_regular() => {
            let left = (file.metadata().size as i64).wrapping_sub(file.position() as i64);
            user::write_value(arguments.address(2), &(left as i32)).map(|()| 0)
        }
        // No file system here keeps its files in blocks of a disk.
        FIBMAP if file.metadata().is_regular() => Err(Errno::EINVAL),
        FS_IOC_FIEMAP => Err(Errno::EOPNOTSUPP),
        _ => file.ioctl(request, &mut Argument(arguments.address(2))),
    }
}

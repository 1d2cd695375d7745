//! Opening files and what is done with a whole file: open(2), truncate(2), fallocate(2), fsync(2), fadvise(2), memfd_create(2).

use alloc::vec::Vec;

use abi::Errno;
use abi::fcntl::{AT_FDCWD, FallocateFlags, OpenFlags, PATH_MAX, ResolveFlags};
use files::{Context, Kind, Lookup, OpenHow, Path};
use machine::address::UserAddress;
use memory::user;

use super::Arguments;
use super::io::check_size;
use crate::process::Caller;

type Outcome = Result<usize, Errno>;

/// Reads a path: ENAMETOOLONG, EFAULT.
pub fn path(address: UserAddress) -> Result<Vec<u8>, Errno> {
    user::read_string(address, PATH_MAX)
}

/// Where the path of an `*at` call begins: nothing for the working directory. An absolute path does not look at the descriptor.
pub fn start(caller: &Caller, descriptor: i32, path: &[u8]) -> Result<Option<Path>, Errno> {
    if descriptor == AT_FDCWD || path.first() == Some(&b'/') {
        return Ok(None);
    }
    let file = caller.descriptors.get(descriptor)?;
    if !path.is_empty() && !file.path().dentry.is_directory() {
        return Err(Errno::ENOTDIR);
    }
    Ok(Some(file.path().clone()))
}

/// As [`start`], for a path that must not be empty: ENOENT, whatever the descriptor is.
pub fn start_named(caller: &Caller, descriptor: i32, path: &[u8]) -> Result<Option<Path>, Errno> {
    if path.is_empty() { Err(Errno::ENOENT) } else { start(caller, descriptor, path) }
}

/// Calls `act` with the caller's root, working directory and identity.
pub fn with_context<R>(caller: &Caller, act: impl FnOnce(&Context<'_>) -> R) -> R {
    let directories = caller.place.directories();
    act(&directories.context(&caller.credentials, caller.place.umask()))
}

/// Finds the file that an `*at` call names.
pub fn look_up(caller: &Caller, descriptor: i32, path: &[u8], how: Lookup) -> Result<Path, Errno> {
    if path.is_empty() && !how.allow_empty {
        // Whatever the descriptor is.
        return Err(Errno::ENOENT);
    }
    let start = start(caller, descriptor, path)?;
    if path.is_empty() && how.allow_empty {
        let working = || caller.place.directories().working.clone();
        return Ok(start.unwrap_or_else(working));
    }
    with_context(caller, |context| context.look_up(start.as_ref(), path, how))
}

fn open_path(caller: &Caller, directory: i32, address: UserAddress, how: OpenHow) -> Outcome {
    how.check()?;
    let path = path(address)?;
    if path.is_empty() {
        return Err(Errno::ENOENT);
    }
    let number = caller.descriptors.reserve(0, caller.process.limits.descriptors())?;
    let start = start(caller, directory, &path)?;
    let file = with_context(caller, |context| context.open(start.as_ref(), &path, how))?;
    Ok(number.fill(file, how.flags.contains(OpenFlags::CLOEXEC)) as usize)
}

/// What open(2) and openat(2) take: unknown flags are passed over, as Linux always has.
fn classic(flags: u32, mode: u32) -> OpenHow {
    OpenHow {
        flags: OpenFlags::from_bits_truncate(flags),
        mode: mode & 0o7777,
        resolve: ResolveFlags::empty(),
    }
}

/// open(2).
pub fn open(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    open_path(caller, AT_FDCWD, arguments.address(0), classic(arguments.unsigned(1), arguments.unsigned(2)))
}

/// openat(2).
pub fn openat(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let how = classic(arguments.unsigned(2), arguments.unsigned(3));
    open_path(caller, arguments.int(0), arguments.address(1), how)
}

/// creat(2).
pub fn creat(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let flags = OpenFlags::CREAT | OpenFlags::WRONLY | OpenFlags::TRUNC;
    open_path(caller, AT_FDCWD, arguments.address(0), classic(flags.bits(), arguments.unsigned(1)))
}

/// openat2(2): refuses what it does not know, E2BIG for a newer struct with anything in what is new.
pub fn openat2(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let how: abi::fcntl::OpenHow =
        read_extensible(arguments.address(2), arguments.size(3), size_of::<abi::fcntl::OpenHow>())?;
    let flags = u32::try_from(how.flags).ok().and_then(OpenFlags::from_bits).ok_or(Errno::EINVAL)?;
    let resolve = ResolveFlags::from_bits(how.resolve).ok_or(Errno::EINVAL)?;
    let with_path = OpenFlags::PATH | OpenFlags::DIRECTORY | OpenFlags::NOFOLLOW | OpenFlags::CLOEXEC;
    if flags.contains(OpenFlags::PATH) && !with_path.contains(flags) {
        return Err(Errno::EINVAL);
    }
    let makes = flags.contains(OpenFlags::CREAT) || flags.contains(OpenFlags::TMPFILE);
    if how.mode & !0o7777 != 0 || how.mode != 0 && !makes {
        return Err(Errno::EINVAL);
    }
    if resolve.contains(ResolveFlags::BENEATH | ResolveFlags::IN_ROOT) {
        return Err(Errno::EINVAL);
    }
    let how = OpenHow { flags, mode: how.mode as u32, resolve };
    open_path(caller, arguments.int(0), arguments.address(1), how)
}

/// Reads a struct that grows from version to version: `len` bytes of the program, of which we know `size_of::<T>()`. A shorter one ends with zeros; EINVAL
/// below `least`, E2BIG when what we do not know is not zero.
pub fn read_extensible<T: zerocopy::FromBytes + zerocopy::IntoBytes>(
    address: UserAddress,
    len: usize,
    least: usize,
) -> Result<T, Errno> {
    if len < least {
        return Err(Errno::EINVAL);
    }
    if len > machine::address::PAGE_SIZE {
        return Err(Errno::E2BIG);
    }
    let mut value = T::new_zeroed();
    let known = len.min(size_of::<T>());
    user::read_bytes(address, value.as_mut_bytes().get_mut(..known).unwrap_or_default())?;
    for offset in known..len {
        let byte: u8 = user::read_value(address.checked_add(offset).ok_or(Errno::EFAULT)?)?;
        if byte != 0 {
            return Err(Errno::E2BIG);
        }
    }
    Ok(value)
}

/// truncate(2).
pub fn truncate(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    if arguments.long(1) < 0 {
        return Err(Errno::EINVAL);
    }
    let found = look_up(caller, AT_FDCWD, &path(arguments.address(0))?, Lookup::FOLLOW)?;
    let limit = || check_size(caller, &found.inode().metadata(), arguments.word(1));
    with_context(caller, |context| context.truncate(&found, arguments.long(1), limit))?;
    Ok(0)
}

/// ftruncate(2).
pub fn ftruncate(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    if arguments.long(1) < 0 {
        return Err(Errno::EINVAL);
    }
    let file = caller.descriptors.get(arguments.int(0))?;
    if file.flags().can_write() && !file.is_path() {
        check_size(caller, &file.metadata(), arguments.word(1))?;
    }
    file.truncate(arguments.long(1))?;
    file.drop_privileges(&caller.credentials)?;
    Ok(0)
}

/// fallocate(2).
pub fn fallocate(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let file = caller.descriptors.get_usable(arguments.int(0))?;
    if arguments.long(2) < 0 || arguments.long(3) <= 0 {
        return Err(Errno::EINVAL);
    }
    let how = FallocateFlags::from_bits(arguments.unsigned(1)).ok_or(Errno::EOPNOTSUPP)?;
    let keeps_size = how.contains(FallocateFlags::KEEP_SIZE);
    let is_known = match how - FallocateFlags::KEEP_SIZE {
        FallocateFlags::PUNCH_HOLE => keeps_size,
        FallocateFlags::COLLAPSE_RANGE | FallocateFlags::INSERT_RANGE => !keeps_size,
        one => one.is_empty() || one == FallocateFlags::ZERO_RANGE || one == FallocateFlags::UNSHARE_RANGE,
    };
    if !is_known {
        return Err(Errno::EOPNOTSUPP);
    }
    if arguments.long(2).checked_add(arguments.long(3)).is_none() && file.metadata().is_regular() {
        return Err(if file.flags().can_write() { Errno::EFBIG } else { Errno::EBADF });
    }
    let makes_longer = (how - FallocateFlags::KEEP_SIZE).is_empty();
    if file.flags().can_write() && makes_longer {
        check_size(caller, &file.metadata(), arguments.word(2).saturating_add(arguments.word(3)))?;
    }
    file.allocate(how, arguments.long(2), arguments.long(3))?;
    file.drop_privileges(&caller.credentials)?;
    Ok(0)
}

/// fsync(2).
pub fn fsync(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    caller.descriptors.get_usable(arguments.int(0))?.sync(false)?;
    Ok(0)
}

/// fdatasync(2).
pub fn fdatasync(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    caller.descriptors.get_usable(arguments.int(0))?.sync(true)?;
    Ok(0)
}

/// sync(2).
pub fn sync(caller: &mut Caller, _: &Arguments) -> Outcome {
    for mount in caller.place.directories().namespace.mounts()? {
        // sync(2) has no way to tell.
        let _ = mount.superblock().file_system().sync();
    }
    Ok(0)
}

/// syncfs(2).
pub fn syncfs(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let file = caller.descriptors.get_usable(arguments.int(0))?;
    file.path().mount.superblock().file_system().sync()?;
    Ok(0)
}

/// sync_file_range(2): what is in memory alone is as safe as it will be. ESPIPE for what is neither file, folder nor disk.
pub fn sync_file_range(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    const FLAGS: u32 = 7;
    let file = caller.descriptors.get_usable(arguments.int(0))?;
    let (offset, len) = (arguments.long(1), arguments.long(2));
    if arguments.unsigned(3) & !FLAGS != 0 || offset < 0 || len < 0 || offset.checked_add(len).is_none() {
        return Err(Errno::EINVAL);
    }
    let metadata = file.metadata();
    match metadata.kind() {
        Kind::Regular if !metadata.is_regular() => Err(Errno::ESPIPE),
        Kind::Regular if arguments.unsigned(3) != 0 => file.sync(true).map(|()| 0),
        Kind::Regular | Kind::Directory | Kind::BlockDevice => Ok(0),
        _ => Err(Errno::ESPIPE),
    }
}

/// fadvise64(2): advice is taken note of by nobody yet, and refused where Linux refuses it.
pub fn fadvise(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let file = caller.descriptors.get_usable(arguments.int(0))?;
    if file.metadata().kind() == Kind::Fifo {
        return Err(Errno::ESPIPE);
    }
    let known = abi::fcntl::POSIX_FADV_NORMAL..=abi::fcntl::POSIX_FADV_NOREUSE;
    if arguments.long(2) < 0 || !known.contains(&arguments.int(3)) {
        return Err(Errno::EINVAL);
    }
    Ok(0)
}

/// readahead(2): files are in memory already, or read as they are touched.
pub fn readahead(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let file = caller.descriptors.get_usable(arguments.int(0))?;
    if !file.flags().can_read() {
        return Err(Errno::EBADF);
    }
    let is_wrong = arguments.long(2) < 0 || !file.metadata().is_regular();
    if is_wrong { Err(Errno::EINVAL) } else { Ok(0) }
}

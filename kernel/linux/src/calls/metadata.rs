//! What is known of a file, and changing it: stat(2), statx(2), access(2), chmod(2), chown(2), utimensat(2), extended attributes.

use alloc::vec::Vec;

use abi::Errno;
use abi::fcntl::{
    AT_FDCWD, AtFlags, UTIME_NOW, UTIME_OMIT, XATTR_LIST_MAX, XATTR_NAME_MAX, XATTR_SIZE_MAX, XattrFlags,
};
use abi::time::{Timespec, Timeval};
use files::credentials::Access;
use files::{Lookup, Path};
use machine::address::UserAddress;
use memory::user;

use super::Arguments;
use super::files::{look_up, path};
use crate::process::Caller;

type Outcome = Result<usize, Errno>;

/// How the flags of an `*at` call look a path up: EINVAL for a flag that the call does not have.
fn lookup_flags(flags: u32, allowed: AtFlags) -> Result<Lookup, Errno> {
    let flags = AtFlags::from_bits(flags).filter(|flags| allowed.contains(*flags)).ok_or(Errno::EINVAL)?;
    Ok(Lookup {
        follow: !flags.contains(AtFlags::SYMLINK_NOFOLLOW),
        allow_empty: flags.contains(AtFlags::EMPTY_PATH),
        ..Lookup::FOLLOW
    })
}

fn write_stat(found: &Path, address: UserAddress) -> Outcome {
    user::write_value(address, &found.inode().metadata().to_stat())?;
    Ok(0)
}

/// stat(2).
pub fn stat(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let found = look_up(caller, AT_FDCWD, &path(arguments.address(0))?, Lookup::FOLLOW)?;
    write_stat(&found, arguments.address(1))
}

/// lstat(2).
pub fn lstat(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let found = look_up(caller, AT_FDCWD, &path(arguments.address(0))?, Lookup::NO_FOLLOW)?;
    write_stat(&found, arguments.address(1))
}

/// fstat(2).
pub fn fstat(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let file = caller.descriptors.get(arguments.int(0))?;
    user::write_value(arguments.address(1), &file.metadata().to_stat())?;
    Ok(0)
}

/// A path that may be left out where AT_EMPTY_PATH is given: null counts as empty.
fn optional_path(address: UserAddress, how: &Lookup) -> Result<Vec<u8>, Errno> {
    if how.allow_empty && address == UserAddress::NULL { Ok(Vec::new()) } else { path(address) }
}

/// newfstatat(2).
pub fn newfstatat(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let allowed = AtFlags::SYMLINK_NOFOLLOW | AtFlags::EMPTY_PATH | AtFlags::NO_AUTOMOUNT;
    let how = lookup_flags(arguments.unsigned(3), allowed)?;
    let path = optional_path(arguments.address(1), &how)?;
    if path.is_empty() && how.allow_empty && arguments.int(0) >= 0 {
        let file = caller.descriptors.get(arguments.int(0))?;
        user::write_value(arguments.address(2), &file.metadata().to_stat())?;
        return Ok(0);
    }
    let found = look_up(caller, arguments.int(0), &path, how)?;
    write_stat(&found, arguments.address(2))
}

/// statx(2).
pub fn statx(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    const RESERVED_MASK: u32 = 0x8000_0000;
    let sync = AtFlags::STATX_FORCE_SYNC | AtFlags::STATX_DONT_SYNC;
    let allowed = AtFlags::SYMLINK_NOFOLLOW | AtFlags::EMPTY_PATH | AtFlags::NO_AUTOMOUNT | sync;
    let flags = arguments.unsigned(2);
    if arguments.unsigned(3) & RESERVED_MASK != 0 || AtFlags::from_bits_retain(flags).contains(sync) {
        return Err(Errno::EINVAL);
    }
    let how = lookup_flags(flags, allowed)?;
    let path = optional_path(arguments.address(1), &how)?;
    let found = look_up(caller, arguments.int(0), &path, how)?;
    let statx = found.inode().metadata().to_statx(found.mount.id(), found.is_mount_root());
    user::write_value(arguments.address(4), &statx)?;
    Ok(0)
}

fn check_access(caller: &Caller, directory: i32, address: UserAddress, mode: u32, flags: u32) -> Outcome {
    let allowed = AtFlags::EACCESS | AtFlags::SYMLINK_NOFOLLOW | AtFlags::EMPTY_PATH;
    if mode & !7 != 0 {
        return Err(Errno::EINVAL);
    }
    let how = lookup_flags(flags, allowed)?;
    let path = path(address)?;
    let real = if AtFlags::from_bits_retain(flags).contains(AtFlags::EACCESS) {
        (*caller.credentials).clone()
    } else {
        caller.credentials.with_real_ids()
    };
    let start = super::files::start(caller, directory, &path)?;
    let directories = caller.place.directories();
    let found = if path.is_empty() && how.allow_empty {
        start.unwrap_or_else(|| directories.working.clone())
    } else {
        directories.context(&real, 0).look_up(start.as_ref(), &path, how)?
    };
    let ownership = found.inode().ownership();
    let access = Access(mode);
    if access.has(Access::WRITE) && !ownership_is_special(ownership.mode) {
        found.mount.check_writable()?;
    }
    real.check(ownership, access)?;
    Ok(0)
}

/// Devices, FIFOs and sockets can be written on a read-only mount.
fn ownership_is_special(mode: u32) -> bool {
    !matches!(
        files::Kind::of_mode(mode),
        files::Kind::Regular | files::Kind::Directory | files::Kind::Symlink
    )
}

/// access(2).
pub fn access(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    check_access(caller, AT_FDCWD, arguments.address(0), arguments.unsigned(1), 0)
}

/// faccessat(2), which has no flags in the kernel.
pub fn faccessat(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    check_access(caller, arguments.int(0), arguments.address(1), arguments.unsigned(2), 0)
}

/// faccessat2(2).
pub fn faccessat2(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    check_access(caller, arguments.int(0), arguments.address(1), arguments.unsigned(2), arguments.unsigned(3))
}

fn change_mode(caller: &Caller, found: &Path, mode: u32) -> Outcome {
    super::files::with_context(caller, |context| context.change_mode(found, mode & 0o7777))?;
    Ok(0)
}

/// chmod(2).
pub fn chmod(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let found = look_up(caller, AT_FDCWD, &path(arguments.address(0))?, Lookup::FOLLOW)?;
    change_mode(caller, &found, arguments.unsigned(1))
}

/// fchmod(2).
pub fn fchmod(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let file = caller.descriptors.get_usable(arguments.int(0))?;
    change_mode(caller, file.path(), arguments.unsigned(1))
}

/// fchmodat(2).
pub fn fchmodat(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let found = look_up(caller, arguments.int(0), &path(arguments.address(1))?, Lookup::FOLLOW)?;
    change_mode(caller, &found, arguments.unsigned(2))
}

/// fchmodat2(2).
pub fn fchmodat2(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let how = lookup_flags(arguments.unsigned(3), AtFlags::SYMLINK_NOFOLLOW | AtFlags::EMPTY_PATH)?;
    let found = look_up(caller, arguments.int(0), &path(arguments.address(1))?, how)?;
    if found.inode().metadata().kind() == files::Kind::Symlink {
        return Err(Errno::EOPNOTSUPP);
    }
    change_mode(caller, &found, arguments.unsigned(2))
}

fn change_owner(caller: &Caller, found: &Path, uid: u32, gid: u32) -> Outcome {
    let given = |id: u32| (id != u32::MAX).then_some(id);
    super::files::with_context(caller, |context| context.change_owner(found, given(uid), given(gid)))?;
    Ok(0)
}

/// chown(2).
pub fn chown(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let found = look_up(caller, AT_FDCWD, &path(arguments.address(0))?, Lookup::FOLLOW)?;
    change_owner(caller, &found, arguments.unsigned(1), arguments.unsigned(2))
}

/// lchown(2).
pub fn lchown(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let found = look_up(caller, AT_FDCWD, &path(arguments.address(0))?, Lookup::NO_FOLLOW)?;
    change_owner(caller, &found, arguments.unsigned(1), arguments.unsigned(2))
}

/// fchown(2).
pub fn fchown(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let file = caller.descriptors.get_usable(arguments.int(0))?;
    change_owner(caller, file.path(), arguments.unsigned(1), arguments.unsigned(2))
}

/// fchownat(2).
pub fn fchownat(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let how = lookup_flags(arguments.unsigned(4), AtFlags::SYMLINK_NOFOLLOW | AtFlags::EMPTY_PATH)?;
    let found = look_up(caller, arguments.int(0), &path(arguments.address(1))?, how)?;
    change_owner(caller, &found, arguments.unsigned(2), arguments.unsigned(3))
}

/// What a call that sets times is given for each of the two.
fn wanted_time(time: &Timespec) -> Result<files::TimeChange, Errno> {
    match time.tv_nsec {
        UTIME_NOW => Ok(files::TimeChange::Now),
        UTIME_OMIT => Ok(files::TimeChange::Keep),
        0..1_000_000_000 => Ok(files::TimeChange::Set(*time)),
        _ => Err(Errno::EINVAL),
    }
}

fn change_times(caller: &Caller, found: &Path, times: Option<[files::TimeChange; 2]>) -> Outcome {
    let [accessed, modified] = times.unwrap_or([files::TimeChange::Now; 2]);
    super::files::with_context(caller, |context| context.change_times(found, accessed, modified))?;
    Ok(0)
}

/// utimensat(2); a null path means the descriptor itself.
pub fn utimensat(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let times = match arguments.optional(2) {
        Some(address) => {
            let [accessed, modified]: [Timespec; 2] = user::read_value(address)?;
            if [accessed.tv_nsec, modified.tv_nsec] == [UTIME_OMIT; 2] {
                return Ok(0);
            }
            Some([wanted_time(&accessed), wanted_time(&modified)])
        }
        None => None,
    };
    let Some(address) = arguments.optional(1) else {
        if arguments.unsigned(3) != 0 && arguments.int(0) != AT_FDCWD {
            return Err(Errno::EINVAL);
        }
        return change_times_of(caller, arguments.int(0), times);
    };
    let how = lookup_flags(arguments.unsigned(3), AtFlags::SYMLINK_NOFOLLOW | AtFlags::EMPTY_PATH)?;
    let found = look_up(caller, arguments.int(0), &path(address)?, how)?;
    change_times(caller, &found, valid(times)?)
}

/// What utimensat(2) is given for the two times, wrong or not.
type WantedTimes = Option<[Result<files::TimeChange, Errno>; 2]>;

/// The times, once the file has been found: EINVAL for those that there are not.
fn valid(times: WantedTimes) -> Result<Option<[files::TimeChange; 2]>, Errno> {
    times.map(|[accessed, modified]| Ok([accessed?, modified?])).transpose()
}

/// Changes the times of what a descriptor is open on: EFAULT for the working directory, which is none.
fn change_times_of(caller: &Caller, descriptor: i32, times: WantedTimes) -> Outcome {
    if descriptor == AT_FDCWD {
        return Err(Errno::EFAULT);
    }
    let file = caller.descriptors.get_usable(descriptor)?;
    change_times(caller, file.path(), valid(times)?)
}

fn change_times_us(
    caller: &Caller,
    directory: i32,
    address: Option<UserAddress>,
    times: Option<UserAddress>,
) -> Outcome {
    let times = match times {
        Some(times) => {
            let pair: [Timeval; 2] = user::read_value(times)?;
            let mut wanted = [files::TimeChange::Now; 2];
            for (to, time) in wanted.iter_mut().zip(pair) {
                if !(0..1_000_000).contains(&time.tv_usec) {
                    return Err(Errno::EINVAL);
                }
                *to = files::TimeChange::Set(Timespec { tv_sec: time.tv_sec, tv_nsec: time.tv_usec * 1000 });
            }
            Some(wanted)
        }
        None => None,
    };
    let Some(address) = address else {
        return change_times_of(caller, directory, times.map(|times| times.map(Ok)));
    };
    let found = look_up(caller, directory, &path(address)?, Lookup::FOLLOW)?;
    change_times(caller, &found, times)
}

/// utimes(2).
pub fn utimes(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    change_times_us(caller, AT_FDCWD, arguments.optional(0), arguments.optional(1))
}

/// futimesat(2).
pub fn futimesat(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    change_times_us(caller, arguments.int(0), arguments.optional(1), arguments.optional(2))
}

/// utime(2): whole seconds.
pub fn utime(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let times = match arguments.optional(1) {
        Some(address) => {
            let seconds: [i64; 2] = user::read_value(address)?;
            Some(seconds.map(|tv_sec| files::TimeChange::Set(Timespec { tv_sec, tv_nsec: 0 })))
        }
        None => None,
    };
    let found = look_up(caller, AT_FDCWD, &path(arguments.address(0))?, Lookup::FOLLOW)?;
    change_times(caller, &found, times)
}

/// The file that one of the three forms of an attribute call names.
#[derive(Clone, Copy)]
enum Form {
    Follow,
    NoFollow,
    Descriptor,
}

fn attribute_target(caller: &Caller, arguments: &Arguments, form: Form) -> Result<Path, Errno> {
    match form {
        Form::Follow => look_up(caller, AT_FDCWD, &path(arguments.address(0))?, Lookup::FOLLOW),
        Form::NoFollow => look_up(caller, AT_FDCWD, &path(arguments.address(0))?, Lookup::NO_FOLLOW),
        Form::Descriptor => Ok(caller.descriptors.get_usable(arguments.int(0))?.path().clone()),
    }
}

fn attribute_name(address: UserAddress) -> Result<Vec<u8>, Errno> {
    let name = user::read_string(address, XATTR_NAME_MAX + 1)
        .map_err(|error| if error == Errno::ENAMETOOLONG { Errno::ERANGE } else { error })?;
    if name.is_empty() { Err(Errno::ERANGE) } else { Ok(name) }
}

/// Hands out `value`: a size of 0 asks how long it is.
fn write_sized(value: &[u8], to: UserAddress, size: usize) -> Outcome {
    if size == 0 {
        return Ok(value.len());
    }
    if value.len() > size {
        return Err(Errno::ERANGE);
    }
    user::write_bytes(to, value)?;
    Ok(value.len())
}

fn get_attribute(caller: &Caller, arguments: &Arguments, form: Form) -> Outcome {
    let name = attribute_name(arguments.address(1))?;
    let found = attribute_target(caller, arguments, form)?;
    let value = super::files::with_context(caller, |context| context.extended_attribute(&found, &name))?;
    write_sized(&value, arguments.address(2), arguments.size(3))
}

fn set_attribute(caller: &Caller, arguments: &Arguments, form: Form) -> Outcome {
    let how = XattrFlags::from_bits(arguments.unsigned(4)).ok_or(Errno::EINVAL)?;
    let name = attribute_name(arguments.address(1))?;
    if arguments.size(3) > XATTR_SIZE_MAX {
        return Err(Errno::E2BIG);
    }
    let value: Vec<u8> = user::read_array(arguments.address(2), arguments.size(3))?;
    let found = attribute_target(caller, arguments, form)?;
    super::files::with_context(caller, |context| context.set_extended_attribute(&found, &name, &value, how))?;
    Ok(0)
}

fn list_attributes(caller: &Caller, arguments: &Arguments, form: Form) -> Outcome {
    let found = attribute_target(caller, arguments, form)?;
    let names = super::files::with_context(caller, |context| context.extended_attributes(&found))?;
    write_sized(&names, arguments.address(1), arguments.size(2).min(XATTR_LIST_MAX))
}

fn remove_attribute(caller: &Caller, arguments: &Arguments, form: Form) -> Outcome {
    let name = attribute_name(arguments.address(1))?;
    let found = attribute_target(caller, arguments, form)?;
    super::files::with_context(caller, |context| context.remove_extended_attribute(&found, &name))?;
    Ok(0)
}

/// Declares the three forms of an attribute call.
macro_rules! forms {
    ($($act:ident: $follow:ident $no_follow:ident $descriptor:ident;)*) => {$(
        #[doc = concat!(stringify!($follow), "(2).")]
        pub fn $follow(caller: &mut Caller, arguments: &Arguments) -> Outcome {
            $act(caller, arguments, Form::Follow)
        }

        #[doc = concat!(stringify!($no_follow), "(2).")]
        pub fn $no_follow(caller: &mut Caller, arguments: &Arguments) -> Outcome {
            $act(caller, arguments, Form::NoFollow)
        }

        #[doc = concat!(stringify!($descriptor), "(2).")]
        pub fn $descriptor(caller: &mut Caller, arguments: &Arguments) -> Outcome {
            $act(caller, arguments, Form::Descriptor)
        }
    )*};
}

forms! {
    get_attribute: getxattr lgetxattr fgetxattr;
    set_attribute: setxattr lsetxattr fsetxattr;
    list_attributes: listxattr llistxattr flistxattr;
    remove_attribute: removexattr lremovexattr fremovexattr;
}

//! Names: making, linking, renaming and removing them, reading directories, the working directory and the root.

use alloc::vec::Vec;

use abi::Errno;
use abi::capability::CAP_SYS_CHROOT;
use abi::directory::{DIRENT64_NAME_OFFSET, Dirent64Head, dirent64_length};
use abi::fcntl::{AT_FDCWD, AtFlags, RenameFlags};
use abi::stat::{S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFMT, S_IFREG, S_IFSOCK};
use files::credentials::Access;
use files::{Kind, Lookup, Path};
use machine::address::UserAddress;
use machine::heap::Grow;
use memory::Sink;
use memory::user::{self, UserSink};
use zerocopy::{FromBytes, IntoBytes};

use super::Arguments;
use super::files::{look_up, path, start_named, with_context};
use crate::process::Caller;
use crate::process::place::Directories;

type Outcome = Result<usize, Errno>;

fn make_directory(caller: &Caller, directory: i32, address: UserAddress, mode: u32) -> Outcome {
    let path = path(address)?;
    let start = start_named(caller, directory, &path)?;
    with_context(caller, |context| context.make_directory(start.as_ref(), &path, mode))?;
    Ok(0)
}

/// mkdir(2).
pub fn mkdir(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    make_directory(caller, AT_FDCWD, arguments.address(0), arguments.unsigned(1))
}

/// mkdirat(2).
pub fn mkdirat(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    make_directory(caller, arguments.int(0), arguments.address(1), arguments.unsigned(2))
}

fn make_node(caller: &Caller, directory: i32, address: UserAddress, mode: u32, device: u32) -> Outcome {
    match mode & S_IFMT {
        0 | S_IFREG | S_IFCHR | S_IFBLK | S_IFIFO | S_IFSOCK => {}
        S_IFDIR => return Err(Errno::EPERM),
        _ => return Err(Errno::EINVAL),
    }
    let path = path(address)?;
    let start = start_named(caller, directory, &path)?;
    with_context(caller, |context| context.make_node(start.as_ref(), &path, mode, u64::from(device)))?;
    Ok(0)
}

/// mknod(2).
pub fn mknod(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    make_node(caller, AT_FDCWD, arguments.address(0), arguments.unsigned(1), arguments.unsigned(2))
}

/// mknodat(2).
pub fn mknodat(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    make_node(caller, arguments.int(0), arguments.address(1), arguments.unsigned(2), arguments.unsigned(3))
}

fn make_symlink(caller: &Caller, target: UserAddress, directory: i32, address: UserAddress) -> Outcome {
    let target = path(target)?;
    if target.is_empty() {
        return Err(Errno::ENOENT);
    }
    let path = path(address)?;
    let start = start_named(caller, directory, &path)?;
    with_context(caller, |context| context.make_symlink(&target, start.as_ref(), &path))?;
    Ok(0)
}

/// symlink(2).
pub fn symlink(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    make_symlink(caller, arguments.address(0), AT_FDCWD, arguments.address(1))
}

/// symlinkat(2).
pub fn symlinkat(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    make_symlink(caller, arguments.address(0), arguments.int(1), arguments.address(2))
}

fn make_link(caller: &Caller, old: (i32, UserAddress), new: (i32, UserAddress), flags: u32) -> Outcome {
    let allowed = AtFlags::SYMLINK_FOLLOW | AtFlags::EMPTY_PATH;
    let flags = AtFlags::from_bits(flags).filter(|flags| allowed.contains(*flags)).ok_or(Errno::EINVAL)?;
    let old_path = path(old.1)?;
    let how = Lookup {
        follow: flags.contains(AtFlags::SYMLINK_FOLLOW),
        allow_empty: flags.contains(AtFlags::EMPTY_PATH),
        ..Lookup::NO_FOLLOW
    };
    let old = look_up(caller, old.0, &old_path, how)?;
    let new_path = path(new.1)?;
    let start = start_named(caller, new.0, &new_path)?;
    with_context(caller, |context| context.link(&old, start.as_ref(), &new_path))?;
    Ok(0)
}

/// link(2).
pub fn link(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    make_link(caller, (AT_FDCWD, arguments.address(0)), (AT_FDCWD, arguments.address(1)), 0)
}

/// linkat(2).
pub fn linkat(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let old = (arguments.int(0), arguments.address(1));
    let new = (arguments.int(2), arguments.address(3));
    make_link(caller, old, new, arguments.unsigned(4))
}

fn move_name(caller: &Caller, old: (i32, UserAddress), new: (i32, UserAddress), flags: u32) -> Outcome {
    let flags = RenameFlags::from_bits(flags).ok_or(Errno::EINVAL)?;
    if flags.contains(RenameFlags::EXCHANGE)
        && flags.intersects(RenameFlags::NOREPLACE | RenameFlags::WHITEOUT)
    {
        return Err(Errno::EINVAL);
    }
    let old_path = path(old.1)?;
    let old_start = start_named(caller, old.0, &old_path)?;
    let new_place = path(new.1).and_then(|path| Ok((start_named(caller, new.0, &path)?, path)));
    let (new_start, new_path) = match new_place {
        Ok(place) => place,
        Err(error) => {
            // What is wrong with the way to the old name is said first.
            with_context(caller, |context| context.check_way(old_start.as_ref(), &old_path))?;
            return Err(error);
        }
    };
    with_context(caller, |context| {
        context.rename((old_start.as_ref(), &old_path), (new_start.as_ref(), &new_path), flags)
    })?;
    Ok(0)
}

/// rename(2).
pub fn rename(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    move_name(caller, (AT_FDCWD, arguments.address(0)), (AT_FDCWD, arguments.address(1)), 0)
}

/// renameat(2).
pub fn renameat(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let old = (arguments.int(0), arguments.address(1));
    move_name(caller, old, (arguments.int(2), arguments.address(3)), 0)
}

/// renameat2(2).
pub fn renameat2(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let old = (arguments.int(0), arguments.address(1));
    move_name(caller, old, (arguments.int(2), arguments.address(3)), arguments.unsigned(4))
}

fn remove(caller: &Caller, directory: i32, address: UserAddress, is_directory: bool) -> Outcome {
    let path = path(address)?;
    let start = start_named(caller, directory, &path)?;
    with_context(caller, |context| {
        if is_directory {
            context.remove_directory(start.as_ref(), &path)
        } else {
            context.unlink(start.as_ref(), &path)
        }
    })?;
    Ok(0)
}

/// unlink(2).
pub fn unlink(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    remove(caller, AT_FDCWD, arguments.address(0), false)
}

/// rmdir(2).
pub fn rmdir(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    remove(caller, AT_FDCWD, arguments.address(0), true)
}

/// unlinkat(2).
pub fn unlinkat(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let flags = arguments.unsigned(2);
    if flags & !AtFlags::REMOVEDIR.bits() != 0 {
        return Err(Errno::EINVAL);
    }
    remove(caller, arguments.int(0), arguments.address(1), flags != 0)
}

fn read_link(
    caller: &Caller,
    directory: i32,
    address: UserAddress,
    buffer: UserAddress,
    len: i32,
) -> Outcome {
    let len = usize::try_from(len).ok().filter(|&len| len > 0).ok_or(Errno::EINVAL)?;
    let path = path(address)?;
    // An empty path names the link that the descriptor was opened for with O_PATH and O_NOFOLLOW.
    let how = Lookup { allow_empty: directory != AT_FDCWD, ..Lookup::NO_FOLLOW };
    let found = look_up(caller, directory, &path, how)?;
    if path.is_empty() && Kind::of_mode(found.inode().ownership().mode) != Kind::Symlink {
        return Err(Errno::ENOENT);
    }
    let root = caller.place.directories().root.clone();
    let text = found.inode().link_text(&caller.credentials, &root)?;
    let part = text.get(..len).unwrap_or(&text);
    user::write_bytes(buffer, part)?;
    Ok(part.len())
}

/// readlink(2).
pub fn readlink(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    read_link(caller, AT_FDCWD, arguments.address(0), arguments.address(1), arguments.int(2))
}

/// readlinkat(2).
pub fn readlinkat(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    read_link(caller, arguments.int(0), arguments.address(1), arguments.address(2), arguments.int(3))
}

/// Entries of a directory that are gathered in the kernel before they are copied, in bytes.
const ENTRIES_LEN: usize = 32 << 10;

/// getdents64(2).
pub fn getdents64(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    read_entries(caller, arguments, false)
}

/// getdents(2), in whose entries the kind comes last.
pub fn getdents(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    read_entries(caller, arguments, true)
}

fn read_entries(caller: &Caller, arguments: &Arguments, has_kind_last: bool) -> Outcome {
    let file = caller.descriptors.get_usable(arguments.int(0))?;
    // A signed number to Linux, so that half of all sizes are too small for any entry.
    let room = usize::try_from(arguments.int(2)).unwrap_or(0).min(ENTRIES_LEN);
    let mut bytes: Vec<u8> = Vec::new();
    let mut is_too_small = false;
    let mut is_out_of_memory = false;
    let mut reader = file.read_directory()?;
    reader.visit(&mut |entry| {
        let Some(len) = dirent64_length(entry.name.len()).map(usize::from) else { return false };
        if bytes.len() + len > room {
            is_too_small = bytes.is_empty();
            return false;
        }
        if bytes.try_grow(len).is_err() {
            is_out_of_memory = true;
            return false;
        }
        let end = bytes.len() + len;
        let head = Dirent64Head {
            d_ino: entry.inode,
            d_off: entry.next as i64,
            d_reclen: len as u16,
            d_type: entry.kind.entry_type(),
        };
        let name_offset = DIRENT64_NAME_OFFSET - usize::from(has_kind_last);
        bytes.extend_from_slice(head.as_bytes().get(..name_offset).unwrap_or_default());
        bytes.extend_from_slice(entry.name);
        bytes.resize(end, 0);
        if has_kind_last && let Some(last) = bytes.last_mut() {
            *last = head.d_type;
        }
        true
    })?;
    if is_out_of_memory && bytes.is_empty() {
        return Err(Errno::ENOMEM);
    }
    if is_too_small {
        return Err(Errno::EINVAL);
    }
    if bytes.is_empty() {
        return Ok(0);
    }
    let stored = UserSink::new(arguments.address(1), bytes.len())?.write(&bytes)?;
    let (told, next) = whole_entries(&bytes, stored).ok_or(Errno::EFAULT)?;
    reader.move_to(next);
    Ok(told)
}

/// Of entries as getdents64(2) gives them, those that lie in the first `len` bytes as a whole: how many bytes they are, and the
/// position after them.
fn whole_entries(bytes: &[u8], len: usize) -> Option<(usize, u64)> {
    let mut found = None;
    let mut at = 0;
    while let Some((head, _)) = bytes.get(at..).and_then(|rest| Dirent64Head::read_from_prefix(rest).ok()) {
        at += usize::from(head.d_reclen);
        if at > len || head.d_reclen == 0 {
            break;
        }
        found = Some((at, head.d_off as u64));
    }
    found
}

fn enter(caller: &Caller, place: Path) -> Outcome {
    if !place.dentry.is_directory() {
        return Err(Errno::ENOTDIR);
    }
    caller.credentials.check(place.inode().ownership(), Access::EXECUTE)?;
    let directories = caller.place.directories();
    caller.place.set_directories(Directories { working: place, ..(*directories).clone() })?;
    Ok(0)
}

/// chdir(2).
pub fn chdir(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let path = path(arguments.address(0))?;
    let place = look_up(caller, AT_FDCWD, &path, Lookup { directory: true, ..Lookup::FOLLOW })?;
    enter(caller, place)
}

/// fchdir(2).
pub fn fchdir(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let place = caller.descriptors.get(arguments.int(0))?.path().clone();
    enter(caller, place)
}

/// chroot(2).
pub fn chroot(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let path = path(arguments.address(0))?;
    let place = look_up(caller, AT_FDCWD, &path, Lookup { directory: true, ..Lookup::FOLLOW })?;
    caller.credentials.check(place.inode().ownership(), Access::EXECUTE)?;
    if !caller.credentials.has(CAP_SYS_CHROOT) {
        return Err(Errno::EPERM);
    }
    let directories = caller.place.directories();
    caller.place.set_directories(Directories { root: place, ..(*directories).clone() })?;
    Ok(0)
}

/// getcwd(2): returns the length with its NUL. A directory outside the root is shown with "(unreachable)" before it.
pub fn getcwd(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let directories = caller.place.directories();
    let mut path = directories.working.absolute(&directories.root)?;
    path.try_grow(1)?;
    path.push(0);
    if path.len() > arguments.size(1) {
        return Err(Errno::ERANGE);
    }
    user::write_bytes(arguments.address(0), &path)?;
    Ok(path.len())
}

/// umask(2).
pub fn umask(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    Ok(caller.place.set_umask(arguments.unsigned(0)) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Entries of these lengths, each leading to a position ten times its number.
    fn entries(lens: &[u16]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (number, &len) in lens.iter().enumerate() {
            let head = Dirent64Head { d_ino: 1, d_off: 10 * (number as i64 + 1), d_reclen: len, d_type: 0 };
            let end = bytes.len() + usize::from(len);
            bytes.extend_from_slice(head.as_bytes());
            bytes.resize(end, 0);
        }
        bytes
    }

    #[test]
    fn an_entry_that_was_cut_off_is_none() {
        let bytes = entries(&[24, 32, 24]);
        assert_eq!(whole_entries(&bytes, 80), Some((80, 30)));
        assert_eq!(whole_entries(&bytes, 79), Some((56, 20)));
        assert_eq!(whole_entries(&bytes, 24), Some((24, 10)));
        assert_eq!(whole_entries(&bytes, 23), None);
        assert_eq!(whole_entries(&[], 0), None);
    }
}

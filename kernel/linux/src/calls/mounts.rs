//! Mounts (mount(2), umount2(2)) and what is known of a file system (statfs(2)).

use abi::Errno;
use abi::capability::CAP_SYS_ADMIN;
use abi::fcntl::AT_FDCWD;
use abi::mount::{MS_MGC_MSK, MS_MGC_VAL, MountFlags, UmountFlags};
use alloc::sync::Arc;
use alloc::vec::Vec;
use files::Lookup;
use machine::address::{PAGE_SIZE, UserAddress};
use memory::user;

use super::Arguments;
use super::files::{look_up, path, with_context};
use crate::process::Caller;
use crate::process::place::Directories;

type Outcome = Result<usize, Errno>;

fn check_admin(caller: &Caller) -> Result<(), Errno> {
    if caller.credentials.has(CAP_SYS_ADMIN) { Ok(()) } else { Err(Errno::EPERM) }
}

/// Reads a string of at most a page that may be left out.
fn optional_string(address: Option<UserAddress>) -> Result<Vec<u8>, Errno> {
    address.map_or(Ok(Vec::new()), |address| user::read_string(address, PAGE_SIZE))
}

/// mount(2).
pub fn mount(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let source = optional_string(arguments.optional(0))?;
    let target = path(arguments.address(1))?;
    let kind = optional_string(arguments.optional(2))?;
    let raw = arguments.word(3);
    let raw = if raw & MS_MGC_MSK == MS_MGC_VAL { raw & !MS_MGC_MSK } else { raw };
    let flags = MountFlags::from_bits_retain(raw);
    let options = optional_string(arguments.optional(4))?;
    with_context(caller, |context| context.mount(&source, &target, &kind, flags, &options))?;
    Ok(0)
}

/// umount2(2). Expiry (MNT_EXPIRE) is not there: EINVAL.
pub fn umount2(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let flags = UmountFlags::from_bits(arguments.unsigned(1)).ok_or(Errno::EINVAL)?;
    if flags.contains(UmountFlags::MNT_EXPIRE) {
        return Err(Errno::EINVAL);
    }
    let target = path(arguments.address(0))?;
    with_context(caller, |context| context.unmount(&target, flags))?;
    Ok(0)
}

/// pivot_root(2): the new root, which must be a mount, takes the old one's place for this process; the old one is seen at the place named second.
/// The root of the namespace itself (the initramfs) cannot be moved, as in Linux: EINVAL.
pub fn pivot_root(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let directory = Lookup { directory: true, ..Lookup::FOLLOW };
    let new = look_up(caller, AT_FDCWD, &path(arguments.address(0))?, directory)?;
    let old = look_up(caller, AT_FDCWD, &path(arguments.address(1))?, directory)?;
    check_admin(caller)?;
    let directories = caller.place.directories();
    let root = &directories.root;
    if !new.is_mount_root() || !root.is_mount_root() || *root == *directories.namespace.root() {
        return Err(Errno::EINVAL);
    }
    if Arc::ptr_eq(&new.mount, &root.mount) || Arc::ptr_eq(&old.mount, &root.mount) {
        return Err(Errno::EBUSY);
    }
    let above = root.mount.place().ok_or(Errno::EINVAL)?;
    directories.namespace.relocate(&root.mount, old)?;
    directories.namespace.relocate(&new.mount, above)?;
    let working = if directories.working == *root { new.clone() } else { directories.working.clone() };
    caller.place.set_directories(Directories { root: new, working, ..(*directories).clone() })?;
    Ok(0)
}

/// statfs(2).
pub fn statfs(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let found = look_up(caller, AT_FDCWD, &path(arguments.address(0))?, Lookup::FOLLOW)?;
    user::write_value(arguments.address(1), &found.mount.statistics())?;
    Ok(0)
}

/// fstatfs(2).
pub fn fstatfs(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let file = caller.descriptors.get(arguments.int(0))?;
    user::write_value(arguments.address(1), &file.path().mount.statistics())?;
    Ok(0)
}

//! Changing what a file is: chmod(2), chown(2), utimensat(2), truncate(2), access(2), xattr(7).

use alloc::vec::Vec;

use abi::Errno;
use abi::capability::{CAP_FOWNER, CAP_FSETID, CAP_SYS_ADMIN};
use abi::fcntl::{XATTR_NAME_MAX, XATTR_SIZE_MAX, XattrFlags};
use abi::stat::{S_IFDIR, S_IFMT, S_IFREG, S_ISGID, S_ISUID, S_IXGRP};
use abi::time::Timespec;

use crate::credentials::{Access, Credentials, Ownership};
use crate::metadata::{Kind, MetadataChange};
use crate::mount::Path;
use crate::time;
use crate::walk::Context;
use machine::heap::Grow;

/// A time for [`Context::change_times`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeChange {
    /// It stays (UTIME_OMIT).
    Keep,
    /// The time now (UTIME_NOW).
    Now,
    /// This time.
    Set(Timespec),
}

impl Context<'_> {
    /// chmod(2): EPERM for who is not the owner, EROFS. A symbolic link has no permissions of its own (EOPNOTSUPP).
    pub fn change_mode(&self, path: &Path, permissions: u32) -> Result<(), Errno> {
        path.mount.check_writable()?;
        let file = path.inode().ownership();
        if Kind::of_mode(file.mode) == Kind::Symlink {
            return Err(Errno::EOPNOTSUPP);
        }
        if !self.credentials.is_owner(file) {
            return Err(Errno::EPERM);
        }
        let permissions = self.credentials.settable_mode(file, permissions & 0o7777);
        path.inode().set_metadata(&MetadataChange {
            permissions: Some(permissions),
            changed: time::now(),
            ..MetadataChange::default()
        })
    }

    /// chown(2): a program that changes hands loses set-user-ID and set-group-ID.
    pub fn change_owner(&self, path: &Path, uid: Option<u32>, gid: Option<u32>) -> Result<(), Errno> {
        path.mount.check_writable()?;
        let file = path.inode().ownership();
        self.credentials.check_chown(file, uid, gid)?;
        let permissions = if file.is_directory() { None } else { without_privileges(self.credentials, file) };
        path.inode().set_metadata(&MetadataChange {
            permissions,
            uid,
            gid,
            changed: time::now(),
            ..MetadataChange::default()
        })
    }

    /// utimensat(2): the owner may set any time; who may write, only both to now (EACCES, EPERM).
    pub fn change_times(&self, path: &Path, accessed: TimeChange, modified: TimeChange) -> Result<(), Errno> {
        if accessed == TimeChange::Keep && modified == TimeChange::Keep {
            return Ok(());
        }
        path.mount.check_writable()?;
        let file = path.inode().ownership();
        if !self.credentials.is_owner(file) {
            if accessed != TimeChange::Now || modified != TimeChange::Now {
                return Err(Errno::EPERM);
            }
            self.credentials.check(file, Access::WRITE)?;
        }
        let now = time::now();
        let resolve = |new| match new {
            TimeChange::Keep => None,
            TimeChange::Now => Some(now),
            TimeChange::Set(time) => Some(time),
        };
        path.inode().set_metadata(&MetadataChange {
            accessed: resolve(accessed),
            modified: resolve(modified),
            changed: now,
            ..MetadataChange::default()
        })
    }

    /// truncate(2): EISDIR, EINVAL for what is no regular file, EACCES, EROFS, ETXTBSY for a program that runs.
    ///
    /// `limit` says whether it may become as long, once everything else has been asked.
    pub fn truncate(
        &self,
        path: &Path,
        size: i64,
        limit: impl FnOnce() -> Result<(), Errno>,
    ) -> Result<(), Errno> {
        let size = u64::try_from(size).map_err(|_| Errno::EINVAL)?;
        let inode = path.inode();
        let file = inode.ownership();
        match Kind::of_mode(file.mode) {
            Kind::Regular => {}
            Kind::Directory => return Err(Errno::EISDIR),
            _ => return Err(Errno::EINVAL),
        }
        path.mount.check_writable()?;
        self.credentials.check(file, Access::WRITE)?;
        if let Some(writers) = inode.writers() {
            writers.begin_writing()?;
        }
        let result = limit().and_then(|()| inode.truncate(size));
        if let Some(writers) = inode.writers() {
            writers.end_writing();
        }
        result?;
        drop_privileges(self.credentials, path)
    }

    /// access(2) with these credentials: EACCES, EROFS for a wish to write to a file on a read-only mount.
    pub fn check_access(&self, path: &Path, access: Access) -> Result<(), Errno> {
        let file = path.inode().ownership();
        let kind = Kind::of_mode(file.mode);
        if access.has(Access::EXECUTE) && kind == Kind::Regular && path.mount.forbids_execution() {
            return Err(Errno::EACCES);
        }
        self.credentials.check(file, access)?;
        let is_stored = matches!(kind, Kind::Regular | Kind::Directory | Kind::Symlink);
        if access.has(Access::WRITE) && is_stored { path.mount.check_writable() } else { Ok(()) }
    }

    /// getxattr(2): ENODATA, EOPNOTSUPP, ERANGE for a name that is too long.
    pub fn extended_attribute(&self, path: &Path, name: &[u8]) -> Result<Vec<u8>, Errno> {
        self.check_attribute(path, name, Access::READ)?;
        path.inode().extended_attribute(name)
    }

    /// setxattr(2): E2BIG for a value above 64 KiB, EEXIST and ENODATA by `how`.
    pub fn set_extended_attribute(
        &self,
        path: &Path,
        name: &[u8],
        value: &[u8],
        how: XattrFlags,
    ) -> Result<(), Errno> {
        if value.len() > XATTR_SIZE_MAX {
            return Err(Errno::E2BIG);
        }
        path.mount.check_writable()?;
        self.check_attribute(path, name, Access::WRITE)?;
        path.inode().set_extended_attribute(name, value, how)
    }

    /// removexattr(2).
    pub fn remove_extended_attribute(&self, path: &Path, name: &[u8]) -> Result<(), Errno> {
        path.mount.check_writable()?;
        self.check_attribute(path, name, Access::WRITE)?;
        path.inode().remove_extended_attribute(name)
    }

    /// listxattr(2): the names, each with a NUL; `trusted.` ones only for CAP_SYS_ADMIN.
    pub fn extended_attributes(&self, path: &Path) -> Result<Vec<u8>, Errno> {
        let names = path.inode().extended_attributes()?;
        if self.credentials.has(CAP_SYS_ADMIN) {
            return Ok(names);
        }
        let mut shown = Vec::new();
        for name in names.split_inclusive(|&byte| byte == 0).filter(|name| !name.starts_with(b"trusted.")) {
            shown.try_extend(name)?;
        }
        Ok(shown)
    }

    /// Whether the caller may get or set an attribute of this name (xattr(7)).
    fn check_attribute(&self, path: &Path, name: &[u8], access: Access) -> Result<(), Errno> {
        if name.is_empty() || name.len() > XATTR_NAME_MAX {
            return Err(Errno::ERANGE);
        }
        let file = path.inode().ownership();
        let writes = access.has(Access::WRITE);
        let refused = if writes { Errno::EPERM } else { Errno::ENODATA };
        let has_name = |space: &[u8]| name.strip_prefix(space).is_some_and(|rest| !rest.is_empty());
        if name.starts_with(b"trusted.") {
            if !self.credentials.has(CAP_SYS_ADMIN) {
                return Err(refused);
            }
            return if has_name(b"trusted.") { Ok(()) } else { Err(Errno::EINVAL) };
        }
        if name.starts_with(b"security.") {
            if writes && !self.credentials.has(CAP_SYS_ADMIN) {
                return Err(Errno::EPERM);
            }
            return if has_name(b"security.") { Ok(()) } else { Err(Errno::EINVAL) };
        }
        if !name.starts_with(b"user.") {
            return Err(Errno::EOPNOTSUPP);
        }
        let kind = Kind::of_mode(file.mode);
        if !matches!(file.mode & S_IFMT, S_IFREG | S_IFDIR) {
            return Err(refused);
        }
        let is_sticky = file.mode & abi::stat::S_ISVTX != 0;
        let is_owner = self.credentials.fsuid == file.uid || self.credentials.has(CAP_FOWNER);
        if kind == Kind::Directory && is_sticky && writes && !is_owner {
            return Err(Errno::EPERM);
        }
        if !has_name(b"user.") {
            return Err(Errno::EINVAL);
        }
        self.credentials.check(file, access)
    }
}

/// Takes set-user-ID and set-group-ID off a file whose contents are changed by somebody without CAP_FSETID.
pub(crate) fn drop_privileges(who: &Credentials, path: &Path) -> Result<(), Errno> {
    let Some(permissions) = without_privileges(who, path.inode().ownership()) else { return Ok(()) };
    if who.has(CAP_FSETID) {
        return Ok(());
    }
    path.inode().set_metadata(&MetadataChange {
        permissions: Some(permissions),
        changed: time::now(),
        ..MetadataChange::default()
    })
}

/// The permissions without set-user-ID, and without set-group-ID where that means a privilege (the group may execute) or one
/// that `who` has not (Linux's `setattr_should_drop_sgid`); none where there is nothing to take off.
fn without_privileges(who: &Credentials, file: Ownership) -> Option<u32> {
    let mut privileges = S_ISUID;
    if file.mode & S_IXGRP != 0 || !who.is_in_group(file.gid) && !who.has(CAP_FSETID) {
        privileges |= S_ISGID;
    }
    (file.mode & privileges != 0).then_some(file.mode & 0o7777 & !privileges)
}

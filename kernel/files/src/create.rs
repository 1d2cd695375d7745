//! Making and linking names: mkdir(2), mknod(2), symlink(2), link(2).

use alloc::sync::Arc;

use abi::Errno;
use abi::capability::CAP_MKNOD;
use abi::fcntl::ResolveFlags;
use abi::stat::{S_IFLNK, S_IFMT};

use crate::credentials::Access;
use crate::inode::{NewBody, NewNode};
use crate::metadata::Kind;
use crate::mount::Path;
use crate::walk::{Context, Last, Lookup, Walker};
use machine::heap::try_arc_slice;

/// The longest target of a symbolic link, its NUL included.
use abi::fcntl::PATH_MAX;

impl Context<'_> {
    /// mkdir(2).
    pub fn make_directory(&self, start: Option<&Path>, path: &[u8], mode: u32) -> Result<Path, Errno> {
        let mode = Kind::Directory.mode_bits() | mode & 0o1777 & !self.umask;
        self.make(start, path, NewBody::Directory, mode)
    }

    /// mknod(2): a regular file, a FIFO, a socket's name, or (CAP_MKNOD, else EPERM) the device file for `device`.
    pub fn make_node(
        &self,
        start: Option<&Path>,
        path: &[u8],
        mode: u32,
        device: u64,
    ) -> Result<Path, Errno> {
        let kind = Kind::of_mode(mode);
        let body = match kind {
            Kind::Regular if matches!(mode & S_IFMT, 0 | abi::stat::S_IFREG) => NewBody::Regular,
            Kind::Fifo => NewBody::Fifo,
            Kind::Socket => NewBody::Socket,
            Kind::CharacterDevice | Kind::BlockDevice if !self.credentials.has(CAP_MKNOD) => {
                return Err(Errno::EPERM);
            }
            Kind::CharacterDevice | Kind::BlockDevice => NewBody::Device(kind, device),
            Kind::Directory => return Err(Errno::EPERM),
            Kind::Regular | Kind::Symlink => return Err(Errno::EINVAL),
        };
        self.make(start, path, body, kind.mode_bits() | mode & 0o7777 & !self.umask)
    }

    /// symlink(2): a link at `path` to `target`, which need not exist.
    pub fn make_symlink(&self, target: &[u8], start: Option<&Path>, path: &[u8]) -> Result<Path, Errno> {
        if target.is_empty() {
            return Err(Errno::ENOENT);
        }
        if target.len() >= PATH_MAX {
            return Err(Errno::ENAMETOOLONG);
        }
        self.make(start, path, NewBody::Symlink(target), S_IFLNK | 0o777)
    }

    fn make(&self, start: Option<&Path>, path: &[u8], body: NewBody<'_>, mode: u32) -> Result<Path, Errno> {
        let walker = Walker::new(*self, start, path, ResolveFlags::empty())?;
        if walker.last() != Last::Name {
            return Err(Errno::EEXIST);
        }
        let directory = walker.directory();
        let changing = directory.dentry.change()?;
        match directory.dentry.child_locked(&changing, walker.name()) {
            Ok(_) => return Err(Errno::EEXIST),
            Err(Errno::ENOENT) if walker.has_trailing_slash() && body.kind() != Kind::Directory => {
                return Err(Errno::ENOENT);
            }
            Err(Errno::ENOENT) if directory.inode().has_free_names() => {}
            Err(error) => return Err(error),
        }
        directory.mount.check_writable()?;
        let parent = directory.inode().ownership();
        self.credentials.check(parent, Access::CHANGE)?;
        let name: Arc<[u8]> = try_arc_slice(walker.name())?;
        let room = directory.dentry.make_room(&changing)?;
        let node = NewNode { body, ownership: self.credentials.ownership_in(parent, mode) };
        let inode = directory.inode().create(&name, node)?;
        let dentry = directory.dentry.remember(room, name, inode)?;
        Ok(Path { mount: Arc::clone(&directory.mount), dentry })
    }

    /// link(2): one more name, `path`, for the file at `old`. EPERM for a directory, EXDEV across mounts.
    pub fn link(&self, old: &Path, start: Option<&Path>, path: &[u8]) -> Result<(), Errno> {
        let walker = Walker::new(*self, start, path, ResolveFlags::empty())?;
        if walker.last() != Last::Name {
            return Err(Errno::EEXIST);
        }
        let directory = walker.directory();
        let changing = directory.dentry.change()?;
        match directory.dentry.child_locked(&changing, walker.name()) {
            Ok(_) => return Err(Errno::EEXIST),
            Err(Errno::ENOENT) if walker.has_trailing_slash() => return Err(Errno::ENOENT),
            Err(Errno::ENOENT) if directory.inode().has_free_names() => {}
            Err(error) => return Err(error),
        }
        directory.mount.check_writable()?;
        if !Arc::ptr_eq(&directory.mount, &old.mount) {
            return Err(Errno::EXDEV);
        }
        self.credentials.check(directory.inode().ownership(), Access::CHANGE)?;
        if old.dentry.is_directory() {
            return Err(Errno::EPERM);
        }
        let name: Arc<[u8]> = try_arc_slice(walker.name())?;
        let room = directory.dentry.make_room(&changing)?;
        directory.inode().link(&name, old.inode())?;
        directory.dentry.remember(room, name, Arc::clone(old.inode()))?;
        Ok(())
    }

    /// linkat(2) from a path; `follow` follows a symbolic link at the end of the old one.
    pub fn link_path(
        &self,
        old_start: Option<&Path>,
        old: &[u8],
        how: Lookup,
        start: Option<&Path>,
        path: &[u8],
    ) -> Result<(), Errno> {
        let old = self.look_up(old_start, old, how)?;
        self.link(&old, start, path)
    }
}

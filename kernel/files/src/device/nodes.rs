//! The tree that is mounted at /dev: a tmpfs in which drivers make their nodes, shared by all who mount it.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;

use abi::Errno;
use abi::stat::{S_IFDIR, S_IFLNK, TMPFS_MAGIC};
use machine::heap::try_arc_slice;
use machine::sync::Once;

use crate::credentials::Ownership;
use crate::dentry::Dentry;
use crate::filesystem::{Superblock, register};
use crate::inode::{NewBody, NewNode};
use crate::metadata::Kind;
use crate::tmpfs::{Options, Tmpfs};

static SUPERBLOCK: Once<Arc<Superblock>> = Once::new();

/// The one devtmpfs.
pub fn superblock() -> Arc<Superblock> {
    if let Some(superblock) = SUPERBLOCK.get() {
        return Arc::clone(superblock);
    }
    let options = Options { mode: 0o755, ..Options::default() };
    let fresh = Superblock::new(Tmpfs::of_kind("devtmpfs", TMPFS_MAGIC, options, String::from(",mode=755")));
    match SUPERBLOCK.set(Arc::clone(&fresh)) {
        Ok(()) => fresh,
        Err(fresh) => SUPERBLOCK.get().map_or(fresh, Arc::clone),
    }
}

/// Makes devtmpfs known to mount(2).
#[expect(clippy::disallowed_methods, reason = "made at boot")]
pub fn register_kind() {
    register("devtmpfs", false, Box::new(|_| Ok(superblock())));
}

/// Makes `body` at `path` below /dev, and the directories above it. What is there already stays.
fn add(path: &str, body: NewBody<'_>, mode: u32) -> Result<(), Errno> {
    add_in(&superblock(), path, NewNode { body, ownership: Ownership { mode, uid: 0, gid: 0 } })
}

/// Makes `node` at `path` in a file system of nodes, and the directories above it. What is there already stays.
pub(crate) fn add_in(superblock: &Superblock, path: &str, node: NewNode<'_>) -> Result<(), Errno> {
    let mut directory = Arc::clone(superblock.root());
    let mut names = path.split('/').peekable();
    while let Some(name) = names.next() {
        let is_last = names.peek().is_none();
        let between = NewNode {
            body: NewBody::Directory,
            ownership: Ownership { mode: S_IFDIR | 0o755, uid: 0, gid: 0 },
        };
        directory = child(&directory, name.as_bytes(), if is_last { node } else { between })?;
    }
    Ok(())
}

fn child(directory: &Arc<Dentry>, name: &[u8], node: NewNode<'_>) -> Result<Arc<Dentry>, Errno> {
    let changing = directory.change()?;
    match directory.child_locked(&changing, name) {
        Err(Errno::ENOENT) => {}
        found => return found,
    }
    let name: Arc<[u8]> = try_arc_slice(name)?;
    let room = directory.make_room(&changing)?;
    let inode = directory.inode().create(&name, node)?;
    directory.remember(room, name, inode)
}

/// Makes a device's node at `path` below /dev, such as `ttyS0` or `input/event0`.
pub fn add_node(path: &str, kind: Kind, permissions: u32, device: u64) -> Result<(), Errno> {
    add(path, NewBody::Device(kind, device), kind.mode_bits() | permissions)
}

/// Makes a symbolic link at `path` below /dev.
pub fn add_link(path: &str, target: &str) -> Result<(), Errno> {
    add(path, NewBody::Symlink(target.as_bytes()), S_IFLNK | 0o777)
}

/// Makes a directory at `path` below /dev.
pub(super) fn add_directory(path: &str, permissions: u32) -> Result<(), Errno> {
    add(path, NewBody::Directory, S_IFDIR | permissions)
}

/// Takes a node away whose device has gone: ENOENT.
pub fn remove_node(path: &str) -> Result<(), Errno> {
    remove_in(&superblock(), path)
}

/// Takes the node at `path` out of a file system of nodes: ENOENT.
pub(crate) fn remove_in(superblock: &Superblock, path: &str) -> Result<(), Errno> {
    let mut directory = Arc::clone(superblock.root());
    let (parents, name) = path.rsplit_once('/').unwrap_or(("", path));
    for parent in parents.split('/').filter(|parent| !parent.is_empty()) {
        directory = directory.child(parent.as_bytes())?;
    }
    let changing = directory.change()?;
    let victim = directory.child_locked(&changing, name.as_bytes())?;
    directory.inode().unlink(name.as_bytes(), victim.inode())?;
    let forgotten = directory.forget(&changing, name.as_bytes());
    drop(changing);
    drop(forgotten);
    Ok(())
}

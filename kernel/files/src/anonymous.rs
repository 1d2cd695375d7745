//! Files without a name: pipes, sockets, eventfds. They have a place all the same, on a mount that no namespace shows, so
//! that fstat(2) and /proc/PID/fd treat them like any other file.

use alloc::format;
use alloc::string::String;
use alloc::sync::{Arc, Weak};
use core::sync::atomic::{AtomicU64, Ordering};

use abi::Errno;
use abi::fcntl::NAME_MAX;
use abi::mount::MountFlags;
use abi::stat::{ANON_INODE_FS_MAGIC, S_IRUSR, S_IWUSR, Statfs};
use abi::time::Timespec;
use machine::address::PAGE_SIZE;
use machine::sync::Once;

use crate::credentials::Ownership;
use crate::dentry::Dentry;
use crate::file::File;
use crate::filesystem::{FileSystem, Superblock, anonymous_device};
use crate::inode::{Inode, Opening};
use crate::metadata::Metadata;
use crate::mount::{Mount, Path};
use crate::time;

static NEXT_INODE: AtomicU64 = AtomicU64::new(1);
static MOUNT: Once<Arc<Mount>> = Once::new();
static DEVICE: Once<u64> = Once::new();

/// A number for an inode of no real file system.
pub fn next_inode() -> u64 {
    NEXT_INODE.fetch_add(1, Ordering::Relaxed)
}

/// The device number that such inodes show.
pub fn device() -> u64 {
    if let Some(device) = DEVICE.get() {
        return *device;
    }
    let fresh = anonymous_device();
    match DEVICE.set(fresh) {
        Ok(()) => fresh,
        Err(fresh) => DEVICE.get().copied().unwrap_or(fresh),
    }
}

struct AnonymousFileSystem;

impl FileSystem for AnonymousFileSystem {
    fn kind(&self) -> &'static str {
        "anon_inodefs"
    }

    fn root(&self) -> Arc<dyn Inode> {
        AnonymousInode::new("anon_inode", 0o600)
    }

    fn statistics(&self) -> Statfs {
        Statfs {
            f_type: ANON_INODE_FS_MAGIC,
            f_bsize: PAGE_SIZE as i64,
            f_frsize: PAGE_SIZE as i64,
            f_namelen: NAME_MAX as i64,
            ..Statfs::default()
        }
    }
}

fn mount() -> Arc<Mount> {
    if let Some(mount) = MOUNT.get() {
        return Arc::clone(mount);
    }
    let superblock = Superblock::new(Arc::new(AnonymousFileSystem));
    let root = Arc::clone(superblock.root());
    let fresh = Mount::new(superblock, root, MountFlags::empty(), "none");
    match MOUNT.set(Arc::clone(&fresh)) {
        Ok(()) => fresh,
        Err(fresh) => MOUNT.get().map_or(fresh, Arc::clone),
    }
}

/// A place for a file without a name.
pub fn path(inode: Arc<dyn Inode>) -> Path {
    Path { mount: mount(), dentry: Dentry::root(inode, Weak::new(), false) }
}

/// What fstat(2) shows of a file without a name.
pub struct Identity {
    /// The inode's number.
    pub number: u64,
    ownership: Ownership,
    created: Timespec,
}

impl Identity {
    /// That of a file made now.
    pub fn new(mode: u32, uid: u32, gid: u32) -> Self {
        Self { number: next_inode(), ownership: Ownership { mode, uid, gid }, created: time::now() }
    }

    /// For [`Inode::metadata`].
    pub fn metadata(&self) -> Metadata {
        Metadata {
            device: device(),
            inode: self.number,
            mode: self.ownership.mode,
            links: 1,
            uid: self.ownership.uid,
            gid: self.ownership.gid,
            block_size: PAGE_SIZE as u32,
            accessed: self.created,
            modified: self.created,
            changed: self.created,
            created: self.created,
            ..Metadata::default()
        }
    }

    /// For [`Inode::ownership`].
    pub fn ownership(&self) -> Ownership {
        self.ownership
    }
}

/// The inode of an eventfd, an epoll and their like: it has a number, owner root and nothing else.
pub struct AnonymousInode {
    label: &'static str,
    identity: Identity,
}

impl AnonymousInode {
    /// An inode that /proc/PID/fd shows as `anon_inode:LABEL`. Linux gives these a mode without a kind.
    pub fn new(label: &'static str, mode: u32) -> Arc<Self> {
        Arc::new(Self { label, identity: Identity::new(mode, 0, 0) })
    }

    /// As [`new`](Self::new) with the permissions that Linux gives: read and write for root.
    pub fn labelled(label: &'static str) -> Arc<Self> {
        Self::new(label, S_IRUSR | S_IWUSR)
    }
}

impl Inode for AnonymousInode {
    fn metadata(&self) -> Metadata {
        self.identity.metadata()
    }

    fn ownership(&self) -> Ownership {
        self.identity.ownership()
    }

    fn open(self: Arc<Self>, _opening: &Opening<'_>) -> Result<Arc<dyn File>, Errno> {
        Err(Errno::ENXIO)
    }

    fn label(&self) -> Option<String> {
        Some(format!("anon_inode:{}", self.label))
    }
}

//! Files without a name: pipes, sockets, eventfds. They have a place all the same, on a mount that no namespace shows, so
//! that fstat(2) and /proc/PID/fd treat them like any other file.

use alloc::string::String;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};

use abi::Errno;
use abi::fcntl::NAME_MAX;
use abi::mount::MountFlags;
use abi::stat::{ANON_INODE_FS_MAGIC, PIPEFS_MAGIC, S_IFMT, S_IRUSR, S_IWUSR, SOCKFS_MAGIC, Statfs};
use abi::time::Timespec;
use machine::address::PAGE_SIZE;
use machine::frame::OutOfMemory;
use machine::heap::{try_arc, try_format};
use machine::sync::{Once, Rank, SpinLock};

use crate::credentials::Ownership;
use crate::dentry::Dentry;
use crate::file::File;
use crate::filesystem::{FileSystem, Superblock, anonymous_device};
use crate::inode::{Inode, Opening};
use crate::locks::FileLocks;
use crate::metadata::{Metadata, MetadataChange};
use crate::mount::{Mount, Path};
use crate::time;

static NEXT_INODE: AtomicU64 = AtomicU64::new(1);
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

/// The file systems of such files, each with a kind of its own for statfs(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Home {
    /// eventfds, epolls and their like.
    Anonymous,
    /// Pipes.
    Pipes,
    /// Sockets.
    Sockets,
}

static MOUNTS: [Once<Arc<Mount>>; 3] = [const { Once::new() }; 3];

struct AnonymousFileSystem(Home);

impl FileSystem for AnonymousFileSystem {
    fn kind(&self) -> &'static str {
        match self.0 {
            Home::Anonymous => "anon_inodefs",
            Home::Pipes => "pipefs",
            Home::Sockets => "sockfs",
        }
    }

    #[expect(clippy::disallowed_methods, reason = "made once")]
    fn root(&self) -> Arc<dyn Inode> {
        Arc::new(AnonymousInode { label: "anon_inode", identity: Identity::new(0o600, 0, 0) })
    }

    fn may_hold_programs(&self) -> bool {
        false
    }

    fn statistics(&self) -> Statfs {
        let magic = match self.0 {
            Home::Anonymous => ANON_INODE_FS_MAGIC,
            Home::Pipes => PIPEFS_MAGIC,
            Home::Sockets => SOCKFS_MAGIC,
        };
        Statfs {
            f_type: magic,
            f_bsize: PAGE_SIZE as i64,
            f_frsize: PAGE_SIZE as i64,
            f_namelen: NAME_MAX as i64,
            ..Statfs::default()
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "made once")]
fn mount(home: Home) -> Arc<Mount> {
    let [anonymous, pipes, sockets] = &MOUNTS;
    let place = match home {
        Home::Anonymous => anonymous,
        Home::Pipes => pipes,
        Home::Sockets => sockets,
    };
    if let Some(mount) = place.get() {
        return Arc::clone(mount);
    }
    let superblock = Superblock::new(Arc::new(AnonymousFileSystem(home)));
    let root = Arc::clone(superblock.root());
    let fresh = Mount::new(superblock, root, MountFlags::empty(), "none");
    match place.set(Arc::clone(&fresh)) {
        Ok(()) => fresh,
        Err(fresh) => place.get().map_or(fresh, Arc::clone),
    }
}

/// A place for a file without a name.
pub fn path(home: Home, inode: Arc<dyn Inode>) -> Result<Path, OutOfMemory> {
    Ok(Path { mount: mount(home), dentry: Dentry::nameless(inode)? })
}

/// What fstat(2) shows of a file without a name, and the locks on it.
pub struct Identity {
    /// The inode's number.
    pub number: u64,
    created: Timespec,
    state: SpinLock<IdentityState>,
    locks: FileLocks,
}

struct IdentityState {
    ownership: Ownership,
    accessed: Timespec,
    modified: Timespec,
    changed: Timespec,
}

impl Identity {
    /// That of a file made now.
    pub fn new(mode: u32, uid: u32, gid: u32) -> Self {
        let now = time::now();
        let ownership = Ownership { mode, uid, gid };
        let state = IdentityState { ownership, accessed: now, modified: now, changed: now };
        Self {
            number: next_inode(),
            created: now,
            state: SpinLock::new(Rank::Inode, state),
            locks: FileLocks::new(),
        }
    }

    /// For [`Inode::metadata`].
    pub fn metadata(&self) -> Metadata {
        let device = device();
        let state = self.state.lock();
        Metadata {
            device,
            inode: self.number,
            mode: state.ownership.mode,
            links: 1,
            uid: state.ownership.uid,
            gid: state.ownership.gid,
            block_size: PAGE_SIZE as u32,
            accessed: state.accessed,
            modified: state.modified,
            changed: state.changed,
            created: self.created,
            ..Metadata::default()
        }
    }

    /// For [`Inode::ownership`].
    pub fn ownership(&self) -> Ownership {
        self.state.lock().ownership
    }

    /// For [`Inode::set_metadata`].
    pub fn change(&self, change: &MetadataChange) {
        let mut state = self.state.lock();
        let ownership = &mut state.ownership;
        if let Some(permissions) = change.permissions {
            ownership.mode = ownership.mode & S_IFMT | permissions & 0o7777;
        }
        ownership.uid = change.uid.unwrap_or(ownership.uid);
        ownership.gid = change.gid.unwrap_or(ownership.gid);
        state.accessed = change.accessed.unwrap_or(state.accessed);
        state.modified = change.modified.unwrap_or(state.modified);
        state.changed = change.changed;
    }

    /// For [`Inode::locks`].
    pub fn locks(&self) -> &FileLocks {
        &self.locks
    }
}

/// The inode of an eventfd, an epoll and their like: it has a number, owner root and nothing else.
pub struct AnonymousInode {
    label: &'static str,
    identity: Identity,
}

impl AnonymousInode {
    /// An inode that /proc/PID/fd shows as `anon_inode:LABEL`. Linux gives these a mode without a kind.
    pub fn new(label: &'static str, mode: u32) -> Result<Arc<Self>, OutOfMemory> {
        try_arc(Self { label, identity: Identity::new(mode, 0, 0) })
    }

    /// As [`new`](Self::new) with the permissions that Linux gives: read and write for root.
    pub fn labelled(label: &'static str) -> Result<Arc<Self>, OutOfMemory> {
        Self::new(label, S_IRUSR | S_IWUSR)
    }
}

/// The locks on all of them: in Linux they have one inode, so that a lock on one is a lock on every other.
static LOCKS: FileLocks = FileLocks::new();

impl Inode for AnonymousInode {
    fn metadata(&self) -> Metadata {
        self.identity.metadata()
    }

    fn ownership(&self) -> Ownership {
        self.identity.ownership()
    }

    fn set_metadata(&self, _change: &MetadataChange) -> Result<(), Errno> {
        Err(Errno::EOPNOTSUPP)
    }

    fn locks(&self) -> Option<&FileLocks> {
        Some(&LOCKS)
    }

    fn open(self: Arc<Self>, _opening: &Opening<'_>) -> Result<Arc<dyn File>, Errno> {
        Err(Errno::ENXIO)
    }

    fn label(&self) -> Result<Option<String>, Errno> {
        Ok(Some(try_format(format_args!("anon_inode:{}", self.label))?))
    }
}

//! File systems: what one is, one in use (a superblock), and the kinds that can be mounted by name.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, Ordering};

use abi::Errno;
use abi::mount::MountFlags;
use abi::stat::{Statfs, device_number};
use machine::frame::OutOfMemory;
use machine::heap::try_collect;
use machine::sync::{Rank, SpinLock};
use threads::Mutex;

use crate::dentry::Dentry;
use crate::inode::Inode;

/// A file system: where its tree of inodes begins, and what statfs(2) tells.
pub trait FileSystem: Send + Sync {
    /// The name of its kind, as in /proc/filesystems.
    fn kind(&self) -> &'static str;

    /// The directory that a mount shows.
    fn root(&self) -> Arc<dyn Inode>;

    /// What statfs(2) tells; the flags are the mount's and filled in by the caller.
    fn statistics(&self) -> Statfs;

    /// The options that /proc/mounts shows after `rw`, each with a comma before it.
    fn options(&self) -> String {
        String::new()
    }

    /// Whether names stay in the dentry cache until they are changed through it. False where files come and go by
    /// themselves.
    fn keeps_dentries(&self) -> bool {
        true
    }

    /// Whether a program can be among its files at all, however it is mounted.
    fn may_hold_programs(&self) -> bool {
        true
    }

    /// Returns when all that was written is where it will survive.
    fn sync(&self) -> Result<(), Errno> {
        Ok(())
    }
}

static NEXT_DEVICE: AtomicU32 = AtomicU32::new(1);

/// A device number for a file system without a device: major 0 and the next minor, as in Linux.
pub fn anonymous_device() -> u64 {
    device_number(0, NEXT_DEVICE.fetch_add(1, Ordering::Relaxed))
}

/// A file system in use: it can be seen through several mounts, which share its dentries.
pub struct Superblock {
    file_system: Arc<dyn FileSystem>,
    root: Arc<Dentry>,
    /// Held by a rename between two directories, so that no directory is moved below itself by two at once.
    pub(crate) renaming: Mutex<()>,
}

impl Superblock {
    /// Puts a file system into use.
    #[expect(clippy::disallowed_methods, reason = "made with an allowance in hand")]
    pub fn new(file_system: Arc<dyn FileSystem>) -> Arc<Self> {
        Arc::new_cyclic(|superblock| {
            let root = Dentry::root(file_system.root(), superblock.clone(), file_system.keeps_dentries());
            Self { file_system, root, renaming: Mutex::new(()) }
        })
    }

    /// The file system.
    pub fn file_system(&self) -> &Arc<dyn FileSystem> {
        &self.file_system
    }

    /// The dentry of its root.
    pub fn root(&self) -> &Arc<Dentry> {
        &self.root
    }
}

impl Drop for Superblock {
    fn drop(&mut self) {
        self.root.dissolve();
    }
}

/// What mount(2) asks for.
pub struct MountRequest<'a> {
    /// The device, or whatever stands in its place.
    pub source: &'a [u8],
    /// The options of the file system, separated by commas.
    pub options: &'a [u8],
    /// The flags of the call.
    pub flags: MountFlags,
}

/// How a file system of some kind is found or made.
pub type Maker = Box<dyn Fn(&MountRequest<'_>) -> Result<Arc<Superblock>, Errno> + Send + Sync>;

struct Registered {
    name: &'static str,
    needs_device: bool,
    make: Arc<Maker>,
}

static KINDS: SpinLock<Vec<Registered>> = SpinLock::new(Rank::Table, Vec::new());

/// Makes a kind of file system known to mount(2). A kind registered again is replaced.
#[expect(clippy::disallowed_methods, reason = "made at boot")]
pub fn register(name: &'static str, needs_device: bool, make: Maker) {
    let new = Registered { name, needs_device, make: Arc::new(make) };
    let mut kinds = KINDS.lock();
    let old = match kinds.iter_mut().find(|kind| kind.name == name) {
        Some(known) => Some(core::mem::replace(known, new)),
        None => {
            kinds.push(new);
            None
        }
    };
    drop(kinds);
    drop(old);
}

/// A file system of the kind `name`: ENODEV where there is no such kind.
pub fn make(name: &[u8], request: &MountRequest<'_>) -> Result<Arc<Superblock>, Errno> {
    let make = {
        let kinds = KINDS.lock();
        let kind = kinds.iter().find(|kind| kind.name.as_bytes() == name).ok_or(Errno::ENODEV)?;
        Arc::clone(&kind.make)
    };
    make(request)
}

/// The kinds in the order of registration, each with whether it needs a device: what /proc/filesystems shows.
pub fn kinds() -> Result<Vec<(&'static str, bool)>, OutOfMemory> {
    try_collect(KINDS.lock().iter().map(|kind| (kind.name, kind.needs_device)))
}

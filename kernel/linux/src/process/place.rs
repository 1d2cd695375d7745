//! Where a thread looks for files: root, working directory, umask. Shared by threads that were made with CLONE_FS.

use alloc::sync::Arc;

use files::{Context, Credentials, MountNamespace, Path};
use machine::frame::OutOfMemory;
use machine::heap::try_arc;
use machine::sync::atomic::{AtomicU32, Ordering};
use machine::sync::{Rank, SpinLock};

/// Root and working directory, which change together so that a lookup never sees one of each.
#[derive(Clone)]
pub struct Directories {
    /// What `/` is.
    pub root: Path,
    /// Where relative paths begin.
    pub working: Path,
    /// The mounts that are seen.
    pub namespace: Arc<MountNamespace>,
}

impl Directories {
    /// What a lookup needs.
    pub fn context<'a>(&'a self, credentials: &'a Credentials, umask: u32) -> Context<'a> {
        Context { root: &self.root, cwd: &self.working, namespace: &self.namespace, credentials, umask }
    }
}

/// What CLONE_FS shares.
pub struct Place {
    directories: SpinLock<Arc<Directories>>,
    umask: AtomicU32,
}

impl Place {
    /// A place of its own.
    pub fn new(directories: Directories, umask: u32) -> Result<Arc<Self>, OutOfMemory> {
        let directories = SpinLock::new(Rank::Table, try_arc(directories)?);
        try_arc(Self { directories, umask: AtomicU32::new(umask) })
    }

    /// A copy that changes by itself.
    pub fn duplicate(&self) -> Result<Arc<Self>, OutOfMemory> {
        let directories = SpinLock::new(Rank::Table, self.directories());
        try_arc(Self { directories, umask: AtomicU32::new(self.umask()) })
    }

    /// Root and working directory as they are now.
    pub fn directories(&self) -> Arc<Directories> {
        self.directories.lock().clone()
    }

    /// Changes root or working directory.
    pub fn set_directories(&self, directories: Directories) -> Result<(), OutOfMemory> {
        let fresh = try_arc(directories)?;
        let old = core::mem::replace(&mut *self.directories.lock(), fresh);
        // Dropping a path can end a mount, which sleeps: not under the lock.
        drop(old);
        Ok(())
    }

    /// The permission bits that new files do not get.
    pub fn umask(&self) -> u32 {
        self.umask.load(Ordering::Relaxed)
    }

    /// Sets the umask; returns the old one.
    pub fn set_umask(&self, umask: u32) -> u32 {
        self.umask.swap(umask & 0o777, Ordering::Relaxed)
    }
}

//! Taking names away: unlink(2), rmdir(2).

use alloc::sync::Arc;

use abi::Errno;
use abi::fcntl::ResolveFlags;

use crate::credentials::{Access, Credentials};
use crate::dentry::{Changing, Dentry};
use crate::mount::Path;
use crate::walk::{Context, Last, Walker};

/// Whether `victim` may be taken out of `directory`, in Linux's order of errors (`may_delete`).
pub(crate) fn check_removal(
    credentials: &Credentials,
    directory: &Dentry,
    victim: &Dentry,
    as_directory: bool,
) -> Result<(), Errno> {
    let parent = directory.inode().ownership();
    credentials.check(parent, Access::CHANGE)?;
    credentials.check_sticky(parent, victim.inode().ownership())?;
    match (as_directory, victim.is_directory()) {
        (true, false) => Err(Errno::ENOTDIR),
        (false, true) => Err(Errno::EISDIR),
        _ => Ok(()),
    }
}

impl Context<'_> {
    /// unlink(2).
    pub fn unlink(&self, start: Option<&Path>, path: &[u8]) -> Result<(), Errno> {
        let walker = Walker::new(*self, start, path, ResolveFlags::empty())?;
        if walker.last() != Last::Name {
            return Err(Errno::EISDIR);
        }
        let directory = walker.directory();
        directory.mount.check_writable()?;
        let changing = directory.dentry.change()?;
        let victim = directory.dentry.child_locked(&changing, walker.name())?;
        if walker.has_trailing_slash() {
            return Err(if victim.is_directory() { Errno::EISDIR } else { Errno::ENOTDIR });
        }
        check_removal(self.credentials, &directory.dentry, &victim, false)?;
        if victim.is_mount_point() {
            return Err(Errno::EBUSY);
        }
        self.finish_removal(&directory.dentry, changing, &victim, walker.name())
    }

    /// rmdir(2).
    pub fn remove_directory(&self, start: Option<&Path>, path: &[u8]) -> Result<(), Errno> {
        let walker = Walker::new(*self, start, path, ResolveFlags::empty())?;
        match walker.last() {
            Last::Name => {}
            Last::DotDot => return Err(Errno::ENOTEMPTY),
            Last::Dot => return Err(Errno::EINVAL),
            Last::Root => return Err(Errno::EBUSY),
        }
        let directory = walker.directory();
        directory.mount.check_writable()?;
        let changing = directory.dentry.change()?;
        let victim = directory.dentry.child_locked(&changing, walker.name())?;
        check_removal(self.credentials, &directory.dentry, &victim, true)?;
        if victim.is_mount_point() {
            return Err(Errno::EBUSY);
        }
        // Nothing is made in the directory while it goes, and nothing afterwards, for then it is dead.
        let emptiness = victim.change()?;
        directory.inode().unlink(walker.name(), victim.inode())?;
        let forgotten = directory.dentry.forget(&changing, walker.name());
        drop(emptiness);
        drop(changing);
        drop(forgotten);
        Ok(())
    }

    fn finish_removal(
        &self,
        directory: &Arc<Dentry>,
        changing: Changing<'_>,
        victim: &Arc<Dentry>,
        name: &[u8],
    ) -> Result<(), Errno> {
        directory.inode().unlink(name, victim.inode())?;
        let forgotten = directory.forget(&changing, name);
        drop(changing);
        drop(forgotten);
        Ok(())
    }
}

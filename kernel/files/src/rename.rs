//! Moving names: rename(2), renameat2(2).

use alloc::sync::Arc;

use abi::Errno;
use abi::fcntl::{RenameFlags, ResolveFlags};

use crate::credentials::Access;
use crate::dentry::{Changing, Dentry};
use crate::inode::RenameMode;
use crate::mount::Path;
use crate::remove::check_removal;
use crate::walk::{Context, Last, Walker};
use machine::heap::try_arc_slice;

/// Both directories of a rename, locked: the upper one first, by address where neither is above the other. When they are
/// the same there is one guard.
struct Both<'a> {
    old: Changing<'a>,
    new: Option<Changing<'a>>,
}

fn lock_both<'a>(old: &'a Arc<Dentry>, new: &'a Arc<Dentry>) -> Result<Both<'a>, Errno> {
    if Arc::ptr_eq(old, new) {
        return Ok(Both { old: old.change()?, new: None });
    }
    let by_address = Arc::as_ptr(old).addr() < Arc::as_ptr(new).addr();
    let old_first = old.is_ancestor_of(new) || (!new.is_ancestor_of(old) && by_address);
    if old_first {
        let first = old.change()?;
        Ok(Both { old: first, new: Some(new.change()?) })
    } else {
        let first = new.change()?;
        Ok(Both { old: old.change()?, new: Some(first) })
    }
}

impl Context<'_> {
    /// The errors of the way to the folder that a name is in.
    pub fn check_way(&self, start: Option<&Path>, path: &[u8]) -> Result<(), Errno> {
        Walker::new(*self, start, path, ResolveFlags::empty()).map(drop)
    }

    /// renameat2(2): EXDEV across mounts, EINVAL for a directory into itself and for flags that exclude one another, EBUSY
    /// for `.`, `..` and mount points.
    pub fn rename(
        &self,
        old: (Option<&Path>, &[u8]),
        new: (Option<&Path>, &[u8]),
        flags: RenameFlags,
    ) -> Result<(), Errno> {
        let is_exchange = flags.contains(RenameFlags::EXCHANGE);
        let no_replace = flags.contains(RenameFlags::NOREPLACE);
        // Nothing here stacks file systems, so nothing has a use for whiteouts: as on Linux's tmpfs without overlays, EINVAL.
        if flags.contains(RenameFlags::WHITEOUT) || is_exchange && no_replace {
            return Err(Errno::EINVAL);
        }
        let from = Walker::new(*self, old.0, old.1, ResolveFlags::empty())?;
        let to = Walker::new(*self, new.0, new.1, ResolveFlags::empty())?;
        if !Arc::ptr_eq(&from.directory().mount, &to.directory().mount) {
            return Err(Errno::EXDEV);
        }
        if from.last() != Last::Name {
            return Err(Errno::EBUSY);
        }
        if to.last() != Last::Name {
            return Err(if no_replace { Errno::EEXIST } else { Errno::EBUSY });
        }
        from.directory().mount.check_writable()?;
        let old_directory = &from.directory().dentry;
        let new_directory = &to.directory().dentry;
        let superblock = from.directory().mount.superblock();
        let is_same = Arc::ptr_eq(old_directory, new_directory);
        let _renaming = (!is_same).then(|| superblock.renaming.lock());
        let both = lock_both(old_directory, new_directory)?;
        let in_new = both.new.as_ref().unwrap_or(&both.old);

        let source = old_directory.child_locked(&both.old, from.name())?;
        let target = match new_directory.child_locked(in_new, to.name()) {
            Ok(target) => Some(target),
            Err(Errno::ENOENT) if new_directory.inode().has_free_names() => None,
            Err(error) => return Err(error),
        };
        if no_replace && target.is_some() {
            return Err(Errno::EEXIST);
        }
        if is_exchange {
            let Some(target) = &target else { return Err(Errno::ENOENT) };
            if !target.is_directory() && to.has_trailing_slash() {
                return Err(Errno::ENOTDIR);
            }
        }
        if !source.is_directory() && (from.has_trailing_slash() || !is_exchange && to.has_trailing_slash()) {
            return Err(Errno::ENOTDIR);
        }
        // A directory cannot be moved below itself, nor what is above a name replaced by what is below it.
        if source.is_ancestor_of(new_directory) {
            return Err(Errno::EINVAL);
        }
        if let Some(target) = &target
            && target.is_ancestor_of(old_directory)
        {
            return Err(if is_exchange { Errno::EINVAL } else { Errno::ENOTEMPTY });
        }
        if let Some(target) = &target
            && Arc::ptr_eq(source.inode(), target.inode())
        {
            return Ok(());
        }
        let same_kind = source.is_directory();
        check_removal(self.credentials, old_directory, &source, same_kind)?;
        match &target {
            None => self.credentials.check(new_directory.inode().ownership(), Access::CHANGE)?,
            Some(target) => {
                let as_directory = if is_exchange { target.is_directory() } else { same_kind };
                check_removal(self.credentials, new_directory, target, as_directory)?;
            }
        }
        if !is_same {
            // Moving a directory changes its `..`, which is a write to it.
            let may_move = |moved: &Dentry| {
                if moved.is_directory() {
                    self.credentials.check(moved.inode().ownership(), Access::WRITE)
                } else {
                    Ok(())
                }
            };
            may_move(&source)?;
            if let Some(target) = target.as_ref().filter(|_| is_exchange) {
                may_move(target)?;
            }
        }
        if source.is_mount_point() || target.as_ref().is_some_and(|target| target.is_mount_point()) {
            return Err(Errno::EBUSY);
        }
        let emptiness = match target.as_ref().filter(|target| target.is_directory() && !is_exchange) {
            Some(target) => Some(target.change()?),
            None => None,
        };
        let mode = if is_exchange { RenameMode::Exchange } else { RenameMode::Replace };
        let new_name: Arc<[u8]> = try_arc_slice(to.name())?;
        let _room = (old_directory.make_room(&both.old)?, new_directory.make_room(in_new)?);
        old_directory.inode().rename(from.name(), new_directory.inode(), &new_name, mode)?;
        drop(emptiness);
        let mut replaced = None;
        if let Some(target) = target.as_ref().filter(|_| is_exchange) {
            old_directory.exchange_children(&source, new_directory, target);
        } else {
            replaced = new_directory.forget(in_new, to.name());
            old_directory.move_child(&source, new_directory, &new_name);
        }
        drop(both);
        drop(replaced);
        Ok(())
    }
}

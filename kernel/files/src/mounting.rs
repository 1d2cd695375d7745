//! Mounting and unmounting by path: mount(2), umount2(2).

use alloc::string::String;
use alloc::sync::Arc;

use abi::Errno;
use abi::capability::CAP_SYS_ADMIN;
use abi::mount::{MountFlags, UmountFlags};

use machine::heap::{Allowance, Grow};

use crate::filesystem::{self, MountRequest};
use crate::mount::{Mount, Path};
use crate::walk::{Context, Lookup};

/// Flags that change how mounts of several namespaces follow each other. Namespaces do not, so these succeed and do nothing.
const PROPAGATION: MountFlags =
    MountFlags::SHARED.union(MountFlags::PRIVATE).union(MountFlags::SLAVE).union(MountFlags::UNBINDABLE);

/// Frames for a file system and a mount, whose texts are a page long at the most.
const MOUNT_FRAMES: usize = 8;

impl Context<'_> {
    /// mount(2): a new file system of kind `kind` at `target`, or, by flags, another view of a tree (`MS_BIND`), a mount moved (`MS_MOVE`),
    /// or other flags for a mount (`MS_REMOUNT`). EPERM without CAP_SYS_ADMIN, ENODEV for an unknown kind.
    pub fn mount(
        &self,
        source: &[u8],
        target: &[u8],
        kind: &[u8],
        flags: MountFlags,
        options: &[u8],
    ) -> Result<(), Errno> {
        if !self.credentials.has(CAP_SYS_ADMIN) {
            return Err(Errno::EPERM);
        }
        let place = self.look_up(None, target, Lookup::FOLLOW)?;
        if flags.contains(MountFlags::REMOUNT) {
            if !place.is_mount_root() {
                return Err(Errno::EINVAL);
            }
            place.mount.set_flags(with_default_times(flags));
            return Ok(());
        }
        if flags.contains(MountFlags::BIND) {
            return self.bind(source, place, flags.contains(MountFlags::REC));
        }
        if flags.intersects(PROPAGATION) {
            return if place.is_mount_root() { Ok(()) } else { Err(Errno::EINVAL) };
        }
        if flags.contains(MountFlags::MOVE) {
            let from = self.look_up(None, source, Lookup::FOLLOW)?;
            if !from.is_mount_root() {
                return Err(Errno::EINVAL);
            }
            return self.namespace.relocate(&from.mount, place);
        }
        let _allowance = Allowance::of(MOUNT_FRAMES)?;
        let superblock = filesystem::make(kind, &MountRequest { source, options, flags })?;
        let root = Arc::clone(superblock.root());
        let source = String::from_utf8_lossy(source);
        let source = if source.is_empty() { "none" } else { &source };
        let mount = Mount::new(superblock, root, with_default_times(flags), source);
        self.namespace.attach(&mount, place)
    }

    /// `MS_BIND`: shows the tree at `source` at another place as well; with `MS_REC` the mounts below it too.
    #[expect(clippy::disallowed_macros, reason = "made with an allowance in hand")]
    fn bind(&self, source: &[u8], place: Path, is_recursive: bool) -> Result<(), Errno> {
        let from = self.look_up(None, source, Lookup::FOLLOW)?;
        let copy = |mount: &Arc<Mount>, root: &Path| {
            let superblock = Arc::clone(mount.superblock());
            Mount::new(superblock, Arc::clone(&root.dentry), mount.flags(), mount.source())
        };
        let _allowance = Allowance::of(MOUNT_FRAMES)?;
        let top = copy(&from.mount, &from);
        // The mounts to copy are listed before the new one is among them.
        let mounts = if is_recursive { self.namespace.mounts()? } else { alloc::vec::Vec::new() };
        self.namespace.attach(&top, place)?;
        let mut copies = alloc::vec![(Arc::clone(&from.mount), top)];
        for mount in &mounts {
            let Some(at) = mount.place() else { continue };
            let Some((_, above)) = copies.iter().find(|(original, _)| Arc::ptr_eq(original, &at.mount))
            else {
                continue;
            };
            if Arc::ptr_eq(&at.mount, &from.mount) && !from.dentry.is_ancestor_of(&at.dentry) {
                continue;
            }
            let at = Path { mount: Arc::clone(above), dentry: Arc::clone(&at.dentry) };
            let below = copy(mount, &Path { mount: Arc::clone(mount), dentry: Arc::clone(mount.root()) });
            self.namespace.attach(&below, at)?;
            copies.try_push((Arc::clone(mount), below))?;
        }
        Ok(())
    }

    /// umount2(2): EINVAL for what is no mount point, EBUSY while it is used (unless `MNT_DETACH`), EPERM without CAP_SYS_ADMIN.
    pub fn unmount(&self, target: &[u8], flags: UmountFlags) -> Result<(), Errno> {
        if !self.credentials.has(CAP_SYS_ADMIN) {
            return Err(Errno::EPERM);
        }
        // A mount that expires when it is not used for a while is something that nobody here waits for.
        if flags.contains(UmountFlags::MNT_EXPIRE) {
            return Err(Errno::EINVAL);
        }
        let how =
            if flags.contains(UmountFlags::UMOUNT_NOFOLLOW) { Lookup::NO_FOLLOW } else { Lookup::FOLLOW };
        let place = self.look_up(None, target, how)?;
        if !place.is_mount_root() {
            return Err(Errno::EINVAL);
        }
        let Path { mount, dentry } = place;
        drop(dentry);
        mount.superblock().file_system().sync()?;
        self.namespace.detach(mount, flags.contains(UmountFlags::MNT_DETACH))
    }
}

/// Times of reading are kept the cheap way unless another is asked for, as in Linux.
fn with_default_times(flags: MountFlags) -> MountFlags {
    if flags.intersects(MountFlags::NOATIME | MountFlags::STRICTATIME) {
        flags - MountFlags::RELATIME
    } else {
        flags | MountFlags::RELATIME
    }
}

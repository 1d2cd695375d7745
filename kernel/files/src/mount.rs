//! Mounts, the namespace that they form, and places in it.
//!
//! A namespace is a handle that processes share, not a global. Its table is read under RCU: a path walk that crosses a
//! mount point takes no lock. The table holds each mount through one [`Mounted`], so that the references beyond that one
//! tell whether a mount is in use.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use abi::Errno;
use abi::mount::MountFlags;
use abi::stat::{Statfs, StatfsFlags};
use machine::frame::OutOfMemory;
use machine::heap::{Allowance, Grow, request, try_collect};
use machine::sync::{Rank, RcuCell, SpinLock, rcu_read};
use threads::Mutex;

use crate::dentry::Dentry;
use crate::filesystem::Superblock;
use crate::inode::Inode;
use crate::name::NameHash;

/// The mounts that one namespace may have (/proc/sys/fs/mount-max).
pub const MOUNT_MAX: usize = 100_000;

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// A file system, or a part of one, at a place.
pub struct Mount {
    id: u64,
    superblock: Arc<Superblock>,
    root: Arc<Dentry>,
    flags: AtomicU32,
    source: String,
    /// Mount and directory that this one covers; none at the root of a namespace and once unmounted.
    place: SpinLock<Option<Path>>,
}

/// The flags that belong to a mount rather than to a file system.
const MOUNT_FLAGS: MountFlags = MountFlags::RDONLY
    .union(MountFlags::NOSUID)
    .union(MountFlags::NODEV)
    .union(MountFlags::NOEXEC)
    .union(MountFlags::NOATIME)
    .union(MountFlags::NODIRATIME)
    .union(MountFlags::NOSYMFOLLOW)
    .union(MountFlags::RELATIME);

impl Mount {
    /// A mount of `root`, a directory (or, for a bind, a file) of `superblock`, that is in no namespace yet. Whoever makes one for a program has an
    /// allowance.
    #[expect(clippy::disallowed_methods, reason = "made with an allowance in hand")]
    pub fn new(superblock: Arc<Superblock>, root: Arc<Dentry>, flags: MountFlags, source: &str) -> Arc<Self> {
        Arc::new(Self {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            superblock,
            root,
            flags: AtomicU32::new((flags & MOUNT_FLAGS).bits() as u32),
            source: String::from(source),
            place: SpinLock::new(Rank::Inode, None),
        })
    }

    /// A number that no other mount has or had.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The file system.
    pub fn superblock(&self) -> &Arc<Superblock> {
        &self.superblock
    }

    /// The directory that is seen at the mount point.
    pub fn root(&self) -> &Arc<Dentry> {
        &self.root
    }

    /// What was given as the device.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The flags of the mount.
    #[inline]
    pub fn flags(&self) -> MountFlags {
        MountFlags::from_bits_truncate(u64::from(self.flags.load(Ordering::Relaxed)))
    }

    /// Whether nothing may be changed through this mount.
    #[inline]
    pub fn is_read_only(&self) -> bool {
        self.flags().contains(MountFlags::RDONLY)
    }

    /// EROFS for a mount that is read-only.
    #[inline]
    pub fn check_writable(&self) -> Result<(), Errno> {
        if self.is_read_only() { Err(Errno::EROFS) } else { Ok(()) }
    }

    /// Whether nothing in it is run, or mapped to be run: by the mount's flags, or because there is no program in such a file system.
    pub fn forbids_execution(&self) -> bool {
        self.flags().contains(MountFlags::NOEXEC) || !self.superblock().file_system().may_hold_programs()
    }

    /// Changes the mount's flags (`MS_REMOUNT`).
    pub fn set_flags(&self, flags: MountFlags) {
        self.flags.store((flags & MOUNT_FLAGS).bits() as u32, Ordering::Relaxed);
    }

    /// The place that this mount covers; none at the root of a namespace.
    pub fn place(&self) -> Option<Path> {
        self.place.lock().clone()
    }

    /// Whether this mount is `base`, or covers something that is reached through it.
    fn stands_on(self: &Arc<Self>, base: &Arc<Mount>) -> bool {
        let mut at = Arc::clone(self);
        loop {
            if Arc::ptr_eq(&at, base) {
                return true;
            }
            match at.place() {
                Some(place) => at = place.mount,
                None => return false,
            }
        }
    }

    /// What statfs(2) tells of a file on this mount.
    pub fn statistics(&self) -> Statfs {
        let flags = self.flags();
        let mut shown = StatfsFlags::empty();
        for (flag, shows) in [
            (MountFlags::RDONLY, StatfsFlags::RDONLY),
            (MountFlags::NOSUID, StatfsFlags::NOSUID),
            (MountFlags::NODEV, StatfsFlags::NODEV),
            (MountFlags::NOEXEC, StatfsFlags::NOEXEC),
            (MountFlags::NOATIME, StatfsFlags::NOATIME),
            (MountFlags::RELATIME, StatfsFlags::RELATIME),
        ] {
            if flags.contains(flag) {
                shown |= shows;
            }
        }
        // ST_VALID: the flags are filled in (linux/statfs.h).
        const ST_VALID: i64 = 0x20;
        Statfs { f_flags: shown.bits() as i64 | ST_VALID, ..self.superblock.file_system().statistics() }
    }

    /// The options as /proc/mounts shows them, the file system's own included.
    pub fn options(&self) -> String {
        let flags = self.flags();
        let mut text = String::from(if flags.contains(MountFlags::RDONLY) { "ro" } else { "rw" });
        for (flag, name) in [
            (MountFlags::NOSUID, ",nosuid"),
            (MountFlags::NODEV, ",nodev"),
            (MountFlags::NOEXEC, ",noexec"),
            (MountFlags::NOATIME, ",noatime"),
            (MountFlags::NODIRATIME, ",nodiratime"),
            (MountFlags::RELATIME, ",relatime"),
            (MountFlags::NOSYMFOLLOW, ",nosymfollow"),
        ] {
            if flags.contains(flag) {
                text.push_str(name);
            }
        }
        text.push_str(&self.superblock.file_system().options());
        text
    }
}

/// The names of a path, last one first.
type Names = Vec<Arc<[u8]>>;

/// A place: a dentry as seen through a mount.
#[derive(Clone)]
pub struct Path {
    /// The mount.
    pub mount: Arc<Mount>,
    /// The name in the mount's file system.
    pub dentry: Arc<Dentry>,
}

impl PartialEq for Path {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.dentry, &other.dentry) && Arc::ptr_eq(&self.mount, &other.mount)
    }
}

impl Eq for Path {}

impl Path {
    /// The file at this place.
    #[inline]
    pub fn inode(&self) -> &Arc<dyn Inode> {
        self.dentry.inode()
    }

    /// Whether this is the root of its mount.
    pub fn is_mount_root(&self) -> bool {
        Arc::ptr_eq(&self.dentry, self.mount.root())
    }

    /// The same place without the mounts that begin at it: the directory one up, out of as many mounts as begin here.
    /// None at the root of all.
    pub fn parent(&self) -> Option<Path> {
        let mut at = self.clone();
        while at.is_mount_root() {
            at = at.mount.place()?;
        }
        let dentry = at.dentry.parent()?;
        Some(Path { mount: at.mount, dentry })
    }

    /// The names from the root down to here, last one first, and whether `root` was met on the way.
    fn names_up_to(&self, root: &Path) -> Result<(Names, bool), OutOfMemory> {
        let mut names = Vec::new();
        let mut at = self.clone();
        loop {
            if at == *root {
                return Ok((names, true));
            }
            if at.is_mount_root() {
                match at.mount.place() {
                    Some(place) => at = place,
                    None => return Ok((names, false)),
                }
                continue;
            }
            let (parent, name) = at.dentry.place();
            match parent {
                Some(parent) => {
                    names.try_push(name)?;
                    at.dentry = parent;
                }
                None => return Ok((names, false)),
            }
        }
    }

    /// The names after `text`, with room for `more` bytes besides.
    fn spell(names: &[Arc<[u8]>], text: &[u8], more: usize) -> Result<Vec<u8>, OutOfMemory> {
        let len: usize = names.iter().map(|name| name.len() + 1).sum();
        let mut all = Vec::new();
        all.try_grow_exact(text.len() + len.max(1) + more)?;
        all.extend_from_slice(text);
        if names.is_empty() {
            all.push(b'/');
        }
        for name in names.iter().rev() {
            all.push(b'/');
            all.extend_from_slice(name);
        }
        Ok(all)
    }

    /// The path as /proc shows it to a process whose root is `root`: a label for files without a name, ` (deleted)`
    /// after removed ones.
    pub fn display(&self, root: &Path) -> Result<Vec<u8>, Errno> {
        if let Some(label) = self.inode().label()? {
            return Ok(label.into_bytes());
        }
        const DELETED: &[u8] = b" (deleted)";
        let mut text = Self::spell(&self.names_up_to(root)?.0, &[], DELETED.len())?;
        if self.dentry.is_dead() {
            text.extend_from_slice(DELETED);
        }
        Ok(text)
    }

    /// The path as getcwd(2) gives it: ENOENT when it has been removed, `(unreachable)` before it outside of `root`.
    pub fn absolute(&self, root: &Path) -> Result<Vec<u8>, Errno> {
        if self.dentry.is_dead() {
            return Err(Errno::ENOENT);
        }
        let (names, is_inside) = self.names_up_to(root)?;
        let before: &[u8] = if is_inside { &[] } else { b"(unreachable)" };
        // getcwd(2) ends it with a NUL.
        Ok(Self::spell(&names, before, 1)?)
    }
}

/// The one reference that a namespace's tables hold to a mount.
struct Mounted {
    mount: Arc<Mount>,
}

/// Mount and directory that are covered, by identity.
type PointKey = (u64, usize);

fn key(place: &Path) -> PointKey {
    (place.mount.id, Arc::as_ptr(&place.dentry).addr())
}

#[derive(Default)]
struct Table {
    /// In the order of mounting.
    mounts: Vec<Arc<Mounted>>,
    points: hashbrown::HashMap<PointKey, Arc<Mounted>, NameHash>,
}

impl Table {
    /// A copy with room for one mount more.
    fn copy(&self) -> Result<Self, OutOfMemory> {
        let mut copy = Self::with_room(self.mounts.len() + 1)?;
        copy.mounts.extend(self.mounts.iter().cloned());
        copy.points.extend(self.points.iter().map(|(key, mounted)| (*key, Arc::clone(mounted))));
        Ok(copy)
    }

    /// An empty table that can take so many mounts.
    fn with_room(mounts: usize) -> Result<Self, OutOfMemory> {
        let mut table = Self::default();
        table.mounts.try_grow_exact(mounts)?;
        request()?;
        table.points.try_reserve(mounts).map_err(|_| OutOfMemory)?;
        Ok(table)
    }
}

/// Frames for the objects of one change, beside the tables.
const CHANGE_FRAMES: usize = 2;

/// The tree of mounts that a group of processes sees.
pub struct MountNamespace {
    table: RcuCell<Table>,
    root: Path,
    changing: Mutex<()>,
}

impl MountNamespace {
    /// A namespace whose root is the root of `superblock`.
    #[expect(
        clippy::disallowed_macros,
        clippy::disallowed_methods,
        reason = "made with an allowance in hand"
    )]
    pub fn new(superblock: Arc<Superblock>, source: &str) -> Arc<Self> {
        let dentry = Arc::clone(superblock.root());
        let mount = Mount::new(superblock, Arc::clone(&dentry), MountFlags::empty(), source);
        let table = Table {
            mounts: alloc::vec![Arc::new(Mounted { mount: Arc::clone(&mount) })],
            ..Table::default()
        };
        Arc::new(Self {
            table: RcuCell::new(Arc::new(table)),
            root: Path { mount, dentry },
            changing: Mutex::new(()),
        })
    }

    /// The root of all.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What is seen at `path` when everything mounted there is taken into account.
    #[inline]
    pub fn enter(&self, mut path: Path) -> Path {
        while path.dentry.is_mount_point() {
            let Some(mount) = self.covering(&path) else { break };
            path = Path { dentry: Arc::clone(mount.root()), mount };
        }
        path
    }

    /// The mount that covers exactly this place.
    pub fn covering(&self, place: &Path) -> Option<Arc<Mount>> {
        let guard = rcu_read();
        let mounted = self.table.read(&guard).points.get(&key(place))?;
        Some(Arc::clone(&mounted.mount))
    }

    /// All mounts in the order of mounting.
    pub fn mounts(&self) -> Result<Vec<Arc<Mount>>, OutOfMemory> {
        try_collect(self.table.get().mounts.iter().map(|mounted| Arc::clone(&mounted.mount)))
    }

    /// Puts `mount` at `place`, over whatever is mounted there. ENOTDIR where one is a directory and the other is not, ENOENT
    /// for a removed directory, ENOSPC when there are too many mounts.
    #[expect(clippy::disallowed_methods, reason = "made with an allowance in hand")]
    pub fn attach(&self, mount: &Arc<Mount>, place: Path) -> Result<(), Errno> {
        let _changing = self.changing.lock();
        let place = self.enter(place);
        if place.dentry.is_directory() != mount.root.is_directory() {
            return Err(Errno::ENOTDIR);
        }
        if place.dentry.is_dead() {
            return Err(Errno::ENOENT);
        }
        let _allowance = Allowance::of(CHANGE_FRAMES)?;
        let mut table = self.table.get().copy()?;
        if table.mounts.len() >= MOUNT_MAX {
            return Err(Errno::ENOSPC);
        }
        let mounted = Arc::new(Mounted { mount: Arc::clone(mount) });
        table.mounts.push(Arc::clone(&mounted));
        table.points.insert(key(&place), mounted);
        place.dentry.add_mount();
        *mount.place.lock() = Some(place);
        self.table.replace(Arc::new(table));
        Ok(())
    }

    /// Takes `mount` away, which has to be the uppermost at its place. EBUSY while files on it or mounts below it are in use,
    /// unless `is_lazy`, which takes those below it along; the caller's only reference is the one it gives. EINVAL for one that is not in this namespace or is its root.
    #[expect(clippy::disallowed_methods, reason = "made with an allowance in hand")]
    pub fn detach(&self, mount: Arc<Mount>, is_lazy: bool) -> Result<(), Errno> {
        let _changing = self.changing.lock();
        let _allowance = Allowance::of(CHANGE_FRAMES)?;
        let mut table = self.table.get().copy()?;
        let is_here = table.mounts.iter().any(|mounted| Arc::ptr_eq(&mounted.mount, &mount));
        if Arc::ptr_eq(&mount, &self.root.mount) || !is_here {
            return Err(Errno::EINVAL);
        }
        // One reference is the table's, one is `mount`.
        if !is_lazy && Arc::strong_count(&mount) > 2 {
            return Err(Errno::EBUSY);
        }
        let below = table.mounts.iter().filter(|mounted| mounted.mount.stands_on(&mount));
        let going = try_collect(below.map(|mounted| Arc::clone(&mounted.mount)))?;
        table.mounts.retain(|mounted| !going.iter().any(|gone| Arc::ptr_eq(gone, &mounted.mount)));
        for gone in &going {
            let place = gone.place.lock().take();
            if let Some(place) = place {
                table.points.remove(&key(&place));
                place.dentry.remove_mount();
            }
        }
        self.table.replace(Arc::new(table));
        Ok(())
    }

    /// Moves a mount to another place (`MS_MOVE`): EINVAL for the root or a mount of another namespace, ELOOP below itself.
    #[expect(clippy::disallowed_methods, reason = "made with an allowance in hand")]
    pub fn relocate(&self, mount: &Arc<Mount>, place: Path) -> Result<(), Errno> {
        let _changing = self.changing.lock();
        let place = self.enter(place);
        if place.dentry.is_directory() != mount.root.is_directory() {
            return Err(Errno::ENOTDIR);
        }
        if place.mount.stands_on(mount) {
            return Err(Errno::ELOOP);
        }
        let _allowance = Allowance::of(CHANGE_FRAMES)?;
        let mut table = self.table.get().copy()?;
        let mounted = table.mounts.iter().position(|m| Arc::ptr_eq(&m.mount, mount)).ok_or(Errno::EINVAL)?;
        let old = mount.place().ok_or(Errno::EINVAL)?;
        let mounted = table.mounts.remove(mounted);
        table.mounts.push(Arc::clone(&mounted));
        table.points.remove(&key(&old));
        table.points.insert(key(&place), mounted);
        old.dentry.remove_mount();
        place.dentry.add_mount();
        *mount.place.lock() = Some(place);
        self.table.replace(Arc::new(table));
        Ok(())
    }

    /// A namespace of its own with the same mounts (`CLONE_NEWNS`), and what `translate`d paths of the old one are in it.
    #[expect(clippy::disallowed_methods, reason = "made with an allowance in hand")]
    pub fn duplicate(&self, translate: &mut [&mut Path]) -> Result<Arc<Self>, OutOfMemory> {
        let _changing = self.changing.lock();
        let old = self.table.get();
        let count = old.mounts.len();
        // A mount and its names are less than a quarter of a frame.
        let _allowance = Allowance::of(CHANGE_FRAMES + count / 4)?;
        let copies = try_collect(old.mounts.iter().map(|m| {
            let m = &m.mount;
            let copy = Mount::new(Arc::clone(&m.superblock), Arc::clone(&m.root), m.flags(), &m.source);
            (Arc::clone(m), copy)
        }))?;
        let in_copy = |path: &Path| {
            let found = copies.iter().find(|(from, _)| Arc::ptr_eq(from, &path.mount));
            found.map(|(_, to)| Path { mount: Arc::clone(to), dentry: Arc::clone(&path.dentry) })
        };
        let mut table = Table::with_room(count)?;
        for (from, to) in &copies {
            let mounted = Arc::new(Mounted { mount: Arc::clone(to) });
            table.mounts.push(Arc::clone(&mounted));
            if let Some(place) = from.place().and_then(|place| in_copy(&place)) {
                place.dentry.add_mount();
                table.points.insert(key(&place), mounted);
                *to.place.lock() = Some(place);
            }
        }
        for path in translate {
            if let Some(new) = in_copy(path) {
                **path = new;
            }
        }
        let root = in_copy(&self.root).unwrap_or_else(|| self.root.clone());
        Ok(Arc::new(Self { table: RcuCell::new(Arc::new(table)), root, changing: Mutex::new(()) }))
    }
}

impl Drop for MountNamespace {
    fn drop(&mut self) {
        for mounted in &self.table.get().mounts {
            let place = mounted.mount.place.lock().take();
            if let Some(place) = place {
                place.dentry.remove_mount();
            }
        }
    }
}

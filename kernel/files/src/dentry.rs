//! The dentry cache: names that have been looked up, in a tree.
//!
//! A dentry is one name of one inode. Its children are found by hash under its own spin lock, so a path walk takes one
//! short lock a step and nothing that all processors share. What a name stands for is decided by the file system; the
//! cache repeats the answer until the entry is changed, which happens only through [`Dentry::changes`].
//!
//! | lock | guards | who takes it |
//! |---|---|---|
//! | `changes`, written | the entries of the directory, in the file system and in the cache together | create, unlink, rename ... |
//! | `changes`, read | as above, against change | a lookup that the cache cannot answer |
//! | `children` (spin) | the cache of the directory | every step of a walk |
//! | `place` (spin) | parent and name | rename; `..`, and printing paths |
//!
//! Order: a parent's `changes` before its child's; two directories without such a relation by address, under the file
//! system's rename lock. Spin locks are innermost, and only one is held at a time.

use alloc::sync::{Arc, Weak};
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use abi::Errno;
use machine::frame::OutOfMemory;
use machine::heap::{Allowance, try_arc, try_arc_slice};
use machine::list::{Link, Linked, List};
use machine::sync::{Rank, SpinLock};
use threads::{ReadGuard, RwLock, WriteGuard};

use crate::filesystem::Superblock;
use crate::inode::Inode;
use crate::name::{NameMap, reserve_name};

/// The longest name, in bytes.
pub use abi::fcntl::NAME_MAX;

/// How a directory holds a child.
enum Child {
    /// Kept until the entry is changed or the file system unmounted.
    Kept(Arc<Dentry>),
    /// Found again only while somebody else uses it: for file systems whose files come and go by themselves.
    Passing(Weak<Dentry>),
}

impl Child {
    fn get(&self) -> Option<Arc<Dentry>> {
        match self {
            Self::Kept(dentry) => Some(Arc::clone(dentry)),
            Self::Passing(dentry) => dentry.upgrade(),
        }
    }
}

struct Place {
    /// None for the root of a file system, and for files without a name.
    parent: Option<Arc<Dentry>>,
    name: Arc<[u8]>,
}

/// A name of a file, with the names below it that are known.
pub struct Dentry {
    inode: Arc<dyn Inode>,
    superblock: Weak<Superblock>,
    keeps_children: bool,
    is_directory: bool,
    /// The entry has been removed: nothing can be made in a directory any more, and paths say `(deleted)`.
    is_dead: AtomicBool,
    /// How many mounts, in all namespaces, cover this directory.
    mounts: AtomicU32,
    place: SpinLock<Place>,
    children: SpinLock<NameMap<Child>>,
    changes: RwLock<()>,
    dissolving: Link<Dentry, Dissolving>,
}

/// Marks the link by which a directory is among those whose cache is emptied next.
enum Dissolving {}

impl Linked<Dissolving> for Dentry {
    fn link(&self) -> &Link<Self, Dissolving> {
        &self.dissolving
    }
}

impl Dentry {
    /// A file that has no name and is in no file system.
    pub(crate) fn nameless(inode: Arc<dyn Inode>) -> Result<Arc<Self>, OutOfMemory> {
        try_arc(Self::new(inode, Weak::new(), false, None, try_arc_slice(&[])?))
    }

    /// The root of a file system.
    #[expect(clippy::disallowed_methods, reason = "made with an allowance in hand")]
    pub fn root(inode: Arc<dyn Inode>, superblock: Weak<Superblock>, keeps_children: bool) -> Arc<Self> {
        Arc::new(Self::new(inode, superblock, keeps_children, None, Arc::new([])))
    }

    /// A file of `root`'s file system that has no name but shows one, as if it had been removed.
    pub(crate) fn unlinked(
        inode: Arc<dyn Inode>,
        parent: &Arc<Dentry>,
        name: &[u8],
    ) -> Result<Arc<Self>, OutOfMemory> {
        let superblock = Weak::clone(&parent.superblock);
        let dentry = Self::new(inode, superblock, true, Some(Arc::clone(parent)), try_arc_slice(name)?);
        dentry.is_dead.store(true, Ordering::Relaxed);
        try_arc(dentry)
    }

    fn new(
        inode: Arc<dyn Inode>,
        superblock: Weak<Superblock>,
        keeps_children: bool,
        parent: Option<Arc<Dentry>>,
        name: Arc<[u8]>,
    ) -> Self {
        let is_directory = inode.ownership().is_directory();
        Self {
            inode,
            superblock,
            keeps_children,
            is_directory,
            is_dead: AtomicBool::new(false),
            mounts: AtomicU32::new(0),
            place: SpinLock::new(Rank::Inode, Place { parent, name }),
            children: SpinLock::new(Rank::Inode, NameMap::default()),
            changes: RwLock::new(()),
            dissolving: Link::new(),
        }
    }

    /// The file.
    #[inline]
    pub fn inode(&self) -> &Arc<dyn Inode> {
        &self.inode
    }

    /// The file system; none for a file without a name, or when it has been unmounted.
    pub fn superblock(&self) -> Option<Arc<Superblock>> {
        self.superblock.upgrade()
    }

    /// Whether it is a directory; that never changes.
    #[inline]
    pub fn is_directory(&self) -> bool {
        self.is_directory
    }

    /// Whether the entry has been removed.
    pub fn is_dead(&self) -> bool {
        self.is_dead.load(Ordering::Acquire)
    }

    /// Whether a mount may cover this directory, in some namespace.
    #[inline]
    pub fn is_mount_point(&self) -> bool {
        self.mounts.load(Ordering::Relaxed) != 0
    }

    pub(crate) fn add_mount(&self) {
        self.mounts.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn remove_mount(&self) {
        self.mounts.fetch_sub(1, Ordering::Relaxed);
    }

    /// The directory that this entry is in; none for the root of a file system.
    pub fn parent(&self) -> Option<Arc<Dentry>> {
        self.place.lock().parent.clone()
    }

    /// The name of this entry; empty for the root of a file system and for files without one.
    pub fn name(&self) -> Arc<[u8]> {
        Arc::clone(&self.place.lock().name)
    }

    /// Parent and name as they are together.
    pub fn place(&self) -> (Option<Arc<Dentry>>, Arc<[u8]>) {
        let place = self.place.lock();
        (place.parent.clone(), Arc::clone(&place.name))
    }

    /// Whether this is `other` or lies above it.
    pub fn is_ancestor_of(self: &Arc<Self>, other: &Arc<Dentry>) -> bool {
        let mut at = Arc::clone(other);
        loop {
            if Arc::ptr_eq(self, &at) {
                return true;
            }
            match at.parent() {
                Some(parent) => at = parent,
                None => return false,
            }
        }
    }

    /// Locks the entries of this directory for changing them; sleeps. ENOENT when the directory has been removed.
    pub fn change(&self) -> Result<Changing<'_>, Errno> {
        let guard = self.changes.write();
        if self.is_dead() { Err(Errno::ENOENT) } else { Ok(Changing(guard)) }
    }

    /// Keeps the entries of this directory from changing; sleeps.
    pub fn hold(&self) -> Holding<'_> {
        Holding(self.changes.read())
    }

    /// The child called `name`, if the cache knows it.
    #[inline]
    pub fn cached(&self, name: &[u8]) -> Option<Arc<Dentry>> {
        let child = self.children.lock().get(name)?.get()?;
        if self.keeps_children || child.inode.is_current() { Some(child) } else { None }
    }

    /// The child called `name`: from the cache, or by asking the file system; may sleep. ENOENT, ENAMETOOLONG.
    pub fn child(self: &Arc<Self>, name: &[u8]) -> Result<Arc<Dentry>, Errno> {
        if let Some(child) = self.cached(name) {
            return Ok(child);
        }
        if name.len() > NAME_MAX {
            return Err(Errno::ENAMETOOLONG);
        }
        let _hold = self.changes.read();
        self.look_up(name)
    }

    /// As [`child`](Self::child), for a caller that holds the directory locked.
    pub fn child_locked(
        self: &Arc<Self>,
        _changing: &Changing<'_>,
        name: &[u8],
    ) -> Result<Arc<Dentry>, Errno> {
        match self.cached(name) {
            Some(child) => Ok(child),
            None if name.len() > NAME_MAX => Err(Errno::ENAMETOOLONG),
            None => self.look_up(name),
        }
    }

    fn look_up(self: &Arc<Self>, name: &[u8]) -> Result<Arc<Dentry>, Errno> {
        let inode = self.inode.lookup(name)?;
        let name: Arc<[u8]> = try_arc_slice(name)?;
        let fresh = try_arc(self.new_child(inode, &name))?;
        Ok(self.keep(name, fresh)?)
    }

    /// Room in the cache for a child more, and memory for its dentry: to be had before the file system makes or moves anything, since a child
    /// that is not in the cache would be looked up again, and then a directory has two dentries with two locks.
    pub(crate) fn make_room(&self, _changing: &Changing<'_>) -> Result<ChildRoom, Errno> {
        // While entries are changed nobody looks any up, so the room stays.
        reserve_name(&mut self.children.lock())?;
        Ok(ChildRoom(Allowance::of(1)?))
    }

    /// Puts a child into the cache that the caller has just made.
    #[expect(clippy::disallowed_methods, reason = "made with an allowance in hand")]
    pub(crate) fn remember(
        self: &Arc<Self>,
        room: ChildRoom,
        name: Arc<[u8]>,
        inode: Arc<dyn Inode>,
    ) -> Result<Arc<Dentry>, Errno> {
        let fresh = Arc::new(self.new_child(inode, &name));
        drop(room);
        Ok(self.keep(name, fresh)?)
    }

    fn new_child(self: &Arc<Self>, inode: Arc<dyn Inode>, name: &Arc<[u8]>) -> Self {
        let superblock = Weak::clone(&self.superblock);
        Dentry::new(inode, superblock, self.keeps_children, Some(Arc::clone(self)), Arc::clone(name))
    }

    /// Puts a child into the cache. When another lookup was quicker, its dentry is the one.
    fn keep(&self, name: Arc<[u8]>, fresh: Arc<Dentry>) -> Result<Arc<Dentry>, OutOfMemory> {
        let child = if self.keeps_children {
            Child::Kept(Arc::clone(&fresh))
        } else {
            Child::Passing(Arc::downgrade(&fresh))
        };
        let mut children = self.children.lock();
        let known = children.get(&*name).and_then(Child::get);
        let (result, surplus) = match known {
            Some(known) if known.inode.is_current() => (Ok(known), Some(fresh)),
            stale => match reserve_name(&mut children) {
                Ok(()) => {
                    let replaced = children.insert(name, child);
                    drop(children);
                    drop((replaced, stale));
                    return Ok(fresh);
                }
                Err(error) => (Err(error), Some(fresh)),
            },
        };
        drop(children);
        drop((child, surplus));
        result
    }

    /// Takes the child `name` out of the cache and marks it as removed, after the file system has removed it.
    pub(crate) fn forget(&self, _changing: &Changing<'_>, name: &[u8]) -> Option<Arc<Dentry>> {
        let removed = self.children.lock().remove(name);
        let dentry = removed?.get()?;
        dentry.is_dead.store(true, Ordering::Release);
        Some(dentry)
    }

    /// Moves `child` to `name` in `to`, where room was made, after the file system has; whatever the cache had there is gone.
    pub(crate) fn move_child(self: &Arc<Self>, child: &Arc<Dentry>, to: &Arc<Dentry>, name: &Arc<[u8]>) {
        let old_name = child.name();
        let held = {
            let mut children = self.children.lock();
            match children.get(&*old_name).and_then(Child::get) {
                Some(here) if Arc::ptr_eq(&here, child) => children.remove(&*old_name),
                _ => None,
            }
        };
        let old_parent = {
            let mut place = child.place.lock();
            place.name = Arc::clone(name);
            place.parent.replace(Arc::clone(to))
        };
        let mut children = to.children.lock();
        let replaced = match held {
            Some(held) => children.insert(Arc::clone(name), held),
            None => children.remove(&**name),
        };
        drop(children);
        drop((old_parent, replaced));
    }

    /// Exchanges `child` with `other` in `directory` after the file system has. Room was made in both.
    pub(crate) fn exchange_children(
        self: &Arc<Self>,
        child: &Arc<Dentry>,
        directory: &Arc<Dentry>,
        other: &Arc<Dentry>,
    ) {
        let (name, other_name) = (child.name(), other.name());
        let held = self.children.lock().remove(&*name);
        let other_held = directory.children.lock().remove(&*other_name);
        for (dentry, parent, name, held) in
            [(child, directory, &other_name, held), (other, self, &name, other_held)]
        {
            let old_parent = {
                let mut place = dentry.place.lock();
                place.name = Arc::clone(name);
                place.parent.replace(Arc::clone(parent))
            };
            drop(old_parent);
            let mut children = parent.children.lock();
            if let Some(held) = held {
                children.insert(Arc::clone(name), held);
            }
        }
    }

    /// Empties the cache below this dentry, so that no circle of parents and children keeps an unmounted file system alive.
    pub(crate) fn dissolve(self: &Arc<Self>) {
        let mut pending = List::new();
        let mut next = Some(Arc::clone(self));
        while let Some(directory) = next {
            let children = core::mem::take(&mut *directory.children.lock());
            for child in children.into_values().filter_map(|child| child.get()) {
                if child.is_directory {
                    // A child of one parent is met once.
                    let _ = pending.push_back(child);
                }
            }
            next = pending.pop_front();
        }
    }
}

impl Dentry {
    /// Takes the child `name` out of the cache if nobody uses it any more.
    fn forget_passed(&self, name: &[u8]) {
        if self.keeps_children {
            return;
        }
        let mut children = self.children.lock();
        let has_passed =
            matches!(children.get(name), Some(Child::Passing(dentry)) if dentry.strong_count() == 0);
        let passed = if has_passed { children.remove(name) } else { None };
        drop(children);
        drop(passed);
    }
}

impl Drop for Dentry {
    /// Lets go of the parents one after the other: a chain of removed directories can be as long as memory allows, the
    /// kernel stack is not.
    fn drop(&mut self) {
        let mut leaving = take_place(self);
        while let Some((parent, name)) = leaving {
            parent.forget_passed(&name);
            leaving = Arc::into_inner(parent).and_then(|mut parent| take_place(&mut parent));
        }
    }
}

/// Parent and name of a dentry that is about to go, which has no parent afterwards.
fn take_place(dentry: &mut Dentry) -> Option<(Arc<Dentry>, Arc<[u8]>)> {
    let place = dentry.place.get_mut();
    place.parent.take().map(|parent| (parent, Arc::clone(&place.name)))
}

/// Room for one child more in a directory's cache.
pub(crate) struct ChildRoom(#[allow(dead_code, reason = "held for the memory that it keeps")] Allowance);

/// The right to change the entries of one directory.
pub struct Changing<'a>(#[allow(dead_code, reason = "held for what it keeps out")] WriteGuard<'a, ()>);

/// The assurance that the entries of one directory do not change.
pub struct Holding<'a>(#[allow(dead_code, reason = "held for what it keeps out")] ReadGuard<'a, ()>);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pseudo::{Directory, Listed, Node, PseudoFileSystem};

    /// A directory in which every name is a directory of its own kind.
    struct Anything;

    impl Directory for Anything {
        fn lookup(&self, _name: &[u8]) -> Result<Arc<Node>, Errno> {
            Ok(Arc::new(Node::directory(Arc::new(Anything))))
        }

        fn list(&self, _position: u64, _visit: &mut dyn FnMut(Listed<'_>) -> bool) -> Result<(), Errno> {
            Ok(())
        }
    }

    #[test]
    fn a_directory_whose_files_come_and_go_remembers_only_those_in_use() {
        threads::hosted::run(1, 1, || {
            let superblock = Superblock::new(PseudoFileSystem::new("test", 0, Arc::new(Anything)));
            let root = superblock.root();
            let used = root.child(b"used").unwrap().child(b"below").unwrap();
            for number in 0..1000 {
                let name = alloc::format!("{number}");
                root.child(name.as_bytes()).unwrap().child(b"fd").unwrap().child(b"0").unwrap();
            }
            assert_eq!(root.children.lock().len(), 1);
            assert!(Arc::ptr_eq(&used, &root.child(b"used").unwrap().child(b"below").unwrap()));
            drop(used);
            assert!(root.children.lock().is_empty());
        });
    }
}

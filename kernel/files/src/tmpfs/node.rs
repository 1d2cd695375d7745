//! An inode of tmpfs: metadata, and what differs by kind.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use abi::Errno;
use abi::fcntl::XattrFlags;
use abi::stat::S_IFMT;
use abi::time::Timespec;
use machine::address::PAGE_SIZE;
use machine::frame::OutOfMemory;
use machine::heap::{Allowance, try_arc, try_arc_slice, try_box};
use machine::list::{self, Linked, List};
use machine::sync::{Once, Rank, SpinLock};

use super::Shared;
use super::attributes::Attributes;
use super::directory::Entries;
use super::file::Contents;
use crate::attachment::Attachment;
use crate::credentials::{Credentials, Ownership};
use crate::file::File;
use crate::inode::{Entry, Inode, Link, NewBody, NewNode, Opening, RenameMode, downcast};
use crate::locks::FileLocks;
use crate::metadata::{Kind, Metadata, MetadataChange};
use crate::time;
use crate::writers::WriterCount;

/// What linux shows as the size of a directory for each entry (`BOGO_DIRENT_SIZE`).
const ENTRY_SIZE: u64 = 20;

pub(super) enum Body {
    Regular(Contents),
    Directory(SpinLock<Entries>),
    Symlink(Arc<[u8]>),
    /// A device's number; zero for FIFOs and sockets.
    Special(u64),
}

/// The part of the metadata that changes together.
struct Changing {
    links: u64,
    accessed: Timespec,
    modified: Timespec,
    changed: Timespec,
}

/// A file of a tmpfs.
pub struct TmpfsNode {
    pub(super) shared: Arc<Shared>,
    number: u64,
    created: Timespec,
    mode: AtomicU32,
    uid: AtomicU32,
    gid: AtomicU32,
    state: SpinLock<Changing>,
    pub(super) body: Body,
    /// Made without a name on purpose (O_TMPFILE), so it may still get one.
    may_be_linked: AtomicBool,
    attributes: Once<Box<SpinLock<Attributes>>>,
    attachment: Attachment,
    locks: FileLocks,
    writers: WriterCount,
    going: list::Link<TmpfsNode, Going>,
}

/// Frames for the nodes of the tree of positions that an entry more may need.
const ENTRY_FRAMES: usize = 2;

/// The text of a new link, whose inode has been counted.
fn symlink_text(shared: &Shared, target: &[u8]) -> Result<Arc<[u8]>, OutOfMemory> {
    try_arc_slice(target).inspect_err(|_| {
        shared.inodes.fetch_sub(1, Ordering::Relaxed);
    })
}

impl TmpfsNode {
    /// The root of a new file system, which is small and made under an allowance.
    #[expect(clippy::disallowed_methods, reason = "made with an allowance in hand")]
    pub(super) fn root(shared: Arc<Shared>, ownership: Ownership) -> Arc<Self> {
        let body = Body::Directory(SpinLock::new(Rank::Inode, Entries::default()));
        Arc::new(Self::with_body(shared, 1, ownership, body, 2))
    }

    /// A node, which is one of the file system's inodes; when there is no memory for it that is taken back.
    fn try_new(shared: Arc<Shared>, number: u64, node: NewNode<'_>) -> Result<Arc<Self>, OutOfMemory> {
        let (body, links) = match node.body {
            NewBody::Regular => (Body::Regular(Contents::new()), 1),
            NewBody::Directory => (Body::Directory(SpinLock::new(Rank::Inode, Entries::default())), 2),
            NewBody::Symlink(target) => (Body::Symlink(symlink_text(&shared, target)?), 1),
            NewBody::Device(_, device) => (Body::Special(device), 1),
            NewBody::Fifo | NewBody::Socket => (Body::Special(0), 1),
        };
        // A node that finds no room is dropped, and counts the inode back.
        try_arc(Self::with_body(shared, number, node.ownership, body, links))
    }

    fn with_body(shared: Arc<Shared>, number: u64, ownership: Ownership, body: Body, links: u64) -> Self {
        let now = time::now();
        Self {
            shared,
            number,
            created: now,
            mode: AtomicU32::new(ownership.mode),
            uid: AtomicU32::new(ownership.uid),
            gid: AtomicU32::new(ownership.gid),
            state: SpinLock::new(Rank::Inode, Changing { links, accessed: now, modified: now, changed: now }),
            body,
            may_be_linked: AtomicBool::new(false),
            attributes: Once::new(),
            attachment: Attachment::new(),
            locks: FileLocks::new(),
            writers: WriterCount::new(),
            going: list::Link::new(),
        }
    }

    fn new_child(&self, node: NewNode<'_>) -> Result<Arc<Self>, Errno> {
        let number = self.shared.take_inode()?;
        Ok(Self::try_new(Arc::clone(&self.shared), number, node)?)
    }

    /// A file of this file system that has no name.
    pub(super) fn new_unlinked(&self, node: NewNode<'_>) -> Result<Arc<Self>, Errno> {
        let node = self.new_child(node)?;
        node.state.lock().links = 0;
        node.may_be_linked.store(true, Ordering::Relaxed);
        Ok(node)
    }

    /// The contents, for a regular file.
    pub(crate) fn contents(&self) -> Result<&Contents, Errno> {
        match &self.body {
            Body::Regular(contents) => Ok(contents),
            Body::Directory(_) => Err(Errno::EISDIR),
            _ => Err(Errno::EINVAL),
        }
    }

    fn entries(&self) -> Result<&SpinLock<Entries>, Errno> {
        match &self.body {
            Body::Directory(entries) => Ok(entries),
            _ => Err(Errno::ENOTDIR),
        }
    }

    pub(super) fn is_directory(&self) -> bool {
        matches!(self.body, Body::Directory(_))
    }

    /// Notes that the contents were read: only where the time of reading is not later than that of writing (relatime).
    pub(super) fn note_read(&self) {
        let mut state = self.state.lock();
        if state.accessed <= state.modified || state.accessed <= state.changed {
            state.accessed = time::now();
        }
    }

    /// Notes that the contents, or the entries, have changed.
    pub(super) fn note_write(&self) {
        let now = time::now();
        let mut state = self.state.lock();
        state.modified = now;
        state.changed = now;
    }

    fn add_links(&self, by: i64) {
        let now = time::now();
        let mut state = self.state.lock();
        state.links = state.links.saturating_add_signed(by);
        state.changed = now;
    }

    fn node_of(inode: &Arc<dyn Inode>) -> Result<Arc<Self>, Errno> {
        downcast::<Self>(inode).ok_or(Errno::EXDEV)
    }

    fn extended(&self) -> Result<&SpinLock<Attributes>, OutOfMemory> {
        loop {
            if let Some(attributes) = self.attributes.get() {
                return Ok(attributes);
            }
            // Whoever loses the race uses the winner's.
            let _ = self.attributes.set(try_box(SpinLock::new(Rank::Inode, Attributes::default()))?);
        }
    }

    /// What happens to a file that lost a name.
    fn unlinked(&self) {
        self.add_links(if self.is_directory() { -2 } else { -1 });
    }
}

impl Inode for TmpfsNode {
    fn metadata(&self) -> Metadata {
        let ownership = self.ownership();
        let (size, blocks, special) = match &self.body {
            Body::Regular(contents) => (contents.size(), contents.pages() * (PAGE_SIZE as u64 / 512), 0),
            Body::Directory(entries) => ((entries.lock().len() as u64 + 2) * ENTRY_SIZE, 0, 0),
            Body::Symlink(target) => (target.len() as u64, 0, 0),
            Body::Special(device) => (0, 0, *device),
        };
        let state = self.state.lock();
        Metadata {
            device: self.shared.device,
            inode: self.number,
            mode: ownership.mode,
            links: state.links,
            uid: ownership.uid,
            gid: ownership.gid,
            special,
            size,
            block_size: self.shared.block_size,
            blocks,
            accessed: state.accessed,
            modified: state.modified,
            changed: state.changed,
            created: self.created,
        }
    }

    #[inline]
    fn ownership(&self) -> Ownership {
        Ownership {
            mode: self.mode.load(Ordering::Relaxed),
            uid: self.uid.load(Ordering::Relaxed),
            gid: self.gid.load(Ordering::Relaxed),
        }
    }

    fn set_metadata(&self, change: &MetadataChange) -> Result<(), Errno> {
        let mut state = self.state.lock();
        if let Some(permissions) = change.permissions {
            let kind = self.mode.load(Ordering::Relaxed) & S_IFMT;
            self.mode.store(kind | permissions & 0o7777, Ordering::Relaxed);
        }
        if let Some(uid) = change.uid {
            self.uid.store(uid, Ordering::Relaxed);
        }
        if let Some(gid) = change.gid {
            self.gid.store(gid, Ordering::Relaxed);
        }
        state.accessed = change.accessed.unwrap_or(state.accessed);
        state.modified = change.modified.unwrap_or(state.modified);
        state.changed = change.changed;
        Ok(())
    }

    fn open(self: Arc<Self>, _opening: &Opening<'_>) -> Result<Arc<dyn File>, Errno> {
        Ok(self)
    }

    fn lookup(&self, name: &[u8]) -> Result<Arc<dyn Inode>, Errno> {
        match self.entries()?.lock().get(name) {
            Some(node) => Ok(Arc::clone(node) as _),
            None => Err(Errno::ENOENT),
        }
    }

    fn create(&self, name: &Arc<[u8]>, node: NewNode<'_>) -> Result<Arc<dyn Inode>, Errno> {
        let entries = self.entries()?;
        let node = self.new_child(node)?;
        let _allowance = Allowance::of(ENTRY_FRAMES)?;
        {
            let mut entries = entries.lock();
            entries.reserve()?;
            entries.insert(Arc::clone(name), Arc::clone(&node));
        }
        if node.is_directory() {
            self.add_links(1);
        }
        self.note_write();
        Ok(node)
    }

    fn create_unnamed(&self, node: NewNode<'_>) -> Result<Arc<dyn Inode>, Errno> {
        Ok(self.new_unlinked(node)?)
    }

    fn link(&self, name: &Arc<[u8]>, target: &Arc<dyn Inode>) -> Result<(), Errno> {
        let target = Self::node_of(target)?;
        let _allowance = Allowance::of(ENTRY_FRAMES)?;
        {
            let mut state = target.state.lock();
            // A file whose last name has gone gets no new one, unless it was made to get its first so.
            if state.links == 0 && !target.may_be_linked.swap(false, Ordering::Relaxed) {
                return Err(Errno::ENOENT);
            }
            state.links += 1;
            state.changed = time::now();
        }
        let inserted = {
            let mut entries = self.entries()?.lock();
            entries.reserve().map(|()| entries.insert(Arc::clone(name), Arc::clone(&target)))
        };
        match inserted {
            Ok(()) => self.note_write(),
            Err(_) => target.add_links(-1),
        }
        inserted
    }

    fn unlink(&self, name: &[u8], target: &Arc<dyn Inode>) -> Result<(), Errno> {
        let target = Self::node_of(target)?;
        if let Body::Directory(entries) = &target.body
            && !entries.lock().is_empty()
        {
            return Err(Errno::ENOTEMPTY);
        }
        let removed = self.entries()?.lock().remove(name);
        let Some(removed) = removed else { return Err(Errno::ENOENT) };
        removed.unlinked();
        if removed.is_directory() {
            self.add_links(-1);
        }
        self.note_write();
        Ok(())
    }

    fn rename(
        &self,
        name: &[u8],
        new_directory: &Arc<dyn Inode>,
        new_name: &Arc<[u8]>,
        mode: RenameMode,
    ) -> Result<(), Errno> {
        let new_parent = Self::node_of(new_directory)?;
        let find =
            |parent: &Self, name: &[u8]| Ok::<_, Errno>(parent.entries()?.lock().get(name).map(Arc::clone));
        let moved = find(self, name)?.ok_or(Errno::ENOENT)?;
        let in_the_way = find(&new_parent, new_name)?;
        if let Some(Body::Directory(entries)) = in_the_way.as_ref().map(|node| &node.body)
            && mode == RenameMode::Replace
            && !entries.lock().is_empty()
        {
            return Err(Errno::ENOTEMPTY);
        }
        let is_same_parent = core::ptr::eq(self, &*new_parent);
        let mut replaced = None;
        match (mode, in_the_way) {
            (RenameMode::Exchange, None) => return Err(Errno::ENOENT),
            (RenameMode::Exchange, Some(other)) => {
                new_parent.entries()?.lock().replace(new_name, Arc::clone(&moved));
                self.entries()?.lock().replace(name, Arc::clone(&other));
                if !is_same_parent {
                    let balance = i64::from(moved.is_directory()) - i64::from(other.is_directory());
                    new_parent.add_links(balance);
                    self.add_links(-balance);
                }
                other.add_links(0);
            }
            (RenameMode::Replace, other) => {
                if other.is_some() {
                    replaced = new_parent.entries()?.lock().replace(new_name, Arc::clone(&moved));
                } else {
                    let _allowance = Allowance::of(ENTRY_FRAMES)?;
                    let mut entries = new_parent.entries()?.lock();
                    entries.reserve()?;
                    entries.insert(Arc::clone(new_name), Arc::clone(&moved));
                }
                let moved_out = self.entries()?.lock().remove(name);
                drop(moved_out);
                if let Some(replaced) = &replaced {
                    replaced.unlinked();
                }
                if moved.is_directory() {
                    self.add_links(-1);
                    new_parent.add_links(if replaced.is_some() { 0 } else { 1 });
                }
            }
        }
        moved.add_links(0);
        self.note_write();
        new_parent.note_write();
        drop(replaced);
        Ok(())
    }

    fn read_directory(&self, position: u64, visit: &mut dyn FnMut(Entry<'_>) -> bool) -> Result<(), Errno> {
        let entries = self.entries()?;
        let mut position = position;
        loop {
            // The visitor copies to a program and may sleep, so the lock is taken once an entry.
            let Some((at, name, node)) = entries
                .lock()
                .at_or_after(position)
                .map(|(at, name, node)| (at, Arc::clone(name), Arc::clone(node)))
            else {
                break;
            };
            let kind = Kind::of_mode(node.mode.load(Ordering::Relaxed));
            if !visit(Entry { name: &name, inode: node.number, kind, next: at + 1 }) {
                break;
            }
            position = at + 1;
        }
        self.note_read();
        Ok(())
    }

    fn follow(&self, _credentials: &Credentials) -> Result<Link, Errno> {
        match &self.body {
            Body::Symlink(target) => Ok(Link::Target(Arc::clone(target))),
            _ => Err(Errno::EINVAL),
        }
    }

    fn truncate(&self, size: u64) -> Result<(), Errno> {
        self.contents()?.truncate(&self.shared, size)?;
        self.note_write();
        Ok(())
    }

    fn extended_attribute(&self, name: &[u8]) -> Result<Vec<u8>, Errno> {
        match self.attributes.get() {
            None if !self.shared.has_attributes => Err(Errno::EOPNOTSUPP),
            Some(attributes) => attributes.lock().get(name),
            None => Err(Errno::ENODATA),
        }
    }

    fn set_extended_attribute(&self, name: &[u8], value: &[u8], how: XattrFlags) -> Result<(), Errno> {
        if !self.shared.has_attributes {
            return Err(Errno::EOPNOTSUPP);
        }
        self.extended()?.lock().set(name, value, how)?;
        self.add_links(0);
        Ok(())
    }

    fn remove_extended_attribute(&self, name: &[u8]) -> Result<(), Errno> {
        let none = if self.shared.has_attributes { Errno::ENODATA } else { Errno::EOPNOTSUPP };
        self.attributes.get().ok_or(none)?.lock().remove(name)?;
        self.add_links(0);
        Ok(())
    }

    fn extended_attributes(&self) -> Result<Vec<u8>, Errno> {
        self.attributes.get().map_or(Ok(Vec::new()), |attributes| attributes.lock().names())
    }

    fn attachment(&self) -> Option<&Attachment> {
        Some(&self.attachment)
    }

    fn locks(&self) -> Option<&FileLocks> {
        Some(&self.locks)
    }

    fn writers(&self) -> Option<&WriterCount> {
        Some(&self.writers)
    }
}

/// Marks the link by which a folder is among those that go.
enum Going {}

impl Linked<Going> for TmpfsNode {
    fn link(&self) -> &list::Link<Self, Going> {
        &self.going
    }
}

impl TmpfsNode {
    /// Takes the entries out of a folder that goes; those that are folders go next.
    fn empty(entries: &mut SpinLock<Entries>, pending: &mut List<Self, Going>) {
        for node in entries.get_mut().drain() {
            if matches!(node.body, Body::Directory(_)) {
                // A folder has one name.
                let _ = pending.push_back(node);
            }
        }
    }
}

impl Drop for TmpfsNode {
    /// Frees a tree from a list of its own, not by recursion: its depth is up to programs.
    fn drop(&mut self) {
        self.shared.inodes.fetch_sub(1, Ordering::Relaxed);
        match &mut self.body {
            Body::Regular(contents) => contents.release(&self.shared),
            Body::Directory(entries) => {
                let mut pending = List::new();
                Self::empty(entries, &mut pending);
                while let Some(node) = pending.pop_front() {
                    if let Some(mut node) = Arc::into_inner(node)
                        && let Body::Directory(entries) = &mut node.body
                    {
                        Self::empty(entries, &mut pending);
                    }
                }
            }
            Body::Symlink(_) | Body::Special(_) => {}
        }
    }
}

//! A node as an inode, and its text as an open file.

use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::Errno;
use abi::time::Timespec;
use machine::address::PAGE_SIZE;
use machine::frame::OutOfMemory;
use machine::heap::{Allowance, try_arc, try_filled, try_to_vec};
use memory::{Pieces, Sink, Source};
use threads::Mutex;
use threads::poll::{Events, Pollable, Waiter};

use super::{Body, Host, Node, Text};
use crate::credentials::{Credentials, Ownership};
use crate::file::{Abilities, File, Positioning, Transfer};
use crate::inode::{Entry, Inode, Link, Opening};
use crate::locks::FileLocks;
use crate::metadata::{Metadata, MetadataChange};
use crate::mount::Path;
use crate::time;

/// A node in a file system.
pub(super) struct PseudoInode {
    node: Arc<Node>,
    host: Host,
    created: Timespec,
    locks: FileLocks,
}

impl PseudoInode {
    /// That of a file system's root, which is small and made once.
    #[expect(clippy::disallowed_methods, reason = "made at boot")]
    pub(super) fn root(node: Arc<Node>, host: Host) -> Arc<dyn Inode> {
        Arc::new(Self { node, host, created: time::now(), locks: FileLocks::new() })
    }

    pub(super) fn of(node: Arc<Node>, host: Host) -> Result<Arc<dyn Inode>, OutOfMemory> {
        Ok(try_arc(Self { node, host, created: time::now(), locks: FileLocks::new() })?)
    }
}

impl Inode for PseudoInode {
    fn metadata(&self) -> Metadata {
        let ownership = self.ownership();
        let links = match &self.node.body {
            Body::Directory(directory) => 2 + directory.subdirectories(),
            _ => 1,
        };
        Metadata {
            device: self.host.device,
            inode: self.node.number,
            mode: ownership.mode,
            links,
            uid: ownership.uid,
            gid: ownership.gid,
            block_size: 1024,
            accessed: self.created,
            modified: self.created,
            changed: self.created,
            created: self.created,
            ..Metadata::default()
        }
    }

    fn ownership(&self) -> Ownership {
        self.node.ownership()
    }

    fn set_metadata(&self, change: &MetadataChange) -> Result<(), Errno> {
        // Times and owners cannot be kept, since nothing is; touch(1) on /proc succeeds all the same, as in Linux.
        if change.permissions.is_none() { Ok(()) } else { Err(Errno::EPERM) }
    }

    fn open(self: Arc<Self>, opening: &Opening<'_>) -> Result<Arc<dyn File>, Errno> {
        match &self.node.body {
            Body::Text { read, write } => {
                if opening.flags.can_read() && read.is_none() || opening.flags.can_write() && write.is_none()
                {
                    return Err(Errno::EACCES);
                }
                Ok(try_arc(TextFile { node: Arc::clone(&self.node), text: Mutex::new(None) })?)
            }
            Body::Directory(_) => {
                let node = Arc::clone(&self.node);
                Ok(try_arc(DirectoryFile { node, path: opening.path.clone() })?)
            }
            Body::Link { .. } => Err(Errno::ELOOP),
            Body::Custom(open) => open(opening),
        }
    }

    fn lookup(&self, name: &[u8]) -> Result<Arc<dyn Inode>, Errno> {
        match &self.node.body {
            Body::Directory(directory) => {
                let _allowance = Allowance::of(1)?;
                Ok(Self::of(directory.lookup(name)?, self.host)?)
            }
            _ => Err(Errno::ENOTDIR),
        }
    }

    fn has_free_names(&self) -> bool {
        self.host.has_free_names
    }

    fn follow(&self, credentials: &Credentials) -> Result<Link, Errno> {
        match &self.node.body {
            Body::Link { follow, .. } => {
                let _allowance = Allowance::of(1)?;
                follow(credentials)
            }
            _ => Err(Errno::EINVAL),
        }
    }

    fn link_text(&self, credentials: &Credentials, root: &Path) -> Result<Vec<u8>, Errno> {
        if let Body::Link { text: Some(text), .. } = &self.node.body {
            return text();
        }
        match self.follow(credentials)? {
            Link::Target(text) => Ok(try_to_vec(&text)?),
            Link::Place(path) => path.display(root),
        }
    }

    /// Opening with O_TRUNC, as shells do for `>`, changes nothing.
    fn truncate(&self, _size: u64) -> Result<(), Errno> {
        Ok(())
    }

    fn locks(&self) -> Option<&FileLocks> {
        Some(&self.locks)
    }

    fn is_current(&self) -> bool {
        self.node.is_current.as_ref().is_none_or(|is_current| is_current())
    }
}

/// The largest offset in a file of these (Linux's `MAX_NON_LFS`).
const OFFSET_MAX: u64 = i32::MAX as u64;

/// An open text: what it said when the reader was at its start.
struct TextFile {
    node: Arc<Node>,
    text: Mutex<Option<Pieces<u8>>>,
}

impl Pollable for TextFile {
    fn poll(&self, interest: Events, _waiter: Option<&mut Waiter>) -> Events {
        interest & (Events::IN | Events::OUT | Events::RDNORM | Events::WRNORM)
    }
}

impl File for TextFile {
    fn read(&self, into: &mut dyn Sink, how: &mut Transfer) -> Result<usize, Errno> {
        let Body::Text { read: Some(read), .. } = &self.node.body else { return Err(Errno::EINVAL) };
        let mut kept = self.text.lock();
        if how.offset == 0 || kept.is_none() {
            let mut text = Text::default();
            read(&mut text)?;
            *kept = Some(text.finish()?);
        }
        let Some(text) = kept.as_ref() else { return Ok(0) };
        let mut done = 0;
        loop {
            let start = usize::try_from(how.offset).unwrap_or(usize::MAX);
            let rest = text.rest_of_piece(start);
            let part = rest.get(..into.remaining()).unwrap_or(rest);
            if part.is_empty() {
                return Ok(done);
            }
            match into.write(part) {
                Ok(len) => {
                    done += len;
                    how.offset += len as u64;
                    if len < part.len() {
                        return Ok(done);
                    }
                }
                // What has been read is the answer; the rest fails next time.
                Err(_) if done > 0 => return Ok(done),
                Err(error) => return Err(error),
            }
        }
    }

    fn write(&self, from: &mut dyn Source, how: &mut Transfer) -> Result<usize, Errno> {
        let Body::Text { write: Some(write), .. } = &self.node.body else { return Err(Errno::EINVAL) };
        let len = from.remaining();
        if len > PAGE_SIZE {
            return Err(Errno::EINVAL);
        }
        let mut bytes = try_filled(0, len)?;
        let done = from.read(&mut bytes)?;
        bytes.truncate(done);
        write(&bytes)?;
        how.offset += done as u64;
        Ok(done)
    }

    fn can_be_watched(&self) -> bool {
        self.node.can_be_watched
    }

    fn positioning(&self) -> Positioning {
        Positioning::Sequence
    }

    fn abilities(&self) -> Abilities {
        Abilities::UNSPLICED
    }

    fn truncate(&self, size: u64) -> Result<(), Errno> {
        if size > OFFSET_MAX { Err(Errno::EFBIG) } else { Ok(()) }
    }
}

/// An open directory.
struct DirectoryFile {
    node: Arc<Node>,
    path: Path,
}

impl Pollable for DirectoryFile {
    fn poll(&self, interest: Events, _waiter: Option<&mut Waiter>) -> Events {
        interest & (Events::IN | Events::OUT | Events::RDNORM | Events::WRNORM)
    }
}

impl File for DirectoryFile {
    fn read(&self, _into: &mut dyn Sink, _how: &mut Transfer) -> Result<usize, Errno> {
        Err(Errno::EISDIR)
    }

    fn can_be_watched(&self) -> bool {
        false
    }

    fn positioning(&self) -> Positioning {
        Positioning::Position
    }

    fn position_max(&self) -> u64 {
        OFFSET_MAX
    }

    fn abilities(&self) -> Abilities {
        Abilities::UNSPLICED
    }

    fn read_directory(&self, position: u64, visit: &mut dyn FnMut(Entry<'_>) -> bool) -> Result<(), Errno> {
        let Body::Directory(directory) = &self.node.body else { return Err(Errno::ENOTDIR) };
        if !self.path.inode().is_current() {
            return Err(Errno::ENOENT);
        }
        directory.list(position, &mut |listed| {
            visit(Entry { name: listed.name, inode: listed.number, kind: listed.kind, next: listed.next })
        })
    }
}

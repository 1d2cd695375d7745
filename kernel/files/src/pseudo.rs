//! Files that are made of answers: the framework for /proc and /sys.
//!
//! Whoever owns a fact registers a [`Node`] that tells it: text made by a closure when it is read from its start, a link,
//! or a directory. Directories are either a [`Tree`] of registered nodes or anything that implements [`Directory`] (the
//! processes of /proc). Nothing is kept between an open and the next; only while a file is open, what was read stays the
//! same until the reader goes back to the start.

mod inode;
mod tree;

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};

use abi::Errno;
use abi::fcntl::NAME_MAX;
use abi::stat::Statfs;
use machine::address::PAGE_SIZE;
use memory::Pieces;

use crate::credentials::{Credentials, Ownership};
use crate::file::File;
use crate::filesystem::{FileSystem, anonymous_device};
use crate::inode::{Inode, Link, Opening};
use crate::metadata::Kind;

use inode::PseudoInode;
pub use tree::Tree;

/// Numbers of nodes that were not given one begin here, above those that owners compute (process ids and their like).
const FIRST_NUMBER: u64 = 0xf000_0000;

static NEXT_NUMBER: AtomicU64 = AtomicU64::new(FIRST_NUMBER);

/// The text of a file while it is made: `write!` to it, or add bytes. Whoever makes it need not look whether there was room: the reader is told.
#[derive(Default)]
pub struct Text {
    bytes: Pieces<u8>,
    failure: Option<Errno>,
}

impl Text {
    /// Adds bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        if let Err(error) = self.bytes.extend(bytes) {
            self.fail(error.into());
        }
    }

    /// Notes that a part of the text could not be had: that is what a reader gets then.
    pub fn fail(&mut self, error: Errno) {
        self.failure.get_or_insert(error);
    }

    /// How many bytes have been added so far.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether none has.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The first page of what has been added so far: all of a short text.
    pub fn first_page(&self) -> &[u8] {
        self.bytes.rest_of_piece(0)
    }

    /// The whole text.
    fn finish(self) -> Result<Pieces<u8>, Errno> {
        self.failure.map_or(Ok(self.bytes), Err)
    }
}

impl fmt::Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push(text.as_bytes());
        Ok(())
    }
}

/// Makes a file's text.
pub type Reader = Box<dyn Fn(&mut Text) -> Result<(), Errno> + Send + Sync>;
/// Takes what is written to a file, all of one write(2) at once; a program's bytes, at most a page of them.
pub type Writer = Box<dyn Fn(&[u8]) -> Result<(), Errno> + Send + Sync>;
/// Finds where a link leads.
pub type Follower = Box<dyn Fn(&Credentials) -> Result<Link, Errno> + Send + Sync>;
/// Makes the text of a link.
pub type LinkText = Box<dyn Fn() -> Result<Vec<u8>, Errno> + Send + Sync>;
/// Opens a file that is neither text nor link.
pub type Opener = Box<dyn Fn(&Opening<'_>) -> Result<Arc<dyn File>, Errno> + Send + Sync>;

/// A directory whose entries somebody else knows.
pub trait Directory: Send + Sync {
    /// The node called `name`: ENOENT. The caller has an allowance of a frame, so that the node can be made in ways that cannot fail.
    fn lookup(&self, name: &[u8]) -> Result<Arc<Node>, Errno>;

    /// Calls `visit` for the entries from `position` on (2: the first) until it returns false. Positions of entries stay the same while others come and go:
    /// process ids are good ones.
    fn list(&self, position: u64, visit: &mut dyn FnMut(Listed<'_>) -> bool) -> Result<(), Errno>;

    /// How many directories are in it, for its link count.
    fn subdirectories(&self) -> u64 {
        0
    }
}

/// An entry of a [`Directory`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed<'a> {
    /// Its name.
    pub name: &'a [u8],
    /// The number of its node.
    pub number: u64,
    /// What it is.
    pub kind: Kind,
    /// The position of the next.
    pub next: u64,
}

enum Body {
    Text { read: Option<Reader>, write: Option<Writer> },
    Directory(Arc<dyn Directory>),
    Link { follow: Follower, text: Option<LinkText> },
    Custom(Opener),
}

/// A file of /proc or /sys.
pub struct Node {
    body: Body,
    kind: Kind,
    permissions: u32,
    uid: u32,
    gid: u32,
    number: u64,
    can_be_watched: bool,
    is_current: Option<Box<dyn Fn() -> bool + Send + Sync>>,
}

impl Node {
    fn new(body: Body, kind: Kind, permissions: u32) -> Self {
        let number = NEXT_NUMBER.fetch_add(1, Ordering::Relaxed);
        Self { body, kind, permissions, uid: 0, gid: 0, number, can_be_watched: true, is_current: None }
    }

    /// A file to read, which all may (0444).
    #[expect(clippy::disallowed_methods, reason = "made at boot, or by a look-up, which has an allowance")]
    pub fn text(read: impl Fn(&mut Text) -> Result<(), Errno> + Send + Sync + 'static) -> Self {
        Self::new(Body::Text { read: Some(Box::new(read)), write: None }, Kind::Regular, 0o444)
    }

    /// A file to read, which all may, and write, which root may (0644).
    #[expect(clippy::disallowed_methods, reason = "made at boot, or by a look-up, which has an allowance")]
    pub fn setting(
        read: impl Fn(&mut Text) -> Result<(), Errno> + Send + Sync + 'static,
        write: impl Fn(&[u8]) -> Result<(), Errno> + Send + Sync + 'static,
    ) -> Self {
        let body = Body::Text { read: Some(Box::new(read)), write: Some(Box::new(write)) };
        Self::new(body, Kind::Regular, 0o644)
    }

    /// A file that root may write (0200).
    #[expect(clippy::disallowed_methods, reason = "made at boot, or by a look-up, which has an allowance")]
    pub fn command(write: impl Fn(&[u8]) -> Result<(), Errno> + Send + Sync + 'static) -> Self {
        Self::new(Body::Text { read: None, write: Some(Box::new(write)) }, Kind::Regular, 0o200)
    }

    /// A file that is opened by `open` (0444).
    #[expect(clippy::disallowed_methods, reason = "made at boot, or by a look-up, which has an allowance")]
    pub fn custom(
        open: impl Fn(&Opening<'_>) -> Result<Arc<dyn File>, Errno> + Send + Sync + 'static,
    ) -> Self {
        Self::new(Body::Custom(Box::new(open)), Kind::Regular, 0o444)
    }

    /// A symbolic link to wherever `follow` says.
    #[expect(clippy::disallowed_methods, reason = "made at boot, or by a look-up, which has an allowance")]
    pub fn link(follow: impl Fn(&Credentials) -> Result<Link, Errno> + Send + Sync + 'static) -> Self {
        Self::new(Body::Link { follow: Box::new(follow), text: None }, Kind::Symlink, 0o777)
    }

    /// A link whose readlink(2) text is not what following it does (`exe`, `fd/N` after a removal).
    #[expect(clippy::disallowed_methods, reason = "made at boot, or by a look-up, which has an allowance")]
    pub fn link_with_text(
        follow: impl Fn(&Credentials) -> Result<Link, Errno> + Send + Sync + 'static,
        text: impl Fn() -> Result<Vec<u8>, Errno> + Send + Sync + 'static,
    ) -> Self {
        let body = Body::Link { follow: Box::new(follow), text: Some(Box::new(text)) };
        Self::new(body, Kind::Symlink, 0o777)
    }

    /// A directory (0555).
    pub fn directory(directory: Arc<dyn Directory>) -> Self {
        Self::new(Body::Directory(directory), Kind::Directory, 0o555)
    }

    /// With other permissions.
    #[must_use]
    pub fn permissions(mut self, permissions: u32) -> Self {
        self.permissions = permissions;
        self
    }

    /// With an owner other than root.
    #[must_use]
    pub fn owned_by(mut self, uid: u32, gid: u32) -> Self {
        (self.uid, self.gid) = (uid, gid);
        self
    }

    /// With a number of its own, below 0xf0000000, which is the same each time the node is made.
    #[must_use]
    pub fn numbered(mut self, number: u64) -> Self {
        self.number = number;
        self
    }

    /// Text that epoll(7) cannot watch: that of processes, with few exceptions.
    #[must_use]
    pub fn unwatched(mut self) -> Self {
        self.can_be_watched = false;
        self
    }

    /// Good only while `is_current` says so: a process that has gone takes its directory along.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "made at boot, or by a look-up, which has an allowance")]
    pub fn current_while(mut self, is_current: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        self.is_current = Some(Box::new(is_current));
        self
    }

    /// What it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Its inode number.
    pub fn number(&self) -> u64 {
        self.number
    }

    fn ownership(&self) -> Ownership {
        Ownership { mode: self.kind.mode_bits() | self.permissions, uid: self.uid, gid: self.gid }
    }
}

/// What the inodes of one file system have in common.
#[derive(Clone, Copy)]
struct Host {
    device: u64,
    has_free_names: bool,
}

/// A file system of nodes.
pub struct PseudoFileSystem {
    kind: &'static str,
    magic: i64,
    host: Host,
    root: Arc<Node>,
    /// The root's inode is one and the same, so that what is mounted below it stays found.
    root_inode: Arc<dyn Inode>,
}

impl PseudoFileSystem {
    /// A file system called `kind` (statfs type `magic`) that shows `root`.
    pub fn new(kind: &'static str, magic: i64, root: Arc<dyn Directory>) -> Arc<Self> {
        Self::with(kind, magic, root, true)
    }

    /// As [`new`](Self::new), but a name that is not there is no place to make something: see [`Inode::has_free_names`].
    pub fn without_free_names(kind: &'static str, magic: i64, root: Arc<dyn Directory>) -> Arc<Self> {
        Self::with(kind, magic, root, false)
    }

    #[expect(clippy::disallowed_methods, reason = "made at boot, or by a look-up, which has an allowance")]
    fn with(kind: &'static str, magic: i64, root: Arc<dyn Directory>, has_free_names: bool) -> Arc<Self> {
        let host = Host { device: anonymous_device(), has_free_names };
        let root = Arc::new(Node::directory(root).numbered(1));
        let root_inode = PseudoInode::root(Arc::clone(&root), host);
        Arc::new(Self { kind, magic, host, root, root_inode })
    }

    /// The device number that stat(2) shows.
    pub fn device(&self) -> u64 {
        self.host.device
    }

    /// The node of the root directory.
    pub fn root_node(&self) -> &Arc<Node> {
        &self.root
    }
}

impl FileSystem for PseudoFileSystem {
    fn kind(&self) -> &'static str {
        self.kind
    }

    fn root(&self) -> Arc<dyn Inode> {
        Arc::clone(&self.root_inode)
    }

    fn statistics(&self) -> Statfs {
        Statfs {
            f_type: self.magic,
            f_bsize: PAGE_SIZE as i64,
            f_frsize: PAGE_SIZE as i64,
            f_namelen: NAME_MAX as i64,
            ..Statfs::default()
        }
    }

    fn options(&self) -> String {
        String::new()
    }

    fn keeps_dentries(&self) -> bool {
        false
    }

    fn may_hold_programs(&self) -> bool {
        false
    }
}

//! tmpfs: files in memory (tmpfs(5)). The contents of a regular file are a memory [`Object`](memory::Object), whose pages mappings show directly.

mod attributes;
mod directory;
mod file;
mod node;
#[cfg(test)]
mod tests;

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};

use abi::Errno;
use abi::fcntl::NAME_MAX;
use abi::stat::{DEVPTS_SUPER_MAGIC, RAMFS_MAGIC, S_IFDIR, Statfs, TMPFS_MAGIC};
use machine::address::PAGE_SIZE;
use machine::frame;
use machine::heap::try_format;

use crate::credentials::Ownership;
use crate::filesystem::{FileSystem, MountRequest, Superblock, anonymous_device, register};
use crate::inode::{Inode, NewNode};

pub use node::TmpfsNode;

/// What all files of one tmpfs share.
pub struct Shared {
    device: u64,
    /// What stat(2) shows as the size of a block.
    block_size: u32,
    /// Whether files have extended attributes.
    has_attributes: bool,
    next_inode: AtomicU64,
    /// Files there are.
    inodes: AtomicU64,
    /// Files there may be.
    inodes_max: u64,
    /// Pages that contents may take.
    pages_max: u64,
    /// Pages that contents take, by the sizes of files' resident parts at their last change.
    pages: AtomicU64,
}

impl Shared {
    /// Room for one more file: its number, or ENOSPC.
    fn take_inode(&self) -> Result<u64, Errno> {
        if self.inodes.fetch_add(1, Ordering::Relaxed) >= self.inodes_max {
            self.inodes.fetch_sub(1, Ordering::Relaxed);
            return Err(Errno::ENOSPC);
        }
        Ok(self.next_inode.fetch_add(1, Ordering::Relaxed))
    }

    fn give_pages(&self, pages: u64) {
        self.pages.fetch_sub(pages, Ordering::Relaxed);
    }
}

/// A file system in memory.
pub struct Tmpfs {
    shared: Arc<Shared>,
    root: Arc<TmpfsNode>,
    kind: &'static str,
    magic: i64,
    shown_options: String,
}

/// The options of mount(2) that tmpfs knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Bytes that contents may take.
    pub size: u64,
    /// Files there may be.
    pub inodes: u64,
    /// Permissions of the root directory.
    pub mode: u32,
    /// Owner of the root directory.
    pub uid: u32,
    /// Group of the root directory.
    pub gid: u32,
}

impl Default for Options {
    /// Half of memory, and as many files as pages of it (tmpfs(5)).
    fn default() -> Self {
        let pages = frame::total() as u64 / 2;
        Self { size: pages * PAGE_SIZE as u64, inodes: pages, mode: 0o1777, uid: 0, gid: 0 }
    }
}

impl Options {
    /// Reads `size=64m,mode=755`: EINVAL for an option that is unknown or has no such value.
    pub fn parse(text: &[u8]) -> Result<Self, Errno> {
        let text = core::str::from_utf8(text).map_err(|_| Errno::EINVAL)?;
        let mut options = Self::default();
        for option in text.split(',').filter(|option| !option.is_empty()) {
            let (name, value) = option.split_once('=').ok_or(Errno::EINVAL)?;
            let number = || value.parse().map_err(|_| Errno::EINVAL);
            match name {
                "size" => options.size = parse_size(value)?,
                "nr_blocks" => {
                    options.size = parse_size(value)?.checked_mul(PAGE_SIZE as u64).ok_or(Errno::EINVAL)?;
                }
                "nr_inodes" => options.inodes = parse_size(value)?,
                "mode" => {
                    options.mode = u32::from_str_radix(value, 8).map_err(|_| Errno::EINVAL)? & 0o7777;
                }
                "uid" => options.uid = number()?,
                "gid" => options.gid = number()?,
                _ => return Err(Errno::EINVAL),
            }
        }
        // Zero means no limit.
        for limit in [&mut options.size, &mut options.inodes] {
            if *limit == 0 {
                *limit = i64::MAX as u64;
            }
        }
        Ok(options)
    }
}

/// A number with an ending of k, m or g, or a percentage of memory.
fn parse_size(text: &str) -> Result<u64, Errno> {
    let (digits, unit) = match text.as_bytes().last() {
        Some(b'k' | b'K') => (text.len() - 1, 1 << 10),
        Some(b'm' | b'M') => (text.len() - 1, 1 << 20),
        Some(b'g' | b'G') => (text.len() - 1, 1 << 30),
        Some(b'%') => (text.len() - 1, frame::total() as u64 * PAGE_SIZE as u64 / 100),
        _ => (text.len(), 1),
    };
    let number: u64 = text.get(..digits).unwrap_or_default().parse().map_err(|_| Errno::EINVAL)?;
    number.checked_mul(unit).ok_or(Errno::EINVAL)
}

impl Tmpfs {
    /// An empty file system.
    pub fn new(options: Options) -> Arc<Self> {
        Self::of_kind("tmpfs", TMPFS_MAGIC, options, String::new())
    }

    /// As [`new`](Self::new), under another name and statfs type: the first root calls itself rootfs, /dev devtmpfs.
    #[expect(clippy::disallowed_methods, reason = "made at boot, or by a mount, which has an allowance")]
    pub fn of_kind(kind: &'static str, magic: i64, options: Options, shown_options: String) -> Arc<Self> {
        let shared = Arc::new(Shared {
            device: anonymous_device(),
            block_size: if magic == DEVPTS_SUPER_MAGIC { 1024 } else { PAGE_SIZE as u32 },
            has_attributes: magic == TMPFS_MAGIC,
            next_inode: AtomicU64::new(2),
            inodes: AtomicU64::new(1),
            inodes_max: options.inodes,
            pages_max: options.size / PAGE_SIZE as u64,
            pages: AtomicU64::new(0),
        });
        let ownership = Ownership { mode: S_IFDIR | options.mode, uid: options.uid, gid: options.gid };
        let root = TmpfsNode::root(Arc::clone(&shared), ownership);
        Arc::new(Self { shared, root, kind, magic, shown_options })
    }

    /// The root directory.
    pub fn root_node(&self) -> &Arc<TmpfsNode> {
        &self.root
    }

    /// A file without a name on a file system of its own kind (memfd_create(2), O_TMPFILE): ENOSPC.
    pub fn unnamed(&self, node: NewNode<'_>) -> Result<Arc<TmpfsNode>, Errno> {
        self.root.new_unlinked(node)
    }
}

impl FileSystem for Tmpfs {
    fn kind(&self) -> &'static str {
        self.kind
    }

    fn root(&self) -> Arc<dyn Inode> {
        Arc::clone(&self.root) as _
    }

    fn statistics(&self) -> Statfs {
        let shared = &self.shared;
        let used = shared.pages.load(Ordering::Relaxed);
        let free = shared.pages_max.saturating_sub(used) as i64;
        let inodes = shared.inodes.load(Ordering::Relaxed);
        Statfs {
            f_type: self.magic,
            f_bsize: PAGE_SIZE as i64,
            f_blocks: shared.pages_max as i64,
            f_bfree: free,
            f_bavail: free,
            f_files: shared.inodes_max as i64,
            f_ffree: shared.inodes_max.saturating_sub(inodes) as i64,
            f_namelen: NAME_MAX as i64,
            f_frsize: PAGE_SIZE as i64,
            ..Statfs::default()
        }
    }

    fn options(&self) -> String {
        self.shown_options.clone()
    }
}

/// Makes tmpfs and ramfs known to mount(2).
#[expect(clippy::disallowed_methods, reason = "made at boot")]
pub fn register_kinds() {
    for (kind, magic) in [("tmpfs", TMPFS_MAGIC), ("ramfs", RAMFS_MAGIC)] {
        register(
            kind,
            false,
            Box::new(move |request: &MountRequest<'_>| {
                let options = Options::parse(request.options)?;
                let shown = if request.options.is_empty() {
                    String::new()
                } else {
                    try_format(format_args!(",{}", request.options.escape_ascii()))?
                };
                Ok(Superblock::new(Tmpfs::of_kind(kind, magic, options, shown)))
            }),
        );
    }
}

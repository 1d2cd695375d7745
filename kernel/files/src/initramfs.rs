//! The initial file system: a cpio archive unpacked into the root (driver-api/early-userspace/buffer-format).
//!
//! Files are made at once, their contents are not: each has a pager that copies a page out of the archive when it is first
//! touched. Of a compressed archive each file's pages are made while it is unpacked, since there is no going back in it.

mod compressed;
#[cfg(test)]
mod tests;

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use abi::Errno;
use abi::stat::{S_IFMT, device_number};
use abi::time::Timespec;
use formats::cpio::{Entry, FileKey, Reader};
use formats::gzip;
use hashbrown::HashMap;
use machine::address::PAGE_SIZE;
use machine::frame::Frame;
use memory::{Object, Pager};

use crate::metadata::{Kind, MetadataChange};
use crate::mount::Path;
use crate::name::NameHash;
use crate::tmpfs::TmpfsNode;
use crate::walk::{Context, Lookup};

/// Why an archive could not be unpacked. What came before the fault has been.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// There are no bytes, or only zeroes.
    Empty,
    /// The bytes are neither cpio nor gzip; these are the first.
    UnknownFormat([u8; 4]),
    /// The archive is damaged or cut off.
    Archive(formats::cpio::Error),
    /// The compressed archive is damaged or cut off.
    Compressed(gzip::Error),
    /// A file could not be made.
    File(String, Errno),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => {
                f.write_str("the initramfs is empty; give one with --initramfs or the boot loader's module")
            }
            Self::UnknownFormat(bytes) => {
                write!(f, "the initramfs is neither cpio (newc) nor gzip: it begins with {bytes:02x?}")
            }
            Self::Archive(error) => write!(f, "the initramfs is damaged: {error}"),
            Self::Compressed(error) => write!(f, "the compressed initramfs is damaged: {error}"),
            Self::File(name, errno) => write!(f, "the initramfs entry {name} could not be made: {errno}"),
        }
    }
}

impl core::error::Error for Error {}

/// What an archive held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unpacked {
    /// Names made.
    pub entries: usize,
    /// Bytes of contents.
    pub bytes: u64,
}

/// Unpacks `archive` into the tree that `context` (with root's credentials and no umask) sees. Several archives one after
/// the other, each plain or gzip, are unpacked in order, later files over earlier ones.
pub fn unpack(context: &Context<'_>, archive: &'static [u8]) -> Result<Unpacked, Error> {
    let mut unpacker =
        Unpacker { context, done: Unpacked::default(), linked: HashMap::default(), directories: Vec::new() };
    let mut rest = archive;
    let mut is_first = true;
    loop {
        let zeroes = rest.iter().take_while(|&&byte| byte == 0).count();
        rest = rest.get(zeroes..).unwrap_or_default();
        if rest.is_empty() {
            break;
        }
        if rest.starts_with(b"07070") {
            let mut reader = Reader::new(rest);
            for entry in reader.by_ref() {
                unpacker.add(&entry.map_err(Error::Archive)?)?;
            }
            rest = reader.rest();
        } else if gzip::is_gzip(rest) {
            rest = compressed::unpack(&mut unpacker, rest)?;
        } else {
            let mut first = [0; 4];
            for (into, from) in first.iter_mut().zip(rest) {
                *into = *from;
            }
            return Err(Error::UnknownFormat(first));
        }
        unpacker.linked.clear();
        is_first = false;
    }
    if is_first {
        return Err(Error::Empty);
    }
    unpacker.finish();
    Ok(unpacker.done)
}

struct Unpacker<'a> {
    context: &'a Context<'a>,
    done: Unpacked,
    /// The first names of files that have several.
    linked: HashMap<FileKey, Path, NameHash>,
    /// Directories with their times, which are set last: making what is in them changes those.
    directories: Vec<(Path, u32)>,
}

impl Unpacker<'_> {
    /// Makes one entry of an archive that stays in memory.
    #[expect(clippy::disallowed_methods, reason = "made at boot")]
    fn add(&mut self, entry: &Entry<'static>) -> Result<(), Error> {
        let path = self.make(entry)?;
        if let Some(path) = path.filter(|_| !entry.data.is_empty())
            && entry.mode & S_IFMT == abi::stat::S_IFREG
        {
            let pager = Arc::new(ArchivePager(entry.data));
            let object = Object::with_pager(entry.data.len() as u64, pager)
                .map_err(|errno| Error::File(String::from_utf8_lossy(entry.name).into_owned(), errno))?;
            fill(&path, object);
            self.done.bytes += entry.data.len() as u64;
        }
        Ok(())
    }

    /// Makes the file of an entry without its contents; none where Linux makes none either (its directory is missing).
    fn make(&mut self, entry: &Entry<'_>) -> Result<Option<Path>, Error> {
        let failed = |errno| Error::File(String::from_utf8_lossy(entry.name).into_owned(), errno);
        let name = relative(entry.name);
        let mode = entry.mode;
        let kind = Kind::of_mode(mode);
        let context = self.context;
        if entry.links > 1
            && kind == Kind::Regular
            && let Some(first) = self.linked.get(&entry.file)
        {
            let first = first.clone();
            self.clear(name, kind);
            context.link(&first, None, name).map_err(failed)?;
            self.done.entries += 1;
            return Ok(Some(first));
        }
        self.clear(name, kind);
        let made = match kind {
            Kind::Directory => context.make_directory(None, name, mode & 0o7777),
            Kind::Symlink => context.make_symlink(entry.data, None, name),
            _ => {
                let device = device_number(entry.represents.major, entry.represents.minor);
                context.make_node(None, name, mode, device)
            }
        };
        let path = match made {
            Ok(path) => path,
            Err(Errno::EEXIST) if kind == Kind::Directory => {
                context.look_up(None, name, Lookup::FOLLOW).map_err(failed)?
            }
            Err(Errno::ENOENT | Errno::ENOTDIR) => return Ok(None),
            Err(errno) => return Err(failed(errno)),
        };
        self.set_metadata(&path, entry, kind).map_err(failed)?;
        if kind == Kind::Directory {
            self.directories.push((path.clone(), entry.modified));
        } else if entry.links > 1 && kind == Kind::Regular {
            self.linked.insert(entry.file, path.clone());
        }
        self.done.entries += 1;
        Ok(Some(path))
    }

    fn set_metadata(&self, path: &Path, entry: &Entry<'_>, kind: Kind) -> Result<(), Errno> {
        let time = Timespec { tv_sec: i64::from(entry.modified), tv_nsec: 0 };
        path.inode().set_metadata(&MetadataChange {
            permissions: (kind != Kind::Symlink).then_some(entry.mode & 0o7777),
            uid: Some(entry.user),
            gid: Some(entry.group),
            accessed: Some(time),
            modified: Some(time),
            changed: crate::time::now(),
        })
    }

    /// Takes away what an earlier archive put at `name`; a directory stays where a directory comes.
    fn clear(&self, name: &[u8], kind: Kind) {
        let Ok(found) = self.context.look_up(None, name, Lookup::NO_FOLLOW) else { return };
        if found.dentry.is_directory() && kind == Kind::Directory {
            return;
        }
        // A directory that is not empty stays, and making the entry then fails with EEXIST.
        let _ = if found.dentry.is_directory() {
            self.context.remove_directory(None, name)
        } else {
            self.context.unlink(None, name)
        };
    }

    fn finish(&mut self) {
        for (path, modified) in self.directories.drain(..) {
            let time = Timespec { tv_sec: i64::from(modified), tv_nsec: 0 };
            let change = MetadataChange {
                accessed: Some(time),
                modified: Some(time),
                changed: crate::time::now(),
                ..MetadataChange::default()
            };
            // A directory that another entry has replaced since keeps its times.
            let _ = path.inode().set_metadata(&change);
        }
    }
}

/// Names are taken from the root, whether they say so or not.
fn relative(name: &[u8]) -> &[u8] {
    let skip = name.iter().take_while(|&&byte| byte == b'/').count();
    match name.get(skip..) {
        Some(rest) if !rest.is_empty() => rest,
        _ => b".",
    }
}

/// Gives a file that has just been made its contents.
fn fill(path: &Path, object: Arc<Object>) {
    if let Some(node) = crate::inode::downcast::<TmpfsNode>(path.inode())
        && let Ok(contents) = node.contents()
    {
        contents.adopt(object);
    }
}

/// The contents of one file as they lie in the archive.
struct ArchivePager(&'static [u8]);

impl Pager for ArchivePager {
    fn read_page(&self, index: u64, into: &Frame) -> Result<(), Errno> {
        let start =
            usize::try_from(index).ok().and_then(|index| index.checked_mul(PAGE_SIZE)).ok_or(Errno::EIO)?;
        let rest = self.0.get(start..).ok_or(Errno::EIO)?;
        let copied = into.write(0, rest.get(..PAGE_SIZE).unwrap_or(rest));
        into.zero_range(copied, PAGE_SIZE);
        Ok(())
    }

    fn write_page(&self, _index: u64, _from: &Frame) -> Result<(), Errno> {
        Err(Errno::EROFS)
    }

    fn is_writable(&self) -> bool {
        false
    }
}

//! An inode: one file of a file system, whatever its names are.
//!
//! Locks: whoever calls the operations that change a directory holds that directory's lock (see [`crate::dentry`]), so an
//! inode need not guard against two changes of one directory, only against readers at the same time.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;

use abi::Errno;
use abi::fcntl::{OpenFlags, XattrFlags};

use crate::attachment::Attachment;
use crate::credentials::{Credentials, Ownership};
use crate::file::File;
use crate::locks::FileLocks;
use crate::metadata::{Kind, Metadata, MetadataChange};
use crate::mount::Path;
use crate::writers::WriterCount;
use machine::heap::try_to_vec;

/// How a file is being opened, for [`Inode::open`].
pub struct Opening<'a> {
    /// The flags of open(2), access mode included.
    pub flags: OpenFlags,
    /// Who opens it.
    pub credentials: &'a Credentials,
    /// The name by which it was found.
    pub path: &'a Path,
}

/// What [`Inode::create`] makes.
#[derive(Clone, Copy, Debug)]
pub struct NewNode<'a> {
    /// What to make.
    pub body: NewBody<'a>,
    /// Kind, permissions (the umask already taken off), owner and group.
    pub ownership: Ownership,
}

/// The part of a new file that differs by kind.
#[derive(Clone, Copy, Debug)]
pub enum NewBody<'a> {
    /// An empty regular file.
    Regular,
    /// An empty directory.
    Directory,
    /// A link to `target`.
    Symlink(&'a [u8]),
    /// A device file for a device number.
    Device(Kind, u64),
    /// A pipe with a name.
    Fifo,
    /// A socket's name.
    Socket,
}

impl NewBody<'_> {
    /// What it makes.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Regular => Kind::Regular,
            Self::Directory => Kind::Directory,
            Self::Symlink(_) => Kind::Symlink,
            Self::Device(kind, _) => *kind,
            Self::Fifo => Kind::Fifo,
            Self::Socket => Kind::Socket,
        }
    }
}

/// Where a symbolic link leads.
pub enum Link {
    /// To a path, taken from the directory of the link.
    Target(Arc<[u8]>),
    /// To a place, whatever its name is now (the links of /proc/PID/fd).
    Place(Path),
}

/// What a rename does with a file that has the new name already; the caller has checked all that a flag asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RenameMode {
    /// It is replaced.
    Replace,
    /// The two exchange their places.
    Exchange,
}

/// An entry of a directory, as readdir tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Its name.
    pub name: &'a [u8],
    /// The number of its inode.
    pub inode: u64,
    /// What it is.
    pub kind: Kind,
    /// The position after this entry, from which a later readdir goes on. Positions stay good while entries come and go.
    pub next: u64,
}

/// A file of a file system. What a kind of file does not have keeps its default, which is the error Linux gives.
pub trait Inode: Any + Send + Sync {
    /// What stat(2) tells.
    fn metadata(&self) -> Metadata;

    /// The part of the metadata that each step of a path walk looks at; never sleeps.
    fn ownership(&self) -> Ownership;

    /// Changes permissions, owner or times, whose rights the caller has checked.
    fn set_metadata(&self, _change: &MetadataChange) -> Result<(), Errno> {
        Err(Errno::EPERM)
    }

    /// Opens the file for reading or writing: what a descriptor then works on. Devices, FIFOs and sockets do not get
    /// here; they are opened by what they stand for. May sleep.
    fn open(self: Arc<Self>, opening: &Opening<'_>) -> Result<Arc<dyn File>, Errno>;

    /// The file that `name` stands for in this directory: ENOENT, ENOTDIR. Never `.` or `..`.
    fn lookup(&self, _name: &[u8]) -> Result<Arc<dyn Inode>, Errno> {
        Err(Errno::ENOTDIR)
    }

    /// Whether a name that no entry has is a place where something could be made. False where looking it up is an error
    /// already, as in /proc: whoever wants to make something there gets ENOENT before anything else is asked.
    fn has_free_names(&self) -> bool {
        true
    }

    /// Makes a file called `name`, which no entry has. EPERM where the file system makes none of that kind; for a regular
    /// file EACCES (Linux's `vfs_create`).
    fn create(&self, _name: &Arc<[u8]>, node: NewNode<'_>) -> Result<Arc<dyn Inode>, Errno> {
        Err(if node.body.kind() == Kind::Regular { Errno::EACCES } else { Errno::EPERM })
    }

    /// Makes a file that has no name (O_TMPFILE): EOPNOTSUPP.
    fn create_unnamed(&self, _node: NewNode<'_>) -> Result<Arc<dyn Inode>, Errno> {
        Err(Errno::EOPNOTSUPP)
    }

    /// Gives `target`, of the same file system, one more name.
    fn link(&self, _name: &Arc<[u8]>, _target: &Arc<dyn Inode>) -> Result<(), Errno> {
        Err(Errno::EPERM)
    }

    /// Takes the entry `name`, which stands for `target`, out of this directory. An empty directory goes the same way:
    /// ENOTEMPTY where it is not empty. The file lives on while it is open.
    fn unlink(&self, _name: &[u8], _target: &Arc<dyn Inode>) -> Result<(), Errno> {
        Err(Errno::EPERM)
    }

    /// Moves the entry `name` of this directory to `new_name` in `new_directory`, of the same file system, in one step.
    /// A directory in the way must be empty (ENOTEMPTY).
    fn rename(
        &self,
        _name: &[u8],
        _new_directory: &Arc<dyn Inode>,
        _new_name: &Arc<[u8]>,
        _mode: RenameMode,
    ) -> Result<(), Errno> {
        Err(Errno::EPERM)
    }

    /// Calls `visit` for the entries after `position` (0: from the start; `.` and `..` come from the caller, at
    /// positions 0 and 1, so entries begin at 2) until it returns false. An error ends it only before the first entry.
    fn read_directory(&self, _position: u64, _visit: &mut dyn FnMut(Entry<'_>) -> bool) -> Result<(), Errno> {
        Err(Errno::ENOTDIR)
    }

    /// Where a symbolic link leads for `credentials`: EINVAL for what is none.
    fn follow(&self, _credentials: &Credentials) -> Result<Link, Errno> {
        Err(Errno::EINVAL)
    }

    /// What readlink(2) shows, where that is not what [`follow`](Self::follow) gives.
    fn link_text(&self, credentials: &Credentials, root: &Path) -> Result<Vec<u8>, Errno> {
        match self.follow(credentials)? {
            Link::Target(text) => Ok(try_to_vec(&text)?),
            Link::Place(path) => path.display(root),
        }
    }

    /// Sets the size of a regular file; new bytes are zero.
    fn truncate(&self, _size: u64) -> Result<(), Errno> {
        Err(Errno::EINVAL)
    }

    /// The value of an extended attribute: ENODATA where it has none of that name.
    fn extended_attribute(&self, _name: &[u8]) -> Result<Vec<u8>, Errno> {
        Err(Errno::EOPNOTSUPP)
    }

    /// Sets an extended attribute, whose rights the caller has checked.
    fn set_extended_attribute(&self, _name: &[u8], _value: &[u8], _how: XattrFlags) -> Result<(), Errno> {
        Err(Errno::EOPNOTSUPP)
    }

    /// Takes an extended attribute away: ENODATA.
    fn remove_extended_attribute(&self, _name: &[u8]) -> Result<(), Errno> {
        Err(Errno::EOPNOTSUPP)
    }

    /// The names of all extended attributes, each with a NUL after it. None is no error, even where there can be none.
    fn extended_attributes(&self) -> Result<Vec<u8>, Errno> {
        Ok(Vec::new())
    }

    /// Where a FIFO's pipe or a socket's other half is kept; every inode that can be one of them has a place.
    fn attachment(&self) -> Option<&Attachment> {
        None
    }

    /// The locks that processes hold on the file; `None` where it cannot be locked (ENOLCK).
    fn locks(&self) -> Option<&FileLocks> {
        None
    }

    /// How many write to the file, against how many run it; `None` where nobody counts.
    fn writers(&self) -> Option<&WriterCount> {
        None
    }

    /// What a file without a name is called in /proc/PID/fd, such as `pipe:[17]`.
    fn label(&self) -> Result<Option<String>, Errno> {
        Ok(None)
    }

    /// Whether the dentry found by a lookup may be used again. /proc/PID directories answer false once the process has gone.
    fn is_current(&self) -> bool {
        true
    }
}

/// `inode` as the type that its file system made it, if it did.
pub fn downcast<T: Inode>(inode: &Arc<dyn Inode>) -> Option<Arc<T>> {
    let any: Arc<dyn Any + Send + Sync> = Arc::clone(inode) as _;
    any.downcast().ok()
}

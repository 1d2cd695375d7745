//! Opening and making regular files (open(2), openat2(2)).

use alloc::sync::Arc;

use abi::Errno;
use abi::fcntl::{OpenFlags, ResolveFlags};
use abi::mount::MountFlags;
use abi::stat::{S_IFMT, S_IFREG};

use crate::credentials::{Access, Ownership};
use crate::dentry::Dentry;
use crate::file::File;
use crate::inode::{NewBody, NewNode, Opening};
use crate::metadata::Kind;
use crate::mount::Path;
use crate::open_file::OpenFile;
use crate::place_file::PlaceFile;
use crate::walk::{Context, Last, Lookup, Walker};
use machine::heap::{Allowance, try_arc, try_arc_slice, try_format};

/// What open(2) is asked.
#[derive(Clone, Copy, Debug)]
pub struct OpenHow {
    /// Flags and access mode.
    pub flags: OpenFlags,
    /// Permissions of a file that is made, before the umask.
    pub mode: u32,
    /// Rules for the path.
    pub resolve: ResolveFlags,
}

impl OpenHow {
    /// Opens what is there for reading.
    pub const READ: Self = Self { flags: OpenFlags::empty(), mode: 0, resolve: ResolveFlags::empty() };

    /// EINVAL for flags that contradict each other: said before a path is looked at.
    pub fn check(&self) -> Result<(), Errno> {
        const TMPFILE_BIT: OpenFlags = OpenFlags::TMPFILE.difference(OpenFlags::DIRECTORY);
        if self.flags.contains(OpenFlags::PATH) {
            return Ok(());
        }
        let is_tmpfile = self.flags.intersects(TMPFILE_BIT);
        let writes = self.flags.bits() & abi::fcntl::O_ACCMODE != 0;
        let contradicts = is_tmpfile && (!self.is_tmpfile() || !writes);
        if contradicts || self.creates() && self.flags.contains(OpenFlags::DIRECTORY) {
            return Err(Errno::EINVAL);
        }
        Ok(())
    }

    fn creates(&self) -> bool {
        self.flags.contains(OpenFlags::CREAT)
    }

    fn is_tmpfile(&self) -> bool {
        self.flags.contains(OpenFlags::TMPFILE)
    }

    fn access(&self) -> Access {
        let mut access = Access::NONE;
        if self.flags.can_read() {
            access = access.and(Access::READ);
        }
        if self.flags.can_write() || self.flags.contains(OpenFlags::TRUNC) {
            access = access.and(Access::WRITE);
        }
        if self.flags.bits() & abi::fcntl::O_ACCMODE == abi::fcntl::O_ACCMODE {
            access = Access::READ.and(Access::WRITE);
        }
        access
    }
}

impl Context<'_> {
    /// Opens the file at `path` from `start` (the working directory without one), making it when it is asked to and is not there.
    pub fn open(&self, start: Option<&Path>, path: &[u8], mut how: OpenHow) -> Result<Arc<OpenFile>, Errno> {
        how.check()?;
        if how.flags.contains(OpenFlags::PATH) {
            how.flags &= OpenFlags::PATH | OpenFlags::DIRECTORY | OpenFlags::NOFOLLOW | OpenFlags::CLOEXEC;
        }
        if how.creates() {
            return self.open_or_create(start, path, &how);
        }
        let follow = !how.flags.contains(OpenFlags::NOFOLLOW);
        let directory = how.flags.contains(OpenFlags::DIRECTORY);
        let found = self.look_up(
            start,
            path,
            Lookup { follow, allow_empty: false, directory, resolve: how.resolve },
        )?;
        if how.flags.contains(OpenFlags::PATH) {
            let flags = how.flags & !OpenFlags::CLOEXEC;
            return Ok(OpenFile::new(try_arc(PlaceFile)?, found, flags, false)?);
        }
        if how.is_tmpfile() { self.open_unnamed(&found, &how) } else { self.open_found(found, &how, None) }
    }

    fn open_or_create(
        &self,
        start: Option<&Path>,
        path: &[u8],
        how: &OpenHow,
    ) -> Result<Arc<OpenFile>, Errno> {
        let mut walker = Walker::new(*self, start, path, how.resolve)?;
        let is_exclusive = how.flags.contains(OpenFlags::EXCL);
        loop {
            if walker.last() != Last::Name || walker.has_trailing_slash() {
                let is_dots = walker.last() != Last::Name;
                return Err(if is_exclusive && is_dots && walker.find_last().is_ok() {
                    Errno::EEXIST
                } else {
                    Errno::EISDIR
                });
            }
            let found = match walker.find_last() {
                Ok(found) => found,
                Err(Errno::ENOENT) => {
                    // No file is made that could not be opened after.
                    let room = Allowance::of(1)?;
                    match self.create_last(&walker, how)? {
                        Created::New(path) => return self.open_found(path, how, Some(room)),
                        Created::Found(path) => path,
                    }
                }
                Err(error) => return Err(error),
            };
            if is_exclusive {
                return Err(Errno::EEXIST);
            }
            let kind = Kind::of_mode(found.inode().ownership().mode);
            if kind != Kind::Symlink || how.flags.contains(OpenFlags::NOFOLLOW) {
                return self.open_found(found, how, None);
            }
            if let Some(place) = walker.follow_last(&found)? {
                return self.open_found(place, how, None);
            }
        }
    }

    /// Makes the regular file that the last component names, unless somebody else has just made one.
    fn create_last(&self, walker: &Walker<'_>, how: &OpenHow) -> Result<Created, Errno> {
        let directory = walker.directory();
        let changing = directory.dentry.change()?;
        match directory.dentry.child_locked(&changing, walker.name()) {
            Ok(dentry) => {
                let path = Path { mount: Arc::clone(&directory.mount), dentry };
                return Ok(Created::Found(self.namespace.enter(path)));
            }
            Err(Errno::ENOENT) if directory.inode().has_free_names() => {}
            Err(error) => return Err(error),
        }
        directory.mount.check_writable()?;
        let parent = directory.inode().ownership();
        self.credentials.check(parent, Access::CHANGE)?;
        let mode = S_IFREG | how.mode & 0o7777 & !self.umask;
        let node = NewNode { body: NewBody::Regular, ownership: self.credentials.ownership_in(parent, mode) };
        let name: Arc<[u8]> = try_arc_slice(walker.name())?;
        let room = directory.dentry.make_room(&changing)?;
        let inode = directory.inode().create(&name, node)?;
        let dentry = directory.dentry.remember(room, name, inode)?;
        Ok(Created::New(Path { mount: Arc::clone(&directory.mount), dentry }))
    }

    fn open_unnamed(&self, directory: &Path, how: &OpenHow) -> Result<Arc<OpenFile>, Errno> {
        directory.mount.check_writable()?;
        let parent = directory.inode().ownership();
        self.credentials.check(parent, Access::CHANGE)?;
        let mode = S_IFREG | how.mode & 0o7777 & !self.umask;
        let node = NewNode { body: NewBody::Regular, ownership: self.credentials.ownership_in(parent, mode) };
        let inode = directory.inode().create_unnamed(node)?;
        let name = try_format(format_args!("#{}", inode.metadata().inode))?;
        let dentry = Dentry::unlinked(inode, &directory.dentry, name.as_bytes())?;
        let path = Path { mount: Arc::clone(&directory.mount), dentry };
        self.open_found(path, how, Some(Allowance::of(1)?))
    }

    /// Opens a file that has been found, or has just been made: then its permissions do not apply yet, and there is `room` for it.
    pub(crate) fn open_found(
        &self,
        path: Path,
        how: &OpenHow,
        room: Option<Allowance>,
    ) -> Result<Arc<OpenFile>, Errno> {
        let is_new = room.is_some();
        let inode = path.inode();
        let ownership = inode.ownership();
        let kind = Kind::of_mode(ownership.mode);
        // O_TRUNC asks for the right to write, even of what has no size.
        let access = how.access();
        let truncates = how.flags.contains(OpenFlags::TRUNC) && kind == Kind::Regular && !is_new;
        match kind {
            Kind::Symlink => return Err(Errno::ELOOP),
            Kind::Directory if how.creates() || access.has(Access::WRITE) => return Err(Errno::EISDIR),
            Kind::CharacterDevice | Kind::BlockDevice if path.mount.flags().contains(MountFlags::NODEV) => {
                return Err(Errno::EACCES);
            }
            Kind::Socket if is_new => return Err(Errno::ENXIO),
            _ => {}
        }
        if !is_new {
            self.credentials.check(ownership, access)?;
            if access.has(Access::WRITE) && matches!(kind, Kind::Regular) {
                path.mount.check_writable()?;
            }
            if how.flags.contains(OpenFlags::NOATIME) && !self.credentials.is_owner(ownership) {
                return Err(Errno::EPERM);
            }
        }
        let writers = inode.writers().filter(|_| kind == Kind::Regular && access.has(Access::WRITE));
        if let Some(writers) = writers {
            writers.begin_writing()?;
        }
        let opened = self.open_by_kind(&path, kind, ownership, how, truncates);
        // Not before: opening a FIFO may take long.
        let opened = opened.and_then(|opened| Ok((opened, room.map_or_else(|| Allowance::of(1), Ok)?)));
        let ((file, flags), room) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                if let Some(writers) = writers {
                    writers.end_writing();
                }
                return Err(error);
            }
        };
        let counts = writers.is_some();
        Ok(OpenFile::with(room, file, path, flags, counts))
    }

    fn open_by_kind(
        &self,
        path: &Path,
        kind: Kind,
        ownership: Ownership,
        how: &OpenHow,
        truncates: bool,
    ) -> Result<(Arc<dyn File>, OpenFlags), Errno> {
        let not_kept =
            OpenFlags::CREAT | OpenFlags::EXCL | OpenFlags::NOCTTY | OpenFlags::TRUNC | OpenFlags::CLOEXEC;
        let flags = (how.flags & !not_kept) | OpenFlags::LARGEFILE;
        let opening = Opening { flags: how.flags, credentials: self.credentials, path };
        let inode = path.inode();
        if truncates {
            inode.truncate(0)?;
            crate::change::drop_privileges(self.credentials, path)?;
        }
        debug_assert_eq!(Kind::of_mode(ownership.mode & S_IFMT), kind);
        let file = match kind {
            Kind::CharacterDevice => crate::device::open(inode.metadata().special, &opening)?,
            // There are no drivers for block devices on these inodes: a disk's driver registers its own file system.
            Kind::BlockDevice => crate::device::open_block(inode.metadata().special, &opening)?,
            Kind::Fifo => crate::pipe::open_fifo(inode, &opening)?,
            Kind::Socket => return Err(Errno::ENXIO),
            Kind::Regular | Kind::Directory | Kind::Symlink => Arc::clone(inode).open(&opening)?,
        };
        Ok((file, flags))
    }

    /// A new open file for the place that a descriptor of `/proc/PID/fd` shows, or that an `O_PATH` descriptor names.
    pub fn reopen(&self, path: Path, how: &OpenHow) -> Result<Arc<OpenFile>, Errno> {
        self.open_found(path, how, None)
    }
}

enum Created {
    New(Path),
    Found(Path),
}

//! The open file description (open(2)): what descriptors that were duplicated or inherited share.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use abi::Errno;
use abi::fcntl::{FallocateFlags, OpenFlags};
use machine::frame::OutOfMemory;
use machine::heap::Allowance;
use machine::list::{Link, Linked};
use memory::{Object, Sink, Source};
use threads::poll::{Epoll, Events, Pollable, Waiter};
use threads::{Mutex, MutexGuard};

use crate::anonymous::Home;
use crate::credentials::Credentials;
use crate::file::{File, IoctlArgument, Positioning, Seek, Transfer};
use crate::inode::{Entry, Inode};
use crate::locks::LockOwner;
use crate::metadata::{Kind, Metadata};
use crate::mount::Path;
use crate::socket::unix::Buried;

/// The flags that F_SETFL can change.
pub const SETTABLE_FLAGS: OpenFlags = OpenFlags::APPEND
    .union(OpenFlags::NONBLOCK)
    .union(OpenFlags::DIRECT)
    .union(OpenFlags::NOATIME)
    .union(OpenFlags::FASYNC);

/// The largest position (`MAX_LFS_FILESIZE`).
const POSITION_MAX: u64 = i64::MAX as u64;

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// A file opened once. Descriptors hold it by `Arc`; the file is closed with the last.
pub struct OpenFile {
    file: Arc<dyn File>,
    path: Path,
    flags: AtomicU32,
    positioning: Positioning,
    id: u64,
    /// Locked for the length of a read or write, so that two of them do not see the same position.
    position: Mutex<u64>,
    counts_as_writer: bool,
    /// Its place among those that a socket left behind.
    grave: Link<OpenFile, Buried>,
}

impl Linked<Buried> for OpenFile {
    fn link(&self) -> &Link<Self, Buried> {
        &self.grave
    }
}

impl OpenFile {
    /// What open(2) made: `file`, found as `path`, with the flags that F_GETFL shows. `counts_as_writer` says that the
    /// inode's writer count has been raised for it.
    pub(crate) fn new(
        file: Arc<dyn File>,
        path: Path,
        flags: OpenFlags,
        counts_as_writer: bool,
    ) -> Result<Arc<Self>, OutOfMemory> {
        Ok(Self::with(Allowance::of(1)?, file, path, flags, counts_as_writer))
    }

    /// As [`new`](Self::new), with the memory for it in hand.
    #[expect(clippy::disallowed_methods, reason = "the allowance is an argument")]
    pub(crate) fn with(
        _room: Allowance,
        file: Arc<dyn File>,
        path: Path,
        flags: OpenFlags,
        counts_as_writer: bool,
    ) -> Arc<Self> {
        let positioning = file.positioning();
        Arc::new(Self {
            file,
            path,
            flags: AtomicU32::new(flags.bits()),
            positioning,
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            position: Mutex::new(0),
            counts_as_writer,
            grave: Link::new(),
        })
    }

    /// An open file that was not found by a path: an eventfd or its like. `inode` is what fstat(2) and /proc/PID/fd show.
    pub fn anonymous(
        file: Arc<dyn File>,
        inode: Arc<dyn Inode>,
        flags: OpenFlags,
    ) -> Result<Arc<Self>, OutOfMemory> {
        Self::new(file, crate::anonymous::path(Home::Anonymous, inode)?, flags, false)
    }

    /// What is open.
    #[inline]
    pub fn file(&self) -> &Arc<dyn File> {
        &self.file
    }

    /// Where it was found.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file's inode.
    pub fn inode(&self) -> &Arc<dyn Inode> {
        self.path.inode()
    }

    /// A number that no other open file has or had.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// What fstat(2) tells.
    pub fn metadata(&self) -> Metadata {
        self.path.inode().metadata()
    }

    /// The flags, access mode included, as F_GETFL shows them.
    #[inline]
    pub fn flags(&self) -> OpenFlags {
        OpenFlags::from_bits_retain(self.flags.load(Ordering::Relaxed))
    }

    /// Sets those of [`SETTABLE_FLAGS`] that are in `flags` and clears the others of them.
    pub fn set_flags(&self, flags: OpenFlags) {
        let keep = !SETTABLE_FLAGS.bits();
        let set = (flags & SETTABLE_FLAGS).bits();
        let change = |old| Some(old & keep | set);
        // The closure never refuses.
        let _ = self.flags.fetch_update(Ordering::Relaxed, Ordering::Relaxed, change);
    }

    /// Sets or clears one flag (FIONBIO).
    pub fn set_flag(&self, flag: OpenFlags, is_set: bool) {
        if is_set {
            self.flags.fetch_or(flag.bits(), Ordering::Relaxed);
        } else {
            self.flags.fetch_and(!flag.bits(), Ordering::Relaxed);
        }
    }

    /// Whether it is only a place (`O_PATH`): no reading, no writing, no ioctl (EBADF).
    pub fn is_path(&self) -> bool {
        self.flags().contains(OpenFlags::PATH)
    }

    #[inline]
    fn transfer(&self, offset: u64) -> Transfer {
        let flags = self.flags();
        Transfer {
            offset,
            is_nonblocking: flags.contains(OpenFlags::NONBLOCK),
            is_append: flags.contains(OpenFlags::APPEND),
            is_synchronous: flags.contains(OpenFlags::DSYNC),
            is_packet: flags.contains(OpenFlags::DIRECT),
            size_max: None,
        }
    }

    #[inline]
    fn check_readable(&self) -> Result<(), Errno> {
        let flags = self.flags();
        if flags.can_read() && !flags.contains(OpenFlags::PATH) { Ok(()) } else { Err(Errno::EBADF) }
    }

    #[inline]
    fn check_writable(&self) -> Result<(), Errno> {
        let flags = self.flags();
        if flags.can_write() && !flags.contains(OpenFlags::PATH) { Ok(()) } else { Err(Errno::EBADF) }
    }

    /// read(2) and readv(2): EBADF where it is not open for reading.
    #[inline]
    pub fn read(&self, into: &mut dyn Sink) -> Result<usize, Errno> {
        self.check_readable()?;
        if !self.positioning.has_position() {
            return self.file.read(into, &mut self.transfer(0));
        }
        let mut position = self.position.lock();
        check_extent(*position, into.remaining())?;
        let mut how = self.transfer(*position);
        let result = self.file.read(into, &mut how);
        *position = how.offset;
        result
    }

    /// write(2) and writev(2): EBADF where it is not open for writing.
    pub fn write(&self, from: &mut dyn Source) -> Result<usize, Errno> {
        self.write_within(from, None)
    }

    /// As [`write`](Self::write): EFBIG for a file that would become longer than `size_max`.
    #[inline]
    pub fn write_within(&self, from: &mut dyn Source, size_max: Option<u64>) -> Result<usize, Errno> {
        self.check_writable()?;
        if !self.positioning.has_position() {
            return self.file.write(from, &mut self.transfer(0));
        }
        let mut position = self.position.lock();
        check_extent(*position, from.remaining())?;
        let mut how = Transfer { size_max, ..self.transfer(*position) };
        let result = self.file.write(from, &mut how);
        *position = how.offset;
        result
    }

    /// pread(2): ESPIPE for a stream, EINVAL for a negative offset.
    pub fn read_at(&self, into: &mut dyn Sink, offset: i64) -> Result<usize, Errno> {
        let offset = u64::try_from(offset).map_err(|_| Errno::EINVAL)?;
        self.check_offsets()?;
        self.check_readable()?;
        check_extent(offset, into.remaining())?;
        self.file.read(into, &mut self.transfer(offset))
    }

    /// pwrite(2). With O_APPEND it appends, whatever the offset says, as Linux does.
    pub fn write_at(
        &self,
        from: &mut dyn Source,
        offset: i64,
        size_max: Option<u64>,
    ) -> Result<usize, Errno> {
        let offset = u64::try_from(offset).map_err(|_| Errno::EINVAL)?;
        self.check_write_offsets()?;
        self.check_writable()?;
        check_extent(offset, from.remaining())?;
        self.file.write(from, &mut Transfer { size_max, ..self.transfer(offset) })
    }

    /// Whether it can be read and written at offsets: EBADF for a place, ESPIPE.
    pub fn check_offsets(&self) -> Result<(), Errno> {
        self.check_not_path()?;
        if self.positioning.has_offsets() { Ok(()) } else { Err(Errno::ESPIPE) }
    }

    /// As [`check_offsets`](Self::check_offsets), for writing.
    pub fn check_write_offsets(&self) -> Result<(), Errno> {
        self.check_offsets()?;
        let is_text = self.positioning == Positioning::Sequence && !self.path.dentry.is_directory();
        if is_text { Err(Errno::ESPIPE) } else { Ok(()) }
    }

    fn check_not_path(&self) -> Result<(), Errno> {
        if self.is_path() { Err(Errno::EBADF) } else { Ok(()) }
    }

    /// Before what the file holds changes: takes set-user-ID and set-group-ID off it, unless `who` may keep them (write(2),
    /// "Notes"). Costs nothing for what is no stored file.
    #[inline]
    pub fn drop_privileges(&self, who: &Credentials) -> Result<(), Errno> {
        if self.counts_as_writer { crate::change::drop_privileges(who, &self.path) } else { Ok(()) }
    }

    /// lseek(2): ESPIPE, EINVAL for a position below zero or beyond the largest, ENXIO.
    pub fn seek(&self, to: Seek) -> Result<u64, Errno> {
        self.check_not_path()?;
        match (self.positioning, to) {
            (Positioning::Stream, _) => return Err(Errno::ESPIPE),
            (Positioning::Ignored | Positioning::Nowhere, _) => return self.file.seek(to),
            (Positioning::Sequence, Seek::End(_) | Seek::Data(_) | Seek::Hole(_)) => {
                return Err(Errno::EINVAL);
            }
            _ => {}
        }
        let mut position = self.position.lock();
        let from_base =
            |base: u64, by: i64| match i64::try_from(base).ok().and_then(|base| base.checked_add(by)) {
                Some(sum) => u64::try_from(sum).map_err(|_| Errno::EINVAL),
                None => Err(Errno::EINVAL),
            };
        let extent = |offset: i64, hole| {
            let offset = u64::try_from(offset).map_err(|_| Errno::ENXIO)?;
            self.file.seek_extent(offset, hole)
        };
        let target = match to {
            Seek::Start(offset) => from_base(0, offset)?,
            Seek::Current(0) => return Ok(*position),
            Seek::Current(by) => from_base(*position, by)?,
            Seek::End(by) => from_base(self.file.size()?, by)?,
            Seek::Data(offset) => extent(offset, false)?,
            Seek::Hole(offset) => extent(offset, true)?,
        };
        if target > self.file.position_max() {
            return Err(Errno::EINVAL);
        }
        *position = target;
        Ok(target)
    }

    /// The position, for /proc/PID/fdinfo and sendfile.
    pub fn position(&self) -> u64 {
        *self.position.lock()
    }

    /// Moves the position on, past bytes that were read by offset.
    pub(crate) fn move_position(&self, by: u64) {
        let mut position = self.position.lock();
        *position = position.saturating_add(by);
    }

    /// Whether reads and writes give EAGAIN rather than wait.
    pub fn is_nonblocking(&self) -> bool {
        self.flags().contains(OpenFlags::NONBLOCK)
    }

    /// Begins to read a directory from the position on: getdents64(2). ENOTDIR; ENOENT when the directory has been removed.
    pub fn read_directory(&self) -> Result<DirectoryReader<'_>, Errno> {
        self.check_not_path()?;
        let dentry = &self.path.dentry;
        if !dentry.is_directory() {
            return Err(Errno::ENOTDIR);
        }
        self.check_readable()?;
        let position = self.position.lock();
        if dentry.is_dead() {
            return Err(Errno::ENOENT);
        }
        Ok(DirectoryReader { file: self, position })
    }

    fn visit_directory(&self, mut at: u64, visit: &mut dyn FnMut(Entry<'_>) -> bool) -> Result<(), Errno> {
        let kind = crate::metadata::Kind::Directory;
        if at == 0 {
            let inode = self.inode().metadata().inode;
            if !visit(Entry { name: b".", inode, kind, next: 1 }) {
                return Ok(());
            }
            at = 1;
        }
        if at == 1 {
            let parent =
                self.path.parent().map_or_else(|| self.metadata(), |parent| parent.inode().metadata());
            if !visit(Entry { name: b"..", inode: parent.inode, kind, next: 2 }) {
                return Ok(());
            }
            at = 2;
        }
        self.file.read_directory(at, visit)
    }

    /// ioctl(2), as far as the file itself knows the request.
    pub fn ioctl(&self, request: u32, argument: &mut dyn IoctlArgument) -> Result<usize, Errno> {
        self.check_not_path()?;
        self.file.ioctl(request, argument)
    }

    /// ftruncate(2): EINVAL where it is not open for writing.
    pub fn truncate(&self, size: i64) -> Result<(), Errno> {
        let size = u64::try_from(size).map_err(|_| Errno::EINVAL)?;
        self.check_not_path()?;
        if !self.flags().can_write() {
            return Err(Errno::EINVAL);
        }
        self.file.truncate(size)
    }

    /// fallocate(2): EINVAL, EOPNOTSUPP for flags that do not go together, EBADF, ESPIPE, ENODEV for what is no regular file, EFBIG.
    pub fn allocate(&self, how: FallocateFlags, offset: i64, len: i64) -> Result<(), Errno> {
        let offset = u64::try_from(offset).map_err(|_| Errno::EINVAL)?;
        let len = u64::try_from(len).ok().filter(|&len| len > 0).ok_or(Errno::EINVAL)?;
        if how.contains(FallocateFlags::PUNCH_HOLE) && !how.contains(FallocateFlags::KEEP_SIZE) {
            return Err(Errno::EOPNOTSUPP);
        }
        self.check_writable()?;
        let metadata = self.metadata();
        match metadata.kind() {
            Kind::Regular if metadata.is_regular() => {}
            Kind::Fifo => return Err(Errno::ESPIPE),
            _ => return Err(Errno::ENODEV),
        }
        if offset.checked_add(len).is_none_or(|end| end > POSITION_MAX) {
            return Err(Errno::EFBIG);
        }
        self.file.allocate(how, offset, len)
    }

    /// fsync(2) and fdatasync(2).
    pub fn sync(&self, data_only: bool) -> Result<(), Errno> {
        self.check_not_path()?;
        self.file.sync(data_only)
    }

    /// The pages that a mapping shows: EACCES where it is not open for reading, ENODEV where it cannot be mapped.
    pub fn object(&self) -> Result<Arc<Object>, Errno> {
        self.check_not_path()?;
        if !self.flags().can_read() {
            return Err(Errno::EACCES);
        }
        self.file.object()
    }

    /// What to do when a process closes a descriptor for this file: its record locks on the file end, even while other
    /// descriptors are open (fcntl(2)).
    pub fn closed_by(&self, process: LockOwner) -> Result<(), Errno> {
        if let Some(locks) = self.inode().locks() {
            locks.release_records(process);
        }
        self.file.flush()
    }
}

/// What is read or written must end where there still are positions: EINVAL.
#[inline]
fn check_extent(start: u64, len: usize) -> Result<(), Errno> {
    let end = start.checked_add(len as u64);
    if end.is_some_and(|end| end <= POSITION_MAX) { Ok(()) } else { Err(Errno::EINVAL) }
}

/// A directory that is being read. Its position is locked until this goes, and stays where it is unless it is moved: whoever
/// tells a program of entries finds out only afterwards how many of them it could be told.
pub struct DirectoryReader<'a> {
    file: &'a OpenFile,
    position: MutexGuard<'a, u64>,
}

impl DirectoryReader<'_> {
    /// Calls `visit` for the entries from the position on, `.` and `..` first, until it returns false.
    pub fn visit(&self, visit: &mut dyn FnMut(Entry<'_>) -> bool) -> Result<(), Errno> {
        self.file.visit_directory(*self.position, visit)
    }

    /// The next reader begins at `position`: the `next` of an entry.
    pub fn move_to(&mut self, position: u64) {
        *self.position = position;
    }
}

impl Pollable for OpenFile {
    fn poll(&self, interest: Events, waiter: Option<&mut Waiter>) -> Events {
        self.file.poll(interest, waiter)
    }

    fn as_epoll(&self) -> Option<&Epoll> {
        self.file.as_epoll()
    }
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        let inode = self.path.inode();
        if let Some(locks) = inode.locks() {
            locks.release_open_file(self.id);
        }
        if self.counts_as_writer
            && let Some(writers) = inode.writers()
        {
            writers.end_writing();
        }
    }
}

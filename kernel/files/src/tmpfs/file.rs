//! The contents of a regular file of tmpfs, and reading and writing it.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use abi::Errno;
use abi::fcntl::{FallocateFlags, Seals};
use abi::ioctl::FS_IOC_GETFLAGS;
use machine::address::{PAGE_SHIFT, PAGE_SIZE};
use machine::sync::Once;
use memory::{Object, Sink, Source};
use threads::Mutex;
use threads::poll::{Events, Pollable, Waiter};

use super::node::Body;
use super::{Shared, TmpfsNode};
use crate::file::{Abilities, File, IoctlArgument, Positioning, Transfer};
use crate::inode::{Entry, Inode};

/// The largest file (`MAX_LFS_FILESIZE`).
const SIZE_MAX: u64 = i64::MAX as u64;

/// The bytes of a file. The object comes with the first use: a file that is made and removed again needs none.
pub(crate) struct Contents {
    object: Once<Arc<Object>>,
    /// Pages counted against the file system's limit.
    charged: AtomicU64,
    /// Held by whoever changes size or bytes.
    writing: Mutex<()>,
    /// Seals (memfd_create(2)); all set but `SEAL` means that none can be added.
    seals: AtomicU32,
}

impl Contents {
    pub(super) fn new() -> Self {
        Self {
            object: Once::new(),
            charged: AtomicU64::new(0),
            writing: Mutex::new(()),
            seals: AtomicU32::new(Seals::SEAL.bits()),
        }
    }

    /// Contents that exist already, before anybody has opened the file: an archive's pages. Ignored when there are some.
    pub(crate) fn adopt(&self, object: Arc<Object>) {
        let _ = self.object.set(object);
    }

    pub(super) fn size(&self) -> u64 {
        self.object.get().map_or(0, |object| object.size())
    }

    /// Pages in memory.
    pub(super) fn pages(&self) -> u64 {
        self.object.get().map_or(0, |object| object.resident_pages() as u64)
    }

    pub(super) fn object(&self) -> Result<Arc<Object>, Errno> {
        loop {
            if let Some(object) = self.object.get() {
                return Ok(Arc::clone(object));
            }
            // Whoever loses the race uses the winner's.
            let _ = self.object.set(Object::memory(0)?);
        }
    }

    /// The seals that are set.
    pub(crate) fn seals(&self) -> Seals {
        Seals::from_bits_truncate(self.seals.load(Ordering::Acquire))
    }

    /// Allows seals to be added, before anybody else has the file.
    pub(crate) fn allow_seals(&self) {
        self.seals.store(0, Ordering::Release);
    }

    /// Adds seals (F_ADD_SEALS): EPERM when sealing itself is sealed, EBUSY to forbid writing while a program may write
    /// through a mapping.
    pub(crate) fn add_seals(&self, seals: Seals) -> Result<(), Errno> {
        let _writing = self.writing.lock();
        if self.seals().contains(Seals::SEAL) {
            return Err(Errno::EPERM);
        }
        let is_mapped = || self.object.get().is_some_and(|object| object.is_mapped_to_be_written());
        if (seals - self.seals()).contains(Seals::WRITE) && is_mapped() {
            return Err(Errno::EBUSY);
        }
        self.seals.fetch_or(seals.bits(), Ordering::AcqRel);
        Ok(())
    }

    fn check_seals(&self, forbidding: Seals) -> Result<(), Errno> {
        if self.seals().intersects(forbidding) { Err(Errno::EPERM) } else { Ok(()) }
    }

    /// Brings what is counted against the limit up to date.
    fn settle(&self, shared: &Shared) {
        let pages = self.pages();
        let charged = self.charged.swap(pages, Ordering::Relaxed);
        if pages >= charged {
            shared.pages.fetch_add(pages - charged, Ordering::Relaxed);
        } else {
            shared.give_pages(charged - pages);
        }
    }

    pub(super) fn release(&mut self, shared: &Shared) {
        shared.give_pages(*self.charged.get_mut());
    }

    /// How many bytes of `len` at `offset` may be written before the file system is full: ENOSPC for none. Only near the
    /// limit does it look at which pages are there already.
    fn room(&self, shared: &Shared, object: &Object, offset: u64, len: u64) -> Result<u64, Errno> {
        let first = offset >> PAGE_SHIFT;
        let last = (offset + len - 1) >> PAGE_SHIFT;
        let used = shared.pages.load(Ordering::Relaxed);
        let mut free = shared.pages_max.saturating_sub(used);
        if last - first < free {
            return Ok(len);
        }
        for index in first..=last {
            if object.resident(index).is_some() {
                continue;
            }
            if free == 0 {
                let end = (index << PAGE_SHIFT).max(offset);
                return if end > offset { Ok(end - offset) } else { Err(Errno::ENOSPC) };
            }
            free -= 1;
        }
        Ok(len)
    }

    fn read(&self, into: &mut dyn Sink, how: &mut Transfer) -> Result<usize, Errno> {
        let Some(object) = self.object.get() else { return Ok(0) };
        let done = object.read(how.offset, into)?;
        how.offset += done as u64;
        Ok(done)
    }

    fn write(&self, shared: &Shared, from: &mut dyn Source, how: &mut Transfer) -> Result<usize, Errno> {
        if from.remaining() == 0 {
            return Ok(0);
        }
        let object = self.object()?;
        let _writing = self.writing.lock();
        let size = object.size();
        let offset = if how.is_append { size } else { how.offset };
        let size_max = how.size_max.unwrap_or(SIZE_MAX).min(SIZE_MAX);
        if offset >= size_max {
            return Err(Errno::EFBIG);
        }
        let len = (from.remaining() as u64).min(size_max - offset);
        let seals = self.seals();
        if seals.intersects(Seals::WRITE | Seals::FUTURE_WRITE) {
            return Err(Errno::EPERM);
        }
        if seals.contains(Seals::GROW) && offset + len > size {
            return Err(Errno::EPERM);
        }
        let room = self.room(shared, &object, offset, len)?;
        let result = if room < from.remaining() as u64 {
            object.write(offset, &mut Limited { source: from, left: room as usize })
        } else {
            object.write(offset, from)
        };
        self.settle(shared);
        let done = result?;
        how.offset = offset + done as u64;
        Ok(done)
    }

    pub(super) fn truncate(&self, shared: &Shared, size: u64) -> Result<(), Errno> {
        if size > SIZE_MAX {
            return Err(Errno::EINVAL);
        }
        if size == self.size() {
            return Ok(());
        }
        let object = self.object()?;
        let _writing = self.writing.lock();
        self.check_seals(if size < object.size() { Seals::SHRINK } else { Seals::GROW })?;
        object.truncate(size)?;
        self.settle(shared);
        Ok(())
    }

    fn allocate(&self, shared: &Shared, how: FallocateFlags, offset: u64, len: u64) -> Result<(), Errno> {
        let punches = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        let object = self.object()?;
        let _writing = self.writing.lock();
        if how == punches {
            self.check_seals(Seals::WRITE | Seals::FUTURE_WRITE)?;
            object.punch(offset, offset + len)?;
            self.settle(shared);
            return Ok(());
        }
        if !(how - FallocateFlags::KEEP_SIZE).is_empty() {
            return Err(Errno::EOPNOTSUPP);
        }
        let end = offset + len;
        if !how.contains(FallocateFlags::KEEP_SIZE) && end > object.size() {
            self.check_seals(Seals::GROW)?;
        }
        if self.room(shared, &object, offset, len)? < len {
            return Err(Errno::ENOSPC);
        }
        if !how.contains(FallocateFlags::KEEP_SIZE) && end > object.size() {
            object.truncate(end)?;
        }
        // Pages past the end come when the file grows there; up to it they are made now, so that writes cannot fail.
        let result = (offset >> PAGE_SHIFT..object.size().min(end).div_ceil(PAGE_SIZE as u64))
            .try_for_each(|index| object.page(index).map(drop));
        self.settle(shared);
        result
    }

    fn seek_extent(&self, offset: u64, hole: bool) -> Result<u64, Errno> {
        let size = self.size();
        if offset >= size {
            return Err(Errno::ENXIO);
        }
        let Some(object) = self.object.get() else { return Err(Errno::ENXIO) };
        let end = size.div_ceil(PAGE_SIZE as u64);
        let wanted = |index: &u64| (object.is_memory() && object.resident(*index).is_none()) == hole;
        match (offset >> PAGE_SHIFT..end).find(wanted) {
            Some(index) => Ok((index << PAGE_SHIFT).max(offset)),
            None if hole => Ok(size),
            None => Err(Errno::ENXIO),
        }
    }
}

/// The first bytes of another source.
struct Limited<'a> {
    source: &'a mut dyn Source,
    left: usize,
}

impl Source for Limited<'_> {
    fn remaining(&self) -> usize {
        self.left.min(self.source.remaining())
    }

    fn read(&mut self, into: &mut [u8]) -> Result<usize, Errno> {
        let len = into.len().min(self.left);
        let done = self.source.read(into.get_mut(..len).unwrap_or_default())?;
        self.left -= done;
        Ok(done)
    }

    fn read_frame(
        &mut self,
        frame: &machine::frame::Frame,
        offset: usize,
        len: usize,
    ) -> Result<usize, Errno> {
        let done = self.source.read_frame(frame, offset, len.min(self.left))?;
        self.left -= done;
        Ok(done)
    }
}

impl Pollable for TmpfsNode {
    fn poll(&self, interest: Events, _waiter: Option<&mut Waiter>) -> Events {
        // A file in memory never makes anybody wait.
        interest & (Events::IN | Events::OUT | Events::RDNORM | Events::WRNORM)
    }
}

impl File for TmpfsNode {
    fn read(&self, into: &mut dyn Sink, how: &mut Transfer) -> Result<usize, Errno> {
        let done = self.contents()?.read(into, how)?;
        self.note_read();
        Ok(done)
    }

    fn write(&self, from: &mut dyn Source, how: &mut Transfer) -> Result<usize, Errno> {
        let done = self.contents()?.write(&self.shared, from, how)?;
        self.note_write();
        Ok(done)
    }

    fn can_be_watched(&self) -> bool {
        false
    }

    fn positioning(&self) -> Positioning {
        if self.is_directory() { Positioning::Sequence } else { Positioning::Position }
    }

    fn abilities(&self) -> Abilities {
        if self.is_directory() { Abilities::UNSPLICED } else { Abilities { direct: true, ..Abilities::ALL } }
    }

    fn size(&self) -> Result<u64, Errno> {
        match &self.body {
            Body::Regular(contents) => Ok(contents.size()),
            Body::Directory(_) | Body::Symlink(_) | Body::Special(_) => Ok(0),
        }
    }

    fn seek_extent(&self, offset: u64, hole: bool) -> Result<u64, Errno> {
        self.contents()?.seek_extent(offset, hole)
    }

    fn read_directory(&self, position: u64, visit: &mut dyn FnMut(Entry<'_>) -> bool) -> Result<(), Errno> {
        Inode::read_directory(self, position, visit)
    }

    fn object(&self) -> Result<Arc<Object>, Errno> {
        self.contents().map_err(|_| Errno::ENODEV)?.object()
    }

    fn truncate(&self, size: u64) -> Result<(), Errno> {
        Inode::truncate(self, size)
    }

    fn allocate(&self, how: FallocateFlags, offset: u64, len: u64) -> Result<(), Errno> {
        let contents = self.contents().map_err(|_| Errno::ENODEV)?;
        contents.allocate(&self.shared, how, offset, len)?;
        self.note_write();
        Ok(())
    }

    fn ioctl(&self, request: u32, argument: &mut dyn IoctlArgument) -> Result<usize, Errno> {
        match request {
            // No file is immutable, or only appended to.
            FS_IOC_GETFLAGS => argument.write(&0_u32.to_ne_bytes()).map(|()| 0),
            _ => Err(Errno::ENOTTY),
        }
    }

    fn sync(&self, _data_only: bool) -> Result<(), Errno> {
        Ok(())
    }
}

//! An object: pages by index, and where they come from. Files, disks, archives, anonymous shared memory: the one cache of the system is the pages of all objects.
//!
//! # States of a page
//!
//! | state | in the index | flags of the frame | who may use it |
//! |---|---|---|---|
//! | absent | no | | the first who asks makes it *filling*; memory objects make it *clean* at once |
//! | filling | yes | `FILLING` | nobody: all who ask sleep on the object until the pager has answered |
//! | clean | yes | | everybody; reclaim may detach it while the index holds the only reference |
//! | dirty | yes, marked | `DIRTY` | everybody; it is written back, or (memory, archives) is the only copy and stays |
//! | write-back | yes | `WRITEBACK` | readers; who wants to write sleeps until the pager has taken it. It may be `DIRTY` again already |
//! | detached | no | `DETACHED` | those who still hold it; a fault that finds the flag under its cursor looks the page up again |
//!
//! # Who conflicts with whom, and what resolves it
//!
//! | | with | resolved by |
//! |---|---|---|
//! | two readers of an absent page | each other | the index's spin lock: one inserts it as filling, the other sleeps |
//! | fault | truncate, punch | the page leaves the index and is marked `DETACHED` *before* page tables are emptied; the fault maps only what it finds attached under its cursor |
//! | fault, read, write | reclaim | reclaim detaches only what nobody else refers to, under the spin lock that gives references out |
//! | store through a mapping | write-back | write-back clears `DIRTY` before it write-protects the mappings; a fault grants the right to store only where it sees `DIRTY` under its cursor |
//! | write | write-back | the writer sleeps until `WRITEBACK` is clear |
//! | write | truncate | the file's own lock above: sizes change under it |

mod dirty;
mod io;
mod mappers;
mod shrink;
mod truncate;

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use abi::Errno;
use arrayvec::ArrayVec;
use machine::address::{PAGE_SHIFT, PAGE_SIZE};
use machine::frame::{Frame, Owner};
use machine::heap::{Allowance, try_arc};
use machine::sync::{Rank, SpinLock};
use threads::{Wait, WaitQueue};

use crate::index::PageIndex;
use crate::pager::Pager;
use crate::{overcommit, reclaim};

pub(crate) use mappers::Mappers;

/// The pager is filling the page.
pub(crate) const FILLING: u16 = 1 << 0;
/// Changed since it was read.
pub(crate) const DIRTY: u16 = 1 << 1;
/// The pager is writing the page.
pub(crate) const WRITEBACK: u16 = 1 << 2;
/// No longer a page of its object.
pub(crate) const DETACHED: u16 = 1 << 3;
/// Used since the clock's hand passed ...
pub(crate) const USED_ONCE: u16 = 1 << 4;
/// ... and once more.
pub(crate) const USED_OFTEN: u16 = 1 << 5;

/// The most pages read at a time (128 KiB).
pub(crate) const WINDOW: usize = 32;

static NEXT_ID: AtomicU64 = AtomicU64::new(1);
static MEMORY_PAGES: AtomicUsize = AtomicUsize::new(0);

/// Pages of memory objects: tmpfs and shared anonymous memory (`Shmem` of /proc/meminfo).
pub fn memory_pages() -> usize {
    MEMORY_PAGES.load(Ordering::Relaxed)
}

/// Pages with an optional pager behind them.
///
/// Without a pager the pages are the only copy (tmpfs, shared memory): absent ones read as zero.
pub struct Object {
    id: u64,
    pager: Option<Arc<dyn Pager>>,
    /// Whether the pager takes pages back.
    is_writable: bool,
    size_bytes: AtomicU64,
    pages: SpinLock<PageIndex>,
    /// Who waits for a page to be filled or written.
    settled: WaitQueue,
    mappers: Mappers,
    /// Whether its pages stay its pages: nobody asks then who maps it.
    is_fixed: bool,
    /// Pages promised for it.
    promised: usize,
    /// The index after the last one read, and how many pages the next miss there fetches: read-ahead.
    next_read: AtomicU64,
    read_window: AtomicUsize,
}

/// How many pages hold `bytes`.
pub(crate) fn pages_for(bytes: u64) -> u64 {
    bytes.div_ceil(PAGE_SIZE as u64)
}

/// Notes that a page was used: twice since the clock's hand passed is as much as is remembered.
pub(crate) fn touch(frame: &Frame) {
    let flags = frame.flags();
    if flags & USED_ONCE == 0 {
        frame.set_flags(USED_ONCE);
    } else if flags & USED_OFTEN == 0 {
        frame.set_flags(USED_OFTEN);
    }
}

/// What the nodes take that the index makes for a few neighbours: less than two paths of eleven nodes of a third of a frame.
pub(crate) const INDEX_FRAMES: usize = 8;

impl Object {
    /// Whether a program may store to it through a mapping that it shares.
    pub fn is_mapped_to_be_written(&self) -> bool {
        self.mappers.may_be_written()
    }

    /// Memory of `size_bytes` that is all zero and has no other copy. `ENOMEM` when there is no room for what describes it.
    pub fn memory(size_bytes: u64) -> Result<Arc<Self>, Errno> {
        Ok(try_arc(Self::new(size_bytes, None, 0))?)
    }

    /// As [`memory`](Self::memory), whose pages count as promised until the object goes; `ENOMEM` when they cannot be.
    pub fn promised_memory(size_bytes: u64) -> Result<Arc<Self>, Errno> {
        let pages = usize::try_from(pages_for(size_bytes)).map_err(|_| Errno::ENOMEM)?;
        overcommit::charge(pages)?;
        // Dropped, it takes the promise back.
        Ok(try_arc(Self::new(size_bytes, None, pages))?)
    }

    /// Exactly these pages for ever, which the kernel has made and may go on changing (`ENOMEM`). They count as the cache's.
    ///
    /// Every program may map such an object without waiting for others that do the same: who maps it is not noted.
    pub fn of_pages(frames: &[Frame]) -> Result<Arc<Self>, Errno> {
        let size_bytes = (frames.len() << PAGE_SHIFT) as u64;
        let mut object = Self::new(size_bytes, None, 0);
        object.is_fixed = true;
        let object = try_arc(object)?;
        let _allowance = Allowance::of(INDEX_FRAMES + frames.len() / 64)?;
        for (index, frame) in (0..).zip(frames) {
            frame.set_owner(Owner::Cache);
            frame.set_flags(USED_ONCE);
            frame.set_place(object.id, index);
            object.pages.lock().insert(index, frame.clone()).map_err(|_| Errno::ENOMEM)?;
            MEMORY_PAGES.fetch_add(1, Ordering::Relaxed);
        }
        Ok(object)
    }

    /// The cache of `size_bytes` that `pager` reads and writes.
    ///
    /// Pages that are dirty when the object goes are lost: whoever owns it calls [`sync`](Self::sync) first. `ENOMEM`.
    pub fn with_pager(size_bytes: u64, pager: Arc<dyn Pager>) -> Result<Arc<Self>, Errno> {
        let object = try_arc(Self::new(size_bytes, Some(pager), 0))?;
        reclaim::register(&object)?;
        Ok(object)
    }

    fn new(size_bytes: u64, pager: Option<Arc<dyn Pager>>, promised: usize) -> Self {
        Self {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            is_writable: pager.as_ref().is_some_and(|pager| pager.is_writable()),
            pager,
            size_bytes: AtomicU64::new(size_bytes),
            pages: SpinLock::new(Rank::Object, PageIndex::new()),
            settled: WaitQueue::new(),
            mappers: Mappers::new(),
            is_fixed: false,
            promised,
            next_read: AtomicU64::new(0),
            read_window: AtomicUsize::new(1),
        }
    }

    /// A number that no other object has or will have.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Whether the pages are the only copy from the start: no pager behind them.
    pub fn is_memory(&self) -> bool {
        self.pager.is_none()
    }

    /// Bytes.
    pub fn size(&self) -> u64 {
        self.size_bytes.load(Ordering::Acquire)
    }

    /// Pages in memory.
    pub fn resident_pages(&self) -> usize {
        self.pages.lock().len()
    }

    /// Whether stores through mappings must be noticed page by page.
    pub(crate) fn tracks_dirty(&self) -> bool {
        self.pager.is_some()
    }

    /// Who maps the object, where that must be known.
    pub(crate) fn mappers(&self) -> Option<&Mappers> {
        (!self.is_fixed).then_some(&self.mappers)
    }

    /// Page `index`, if it is in memory and filled.
    pub fn resident(&self, index: u64) -> Option<Frame> {
        self.pages.lock().get(index).filter(|frame| frame.flags() & FILLING == 0).cloned()
    }

    /// Page `index`, found or made. Of several who ask at once for an absent page, one has it read and the others sleep.
    ///
    /// `ENXIO` past the object's size, `ENOMEM`, or the pager's error.
    pub fn page(&self, index: u64) -> Result<Frame, Errno> {
        self.obtain(index, 1, false)
    }

    /// The filled pages around `index`, for mapping them along with it: those of `start..end`.
    #[expect(clippy::disallowed_methods, reason = "into an array of its own size")]
    pub(crate) fn resident_around(&self, start: u64, end: u64) -> ArrayVec<(u64, Frame), 16> {
        let pages = self.pages.lock();
        (start..end)
            .take(16)
            .filter_map(|index| {
                let frame = pages.get(index)?;
                (frame.flags() & FILLING == 0).then(|| (index, frame.clone()))
            })
            .collect()
    }

    /// As [`page`](Self::page); an absent page is read together with up to `window` - 1 absent ones after it. `may_extend`: pages past the size are made too, of zeroes.
    fn obtain(&self, index: u64, window: usize, may_extend: bool) -> Result<Frame, Errno> {
        loop {
            let found = self.pages.lock().get(index).cloned();
            if let Some(frame) = found {
                match frame.flags() & (FILLING | DETACHED) {
                    0 => {
                        touch(&frame);
                        return Ok(frame);
                    }
                    // Since it was looked up, the pager has failed to fill it, or it was truncated away.
                    DETACHED => {}
                    _ => self.wait_while(&frame, FILLING),
                }
                continue;
            }
            if let Some(frame) = self.make(index, window, may_extend)? {
                return Ok(frame);
            }
        }
    }

    /// Sleeps until none of `flags` is set in `frame`.
    fn wait_while(&self, frame: &Frame, flags: u16) {
        // An uninterruptible wait without deadline ends only with its condition.
        let _ = self.settled.wait_until(Wait::UNINTERRUPTIBLE, || (frame.flags() & flags == 0).then_some(()));
    }

    /// Makes page `index` and fills it; none if somebody else was quicker.
    fn make(&self, index: u64, window: usize, may_extend: bool) -> Result<Option<Frame>, Errno> {
        let mut batch = ArrayVec::<Frame, WINDOW>::new();
        let is_inside = |index| index < pages_for(self.size());
        if !is_inside(index) && !may_extend {
            return Err(Errno::ENXIO);
        }
        let from_pager = self.pager.as_ref().filter(|_| is_inside(index));
        let wanted = if from_pager.is_some() { window.clamp(1, WINDOW) } else { 1 };
        for position in 0..wanted {
            if position > 0 && !is_inside(index + position as u64) {
                break;
            }
            let made = reclaim::reserve(1).and_then(|()| match from_pager {
                Some(_) => Frame::new_dirty(Owner::Cache).map_err(Errno::from),
                None => Frame::new(Owner::Cache).map_err(Errno::from),
            });
            match made {
                Ok(frame) => batch.push(frame),
                Err(error) if position == 0 => return Err(error),
                Err(_) => break,
            }
        }
        let flags = if from_pager.is_some() { FILLING } else { USED_ONCE };
        let _allowance = Allowance::of(INDEX_FRAMES)?;
        let inserted = {
            let mut pages = self.pages.lock();
            let fits = |index| may_extend || is_inside(index);
            let mut indices = index..;
            batch
                .iter()
                .take_while(|frame| {
                    let Some(index) = indices.next().filter(|index| fits(*index)) else { return false };
                    frame.set_flags(flags);
                    frame.set_place(self.id, index);
                    pages.insert(index, Frame::clone(frame)).is_ok()
                })
                .count()
        };
        batch.truncate(inserted);
        let Some(frame) = batch.first().cloned() else { return Ok(None) };
        match from_pager {
            Some(pager) => self.fill(pager.as_ref(), index, &batch)?,
            None if self.is_memory() => {
                MEMORY_PAGES.fetch_add(1, Ordering::Relaxed);
            }
            None => {}
        }
        Ok(Some(frame))
    }

    /// Has the pager fill `batch`, whose frames are in the index from `first` on. Of pages that cannot be read only the first one's error counts.
    fn fill(&self, pager: &dyn Pager, first: u64, batch: &[Frame]) -> Result<(), Errno> {
        let mut outcome = pager.read_pages(first, batch);
        let mut filled = batch.len();
        if outcome.is_err() && batch.len() > 1 {
            // One of the pages that nobody asked for may be the bad one.
            outcome = pager.read_page(first, &batch[0]);
            filled = 1;
        }
        if outcome.is_err() {
            filled = 0;
        }
        let size = self.size();
        for (index, frame) in (first..).zip(&batch[..filled]) {
            let start = index << PAGE_SHIFT;
            if size < start + PAGE_SIZE as u64 {
                frame.zero_range(size.saturating_sub(start) as usize, PAGE_SIZE);
            }
        }
        // The others are used when somebody asks for them.
        batch[0].set_flags(USED_ONCE);
        for (index, frame) in (first..).zip(batch).skip(filled) {
            let removed = self.pages.lock().remove(index);
            frame.set_flags(DETACHED);
            drop(removed);
        }
        for frame in batch {
            frame.clear_flags(FILLING);
        }
        self.settled.wake_all();
        outcome
    }
}

impl Drop for Object {
    fn drop(&mut self) {
        overcommit::uncharge(self.promised);
        let pages = self.pages.get_mut();
        if self.pager.is_some() {
            reclaim::unregister(self.id);
            if self.is_writable {
                reclaim::uncount_dirty(pages.dirty());
            }
        } else {
            MEMORY_PAGES.fetch_sub(pages.len(), Ordering::Relaxed);
        }
    }
}

//! Keeping frames free: watermarks, the clock over the cache, and limits for dirty pages.
//!
//! ```text
//!   free frames
//!   ── high ── reclaim stops here
//!   ── low ─── whoever wants a page reclaims first
//!   ── min ─── no page for programs below this: the OOM killer is asked; what is left is the kernel heap's reserve
//! ```
//!
//! Reclaim drops clean pages of objects with a pager. It never writes (a file system's lock may be held by whoever waits here) and never waits for a lock
//! of an address space; dirty pages are kept few by those who make them.

use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use core::ops::Bound::{Excluded, Unbounded};
use core::sync::atomic::{AtomicUsize, Ordering};

use abi::Errno;
use machine::clock;
use machine::frame::{self, OutOfMemory, Owner};
use machine::heap::{RESERVE_FRAMES, try_insert};
use machine::sync::{Rank, SpinLock, is_atomic};
use threads::{Wait, WaitQueue};

use crate::object::{Object, memory_pages};
use crate::oom;

/// Frames that who wants a page frees for others while there is still room, and pages that the hand passes for that at the most.
const SHARE: usize = 64;
const SHARE_VISITS: usize = 8 * SHARE;
/// Pages that the hand passes at a time.
const STRIDE: usize = 256;
/// Rounds over all objects until reclaim gives up: two count every page down, the third unmaps, the fourth frees.
const ROUNDS: usize = 4;
/// Dirty pages written at a time by who made too many.
const WRITE_BATCH: usize = 64;
/// How long changes stay in memory at the most, as long as the device keeps up.
const WRITE_INTERVAL_NS: u64 = 5_000_000_000;

struct Registry {
    objects: BTreeMap<u64, Weak<Object>>,
    /// Where the clock's hand stands: the object, and the page to look at next.
    object: u64,
    page: u64,
    /// How often the hand has passed the last object.
    rounds: usize,
}

static REGISTRY: SpinLock<Registry> =
    SpinLock::new(Rank::Object, Registry { objects: BTreeMap::new(), object: 0, page: 0, rounds: 0 });
static DIRTY: AtomicUsize = AtomicUsize::new(0);
/// Where the writer thread waits.
static WRITER: WaitQueue = WaitQueue::new();
/// 0 until computed from the memory there is.
static LOW: AtomicUsize = AtomicUsize::new(0);

/// Numbers of free frames at which something happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watermarks {
    /// Below this no page is given to programs.
    pub min: usize,
    /// Below this reclaim begins.
    pub low: usize,
    /// Up to this it goes on.
    pub high: usize,
}

/// The watermarks of this machine.
pub fn watermarks() -> Watermarks {
    let mut low = LOW.load(Ordering::Relaxed);
    if low == 0 {
        // 1/64 of memory, between 512 KiB and 32 MiB.
        low = (frame::total() / 64).clamp(2 * RESERVE_FRAMES, 8192);
        LOW.store(low, Ordering::Relaxed);
    }
    Watermarks { min: RESERVE_FRAMES + RESERVE_FRAMES / 2, low, high: low + low / 2 }
}

/// Sees to it that `pages` frames can be taken without eating into the kernel's reserve: reclaims, and asks the OOM killer when that is not enough. `ENOMEM` when nothing helped.
///
/// May sleep where the caller may; with a spin lock held it only looks.
#[inline]
pub fn reserve(pages: usize) -> Result<(), Errno> {
    let low = LOW.load(Ordering::Relaxed);
    if low != 0 && frame::count(Owner::Free) >= low + pages { Ok(()) } else { reserve_slowly(pages) }
}

#[cold]
fn reserve_slowly(pages: usize) -> Result<(), Errno> {
    let marks = watermarks();
    let has_room = || frame::count(Owner::Free) >= marks.min + pages;
    if is_atomic() {
        return if has_room() { Ok(()) } else { Err(Errno::ENOMEM) };
    }
    let mut relief = oom::Relief::new();
    loop {
        let free = frame::count(Owner::Free);
        if free < marks.low + pages {
            shrink_some(SHARE + pages, SHARE_VISITS + 8 * pages);
        }
        if has_room() {
            return Ok(());
        }
        // Before somebody has to go, everything is looked at.
        shrink(marks.high + pages);
        if has_room() {
            return Ok(());
        }
        if !relief.wait(pages, has_room) {
            return if has_room() { Ok(()) } else { Err(Errno::ENOMEM) };
        }
    }
}

/// Sees to it that the kernel's own small allocations cannot fail, as [`reserve`] does; whether that is so now. For who is about to begin a system call.
pub fn make_room() -> bool {
    reserve(0).is_ok()
}

/// Frees up to `wanted` frames of the cache, however much has to be looked at for that; returns how many.
pub fn shrink(wanted: usize) -> usize {
    shrink_some(wanted, usize::MAX)
}

/// As [`shrink`], looking at about `visits` pages at the most: so what a page costs is bounded while the cache is hot.
fn shrink_some(wanted: usize, visits: usize) -> usize {
    let first_round = REGISTRY.lock().rounds;
    let (mut freed, mut visited) = (0, 0);
    while freed < wanted && visited < visits {
        let (object, page) = {
            let mut registry = REGISTRY.lock();
            if registry.rounds - first_round >= ROUNDS {
                break;
            }
            let at = registry.object;
            match registry.objects.range(at..).next().map(|(id, object)| (*id, object.clone())) {
                Some((id, object)) => {
                    let page = if id == at { registry.page } else { 0 };
                    // Others who reclaim meanwhile go on with the next object.
                    (registry.object, registry.page) = (id + 1, 0);
                    (object, page)
                }
                None => {
                    (registry.object, registry.page) = (0, 0);
                    registry.rounds += 1;
                    continue;
                }
            }
        };
        let Some(object) = object.upgrade() else { continue };
        let (count, hand) = object.shrink(page, STRIDE);
        freed += count;
        // An object without pages costs a look too.
        visited += STRIDE.min(object.resident_pages()).max(1);
        if let Some(page) = hand {
            let mut registry = REGISTRY.lock();
            (registry.object, registry.page) = (object.id(), page);
        }
        // The last reference may go here; its drop takes the registry's lock, which is free.
        drop(object);
    }
    freed
}

pub(crate) fn register(object: &Arc<Object>) -> Result<(), OutOfMemory> {
    try_insert(&mut REGISTRY.lock().objects, object.id(), Arc::downgrade(object)).map(|_| ())
}

pub(crate) fn unregister(id: u64) {
    let removed = REGISTRY.lock().objects.remove(&id);
    drop(removed);
}

/// Pages that differ from what their pagers have (`Dirty` of /proc/meminfo).
pub fn dirty_pages() -> usize {
    DIRTY.load(Ordering::Relaxed)
}

/// An estimate of the frames that programs could get without anybody being killed (`MemAvailable` of /proc/meminfo).
pub fn available_pages() -> usize {
    let cache = frame::count(Owner::Cache).saturating_sub(memory_pages() + dirty_pages());
    (frame::count(Owner::Free) + cache).saturating_sub(watermarks().min)
}

pub(crate) fn count_dirty() {
    DIRTY.fetch_add(1, Ordering::Relaxed);
}

pub(crate) fn uncount_dirty(pages: usize) {
    DIRTY.fetch_sub(pages, Ordering::Relaxed);
}

/// Dirty pages above which the writer thread starts: a tenth of what can be had.
fn background_limit() -> usize {
    available_pages() / 10
}

/// Called after `object` was written to: who makes pages dirty faster than the device takes them writes some himself. May sleep.
pub(crate) fn balance_dirty(object: &Object) {
    let dirty = dirty_pages();
    let background = background_limit();
    if dirty <= background {
        return;
    }
    WRITER.wake_one();
    // A fifth of what can be had is the most.
    while dirty_pages() > 2 * background_limit() {
        if object.write_some(WRITE_BATCH) == 0 && write_some_of_all() == 0 {
            return;
        }
    }
}

fn write_some_of_all() -> usize {
    let mut written = 0;
    let mut last = 0;
    loop {
        let next = {
            let registry = REGISTRY.lock();
            registry
                .objects
                .range((Excluded(last), Unbounded))
                .next()
                .map(|(id, object)| (*id, object.clone()))
        };
        let Some((id, object)) = next else { return written };
        last = id;
        if let Some(object) = object.upgrade() {
            written += object.write_some(WRITE_BATCH);
        }
    }
}

/// The body of the thread that writes dirty pages back: all of them every five seconds, and at once when there are many.
pub fn write_back_forever() -> ! {
    loop {
        let deadline = clock::now_ns().saturating_add(WRITE_INTERVAL_NS);
        let wait = Wait::UNINTERRUPTIBLE.with_deadline(deadline);
        // Woken or timed out: there is work either way.
        let _ = WRITER.wait_until(wait, || (dirty_pages() > background_limit()).then_some(()));
        while write_some_of_all() > 0 {}
    }
}

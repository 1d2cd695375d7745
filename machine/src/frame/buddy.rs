//! The buddy allocator and the caches of single frames before it.

use core::num::NonZeroU32;
use core::sync::atomic::Ordering;

use arrayvec::ArrayVec;

use super::record::NOT_HEAD;
use super::{OutOfMemory, Owner, Record, account, account_new, record_at};
use crate::cpu::PerCpu;
use crate::sync::{Irq, Rank, SpinLock, disable_preemption};

/// The largest block is `1 << MAX_ORDER` frames (4 MiB).
pub const MAX_ORDER: usize = 10;

/// Frames kept by a processor at the most, and how many move at a time.
const CACHE_LEN: usize = 64;
const CACHE_BATCH: usize = 32;

/// End of a list of blocks: frame 0 is never in the allocator.
const NIL: u64 = 0;

struct Buddy {
    /// First block of each order.
    heads: [u64; MAX_ORDER + 1],
}

type Cache = SpinLock<ArrayVec<NonZeroU32, CACHE_LEN>, Irq>;

static BUDDY: SpinLock<Buddy, Irq> = SpinLock::new(Rank::Frames, Buddy { heads: [NIL; MAX_ORDER + 1] });
static CACHES: PerCpu<Cache> = PerCpu::new();

impl Buddy {
    fn record(number: u64) -> &'static Record {
        match record_at(number as usize) {
            Some(record) => record,
            None => panic!("the buddy lists name frame {number}, which does not exist"),
        }
    }

    fn push(&mut self, number: u64, order: usize) {
        let record = Self::record(number);
        let head = self.heads[order];
        record.order.store(order as u8, Ordering::Relaxed);
        record.object.store(head, Ordering::Relaxed);
        record.index.store(NIL, Ordering::Relaxed);
        if head != NIL {
            Self::record(head).index.store(number, Ordering::Relaxed);
        }
        self.heads[order] = number;
    }

    fn remove(&mut self, number: u64, order: usize) {
        let record = Self::record(number);
        let next = record.object.load(Ordering::Relaxed);
        let previous = record.index.load(Ordering::Relaxed);
        record.order.store(NOT_HEAD, Ordering::Relaxed);
        if previous == NIL {
            self.heads[order] = next;
        } else {
            Self::record(previous).object.store(next, Ordering::Relaxed);
        }
        if next != NIL {
            Self::record(next).index.store(previous, Ordering::Relaxed);
        }
    }

    fn alloc(&mut self, order: usize) -> Option<u64> {
        let found = (order..=MAX_ORDER).find(|&larger| self.heads[larger] != NIL)?;
        let number = self.heads[found];
        self.remove(number, found);
        for half in (order..found).rev() {
            self.push(number + (1 << half), half);
        }
        Some(number)
    }

    fn free(&mut self, mut number: u64, mut order: usize) {
        while order < MAX_ORDER {
            let buddy = number ^ (1 << order);
            let is_free = record_at(buddy as usize)
                .is_some_and(|record| record.order.load(Ordering::Relaxed) == order as u8);
            if !is_free {
                break;
            }
            self.remove(buddy, order);
            number = number.min(buddy);
            order += 1;
        }
        self.push(number, order);
    }
}

/// Gives the frames `first..end` to the allocator.
pub(crate) fn add_region(first: usize, end: usize) {
    let mut buddy = BUDDY.lock();
    let first = first.max(1);
    for record in (first..end).filter_map(record_at) {
        record.owner.store(Owner::Free as u8, Ordering::Relaxed);
    }
    // In the largest aligned blocks: a frame at a time would merge each of them up to ten times.
    let mut at = first;
    while at < end {
        let order = (at.trailing_zeros().min((end - at).ilog2()) as usize).min(MAX_ORDER);
        buddy.free(at as u64, order);
        at += 1 << order;
    }
    account_new(Owner::Free, end.saturating_sub(first));
}

/// Makes the processors' caches, once their number is known. Without them frames come straight from the buddy
/// lists.
pub(crate) fn init_caches() {
    CACHES.init(|_| SpinLock::new(Rank::Heap, ArrayVec::new()));
}

pub(super) fn alloc_frame() -> Result<NonZeroU32, OutOfMemory> {
    let guard = disable_preemption();
    if !CACHES.is_ready() {
        return BUDDY.lock().alloc(0).and_then(|number| NonZeroU32::new(number as u32)).ok_or(OutOfMemory);
    }
    let mut cache = CACHES.get(&guard).lock_nested();
    if let Some(number) = cache.pop() {
        return Ok(number);
    }
    let mut buddy = BUDDY.lock();
    for _ in 0..CACHE_BATCH {
        match buddy.alloc(0).and_then(|number| NonZeroU32::new(number as u32)) {
            Some(number) => cache.push(number),
            None => break,
        }
    }
    drop(buddy);
    if let Some(number) = cache.pop() {
        return Ok(number);
    }
    drop(cache);
    cached().ok_or(OutOfMemory)
}

/// A frame out of any processor's cache: the last ones may lie there.
fn cached() -> Option<NonZeroU32> {
    CACHES.all().find_map(|cache| cache.lock_nested().pop())
}

pub(super) fn free_frame(number: NonZeroU32) {
    let guard = disable_preemption();
    if !CACHES.is_ready() {
        BUDDY.lock().free(number.get().into(), 0);
        return;
    }
    let mut cache = CACHES.get(&guard).lock_nested();
    if cache.is_full() {
        let mut buddy = BUDDY.lock();
        for number in cache.drain(..CACHE_BATCH) {
            buddy.free(number.get().into(), 0);
        }
    }
    cache.push(number);
}

/// A block of `1 << order` frames, aligned to its size, for the heap, stacks or a device. Its frames'
/// contents are whatever was there. Whoever is given none of a single frame can count on it that there is none.
pub(crate) fn alloc_block(order: usize, owner: Owner) -> Result<usize, OutOfMemory> {
    if order > MAX_ORDER {
        return Err(OutOfMemory);
    }
    let block = BUDDY.lock().alloc(order);
    let number = match block {
        Some(number) => number as usize,
        None if order == 0 => cached().ok_or(OutOfMemory)?.get() as usize,
        None => return Err(OutOfMemory),
    };
    for record in (number..number + (1 << order)).filter_map(record_at) {
        record.owner.store(owner as u8, Ordering::Relaxed);
    }
    account(owner, Owner::Free, 1 << order);
    Ok(number)
}

/// Gives a block back.
pub(crate) fn free_block(number: usize, order: usize, owner: Owner) {
    for record in (number..number + (1 << order)).filter_map(record_at) {
        record.owner.store(Owner::Free as u8, Ordering::Relaxed);
    }
    account(Owner::Free, owner, 1 << order);
    BUDDY.lock().free(number as u64, order);
}

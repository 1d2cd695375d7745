//! Futexes: waiting until somebody says that a word of a program's memory has changed (futex(2)).
//!
//! What a word is, the crate above knows: it gives keys, equal for the same word. Waiters are in ordered
//! trees by key, spread over buckets by a hash, so that neither many keys nor many waiters of one key make
//! a wake-up search.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::ops::ControlFlow;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};

use arrayvec::ArrayVec;
use machine::cpu;
use machine::sync::{Once, Rank, SpinLock};
use machine::tree::{Node, Rooted, Tree};

use crate::schedule;
use crate::thread::{Thread, current};
use crate::time::SleepTimer;
use crate::wait::{Wait, WaitError};

/// The identity of a futex word: for a private one the address space and the address, for a shared one the
/// object and the offset, as the crate above likes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FutexKey(pub u64, pub u64);

/// Matches every waiter (Linux: `FUTEX_BITSET_MATCH_ANY`).
pub const ANY: u32 = u32::MAX;

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// [`wake`] or [`requeue`] woke it.
    Woken,
    /// The check said that the word has changed already.
    Changed,
    /// The thread was interrupted.
    Interrupted,
    /// The deadline came.
    TimedOut,
}

/// What a thread keeps of the futex that it waits for.
pub(crate) struct FutexWaiter {
    node: Node<Thread, Futex>,
    /// Written under the lock of the bucket of the old key (and of the new one).
    key: [AtomicU64; 2],
    bitset: AtomicU32,
    /// Cleared, under the lock of its bucket, by whoever wakes it.
    is_waiting: AtomicBool,
}

/// Tag of the node by which a thread is in a bucket.
struct Futex;

impl Rooted<Futex> for Thread {
    type Key = FutexKey;
    type Value = ();
    fn node(&self) -> &Node<Self, Futex> {
        &self.futex.node
    }
}

impl FutexWaiter {
    pub const fn new() -> Self {
        Self {
            node: Node::new(),
            key: [const { AtomicU64::new(0) }; 2],
            bitset: AtomicU32::new(0),
            is_waiting: AtomicBool::new(false),
        }
    }

    fn key(&self) -> FutexKey {
        FutexKey(self.key[0].load(SeqCst), self.key[1].load(SeqCst))
    }

    fn set_key(&self, key: FutexKey) {
        self.key[0].store(key.0, SeqCst);
        self.key[1].store(key.1, SeqCst);
    }
}

type Waiters = Tree<Thread, Futex>;

#[repr(align(64))]
struct Bucket {
    waiters: SpinLock<Waiters>,
}

/// Buckets for each processor (Linux: as many).
const BUCKETS_PER_CPU: usize = 256;

static BUCKETS: Once<Box<[Bucket]>> = Once::new();

/// Makes the buckets, when the number of processors is known.
#[expect(clippy::disallowed_methods, reason = "made at boot")]
pub(crate) fn init() {
    let len = (cpu::count() * BUCKETS_PER_CPU).next_power_of_two();
    let bucket = || Bucket { waiters: SpinLock::new(Rank::Futex, Tree::new()) };
    let is_first = BUCKETS.set((0..len).map(|_| bucket()).collect()).is_ok();
    assert!(is_first, "the futex buckets were made twice");
}

/// The bucket of a key, and its number.
fn bucket(key: FutexKey) -> (&'static SpinLock<Waiters>, usize) {
    let Some(buckets) = BUCKETS.get() else { panic!("a futex before the scheduler was started") };
    let mixed = (key.0 ^ key.1.rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let index = (mixed >> 32) as usize & (buckets.len() - 1);
    (&buckets[index].waiters, index)
}

/// Waits until the key is woken with a bitset that has a bit in common with `bitset`.
///
/// `check` is called with the bucket locked, so that no wake-up can come between it and the wait: it says
/// whether the word still has the value that the caller saw. It must not sleep (a fault is its error, which
/// comes back, and the caller brings the page in and tries again).
pub fn wait<E>(
    key: FutexKey,
    bitset: u32,
    wait: Wait,
    check: impl FnOnce() -> Result<bool, E>,
) -> Result<Ended, E> {
    let thread = current();
    let waiter = &thread.futex;
    {
        let mut waiters = bucket(key).0.lock();
        if !check()? {
            return Ok(Ended::Changed);
        }
        waiter.bitset.store(bitset, Relaxed);
        waiter.set_key(key);
        waiter.is_waiting.store(true, SeqCst);
        let inserted = waiters.insert(thread.to_arc(), key, ());
        debug_assert!(inserted.is_ok(), "a thread waits for two futexes");
    }
    let _timer = wait.deadline_ns.map(|deadline_ns| SleepTimer::arm(thread.to_arc(), deadline_ns));
    loop {
        thread.state.prepare(wait.interruptible);
        let end = if waiter.is_waiting.load(SeqCst) { wait.end(&thread) } else { None };
        if waiter.is_waiting.load(SeqCst) && end.is_none() {
            schedule::park();
            continue;
        }
        thread.state.cancel();
        return Ok(match end {
            Some(end) if withdraw(&thread) => match end {
                WaitError::Interrupted => Ended::Interrupted,
                WaitError::TimedOut => Ended::TimedOut,
            },
            _ => Ended::Woken,
        });
    }
}

/// Takes the thread out of its bucket; `false` if it has been woken.
fn withdraw(thread: &Thread) -> bool {
    loop {
        let mut waiters = bucket(thread.futex.key()).0.lock();
        if !thread.futex.is_waiting.load(SeqCst) {
            return false;
        }
        let found = waiters.remove(thread);
        drop(waiters);
        if found.is_some() {
            thread.futex.is_waiting.store(false, SeqCst);
            return true;
        }
        // It was moved to another key between the look at the key and the lock.
        cpu::spin_wait();
    }
}

/// Takes out the first waiter of `key` whose bitset matches.
fn pop(waiters: &mut Waiters, key: FutexKey, bitset: u32) -> Option<Arc<Thread>> {
    waiters.pop_where(Some(key), |thread, of| {
        if of != key {
            ControlFlow::Break(false)
        } else if thread.futex.bitset.load(Relaxed) & bitset != 0 {
            ControlFlow::Break(true)
        } else {
            ControlFlow::Continue(())
        }
    })
}

/// How many threads are woken for one locking of their bucket.
const BATCH: usize = 16;

/// Wakes up to `most` waiters of `key` whose bitsets have a bit in common with `bitset`, those first that
/// came first; returns how many.
pub fn wake(key: FutexKey, most: usize, bitset: u32) -> usize {
    let (bucket, _) = bucket(key);
    let mut woken = 0;
    while woken < most {
        let mut batch = ArrayVec::<Arc<Thread>, BATCH>::new();
        {
            let mut waiters = bucket.lock();
            while !batch.is_full() && woken + batch.len() < most {
                let Some(thread) = pop(&mut waiters, key, bitset) else { break };
                thread.futex.is_waiting.store(false, SeqCst);
                batch.push(thread);
            }
        }
        let is_last = batch.len() < BATCH;
        woken += batch.len();
        for thread in batch {
            schedule::wake(thread, false);
        }
        if is_last {
            break;
        }
    }
    woken
}

/// Wakes up to `most_woken` waiters of `from` and moves up to `most_moved` of the others to `to`, if
/// `check` says so with both keys' buckets locked (it compares the word of `from`, and must not sleep);
/// returns how many were woken and how many moved, or `None` if it did not.
pub fn requeue<E>(
    from: FutexKey,
    to: FutexKey,
    most_woken: usize,
    most_moved: usize,
    check: impl FnOnce() -> Result<bool, E>,
) -> Result<Option<(usize, usize)>, E> {
    let ((source, source_index), (target, target_index)) = (bucket(from), bucket(to));
    let (mut woken, mut moved) = (0, 0);
    // Two buckets are locked in the order of their numbers.
    let (mut first, mut second) = match source_index.cmp(&target_index) {
        core::cmp::Ordering::Equal => (source.lock(), None),
        core::cmp::Ordering::Less => (source.lock(), Some(target.lock_nested())),
        core::cmp::Ordering::Greater => {
            let target = target.lock();
            (source.lock_nested(), Some(target))
        }
    };
    if !check()? {
        return Ok(None);
    }
    while woken < most_woken
        && let Some(thread) = pop(&mut first, from, ANY)
    {
        thread.futex.is_waiting.store(false, SeqCst);
        schedule::wake(thread, false);
        woken += 1;
    }
    while from != to
        && moved < most_moved
        && let Some(thread) = pop(&mut first, from, ANY)
    {
        thread.futex.set_key(to);
        let waiters = second.as_mut().unwrap_or(&mut first);
        let inserted = waiters.insert(thread, to, ());
        debug_assert!(inserted.is_ok(), "a thread that was just taken out is in no bucket");
        moved += 1;
    }
    Ok(Some((woken, moved)))
}

//! A task: one thread of a process, as others see it. What only the thread itself uses is its [`Caller`](super::Caller).

use alloc::sync::{Arc, Weak};

use abi::signal::{SigSet, Signal};
use files::Credentials;
use machine::frame::OutOfMemory;
use machine::heap::try_arc;
use machine::sync::atomic::{AtomicI32, AtomicU64, Ordering};
use machine::sync::{Rank, SpinLock};
use threads::{Name, Thread};

use super::place::Place;
use super::users::Membership;
use super::{Pid, Process};
use crate::descriptors::Descriptors;
use crate::signal::Pending;

/// Bits of a thread's exit-work word that belong to this crate. The low eight are those of `threads`.
pub mod work {
    /// Something may be in the way of going on as before: a signal, an order to stop, the end.
    pub const ATTEND: u32 = 1 << 8;
}

/// One thread of a process.
pub struct Task {
    tid: AtomicI32,
    process: Arc<Process>,
    /// The kernel thread that runs it, from its start to its end. (The thread knows its task weakly.)
    thread: SpinLock<Option<Arc<Thread>>>,
    /// Blocked signals. Written by the thread itself only, so a sender may read without a lock: it looks after it has queued, the thread looks
    /// for signals after it has changed the mask, and one of the two sees the other.
    blocked: AtomicU64,
    /// Blocked signals that it waits for just now, and takes.
    awaited: AtomicU64,
    /// Signals for this thread alone.
    pub pending: SpinLock<Pending>,
    descriptors: SpinLock<Option<Arc<Descriptors>>>,
    place: SpinLock<Option<Arc<Place>>>,
    credentials: SpinLock<Arc<Credentials>>,
    /// Its place among its user's threads, until it ends.
    membership: SpinLock<Option<Membership>>,
    /// The address of a word that becomes 0 at the end, and a futex that is woken (set_tid_address(2)); 0 for none.
    pub clear_child_tid: AtomicU64,
    /// The list of held locks (set_robust_list(2)).
    pub robust_list: AtomicU64,
    /// When it was made, in nanoseconds since boot.
    pub start_ns: u64,
    /// Page faults that read nothing from a disk, and those that did.
    pub faults: [AtomicU64; 2],
}

/// What a new thread starts from.
pub struct NewTask {
    /// Its number.
    pub tid: Pid,
    /// Its process.
    pub process: Arc<Process>,
    /// Blocked signals.
    pub blocked: SigSet,
    /// Its descriptors.
    pub descriptors: Arc<Descriptors>,
    /// Its root and working directory.
    pub place: Arc<Place>,
    /// Its identity.
    pub credentials: Arc<Credentials>,
}

impl Task {
    /// A task that does not run yet.
    pub fn new(new: NewTask) -> Result<Arc<Self>, OutOfMemory> {
        let membership = Membership::new(new.process.namespaces.clone(), new.credentials.uid)?;
        try_arc(Self {
            tid: AtomicI32::new(new.tid),
            process: new.process,
            thread: SpinLock::new(Rank::Table, None),
            blocked: AtomicU64::new(new.blocked.0),
            awaited: AtomicU64::new(0),
            pending: SpinLock::new(Rank::Signal, Pending::new()),
            descriptors: SpinLock::new(Rank::Table, Some(new.descriptors)),
            place: SpinLock::new(Rank::Table, Some(new.place)),
            credentials: SpinLock::new(Rank::Table, new.credentials),
            membership: SpinLock::new(Rank::Table, Some(membership)),
            clear_child_tid: AtomicU64::new(0),
            robust_list: AtomicU64::new(0),
            start_ns: machine::clock::now_ns(),
            faults: [const { AtomicU64::new(0) }; 2],
        })
    }

    /// The task that the calling kernel thread runs, if it runs one.
    pub fn current() -> Option<Arc<Self>> {
        threads::try_current()?.owner()
    }

    /// Its number.
    #[inline]
    pub fn tid(&self) -> Pid {
        self.tid.load(Ordering::Relaxed)
    }

    /// Gives it the number of its process: it is the one thread that is left after execve(2).
    pub fn become_leader(&self) {
        self.tid.store(self.process.pid(), Ordering::Relaxed);
    }

    /// Its process.
    #[inline]
    pub fn process(&self) -> &Arc<Process> {
        &self.process
    }

    /// The kernel thread that runs it, while it runs.
    pub fn thread(&self) -> Option<Arc<Thread>> {
        self.thread.lock().clone()
    }

    /// Its name, for people.
    pub fn name(&self) -> Name {
        self.thread().map_or_else(Name::new, |thread| thread.name())
    }

    /// Ties it to the calling kernel thread, which runs it from now on.
    pub fn begin(self: &Arc<Self>) {
        let thread = threads::current();
        let owner: Weak<Self> = Arc::downgrade(self);
        thread.set_owner(owner);
        *self.thread.lock() = Some(thread.to_arc());
    }

    /// The kernel thread has nothing more to do for it; its usage stays in the process's account.
    pub fn finish(&self) {
        let thread = self.thread.lock().take();
        drop(thread);
    }

    /// The blocked signals.
    #[inline]
    pub fn blocked(&self) -> SigSet {
        SigSet(self.blocked.load(Ordering::SeqCst))
    }

    /// Sets the blocked signals. For the thread itself; it then looks whether something can be delivered.
    pub fn set_blocked(&self, set: SigSet) {
        self.blocked.store(set.difference(SigSet::UNBLOCKABLE).0, Ordering::SeqCst);
    }

    /// Has it take the signals of `set` even where they are blocked, while it waits for them (sigtimedwait(2)).
    pub fn set_awaited(&self, set: SigSet) {
        self.awaited.store(set.0, Ordering::SeqCst);
    }

    /// Whether it would take `signal` now, by a handler or because it waits for it.
    pub fn takes(&self, signal: Signal) -> bool {
        !self.blocked().contains(signal) || SigSet(self.awaited.load(Ordering::SeqCst)).contains(signal)
    }

    /// Has it look at signals, stopping and ending soon, out of a wait if it is in one that can be interrupted.
    pub fn attend(&self) {
        if let Some(thread) = self.thread() {
            thread.work().fetch_or(work::ATTEND, Ordering::SeqCst);
            thread.interrupt();
        }
    }

    /// Its descriptors, while it has not ended.
    pub fn descriptors(&self) -> Option<Arc<Descriptors>> {
        self.descriptors.lock().clone()
    }

    /// Gives it other descriptors, or takes them away at its end; the old ones come back to be dropped with no lock held.
    pub fn set_descriptors(&self, descriptors: Option<Arc<Descriptors>>) -> Option<Arc<Descriptors>> {
        core::mem::replace(&mut *self.descriptors.lock(), descriptors)
    }

    /// Its root and working directory, while it has not ended.
    pub fn place(&self) -> Option<Arc<Place>> {
        self.place.lock().clone()
    }

    /// Gives it another place, or takes it away at its end; the old one comes back.
    pub fn set_place(&self, place: Option<Arc<Place>>) -> Option<Arc<Place>> {
        core::mem::replace(&mut *self.place.lock(), place)
    }

    /// Its identity.
    pub fn credentials(&self) -> Arc<Credentials> {
        self.credentials.lock().clone()
    }

    /// Takes it out of its user's threads, at its end.
    pub fn leave_user(&self) -> Option<Membership> {
        self.membership.lock().take()
    }

    /// Gives it another identity: refused only when it is another real user's.
    pub fn set_credentials(&self, credentials: Arc<Credentials>) -> Result<(), OutOfMemory> {
        let uid = credentials.uid;
        if self.membership.lock().as_ref().is_some_and(|membership| membership.uid() != uid) {
            let moved = Membership::new(self.process.namespaces.clone(), uid)?;
            let left = self.membership.lock().replace(moved);
            drop(left);
        }
        let old = core::mem::replace(&mut *self.credentials.lock(), credentials);
        drop(old);
        Ok(())
    }
}

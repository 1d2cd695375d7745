//! An item of an epoll instance: a file, what of it is wanted, and its way onto the ready list.

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::SeqCst};

use machine::frame::OutOfMemory;
use machine::heap::try_arc;
use machine::list::{Link, Linked, List};
use machine::sync::{Irq, Rank, SpinLock};

use super::epoll::Interest;
use super::source::{PollSource, Watch};
use super::waiter::Waiter;
use super::{Events, Pollable};
use crate::wait::WaitQueue;

/// What items refer to.
pub(super) struct Core {
    pub ready: SpinLock<List<Item, Ready>, Irq>,
    pub waiters: WaitQueue,
    pub source: PollSource,
    notified: Link<Core, Notified>,
    /// Epoll instances on the longest way down from here, this one included. Never shrinks.
    pub height: AtomicU32,
}

/// Tag of the link by which an instance waits for its own watchers to be told.
pub(super) struct Notified;
/// Tag of the link by which an item is on the ready list.
pub(super) struct Ready;

impl Linked<Notified> for Core {
    fn link(&self) -> &Link<Self, Notified> {
        &self.notified
    }
}

/// A file in the set.
pub(super) struct Item {
    ready: Link<Item, Ready>,
    again: Link<Item, Again>,
    core: Arc<Core>,
    /// Not counted: closing the file takes the item out.
    file: Weak<dyn Pollable>,
    events: AtomicU32,
    flags: AtomicU32,
    data: AtomicU64,
    /// A one-shot item that has been reported.
    is_spent: AtomicBool,
    watches: SpinLock<Vec<Arc<Watch>>>,
}

const EDGE: u32 = 1;
const ONE_SHOT: u32 = 2;
const EXCLUSIVE: u32 = 4;

impl Linked<Ready> for Item {
    fn link(&self) -> &Link<Self, Ready> {
        &self.ready
    }
}

/// Tag of the link by which a collector keeps an item that stays ready.
pub(super) struct Again;

impl Linked<Again> for Item {
    fn link(&self) -> &Link<Self, Again> {
        &self.again
    }
}

impl Item {
    /// An item without subscriptions.
    pub fn new(
        core: Arc<Core>,
        file: &Arc<dyn Pollable>,
        interest: Interest,
    ) -> Result<Arc<Self>, OutOfMemory> {
        let item = Self {
            ready: Link::new(),
            again: Link::new(),
            core,
            file: Arc::downgrade(file),
            events: AtomicU32::new(0),
            flags: AtomicU32::new(0),
            data: AtomicU64::new(0),
            is_spent: AtomicBool::new(false),
            watches: SpinLock::new(Rank::Stream, Vec::new()),
        };
        item.set(interest);
        try_arc(item)
    }

    /// Sets what is wanted, from now on; a one-shot item reports again.
    pub fn set(&self, interest: Interest) {
        let flag = |is_set: bool, flag: u32| if is_set { flag } else { 0 };
        self.events.store(interest.events.bits(), SeqCst);
        self.flags.store(
            flag(interest.is_edge, EDGE)
                | flag(interest.is_one_shot, ONE_SHOT)
                | flag(interest.is_exclusive, EXCLUSIVE),
            SeqCst,
        );
        self.data.store(interest.data, SeqCst);
        self.is_spent.store(false, SeqCst);
    }

    fn events(&self) -> Events {
        Events::from_bits_truncate(self.events.load(SeqCst))
    }

    /// What the program wants back with an event.
    pub fn data(&self) -> u64 {
        self.data.load(SeqCst)
    }

    /// Whether the file is still open.
    pub fn is_open(&self) -> bool {
        self.file.strong_count() > 0
    }

    /// Puts other subscriptions in the place of those that there are.
    pub fn subscribe(&self, watches: Vec<Arc<Watch>>) {
        let old = core::mem::replace(&mut *self.watches.lock(), watches);
        for watch in old {
            watch.end();
        }
    }

    /// The item has been reported: whether it stays ready.
    pub fn note_reported(&self) -> bool {
        if self.has(ONE_SHOT) {
            self.is_spent.store(true, SeqCst);
            return false;
        }
        !self.has(EDGE)
    }

    fn has(&self, flag: u32) -> bool {
        self.flags.load(SeqCst) & flag != 0
    }

    pub fn is_exclusive(&self) -> bool {
        self.has(EXCLUSIVE)
    }

    pub fn core(&self) -> &Arc<Core> {
        &self.core
    }

    /// Which of the item's events hold now.
    pub fn poll(&self, waiter: Option<&mut Waiter>) -> Events {
        let interest = self.events() | Events::ALWAYS;
        match self.file.upgrade() {
            Some(file) if !self.is_spent.load(SeqCst) => file.poll(interest, waiter) & interest,
            _ => Events::empty(),
        }
    }

    /// A source of the item has something to say. Returns the instance if it became readable by that.
    pub fn tell(self: &Arc<Self>) -> Option<Arc<Core>> {
        if self.is_spent.load(SeqCst) || !self.core.make_ready(self.clone()) {
            return None;
        }
        self.core.source.is_watched().then(|| self.core.clone())
    }

    /// Ends the subscriptions, and takes the item off the ready list.
    pub fn leave(&self) {
        self.subscribe(Vec::new());
        let own = self.core.ready.lock().remove(self);
        drop(own);
    }
}

impl Core {
    pub fn new() -> Self {
        Self {
            ready: SpinLock::new(Rank::WaitQueue, List::new()),
            waiters: WaitQueue::new(),
            source: PollSource::new(),
            notified: Link::new(),
            height: AtomicU32::new(1),
        }
    }

    /// Puts an item on the ready list and wakes somebody for it; `false` if it was there already.
    pub fn make_ready(&self, item: Arc<Item>) -> bool {
        let is_new = self.ready.lock().push_back(item).is_ok();
        if is_new {
            self.waiters.wake_one();
        }
        is_new
    }
}

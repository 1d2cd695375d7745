//! The side of an event's maker: a source, and those who watch it.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed, Ordering::SeqCst, fence};

use machine::frame::OutOfMemory;
use machine::heap::try_arc;
use machine::list::{Link, Linked, List};
use machine::sync::{Irq, Once, Rank, SpinLock};

use super::Events;
use super::item::{Core, Item, Notified};
use super::waiter::Sleeper;

/// Where those subscribe who wait for something to happen. Embedded in whatever it happens to; costs two
/// words until somebody does.
pub struct PollSource {
    watchers: Once<Arc<Watchers>>,
}

/// The subscriptions of a source. They refer to it too, so that they can leave.
pub(super) struct Watchers {
    /// As many as are in the list, to be seen without the lock.
    len: AtomicU32,
    list: SpinLock<List<Watch, InSource>, Irq>,
}

/// Tag of the link by which a subscription is in a source's list.
pub(super) struct InSource;

/// A subscription.
pub(super) struct Watch {
    link: Link<Watch, InSource>,
    source: Arc<Watchers>,
    interest: Events,
    target: Target,
}

/// Who is told.
pub(super) enum Target {
    /// A thread in poll(2) or select(2).
    Thread(Arc<Sleeper>),
    /// An item of an epoll instance.
    Item(Arc<Item>),
}

impl Linked<InSource> for Watch {
    fn link(&self) -> &Link<Self, InSource> {
        &self.link
    }
}

impl PollSource {
    /// A source that nobody watches.
    pub const fn new() -> Self {
        Self { watchers: Once::new() }
    }

    /// Tells everyone who is interested in one of `events` (or in what is always reported) that it holds
    /// now. Called after it has been made to hold, from any context, with or without locks below the rank
    /// of polling.
    #[inline]
    pub fn notify(&self, events: Events) {
        // Pairs with the subscriber, which enters the list and then looks at the state.
        fence(SeqCst);
        if let Some(watchers) = self.watchers.get()
            && watchers.len.load(SeqCst) != 0
        {
            watchers.notify(events);
        }
    }

    /// Whether somebody watches.
    pub fn is_watched(&self) -> bool {
        self.watchers.get().is_some_and(|watchers| watchers.len.load(Relaxed) != 0)
    }

    pub(super) fn watchers(&self) -> Result<&Arc<Watchers>, OutOfMemory> {
        loop {
            if let Some(watchers) = self.watchers.get() {
                return Ok(watchers);
            }
            let fresh = Watchers { len: AtomicU32::new(0), list: SpinLock::new(Rank::Poll, List::new()) };
            // If another subscriber was quicker, its list is the one.
            let _ = self.watchers.set(try_arc(fresh)?);
            machine::cpu::spin_wait();
        }
    }
}

impl Default for PollSource {
    fn default() -> Self {
        Self::new()
    }
}

impl Watch {
    /// Subscribes `target` to a source.
    pub fn new(source: &Arc<Watchers>, interest: Events, target: Target) -> Result<Arc<Self>, OutOfMemory> {
        let watch = try_arc(Self { link: Link::new(), source: source.clone(), interest, target })?;
        let mut list = source.list.lock();
        let entered = list.push_back(watch.clone());
        debug_assert!(entered.is_ok(), "a new subscription is in no list");
        source.len.store(list.len() as u32, SeqCst);
        drop(list);
        fence(SeqCst);
        Ok(watch)
    }

    /// Ends the subscription. A notification that has begun may still arrive.
    pub fn end(&self) {
        let mut list = self.source.list.lock();
        let own = list.remove(self);
        self.source.len.store(list.len() as u32, SeqCst);
        drop(list);
        drop(own);
    }
}

impl Watchers {
    fn notify(&self, events: Events) {
        let mut nested = List::new();
        self.tell(events, &mut nested);
        // Epoll instances that became readable, and those that watch them, and so on.
        while let Some(core) = nested.pop_front() {
            if let Some(watchers) = core.source.watchers.get() {
                watchers.tell(Events::IN | Events::RDNORM, &mut nested);
            }
        }
    }

    fn tell(&self, events: Events, nested: &mut List<Core, Notified>) {
        let list = self.list.lock();
        let mut is_exclusive_told = false;
        for watch in list.iter() {
            if !(watch.interest | Events::ALWAYS).intersects(events) {
                continue;
            }
            match &watch.target {
                Target::Thread(sleeper) => sleeper.tell(),
                Target::Item(item) => {
                    if item.is_exclusive() && core::mem::replace(&mut is_exclusive_told, true) {
                        continue;
                    }
                    if let Some(core) = item.tell() {
                        // One that another processor is about to work off will see the item as well.
                        let _ = nested.push_back(core);
                    }
                }
            }
        }
    }

    /// The epoll instances that watch this source.
    pub fn for_each_epoll(&self, mut visit: impl FnMut(&Arc<Core>)) {
        for watch in self.list.lock().iter() {
            if let Target::Item(item) = &watch.target {
                visit(item.core());
            }
        }
    }
}

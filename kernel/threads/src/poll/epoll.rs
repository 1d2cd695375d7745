//! Epoll: items that stay subscribed, and the list of those that are ready.
//!
//! An item goes on the ready list when one of its sources notifies it, and is polled only when somebody
//! collects. A level-triggered item stays on the list for as long as a poll finds events; an edge-triggered
//! one leaves it when it is reported; a one-shot item is not reported again before it is changed.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::Ordering::SeqCst;

use machine::frame::OutOfMemory;
use machine::heap::{Grow, try_arc, try_insert};
use machine::list::List;

use super::item::{Again, Core, Item};
use super::waiter::Waiter;
use super::{Events, Pollable};
use crate::mutex::Mutex;
use crate::wait::{Wait, WaitError};

/// How deep epoll instances may watch each other (Linux: `EP_MAX_NESTS` and one).
const MAX_HEIGHT: u32 = 5;

/// What an item is to report, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interest {
    /// Which events.
    pub events: Events,
    /// `EPOLLET`: once for each change.
    pub is_edge: bool,
    /// `EPOLLONESHOT`: once, until it is changed.
    pub is_one_shot: bool,
    /// `EPOLLEXCLUSIVE`: of the exclusive items on one source, an event is told to one.
    pub is_exclusive: bool,
    /// What the program wants back.
    pub data: u64,
}

/// Why an item could not be added or changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddError {
    /// It is there already (`EEXIST`).
    Exists,
    /// It is not there (`ENOENT`).
    Missing,
    /// Epoll instances would watch each other in a circle, or too deep (`ELOOP`).
    Loop,
    /// An instance cannot watch itself, and an exclusive item cannot be changed (`EINVAL`).
    Invalid,
    /// There was no memory (`ENOMEM`).
    OutOfMemory,
}

impl From<OutOfMemory> for AddError {
    fn from(_: OutOfMemory) -> Self {
        Self::OutOfMemory
    }
}

/// A set of files to be waited for.
pub struct Epoll {
    items: Mutex<BTreeMap<Key, Arc<Item>>>,
    core: Arc<Core>,
}

/// Descriptor number, and the identity of the open file behind it: the same number can come to mean another
/// file while the old one lives on.
type Key = (u64, usize);

/// Held while instances are put into each other, so that two that are at once cannot make a circle.
static NESTING: Mutex<()> = Mutex::new(());

impl Epoll {
    /// An empty set.
    pub fn new() -> Result<Self, OutOfMemory> {
        Ok(Self { items: Mutex::new(BTreeMap::new()), core: try_arc(Core::new())? })
    }

    fn key(descriptor: u64, file: &Arc<dyn Pollable>) -> Key {
        (descriptor, Arc::as_ptr(file).cast::<()>() as usize)
    }

    /// Adds a file under its descriptor number. May sleep.
    pub fn add(&self, descriptor: u64, file: &Arc<dyn Pollable>, interest: Interest) -> Result<(), AddError> {
        let _nesting = match file.as_epoll() {
            Some(other) => Some(self.admit(other)?),
            None => None,
        };
        let key = Self::key(descriptor, file);
        let mut items = self.items.lock();
        if items.get(&key).is_some_and(|item| item.is_open()) {
            return Err(AddError::Exists);
        }
        let item = Item::new(self.core.clone(), file, interest)?;
        let mut waiter = Waiter::for_item(item.clone());
        let found = item.poll(Some(&mut waiter));
        if waiter.has_failed() {
            item.leave();
            return Err(AddError::OutOfMemory);
        }
        item.subscribe(waiter.take());
        let old = try_insert(&mut items, key, item.clone());
        if old.is_err() {
            // What watches for the item would keep it.
            item.leave();
        }
        if let Some(old) = old? {
            // A file that has been closed, at the same place in memory.
            old.leave();
        }
        drop(items);
        self.report_if(found, item);
        Ok(())
    }

    /// Changes what an item reports, and makes a one-shot item report again. May sleep.
    pub fn modify(
        &self,
        descriptor: u64,
        file: &Arc<dyn Pollable>,
        interest: Interest,
    ) -> Result<(), AddError> {
        let item = self.items.lock().get(&Self::key(descriptor, file)).cloned().ok_or(AddError::Missing)?;
        if item.is_exclusive() || interest.is_exclusive {
            return Err(AddError::Invalid);
        }
        // The subscriptions' own interest is that of the time when they were made.
        let mut waiter = Waiter::for_item(item.clone());
        item.set(interest);
        let found = item.poll(Some(&mut waiter));
        if waiter.has_failed() {
            return Err(AddError::OutOfMemory);
        }
        item.subscribe(waiter.take());
        self.report_if(found, item);
        Ok(())
    }

    /// Takes a file out. May sleep.
    pub fn remove(&self, descriptor: u64, file: &Arc<dyn Pollable>) -> Result<(), AddError> {
        let item = self.items.lock().remove(&Self::key(descriptor, file)).ok_or(AddError::Missing)?;
        item.leave();
        Ok(())
    }

    fn report_if(&self, found: Events, item: Arc<Item>) {
        if !found.is_empty() && self.core.make_ready(item) {
            self.core.source.notify(Events::IN | Events::RDNORM);
        }
    }

    /// Makes sure that this instance may watch `other`: that nobody up from here is `other`, and that it
    /// does not become too deep.
    fn admit(&self, other: &Epoll) -> Result<crate::MutexGuard<'static, ()>, AddError> {
        if Arc::ptr_eq(&self.core, &other.core) {
            return Err(AddError::Invalid);
        }
        let guard = NESTING.lock();
        // Instances and the height that they would have; those on the way up that are not raised need no
        // second visit.
        let mut raised: Vec<(Arc<Core>, u32)> = Vec::new();
        let mut next = 0;
        raised.try_grow(1)?;
        raised.push((self.core.clone(), other.core.height.load(SeqCst) + 1));
        while let Some((core, height)) = raised.get(next).cloned() {
            next += 1;
            if Arc::ptr_eq(&core, &other.core) || height > MAX_HEIGHT {
                return Err(AddError::Loop);
            }
            if !core.source.is_watched() {
                continue;
            }
            let watchers = core.source.watchers()?;
            let mut has_room = true;
            watchers.for_each_epoll(|above| {
                has_room &= raised.try_grow(1).is_ok();
                if has_room {
                    raised.push((above.clone(), height + 1));
                }
            });
            if !has_room {
                return Err(AddError::OutOfMemory);
            }
        }
        for (core, height) in raised {
            core.height.fetch_max(height, SeqCst);
        }
        Ok(guard)
    }

    /// Waits until something is ready and gives up to `most` of it to `report`, which says whether it could
    /// take it; returns how many it took: none if it could not take the first. May sleep.
    pub fn wait(
        &self,
        most: usize,
        wait: Wait,
        mut report: impl FnMut(Events, u64) -> bool,
    ) -> Result<usize, WaitError> {
        loop {
            let mut is_refused = false;
            let mut tell = |events, data| {
                is_refused = !report(events, data);
                !is_refused
            };
            let found = self.collect(most, &mut tell);
            // What was refused is still ready: waiting for it would never end.
            if found > 0 || is_refused {
                return Ok(found);
            }
            self.core.waiters.wait_until(wait, || (!self.core.ready.lock().is_empty()).then_some(()))?;
        }
    }

    /// Gives up to `most` of what is ready now to `report`; returns how many it took.
    pub fn collect(&self, most: usize, report: &mut impl FnMut(Events, u64) -> bool) -> usize {
        let mut again = List::<Item, Again>::new();
        let mut found = 0;
        let mut looks = self.core.ready.lock().len();
        while found < most && looks > 0 {
            looks -= 1;
            let Some(item) = self.core.ready.lock().pop_front() else { break };
            let events = item.poll(None);
            if events.is_empty() {
                continue;
            }
            if !report(events, item.data()) {
                // What could not be told stays ready.
                let _ = self.core.ready.lock().push_front(item);
                break;
            }
            found += 1;
            if item.note_reported() {
                let _ = again.push_back(item);
            }
        }
        self.keep_ready(again);
        found
    }
}

impl Epoll {
    /// Puts level-triggered items that were reported back at the end of the ready list: the next collector
    /// polls them again.
    fn keep_ready(&self, mut again: List<Item, Again>) {
        if again.is_empty() {
            return;
        }
        while let Some(item) = again.pop_front() {
            // One that has been notified meanwhile is there already.
            let _ = self.core.ready.lock().push_back(item);
        }
        self.core.waiters.wake_one();
    }

    /// Whether something on the ready list is ready indeed; what is not is taken off.
    fn has_ready(&self) -> bool {
        let mut looks = self.core.ready.lock().len();
        while looks > 0 {
            looks -= 1;
            let Some(item) = self.core.ready.lock().pop_front() else { break };
            if !item.poll(None).is_empty() {
                let _ = self.core.ready.lock().push_front(item);
                return true;
            }
        }
        false
    }
}

impl Pollable for Epoll {
    /// An instance that watches another calls this for it: as deep as [`Epoll::add`] admits.
    fn poll(&self, interest: Events, waiter: Option<&mut Waiter>) -> Events {
        if let Some(waiter) = waiter {
            waiter.watch(&self.core.source, interest);
        }
        if self.has_ready() { (Events::IN | Events::RDNORM) & interest } else { Events::empty() }
    }

    fn as_epoll(&self) -> Option<&Epoll> {
        Some(self)
    }
}

impl Drop for Epoll {
    fn drop(&mut self) {
        // Items refer to the core, which their sources refer to.
        for item in self.items.get_mut().values() {
            item.leave();
        }
    }
}

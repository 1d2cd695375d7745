//! The side of whoever waits: a thread in poll(2), or an item of an epoll instance being added.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering::SeqCst};

use super::Events;
use super::item::Item;
use super::source::{PollSource, Target, Watch};
use crate::schedule;
use crate::thread::{Thread, current};
use crate::time::SleepTimer;
use crate::wait::{Wait, WaitError};
use machine::frame::OutOfMemory;
use machine::heap::{Grow, try_arc};

/// Collects subscriptions, and waits until one of them is notified. They end when it is dropped.
///
/// poll(2) is: poll everything with the waiter; if nothing holds, [`wait`](Self::wait), poll everything
/// without it, and so on.
pub struct Waiter {
    target: Target,
    watches: Vec<Arc<Watch>>,
    has_failed: bool,
}

/// A thread that a notification wakes.
pub(super) struct Sleeper {
    thread: Arc<Thread>,
    is_told: AtomicBool,
}

impl Sleeper {
    pub fn tell(&self) {
        if !self.is_told.swap(true, SeqCst) {
            schedule::wake(self.thread.clone(), false);
        }
    }
}

impl Waiter {
    /// A waiter for the current thread, without subscriptions, if there is memory for it.
    pub fn new() -> Result<Self, OutOfMemory> {
        let sleeper = Sleeper { thread: current().to_arc(), is_told: AtomicBool::new(false) };
        Ok(Self { target: Target::Thread(try_arc(sleeper)?), watches: Vec::new(), has_failed: false })
    }

    /// A waiter that subscribes an item of an epoll instance.
    pub(super) fn for_item(item: Arc<Item>) -> Self {
        Self { target: Target::Item(item), watches: Vec::new(), has_failed: false }
    }

    /// Subscribes to `source`. Called by implementations of [`Pollable::poll`](super::Pollable::poll)
    /// before they look at their state.
    pub fn watch(&mut self, source: &PollSource, interest: Events) {
        self.has_failed |= self.try_watch(source, interest).is_err();
    }

    fn try_watch(&mut self, source: &PollSource, interest: Events) -> Result<(), OutOfMemory> {
        self.watches.try_grow(1)?;
        let target = match &self.target {
            Target::Thread(sleeper) => Target::Thread(sleeper.clone()),
            Target::Item(item) => Target::Item(item.clone()),
        };
        self.watches.push(Watch::new(source.watchers()?, interest, target)?);
        Ok(())
    }

    /// Whether a subscription could not be made for want of memory; then waiting might not end.
    pub fn has_failed(&self) -> bool {
        self.has_failed
    }

    /// Waits until one of the subscriptions has been notified since the last call (or since it was made).
    pub fn wait(&mut self, wait: Wait) -> Result<(), WaitError> {
        let Target::Thread(sleeper) = &self.target else { return Ok(()) };
        let thread = &sleeper.thread;
        let _timer = wait.deadline_ns.map(|deadline_ns| SleepTimer::arm(thread.clone(), deadline_ns));
        loop {
            thread.state.prepare(wait.interruptible);
            let outcome =
                if sleeper.is_told.swap(false, SeqCst) { Some(Ok(())) } else { wait.end(thread).map(Err) };
            if let Some(outcome) = outcome {
                thread.state.cancel();
                return outcome;
            }
            schedule::park();
        }
    }

    /// Hands the subscriptions over to whoever will end them.
    pub(super) fn take(&mut self) -> Vec<Arc<Watch>> {
        core::mem::take(&mut self.watches)
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        for watch in &self.watches {
            watch.end();
        }
    }
}

//! Counters to wait for (eventfd(2)).

use alloc::sync::Arc;

use abi::Errno;
use abi::fcntl::OpenFlags;
use abi::notify::EventfdFlags;
use machine::frame::OutOfMemory;
use machine::heap::try_arc;
use machine::sync::{Rank, SpinLock};
use memory::{Sink, Source};
use threads::poll::{Events, PollSource, Pollable, Waiter};
use threads::{Wait, WaitQueue};

use crate::anonymous::AnonymousInode;
use crate::file::{Abilities, File, Positioning, Transfer};
use crate::open_file::OpenFile;

/// The largest value that the counter can have.
const VALUE_MAX: u64 = u64::MAX - 1;

struct EventFile {
    value: SpinLock<u64>,
    is_semaphore: bool,
    readable: WaitQueue,
    writable: WaitQueue,
    events: PollSource,
}

/// eventfd2(2): a counter that begins at `value`.
pub fn create(value: u32, flags: EventfdFlags) -> Result<Arc<OpenFile>, OutOfMemory> {
    let file = EventFile {
        value: SpinLock::new(Rank::Stream, u64::from(value)),
        is_semaphore: flags.contains(EventfdFlags::SEMAPHORE),
        readable: WaitQueue::new(),
        writable: WaitQueue::new(),
        events: PollSource::new(),
    };
    let mut open = OpenFlags::RDWR;
    open.set(OpenFlags::NONBLOCK, flags.contains(EventfdFlags::NONBLOCK));
    OpenFile::anonymous(try_arc(file)?, AnonymousInode::labelled("[eventfd]")?, open)
}

impl EventFile {
    fn take(&self) -> Option<u64> {
        let mut value = self.value.lock();
        match *value {
            0 => None,
            _ if self.is_semaphore => {
                *value -= 1;
                Some(1)
            }
            all => {
                *value = 0;
                Some(all)
            }
        }
    }

    fn add(&self, count: u64) -> Option<()> {
        let mut value = self.value.lock();
        *value = value.checked_add(count).filter(|sum| *sum <= VALUE_MAX)?;
        Some(())
    }
}

impl Pollable for EventFile {
    fn poll(&self, interest: Events, waiter: Option<&mut Waiter>) -> Events {
        if let Some(waiter) = waiter {
            waiter.watch(&self.events, interest);
        }
        let value = *self.value.lock();
        let mut ready = Events::empty();
        ready.set(Events::IN, value > 0);
        ready.set(Events::OUT, value < VALUE_MAX);
        ready & interest
    }
}

impl File for EventFile {
    /// Eight bytes: the value, or 1 of a semaphore. EINVAL for a shorter buffer.
    fn read(&self, into: &mut dyn Sink, how: &mut Transfer) -> Result<usize, Errno> {
        if into.remaining() < size_of::<u64>() {
            return Err(Errno::EINVAL);
        }
        let value = match self.take() {
            Some(value) => value,
            None if how.is_nonblocking => return Err(Errno::EAGAIN),
            None => {
                self.readable.wait_until(Wait::INTERRUPTIBLE, || self.take()).map_err(|_| Errno::EINTR)?
            }
        };
        self.writable.wake_all();
        self.events.notify(Events::OUT);
        // A semaphore may hold enough for another reader.
        if self.is_semaphore {
            self.readable.wake_one();
        }
        into.write(&value.to_ne_bytes())
    }

    /// Eight bytes: how much to add. EINVAL for any other number of them, and for 2^64 - 1.
    fn write(&self, from: &mut dyn Source, how: &mut Transfer) -> Result<usize, Errno> {
        let mut bytes = [0; size_of::<u64>()];
        if from.remaining() != bytes.len() {
            return Err(Errno::EINVAL);
        }
        if from.read(&mut bytes)? < bytes.len() {
            return Err(Errno::EFAULT);
        }
        let count = u64::from_ne_bytes(bytes);
        if count == u64::MAX {
            return Err(Errno::EINVAL);
        }
        if self.add(count).is_none() {
            if how.is_nonblocking {
                return Err(Errno::EAGAIN);
            }
            self.writable.wait_until(Wait::INTERRUPTIBLE, || self.add(count)).map_err(|_| Errno::EINTR)?;
        }
        self.readable.wake_all();
        self.events.notify(Events::IN);
        Ok(bytes.len())
    }

    fn positioning(&self) -> Positioning {
        Positioning::Nowhere
    }

    fn abilities(&self) -> Abilities {
        Abilities::UNSPLICED
    }
}

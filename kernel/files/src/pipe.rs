//! Pipes and FIFOs (pipe(7), fifo(7)): a ring of pages between writers and readers.
//!
//! Bytes are copied once from the writer into a page and once from the page to the reader; splice(2) moves pages. A side is
//! woken only when the ring stops being empty (or full); whoever was woken and leaves something wakes the next.
//!
//! | who | holds | waits for |
//! |---|---|---|
//! | reader | the ring's mutex while it copies | `ready_to_read`: something in the ring, or no writer |
//! | writer | the ring's mutex while it copies | `ready_to_write`: a free place in the ring, or no reader |
//!
//! What is waited for is told by atomic counters, so the wait's condition takes no lock.

mod fifo;
mod inode;
mod ring;
mod splicing;
#[cfg(test)]
mod tests;

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU32, Ordering};

use abi::Errno;
use abi::capability::CAP_SYS_RESOURCE;
use abi::fcntl::OpenFlags;
use abi::ioctl::FIONREAD;
use machine::address::PAGE_SIZE;
use machine::frame::OutOfMemory;
use machine::heap::try_arc;
use memory::{Sink, Source};
use threads::poll::{Events, PollSource, Pollable, Waiter};
use threads::{Mutex, Wait, WaitQueue};

use crate::credentials::Credentials;
use crate::file::{Abilities, File, IoctlArgument, Transfer};
use crate::open_file::OpenFile;

pub use fifo::open_fifo;
use inode::PipeInode;
use ring::Ring;

/// Pages that a new pipe holds (pipe(7)).
pub const DEFAULT_PAGES: usize = 16;
/// Bytes that a process without CAP_SYS_RESOURCE can make a pipe hold (/proc/sys/fs/pipe-max-size).
pub const SIZE_MAX_BYTES: usize = 1 << 20;

/// A pipe. Both ends hold it.
pub struct Pipe {
    ring: Mutex<Ring>,
    /// Places of the ring that are in use, and how many there are: copies that waiters look at without the mutex.
    filled: AtomicU32,
    places: AtomicU32,
    readers: AtomicU32,
    writers: AtomicU32,
    /// How often an end has been opened: an opener of a FIFO waits for a change, so that it notices a partner that has gone again.
    reader_opens: AtomicU32,
    writer_opens: AtomicU32,
    ready_to_read: WaitQueue,
    ready_to_write: WaitQueue,
    opened: WaitQueue,
    read_events: PollSource,
    write_events: PollSource,
}

/// One end of a pipe, or both (a FIFO opened for reading and writing).
pub struct PipeEnd {
    pipe: Arc<Pipe>,
    reads: bool,
    writes: bool,
    /// How often a writer had come when this end was opened: until one more comes, no writer means no hang-up yet.
    writers_before: u32,
}

impl Pipe {
    /// An empty pipe that nobody has open, if there is memory for it.
    pub fn new() -> Result<Arc<Self>, OutOfMemory> {
        try_arc(Self {
            ring: Mutex::new(Ring::new(DEFAULT_PAGES)),
            filled: AtomicU32::new(0),
            places: AtomicU32::new(DEFAULT_PAGES as u32),
            readers: AtomicU32::new(0),
            writers: AtomicU32::new(0),
            reader_opens: AtomicU32::new(0),
            writer_opens: AtomicU32::new(0),
            ready_to_read: WaitQueue::new(),
            ready_to_write: WaitQueue::new(),
            opened: WaitQueue::new(),
            read_events: PollSource::new(),
            write_events: PollSource::new(),
        })
    }

    /// An end of `pipe`.
    fn end(self: &Arc<Self>, reads: bool, writes: bool) -> PipeEnd {
        let writers_before = self.writer_opens.load(Ordering::SeqCst);
        if reads {
            self.readers.fetch_add(1, Ordering::SeqCst);
            self.reader_opens.fetch_add(1, Ordering::SeqCst);
        }
        if writes {
            self.writers.fetch_add(1, Ordering::SeqCst);
            self.writer_opens.fetch_add(1, Ordering::SeqCst);
        }
        PipeEnd { pipe: Arc::clone(self), reads, writes, writers_before }
    }

    #[inline]
    fn is_empty(&self) -> bool {
        self.filled.load(Ordering::Acquire) == 0
    }

    #[inline]
    fn is_full(&self) -> bool {
        self.filled.load(Ordering::Acquire) >= self.places.load(Ordering::Acquire)
    }

    #[inline]
    pub(crate) fn has_readers(&self) -> bool {
        self.readers.load(Ordering::Acquire) != 0
    }

    #[inline]
    fn has_writers(&self) -> bool {
        self.writers.load(Ordering::Acquire) != 0
    }

    /// Publishes what the ring looks like after a change, with its mutex held; returns how it looked before.
    fn publish(&self, ring: &Ring) -> (bool, bool) {
        let before = (self.is_empty(), self.is_full());
        self.places.store(ring.places() as u32, Ordering::Release);
        self.filled.store(ring.len() as u32, Ordering::Release);
        before
    }

    /// Wakes whoever can go on after the ring changed.
    fn wake(&self, (was_empty, was_full): (bool, bool)) {
        if was_empty && !self.is_empty() {
            self.ready_to_read.wake_one();
            self.read_events.notify(Events::IN | Events::RDNORM);
        }
        if was_full && !self.is_full() {
            self.ready_to_write.wake_one();
            self.write_events.notify(Events::OUT | Events::WRNORM);
        }
    }

    /// As [`wake`](Self::wake), after `count` bytes have come. Whoever watches for edges is told of each arrival, even behind
    /// bytes that nobody has read yet (epoll(7), EPOLLET).
    fn wake_for_arrival(&self, before: (bool, bool), count: usize) {
        self.wake(before);
        if !before.0 && count > 0 && self.read_events.is_watched() {
            self.read_events.notify(Events::IN | Events::RDNORM);
        }
    }

    fn read(&self, into: &mut dyn Sink, is_nonblocking: bool) -> Result<usize, Errno> {
        if into.remaining() == 0 {
            return Ok(0);
        }
        loop {
            if !self.is_empty() {
                let mut ring = self.ring.lock();
                let result = ring.read(into);
                let before = self.publish(&ring);
                drop(ring);
                self.wake(before);
                match result {
                    // Another reader was quicker.
                    Ok(0) => {}
                    Ok(done) => {
                        // This reader may have been woken alone for what was enough for two.
                        if !self.is_empty() {
                            self.ready_to_read.wake_one();
                        }
                        return Ok(done);
                    }
                    Err(error) => {
                        self.ready_to_read.wake_one();
                        return Err(error);
                    }
                }
            }
            if !self.has_writers() && self.is_empty() {
                return Ok(0);
            }
            if is_nonblocking {
                if self.is_empty() {
                    return Err(Errno::EAGAIN);
                }
                continue;
            }
            let ready = || (!self.is_empty() || !self.has_writers()).then_some(());
            self.ready_to_read.wait_until(Wait::INTERRUPTIBLE, ready).map_err(|_| Errno::EINTR)?;
        }
    }

    fn write(&self, from: &mut dyn Source, is_nonblocking: bool, is_packet: bool) -> Result<usize, Errno> {
        if from.remaining() == 0 {
            return Ok(0);
        }
        let mut done = 0;
        loop {
            if !self.has_readers() {
                return if done > 0 { Ok(done) } else { Err(Errno::EPIPE) };
            }
            let mut ring = self.ring.lock();
            let result = ring.write(from, done == 0, is_packet);
            let was_filled = ring.len() >= ring.places();
            let before = self.publish(&ring);
            drop(ring);
            self.wake_for_arrival(before, result.unwrap_or(0));
            match result {
                Ok(count) => done += count,
                Err(error) => return if done > 0 { Ok(done) } else { Err(error) },
            }
            // The ring takes all that it has room for: what is left although it is not full is memory that cannot be read.
            if from.remaining() == 0 || !was_filled {
                break;
            }
            if is_nonblocking {
                return if done > 0 { Ok(done) } else { Err(Errno::EAGAIN) };
            }
            let ready = || (!self.is_full() || !self.has_readers()).then_some(());
            if self.ready_to_write.wait_until(Wait::INTERRUPTIBLE, ready).is_err() {
                return if done > 0 { Ok(done) } else { Err(Errno::EINTR) };
            }
        }
        if !self.is_full() {
            self.ready_to_write.wake_one();
        }
        Ok(done)
    }

    /// Bytes in the pipe.
    pub fn bytes(&self) -> usize {
        self.ring.lock().bytes()
    }

    /// Bytes that the pipe can hold (F_GETPIPE_SZ).
    pub fn size(&self) -> usize {
        self.places.load(Ordering::Acquire) as usize * PAGE_SIZE
    }

    /// Changes how much the pipe holds (F_SETPIPE_SZ), rounded up to a power of two of pages: EBUSY below what is in it,
    /// EPERM above [`SIZE_MAX_BYTES`] unless `may_exceed`. Returns the new size.
    pub fn resize(&self, bytes: usize, may_exceed: bool) -> Result<usize, Errno> {
        if bytes > 1 << 31 {
            return Err(Errno::EINVAL);
        }
        let pages = bytes.div_ceil(PAGE_SIZE).max(1).checked_next_power_of_two().ok_or(Errno::EINVAL)?;
        let places = self.places.load(Ordering::Acquire) as usize;
        if pages > places && pages * PAGE_SIZE > SIZE_MAX_BYTES && !may_exceed {
            return Err(Errno::EPERM);
        }
        let mut ring = self.ring.lock();
        ring.resize(pages)?;
        let before = self.publish(&ring);
        drop(ring);
        self.wake(before);
        Ok(pages * PAGE_SIZE)
    }
}

impl PipeEnd {
    /// The pipe.
    pub fn pipe(&self) -> &Arc<Pipe> {
        &self.pipe
    }

    /// F_GETPIPE_SZ.
    pub fn capacity(&self) -> usize {
        self.pipe.size()
    }

    /// F_SETPIPE_SZ, by a process with these credentials: see [`Pipe::resize`].
    pub fn set_capacity(&self, bytes: usize, credentials: &Credentials) -> Result<usize, Errno> {
        self.pipe.resize(bytes, credentials.has(CAP_SYS_RESOURCE))
    }

    /// Whether this end reads.
    pub fn can_read(&self) -> bool {
        self.reads
    }

    /// Whether this end writes.
    pub fn can_write(&self) -> bool {
        self.writes
    }
}

impl Drop for PipeEnd {
    fn drop(&mut self) {
        let pipe = &self.pipe;
        if self.writes && pipe.writers.fetch_sub(1, Ordering::SeqCst) == 1 {
            pipe.ready_to_read.wake_all();
            pipe.read_events.notify(Events::IN | Events::HUP);
        }
        if self.reads && pipe.readers.fetch_sub(1, Ordering::SeqCst) == 1 {
            pipe.ready_to_write.wake_all();
            pipe.write_events.notify(Events::OUT | Events::ERR);
        }
        if !pipe.has_readers() && !pipe.has_writers() {
            // What nobody has read when a FIFO is closed is gone (fifo(7)).
            let mut ring = pipe.ring.lock();
            if !pipe.has_readers() && !pipe.has_writers() {
                ring.clear();
                // It begins anew, as large as any; an empty ring that stays as it is does no harm.
                let _ = ring.resize(DEFAULT_PAGES);
                pipe.publish(&ring);
            }
        }
    }
}

impl Pollable for PipeEnd {
    fn poll(&self, interest: Events, mut waiter: Option<&mut Waiter>) -> Events {
        let pipe = &self.pipe;
        let mut ready = Events::empty();
        if self.reads {
            if let Some(waiter) = waiter.as_deref_mut() {
                waiter.watch(&pipe.read_events, interest);
            }
            if !pipe.is_empty() {
                ready |= Events::IN | Events::RDNORM;
            }
            let has_had_writer = pipe.writer_opens.load(Ordering::SeqCst) != self.writers_before;
            if !pipe.has_writers() && has_had_writer {
                ready |= Events::HUP;
            }
        }
        if self.writes {
            if let Some(waiter) = waiter {
                waiter.watch(&pipe.write_events, interest);
            }
            if !pipe.is_full() {
                ready |= Events::OUT | Events::WRNORM;
            }
            if !pipe.has_readers() {
                ready |= Events::ERR;
            }
        }
        ready & (interest | Events::ERR | Events::HUP)
    }
}

impl File for PipeEnd {
    fn read(&self, into: &mut dyn Sink, how: &mut Transfer) -> Result<usize, Errno> {
        self.pipe.read(into, how.is_nonblocking)
    }

    fn write(&self, from: &mut dyn Source, how: &mut Transfer) -> Result<usize, Errno> {
        self.pipe.write(from, how.is_nonblocking, how.is_packet)
    }

    fn ioctl(&self, request: u32, argument: &mut dyn IoctlArgument) -> Result<usize, Errno> {
        match request {
            FIONREAD => {
                argument.write(&(self.pipe.bytes() as i32).to_ne_bytes())?;
                Ok(0)
            }
            _ => Err(Errno::ENOTTY),
        }
    }

    fn abilities(&self) -> Abilities {
        Abilities { direct: true, ..Abilities::ALL }
    }

    fn as_pipe(&self) -> Option<&PipeEnd> {
        Some(self)
    }
}

/// pipe2(2): the reading and the writing end of a new pipe, owned by `uid` and `gid` for fstat(2). `flags` are
/// `O_NONBLOCK` and `O_DIRECT` (packets).
pub fn create(flags: OpenFlags, uid: u32, gid: u32) -> Result<(Arc<OpenFile>, Arc<OpenFile>), OutOfMemory> {
    let pipe = Pipe::new()?;
    let reader = try_arc(pipe.end(true, false))?;
    let writer = try_arc(pipe.end(false, true))?;
    let inode = PipeInode::new(&pipe, uid, gid)?;
    let place = crate::anonymous::path(crate::anonymous::Home::Pipes, inode)?;
    let flags = flags & (OpenFlags::NONBLOCK | OpenFlags::DIRECT);
    Ok((
        OpenFile::new(reader, place.clone(), flags, false)?,
        OpenFile::new(writer, place, flags | OpenFlags::WRONLY, false)?,
    ))
}

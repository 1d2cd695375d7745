//! What has been sent to one socket and not been received, and everything its two sides wait for.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicUsize, Ordering};

use abi::Errno;
use abi::socket::Ucred;
use machine::frame::OutOfMemory;
use machine::heap::{Grow, try_arc};
use machine::sync::{Rank, SpinLock};
use threads::WaitQueue;
use threads::poll::{Events, PollSource};

use super::address::Address;
use super::circles::hold_still;
use crate::open_file::OpenFile;

/// Bytes that wait for a receiver before senders do (`net.core.wmem_default`).
pub(super) const BYTES_MAX: usize = 212_992;
/// The longest datagram or packet: what a sender may have on its way, less what Linux counts for the message itself
/// (`unix_dgram_sendmsg`).
pub(super) const MESSAGE_MAX: usize = BYTES_MAX - 32;
/// Datagrams that wait (`net.unix.max_dgram_qlen`).
pub(super) const DATAGRAMS_MAX: usize = 10;

/// One send.
pub(super) struct Packet {
    pub(super) bytes: Vec<u8>,
    /// Bytes that have been received already (streams).
    pub(super) start: usize,
    pub(super) rights: Vec<Arc<OpenFile>>,
    pub(super) credentials: Ucred,
    pub(super) from: Address,
}

impl Packet {
    pub(super) fn rest(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }
}

/// A socket's identity and its inbox, which its peer refers to as well. It refers to no socket, so two that are connected do not
/// keep each other alive.
pub(super) struct Side {
    pub(super) packets: SpinLock<VecDeque<Packet>>,
    /// Bytes and packets in the inbox, for conditions that take no lock.
    pub(super) bytes: AtomicUsize,
    pub(super) count: AtomicUsize,
    /// The receiver has closed or shut down reading: sending gives EPIPE.
    pub(super) reading_ended: AtomicBool,
    /// The sender has closed or shut down writing: receiving gives the end.
    pub(super) writing_ended: AtomicBool,
    /// An error to be told once: ECONNRESET when the peer closed with our bytes unread.
    pub(super) error: AtomicI32,
    pub(super) readable: WaitQueue,
    pub(super) writable: WaitQueue,
    pub(super) read_events: PollSource,
    pub(super) write_events: PollSource,
    pub(super) address: SpinLock<Address>,
    pub(super) credentials: SpinLock<Ucred>,
}

impl Side {
    pub(super) fn new(address: Address, credentials: Ucred) -> Result<Arc<Self>, OutOfMemory> {
        try_arc(Self {
            packets: SpinLock::new(Rank::Stream, VecDeque::new()),
            bytes: AtomicUsize::new(0),
            count: AtomicUsize::new(0),
            reading_ended: AtomicBool::new(false),
            writing_ended: AtomicBool::new(false),
            error: AtomicI32::new(0),
            readable: WaitQueue::new(),
            writable: WaitQueue::new(),
            read_events: PollSource::new(),
            write_events: PollSource::new(),
            address: SpinLock::new(Rank::Stream, address),
            credentials: SpinLock::new(Rank::Stream, credentials),
        })
    }

    pub(super) fn address(&self) -> Address {
        self.address.lock().clone()
    }

    pub(super) fn credentials(&self) -> Ucred {
        *self.credentials.lock()
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.count.load(Ordering::Acquire) == 0
    }

    /// Whether a sender has to wait.
    #[inline]
    pub(super) fn is_full(&self, is_datagram: bool) -> bool {
        let by_count = is_datagram && self.count.load(Ordering::Acquire) > DATAGRAMS_MAX;
        by_count || self.bytes.load(Ordering::Acquire) >= BYTES_MAX
    }

    pub(super) fn has_reading_ended(&self) -> bool {
        self.reading_ended.load(Ordering::Acquire)
    }

    pub(super) fn has_writing_ended(&self) -> bool {
        self.writing_ended.load(Ordering::Acquire)
    }

    /// The error that waits to be told, once.
    pub(super) fn take_error(&self) -> Option<Errno> {
        Errno::new(self.error.swap(0, Ordering::AcqRel) as u16)
    }

    /// Puts a packet in and wakes a reader: ENOMEM; EPIPE when the receiver has just gone.
    pub(super) fn push(&self, packet: Packet) -> Result<(), Errno> {
        let len = packet.bytes.len();
        let refused = {
            let mut packets = self.packets.lock();
            if self.has_reading_ended() {
                Some((packet, Errno::EPIPE))
            } else if packets.try_grow(1).is_err() {
                Some((packet, Errno::ENOMEM))
            } else {
                packets.push_back(packet);
                self.bytes.fetch_add(len, Ordering::AcqRel);
                self.count.fetch_add(1, Ordering::AcqRel);
                None
            }
        };
        if let Some((packet, error)) = refused {
            super::bury(packet.rights);
            return Err(error);
        }
        self.readable.wake_one();
        self.read_events.notify(Events::IN | Events::RDNORM);
        Ok(())
    }

    /// Takes the packet in front if `is_wanted`. One with files moves only while [circles](super::circles) are not looked for.
    pub(super) fn take_front(&self, is_wanted: impl Fn(&Packet) -> bool) -> Option<Packet> {
        let mut still = None;
        loop {
            let mut packets = self.packets.lock();
            let has_rights = !packets.front().filter(|front| is_wanted(front))?.rights.is_empty();
            if !has_rights || still.is_some() {
                return packets.pop_front();
            }
            drop(packets);
            still = Some(hold_still());
        }
    }

    /// Puts back what was taken, or the rest of it.
    pub(super) fn put_back(&self, packet: Packet) {
        let _still = (!packet.rights.is_empty()).then(hold_still);
        self.packets.lock().push_front(packet);
    }

    /// Visits the files that wait here.
    pub(super) fn each_right(&self, visit: &mut dyn FnMut(&OpenFile)) {
        for packet in &*self.packets.lock() {
            packet.rights.iter().for_each(|file| visit(file));
        }
    }

    /// As [`each_right`](Self::each_right), with a socket's lock held.
    pub(super) fn each_right_nested(&self, visit: &mut dyn FnMut(&OpenFile)) {
        for packet in &*self.packets.lock_nested() {
            packet.rights.iter().for_each(|file| visit(file));
        }
    }

    /// Notes that `bytes` and `packets` have left, and wakes a writer.
    pub(super) fn left(&self, bytes: usize, packets: usize) {
        self.bytes.fetch_sub(bytes, Ordering::AcqRel);
        self.count.fetch_sub(packets, Ordering::AcqRel);
        self.writable.wake_all();
        self.write_events.notify(Events::OUT | Events::WRNORM);
        if !self.is_empty() {
            self.readable.wake_one();
        }
    }

    /// Nothing is received here any more: senders get EPIPE.
    pub(super) fn end_reading(&self) {
        self.reading_ended.store(true, Ordering::Release);
        self.wake_all();
    }

    /// Nothing will be sent here any more: after what there is comes the end.
    pub(super) fn end_writing(&self) {
        self.writing_ended.store(true, Ordering::Release);
        self.wake_all();
    }

    pub(super) fn wake_all(&self) {
        self.readable.wake_all();
        self.writable.wake_all();
        self.read_events.notify(Events::IN | Events::HUP | Events::RDHUP);
        self.write_events.notify(Events::OUT | Events::HUP | Events::ERR);
    }

    /// Throws away what is there; whether there was anything.
    pub(super) fn clear(&self) -> bool {
        let packets = core::mem::take(&mut *self.packets.lock());
        self.bytes.store(0, Ordering::Release);
        self.count.store(0, Ordering::Release);
        let had_any = !packets.is_empty();
        for packet in packets {
            super::bury(packet.rights);
        }
        had_any
    }
}

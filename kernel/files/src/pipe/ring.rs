//! The ring of a pipe: pages with bytes in them, first in, first out.

use alloc::collections::VecDeque;

use abi::Errno;
use abi::fcntl::PIPE_BUF;
use machine::address::PAGE_SIZE;
use machine::frame::{Frame, Owner};
use machine::heap::Grow;
use memory::{Sink, Source};

/// Empty pages that a ring keeps for the next writes, so that a steady stream allocates nothing.
const SPARE_MAX: usize = 2;

/// A page, or a part of one, that holds bytes.
pub(crate) struct Buffer {
    pub(crate) frame: Frame,
    pub(crate) start: usize,
    pub(crate) len: usize,
    /// The frame belongs to this ring alone, so that later bytes may be put behind those that are there.
    pub(crate) can_grow: bool,
    /// A packet (O_DIRECT): a read never takes from two, and what it leaves of one is dropped.
    pub(crate) is_packet: bool,
}

impl Buffer {
    /// Bytes that still fit behind those that are there.
    fn room(&self) -> usize {
        if self.can_grow && !self.is_packet { PAGE_SIZE - self.start - self.len } else { 0 }
    }
}

pub(crate) struct Ring {
    buffers: VecDeque<Buffer>,
    places: usize,
    spare: [Option<Frame>; SPARE_MAX],
}

impl Ring {
    pub(super) fn new(places: usize) -> Self {
        Self { buffers: VecDeque::new(), places, spare: [const { None }; SPARE_MAX] }
    }

    pub(crate) fn len(&self) -> usize {
        self.buffers.len()
    }

    pub(super) fn places(&self) -> usize {
        self.places
    }

    pub(super) fn bytes(&self) -> usize {
        self.buffers.iter().map(|buffer| buffer.len).sum()
    }

    pub(super) fn clear(&mut self) {
        self.buffers.clear();
        self.spare = [const { None }; SPARE_MAX];
    }

    /// Sets the number of places: EBUSY for fewer than are in use.
    pub(super) fn resize(&mut self, places: usize) -> Result<(), Errno> {
        if places < self.buffers.len() {
            return Err(Errno::EBUSY);
        }
        self.places = places;
        Ok(())
    }

    fn take_frame(&mut self) -> Result<Frame, Errno> {
        match self.spare.iter_mut().find_map(Option::take) {
            Some(frame) => Ok(frame),
            None => Ok(Frame::new_dirty(Owner::Cache)?),
        }
    }

    fn give_frame(&mut self, buffer: Buffer) {
        if buffer.can_grow
            && buffer.frame.is_unique()
            && let Some(place) = self.spare.iter_mut().find(|place| place.is_none())
        {
            *place = Some(buffer.frame);
        }
    }

    /// Puts a page in, for splice: ENOMEM.
    pub(crate) fn push(&mut self, buffer: Buffer) -> Result<(), Errno> {
        self.buffers.try_grow(1)?;
        self.buffers.push_back(buffer);
        Ok(())
    }

    /// Puts what was not used of a page back in front.
    pub(crate) fn push_front(&mut self, buffer: Buffer) {
        self.buffers.push_front(buffer);
    }

    /// The page at `index`, or its first `len` bytes, shared with another pipe.
    pub(crate) fn share(&mut self, index: usize, len: usize) -> Option<Buffer> {
        let buffer = self.buffers.get_mut(index)?;
        // From now on two rings look at the page.
        buffer.can_grow = false;
        Some(Buffer {
            frame: buffer.frame.clone(),
            start: buffer.start,
            len: buffer.len.min(len),
            can_grow: false,
            is_packet: buffer.is_packet,
        })
    }

    /// Takes up to `len` bytes out in front: the oldest page, or a share of it.
    pub(crate) fn pop(&mut self, len: usize) -> Option<Buffer> {
        let front = self.buffers.front_mut()?;
        if front.len <= len {
            return self.buffers.pop_front();
        }
        let taken = Buffer {
            frame: front.frame.clone(),
            start: front.start,
            len,
            can_grow: false,
            is_packet: front.is_packet,
        };
        front.start += len;
        front.len -= len;
        // Bytes put behind these would change a page that somebody else looks at.
        front.can_grow = false;
        Some(taken)
    }

    /// Drops `count` bytes from the front of the oldest page, and the page when it is empty.
    pub(crate) fn consume(&mut self, count: usize) {
        let Some(front) = self.buffers.front_mut() else { return };
        front.start += count;
        front.len -= count;
        if (front.len == 0 || front.is_packet)
            && let Some(buffer) = self.buffers.pop_front()
        {
            self.give_frame(buffer);
        }
    }

    /// Copies out as much as there is and fits; of packets only the first. What a page has for the reader goes whole or stays.
    pub(super) fn read(&mut self, into: &mut dyn Sink) -> Result<usize, Errno> {
        let mut done = 0;
        while into.remaining() > 0 {
            let Some(front) = self.buffers.front() else { break };
            let wanted = front.len.min(into.remaining());
            let is_packet = front.is_packet;
            let copied = match into.write_frame(&front.frame, front.start, wanted) {
                Ok(copied) if copied == wanted => copied,
                Ok(_) if done == 0 => return Err(Errno::EFAULT),
                Err(error) if done == 0 => return Err(error),
                Ok(_) | Err(_) => break,
            };
            done += copied;
            self.consume(copied);
            if is_packet {
                break;
            }
        }
        Ok(done)
    }

    /// Copies in as much as fits. A write of at most `PIPE_BUF` bytes that `is_first` goes in whole or not at all.
    pub(super) fn write(
        &mut self,
        from: &mut dyn Source,
        is_first: bool,
        is_packet: bool,
    ) -> Result<usize, Errno> {
        let total = from.remaining();
        let mut done = 0;
        // The odd bytes go behind what is in the last page, if all of them fit there; the rest fills pages of its own.
        let odd = total % PAGE_SIZE;
        if is_first
            && odd > 0
            && !is_packet
            && let Some(last) = self.buffers.back_mut()
            && last.room() >= odd
        {
            // A page is filled as far as it was meant to be, or the write ends before it.
            if from.read_frame(&last.frame, last.start + last.len, odd)? < odd {
                return Err(Errno::EFAULT);
            }
            last.len += odd;
            done = odd;
        }
        const { assert!(PIPE_BUF <= PAGE_SIZE, "a write of PIPE_BUF bytes takes one place at most") };
        while from.remaining() > 0 && self.buffers.len() < self.places {
            let result = self.take_frame().and_then(|frame| {
                self.buffers.try_grow(1)?;
                let wanted = from.remaining().min(PAGE_SIZE);
                if from.read_frame(&frame, 0, wanted)? < wanted {
                    return Err(Errno::EFAULT);
                }
                Ok(Buffer { frame, start: 0, len: wanted, can_grow: true, is_packet })
            });
            match result {
                Ok(buffer) => {
                    done += buffer.len;
                    self.buffers.push_back(buffer);
                }
                Err(error) if done == 0 => return Err(error),
                Err(_) => break,
            }
        }
        Ok(done)
    }
}

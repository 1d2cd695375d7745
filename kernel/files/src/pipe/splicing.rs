//! Pages that go into and out of a pipe as they are, for splice(2) and tee(2).

use alloc::sync::Arc;

use abi::Errno;
use machine::frame::Frame;
use memory::Source;
use threads::Wait;

use super::Pipe;
use super::ring::Buffer;

impl Pipe {
    /// Takes up to `len` bytes out, at most a page; none at the end. EAGAIN without `patient`, EINTR.
    pub(crate) fn take(&self, len: usize, patient: bool) -> Result<Option<Buffer>, Errno> {
        loop {
            if !self.is_empty() {
                let mut ring = self.ring.lock();
                let taken = ring.pop(len);
                let before = self.publish(&ring);
                drop(ring);
                self.wake(before);
                if taken.is_some() {
                    return Ok(taken);
                }
                continue;
            }
            if !self.has_writers() {
                return Ok(None);
            }
            if !patient {
                return Err(Errno::EAGAIN);
            }
            let ready = || (!self.is_empty() || !self.has_writers()).then_some(());
            self.ready_to_read.wait_until(Wait::INTERRUPTIBLE, ready).map_err(|_| Errno::EINTR)?;
        }
    }

    /// Puts the rest of what [`take`](Self::take) gave back in front.
    pub(crate) fn give_back(&self, mut buffer: Buffer, start: usize, len: usize) {
        (buffer.start, buffer.len) = (start, len);
        let mut ring = self.ring.lock();
        ring.push_front(buffer);
        let before = self.publish(&ring);
        drop(ring);
        self.wake(before);
    }

    /// Waits until the ring has a free place: EPIPE without readers, EAGAIN without `patient`, EINTR.
    pub(crate) fn wait_for_place(&self, patient: bool) -> Result<(), Errno> {
        let ready = || {
            if !self.has_readers() {
                return Some(Err(Errno::EPIPE));
            }
            (!self.is_full()).then_some(Ok(()))
        };
        match ready() {
            Some(result) => result,
            None if !patient => Err(Errno::EAGAIN),
            None => self.ready_to_write.wait_until(Wait::INTERRUPTIBLE, ready).map_err(|_| Errno::EINTR)?,
        }
    }

    /// Waits until there are bytes, or nobody is left who could write some: EAGAIN, EINTR.
    fn wait_for_bytes(&self, patient: bool) -> Result<(), Errno> {
        let ready = || (!self.is_empty() || !self.has_writers()).then_some(());
        match ready() {
            Some(()) => Ok(()),
            None if !patient => Err(Errno::EAGAIN),
            None => self.ready_to_read.wait_until(Wait::INTERRUPTIBLE, ready).map_err(|_| Errno::EINTR),
        }
    }

    /// Copies as much as there is room for, once there is some: see [`wait_for_place`](Self::wait_for_place). EFAULT.
    pub fn put_in(&self, from: &mut dyn Source, patient: bool) -> Result<usize, Errno> {
        loop {
            self.wait_for_place(patient)?;
            match self.write(from, true, false) {
                // Somebody else has filled it in between.
                Err(Errno::EAGAIN) if patient => {}
                result => return result,
            }
        }
    }

    /// Puts a page of its own with `len` bytes behind what is in the ring: ENOMEM.
    pub(crate) fn append(&self, frame: Frame, len: usize) -> Result<(), Errno> {
        self.put(Buffer { frame, start: 0, len, can_grow: true, is_packet: false })
    }

    fn put(&self, buffer: Buffer) -> Result<(), Errno> {
        let len = buffer.len;
        let mut ring = self.ring.lock();
        let result = ring.push(buffer);
        let before = self.publish(&ring);
        drop(ring);
        self.wake_for_arrival(before, result.map_or(0, |()| len));
        result
    }

    /// Moves up to `len` bytes to another pipe by moving their pages: EINVAL for the same pipe.
    pub(crate) fn move_to(
        self: &Arc<Self>,
        to: &Arc<Pipe>,
        len: usize,
        patient: bool,
    ) -> Result<usize, Errno> {
        if Arc::ptr_eq(self, to) {
            return Err(Errno::EINVAL);
        }
        let mut done = 0;
        while done < len {
            // What is to be moved is waited for before the place for it.
            let step = self
                .wait_for_bytes(patient && done == 0)
                .and_then(|()| to.wait_for_place(patient && done == 0))
                .and_then(|()| self.take(len - done, patient && done == 0));
            match step {
                Ok(Some(buffer)) => {
                    done += buffer.len;
                    to.put(buffer)?;
                }
                Ok(None) => break,
                Err(error) if done == 0 => return Err(error),
                Err(_) => break,
            }
        }
        Ok(done)
    }

    /// Shares up to `len` bytes with another pipe without taking them: EINVAL for the same pipe.
    pub(crate) fn duplicate_to(
        self: &Arc<Self>,
        to: &Arc<Pipe>,
        len: usize,
        patient: bool,
    ) -> Result<usize, Errno> {
        if Arc::ptr_eq(self, to) {
            return Err(Errno::EINVAL);
        }
        self.wait_for_bytes(patient)?;
        to.wait_for_place(patient)?;
        let mut done = 0;
        let mut index = 0;
        while done < len && !to.is_full() {
            let shared = self.ring.lock().share(index, len - done);
            let Some(buffer) = shared else { break };
            done += buffer.len;
            index += 1;
            to.put(buffer)?;
        }
        Ok(done)
    }
}

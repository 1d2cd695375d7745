//! Where bytes go to and come from: the two ends of every read and write.
//!
//! A file does not know whether it is read into a program's buffer, a list of them, or a slice of the kernel: it pushes bytes into a [`Sink`], and takes them from a [`Source`].
//! Both may fault pages in and sleep, so no spin lock is held around a call.

use abi::Errno;
use machine::address::PAGE_SIZE;
use machine::frame::Frame;

/// Where a read puts bytes, one after the other.
///
/// Each call returns how many bytes it took: fewer than were offered when the sink is full, or when the program's memory ends in the middle.
/// `EFAULT` only when nothing could be taken although there was room.
pub trait Sink {
    /// Bytes that still fit.
    fn remaining(&self) -> usize;

    /// Takes bytes from a slice.
    fn write(&mut self, from: &[u8]) -> Result<usize, Errno>;

    /// Takes `len` bytes at `offset` of a frame, or those up to the frame's end.
    fn write_frame(&mut self, frame: &Frame, offset: usize, len: usize) -> Result<usize, Errno>;

    /// Takes `len` zero bytes.
    fn zero(&mut self, len: usize) -> Result<usize, Errno>;
}

/// Where a write takes bytes from, one after the other. Short counts and errors are as in [`Sink`].
pub trait Source {
    /// Bytes that are still to come.
    fn remaining(&self) -> usize;

    /// Gives bytes into a slice.
    fn read(&mut self, into: &mut [u8]) -> Result<usize, Errno>;

    /// Gives `len` bytes to `offset` of a frame, or as many as fit there.
    fn read_frame(&mut self, frame: &Frame, offset: usize, len: usize) -> Result<usize, Errno>;
}

/// A sink that fills a slice of the kernel.
pub struct KernelSink<'a> {
    rest: &'a mut [u8],
}

impl<'a> KernelSink<'a> {
    /// Fills `into` from its start.
    pub fn new(into: &'a mut [u8]) -> Self {
        Self { rest: into }
    }

    fn take(&mut self, len: usize) -> &'a mut [u8] {
        let rest = core::mem::take(&mut self.rest);
        let (taken, rest) = rest.split_at_mut(len.min(rest.len()));
        self.rest = rest;
        taken
    }
}

impl Sink for KernelSink<'_> {
    fn remaining(&self) -> usize {
        self.rest.len()
    }

    fn write(&mut self, from: &[u8]) -> Result<usize, Errno> {
        let into = self.take(from.len());
        into.copy_from_slice(&from[..into.len()]);
        Ok(into.len())
    }

    fn write_frame(&mut self, frame: &Frame, offset: usize, len: usize) -> Result<usize, Errno> {
        let into = self.take(len.min(PAGE_SIZE.saturating_sub(offset)));
        Ok(frame.read(offset, into))
    }

    fn zero(&mut self, len: usize) -> Result<usize, Errno> {
        let into = self.take(len);
        into.fill(0);
        Ok(into.len())
    }
}

/// A source that empties a slice of the kernel.
pub struct KernelSource<'a> {
    rest: &'a [u8],
}

impl<'a> KernelSource<'a> {
    /// Gives the bytes of `from` in order.
    pub fn new(from: &'a [u8]) -> Self {
        Self { rest: from }
    }

    fn take(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.rest.split_at(len.min(self.rest.len()));
        self.rest = rest;
        taken
    }
}

impl Source for KernelSource<'_> {
    fn remaining(&self) -> usize {
        self.rest.len()
    }

    fn read(&mut self, into: &mut [u8]) -> Result<usize, Errno> {
        let from = self.take(into.len());
        into[..from.len()].copy_from_slice(from);
        Ok(from.len())
    }

    fn read_frame(&mut self, frame: &Frame, offset: usize, len: usize) -> Result<usize, Errno> {
        let from = self.take(len.min(PAGE_SIZE.saturating_sub(offset)));
        Ok(frame.write(offset, from))
    }
}

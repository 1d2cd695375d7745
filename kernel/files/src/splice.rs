//! Moving bytes between files without a program in between: sendfile(2), splice(2), tee(2), copy_file_range(2).
//!
//! Bytes go through a page at a time. From a pipe the page itself is handed over; into a pipe the page that was read becomes
//! part of it.

use abi::Errno;
use machine::address::PAGE_SIZE;
use machine::frame::{Frame, Owner};
use memory::{Sink, Source};

use crate::file::Positioning;
use crate::open_file::OpenFile;
use crate::pipe::Pipe;

/// A page as a place to read to.
struct FrameSink {
    frame: Frame,
    filled: usize,
    limit: usize,
}

impl FrameSink {
    fn new(limit: usize) -> Result<Self, Errno> {
        Ok(Self { frame: Frame::new_dirty(Owner::Cache)?, filled: 0, limit: limit.min(PAGE_SIZE) })
    }
}

impl Sink for FrameSink {
    fn remaining(&self) -> usize {
        self.limit - self.filled
    }

    fn write(&mut self, from: &[u8]) -> Result<usize, Errno> {
        let len = from.len().min(self.remaining());
        let done = self.frame.write(self.filled, from.get(..len).unwrap_or_default());
        self.filled += done;
        Ok(done)
    }

    fn write_frame(&mut self, frame: &Frame, offset: usize, len: usize) -> Result<usize, Errno> {
        let len = len.min(self.remaining()).min(PAGE_SIZE.saturating_sub(offset));
        if len == PAGE_SIZE {
            self.frame.copy_from(frame);
            self.filled = PAGE_SIZE;
            return Ok(len);
        }
        let mut bytes = [0; 256];
        let mut done = 0;
        while done < len {
            let wanted = (len - done).min(bytes.len());
            let piece = bytes.get_mut(..wanted).unwrap_or_default();
            frame.read(offset + done, piece);
            self.frame.write(self.filled, piece);
            self.filled += wanted;
            done += wanted;
        }
        Ok(done)
    }

    fn zero(&mut self, len: usize) -> Result<usize, Errno> {
        let len = len.min(self.remaining());
        self.frame.zero_range(self.filled, len);
        self.filled += len;
        Ok(len)
    }
}

/// A part of a page as a place to write from.
struct FrameSource<'a> {
    frame: &'a Frame,
    start: usize,
    left: usize,
}

impl Source for FrameSource<'_> {
    fn remaining(&self) -> usize {
        self.left
    }

    fn read(&mut self, into: &mut [u8]) -> Result<usize, Errno> {
        let len = into.len().min(self.left);
        let done = self.frame.read(self.start, into.get_mut(..len).unwrap_or_default());
        self.start += done;
        self.left -= done;
        Ok(done)
    }

    fn read_frame(&mut self, frame: &Frame, offset: usize, len: usize) -> Result<usize, Errno> {
        let len = len.min(self.left).min(PAGE_SIZE.saturating_sub(offset));
        if len == PAGE_SIZE && self.start == 0 {
            frame.copy_from(self.frame);
            self.start = PAGE_SIZE;
            self.left -= PAGE_SIZE;
            return Ok(len);
        }
        let mut bytes = [0; 256];
        let mut done = 0;
        while done < len {
            let wanted = (len - done).min(bytes.len());
            let piece = bytes.get_mut(..wanted).unwrap_or_default();
            self.frame.read(self.start, piece);
            frame.write(offset + done, piece);
            self.start += wanted;
            self.left -= wanted;
            done += wanted;
        }
        Ok(done)
    }
}

/// Reads from `file` at `offset`, or at its position.
fn read(file: &OpenFile, into: &mut dyn Sink, offset: &mut Option<u64>) -> Result<usize, Errno> {
    match offset {
        Some(offset) => {
            let done = file.read_at(into, i64::try_from(*offset).map_err(|_| Errno::EINVAL)?)?;
            *offset += done as u64;
            Ok(done)
        }
        None => file.read(into),
    }
}

/// Writes to `file` at `offset`, or at its position.
fn write(file: &OpenFile, from: &mut dyn Source, offset: &mut Option<u64>) -> Result<usize, Errno> {
    match offset {
        Some(offset) => {
            let done = file.write_at(from, i64::try_from(*offset).map_err(|_| Errno::EINVAL)?)?;
            *offset += done as u64;
            Ok(done)
        }
        None => file.write(from),
    }
}

/// Copies up to `len` bytes from a file with positions to any other, at the given offsets (which are moved on) or at the files'
/// own positions: sendfile(2), and copy_file_range(2). Returns how many; an error only when there were none.
///
/// EINVAL where `from` has no positions.
pub fn copy(
    from: &OpenFile,
    from_offset: &mut Option<u64>,
    to: &OpenFile,
    to_offset: &mut Option<u64>,
    len: usize,
) -> Result<usize, Errno> {
    if from.file().positioning() == Positioning::Stream {
        return Err(Errno::EINVAL);
    }
    let mut done = 0;
    while done < len {
        // Reading at an offset leaves the file's position to be moved by what could be written.
        let start = from_offset.unwrap_or_else(|| from.position());
        let mut page = FrameSink::new(len - done)?;
        let step = read(from, &mut page, &mut Some(start)).and_then(|count| {
            let mut source = FrameSource { frame: &page.frame, start: 0, left: count };
            let mut written = 0;
            while source.left > 0 {
                match write(to, &mut source, to_offset) {
                    Ok(0) => break,
                    Ok(more) => written += more,
                    Err(error) if written == 0 => return Err(error),
                    Err(_) => break,
                }
            }
            Ok((count, written))
        });
        let (count, written) = match step {
            Ok(step) => step,
            Err(error) if done == 0 => return Err(error),
            Err(_) => break,
        };
        match from_offset {
            Some(offset) => *offset += written as u64,
            None => from.move_position(written as u64),
        }
        done += written;
        if count == 0 || written < count {
            break;
        }
    }
    Ok(done)
}

/// splice(2): moves up to `len` bytes, one side being a pipe. EINVAL for no pipe at all, a pipe into itself, or a file opened to
/// append; ESPIPE for an offset with a pipe.
pub fn splice(
    from: &OpenFile,
    from_offset: &mut Option<u64>,
    to: &OpenFile,
    to_offset: &mut Option<u64>,
    len: usize,
    is_nonblocking: bool,
) -> Result<usize, Errno> {
    let from_pipe = from.file().as_pipe();
    let to_pipe = to.file().as_pipe();
    if from_pipe.is_some() && from_offset.is_some() || to_pipe.is_some() && to_offset.is_some() {
        return Err(Errno::ESPIPE);
    }
    if !from.flags().can_read() || !to.flags().can_write() {
        return Err(Errno::EBADF);
    }
    match (from_pipe, to_pipe) {
        (None, None) => Err(Errno::EINVAL),
        (Some(from_end), Some(to_end)) => {
            let patient = !is_nonblocking && !from.is_nonblocking() && !to.is_nonblocking();
            from_end.pipe().move_to(to_end.pipe(), len, patient)
        }
        (Some(from_end), None) => {
            if to.flags().contains(abi::fcntl::OpenFlags::APPEND) {
                return Err(Errno::EINVAL);
            }
            let patient = !is_nonblocking && !from.is_nonblocking();
            pipe_to_file(from_end.pipe(), to, to_offset, len, patient)
        }
        (None, Some(to_end)) => {
            let patient = !is_nonblocking && !to.is_nonblocking();
            file_to_pipe(from, from_offset, to_end.pipe(), len, patient)
        }
    }
}

fn pipe_to_file(
    pipe: &Pipe,
    to: &OpenFile,
    to_offset: &mut Option<u64>,
    len: usize,
    patient: bool,
) -> Result<usize, Errno> {
    let mut done = 0;
    while done < len {
        // Only for the first byte is it worth waiting.
        let taken = match pipe.take(len - done, patient && done == 0) {
            Ok(Some(taken)) => taken,
            Ok(None) => break,
            Err(error) if done == 0 => return Err(error),
            Err(_) => break,
        };
        let mut source = FrameSource { frame: &taken.frame, start: taken.start, left: taken.len };
        let mut failure = None;
        while source.left > 0 {
            match write(to, &mut source, to_offset) {
                Ok(count) if count > 0 => done += count,
                Ok(_) => break,
                Err(error) => {
                    failure = Some(error);
                    break;
                }
            }
        }
        let (start, left) = (source.start, source.left);
        if left > 0 {
            pipe.give_back(taken, start, left);
            return match failure {
                Some(error) if done == 0 => Err(error),
                _ => Ok(done),
            };
        }
    }
    Ok(done)
}

fn file_to_pipe(
    from: &OpenFile,
    from_offset: &mut Option<u64>,
    pipe: &Pipe,
    len: usize,
    patient: bool,
) -> Result<usize, Errno> {
    let mut done = 0;
    while done < len {
        let room = pipe.wait_for_place(patient && done == 0);
        let step = room.and_then(|()| FrameSink::new(len - done)).and_then(|mut page| {
            let count = read(from, &mut page, from_offset)?;
            Ok((page.frame, count))
        });
        match step {
            Ok((_, 0)) => break,
            Ok((frame, count)) => {
                // The place may have been filled by somebody else meanwhile: then it goes behind, over the limit by one page.
                pipe.append(frame, count)?;
                done += count;
            }
            Err(error) if done == 0 => return Err(error),
            Err(_) => break,
        }
    }
    Ok(done)
}

/// tee(2): shows the bytes of one pipe in another as well, without taking them. EINVAL where one is no pipe or both are the same.
pub fn tee(from: &OpenFile, to: &OpenFile, len: usize, is_nonblocking: bool) -> Result<usize, Errno> {
    let (Some(from_end), Some(to_end)) = (from.file().as_pipe(), to.file().as_pipe()) else {
        return Err(Errno::EINVAL);
    };
    if !from.flags().can_read() || !to.flags().can_write() {
        return Err(Errno::EBADF);
    }
    let patient = !is_nonblocking && !from.is_nonblocking() && !to.is_nonblocking();
    from_end.pipe().duplicate_to(to_end.pipe(), len, patient)
}

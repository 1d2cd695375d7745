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

/// How long a file may become, and whether a write was refused for it: that counts even where bytes were moved before.
#[derive(Clone, Copy, Debug, Default)]
pub struct SizeLimit {
    /// No regular file is made longer than this.
    pub max: Option<u64>,
    /// A write was refused.
    pub was_hit: bool,
}

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

impl FrameSource<'_> {
    /// Writes what is left to `file`, and takes off what it took. Devices may take bytes without looking at them.
    fn write_to(
        &mut self,
        file: &OpenFile,
        offset: &mut Option<u64>,
        limit: &mut SizeLimit,
    ) -> Result<usize, Errno> {
        let (start, left) = (self.start, self.left);
        let outcome = write(file, self, offset, limit.max);
        limit.was_hit |= limit.max.is_some() && outcome == Err(Errno::EFBIG);
        let count = outcome.unwrap_or(0);
        (self.start, self.left) = (start + count, left - count);
        outcome
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
fn write(
    file: &OpenFile,
    from: &mut dyn Source,
    offset: &mut Option<u64>,
    size_max: Option<u64>,
) -> Result<usize, Errno> {
    match offset {
        Some(offset) => {
            let start = i64::try_from(*offset).map_err(|_| Errno::EINVAL)?;
            let done = file.write_at(from, start, size_max)?;
            *offset += done as u64;
            Ok(done)
        }
        None => file.write_within(from, size_max),
    }
}

/// Copies up to `len` bytes from a file with positions to any other, at the given offsets (which are moved on) or at the files'
/// own positions: sendfile(2), and copy_file_range(2). Returns how many; an error only when there were none.
///
/// EINVAL where one of the two cannot be spliced, or `from` is a pipe; EPIPE.
pub fn copy(
    from: &OpenFile,
    from_offset: &mut Option<u64>,
    to: &OpenFile,
    to_offset: &mut Option<u64>,
    len: usize,
    limit: &mut SizeLimit,
) -> Result<usize, Errno> {
    if to.file().as_pipe().is_some_and(|end| !end.pipe().has_readers()) {
        return Err(Errno::EPIPE);
    }
    let has_position = from.file().positioning().has_position();
    let is_passing = from.file().as_socket().is_some() || from.file().as_pipe().is_some();
    if len == 0 && is_passing && to.file().as_pipe().is_none() {
        return Err(Errno::EINVAL);
    }
    if len > 0 {
        if !from.file().abilities().splices_from || !has_position && !to.file().abilities().splices_to {
            return Err(Errno::EINVAL);
        }
        // Linux puts a pipe between the two, unless `to` is one: then a source without positions could lose bytes in it.
        let is_stream = from.file().positioning() == Positioning::Stream;
        if from.file().as_pipe().is_some() || is_stream && to.file().as_pipe().is_none() {
            return Err(Errno::EINVAL);
        }
    }
    let mut done = 0;
    while done < len {
        // Reading at an offset leaves the file's position to be moved by what could be written.
        let mut start = from_offset.or_else(|| has_position.then(|| from.position()));
        let mut page = FrameSink::new(len - done)?;
        let step = read(from, &mut page, &mut start).and_then(|count| {
            if count > 0 && !to.file().abilities().splices_to {
                return Err(Errno::EINVAL);
            }
            let mut source = FrameSource { frame: &page.frame, start: 0, left: count };
            while source.left > 0 {
                match source.write_to(to, to_offset, limit) {
                    Ok(0) => break,
                    Ok(_) => {}
                    Err(error) if source.left == count => return Err(error),
                    Err(_) => break,
                }
            }
            Ok((count, count - source.left))
        });
        let (count, written) = match step {
            Ok(step) => step,
            Err(error) if done == 0 => return Err(error),
            Err(_) => break,
        };
        match from_offset {
            Some(offset) => *offset += written as u64,
            None if has_position => from.move_position(written as u64),
            None => {}
        }
        done += written;
        if count == 0 || written < count {
            break;
        }
    }
    Ok(done)
}

/// EINVAL where the bytes of `from` cannot be spliced at all, or none into `to`.
fn check_splice(from: &OpenFile, to: &OpenFile) -> Result<(), Errno> {
    let may = from.file().abilities().splices_from && to.file().abilities().splices_to;
    if may { Ok(()) } else { Err(Errno::EINVAL) }
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
    limit: &mut SizeLimit,
) -> Result<usize, Errno> {
    let from_pipe = from.file().as_pipe();
    let to_pipe = to.file().as_pipe();
    if from_pipe.is_some() && from_offset.is_some() || to_pipe.is_some() && to_offset.is_some() {
        return Err(Errno::ESPIPE);
    }
    if !from.flags().can_read() || !to.flags().can_write() {
        return Err(Errno::EBADF);
    }
    // An offset of what has none is another error here than in pread(2).
    let has_offsets = |file: &OpenFile| file.file().positioning().has_offsets();
    if from_offset.is_some() && !has_offsets(from) || to_offset.is_some() && !has_offsets(to) {
        return Err(Errno::EINVAL);
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
            check_splice(from, to)?;
            let patient = !is_nonblocking && !from.is_nonblocking();
            pipe_to_file(from_end.pipe(), to, to_offset, len, patient, limit)
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
    limit: &mut SizeLimit,
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
            match source.write_to(to, to_offset, limit) {
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
        let room = pipe.wait_for_place(patient && done == 0).and_then(|()| {
            // That the bytes can go on this way is asked once there is a place for them.
            if from.file().abilities().splices_from { Ok(()) } else { Err(Errno::EINVAL) }
        });
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

//! A compressed archive, unpacked while it is decompressed: nothing needs the whole of it at once.

use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::Errno;
use abi::stat::{S_IFLNK, S_IFMT, S_IFREG};
use formats::bytes::slice_at;
use formats::cpio::{self, Fault, Reader};
use formats::gzip;
use memory::{KernelSource, Object};

use super::{Error, Unpacker, fill};

/// Bytes unpacked at a time.
const CHUNK: usize = 4096;
/// The fixed part of an entry, and where in it the sizes of the contents and of the name stand: eight digits each.
const HEADER: usize = 110;
const DATA_SIZE: usize = 54;
const NAME_SIZE: usize = 94;
/// The longest name and the longest target of a link, with their NULs.
const NAME_MAX: usize = 4096;

/// Unpacks one gzip member that holds archives; returns what follows it.
pub(super) fn unpack(unpacker: &mut Unpacker<'_>, bytes: &'static [u8]) -> Result<&'static [u8], Error> {
    // What an archive of this size can hold at most: deflate packs at best 1032 to 1.
    let limit = (bytes.len() as u64).saturating_mul(1032);
    let decoder = gzip::Decoder::new(bytes, limit).map_err(Error::Compressed)?;
    let mut stream = Stream { decoder, buffer: Vec::new(), offset: 0 };
    loop {
        stream.skip_zeroes()?;
        if stream.fill(HEADER)? == 0 {
            break;
        }
        entry(unpacker, &mut stream)?;
    }
    Ok(stream.decoder.rest())
}

/// Unpacked bytes that have not been used yet.
struct Stream<'a> {
    decoder: gzip::Decoder<'a>,
    buffer: Vec<u8>,
    offset: usize,
}

impl Stream<'_> {
    /// Sees to it that `len` bytes are there; returns how many there are, fewer only at the end.
    fn fill(&mut self, len: usize) -> Result<usize, Error> {
        while self.buffer.len() < len {
            let start = self.buffer.len();
            self.buffer.resize(start + CHUNK, 0);
            let read = self.decoder.read(self.buffer.get_mut(start..).unwrap_or_default());
            let count = read.as_ref().copied().unwrap_or(0);
            self.buffer.truncate(start + count);
            if read.map_err(Error::Compressed)? == 0 {
                break;
            }
        }
        Ok(self.buffer.len().min(len))
    }

    fn consume(&mut self, len: usize) {
        let len = len.min(self.buffer.len());
        self.buffer.drain(..len);
        self.offset += len;
    }

    fn skip_zeroes(&mut self) -> Result<(), Error> {
        while self.fill(1)? > 0 {
            let zeroes = self.buffer.iter().take_while(|&&byte| byte == 0).count();
            self.consume(zeroes);
            if !self.buffer.is_empty() {
                break;
            }
        }
        Ok(())
    }

    fn fault(&self, fault: Fault) -> Error {
        Error::Archive(cpio::Error { offset: self.offset, fault })
    }
}

fn number(header: &[u8], at: usize) -> Option<usize> {
    let digits = core::str::from_utf8(slice_at(header, at, 8)?).ok()?;
    usize::from_str_radix(digits, 16).ok()
}

/// Unpacks one entry. Its head is read by the reader of plain archives, from a copy that says it has no contents (but for a
/// link, whose target belongs to it).
#[expect(clippy::disallowed_methods, reason = "made at boot")]
fn entry(unpacker: &mut Unpacker<'_>, stream: &mut Stream<'_>) -> Result<(), Error> {
    if stream.fill(HEADER)? < HEADER {
        return Err(stream.fault(Fault::Truncated));
    }
    let sizes = number(&stream.buffer, DATA_SIZE).zip(number(&stream.buffer, NAME_SIZE));
    let Some((data_size, name_size)) = sizes else { return Err(stream.fault(Fault::BadNumber)) };
    if name_size > NAME_MAX {
        return Err(stream.fault(Fault::BadName));
    }
    let head = (HEADER + name_size).next_multiple_of(4);
    let is_link = number(&stream.buffer, 14).is_some_and(|mode| mode as u32 & S_IFMT == S_IFLNK);
    let kept = if is_link { data_size.min(NAME_MAX) } else { 0 };
    if stream.fill(head + kept)? < head + kept {
        return Err(stream.fault(Fault::Truncated));
    }
    let mut copy = stream.buffer.get(..head + kept).unwrap_or_default().to_vec();
    if !is_link && let Some(size) = copy.get_mut(DATA_SIZE..DATA_SIZE + 8) {
        size.fill(b'0');
    }
    if let Some(version) = copy.get_mut(5).filter(|digit| **digit == b'2') {
        // The sum over contents that pass by in pieces is not checked; gzip has its own.
        *version = b'1';
    }
    let parsed = Reader::new(&copy).next();
    stream.consume(head);
    match parsed {
        // The end of one archive; another may follow.
        None => unpacker.linked.clear(),
        Some(Err(error)) => return Err(stream.fault(error.fault)),
        Some(Ok(entry)) => {
            let path = unpacker.make(&entry)?;
            if entry.mode & S_IFMT == S_IFREG && data_size > 0 {
                let failed = |errno| {
                    Error::File(alloc::string::String::from_utf8_lossy(entry.name).into_owned(), errno)
                };
                let object = contents(stream, data_size)?.map_err(failed)?;
                if let Some(path) = path {
                    fill(&path, object);
                }
                unpacker.done.bytes += data_size as u64;
                return skip(stream, data_size.next_multiple_of(4) - data_size);
            }
        }
    }
    skip(stream, data_size.next_multiple_of(4))
}

/// Takes the contents of a file out of the stream, page by page.
fn contents(stream: &mut Stream<'_>, size: usize) -> Result<Result<Arc<Object>, Errno>, Error> {
    let object = match Object::memory(0) {
        Ok(object) => object,
        Err(error) => return Ok(Err(error)),
    };
    let mut done = 0;
    while done < size {
        let wanted = (size - done).min(CHUNK);
        if stream.fill(wanted)? < wanted {
            return Err(stream.fault(Fault::Truncated));
        }
        let mut source = KernelSource::new(stream.buffer.get(..wanted).unwrap_or_default());
        match object.write(done as u64, &mut source) {
            Ok(count) if count > 0 => {
                done += count;
                stream.consume(count);
            }
            Ok(_) => return Ok(Err(Errno::ENOMEM)),
            Err(errno) => return Ok(Err(errno)),
        }
    }
    Ok(Ok(object))
}

/// Passes over bytes; padding may be missing at the very end.
fn skip(stream: &mut Stream<'_>, mut len: usize) -> Result<(), Error> {
    while len > 0 {
        let count = stream.fill(len.min(CHUNK))?;
        if count == 0 {
            break;
        }
        stream.consume(count);
        len -= count;
    }
    Ok(())
}

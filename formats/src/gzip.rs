//! Unpacking gzip (RFC 1952): header, deflate stream, checksum and length; by chunks, under a limit.

use crate::bytes::{slice_at, u8_at, u16_at, u32_at};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use miniz_oxide::inflate::stream::{InflateState, inflate};
use miniz_oxide::{DataFormat, MZError, MZFlush, MZStatus};

/// Why bytes cannot be unpacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The magic number is missing, or the method is not deflate.
    NotGzip,
    /// The bytes end too soon.
    Truncated,
    /// The header's own checksum is wrong, or it uses reserved bits.
    BadHeader,
    /// The deflate stream contradicts itself.
    Corrupt,
    /// The contents do not match their checksum or length.
    BadChecksum,
    /// More contents than the caller allows.
    TooLarge,
    /// No memory for the contents.
    NoMemory,
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Error::NotGzip => "not in gzip format",
            Error::Truncated => "the gzip stream is cut off",
            Error::BadHeader => "the gzip header is damaged",
            Error::Corrupt => "the gzip stream is damaged",
            Error::BadChecksum => "the unpacked contents do not match their checksum",
            Error::TooLarge => "the unpacked contents are larger than allowed",
            Error::NoMemory => "no memory for the unpacked contents",
        })
    }
}

impl core::error::Error for Error {}

/// Whether the bytes begin as gzip does.
pub fn is_gzip(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0x1f, 0x8b])
}

/// One gzip member being unpacked.
pub struct Decoder<'a> {
    input: &'a [u8],
    state: Box<InflateState>,
    checksum: crc32fast::Hasher,
    written: u64,
    limit: u64,
    is_finished: bool,
}

impl<'a> Decoder<'a> {
    /// Reads the header. More contents than `limit` bytes will be an error. Takes about 43 KiB of
    /// heap for the window.
    pub fn new(bytes: &'a [u8], limit: u64) -> Result<Decoder<'a>, Error> {
        let length = header_length(bytes)?;
        Ok(Decoder {
            input: bytes.get(length..).ok_or(Error::Truncated)?,
            state: InflateState::new_boxed(DataFormat::Raw),
            checksum: crc32fast::Hasher::new(),
            written: 0,
            limit,
            is_finished: false,
        })
    }

    /// Unpacks into `chunk` and tells how many bytes; zero means that all has been unpacked and was
    /// found whole (or that `chunk` is empty).
    pub fn read(&mut self, chunk: &mut [u8]) -> Result<usize, Error> {
        if self.is_finished || chunk.is_empty() {
            return Ok(0);
        }
        let mut filled = 0;
        loop {
            let space = chunk.get_mut(filled..).unwrap_or_default();
            let step = inflate(&mut self.state, self.input, space, MZFlush::None);
            self.input = self.input.get(step.bytes_consumed..).unwrap_or(&[]);
            self.account(space.get(..step.bytes_written).unwrap_or(&[]))?;
            filled = filled.saturating_add(step.bytes_written);
            match step.status {
                Ok(MZStatus::StreamEnd) => {
                    self.check_trailer()?;
                    return Ok(filled);
                }
                Ok(_) if filled == chunk.len() => return Ok(filled),
                Ok(_) if step.bytes_consumed == 0 && step.bytes_written == 0 => return Err(Error::Truncated),
                Ok(_) => {}
                Err(MZError::Buf) if filled > 0 => return Ok(filled),
                Err(MZError::Buf) => return Err(Error::Truncated),
                Err(_) => return Err(Error::Corrupt),
            }
        }
    }

    /// What follows the member. Asked for when [`Decoder::read`] has returned zero.
    pub fn rest(&self) -> &'a [u8] {
        self.input
    }

    fn account(&mut self, contents: &[u8]) -> Result<(), Error> {
        self.written = self.written.saturating_add(contents.len() as u64);
        self.checksum.update(contents);
        if self.written > self.limit { Err(Error::TooLarge) } else { Ok(()) }
    }

    fn check_trailer(&mut self) -> Result<(), Error> {
        let checksum = u32_at(self.input, 0).ok_or(Error::Truncated)?;
        let length = u32_at(self.input, 4).ok_or(Error::Truncated)?;
        // The length is kept modulo 2^32 (RFC 1952, 2.3.1).
        if checksum != self.checksum.clone().finalize() || length != self.written as u32 {
            return Err(Error::BadChecksum);
        }
        self.input = self.input.get(8..).unwrap_or(&[]);
        self.is_finished = true;
        Ok(())
    }
}

/// Unpacks one member at once. Returns the contents and what follows the member.
pub fn unpack(bytes: &[u8], limit: u64) -> Result<(Vec<u8>, &[u8]), Error> {
    const CHUNK: usize = 65_536;
    let mut decoder = Decoder::new(bytes, limit)?;
    let mut contents = Vec::new();
    loop {
        let filled = contents.len();
        contents.try_reserve(CHUNK).map_err(|_| Error::NoMemory)?;
        contents.resize(filled + CHUNK, 0);
        let read = decoder.read(contents.get_mut(filled..).unwrap_or_default())?;
        contents.truncate(filled + read);
        if read == 0 {
            return Ok((contents, decoder.rest()));
        }
    }
}

/// The length of the member's header (RFC 1952, 2.3).
fn header_length(bytes: &[u8]) -> Result<usize, Error> {
    if !is_gzip(bytes) || u8_at(bytes, 2).is_some_and(|method| method != 8) {
        return Err(Error::NotGzip);
    }
    let flags = u8_at(bytes, 3).ok_or(Error::Truncated)?;
    if flags & 0xe0 != 0 {
        return Err(Error::BadHeader);
    }
    let mut length = 10;
    if flags & 4 != 0 {
        let extra = u16_at(bytes, length).ok_or(Error::Truncated)?;
        length += 2 + usize::from(extra);
    }
    for string in [8, 16] {
        if flags & string != 0 {
            let rest = bytes.get(length..).ok_or(Error::Truncated)?;
            length += rest.iter().position(|byte| *byte == 0).ok_or(Error::Truncated)? + 1;
        }
    }
    if flags & 2 != 0 {
        let header = slice_at(bytes, 0, length).ok_or(Error::Truncated)?;
        let checksum = u16_at(bytes, length).ok_or(Error::Truncated)?;
        if crc32fast::hash(header) as u16 != checksum {
            return Err(Error::BadHeader);
        }
        length += 2;
    }
    Ok(length)
}

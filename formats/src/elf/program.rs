//! Program headers: what a loader maps, and what else it must know.

use super::{Error, Header, PROGRAM_HEADER_LENGTH};
use crate::bytes::{slice_at, u32_at, u64_at};

const PT_LOAD: u32 = 1;
const PT_INTERP: u32 = 3;
const PT_PHDR: u32 = 6;
const PT_TLS: u32 = 7;
const PT_GNU_STACK: u32 = 0x6474_e551;
const PT_GNU_RELRO: u32 = 0x6474_e552;

/// The page size that file offsets and addresses must agree in.
const PAGE: u64 = 4096;
/// The longest interpreter path with its NUL (PATH_MAX).
const INTERPRETER_MAX: u64 = 4096;

bitflags::bitflags! {
    /// What a segment's memory may be used for.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct SegmentFlags: u32 {
        /// Instructions are fetched from it.
        const EXECUTE = 1;
        /// It is written to.
        const WRITE = 2;
        /// It is read from.
        const READ = 4;
    }
}

/// A part of the file and its place in memory. No sum of its fields overflows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// What the memory may be used for.
    pub flags: SegmentFlags,
    /// Where the contents begin in the file.
    pub file_offset: u64,
    /// Where they go in memory; relative to the base of a relocatable file.
    pub address: u64,
    /// Bytes that come from the file.
    pub file_length: u64,
    /// Bytes in memory; what the file does not give is zero.
    pub memory_length: u64,
    /// A power of two; what is none in the file counts as 1, as in Linux.
    pub alignment: u64,
}

impl Segment {
    fn parse(entry: &[u8]) -> Option<Result<Segment, Error>> {
        let segment = Segment {
            flags: SegmentFlags::from_bits_truncate(u32_at(entry, 4)?),
            file_offset: u64_at(entry, 8)?,
            address: u64_at(entry, 16)?,
            file_length: u64_at(entry, 32)?,
            memory_length: u64_at(entry, 40)?,
            alignment: Some(u64_at(entry, 48)?).filter(|value| value.is_power_of_two()).unwrap_or(1),
        };
        let fits = segment.address.checked_add(segment.memory_length).is_some()
            && segment.file_offset.checked_add(segment.file_length).is_some();
        Some(if fits { Ok(segment) } else { Err(Error::Overflow) })
    }

    fn check_loadable(&self) -> Result<(), Error> {
        if self.file_length > self.memory_length {
            return Err(Error::FileLargerThanMemory);
        }
        let agrees = self.file_offset % PAGE == self.address % PAGE || self.file_length == 0;
        if !agrees {
            return Err(Error::BadAlignment);
        }
        Ok(())
    }

    /// The address after the last byte in memory.
    pub fn end(&self) -> u64 {
        self.address.saturating_add(self.memory_length)
    }

    /// Whether the address lies in it.
    pub fn contains(&self, address: u64) -> bool {
        address >= self.address && address < self.end()
    }
}

/// A file's program headers. The segments to load are checked: each has sizes, ends and offset in order. They may overlap and
/// come in any order, although the gABI forbids it: as on Linux a later one lies over an earlier. The others are hints, absent where they are absurd. Where the file really ends is not asked: Linux maps what is missing, and the
/// touch is a SIGBUS. [`Image::file_end`] tells how long it should be.
#[derive(Clone, Copy, Debug)]
pub struct Image<'a> {
    /// The file header.
    pub header: Header,
    table: &'a [u8],
    /// Where in the file the first interpreter's path lies, and its length; its last byte must be NUL,
    /// which the loader sees when it reads it.
    pub interpreter: Option<(u64, usize)>,
    /// Whether PT_GNU_STACK wants the stack executable; `None` where the file does not say.
    pub stack_is_executable: Option<bool>,
    /// The template of thread-local storage; its sizes are the program's word.
    pub thread_local: Option<Segment>,
    /// What becomes read-only after relocation.
    pub relocated_read_only: Option<Segment>,
    /// Where the program headers lie in memory, for AT_PHDR; relative for a relocatable file.
    pub program_headers_address: Option<u64>,
    /// The lowest address.
    pub start: u64,
    /// The address after the last byte.
    pub end: u64,
    /// The greatest alignment of a segment.
    pub alignment: u64,
    /// The bytes that the file must have for all segments to be filled.
    pub file_end: u64,
}

impl<'a> Image<'a> {
    /// Checks the program headers: the [`Header::program_headers_length`] bytes at
    /// [`Header::program_headers_offset`].
    pub fn parse(header: Header, table: &'a [u8]) -> Result<Image<'a>, Error> {
        let table = slice_at(table, 0, header.program_headers_length()).ok_or(Error::Truncated)?;
        let mut image = Image {
            header,
            table,
            interpreter: None,
            stack_is_executable: None,
            thread_local: None,
            relocated_read_only: None,
            program_headers_address: None,
            start: u64::MAX,
            end: 0,
            alignment: 1,
            file_end: 0,
        };
        for entry in table.chunks_exact(PROGRAM_HEADER_LENGTH) {
            image.add(entry)?;
        }
        if image.start > image.end {
            return Err(Error::NoSegments);
        }
        Ok(image)
    }

    fn add(&mut self, entry: &[u8]) -> Result<(), Error> {
        let kind = u32_at(entry, 0).ok_or(Error::Truncated)?;
        if !matches!(kind, PT_LOAD | PT_INTERP | PT_PHDR | PT_TLS | PT_GNU_STACK | PT_GNU_RELRO) {
            return Ok(());
        }
        if kind == PT_GNU_STACK {
            let flags = u32_at(entry, 4).ok_or(Error::Truncated)?;
            self.stack_is_executable = Some(flags & SegmentFlags::EXECUTE.bits() != 0);
            return Ok(());
        }
        let segment = Segment::parse(entry).ok_or(Error::Truncated)?;
        match kind {
            PT_LOAD => self.add_loadable(&segment?)?,
            PT_INTERP if self.interpreter.is_none() => {
                let segment = segment?;
                if !(2..=INTERPRETER_MAX).contains(&segment.file_length) {
                    return Err(Error::BadInterpreter);
                }
                self.interpreter = Some((segment.file_offset, segment.file_length as usize));
            }
            // What only the program itself uses is no reason to refuse it.
            PT_PHDR => self.program_headers_address = segment.ok().map(|segment| segment.address),
            PT_TLS => self.thread_local = segment.ok(),
            PT_GNU_RELRO => self.relocated_read_only = segment.ok(),
            _ => {}
        }
        Ok(())
    }

    fn add_loadable(&mut self, segment: &Segment) -> Result<(), Error> {
        segment.check_loadable()?;
        if segment.memory_length == 0 {
            return Ok(());
        }
        self.start = self.start.min(segment.address);
        self.end = self.end.max(segment.end());
        self.alignment = self.alignment.max(segment.alignment);
        let headers = self.header.program_headers_offset;
        if self.program_headers_address.is_none() && headers >= segment.file_offset {
            let inside = headers - segment.file_offset;
            if inside < segment.file_length {
                self.program_headers_address = segment.address.checked_add(inside);
            }
        }
        if segment.file_length > 0 {
            self.file_end = self.file_end.max(segment.file_offset.saturating_add(segment.file_length));
        }
        Ok(())
    }

    /// The segments to load, in the order of the file, none of them empty.
    pub fn segments(&self) -> impl Iterator<Item = Segment> + use<'a> {
        self.table
            .chunks_exact(PROGRAM_HEADER_LENGTH)
            .filter(|entry| u32_at(entry, 0) == Some(PT_LOAD))
            .filter_map(|entry| Segment::parse(entry)?.ok())
            .filter(|segment| segment.memory_length > 0)
    }

    /// Whether the entry point lies in an executable segment. Linux starts the program all the same
    /// and its first instruction is a SIGSEGV; a boot loader should refuse.
    pub fn entry_is_executable(&self) -> bool {
        self.segments().any(|segment| {
            segment.flags.contains(SegmentFlags::EXECUTE) && segment.contains(self.header.entry)
        })
    }
}

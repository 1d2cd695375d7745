//! ELF files for x86-64, 64-bit little-endian (System V gABI chapters 4 and 5).
//!
//! A loader reads 64 bytes, asks the [`Header`] where the program headers are, reads those and gets an
//! [`Image`]. Host tools that hold a whole file look at its [`section`]s and symbols.

mod program;
pub mod section;
pub mod shared;

use crate::bytes::{array_at, u16_at, u64_at};
use core::fmt;
pub use program::{Image, Segment, SegmentFlags};

/// The bytes of the file header.
pub const HEADER_LENGTH: usize = 64;
/// The bytes of one program header.
pub const PROGRAM_HEADER_LENGTH: usize = 56;
/// The most bytes of program headers that Linux accepts, hence the most of them.
pub const PROGRAM_HEADERS_MAX: usize = 65_536 / PROGRAM_HEADER_LENGTH;

/// Why a file cannot be loaded. A loader gives ENOEXEC for what is no program of this machine
/// ([`Error::is_foreign`]); a program that contradicts itself is one, but cannot run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// Fewer bytes than the header or table needs.
    Truncated,
    /// No ELF magic.
    NotElf,
    /// For another processor than x86-64. Class, byte order and versions are not asked for, since the machine decides them
    /// and Linux does not ask either.
    WrongMachine,
    /// Neither ET_EXEC nor ET_DYN.
    WrongType,
    /// Program headers of a size or number that Linux refuses.
    BadProgramHeaders,
    /// PT_INTERP is empty or longer than a path.
    BadInterpreter,
    /// Nothing to load.
    NoSegments,
    /// A segment is larger in the file than in memory.
    FileLargerThanMemory,
    /// An address plus a size leaves 64 bits.
    Overflow,
    /// File offset and address differ within a page.
    BadAlignment,
}

impl Error {
    /// Whether the file is no program for this machine, rather than a broken one.
    pub const fn is_foreign(self) -> bool {
        matches!(
            self,
            Error::Truncated
                | Error::NotElf
                | Error::WrongMachine
                | Error::WrongType
                | Error::BadProgramHeaders
                | Error::BadInterpreter
        )
    }
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Error::Truncated => "the file is cut off",
            Error::NotElf => "no ELF magic",
            Error::WrongMachine => "not for x86-64",
            Error::WrongType => "neither an executable nor a shared object",
            Error::BadProgramHeaders => "program headers of a wrong size or number",
            Error::BadInterpreter => "the interpreter's path is empty or too long",
            Error::NoSegments => "no segment to load",
            Error::FileLargerThanMemory => "a segment is larger in the file than in memory",
            Error::Overflow => "a segment's end leaves the address space",
            Error::BadAlignment => "a segment's file offset and address differ within a page",
        })
    }
}

impl core::error::Error for Error {}

/// How a file is placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// At the addresses that it names (ET_EXEC).
    Fixed,
    /// Anywhere: a position-independent program or a shared object (ET_DYN).
    Relocatable,
}

/// The file header, checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// How the file is placed.
    pub kind: Kind,
    /// Where the program starts; relative to its base where it is relocatable.
    pub entry: u64,
    /// Where in the file the program headers are.
    pub program_headers_offset: u64,
    /// How many program headers there are, 1 to [`PROGRAM_HEADERS_MAX`].
    pub program_headers: usize,
    section_headers_offset: u64,
    section_headers: u16,
    section_names: u16,
}

impl Header {
    /// Reads the first [`HEADER_LENGTH`] bytes of a file; more bytes do no harm.
    pub fn parse(bytes: &[u8]) -> Result<Header, Error> {
        if array_at(bytes, 0) != Some(*b"\x7fELF") {
            return Err(Error::NotElf);
        }
        let header = Header::fields(bytes).ok_or(Error::Truncated)??;
        Ok(header)
    }

    fn fields(bytes: &[u8]) -> Option<Result<Header, Error>> {
        let kind = u16_at(bytes, 16)?;
        let machine = u16_at(bytes, 18)?;
        let header_entry_length = u16_at(bytes, 54)?;
        let program_headers = usize::from(u16_at(bytes, 56)?);
        let header = Header {
            kind: if kind == 2 { Kind::Fixed } else { Kind::Relocatable },
            entry: u64_at(bytes, 24)?,
            program_headers_offset: u64_at(bytes, 32)?,
            program_headers,
            section_headers_offset: u64_at(bytes, 40)?,
            section_headers: u16_at(bytes, 60)?,
            section_names: u16_at(bytes, 62)?,
        };
        Some(if machine != 62 {
            Err(Error::WrongMachine)
        } else if kind != 2 && kind != 3 {
            Err(Error::WrongType)
        } else if usize::from(header_entry_length) != PROGRAM_HEADER_LENGTH
            || program_headers == 0
            || program_headers > PROGRAM_HEADERS_MAX
        {
            Err(Error::BadProgramHeaders)
        } else {
            Ok(header)
        })
    }

    /// The bytes of all program headers together.
    pub fn program_headers_length(&self) -> usize {
        self.program_headers * PROGRAM_HEADER_LENGTH
    }
}

//! Archives of an initial file system: cpio in the "new ASCII" format (cpio(5), and Linux's
//! driver-api/early-userspace/buffer-format).
//!
//! Several archives may follow each other with zeros between them, which is how distributions add
//! microcode and modules; the [`Reader`] goes through all. A file with several names is several
//! entries with one inode number, of which any may carry the contents.

mod writer;

use crate::bytes::{slice_at, until_nul};
use core::fmt;
pub use writer::{Metadata, WriteError, Writer};

const HEADER_LENGTH: usize = 110;
const TRAILER: &[u8] = b"TRAILER!!!";
/// The longest name with its NUL (PATH_MAX).
const NAME_MAX: usize = 4096;

/// The kind bits of [`Entry::mode`], and the kinds.
pub const MODE_KIND: u32 = 0o170_000;
/// A directory.
pub const MODE_DIRECTORY: u32 = 0o040_000;
/// A regular file.
pub const MODE_FILE: u32 = 0o100_000;
/// A symbolic link; the contents are its target.
pub const MODE_SYMLINK: u32 = 0o120_000;
/// A character device.
pub const MODE_CHARACTER: u32 = 0o020_000;
/// A block device.
pub const MODE_BLOCK: u32 = 0o060_000;
/// A named pipe.
pub const MODE_FIFO: u32 = 0o010_000;
/// A socket.
pub const MODE_SOCKET: u32 = 0o140_000;

/// Why an archive cannot be read on, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Error {
    /// The offset of the entry, from the start of all bytes.
    pub offset: usize,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What is wrong with an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The bytes end within the entry.
    Truncated,
    /// No magic number of the format.
    BadMagic,
    /// A field that is no hexadecimal number.
    BadNumber,
    /// A name that is empty, too long, or has no NUL at its end.
    BadName,
    /// The contents do not sum up to the checksum (magic 070702).
    BadChecksum,
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self.fault {
            Fault::Truncated => "is cut off",
            Fault::BadMagic => "has no cpio magic",
            Fault::BadNumber => "has a field that is no hexadecimal number",
            Fault::BadName => "has an invalid name",
            Fault::BadChecksum => "does not match its checksum",
        };
        write!(out, "the archive entry at byte {} {text}", self.offset)
    }
}

impl core::error::Error for Error {}

/// A device number in its two parts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Device {
    /// Which driver.
    pub major: u32,
    /// Which of its devices.
    pub minor: u32,
}

/// Which file an entry is a name of: equal for all names of one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileKey {
    /// Which of the archives that follow each other: numbers of another mean nothing.
    pub archive: u32,
    /// The device that the file was on.
    pub device: Device,
    /// Its inode number there.
    pub inode: u32,
}

/// One name in an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The path, without the NUL, as it was archived: it may begin with `/` or hold `..`.
    pub name: &'a [u8],
    /// Kind and permissions (`st_mode`).
    pub mode: u32,
    /// The owner.
    pub user: u32,
    /// The group.
    pub group: u32,
    /// How many names the file has.
    pub links: u32,
    /// Seconds since 1970.
    pub modified: u32,
    /// Which file it is.
    pub file: FileKey,
    /// The device that a device file stands for.
    pub represents: Device,
    /// The contents, or a symbolic link's target. Of several names of a file those that carry
    /// nothing are empty.
    pub data: &'a [u8],
}

/// Goes through the entries of all archives in some bytes. After an error there are no more.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    offset: usize,
    archive: u32,
    is_inside: bool,
    is_done: bool,
}

impl<'a> Reader<'a> {
    /// Starts at the first byte. Bytes that are empty or all zero hold no archive and no error.
    pub fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { bytes, offset: 0, archive: 0, is_inside: false, is_done: false }
    }

    /// What follows the last archive read: empty, or something that is no cpio (a compressed archive,
    /// say). Asked for when the iterator has ended.
    pub fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.offset..).unwrap_or(&[])
    }

    /// Passes over zeros and tells whether another entry is to be read. An archive may end without a
    /// trailer where all bytes end; where others follow, they must be an entry.
    fn goes_on(&mut self) -> bool {
        let zeros = self.rest().iter().take_while(|byte| **byte == 0).count();
        self.offset = self.offset.saturating_add(zeros);
        let rest = self.rest();
        if self.is_inside { !rest.is_empty() } else { rest.starts_with(b"07070") }
    }

    fn entry(&mut self) -> Result<Entry<'a>, Fault> {
        let rest = self.rest();
        let header = slice_at(rest, 0, HEADER_LENGTH).ok_or(Fault::Truncated)?;
        let (magic, numbers) = header.split_at_checked(6).ok_or(Fault::Truncated)?;
        let has_checksum = match magic {
            b"070701" => false,
            b"070702" => true,
            _ => return Err(Fault::BadMagic),
        };
        let mut fields = [0; 13];
        for (field, digits) in fields.iter_mut().zip(numbers.chunks_exact(8)) {
            *field = hexadecimal(digits).ok_or(Fault::BadNumber)?;
        }
        let [
            inode,
            mode,
            user,
            group,
            links,
            modified,
            length,
            major,
            minor,
            represents_major,
            represents_minor,
            name_length,
            checksum,
        ] = fields;
        let name_length = name_length as usize;
        if !(2..=NAME_MAX).contains(&name_length) {
            return Err(Fault::BadName);
        }
        let name = slice_at(rest, HEADER_LENGTH, name_length).ok_or(Fault::Truncated)?;
        let is_ended = name.ends_with(&[0]);
        // Some archivers fill the name up with NULs, so that the contents begin at a page.
        let name = until_nul(name);
        if !is_ended || name.is_empty() {
            return Err(Fault::BadName);
        }
        let data_offset = (HEADER_LENGTH + name_length).next_multiple_of(4);
        let data = slice_at(rest, data_offset, length as usize).ok_or(Fault::Truncated)?;
        let sum = || data.iter().fold(0, |sum: u32, byte| sum.wrapping_add(u32::from(*byte)));
        if has_checksum && mode & MODE_KIND == MODE_FILE && sum() != checksum {
            return Err(Fault::BadChecksum);
        }
        // The last padding may be missing where the file was cut to its contents.
        let end = data_offset.saturating_add(data.len()).next_multiple_of(4).min(rest.len());
        self.offset = self.offset.saturating_add(end);
        Ok(Entry {
            name,
            mode,
            user,
            group,
            links,
            modified,
            file: FileKey { archive: self.archive, device: Device { major, minor }, inode },
            represents: Device { major: represents_major, minor: represents_minor },
            data,
        })
    }
}

impl<'a> Iterator for Reader<'a> {
    type Item = Result<Entry<'a>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.is_done {
            if !self.goes_on() {
                self.is_done = true;
                break;
            }
            self.is_inside = true;
            let offset = self.offset;
            match self.entry() {
                Ok(entry) if entry.name == TRAILER => {
                    self.is_inside = false;
                    self.archive = self.archive.saturating_add(1);
                }
                Ok(entry) => return Some(Ok(entry)),
                Err(fault) => {
                    self.is_done = true;
                    return Some(Err(Error { offset, fault }));
                }
            }
        }
        None
    }
}

fn hexadecimal(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |value: u32, digit| Some(value << 4 | char::from(*digit).to_digit(16)?))
}

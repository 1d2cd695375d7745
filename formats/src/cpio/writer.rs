//! Writing an archive. The same calls give the same bytes: nothing of the host gets in.

use super::{
    Device, HEADER_LENGTH, MODE_BLOCK, MODE_CHARACTER, MODE_DIRECTORY, MODE_FIFO, MODE_FILE, MODE_SOCKET,
    MODE_SYMLINK, NAME_MAX, TRAILER,
};
use alloc::format;
use alloc::vec::Vec;
use core::fmt;

/// What all kinds of entries have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// The nine permission bits and setuid, setgid, sticky; a kind is not given here.
    pub permissions: u32,
    /// The owner.
    pub user: u32,
    /// The group.
    pub group: u32,
    /// Seconds since 1970.
    pub modified: u32,
}

impl Metadata {
    /// Root's, of the year 1970.
    pub const fn root(permissions: u32) -> Metadata {
        Metadata { permissions, user: 0, group: 0, modified: 0 }
    }
}

/// Why an entry cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteError {
    /// Empty, too long, with a NUL, or the trailer's.
    BadName,
    /// Contents of 4 GiB or more, which the format cannot say.
    TooLarge,
}

impl fmt::Display for WriteError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            WriteError::BadName => "a name in an archive must have 1 to 4095 bytes and no NUL",
            WriteError::TooLarge => "a file in an archive must be smaller than 4 GiB",
        })
    }
}

impl core::error::Error for WriteError {}

struct Fields<'a> {
    inode: u32,
    kind: u32,
    links: u32,
    represents: Device,
    data: &'a [u8],
}

/// An archive in the making.
#[derive(Debug, Default)]
pub struct Writer {
    bytes: Vec<u8>,
    last_inode: u32,
}

impl Writer {
    /// An empty archive.
    pub fn new() -> Writer {
        Writer::default()
    }

    /// Adds a directory; its parents must have been added before for Linux to unpack it.
    pub fn directory(&mut self, name: &[u8], metadata: &Metadata) -> Result<(), WriteError> {
        self.single(name, metadata, MODE_DIRECTORY, 2, Device::default(), &[])
    }

    /// Adds a regular file.
    pub fn file(&mut self, name: &[u8], metadata: &Metadata, data: &[u8]) -> Result<(), WriteError> {
        self.hard_links(&[name], metadata, data)
    }

    /// Adds a regular file with several names; the last entry carries the contents, as GNU cpio does.
    pub fn hard_links(
        &mut self,
        names: &[&[u8]],
        metadata: &Metadata,
        data: &[u8],
    ) -> Result<(), WriteError> {
        names.iter().try_for_each(|name| check_name(name))?;
        let links = u32::try_from(names.len()).map_err(|_| WriteError::TooLarge)?;
        self.last_inode += 1;
        for (at, name) in names.iter().enumerate() {
            let data = if at + 1 == names.len() { data } else { &[] };
            let fields = Fields {
                inode: self.last_inode,
                kind: MODE_FILE,
                links,
                represents: Device::default(),
                data,
            };
            self.entry(name, metadata, &fields)?;
        }
        Ok(())
    }

    /// Adds a symbolic link.
    pub fn symlink(&mut self, name: &[u8], metadata: &Metadata, target: &[u8]) -> Result<(), WriteError> {
        self.single(name, metadata, MODE_SYMLINK, 1, Device::default(), target)
    }

    /// Adds a character device.
    pub fn character(&mut self, name: &[u8], metadata: &Metadata, device: Device) -> Result<(), WriteError> {
        self.single(name, metadata, MODE_CHARACTER, 1, device, &[])
    }

    /// Adds a block device.
    pub fn block(&mut self, name: &[u8], metadata: &Metadata, device: Device) -> Result<(), WriteError> {
        self.single(name, metadata, MODE_BLOCK, 1, device, &[])
    }

    /// Adds a named pipe.
    pub fn fifo(&mut self, name: &[u8], metadata: &Metadata) -> Result<(), WriteError> {
        self.single(name, metadata, MODE_FIFO, 1, Device::default(), &[])
    }

    /// Adds a socket.
    pub fn socket(&mut self, name: &[u8], metadata: &Metadata) -> Result<(), WriteError> {
        self.single(name, metadata, MODE_SOCKET, 1, Device::default(), &[])
    }

    /// The finished archive, a multiple of 512 bytes long, so that another can follow it.
    pub fn finish(mut self) -> Vec<u8> {
        let fields = Fields { inode: 0, kind: 0, links: 1, represents: Device::default(), data: &[] };
        self.append(TRAILER, &Metadata::root(0), &fields, 0);
        self.bytes.resize(self.bytes.len().next_multiple_of(512), 0);
        self.bytes
    }

    fn single(
        &mut self,
        name: &[u8],
        metadata: &Metadata,
        kind: u32,
        links: u32,
        represents: Device,
        data: &[u8],
    ) -> Result<(), WriteError> {
        check_name(name)?;
        self.last_inode += 1;
        let inode = self.last_inode;
        self.entry(name, metadata, &Fields { inode, kind, links, represents, data })
    }

    fn entry(&mut self, name: &[u8], metadata: &Metadata, fields: &Fields) -> Result<(), WriteError> {
        let length = u32::try_from(fields.data.len()).map_err(|_| WriteError::TooLarge)?;
        self.append(name, metadata, fields, length);
        Ok(())
    }

    fn append(&mut self, name: &[u8], metadata: &Metadata, fields: &Fields, length: u32) {
        let mode = fields.kind | metadata.permissions & 0o7777;
        let numbers = [
            fields.inode,
            mode,
            metadata.user,
            metadata.group,
            fields.links,
            metadata.modified,
            length,
            0,
            0,
            fields.represents.major,
            fields.represents.minor,
            name.len() as u32 + 1,
            0,
        ];
        self.bytes.reserve(HEADER_LENGTH + name.len() + fields.data.len() + 8);
        self.bytes.extend_from_slice(b"070701");
        for number in numbers {
            self.bytes.extend_from_slice(format!("{number:08x}").as_bytes());
        }
        self.bytes.extend_from_slice(name);
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(fields.data);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

fn check_name(name: &[u8]) -> Result<(), WriteError> {
    let is_good = !name.is_empty() && name.len() < NAME_MAX && !name.contains(&0) && name != TRAILER;
    if is_good { Ok(()) } else { Err(WriteError::BadName) }
}

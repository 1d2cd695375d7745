//! An open file: what a descriptor reads, writes and waits for.

use alloc::sync::Arc;
use core::any::Any;

use abi::Errno;
use abi::fcntl::FallocateFlags;
use memory::{Object, Sink, Source};
use threads::poll::Pollable;

use crate::inode::Entry;

/// One read or write: where, and how patient.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Transfer {
    /// The byte at which it begins; the file moves it on past what it did. Files that are streams leave it alone.
    pub offset: u64,
    /// Fail with EAGAIN rather than sleep.
    pub is_nonblocking: bool,
    /// A write goes to the end of the file, wherever `offset` is.
    pub is_append: bool,
    /// A write returns after the device has the data.
    pub is_synchronous: bool,
    /// Each write to a pipe is a packet (O_DIRECT).
    pub is_packet: bool,
    /// No regular file is made longer than this (RLIMIT_FSIZE): EFBIG.
    pub size_max: Option<u64>,
}

impl Transfer {
    /// A patient transfer at `offset`.
    pub const fn at(offset: u64) -> Self {
        Self {
            offset,
            is_nonblocking: false,
            is_append: false,
            is_synchronous: false,
            is_packet: false,
            size_max: None,
        }
    }
}

/// The last argument of ioctl(2): a number, which may be the address of something in the program's memory.
pub trait IoctlArgument {
    /// The argument as a number.
    fn value(&self) -> usize;
    /// Reads what it points to: EFAULT.
    fn read(&mut self, into: &mut [u8]) -> Result<(), Errno>;
    /// Writes to what it points to: EFAULT.
    fn write(&mut self, from: &[u8]) -> Result<(), Errno>;
}

/// An ioctl argument in kernel memory: for calls from inside the kernel, and tests.
pub struct KernelArgument<'a>(pub &'a mut [u8]);

impl IoctlArgument for KernelArgument<'_> {
    fn value(&self) -> usize {
        0
    }

    fn read(&mut self, into: &mut [u8]) -> Result<(), Errno> {
        into.copy_from_slice(self.0.get(..into.len()).ok_or(Errno::EFAULT)?);
        Ok(())
    }

    fn write(&mut self, from: &[u8]) -> Result<(), Errno> {
        self.0.get_mut(..from.len()).ok_or(Errno::EFAULT)?.copy_from_slice(from);
        Ok(())
    }
}

/// Where lseek(2) counts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seek {
    /// `SEEK_SET`.
    Start(i64),
    /// `SEEK_CUR`.
    Current(i64),
    /// `SEEK_END`.
    End(i64),
    /// `SEEK_DATA`: the first byte at or after this one that is not in a hole.
    Data(i64),
    /// `SEEK_HOLE`: the first hole at or after this byte; the end counts as one.
    Hole(i64),
}

impl Seek {
    /// The pair of lseek(2)'s arguments: EINVAL for a whence that there is not.
    pub const fn new(offset: i64, whence: u32) -> Result<Self, Errno> {
        match whence {
            abi::fcntl::SEEK_SET => Ok(Self::Start(offset)),
            abi::fcntl::SEEK_CUR => Ok(Self::Current(offset)),
            abi::fcntl::SEEK_END => Ok(Self::End(offset)),
            abi::fcntl::SEEK_DATA => Ok(Self::Data(offset)),
            abi::fcntl::SEEK_HOLE => Ok(Self::Hole(offset)),
            _ => Err(Errno::EINVAL),
        }
    }
}

/// How an open file is positioned.
///
/// | | lseek | pread | pwrite |
/// |---|---|---|---|
/// | `Stream` | ESPIPE | ESPIPE | ESPIPE |
/// | `Position` | from anywhere | yes | yes |
/// | `Sequence` | not from the end | yes | ESPIPE |
/// | `Ignored` | does nothing | yes | yes |
/// | `Nowhere` | does nothing | ESPIPE | ESPIPE |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Positioning {
    /// A stream: pipes, sockets, terminals.
    Stream,
    /// A position that every read and write moves, and that lseek sets.
    Position,
    /// A position, but no end to count it from: the texts of /proc, and folders.
    Sequence,
    /// Every byte is like the others: /dev/null and its kind of device.
    Ignored,
    /// No place at all: eventfds and their kind.
    Nowhere,
}

impl Positioning {
    /// Whether reads and writes move a position.
    pub const fn has_position(self) -> bool {
        matches!(self, Self::Position | Self::Sequence)
    }

    /// Whether there are offsets to read at.
    pub const fn has_offsets(self) -> bool {
        matches!(self, Self::Position | Self::Sequence | Self::Ignored)
    }
}

/// What can be done with a kind of file. Where reading or writing is missing, the calls are EINVAL even for no bytes at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Abilities {
    /// read(2) means something.
    pub reads: bool,
    /// write(2) means something.
    pub writes: bool,
    /// splice(2) and sendfile(2) can take bytes from it.
    pub splices_from: bool,
    /// splice(2) and sendfile(2) can give bytes to it.
    pub splices_to: bool,
    /// There is a way around the cache, or packets: O_DIRECT.
    pub direct: bool,
}

impl Abilities {
    /// Bytes are read, written and spliced.
    pub const ALL: Self =
        Self { reads: true, writes: true, splices_from: true, splices_to: true, direct: false };
    /// Bytes are read and written, each time by a program.
    pub const UNSPLICED: Self = Self { splices_from: false, splices_to: false, ..Self::ALL };
}

/// What a descriptor works on. What a kind of file does not have keeps its default, which is the error Linux gives.
/// Every method may sleep unless it says otherwise.
pub trait File: Any + Pollable + Send + Sync {
    /// Reads into `into`, at most `into.remaining()` bytes; 0 is the end. EAGAIN, EINTR, EISDIR, EIO.
    fn read(&self, _into: &mut dyn Sink, _how: &mut Transfer) -> Result<usize, Errno> {
        Err(Errno::EINVAL)
    }

    /// Writes from `from`, at most `from.remaining()` bytes. EPIPE is the caller's cue to send SIGPIPE.
    fn write(&self, _from: &mut dyn Source, _how: &mut Transfer) -> Result<usize, Errno> {
        Err(Errno::EINVAL)
    }

    /// Whether there is a position.
    fn positioning(&self) -> Positioning {
        Positioning::Stream
    }

    /// What can be done with this kind of file.
    fn abilities(&self) -> Abilities {
        Abilities::ALL
    }

    /// lseek(2) where [`positioning`](Self::positioning) is `Ignored` or `Nowhere`.
    fn seek(&self, _to: Seek) -> Result<u64, Errno> {
        Ok(0)
    }

    /// The largest position that lseek(2) sets.
    fn position_max(&self) -> u64 {
        i64::MAX as u64
    }

    /// The size, for positions counted from the end and for O_APPEND.
    fn size(&self) -> Result<u64, Errno> {
        Ok(0)
    }

    /// The first byte at or after `offset` that holds data (or, with `hole`, that lies in a hole): ENXIO past the end.
    fn seek_extent(&self, offset: u64, hole: bool) -> Result<u64, Errno> {
        let size = self.size()?;
        if offset >= size {
            Err(Errno::ENXIO)
        } else if hole {
            Ok(size)
        } else {
            Ok(offset)
        }
    }

    /// Calls `visit` for the entries of a directory from `position` on, until it returns false: see
    /// [`Inode::read_directory`](crate::Inode::read_directory).
    fn read_directory(&self, _position: u64, _visit: &mut dyn FnMut(Entry<'_>) -> bool) -> Result<(), Errno> {
        Err(Errno::ENOTDIR)
    }

    /// A request of its own kind; ENOTTY for one it does not know.
    fn ioctl(&self, _request: u32, _argument: &mut dyn IoctlArgument) -> Result<usize, Errno> {
        Err(Errno::ENOTTY)
    }

    /// The pages that a mapping of this file shows: ENODEV where it cannot be mapped.
    fn object(&self) -> Result<Arc<Object>, Errno> {
        Err(Errno::ENODEV)
    }

    /// Sets the size: EINVAL where there is none.
    fn truncate(&self, _size: u64) -> Result<(), Errno> {
        Err(Errno::EINVAL)
    }

    /// Takes room or makes holes in advance; only a regular file is asked. EOPNOTSUPP for what it cannot do.
    fn allocate(&self, _how: FallocateFlags, _offset: u64, _len: u64) -> Result<(), Errno> {
        Err(Errno::EOPNOTSUPP)
    }

    /// Returns when what was written is where it will survive; EINVAL where that means nothing.
    fn sync(&self, _data_only: bool) -> Result<(), Errno> {
        Err(Errno::EINVAL)
    }

    /// Called once for each close of a descriptor, even while others remain: EIO from what was written before.
    fn flush(&self) -> Result<(), Errno> {
        Ok(())
    }

    /// Whether epoll(7) can watch it: not what never makes anybody wait (EPERM).
    fn can_be_watched(&self) -> bool {
        true
    }

    /// The pipe, where this is an end of one: for splice and F_SETPIPE_SZ.
    fn as_pipe(&self) -> Option<&crate::pipe::PipeEnd> {
        None
    }

    /// The terminal, where this is one: for job control.
    fn as_terminal(&self) -> Option<&Arc<crate::terminal::Terminal>> {
        None
    }

    /// The socket, where this is one.
    fn as_socket(&self) -> Option<&dyn crate::socket::Socket> {
        None
    }
}

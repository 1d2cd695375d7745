//! epoll instances as files (epoll(7)); what they do is in [`threads::poll`].

use alloc::sync::Arc;

use abi::Errno;
use abi::fcntl::OpenFlags;
use machine::frame::OutOfMemory;
use machine::heap::try_arc;
use threads::poll::{Epoll, Events, Pollable, Waiter};

use crate::anonymous::AnonymousInode;
use crate::file::{Abilities, File, IoctlArgument, Positioning};
use crate::open_file::OpenFile;

struct EpollFile(Epoll);

/// epoll_create1(2). The instance is found again with `as_epoll` of the open file.
pub fn create() -> Result<Arc<OpenFile>, OutOfMemory> {
    let file = try_arc(EpollFile(Epoll::new()?))?;
    OpenFile::anonymous(file, AnonymousInode::labelled("[eventpoll]")?, OpenFlags::RDWR)
}

impl Pollable for EpollFile {
    fn poll(&self, interest: Events, waiter: Option<&mut Waiter>) -> Events {
        self.0.poll(interest, waiter)
    }

    fn as_epoll(&self) -> Option<&Epoll> {
        Some(&self.0)
    }
}

impl File for EpollFile {
    fn positioning(&self) -> Positioning {
        Positioning::Nowhere
    }

    fn abilities(&self) -> Abilities {
        Abilities { reads: false, writes: false, ..Abilities::UNSPLICED }
    }

    fn ioctl(&self, _request: u32, _argument: &mut dyn IoctlArgument) -> Result<usize, Errno> {
        Err(Errno::EINVAL)
    }
}

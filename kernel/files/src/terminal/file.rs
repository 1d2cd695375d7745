//! A terminal that a program has open.

use alloc::sync::Arc;

use abi::Errno;
use abi::capability::CAP_SYS_ADMIN;
use abi::fcntl::OpenFlags;
use core::sync::atomic::Ordering;
use machine::heap::try_arc;
use memory::{Sink, Source};
use threads::poll::{Events, Pollable, Waiter};

use super::{Terminal, job};
use crate::file::{File, IoctlArgument, Positioning, Transfer};
use crate::inode::Opening;

/// What a descriptor for a terminal works on.
pub struct TerminalFile {
    terminal: Arc<Terminal>,
    /// Which hang-ups had been before: a later one makes this file dead.
    generation: u32,
}

impl TerminalFile {
    /// Opens a terminal. A session leader without a terminal gets this one, unless `O_NOCTTY` or `is_console` says otherwise.
    /// EIO when the other side has gone, EBUSY while it is open exclusively.
    pub fn open(
        terminal: &Arc<Terminal>,
        opening: &Opening<'_>,
        is_console: bool,
    ) -> Result<Arc<dyn File>, Errno> {
        if terminal.is_gone.load(Ordering::Acquire) {
            return Err(Errno::EIO);
        }
        if terminal.is_exclusive.load(Ordering::Relaxed) && !opening.credentials.has(CAP_SYS_ADMIN) {
            return Err(Errno::EBUSY);
        }
        let may_adopt = !is_console && !opening.flags.contains(OpenFlags::NOCTTY) && opening.flags.can_read();
        if may_adopt {
            job::adopt_on_open(terminal);
        }
        Ok(try_arc(Self { terminal: Arc::clone(terminal), generation: terminal.generation() })?)
    }
}

impl Pollable for TerminalFile {
    fn poll(&self, interest: Events, waiter: Option<&mut Waiter>) -> Events {
        self.terminal.poll(self.generation, interest, waiter)
    }
}

impl File for TerminalFile {
    fn read(&self, into: &mut dyn Sink, how: &mut Transfer) -> Result<usize, Errno> {
        self.terminal.read(into, how.is_nonblocking, self.generation)
    }

    fn write(&self, from: &mut dyn Source, how: &mut Transfer) -> Result<usize, Errno> {
        self.terminal.write(from, how.is_nonblocking, self.generation)
    }

    fn positioning(&self) -> Positioning {
        Positioning::Stream
    }

    fn ioctl(&self, request: u32, argument: &mut dyn IoctlArgument) -> Result<usize, Errno> {
        if self.terminal.has_hung_up(self.generation) {
            return Err(Errno::EIO);
        }
        self.terminal.control(request, argument)
    }

    fn as_terminal(&self) -> Option<&Arc<Terminal>> {
        Some(&self.terminal)
    }
}

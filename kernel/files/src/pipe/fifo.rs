//! Opening a FIFO: each side waits for the other (fifo(7)).

use alloc::sync::Arc;
use core::sync::atomic::Ordering;

use abi::Errno;
use abi::fcntl::OpenFlags;
use machine::heap::try_arc;
use threads::Wait;

use super::Pipe;
use crate::file::File;
use crate::inode::{Inode, Opening};

/// Opens the FIFO or pipe `inode`: sleeps until the other side is open as well, unless it is opened for both or with
/// `O_NONBLOCK`, which for a writer without reader gives ENXIO. EINTR.
pub fn open_fifo(inode: &Arc<dyn Inode>, opening: &Opening<'_>) -> Result<Arc<dyn File>, Errno> {
    let attachment = inode.attachment().ok_or(Errno::ENXIO)?;
    let pipe = attachment.get_or_attach(Pipe::new)?.ok_or(Errno::ENXIO)?;
    let flags = opening.flags;
    let is_nonblocking = flags.contains(OpenFlags::NONBLOCK);
    let (reads, writes) = (flags.can_read(), flags.can_write());
    if !reads && !writes {
        return Err(Errno::EINVAL);
    }
    if writes && !reads && is_nonblocking && !pipe.has_readers() {
        return Err(Errno::ENXIO);
    }
    let reader_opens = pipe.reader_opens.load(Ordering::SeqCst);
    let writer_opens = pipe.writer_opens.load(Ordering::SeqCst);
    // A partner that waits already is looked for before this side shows itself: from then on it may do its work and be
    // gone again before this side looks.
    let was_there = match (reads, writes) {
        (true, false) => pipe.has_writers(),
        (false, true) => pipe.has_readers(),
        _ => true,
    };
    let end = pipe.end(reads, writes);
    pipe.opened.wake_all();
    let partner_came = || {
        let came = was_there
            || pipe.writer_opens.load(Ordering::SeqCst) != writer_opens && reads
            || pipe.reader_opens.load(Ordering::SeqCst) != reader_opens && writes;
        came.then_some(())
    };
    if !is_nonblocking {
        pipe.opened.wait_until(Wait::INTERRUPTIBLE, partner_came).map_err(|_| Errno::EINTR)?;
    }
    Ok(try_arc(end)?)
}

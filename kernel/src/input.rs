//! The job's standard input, when the host passes its own on (docs/testing.md): lines of the report's other direction,
//! a queue, and a thread that writes them into a pipe.
//!
//! A line is taken while there is room, and the rest waits at the host; so a job that does not read holds the host back,
//! as a pipe between the two would.

use alloc::collections::VecDeque;
use alloc::sync::Arc;

use abi::Errno;
use abi::fcntl::OpenFlags;
use drivers::report;
use files::OpenFile;
use machine::sync::{Rank, SpinLock};
use memory::KernelSource;
use threads::{Builder, Wait, WaitQueue};

/// Bytes that wait for the thread before the host does.
const QUEUE_LEN: usize = 4096;
/// Bytes that go into the pipe at a time.
const CHUNK: usize = 256;

struct Queue {
    bytes: VecDeque<u8>,
    /// Nothing more comes from the host.
    is_over: bool,
    /// Nobody reads: what comes is thrown away.
    is_unread: bool,
}

static QUEUE: SpinLock<Queue> =
    SpinLock::new(Rank::Stream, Queue { bytes: VecDeque::new(), is_over: false, is_unread: false });
static HAS_NEWS: WaitQueue = WaitQueue::new();

/// The end of the pipe for the job to read, after the host has been asked to begin: EIO when there is no report, ENOMEM.
pub fn start() -> Result<Arc<OpenFile>, Errno> {
    if !report::is_open() {
        return Err(Errno::EIO);
    }
    QUEUE.lock().bytes.try_reserve_exact(QUEUE_LEN).map_err(|_| Errno::ENOMEM)?;
    let (reader, writer) = files::pipe::create(OpenFlags::empty(), 0, 0)?;
    Builder::new(b"input").spawn(move || pass_on(&writer)).map_err(|_| Errno::ENOMEM)?;
    report::line("input");
    Ok(reader)
}

/// Takes bytes in hexadecimal; `false`: not now.
pub fn take(digits: &str) -> bool {
    let mut queue = QUEUE.lock();
    if queue.is_unread {
        return true;
    }
    let room = queue.bytes.capacity().min(QUEUE_LEN) - queue.bytes.len();
    if digits.len() / 2 > room && !queue.bytes.is_empty() {
        return false;
    }
    let pairs = digits.as_bytes().chunks(2).take(room);
    queue.bytes.extend(pairs.map_while(|pair| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok()));
    drop(queue);
    HAS_NEWS.wake_all();
    true
}

/// Nothing more comes.
pub fn end() {
    QUEUE.lock().is_over = true;
    HAS_NEWS.wake_all();
}

/// What to write next; none at the end.
fn next(chunk: &mut [u8; CHUNK]) -> Option<&[u8]> {
    let is_ready = || {
        let queue = QUEUE.lock();
        (!queue.bytes.is_empty() || queue.is_over).then_some(())
    };
    // Nothing interrupts this thread.
    let _ = HAS_NEWS.wait_until(Wait::UNINTERRUPTIBLE, is_ready);
    let mut queue = QUEUE.lock();
    let len = queue.bytes.len().min(CHUNK);
    for (to, from) in chunk.iter_mut().zip(queue.bytes.drain(..len)) {
        *to = from;
    }
    (len > 0).then_some(&chunk[..len])
}

fn pass_on(writer: &OpenFile) {
    let mut chunk = [0; CHUNK];
    while let Some(mut rest) = next(&mut chunk) {
        report::lines_wanted();
        while !rest.is_empty() {
            match writer.write(&mut KernelSource::new(rest)) {
                Ok(written) => rest = rest.get(written..).unwrap_or_default(),
                Err(_) => {
                    // The job has closed its end. The window's size comes the same way, so the rest is taken and dropped.
                    let mut queue = QUEUE.lock();
                    queue.is_unread = true;
                    queue.bytes.clear();
                    drop(queue);
                    report::lines_wanted();
                    return;
                }
            }
        }
    }
}

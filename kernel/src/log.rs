//! The kernel's log: on the console as it is written, and for programs.

use alloc::sync::Arc;
use core::fmt::Write;
use core::sync::atomic::{AtomicU8, Ordering};

use arrayvec::ArrayString;
use files::device::{KernelLog, LogRecord, set_kernel_log};
use kernel_log::{Entry, Level};
use machine::console;
use machine::frame::OutOfMemory;
use machine::heap::try_to_vec;
use threads::WaitQueue;
use threads::poll::{Events, PollSource, Waiter};

use crate::options::Options;

/// Lines of a level below this one are shown.
static SHOWN: AtomicU8 = AtomicU8::new(0);

/// Shows lines on the console from now on.
pub fn start(options: &Options) {
    let shown = match options {
        Options { is_verbose: true, .. } => Level::Debug as u8 + 1,
        Options { is_quiet: true, .. } => 0,
        _ => Level::Notice as u8 + 1,
    };
    SHOWN.store(shown, Ordering::Relaxed);
    kernel_log::set_sink(show);
}

/// From the first program on, the console is the programs': only what has failed is still shown there, unless all is.
pub fn leave_console(options: &Options) {
    if !options.is_verbose && !options.is_quiet {
        SHOWN.store(Level::Error as u8 + 1, Ordering::Relaxed);
    }
}

/// Lines below this level are shown on the console (syslog(2), type 8).
pub fn set_shown(level: u8) {
    SHOWN.store(level.min(8), Ordering::Relaxed);
}

fn show(entry: &Entry<'_>) {
    if entry.priority & 7 >= u32::from(SHOWN.load(Ordering::Relaxed)) {
        return;
    }
    let mut stamp = ArrayString::<32>::new();
    let microseconds = entry.time_ns / 1000;
    // The longest stamp fits.
    let _ = write!(stamp, "[{:5}.{:06}] ", microseconds / 1_000_000, microseconds % 1_000_000);
    console::write_all(&[stamp.as_bytes(), entry.text, b"\n"]);
}

/// What /dev/kmsg and syslog(2) see.
struct Shared {
    added: WaitQueue,
    events: PollSource,
}

impl KernelLog for Shared {
    fn first(&self) -> u64 {
        kernel_log::first()
    }

    fn end(&self) -> u64 {
        kernel_log::end()
    }

    fn get(&self, sequence: u64) -> Option<Result<LogRecord, OutOfMemory>> {
        kernel_log::with(sequence, |entry| {
            Ok(LogRecord {
                sequence: entry.sequence,
                priority: entry.priority,
                time_ns: entry.time_ns,
                text: try_to_vec(entry.text)?,
            })
        })
    }

    fn append(&self, priority: u32, text: &[u8]) {
        kernel_log::append(priority, text);
    }

    fn added(&self) -> &WaitQueue {
        &self.added
    }

    fn poll(&self, interest: Events, table: Option<&mut Waiter>) -> Events {
        if let Some(waiter) = table {
            waiter.watch(&self.events, interest);
        }
        // Whether there is something to read depends on how far the reader has come.
        Events::empty()
    }
}

static SHARED: machine::sync::Once<Arc<Shared>> = machine::sync::Once::new();

/// Lets programs read the log.
pub fn share() {
    let shared = Arc::new(Shared { added: WaitQueue::new(), events: PollSource::new() });
    set_kernel_log(Arc::clone(&shared) as Arc<dyn KernelLog>);
    // Called once.
    let _ = SHARED.set(shared);
    kernel_log::set_notice(|| {
        if let Some(shared) = SHARED.get() {
            shared.added.wake_all();
            shared.events.notify(Events::IN | Events::RDNORM);
        }
    });
}

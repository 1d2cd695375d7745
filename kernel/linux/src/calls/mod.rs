//! System calls: one table, number -> handler -> how complete; the source of dispatch, of `./hob abi` and of the tracer.
//!
//! A handler gets the calling thread and the six argument registers, and returns the value of `rax` or an error. It takes arguments apart and checks them; the
//! work is done by the crate that owns the subject. A handler that was interrupted returns EINTR; its entry in the [`table`] says what becomes of that.

mod arguments;
mod clocks;
mod descriptors;
mod directories;
mod events;
mod files;
mod futex;
mod identity;
mod io;
mod machine_wide;
mod mapping;
mod metadata;
mod mounts;
mod poll;
mod processes;
mod scheduling;
mod signals;
mod sockets;
mod splice;
mod table;
mod timers;

use abi::Errno;
use machine::sync::atomic::{AtomicU64, Ordering};

use crate::process::Caller;
use crate::process::caller::Interrupted;
use crate::run::encode;

pub use arguments::Arguments;
pub use descriptors::unshare as unshare_descriptors;
pub use files::{look_up, path as read_path};
pub use identity::GROUPS_MAX;
pub use table::{Completeness, Entry, RestartRule, documentation, entry};

/// How restart_syscall(2) goes on with a call that waits until a point in time, in nanoseconds since boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restart {
    /// nanosleep(2), clock_nanosleep(2).
    Sleep {
        /// Until when.
        deadline_ns: u64,
        /// On which clock.
        clock: i32,
        /// Where the rest goes, or 0.
        remaining: usize,
    },
    /// poll(2).
    Poll {
        /// Which descriptors.
        descriptors: usize,
        /// How many.
        count: usize,
        /// Until when; `u64::MAX` for ever.
        deadline_ns: u64,
    },
    /// futex(2) FUTEX_WAIT with a timeout.
    Futex {
        /// The word.
        word: usize,
        /// The value that it had.
        value: u32,
        /// The set.
        set: u32,
        /// Whether the word is the process's own.
        is_private: bool,
        /// Until when.
        deadline_ns: u64,
    },
}

/// Makes the call that the program's registers describe.
#[inline]
pub fn dispatch(caller: &mut Caller) {
    let registers = caller.context.registers();
    let number = registers.rax;
    let arguments =
        Arguments([registers.rdi, registers.rsi, registers.rdx, registers.r10, registers.r8, registers.r9]);
    caller.call = number;
    let entry = table::entry(number);
    let result = if memory::reserve(0).is_ok() || releases(number) {
        (entry.handler)(caller, &arguments)
    } else {
        Err(Errno::ENOMEM)
    };
    if result == Err(Errno::EINTR) {
        caller.interrupted = Some(Interrupted { number, rule: entry.restart });
        caller.look_again();
    }
    caller.context.registers_mut().rax = encode(result);
    if crate::trace::is_on() {
        crate::trace::call_finished(caller, number);
    }
}

/// Calls that give memory back, or end what uses it: they are made however little is left.
#[cold]
fn releases(number: u64) -> bool {
    use abi::syscall::*;
    let number = u32::try_from(number).unwrap_or(u32::MAX);
    matches!(
        number,
        EXIT | EXIT_GROUP | MUNMAP | CLOSE | CLOSE_RANGE | RT_SIGRETURN | WAIT4 | KILL | UNLINK | UNLINKAT
    )
}

/// A bit for each number that has been logged as missing.
static LOGGED: [AtomicU64; 8] = [const { AtomicU64::new(0) }; 8];

/// The handler of every number that has none: says so once for each, and gives ENOSYS.
pub(crate) fn missing(caller: &mut Caller, _: &Arguments) -> Result<usize, Errno> {
    let number = caller.call;
    let word = (number / 64) as usize;
    let bit = 1 << (number % 64);
    if let Some(word) = LOGGED.get(word)
        && word.fetch_or(bit, Ordering::Relaxed) & bit == 0
    {
        let name = abi::syscall::name(number).unwrap_or("unknown");
        kernel_log::info!(
            "{} made call {number} ({name}), which is not there",
            alloc::string::String::from_utf8_lossy(&caller.task.name())
        );
    }
    Err(Errno::ENOSYS)
}

/// restart_syscall(2): goes on with what a signal without a handler interrupted.
fn restart_syscall(caller: &mut Caller, _: &Arguments) -> Result<usize, Errno> {
    match caller.restart.take() {
        Some(Restart::Sleep { deadline_ns, clock, remaining }) => {
            clocks::sleep_until(caller, clock, deadline_ns, remaining)
        }
        Some(Restart::Poll { descriptors, count, deadline_ns }) => {
            poll::wait(caller, descriptors, count, Some(deadline_ns))
        }
        Some(Restart::Futex { word, value, set, is_private, deadline_ns }) => {
            futex::wait(caller, word, value, set, is_private, Some(deadline_ns))
        }
        None => Err(Errno::EINTR),
    }
}

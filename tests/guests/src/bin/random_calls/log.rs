//! What a round did, in memory that it shares with the program that started it: a round may end at any call.

use crate::table::CALLS;
use std::fmt;
use std::mem::size_of;
use std::sync::atomic::{AtomicUsize, Ordering};

/// One call, or a signal that arrived.
#[derive(Clone, Copy)]
pub struct Entry {
    /// Index in the table of calls; `SIGNAL` for a signal.
    pub call: usize,
    /// What the call was given, or the signal's number, code and value.
    pub arguments: [usize; 6],
    /// What it gave, made comparable; `UNDER_WAY` until it has ended.
    pub result: isize,
    /// A number that stands for what it wrote to memory.
    pub written: u64,
}

/// Stands for the arrival of a signal.
pub const SIGNAL: usize = usize::MAX;
/// The call has not ended.
pub const UNDER_WAY: isize = isize::MIN;

const ENTRIES: usize = 1000;

/// The number of entries, then the entries.
#[repr(C)]
struct Shared {
    count: AtomicUsize,
    entries: [Entry; ENTRIES],
}

/// The log. There is one writer at a time: the round, or its handler in the midst of it.
pub struct Log(*mut Shared);

impl Log {
    /// An empty one.
    pub fn new() -> Self {
        // SAFETY: new memory at an address of the kernel's choice.
        let address = unsafe { guests::call(9, [0, size_of::<Shared>(), 3, 0x21, usize::MAX, 0]) };
        assert!(address > 0, "no memory for the log: {address}");
        Self(address as *mut Shared)
    }

    /// Where it is, for handlers.
    pub fn address(&self) -> usize {
        self.0 as usize
    }

    /// The log at an address that `address` gave.
    pub fn at(address: usize) -> Self {
        Self(address as *mut Shared)
    }

    fn count(&self) -> &AtomicUsize {
        // SAFETY: the memory lives as long as the program, and the count is atomic.
        unsafe { &(*self.0).count }
    }

    /// Forgets all.
    pub fn clear(&self) {
        self.count().store(0, Ordering::Relaxed);
    }

    /// Adds an entry and gives its number.
    pub fn add(&self, entry: Entry) -> usize {
        let at = self.count().fetch_add(1, Ordering::Relaxed);
        self.set(at, entry);
        at
    }

    /// Writes an entry anew.
    pub fn set(&self, at: usize, entry: Entry) {
        if at < ENTRIES {
            // SAFETY: the memory lives as long as the program; nobody else writes this entry, and nobody reads it before the
            // round has ended.
            unsafe { (&raw mut (*self.0).entries[at]).write(entry) };
        }
    }

    /// All entries. For when the round has ended.
    pub fn entries(&self) -> impl Iterator<Item = Entry> {
        let count = self.count().load(Ordering::Relaxed).min(ENTRIES);
        // SAFETY: as many have been written, and nobody writes any more.
        (0..count).map(|at| unsafe { (&raw const (*self.0).entries[at]).read() })
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.call == SIGNAL {
            let [number, code, value, ..] = self.arguments;
            return write!(to, "!{number}/{}/{value:x}", code as i32);
        }
        write!(to, "{}", CALLS[self.call].name)?;
        match self.result {
            UNDER_WAY => write!(to, "=?"),
            result if self.written == 0 => write!(to, "={result}"),
            result => write!(to, "={result}:{:04x}", self.written & 0xffff),
        }
    }
}

impl Entry {
    /// The entry with all arguments.
    pub fn in_full(&self) -> String {
        if self.call == SIGNAL {
            return self.to_string();
        }
        let count = CALLS[self.call].arguments.len();
        let arguments: Vec<_> =
            self.arguments[..count].iter().map(|argument| format!("{argument:#x}")).collect();
        format!("{self}  ({})", arguments.join(", "))
    }
}

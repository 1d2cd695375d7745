//! Devices without hardware: null, zero, full, random, urandom, kmsg (mem(4), random(4), /dev/kmsg).

use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::Errno;
use machine::frame::OutOfMemory;
use machine::heap::{Grow, try_arc, try_filled, try_format};
use machine::sync::Once;
use memory::{Object, Sink, Source};
use threads::poll::{Events, Pollable, Waiter};
use threads::{Mutex, Wait, WaitError, WaitQueue};

use super::{Device, random};
use crate::file::{Abilities, File, IoctlArgument, Positioning, Seek, Transfer};
use crate::inode::Opening;

/// The major number of all of them.
pub(super) const MAJOR: u32 = 1;

const NULL: u32 = 3;
const ZERO: u32 = 5;
const FULL: u32 = 7;
const RANDOM: u32 = 8;
const URANDOM: u32 = 9;
const KMSG: u32 = 11;

/// Name, minor number and permissions of each node.
pub(super) const NODES: [(&str, u32, u32); 6] = [
    ("null", NULL, 0o666),
    ("zero", ZERO, 0o666),
    ("full", FULL, 0o666),
    ("random", RANDOM, 0o666),
    ("urandom", URANDOM, 0o666),
    ("kmsg", KMSG, 0o644),
];

/// The driver of major 1.
pub(super) struct MemoryDevices;

impl Device for MemoryDevices {
    fn open(&self, minor: u32, opening: &Opening<'_>) -> Result<Arc<dyn File>, Errno> {
        Ok(match minor {
            NULL => try_arc(Null)?,
            ZERO => try_arc(Zero { is_full: false })?,
            FULL => try_arc(Zero { is_full: true })?,
            RANDOM | URANDOM => try_arc(Random { waits_for_seed: minor == RANDOM })?,
            KMSG => {
                let log = LOG.get().ok_or(Errno::ENXIO)?;
                let next = if opening.flags.can_read() { log.first() } else { 0 };
                try_arc(KernelMessages { log: Arc::clone(log), next: Mutex::new(next) })?
            }
            _ => return Err(Errno::ENXIO),
        })
    }
}

const READY: Events = Events::IN.union(Events::OUT).union(Events::RDNORM).union(Events::WRNORM);

/// Takes and drops all that a source has.
fn swallow(from: &mut dyn Source) -> usize {
    // What is not looked at cannot fault, so nothing is copied, as in Linux.
    from.remaining()
}

struct Null;

impl Pollable for Null {
    fn poll(&self, interest: Events, _waiter: Option<&mut Waiter>) -> Events {
        interest & READY
    }
}

impl File for Null {
    fn read(&self, _into: &mut dyn Sink, _how: &mut Transfer) -> Result<usize, Errno> {
        Ok(0)
    }

    fn write(&self, from: &mut dyn Source, _how: &mut Transfer) -> Result<usize, Errno> {
        Ok(swallow(from))
    }

    fn can_be_watched(&self) -> bool {
        false
    }

    fn abilities(&self) -> Abilities {
        Abilities { splices_from: false, ..Abilities::ALL }
    }

    fn positioning(&self) -> Positioning {
        Positioning::Ignored
    }
}

struct Zero {
    is_full: bool,
}

impl Pollable for Zero {
    fn poll(&self, interest: Events, _waiter: Option<&mut Waiter>) -> Events {
        interest & READY
    }
}

impl File for Zero {
    #[inline]
    fn read(&self, into: &mut dyn Sink, _how: &mut Transfer) -> Result<usize, Errno> {
        into.zero(into.remaining())
    }

    fn write(&self, from: &mut dyn Source, _how: &mut Transfer) -> Result<usize, Errno> {
        if self.is_full { Err(Errno::ENOSPC) } else { Ok(swallow(from)) }
    }

    fn can_be_watched(&self) -> bool {
        false
    }

    fn abilities(&self) -> Abilities {
        Abilities { splices_to: !self.is_full, ..Abilities::ALL }
    }

    fn positioning(&self) -> Positioning {
        Positioning::Ignored
    }

    /// A mapping of /dev/zero is memory that is zero; each has its own.
    fn object(&self) -> Result<Arc<Object>, Errno> {
        if self.is_full { Err(Errno::ENODEV) } else { Object::memory(i64::MAX as u64) }
    }
}

struct Random {
    waits_for_seed: bool,
}

/// Bytes that are made at a time.
const RANDOM_CHUNK: usize = 256;

impl Pollable for Random {
    fn poll(&self, interest: Events, waiter: Option<&mut Waiter>) -> Events {
        if !self.waits_for_seed {
            return interest & READY;
        }
        // As in Linux: once it is seeded nobody is asked to write.
        let ready = random::poll(interest, waiter);
        interest & if ready.is_empty() { Events::OUT | Events::WRNORM } else { ready }
    }
}

impl File for Random {
    fn can_be_watched(&self) -> bool {
        self.waits_for_seed
    }

    fn read(&self, into: &mut dyn Sink, how: &mut Transfer) -> Result<usize, Errno> {
        if self.waits_for_seed && !random::is_seeded() {
            if how.is_nonblocking {
                return Err(Errno::EAGAIN);
            }
            random::wait_until_seeded()?;
        }
        let mut done = 0;
        while into.remaining() > 0 {
            let mut bytes = [0; RANDOM_CHUNK];
            let len = into.remaining().min(RANDOM_CHUNK);
            let chunk = bytes.get_mut(..len).unwrap_or_default();
            random::fill(chunk);
            match into.write(chunk) {
                Ok(count) if count == len => done += count,
                Ok(count) => return Ok(done + count),
                Err(error) if done == 0 => return Err(error),
                Err(_) => break,
            }
        }
        Ok(done)
    }

    /// Stirs what is written in, without believing that it is random (random(4)).
    fn write(&self, from: &mut dyn Source, _how: &mut Transfer) -> Result<usize, Errno> {
        let mut done = 0;
        while from.remaining() > 0 {
            let mut bytes = [0; RANDOM_CHUNK];
            match from.read(&mut bytes) {
                Ok(0) => break,
                Ok(count) => {
                    random::add_entropy(bytes.get(..count).unwrap_or_default(), 0);
                    done += count;
                }
                Err(error) if done == 0 => return Err(error),
                Err(_) => break,
            }
        }
        Ok(done)
    }

    fn positioning(&self) -> Positioning {
        Positioning::Ignored
    }

    fn ioctl(&self, request: u32, argument: &mut dyn IoctlArgument) -> Result<usize, Errno> {
        // RNDGETENTCNT (linux/random.h): the bits in the pool, which is full or not seeded.
        const RNDGETENTCNT: u32 = 0x8004_5200;
        match request {
            RNDGETENTCNT => {
                let bits: i32 = if random::is_seeded() { 256 } else { 0 };
                argument.write(&bits.to_ne_bytes())?;
                Ok(0)
            }
            _ => Err(Errno::EINVAL),
        }
    }
}

/// A line of the kernel's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRecord {
    /// Its number: one more than the line's before.
    pub sequence: u64,
    /// Facility and level, as syslog(3) codes them.
    pub priority: u32,
    /// Nanoseconds since boot.
    pub time_ns: u64,
    /// The text, without a newline.
    pub text: Vec<u8>,
}

/// The kernel's log, which somebody else keeps.
pub trait KernelLog: Send + Sync {
    /// The number of the oldest line that is still there.
    fn first(&self) -> u64;
    /// The number that the next line will have.
    fn end(&self) -> u64;
    /// The line with this number, or the oldest after it; none at the end.
    fn get(&self, sequence: u64) -> Option<Result<LogRecord, OutOfMemory>>;
    /// Adds a line that a program wrote, with its priority.
    fn append(&self, priority: u32, text: &[u8]);
    /// Woken when a line is added.
    fn added(&self) -> &WaitQueue;
    /// What is so of `interest`, with a waiter a promise to tell of a new line.
    fn poll(&self, interest: Events, waiter: Option<&mut Waiter>) -> Events;
}

static LOG: Once<Arc<dyn KernelLog>> = Once::new();

/// Says what /dev/kmsg shows. Called once, at boot; before that opening it gives ENXIO.
pub fn set_kernel_log(log: Arc<dyn KernelLog>) {
    let _ = LOG.set(log);
}

struct KernelMessages {
    log: Arc<dyn KernelLog>,
    next: Mutex<u64>,
}

/// The longest line that a program can write (`LOG_LINE_MAX`).
const LINE_MAX: usize = 1024 - 32;
/// Facility `user`, which the kernel's own lines do not have.
const USER_FACILITY: u32 = 1 << 3;
/// The level of a line that brings none: a warning, as in Linux (`MESSAGE_LOGLEVEL_DEFAULT`).
const DEFAULT_LEVEL: u32 = 4;

impl Pollable for KernelMessages {
    fn poll(&self, interest: Events, waiter: Option<&mut Waiter>) -> Events {
        let mut ready = self.log.poll(interest, waiter);
        let next = self.next.try_lock().map(|next| *next);
        if next.is_some_and(|next| next < self.log.end()) {
            ready |= Events::IN | Events::RDNORM;
        } else {
            ready -= Events::IN | Events::RDNORM;
        }
        interest & ready
    }
}

impl File for KernelMessages {
    /// One line a read: `priority,sequence,microseconds,-;text`. EPIPE when lines that were not read yet are gone.
    fn read(&self, into: &mut dyn Sink, how: &mut Transfer) -> Result<usize, Errno> {
        let mut next = self.next.lock();
        let find = || self.log.get(*next);
        let record = match find() {
            Some(record) => record?,
            None if how.is_nonblocking => return Err(Errno::EAGAIN),
            None => match self.log.added().wait_until(Wait::INTERRUPTIBLE, find) {
                Ok(record) => record?,
                Err(WaitError::Interrupted | WaitError::TimedOut) => return Err(Errno::EINTR),
            },
        };
        if record.sequence > *next {
            *next = record.sequence;
            return Err(Errno::EPIPE);
        }
        let time = record.time_ns / 1000;
        let head = try_format(format_args!("{},{},{time},-;", record.priority, record.sequence))?;
        let mut line = head.into_bytes();
        // A byte becomes four at the most.
        line.try_grow(record.text.len() * 4 + 1)?;
        for &byte in &record.text {
            if !(b' '..127).contains(&byte) || byte == b'\\' {
                let digit = |value: u8| char::from_digit(value.into(), 16).map_or(b'0', |digit| digit as u8);
                line.extend_from_slice(&[b'\\', b'x', digit(byte >> 4), digit(byte & 15)]);
            } else {
                line.push(byte);
            }
        }
        line.push(b'\n');
        if into.remaining() < line.len() {
            return Err(Errno::EINVAL);
        }
        let done = into.write(&line)?;
        *next = record.sequence + 1;
        Ok(done)
    }

    fn write(&self, from: &mut dyn Source, _how: &mut Transfer) -> Result<usize, Errno> {
        let len = from.remaining();
        if len > LINE_MAX {
            return Err(Errno::EINVAL);
        }
        let mut line = try_filled(0, len)?;
        let done = from.read(&mut line)?;
        line.truncate(done);
        let (priority, text) = split_priority(&line);
        self.log.append(priority, text.strip_suffix(b"\n").unwrap_or(text));
        Ok(done)
    }

    fn abilities(&self) -> Abilities {
        Abilities::UNSPLICED
    }

    /// Only to the first line or behind the last: ESPIPE for an offset, EINVAL for another place.
    fn seek(&self, to: Seek) -> Result<u64, Errno> {
        let mut next = self.next.lock();
        match to {
            Seek::Start(0) | Seek::Data(0) => *next = self.log.first(),
            Seek::End(0) => *next = self.log.end(),
            Seek::Current(0) | Seek::Hole(0) => return Err(Errno::EINVAL),
            _ => return Err(Errno::ESPIPE),
        }
        Ok(0)
    }

    fn positioning(&self) -> Positioning {
        Positioning::Ignored
    }
}

/// Takes `<N>` off the front of a line. A program's line never gets the kernel's facility.
fn split_priority(line: &[u8]) -> (u32, &[u8]) {
    let parsed = line.strip_prefix(b"<").and_then(|rest| {
        let end = rest.iter().position(|&byte| byte == b'>')?;
        let digits = core::str::from_utf8(rest.get(..end)?).ok()?;
        Some((digits.parse::<u32>().ok()?, rest.get(end + 1..)?))
    });
    match parsed {
        Some((priority, text)) if priority < USER_FACILITY => (priority | USER_FACILITY, text),
        Some((priority, text)) => (priority, text),
        None => (DEFAULT_LEVEL | USER_FACILITY, line),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_programs_line_keeps_its_level_but_not_the_kernels_facility() {
        assert_eq!(split_priority(b"<3>disk on fire"), (11, &b"disk on fire"[..]));
        assert_eq!(split_priority(b"<30>daemon"), (30, &b"daemon"[..]));
        assert_eq!(split_priority(b"plain"), (12, &b"plain"[..]));
        assert_eq!(split_priority(b"<x>plain"), (12, &b"<x>plain"[..]));
        assert_eq!(split_priority(b"<"), (12, &b"<"[..]));
    }
}

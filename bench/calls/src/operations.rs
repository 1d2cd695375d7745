//! What is measured.

use crate::measure::{cheapest, now, per_operation};
use crate::system::{self, Child, Mapping, PAGE};
use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags, open, unlink};
use rustix::io::{Result, read, write};
use rustix::pipe::pipe;
use rustix::process::getppid;
use rustix::thread::{futex, sched_yield};
use rustix::time::{ClockId, clock_gettime};
use std::hint::black_box;
use std::sync::atomic::{AtomicU32, Ordering};

/// Measures one operation.
pub type Operation = fn() -> Result<u64>;

/// The argument with which the program ends at once.
pub const EXIT_AT_ONCE: &str = "exit-at-once";

/// Every operation with its name, in the order of the lines.
pub const ALL: [(&str, Operation); 12] = [
    ("getppid", parent_id),
    ("clock_gettime", monotonic_time),
    ("read 1 B of /dev/zero", read_byte),
    ("read 64 KiB of /dev/zero", read_block),
    ("pipe round trip", pipe_round_trip),
    ("sched_yield switch", yield_switch),
    ("futex round trip", futex_round_trip),
    ("fork + exit + wait", fork),
    ("fork + exec + exit + wait", fork_and_exec),
    ("page fault", page_fault),
    ("mmap + touch + munmap of 4 MiB", map_and_unmap),
    ("create + unlink on tmpfs", create_and_unlink),
];

fn parent_id() -> Result<u64> {
    per_operation(64, || {
        black_box(getppid());
        Ok(())
    })
}

/// By the vDSO, where the kernel's tells the time without a call.
fn monotonic_time() -> Result<u64> {
    per_operation(64, || {
        black_box(clock_gettime(ClockId::Monotonic));
        Ok(())
    })
}

fn read_zeros(buffer: &mut [u8]) -> Result<u64> {
    let zero = open("/dev/zero", OFlags::RDONLY, Mode::empty())?;
    per_operation(32, || read(&zero, &mut *buffer).map(|_| ()))
}

fn read_byte() -> Result<u64> {
    read_zeros(&mut [0])
}

fn read_block() -> Result<u64> {
    read_zeros(&mut vec![0; 64 * 1024])
}

/// A byte to a process that sends it back.
fn pipe_round_trip() -> Result<u64> {
    let (from_parent, to_child) = pipe()?;
    let (from_child, to_parent) = pipe()?;
    let child = Child::start(|| echo(&from_parent, &to_parent))?;
    let cost = per_operation(16, || {
        write(&to_child, &[1])?;
        read(&from_child, &mut [0]).map(|_| ())
    });
    child.end()?;
    cost
}

/// Sends each byte back until the process is ended.
fn echo(from: &OwnedFd, to: &OwnedFd) -> Result<()> {
    loop {
        read(from, &mut [0])?;
        write(to, &[1])?;
    }
}

/// Two processes that do nothing but yield. A kernel may let the caller run on, so the switches are counted: the number is
/// even while this process ran last and odd while the other did. Yields that switch nothing are part of the cost.
fn yield_switch() -> Result<u64> {
    let switches = system::shared_number()?;
    let child = Child::start(|| {
        loop {
            if switches.load(Ordering::Relaxed).is_multiple_of(2) {
                switches.fetch_add(1, Ordering::Relaxed);
            }
            sched_yield();
        }
    })?;
    let cost = cheapest(|| {
        let (start, before) = (now(), switches.load(Ordering::Relaxed));
        while switches.load(Ordering::Relaxed) < before + 64 {
            sched_yield();
            if !switches.load(Ordering::Relaxed).is_multiple_of(2) {
                switches.fetch_add(1, Ordering::Relaxed);
            }
        }
        Ok((now() - start) / (switches.load(Ordering::Relaxed) - before))
    });
    child.end()?;
    cost
}

/// Whose turn it is; [`OVER`] ends the game.
type Turn = AtomicU32;
const OURS: u32 = 0;
const THEIRS: u32 = 1;
const OVER: u32 = 2;

fn futex_round_trip() -> Result<u64> {
    let turn = Turn::new(OURS);
    std::thread::scope(|scope| {
        scope.spawn(|| while wait_while(&turn, OURS) == Ok(THEIRS) && pass(&turn, OURS).is_ok() {});
        let cost = per_operation(16, || {
            pass(&turn, THEIRS)?;
            wait_while(&turn, THEIRS).map(|_| ())
        });
        // Also after a failure: the scope ends with the other thread.
        pass(&turn, OVER)?;
        cost
    })
}

fn pass(turn: &Turn, to: u32) -> Result<()> {
    turn.store(to, Ordering::Release);
    futex::wake(turn, futex::Flags::PRIVATE, 1).map(|_| ())
}

/// Blocks while `turn` is `value`; returns what it is then.
fn wait_while(turn: &Turn, value: u32) -> Result<u32> {
    loop {
        let now = turn.load(Ordering::Acquire);
        if now != value {
            return Ok(now);
        }
        match futex::wait(turn, futex::Flags::PRIVATE, value, None) {
            // Changed before the call, or a signal: look again.
            Ok(()) | Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
}

fn fork() -> Result<u64> {
    per_operation(4, || Child::start(|| Ok(()))?.wait())
}

fn fork_and_exec() -> Result<u64> {
    per_operation(4, || Child::start(|| system::execute(c"/proc/self/exe", c"exit-at-once"))?.wait())
}

/// The first store to a page of anonymous memory.
fn page_fault() -> Result<u64> {
    const PAGES: usize = 256;
    cheapest(|| {
        let mut mapping = Mapping::new(PAGES * PAGE)?.with_small_pages()?;
        let start = now();
        mapping.touch();
        let cost = (now() - start) / PAGES as u64;
        mapping.unmap()?;
        Ok(cost)
    })
}

fn map_and_unmap() -> Result<u64> {
    per_operation(1, || {
        let mut mapping = Mapping::new(4 << 20)?;
        mapping.touch();
        mapping.unmap()
    })
}

fn create_and_unlink() -> Result<u64> {
    const PATH: &str = "/tmp/bench-calls";
    per_operation(8, || {
        drop(open(PATH, OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY, Mode::RUSR | Mode::WUSR)?);
        unlink(PATH)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_other_thread_answers_each_turn() {
        assert!(futex_round_trip().is_ok_and(|cost| cost > 0));
    }

    #[test]
    fn a_byte_comes_back_through_the_pipes() {
        assert!(pipe_round_trip().is_ok_and(|cost| cost > 0));
    }
}

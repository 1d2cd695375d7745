//! Clocks: what each shows, and the wall clock that programs can set.

pub mod timers;

use abi::Errno;
use abi::time::*;
use machine::clock;

use crate::process::account::Usage;
use crate::process::{Caller, Process};

/// Lets files have the time of the wall clock, which the machine has started from its own.
pub fn start() {
    files::time::set_wall_clock(wall_ns);
}

/// CLOCK_REALTIME, in nanoseconds since 1970.
pub fn wall_ns() -> u64 {
    wall_offset_ns().wrapping_add(clock::now_ns())
}

/// Nanoseconds by which CLOCK_REALTIME is ahead of the time since boot.
pub fn wall_offset_ns() -> u64 {
    clock::wall_offset_ns()
}

/// Sets CLOCK_REALTIME.
pub fn set_wall_ns(now_ns: u64) {
    clock::set_wall_offset_ns(now_ns.wrapping_sub(clock::now_ns()));
}

/// What a clock id names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The time of day.
    Wall,
    /// The time since boot. The machine never sleeps, so it is CLOCK_BOOTTIME too.
    Boot,
    /// Processor time of the process with this number; 0 is the caller's.
    Process(i32),
    /// Processor time of the thread with this number; 0 is the caller.
    Thread(i32),
}

impl Kind {
    /// The clock with this id: EINVAL.
    pub fn new(id: i32) -> Result<Self, Errno> {
        match id {
            CLOCK_REALTIME | CLOCK_REALTIME_COARSE | CLOCK_REALTIME_ALARM | CLOCK_TAI => Ok(Self::Wall),
            CLOCK_MONOTONIC
            | CLOCK_MONOTONIC_RAW
            | CLOCK_MONOTONIC_COARSE
            | CLOCK_BOOTTIME
            | CLOCK_BOOTTIME_ALARM => Ok(Self::Boot),
            CLOCK_PROCESS_CPUTIME_ID => Ok(Self::Process(0)),
            CLOCK_THREAD_CPUTIME_ID => Ok(Self::Thread(0)),
            id if id < 0 => {
                // A number's complement above three bits: 4 says a thread, the rest which of three counts, which are one here.
                let number = !(id >> 3);
                if id & 3 == 3 {
                    return Err(Errno::EINVAL);
                }
                Ok(if id & 4 != 0 { Self::Thread(number) } else { Self::Process(number) })
            }
            _ => Err(Errno::EINVAL),
        }
    }

    /// Whether something can be set to happen at a time of the clock with this id: not of those that are cheap or raw.
    pub fn has_timers(id: i32) -> bool {
        !matches!(id, CLOCK_MONOTONIC_RAW | CLOCK_REALTIME_COARSE | CLOCK_MONOTONIC_COARSE)
    }

    /// What the clock shows, in nanoseconds: EINVAL for a process that is not there.
    pub fn read(self, caller: &Caller) -> Result<u64, Errno> {
        match self {
            Self::Wall => Ok(wall_ns()),
            Self::Boot => Ok(clock::now_ns()),
            Self::Process(0) => Ok(cpu_time_ns(&caller.process)),
            Self::Process(pid) => {
                let process = caller.process.namespaces.pids.process(pid).ok_or(Errno::EINVAL)?;
                Ok(cpu_time_ns(&process))
            }
            Self::Thread(0) => {
                let usage = Usage::of(&caller.task);
                Ok(usage.user_ns + usage.system_ns)
            }
            Self::Thread(tid) => {
                let task = caller.process.namespaces.pids.task(tid).ok_or(Errno::EINVAL)?;
                let is_own = alloc::sync::Arc::ptr_eq(task.process(), &caller.process);
                let usage = Usage::of(&task);
                if is_own { Ok(usage.user_ns + usage.system_ns) } else { Err(Errno::EINVAL) }
            }
        }
    }

    /// The time since boot at which this clock shows `at_ns`, for the clocks that go on by themselves.
    pub fn to_boot_ns(self, at_ns: u64) -> u64 {
        match self {
            Self::Wall => at_ns.saturating_sub(wall_offset_ns()),
            _ => at_ns,
        }
    }
}

/// Processor time of a process, all threads together.
pub fn cpu_time_ns(process: &Process) -> u64 {
    let usage = process.account.times(process);
    usage.user_ns + usage.system_ns
}

/// The moment, since boot, that lies `timeout` ahead: EINVAL.
pub fn deadline_after(timeout: &Timespec) -> Result<u64, Errno> {
    let ns = timeout.to_nanoseconds().ok_or(Errno::EINVAL)?;
    Ok(clock::now_ns().saturating_add(ns))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clock_ids_name_what_linux_means() {
        assert_eq!(Kind::new(CLOCK_TAI), Ok(Kind::Wall));
        assert_eq!(Kind::new(CLOCK_BOOTTIME), Ok(Kind::Boot));
        assert_eq!(Kind::new(10), Err(Errno::EINVAL));
        assert_eq!(Kind::new(i32::MAX), Err(Errno::EINVAL));
        // clock_getcpuclockid(42) and pthread_getcpuclockid of thread 42.
        assert_eq!(Kind::new(!42 << 3 | 2), Ok(Kind::Process(42)));
        assert_eq!(Kind::new(!42 << 3 | 6), Ok(Kind::Thread(42)));
        assert_eq!(Kind::new(!42 << 3 | 3), Err(Errno::EINVAL));
    }
}

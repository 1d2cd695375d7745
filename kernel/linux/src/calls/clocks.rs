//! Telling the time and sleeping (clock_gettime(2), nanosleep(2)).

use abi::Errno;
use abi::capability::CAP_SYS_TIME;
use abi::time::{
    CLOCK_MONOTONIC, CLOCK_MONOTONIC_COARSE, CLOCK_REALTIME, CLOCK_REALTIME_COARSE, CLOCK_THREAD_CPUTIME_ID,
    TIMER_ABSTIME, Timespec, Timeval, Timezone,
};
use machine::address::UserAddress;
use machine::clock::{self, COARSE_STEP_NS};
use memory::user;
use threads::WaitError;

use super::arguments::{read_optional, write_optional};
use super::{Arguments, Restart};
use crate::process::Caller;
use crate::time::{Kind, set_wall_ns, wall_ns};

type Outcome = Result<usize, Errno>;

/// clock_gettime(2).
pub fn clock_gettime(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let now = Kind::new(arguments.int(0))?.read(caller)?;
    user::write_value(arguments.address(1), &Timespec::from_nanoseconds(now))?;
    Ok(0)
}

/// clock_getres(2).
pub fn clock_getres(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let id = arguments.int(0);
    Kind::new(id)?.read(caller)?;
    let is_coarse = matches!(id, CLOCK_REALTIME_COARSE | CLOCK_MONOTONIC_COARSE);
    let step_ns = if is_coarse { COARSE_STEP_NS } else { 1 };
    write_optional(arguments.optional(1), &Timespec::from_nanoseconds(step_ns))?;
    Ok(0)
}

/// clock_settime(2).
pub fn clock_settime(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let time: Timespec = user::read_value(arguments.address(1))?;
    if arguments.int(0) != CLOCK_REALTIME {
        return Err(Errno::EINVAL);
    }
    let now = time.to_nanoseconds().ok_or(Errno::EINVAL)?;
    if !caller.credentials.has(CAP_SYS_TIME) {
        return Err(Errno::EPERM);
    }
    set_wall_ns(now);
    Ok(0)
}

/// gettimeofday(2).
pub fn gettimeofday(_: &mut Caller, arguments: &Arguments) -> Outcome {
    write_optional(arguments.optional(0), &Timeval::from_nanoseconds(wall_ns()))?;
    write_optional(arguments.optional(1), &Timezone::default())?;
    Ok(0)
}

/// settimeofday(2). The time zone is the program's own business: it is read and forgotten.
pub fn settimeofday(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let time: Option<Timeval> = read_optional(arguments.optional(0))?;
    let _: Option<Timezone> = read_optional(arguments.optional(1))?;
    if !caller.credentials.has(CAP_SYS_TIME) {
        return Err(Errno::EPERM);
    }
    if let Some(time) = time {
        set_wall_ns(time.to_nanoseconds().ok_or(Errno::EINVAL)?);
    }
    Ok(0)
}

/// time(2).
pub fn time(_: &mut Caller, arguments: &Arguments) -> Outcome {
    let seconds = wall_ns() / 1_000_000_000;
    write_optional(arguments.optional(0), &seconds)?;
    Ok(seconds as usize)
}

/// Sleeps until a moment since boot. What is left goes to `remaining`, if that is not 0 and the sleep was interrupted.
pub fn sleep_until(caller: &mut Caller, clock_id: i32, deadline_ns: u64, remaining: usize) -> Outcome {
    match threads::time::sleep_until(deadline_ns, true) {
        Ok(()) | Err(WaitError::TimedOut) => Ok(0),
        Err(WaitError::Interrupted) => {
            if remaining != 0 {
                let left = deadline_ns.saturating_sub(clock::now_ns());
                user::write_value(UserAddress(remaining), &Timespec::from_nanoseconds(left))?;
            }
            caller.restart = Some(Restart::Sleep { deadline_ns, clock: clock_id, remaining });
            Err(Errno::EINTR)
        }
    }
}

/// nanosleep(2).
pub fn nanosleep(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let time: Timespec = user::read_value(arguments.address(0))?;
    let deadline_ns = crate::time::deadline_after(&time)?;
    sleep_until(caller, CLOCK_MONOTONIC, deadline_ns, arguments.size(1))
}

/// clock_nanosleep(2).
pub fn clock_nanosleep(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let (id, flags) = (arguments.int(0), arguments.unsigned(1));
    if id < 0 {
        // A clock of a process or thread is looked for after the time has been read.
        user::read_value::<Timespec>(arguments.address(2))?;
    }
    let kind = Kind::new(id)?;
    if id == CLOCK_THREAD_CPUTIME_ID || !Kind::has_timers(id) {
        return Err(Errno::EOPNOTSUPP);
    }
    if matches!(kind, Kind::Thread(0)) {
        return Err(Errno::EINVAL);
    }
    let time: Timespec = user::read_value(arguments.address(2))?;
    let ns = time.to_nanoseconds().ok_or(Errno::EINVAL)?;
    let is_absolute = flags & TIMER_ABSTIME != 0;
    match kind {
        Kind::Wall | Kind::Boot if is_absolute => {
            // An absolute sleep is simply made again after a signal, and tells nothing of what is left.
            let outcome = sleep_until(caller, id, kind.to_boot_ns(ns), 0);
            caller.restart = None;
            outcome
        }
        Kind::Wall | Kind::Boot => {
            let deadline_ns = clock::now_ns().saturating_add(ns);
            sleep_until(caller, id, deadline_ns, arguments.size(3))
        }
        Kind::Process(_) | Kind::Thread(_) => sleep_cpu_time(caller, kind, ns, is_absolute),
    }
}

/// Sleeps until others have used so much processor time: looks again whenever that can have happened at the earliest.
fn sleep_cpu_time(caller: &Caller, kind: Kind, ns: u64, is_absolute: bool) -> Outcome {
    const LOOK_NS: u64 = 1_000_000;
    let start = kind.read(caller)?;
    let end = if is_absolute { ns } else { start.saturating_add(ns) };
    loop {
        let Ok(now) = kind.read(caller) else { return Ok(0) };
        if now >= end {
            return Ok(0);
        }
        let cpus = machine::cpu::count() as u64;
        let earliest = clock::now_ns().saturating_add(((end - now) / cpus).max(LOOK_NS));
        if threads::time::sleep_until(earliest, true) == Err(WaitError::Interrupted) {
            return Err(Errno::EINTR);
        }
    }
}

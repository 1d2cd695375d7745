//! Timers that send signals: alarm(2), setitimer(2), timer_create(2).

use abi::Errno;
use abi::signal::{SIGEV_NONE, SIGEV_SIGNAL, SIGEV_THREAD, SIGEV_THREAD_ID, SigEvent, Signal};
use abi::time::{
    ITIMER_PROF, ITIMER_REAL, ITIMER_VIRTUAL, Itimerspec, Itimerval, TIMER_ABSTIME, Timespec, Timeval,
};
use alloc::sync::Arc;
use memory::user;

use super::Arguments;
use super::arguments::{read_optional, write_optional};
use crate::process::Caller;
use crate::time::Kind;
use crate::time::timers::{Alarm, Follows, Interval};

type Outcome = Result<usize, Errno>;

fn interval_timer(caller: &Caller, which: i32) -> Result<&Arc<Alarm>, Errno> {
    let which = match which {
        ITIMER_REAL => Interval::Real,
        ITIMER_VIRTUAL => Interval::Virtual,
        ITIMER_PROF => Interval::Profiling,
        _ => return Err(Errno::EINVAL),
    };
    Ok(caller.process.timers.interval(&caller.process, which)?)
}

fn to_itimerval((left_ns, interval_ns): (u64, u64)) -> Itimerval {
    // A microsecond is the least that can be told, and nothing left means not set.
    let left_ns = if left_ns == 0 { 0 } else { left_ns.max(1000) };
    Itimerval {
        it_interval: Timeval::from_nanoseconds(interval_ns),
        it_value: Timeval::from_nanoseconds(left_ns),
    }
}

/// Sets an alarm a distance ahead; 0 takes it back.
fn set_ahead(alarm: &Alarm, ahead_ns: u64, interval_ns: u64) -> (u64, u64) {
    let expires = (ahead_ns > 0).then(|| alarm.follows().now_ns().unwrap_or(0).saturating_add(ahead_ns));
    alarm.set(expires, interval_ns)
}

/// getitimer(2).
pub fn getitimer(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let setting = interval_timer(caller, arguments.int(0))?.get();
    user::write_value(arguments.address(1), &to_itimerval(setting))?;
    Ok(0)
}

/// setitimer(2). A null value sets nothing to go, as in Linux.
pub fn setitimer(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let new: Itimerval = read_optional(arguments.optional(1))?.unwrap_or_default();
    let value = new.it_value.to_nanoseconds().ok_or(Errno::EINVAL)?;
    let interval = new.it_interval.to_nanoseconds().ok_or(Errno::EINVAL)?;
    let old = set_ahead(interval_timer(caller, arguments.int(0))?, value, interval);
    write_optional(arguments.optional(2), &to_itimerval(old))?;
    Ok(0)
}

/// alarm(2).
pub fn alarm(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let seconds = u64::from(arguments.unsigned(0));
    let (left_ns, _) = set_ahead(interval_timer(caller, ITIMER_REAL)?, seconds * 1_000_000_000, 0);
    // Rounded to the nearest, but never to nothing.
    let left = (left_ns + 500_000_000) / 1_000_000_000;
    Ok(if left_ns > 0 { left.max(1) as usize } else { 0 })
}

/// timer_create(2).
pub fn timer_create(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let event: Option<SigEvent> = read_optional(arguments.optional(1))?;
    let process = &caller.process;
    let clock = Kind::new(arguments.int(0))?;
    if !Kind::has_timers(arguments.int(0)) {
        return Err(Errno::EOPNOTSUPP);
    }
    // Numbers are used up by failures too.
    let id = caller.process.timers.next_id();
    let follows = match clock {
        Kind::Wall => Follows::Wall,
        Kind::Boot => Follows::Boot,
        Kind::Process(pid) => Follows::Process {
            process: Arc::downgrade(&super::processes::named(caller, pid).map_err(|_| Errno::EINVAL)?),
            user_only: false,
        },
        Kind::Thread(0) => Follows::Thread(Arc::downgrade(&caller.task)),
        Kind::Thread(tid) => {
            let task = process.namespaces.pids.task(tid).filter(|task| Arc::ptr_eq(task.process(), process));
            Follows::Thread(Arc::downgrade(&task.ok_or(Errno::EINVAL)?))
        }
    };
    let (signal, task, value) = match event {
        None => (Some(Signal::SIGALRM), None, None),
        Some(event) if event.sigev_notify == SIGEV_NONE => (None, None, None),
        Some(event) => {
            let signal = Signal::new(event.sigev_signo).ok_or(Errno::EINVAL)?;
            let task = match event.sigev_notify {
                // The thread that SIGEV_THREAD starts is the C library's; it hears of the time by the signal.
                SIGEV_SIGNAL | SIGEV_THREAD => None,
                SIGEV_THREAD_ID => {
                    let task = process.namespaces.pids.task(event.sigev_tid);
                    Some(task.filter(|task| Arc::ptr_eq(task.process(), process)).ok_or(Errno::EINVAL)?)
                }
                _ => return Err(Errno::EINVAL),
            };
            (Some(signal), task, Some(event.sigev_value))
        }
    };
    process.timers.create(process, id, follows, signal, task.as_ref(), value)?;
    if let Err(error) = user::write_value(arguments.address(2), &id) {
        process.timers.delete(id)?;
        return Err(error);
    }
    Ok(0)
}

fn to_itimerspec((left_ns, interval_ns): (u64, u64)) -> Itimerspec {
    Itimerspec {
        it_interval: Timespec::from_nanoseconds(interval_ns),
        it_value: Timespec::from_nanoseconds(left_ns),
    }
}

/// timer_settime(2).
pub fn timer_settime(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let new: Itimerspec = user::read_value(arguments.optional(2).ok_or(Errno::EINVAL)?)?;
    let alarm = caller.process.timers.numbered(arguments.int(0))?;
    let value = new.it_value.to_nanoseconds().ok_or(Errno::EINVAL)?;
    let interval = new.it_interval.to_nanoseconds().ok_or(Errno::EINVAL)?;
    let old = if arguments.unsigned(1) & TIMER_ABSTIME != 0 {
        alarm.set((value > 0).then_some(value), interval)
    } else {
        set_ahead(&alarm, value, interval)
    };
    write_optional(arguments.optional(3), &to_itimerspec(old))?;
    Ok(0)
}

/// timer_gettime(2).
pub fn timer_gettime(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let setting = caller.process.timers.numbered(arguments.int(0))?.get();
    user::write_value(arguments.address(1), &to_itimerspec(setting))?;
    Ok(0)
}

/// timer_getoverrun(2).
pub fn timer_getoverrun(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    caller.process.timers.overrun(arguments.int(0)).map(|overrun| overrun as usize)
}

/// timer_delete(2).
pub fn timer_delete(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    caller.process.timers.delete(arguments.int(0))?;
    Ok(0)
}

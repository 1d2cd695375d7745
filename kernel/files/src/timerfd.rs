//! Timers to wait for (timerfd_create(2)).

use alloc::sync::Arc;
use core::any::Any;

use abi::Errno;
use abi::fcntl::OpenFlags;
use abi::notify::{TimerfdFlags, TimerfdSetFlags};
use abi::time::{
    CLOCK_BOOTTIME, CLOCK_BOOTTIME_ALARM, CLOCK_MONOTONIC, CLOCK_REALTIME, CLOCK_REALTIME_ALARM, Itimerspec,
    Timespec,
};
use machine::clock;
use machine::heap::try_arc;
use machine::sync::{Once, Rank, SpinLock};
use memory::Sink;
use threads::poll::{Events, PollSource, Pollable, Waiter};
use threads::time::Timer;
use threads::{Wait, WaitQueue};

use crate::anonymous::AnonymousInode;
use crate::file::{Abilities, File, Positioning, Transfer};
use crate::open_file::OpenFile;
use crate::time::wall_clock_ns;

#[derive(Clone, Copy, Default)]
struct Setting {
    /// When it expires next, in nanoseconds since boot; none when it is not armed.
    next_ns: Option<u64>,
    /// The period, 0 for a timer that expires once.
    interval_ns: u64,
    /// Expiries that were counted when the timer was looked at and have not been read.
    expiries: u64,
}

impl Setting {
    /// Counts what has expired by `now_ns`.
    fn advance(&mut self, now_ns: u64) {
        let Some(next) = self.next_ns.filter(|next| *next <= now_ns) else { return };
        let further = (now_ns - next).checked_div(self.interval_ns);
        let periods = further.map_or(1, |further| further.saturating_add(1));
        self.expiries = self.expiries.saturating_add(periods);
        self.next_ns = further.and_then(|_| next.checked_add(periods.saturating_mul(self.interval_ns)));
    }
}

struct TimerFile {
    is_wall_clock: bool,
    setting: SpinLock<Setting>,
    timer: Once<Timer>,
    expired: WaitQueue,
    events: PollSource,
}

/// timerfd_create(2): EINVAL for a clock that has no timers.
pub fn create(clock: i32, flags: TimerfdFlags) -> Result<Arc<OpenFile>, Errno> {
    let is_wall_clock = match clock {
        CLOCK_REALTIME | CLOCK_REALTIME_ALARM => true,
        CLOCK_MONOTONIC | CLOCK_BOOTTIME | CLOCK_BOOTTIME_ALARM => false,
        _ => return Err(Errno::EINVAL),
    };
    let file = try_arc(TimerFile {
        is_wall_clock,
        setting: SpinLock::new(Rank::Stream, Setting::default()),
        timer: Once::new(),
        expired: WaitQueue::new(),
        events: PollSource::new(),
    })?;
    let weak = Arc::downgrade(&file);
    let timer = Timer::new(move || {
        if let Some(file) = weak.upgrade() {
            file.expire();
        }
    })?;
    // The cell is empty: the file has just been made.
    let _ = file.timer.set(timer);
    let mut open = OpenFlags::RDWR;
    open.set(OpenFlags::NONBLOCK, flags.contains(TimerfdFlags::NONBLOCK));
    Ok(OpenFile::anonymous(file, AnonymousInode::labelled("[timerfd]")?, open)?)
}

fn timer_of(file: &OpenFile) -> Result<&TimerFile, Errno> {
    let any: &dyn Any = &**file.file();
    any.downcast_ref().ok_or(Errno::EINVAL)
}

/// timerfd_settime(2): arms or (with a zero time) disarms; returns what it was set to. EINVAL for a file that is no timer, and
/// for times that are none.
pub fn set(file: &OpenFile, flags: TimerfdSetFlags, new: &Itimerspec) -> Result<Itimerspec, Errno> {
    let timer = timer_of(file)?;
    let value = new.it_value.to_nanoseconds().ok_or(Errno::EINVAL)?;
    let interval_ns = new.it_interval.to_nanoseconds().ok_or(Errno::EINVAL)?;
    let now = clock::now_ns();
    let next_ns = match value {
        0 => None,
        at if flags.contains(TimerfdSetFlags::TIMER_ABSTIME) => {
            let origin = if timer.is_wall_clock { wall_clock_ns().saturating_sub(now) } else { 0 };
            Some(at.saturating_sub(origin))
        }
        distance => Some(now.saturating_add(distance)),
    };
    let old = {
        let mut setting = timer.setting.lock();
        setting.advance(now);
        core::mem::replace(&mut *setting, Setting { next_ns, interval_ns, expiries: 0 })
    };
    match next_ns {
        Some(next_ns) => timer.set_timer(next_ns),
        None => {
            timer.timer.get().map(Timer::cancel);
        }
    }
    Ok(remaining(&old, now))
}

/// timerfd_gettime(2): how long until it expires, and its period.
pub fn get(file: &OpenFile) -> Result<Itimerspec, Errno> {
    let timer = timer_of(file)?;
    let now = clock::now_ns();
    let mut setting = timer.setting.lock();
    setting.advance(now);
    Ok(remaining(&setting, now))
}

fn remaining(setting: &Setting, now_ns: u64) -> Itimerspec {
    // An armed timer never says zero, which means disarmed.
    let left = setting.next_ns.map_or(0, |next| next.saturating_sub(now_ns).max(1));
    Itimerspec {
        it_interval: Timespec::from_nanoseconds(setting.interval_ns),
        it_value: Timespec::from_nanoseconds(left),
    }
}

impl TimerFile {
    fn set_timer(&self, deadline_ns: u64) {
        // The file has it from its making on.
        if let Some(timer) = self.timer.get() {
            timer.set(deadline_ns);
        }
    }

    /// The moment has come: tells who waits, and sets the timer for the next.
    fn expire(&self) {
        let (has_expired, next) = {
            let mut setting = self.setting.lock();
            setting.advance(clock::now_ns());
            (setting.expiries > 0, setting.next_ns)
        };
        if let Some(next) = next {
            self.set_timer(next);
        }
        if has_expired {
            self.expired.wake_all();
            self.events.notify(Events::IN);
        }
    }

    fn take(&self) -> Option<u64> {
        let mut setting = self.setting.lock();
        setting.advance(clock::now_ns());
        let expiries = core::mem::take(&mut setting.expiries);
        (expiries > 0).then_some(expiries)
    }
}

impl Pollable for TimerFile {
    fn poll(&self, interest: Events, waiter: Option<&mut Waiter>) -> Events {
        if let Some(waiter) = waiter {
            waiter.watch(&self.events, interest);
        }
        let mut setting = self.setting.lock();
        setting.advance(clock::now_ns());
        if setting.expiries > 0 { interest & Events::IN } else { Events::empty() }
    }
}

impl File for TimerFile {
    /// Eight bytes: how often it has expired since the last read.
    fn read(&self, into: &mut dyn Sink, how: &mut Transfer) -> Result<usize, Errno> {
        if into.remaining() < size_of::<u64>() {
            return Err(Errno::EINVAL);
        }
        let expiries = match self.take() {
            Some(expiries) => expiries,
            None if how.is_nonblocking => return Err(Errno::EAGAIN),
            None => self.expired.wait_until(Wait::INTERRUPTIBLE, || self.take()).map_err(|_| Errno::EINTR)?,
        };
        into.write(&expiries.to_ne_bytes())
    }

    fn positioning(&self) -> Positioning {
        Positioning::Nowhere
    }

    fn abilities(&self) -> Abilities {
        Abilities { writes: false, ..Abilities::UNSPLICED }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expiries_are_counted_by_periods_that_have_passed() {
        let mut setting = Setting { next_ns: Some(100), interval_ns: 10, expiries: 0 };
        setting.advance(99);
        assert_eq!(setting.expiries, 0);
        setting.advance(125);
        assert_eq!((setting.expiries, setting.next_ns), (3, Some(130)));
    }

    #[test]
    fn a_timer_without_a_period_expires_once() {
        let mut setting = Setting { next_ns: Some(100), interval_ns: 0, expiries: 0 };
        setting.advance(1000);
        setting.advance(2000);
        assert_eq!((setting.expiries, setting.next_ns), (1, None));
    }
}

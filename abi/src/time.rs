//! Clocks, times and timers (clock_gettime(2), timer_create(2), setitimer(2), timerfd_create(2)).

use crate::plain::plain;

// Clocks.
pub const CLOCK_REALTIME: i32 = 0;
pub const CLOCK_MONOTONIC: i32 = 1;
pub const CLOCK_PROCESS_CPUTIME_ID: i32 = 2;
pub const CLOCK_THREAD_CPUTIME_ID: i32 = 3;
pub const CLOCK_MONOTONIC_RAW: i32 = 4;
pub const CLOCK_REALTIME_COARSE: i32 = 5;
pub const CLOCK_MONOTONIC_COARSE: i32 = 6;
pub const CLOCK_BOOTTIME: i32 = 7;
pub const CLOCK_REALTIME_ALARM: i32 = 8;
pub const CLOCK_BOOTTIME_ALARM: i32 = 9;
pub const CLOCK_TAI: i32 = 11;

// Which timer setitimer(2) sets.
pub const ITIMER_REAL: i32 = 0;
pub const ITIMER_VIRTUAL: i32 = 1;
pub const ITIMER_PROF: i32 = 2;

/// The time given to clock_nanosleep(2) or timer_settime(2) is a time of day, not a distance.
pub const TIMER_ABSTIME: u32 = 1;

/// Ticks a second in the times that times(2), clock(3) and /proc count in.
pub const USER_HZ: u64 = 100;

/// Nanoseconds in a second: what `tv_nsec` must stay below.
pub const NANOSECONDS_PER_SECOND: i64 = 1_000_000_000;

plain! {
    /// Seconds and nanoseconds (`struct timespec`).
    #[derive(PartialOrd, Ord)]
    pub struct Timespec {
        pub tv_sec: i64,
        pub tv_nsec: i64,
    }

    /// Seconds and microseconds (`struct timeval`).
    #[derive(PartialOrd, Ord)]
    pub struct Timeval {
        pub tv_sec: i64,
        pub tv_usec: i64,
    }

    /// A timer's period and its next expiry in nanoseconds (`struct itimerspec`).
    pub struct Itimerspec {
        pub it_interval: Timespec,
        pub it_value: Timespec,
    }

    /// A timer's period and its next expiry in microseconds (`struct itimerval`).
    pub struct Itimerval {
        pub it_interval: Timeval,
        pub it_value: Timeval,
    }

    /// The second argument of gettimeofday(2), of no use any more (`struct timezone`).
    pub struct Timezone {
        pub tz_minuteswest: i32,
        pub tz_dsttime: i32,
    }

    /// The answer of times(2) in ticks of [`USER_HZ`] (`struct tms`).
    pub struct Tms {
        pub tms_utime: i64,
        pub tms_stime: i64,
        pub tms_cutime: i64,
        pub tms_cstime: i64,
    }
}

impl Timespec {
    /// Whether the nanoseconds are in range and the time is not negative: what sleeping calls accept.
    pub const fn is_valid(&self) -> bool {
        self.tv_sec >= 0 && self.tv_nsec >= 0 && self.tv_nsec < NANOSECONDS_PER_SECOND
    }

    /// The time in nanoseconds, at most `u64::MAX` (584 years); `None` where it is not valid.
    pub const fn to_nanoseconds(&self) -> Option<u64> {
        if !self.is_valid() {
            return None;
        }
        Some((self.tv_sec as u64).saturating_mul(1_000_000_000).saturating_add(self.tv_nsec as u64))
    }

    /// The time that is this many nanoseconds.
    pub const fn from_nanoseconds(nanoseconds: u64) -> Timespec {
        Timespec {
            tv_sec: (nanoseconds / 1_000_000_000) as i64,
            tv_nsec: (nanoseconds % 1_000_000_000) as i64,
        }
    }
}

impl Timeval {
    /// The time in nanoseconds, at most `u64::MAX`; `None` where it is negative or has a second of
    /// microseconds or more.
    pub const fn to_nanoseconds(&self) -> Option<u64> {
        if self.tv_sec < 0 || self.tv_usec < 0 || self.tv_usec >= 1_000_000 {
            return None;
        }
        Some((self.tv_sec as u64).saturating_mul(1_000_000_000).saturating_add(self.tv_usec as u64 * 1000))
    }

    /// The time that is this many nanoseconds, cut to whole microseconds.
    pub const fn from_nanoseconds(nanoseconds: u64) -> Timeval {
        Timeval {
            tv_sec: (nanoseconds / 1_000_000_000) as i64,
            tv_usec: (nanoseconds % 1_000_000_000 / 1000) as i64,
        }
    }
}

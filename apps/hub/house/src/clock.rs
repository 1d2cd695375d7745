//! The time, as the house sees it: wall time that may jump or be wrong, and monotonic time that may not.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// No hub was built before this (2025-01-01): a wall clock that shows less has not been set.
pub const EARLIEST_PLAUSIBLE_MS: i64 = 1_735_689_600_000;
/// 2100-01-01; a clock beyond it is broken.
pub const LATEST_PLAUSIBLE_MS: i64 = 4_102_444_800_000;

/// Both clocks. Tests (and `hub --clock-offset`) shift the wall clock.
#[derive(Debug)]
pub struct Clock {
    started: Instant,
    offset_ms: AtomicI64,
    boot_id: String,
}

impl Default for Clock {
    fn default() -> Self {
        let boot_id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        Clock { started: Instant::now(), offset_ms: AtomicI64::new(0), boot_id: boot_id.trim().to_string() }
    }
}

impl Clock {
    /// Unix milliseconds by the wall clock.
    pub fn now_ms(&self) -> i64 {
        let wall = match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => since.as_millis() as i64,
            Err(before) => -(before.duration().as_millis() as i64),
        };
        wall.saturating_add(self.offset_ms.load(Ordering::Relaxed))
    }
    /// Milliseconds since the hub started; never jumps.
    pub fn monotonic_ms(&self) -> u64 {
        self.started.elapsed().as_millis() as u64
    }
    /// Whether the wall clock can be right.
    pub fn is_plausible(&self) -> bool {
        (EARLIEST_PLAUSIBLE_MS..LATEST_PLAUSIBLE_MS).contains(&self.now_ms())
    }
    /// Milliseconds since the machine booted, sleep included: comparable between two runs of the hub while
    /// [`Clock::boot_id`] is the same.
    pub fn boot_ms(&self) -> i64 {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        now.tv_sec * 1000 + now.tv_nsec / 1_000_000
    }
    /// Names this boot of the machine (random(4), `/proc/sys/kernel/random/boot_id`); empty where the kernel does not say.
    pub fn boot_id(&self) -> &str {
        &self.boot_id
    }
    /// Shifts the wall clock, as an administrator or NTP would.
    pub fn shift(&self, by_ms: i64) {
        self.offset_ms.fetch_add(by_ms, Ordering::Relaxed);
    }
}

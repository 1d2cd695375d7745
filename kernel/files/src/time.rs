//! The time of day, for timestamps.

use abi::time::Timespec;
use machine::clock;
use machine::sync::Once;

static WALL_CLOCK: Once<fn() -> u64> = Once::new();

/// Injects the wall clock that programs can set: nanoseconds since 1970-01-01 UTC. Called once, at boot; a second
/// call changes nothing. Until then the machine's own clock is used as it was read at boot.
pub fn set_wall_clock(clock: fn() -> u64) {
    let _ = WALL_CLOCK.set(clock);
}

/// Nanoseconds since 1970-01-01 UTC.
pub fn wall_clock_ns() -> u64 {
    match WALL_CLOCK.get() {
        Some(clock) => clock(),
        None => clock::boot_time_ns().unwrap_or(0).saturating_add(clock::now_ns()),
    }
}

/// The time of day, for timestamps.
pub fn now() -> Timespec {
    Timespec::from_nanoseconds(wall_clock_ns())
}

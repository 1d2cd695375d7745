//! How an operation is measured: warm rounds, of which the cheapest counts.

use crate::system;
use rustix::io::Result;
use rustix::time::{ClockId, clock_gettime};
use std::sync::OnceLock;

/// What a figure counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Ticks of the time-stamp counter; under QEMU's `-icount shift=0` guest instructions.
    Ticks,
    /// Nanoseconds of the machine's monotonic clock.
    Nanoseconds,
}

static UNIT: OnceLock<Unit> = OnceLock::new();

/// Says what this run counts, once and before the first measurement; without it, ticks.
pub fn count_in(unit: Unit) {
    UNIT.get_or_init(|| unit);
}

/// How much has been counted until now.
pub fn now() -> u64 {
    match UNIT.get_or_init(|| Unit::Ticks) {
        Unit::Ticks => system::ticks(),
        Unit::Nanoseconds => {
            let time = clock_gettime(ClockId::Monotonic);
            time.tv_sec.cast_unsigned() * 1_000_000_000 + time.tv_nsec.cast_unsigned()
        }
    }
}

/// Rounds before the first that counts: caches of the kernel's allocators fill, pages are faulted in.
const WARM_ROUNDS: u32 = 2;
/// Rounds of which the cheapest counts: the others were hit by a timer tick.
const ROUNDS: u32 = 8;

/// What one `operation` takes, when each round makes it `times` times.
pub fn per_operation(times: u64, mut operation: impl FnMut() -> Result<()>) -> Result<u64> {
    cheapest(|| {
        let start = now();
        for _ in 0..times {
            operation()?;
        }
        Ok((now() - start) / times)
    })
}

/// The least of what the rounds return.
pub fn cheapest(mut round: impl FnMut() -> Result<u64>) -> Result<u64> {
    for _ in 0..WARM_ROUNDS {
        round()?;
    }
    let mut least = u64::MAX;
    for _ in 0..ROUNDS {
        least = least.min(round()?);
    }
    Ok(least)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_warm_rounds_do_not_count_and_the_cheapest_of_the_others_does() {
        let mut costs = [1, 1, 90, 80, 70, 60, 75, 85, 95, 99].into_iter();
        assert_eq!(cheapest(|| Ok(costs.next().unwrap_or(0))), Ok(60));
        assert_eq!(costs.next(), None);
    }

    #[test]
    fn a_failure_ends_the_measurement() {
        assert_eq!(per_operation(4, || Err(rustix::io::Errno::BADF)), Err(rustix::io::Errno::BADF));
    }
}

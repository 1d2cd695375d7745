//! Keeping to the nominal clock: a machine that has come too far waits for the time of day.

use soc_machine::Machine;
use soc_machine::map::CLOCK_HZ;
use std::time::{Duration, Instant};

/// The time of day and the cycle at which the machine began to keep to it.
pub struct Pace {
    began: Instant,
    start: u64,
}

impl Pace {
    /// The clock begins now.
    pub fn new(machine: &Machine) -> Self {
        Self { began: Instant::now(), start: machine.cpu().cycle() }
    }

    /// Waits until it is time for the machine to go on. One that is late is not held up.
    pub fn wait(&self, machine: &Machine) {
        let due = nominal_time(machine.cpu().cycle().saturating_sub(self.start));
        std::thread::sleep(due.saturating_sub(self.began.elapsed()));
    }
}

/// What this many cycles take by the nominal clock.
fn nominal_time(cycles: u64) -> Duration {
    let clock = u64::from(CLOCK_HZ);
    Duration::from_secs(cycles / clock) + Duration::from_nanos(cycles % clock * 1_000_000_000 / clock)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_million_cycles_are_a_second_and_years_of_them_are_years() {
        assert_eq!(nominal_time(1_500_000), Duration::from_millis(1500));
        assert_eq!(nominal_time(u64::MAX).as_secs(), u64::MAX / 1_000_000);
    }
}

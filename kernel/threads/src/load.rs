//! Load averages, and what the processors have done with their time.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use machine::sync::Once;
use machine::{clock, cpu};

use crate::processor::{LIT, PROCESSORS};
use crate::time::Timer;

/// Bits after the binary point of a load average (Linux: `FSHIFT`).
pub const FIXED_SHIFT: u32 = 11;
const FIXED_1: u64 = 1 << FIXED_SHIFT;
/// Between two samples (Linux: `LOAD_FREQ`, 5 s and a tick, so that it beats with nothing that happens each
/// second).
const SAMPLE_NS: u64 = 5_004_000_000;
/// `e^(-5 s / period)` in fixed point, for 1, 5 and 15 minutes (Linux: `EXP_1` ...).
const DECAY: [u64; 3] = [1884, 2014, 2037];

static AVERAGES: [AtomicU64; 3] = [const { AtomicU64::new(0) }; 3];
static TIMER: Once<Timer> = Once::new();

/// What a processor has done with its time, in nanoseconds. The split between user and system is sampled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// In programs.
    pub user_ns: u64,
    /// In the kernel.
    pub system_ns: u64,
    /// Idle.
    pub idle_ns: u64,
    /// Switches from one thread to another.
    pub switches: u64,
}

/// The times of processor `cpu`, as of its last switch or tick; for an idle one, as of now.
pub fn times(cpu: usize) -> Times {
    let processor = PROCESSORS.on(cpu);
    let mut times = Times {
        user_ns: processor.user_ns.load(Relaxed),
        system_ns: processor.system_ns.load(Relaxed),
        idle_ns: processor.idle_ns.load(Relaxed),
        switches: processor.switches.load(Relaxed),
    };
    if processor.load.load(Relaxed) == 0 {
        times.idle_ns += clock::now_ns().saturating_sub(processor.charged_ns.load(Relaxed));
    }
    times
}

/// Threads that run or wait for a processor now.
pub fn running() -> usize {
    (0..cpu::count())
        .filter(|&cpu| LIT.contains(cpu))
        .map(|cpu| PROCESSORS.on(cpu).load.load(Relaxed) as usize)
        .sum()
}

/// Load averages of 1, 5 and 15 minutes, with [`FIXED_SHIFT`] bits after the point.
pub fn averages() -> [u64; 3] {
    [0, 1, 2].map(|index: usize| AVERAGES[index].load(Relaxed))
}

/// One step of an average towards `active` threads, rounded as Linux does (`calc_load`).
fn step(average: u64, decay: u64, active: u64) -> u64 {
    let active = active * FIXED_1;
    let sum = average * decay + active * (FIXED_1 - decay);
    let rounding = if active >= average { FIXED_1 - 1 } else { 0 };
    (sum + rounding) / FIXED_1
}

fn sample() {
    let active = running() as u64;
    // The softirq thread that samples does not count.
    let active = active.saturating_sub(1);
    for (average, decay) in AVERAGES.iter().zip(DECAY) {
        average.store(step(average.load(Relaxed), decay, active), Relaxed);
    }
    set_timer();
}

fn set_timer() {
    if let Some(timer) = TIMER.get() {
        timer.set(clock::now_ns() + SAMPLE_NS);
    }
}

/// Begins to sample, on the first processor that is lit.
pub(crate) fn start(here: usize) {
    if here == 0 && Timer::new(sample).is_ok_and(|timer| TIMER.set(timer).is_ok()) {
        set_timer();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_constant_load_is_reached_and_an_idle_machine_goes_to_zero() {
        let mut average = 0;
        for _ in 0..200 {
            average = step(average, DECAY[0], 3);
        }
        assert_eq!(average, 3 * FIXED_1);
        for _ in 0..500 {
            average = step(average, DECAY[0], 0);
        }
        assert_eq!(average, 0);
    }

    #[test]
    fn one_minute_of_load_brings_the_first_average_to_two_thirds() {
        let average = (0..12).fold(0, |average, _| step(average, DECAY[0], 1));
        assert!((1290..1300).contains(&average), "{average}");
    }
}

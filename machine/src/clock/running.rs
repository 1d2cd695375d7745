//! Time by a reference alone, for a machine whose time stamp counter is not trusted.

use core::sync::atomic::{AtomicU64, Ordering};

use super::calibration::Reference;

/// Fractional bits of the multiplier.
const SHIFT: u32 = 32;

/// A reference that has been counting since some moment. Somebody must ask for the time before it has run round once: see
/// [`half_round_ns`](Self::half_round_ns).
pub(crate) struct Running {
    reference: &'static (dyn Reference + Sync),
    /// Its latest value that anybody has seen, with the rounds that it has made.
    ticks: AtomicU64,
    first_ticks: u64,
    first_ns: u64,
    /// Nanoseconds a tick, in 2^-32.
    multiplier: u64,
}

impl Running {
    /// Starts at `now_ns`.
    pub fn start(reference: &'static (dyn Reference + Sync), now_ns: u64) -> Self {
        let first_ticks = reference.read();
        let multiplier = (1_000_000_000 << SHIFT) / reference.hz().max(1);
        Self { reference, ticks: AtomicU64::new(first_ticks), first_ticks, first_ns: now_ns, multiplier }
    }

    /// The time. No lock is needed: what is read after a value was seen is that value's future, by less than a round.
    pub fn now_ns(&self) -> u64 {
        let seen = self.ticks.load(Ordering::Acquire);
        let passed = self.reference.read().wrapping_sub(seen) % self.reference.modulus();
        let ticks = seen + passed;
        self.ticks.fetch_max(ticks, Ordering::AcqRel);
        let product = u128::from(ticks - self.first_ticks) * u128::from(self.multiplier);
        self.first_ns + (product >> SHIFT) as u64
    }

    /// Half of the time that it takes to run round.
    pub fn half_round_ns(&self) -> u64 {
        ((u128::from(self.reference.modulus() / 2) * u128::from(self.multiplier)) >> SHIFT) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shows the lowest eight bits of what it is set to, and ticks a thousand times in a second.
    struct Set(AtomicU64);

    impl Reference for Set {
        fn read(&self) -> u64 {
            self.0.load(Ordering::Relaxed) % self.modulus()
        }

        fn modulus(&self) -> u64 {
            256
        }

        fn hz(&self) -> u64 {
            1000
        }
    }

    #[test]
    fn time_goes_on_over_every_round_of_the_reference() {
        static SET: Set = Set(AtomicU64::new(250));
        let running = Running::start(&SET, 7_000);
        assert_eq!(running.half_round_ns(), 128_000_000);
        for step in 1..100 {
            SET.0.fetch_add(100, Ordering::Relaxed);
            assert_eq!(running.now_ns(), 7_000 + step * 100_000_000);
            assert_eq!(running.now_ns(), 7_000 + step * 100_000_000);
        }
    }
}

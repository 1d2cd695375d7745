//! Measuring one counter by another: how many ticks it makes while the other makes one.
//!
//! Every look reads the counter on both sides of the reference, so what is known is an interval, and each result is one: the
//! true ratio lies inside whatever happened meanwhile. A look in the middle of which a hypervisor let somebody else run is
//! wide, and is not used while there are narrower ones. The one thing that an interval does not hold is a reference that ran
//! round unseen; so windows are measured until two of them agree.

/// Fractional bits of a ratio.
const FRACTION: u32 = 32;
/// Looks of which the narrowest is kept.
const LOOKS: usize = 5;
/// Windows after which the counter is taken for one that agrees with nothing.
const WINDOWS: usize = 8;
/// Looks at a reference that does not move before it is given up.
const PATIENCE: u32 = 100_000;

/// A counter with a known rate.
pub(crate) trait Reference {
    /// Its value, which counts up modulo [`modulus`](Self::modulus).
    fn read(&self) -> u64;

    /// One more than its highest value.
    fn modulus(&self) -> u64;

    /// How many ticks it makes in a second, in Hz.
    fn hz(&self) -> u64;
}

/// One look: the reference's value, read at some moment between two values of the counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Look {
    before: u64,
    reference: u64,
    after: u64,
}

impl Look {
    /// Looks several times and keeps the narrowest.
    pub fn new(counter: impl Fn() -> u64, reference: &dyn Reference) -> Self {
        let mut narrowest = Self::once(&counter, reference);
        for _ in 1..LOOKS {
            let look = Self::once(&counter, reference);
            if look.width() < narrowest.width() {
                narrowest = look;
            }
        }
        narrowest
    }

    fn once(counter: impl Fn() -> u64, reference: &dyn Reference) -> Self {
        let before = counter();
        let reference = reference.read();
        Self { before, reference, after: counter() }
    }

    fn width(self) -> u64 {
        self.after.saturating_sub(self.before)
    }
}

/// Between how many and how many ticks the counter makes while the reference makes one, in 2^-32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ratio {
    low: u128,
    high: u128,
}

impl Ratio {
    /// From two looks between which the reference made `passed` ticks, or up to one more or less.
    fn between(first: Look, last: Look, passed: u64) -> Option<Self> {
        let least = u128::from(last.before.saturating_sub(first.after));
        let most = u128::from(last.after.saturating_sub(first.before));
        let fewer = u128::from(passed.checked_sub(1).filter(|&fewer| fewer > 0)?);
        let low = (least << FRACTION) / (u128::from(passed) + 1);
        Some(Self { low, high: (most << FRACTION).div_ceil(fewer) })
    }

    /// The ratio in the middle of the interval.
    fn middle(self) -> u128 {
        self.low + (self.high - self.low) / 2
    }

    /// How far the true ratio can be from the middle, in millionths.
    pub fn error_ppm(self) -> u64 {
        let half = (self.high - self.low).div_ceil(2);
        u64::try_from((half * 1_000_000).div_ceil(self.middle().max(1))).unwrap_or(u64::MAX)
    }

    /// What both say, if they agree.
    pub fn agreed(self, other: Self) -> Option<Self> {
        let both = Self { low: self.low.max(other.low), high: self.high.min(other.high) };
        (both.low <= both.high).then_some(both)
    }

    /// The counter's rate in Hz, beside a reference that makes `reference_hz` ticks in a second.
    pub fn hz(self, reference_hz: u64) -> u64 {
        u64::try_from(self.middle().saturating_mul(reference_hz.into()) >> FRACTION).unwrap_or(u64::MAX)
    }

    /// The other's rate in Hz, beside a counter that makes `counter_hz` ticks in a second.
    pub fn reference_hz(self, counter_hz: u64) -> u64 {
        let hz = (u128::from(counter_hz) << FRACTION) / self.middle().max(1);
        u64::try_from(hz).unwrap_or(u64::MAX)
    }
}

/// Measures `counter` until the ratio is known to `error_ppm` millionths. Also returns a look at the end, for
/// [`measure_again`]. `None` when the reference stands still, or makes no sense.
pub(crate) fn measure(
    counter: impl Fn() -> u64,
    reference: &dyn Reference,
    error_ppm: u64,
) -> Option<(Ratio, Look)> {
    let mut found: [Option<Ratio>; WINDOWS] = [None; WINDOWS];
    for window in 0..WINDOWS {
        let (ratio, end) = measure_once(&counter, reference, error_ppm)?;
        let agreed = found.iter().flatten().find_map(|earlier| earlier.agreed(ratio));
        if let Some(agreed) = agreed {
            return Some((agreed, end));
        }
        if let Some(slot) = found.get_mut(window) {
            *slot = Some(ratio);
        }
    }
    None
}

/// One window. It ends as soon as the looks at its ends are narrow enough beside its length.
fn measure_once(
    counter: impl Fn() -> u64,
    reference: &dyn Reference,
    error_ppm: u64,
) -> Option<(Ratio, Look)> {
    let first = Look::new(&counter, reference);
    let (mut last, mut passed, mut still) = (first, 0u64, 0);
    loop {
        let look = Look::once(&counter, reference);
        let step = distance(last.reference, look.reference, reference.modulus());
        still = if step == 0 { still + 1 } else { 0 };
        if still > PATIENCE {
            return None;
        }
        (last, passed) = (look, passed + step);
        if let Some(ratio) = Ratio::between(first, look, passed)
            && ratio.error_ppm() <= error_ppm
        {
            return Some((ratio, look));
        }
        core::hint::spin_loop();
    }
}

/// The ratio over all the time since `first`, which may be so long that the reference has run round: `known` tells how often.
/// `None` when that is not certain any more.
pub(crate) fn measure_again(
    counter: impl Fn() -> u64,
    reference: &dyn Reference,
    first: Look,
    known: Ratio,
) -> Option<Ratio> {
    let last = Look::new(counter, reference);
    let ticks = u128::from(last.after.saturating_sub(first.before));
    let modulus = reference.modulus();
    let expected = u64::try_from((ticks << FRACTION) / known.middle().max(1)).ok()?;
    let uncertain = u128::from(expected) * u128::from(known.error_ppm()) / 1_000_000;
    if uncertain >= u128::from(modulus / 4) {
        return None;
    }
    // The number nearest to what is expected among those that the reference's value allows.
    let shown = distance(first.reference, last.reference, modulus);
    let behind = distance(shown, expected % modulus, modulus);
    let passed = if behind <= modulus / 2 {
        expected.checked_sub(behind)?
    } else {
        expected.checked_add(modulus - behind)?
    };
    Ratio::between(first, last, passed)
}

/// How far a counter modulo `modulus` went from one value to another.
fn distance(from: u64, to: u64, modulus: u64) -> u64 {
    if to >= from { to - from } else { modulus - from + to }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    /// Two clocks on one time line, which goes on at every look; pauses as a hypervisor makes them.
    struct World {
        /// Picoseconds.
        now: Cell<u64>,
        looks: Cell<u64>,
        counter_hz: u64,
        reference_hz: u64,
        modulus: u64,
        /// At which look everything stops, and for how long.
        pauses: Vec<(u64, u64)>,
    }

    impl World {
        fn new(counter_hz: u64, reference_hz: u64, modulus: u64) -> Self {
            let (now, looks) = (Cell::new(0), Cell::new(0));
            Self { now, looks, counter_hz, reference_hz, modulus, pauses: Vec::new() }
        }

        fn look(&self) {
            let look = self.looks.get();
            self.looks.set(look + 1);
            let pause = self.pauses.iter().find(|(at, _)| *at == look).map_or(0, |(_, length)| *length);
            self.now.set(self.now.get() + 400_000 + pause);
        }

        fn ticks(&self, hz: u64) -> u64 {
            (u128::from(self.now.get()) * u128::from(hz) / 1_000_000_000_000) as u64
        }

        fn counter(&self) -> u64 {
            self.look();
            self.ticks(self.counter_hz)
        }

        fn off_by_ppm(&self, ratio: Ratio) -> u64 {
            self.counter_hz.abs_diff(ratio.hz(self.hz())) * 1_000_000 / self.counter_hz
        }
    }

    impl Reference for World {
        fn read(&self) -> u64 {
            self.look();
            self.ticks(self.reference_hz) % self.modulus
        }

        fn modulus(&self) -> u64 {
            self.modulus
        }

        fn hz(&self) -> u64 {
            self.reference_hz
        }
    }

    const MILLISECOND: u64 = 1_000_000_000;
    const PIT: (u64, u64) = (1_193_182, 0x1_0000);
    const HPET: (u64, u64) = (100_000_000, 1 << 32);

    #[test]
    fn a_ratio_is_as_exact_as_was_asked_for() {
        for (hz, modulus) in [PIT, HPET, (3_579_545, 1 << 24), (14_318_180, 1 << 32)] {
            let world = World::new(2_345_678_901, hz, modulus);
            let (ratio, _) = measure(|| world.counter(), &world, 2000).unwrap();
            assert!(ratio.error_ppm() <= 2000 && world.off_by_ppm(ratio) <= ratio.error_ppm());
        }
    }

    #[test]
    fn either_rate_follows_from_the_other() {
        let world = World::new(3_000_000_000, HPET.0, HPET.1);
        let (ratio, _) = measure(|| world.counter(), &world, 1000).unwrap();
        assert!(ratio.reference_hz(3_000_000_000).abs_diff(HPET.0) <= HPET.0 / 1000);
    }

    #[test]
    fn a_pause_at_any_look_does_not_falsify_the_ratio() {
        for at in 0..400 {
            for length in [MILLISECOND, 40 * MILLISECOND, 55 * MILLISECOND, 700 * MILLISECOND] {
                let mut world = World::new(3_000_000_000, PIT.0, PIT.1);
                world.pauses.push((at, length));
                let (ratio, _) = measure(|| world.counter(), &world, 2000).unwrap();
                assert!(world.off_by_ppm(ratio) <= 2000, "a pause of {length} ps at look {at}: {ratio:?}");
            }
        }
    }

    #[test]
    fn a_reference_that_stands_still_is_given_up() {
        let world = World::new(1_000_000_000, 0, 1 << 32);
        assert_eq!(measure(|| world.counter(), &world, 2000), None);
    }

    #[test]
    fn measuring_again_after_a_second_is_exact_to_a_few_millionths_however_often_the_reference_ran_round() {
        for (hz, modulus) in [PIT, HPET] {
            let world = World::new(2_345_678_901, hz, modulus);
            let (known, first) = measure(|| world.counter(), &world, 2000).unwrap();
            world.now.set(world.now.get() + 1000 * MILLISECOND);
            let better = measure_again(|| world.counter(), &world, first, known).unwrap();
            assert!(better.error_ppm() <= 5 && world.off_by_ppm(better) <= 5, "{better:?}");
            assert!(better.agreed(known).is_some());
        }
    }

    #[test]
    fn measuring_again_too_late_to_count_the_rounds_tells_nothing() {
        let world = World::new(1_000_000_000, PIT.0, PIT.1);
        let (known, first) = measure(|| world.counter(), &world, 2000).unwrap();
        world.now.set(world.now.get() + 60_000 * MILLISECOND);
        assert_eq!(measure_again(|| world.counter(), &world, first, known), None);
    }

    #[test]
    fn a_counter_that_changed_its_rate_disagrees_with_itself() {
        let mut world = World::new(2_000_000_000, HPET.0, HPET.1);
        let (known, first) = measure(|| world.counter(), &world, 2000).unwrap();
        world.now.set(world.now.get() + 1000 * MILLISECOND);
        world.counter_hz = 2_010_000_000;
        let again = measure_again(|| world.counter(), &world, first, known).unwrap();
        assert_eq!(again.agreed(known), None);
    }
}

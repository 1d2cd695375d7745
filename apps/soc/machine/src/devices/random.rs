//! The random numbers: a seeded sequence, so that a run can be repeated (specification, section 8.5).

use crate::map::{RANDOM_SEED, RANDOM_VALUE};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Random {
    pub state: u64,
}

impl Random {
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014), high half.
    fn next(&mut self) -> u32 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) >> 32) as u32
    }

    pub fn read(&mut self, offset: u32) -> Option<u32> {
        match offset {
            RANDOM_VALUE => Some(self.next()),
            RANDOM_SEED => Some(0),
            _ => None,
        }
    }

    pub fn write(&mut self, offset: u32, value: u32) -> Option<()> {
        match offset {
            RANDOM_VALUE => Some(()),
            RANDOM_SEED => {
                self.state = u64::from(value);
                Some(())
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sequence_is_the_one_in_the_specification() {
        let mut random = Random::new(0);
        assert_eq!([random.next(), random.next()], [0xE220_A839, 0x6E78_9E6A]);
    }
}

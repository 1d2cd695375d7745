//! Sets of processors.

use core::sync::atomic::{AtomicU64, Ordering};

const WORDS: usize = 4;

/// A set of processors (Linux: `cpu_set_t`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuMask(pub [u64; WORDS]);

impl CpuMask {
    /// No processor.
    pub const EMPTY: Self = Self([0; WORDS]);
    /// Every processor that there can be.
    pub const ALL: Self = Self([u64::MAX; WORDS]);

    /// Just one processor.
    pub fn one(cpu: usize) -> Self {
        let mut mask = Self::EMPTY;
        mask.insert(cpu);
        mask
    }

    /// Adds a processor. Numbers that no processor can have are ignored.
    pub fn insert(&mut self, cpu: usize) {
        if let Some(word) = self.0.get_mut(cpu / 64) {
            *word |= 1 << (cpu % 64);
        }
    }

    /// Whether the processor is in the set.
    pub fn contains(&self, cpu: usize) -> bool {
        self.0.get(cpu / 64).is_some_and(|word| word & (1 << (cpu % 64)) != 0)
    }

    /// The processors of both sets.
    pub fn intersection(&self, other: &Self) -> Self {
        Self(core::array::from_fn(|word| self.0[word] & other.0[word]))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0 == [0; WORDS]
    }

    /// The processors, in order.
    pub fn iter(&self) -> impl Iterator<Item = usize> + use<> {
        let words = self.0;
        words.into_iter().enumerate().flat_map(|(index, mut word)| {
            core::iter::from_fn(move || {
                let bit = word.trailing_zeros() as usize;
                word &= word.wrapping_sub(1);
                (bit < 64).then_some(index * 64 + bit)
            })
        })
    }
}

/// A set that several processors change at once.
pub(crate) struct AtomicMask([AtomicU64; WORDS]);

impl AtomicMask {
    pub const fn new(mask: CpuMask) -> Self {
        let [a, b, c, d] = mask.0;
        Self([AtomicU64::new(a), AtomicU64::new(b), AtomicU64::new(c), AtomicU64::new(d)])
    }

    #[inline]
    pub fn contains(&self, cpu: usize) -> bool {
        self.0.get(cpu / 64).is_some_and(|word| word.load(Ordering::Relaxed) & (1 << (cpu % 64)) != 0)
    }

    /// Adds a processor. Ordered with everything, so that who adds itself and then looks for work, and who
    /// makes work and then looks here, cannot miss each other.
    pub fn insert(&self, cpu: usize) {
        self.0[cpu / 64].fetch_or(1 << (cpu % 64), Ordering::SeqCst);
    }

    /// Takes a processor out; whether it was in.
    pub fn remove(&self, cpu: usize) -> bool {
        let bit = 1 << (cpu % 64);
        self.0[cpu / 64].fetch_and(!bit, Ordering::SeqCst) & bit != 0
    }

    pub fn load(&self) -> CpuMask {
        CpuMask(core::array::from_fn(|word| self.0[word].load(Ordering::SeqCst)))
    }

    pub fn store(&self, mask: CpuMask) {
        for (word, value) in self.0.iter().zip(mask.0) {
            word.store(value, Ordering::SeqCst);
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    #[test]
    fn a_mask_lists_its_processors_in_order() {
        let mut mask = CpuMask::EMPTY;
        for cpu in [200, 3, 64, 63, 1000] {
            mask.insert(cpu);
        }
        assert_eq!(mask.iter().collect::<Vec<_>>(), [3, 63, 64, 200]);
        assert!(mask.contains(64) && !mask.contains(65) && !mask.contains(1000));
    }
}

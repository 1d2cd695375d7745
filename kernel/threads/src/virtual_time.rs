//! Virtual time: how threads of different weights are compared.

use core::cmp::Ordering as Order;

use crate::policy::UNIT_WEIGHT;

/// A moment of virtual time: nanoseconds at weight 1024, on a circle, so that only differences count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Virtual(pub u64);

impl Virtual {
    /// How far `self` is after `other`; negative if it is before.
    #[inline]
    pub fn since(self, other: Self) -> i64 {
        self.0.wrapping_sub(other.0) as i64
    }

    #[inline]
    pub fn plus(self, span: i64) -> Self {
        Self(self.0.wrapping_add(span as u64))
    }
}

impl Ord for Virtual {
    #[inline]
    fn cmp(&self, other: &Self) -> Order {
        self.since(*other).cmp(&0)
    }
}

impl PartialOrd for Virtual {
    #[inline]
    fn partial_cmp(&self, other: &Self) -> Option<Order> {
        Some(self.cmp(other))
    }
}

/// Nanoseconds of a thread of this weight, in virtual time.
#[inline]
pub(crate) fn to_virtual(ns: u64, weight: u32) -> i64 {
    if u64::from(weight) == UNIT_WEIGHT {
        ns as i64
    } else {
        (ns.saturating_mul(UNIT_WEIGHT) / u64::from(weight.max(1))) as i64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_compared_across_the_end_of_the_circle() {
        let late = Virtual(u64::MAX - 5);
        let later = late.plus(10);
        assert!(later > late && later.since(late) == 10 && late.since(later) == -10);
    }

    #[test]
    fn heavy_threads_have_slow_time() {
        assert_eq!(to_virtual(1000, 1024), 1000);
        assert_eq!(to_virtual(1000, 2048), 500);
        assert_eq!(to_virtual(1000, 512), 2000);
    }
}

//! Entropy that the processor itself offers.

use crate::arch;

/// A word from RDRAND; `None` where the processor has none, or it failed ten times in a row (Intel SDM vol.
/// 1, 7.3.17).
pub fn hardware_u64() -> Option<u64> {
    arch::random_u64()
}

/// The time stamp counter, whose low bits jitter.
pub fn cycles() -> u64 {
    arch::cycles()
}

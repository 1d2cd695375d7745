//! What a hypervisor tells of the counter: the structure of kvm-clock (Linux: Documentation/virt/kvm/x86/msr.rst,
//! MSR_KVM_SYSTEM_TIME_NEW).

/// The counter's rate, and whether it can be relied on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    /// Ticks in a second.
    pub hz: u64,
    /// Whether the counters of all processors agree.
    pub is_stable: bool,
}

impl Told {
    /// The structure's length in words of 32 bits.
    pub const WORDS: usize = 8;
    /// The flag that says that the counters agree.
    const STABLE: u32 = 1;

    /// Reads the structure: version, padding, two counts of 64 bits, the multiplier (nanoseconds a tick in 2^-32, of a counter
    /// that was shifted first), and in the bytes of the last word the shift to the left and the flags. `None` when it is being
    /// written or was never.
    pub fn parse(words: [u32; Self::WORDS]) -> Option<Self> {
        let [version, _, _, _, _, _, multiplier, rest] = words;
        let [shift, flags, _, _] = rest.to_le_bytes();
        let shift = i32::from(shift.cast_signed());
        if version == 0 || version & 1 != 0 || multiplier == 0 || shift.unsigned_abs() > 31 {
            return None;
        }
        let per_second = (1_000_000_000u128 << 64) / u128::from(multiplier);
        let hz = u64::try_from(per_second >> (32 + shift)).ok().filter(|&hz| hz > 0)?;
        Some(Self { hz, is_stable: u32::from(flags) & Self::STABLE != 0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(version: u32, multiplier: u32, shift: i8, flags: u8) -> [u32; Told::WORDS] {
        let last = u32::from_le_bytes([shift.cast_unsigned(), flags, 0, 0]);
        [version, 0, 1, 2, 3, 4, multiplier, last]
    }

    /// The multiplier and shift that KVM makes of a rate (kvm_get_time_scale): the multiplier has its top bit set.
    fn scale(hz: u64) -> (u32, i8) {
        (-31..=31)
            .find_map(|shift| {
                let shifted = if shift < 0 { u128::from(hz) >> -shift } else { u128::from(hz) << shift };
                let multiplier = (1_000_000_000u128 << 32) / shifted.max(1);
                Some((u32::try_from(multiplier).ok().filter(|top| top >> 31 == 1)?, shift as i8))
            })
            .unwrap()
    }

    #[test]
    fn the_rate_follows_from_multiplier_and_shift() {
        for hz in [800_000_000, 1_000_000_000, 2_394_500_000, 3_999_999_999, 5_200_000_000] {
            let (multiplier, shift) = scale(hz);
            let told = Told::parse(words(2, multiplier, shift, 1)).unwrap();
            assert!(told.hz.abs_diff(hz) * 100_000_000 / hz <= 1, "{hz}: {told:?}");
            assert!(told.is_stable);
        }
    }

    #[test]
    fn a_structure_that_nobody_wrote_or_that_makes_no_sense_tells_nothing() {
        assert_eq!(Told::parse([0; Told::WORDS]), None);
        assert_eq!(Told::parse(words(3, 1 << 31, 0, 1)), None);
        assert_eq!(Told::parse(words(2, 0, 0, 1)), None);
        assert_eq!(Told::parse(words(2, 1 << 31, -100, 1)), None);
        assert_eq!(Told::parse(words(2, u32::MAX, 31, 1)), None);
        assert_eq!(Told::parse(words(2, 1 << 31, 0, 0)).map(|told| told.is_stable), Some(false));
    }
}

//! Scheduling policies, and the weights of nice values.

/// How a thread is scheduled (sched(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// `SCHED_OTHER`: a fair share by nice value.
    Normal,
    /// `SCHED_BATCH`: as normal, and never preempts a running thread when it wakes.
    Batch,
    /// `SCHED_IDLE`: a share so small that it counts only when nobody else wants the processor.
    Idle,
    /// `SCHED_FIFO` with priority 1 (lowest) to 99: runs until it waits or yields, before all threads of lower priority.
    Fifo(u8),
    /// `SCHED_RR`: as FIFO, but takes turns with threads of the same priority.
    RoundRobin(u8),
}

/// The lowest and the highest nice value: the most and the least favourable.
pub const NICE: core::ops::RangeInclusive<i8> = -20..=19;

/// Weight of nice 0.
pub(crate) const UNIT_WEIGHT: u64 = 1024;
/// Weight of [`Policy::Idle`] (Linux: `WEIGHT_IDLEPRIO`).
const IDLE_WEIGHT: u32 = 3;

/// Weight of each nice value from -20 on: a step changes the share between two threads by about 10 % (Linux: `sched_prio_to_weight`).
const WEIGHTS: [u32; 40] = [
    88761, 71755, 56483, 46273, 36291, 29154, 23254, 18705, 14949, 11916, //
    9548, 7620, 6100, 4904, 3906, 3121, 2501, 1991, 1586, 1277, //
    1024, 820, 655, 526, 423, 335, 272, 215, 172, 137, //
    110, 87, 70, 56, 45, 36, 29, 23, 18, 15,
];

/// The longest turn of a fair thread while others wait, in nanoseconds.
pub(crate) const SLICE_NS: u64 = 3_000_000;
/// The turn of a round-robin thread (Linux: `sched_rr_timeslice_ms`).
pub(crate) const ROUND_ROBIN_NS: u64 = 100_000_000;

impl Policy {
    /// A small number for each policy and priority, to keep in an atomic.
    pub(crate) fn encode(self) -> u32 {
        match self {
            Self::Normal => 0,
            Self::Batch => 1,
            Self::Idle => 2,
            Self::Fifo(priority) => 0x100 | u32::from(priority.clamp(1, 99)),
            Self::RoundRobin(priority) => 0x200 | u32::from(priority.clamp(1, 99)),
        }
    }

    pub(crate) fn decode(code: u32) -> Self {
        let priority = code as u8;
        match (code >> 8, code) {
            (1, _) => Self::Fifo(priority),
            (2, _) => Self::RoundRobin(priority),
            (_, 1) => Self::Batch,
            (_, 2) => Self::Idle,
            _ => Self::Normal,
        }
    }

    /// The priority of a real-time policy; 0 for the fair ones.
    #[inline]
    pub(crate) fn priority(self) -> u8 {
        match self {
            Self::Fifo(priority) | Self::RoundRobin(priority) => priority,
            _ => 0,
        }
    }

    /// What the share of a thread with this policy and nice value is proportional to.
    pub(crate) fn weight(self, nice: i8) -> u32 {
        if self == Self::Idle {
            return IDLE_WEIGHT;
        }
        let index = i32::from(nice.clamp(*NICE.start(), *NICE.end())) - i32::from(*NICE.start());
        WEIGHTS[index as usize]
    }

    /// How long such a thread runs while others of its kind wait; `None`: for as long as it likes.
    pub(crate) fn slice_ns(self) -> Option<u64> {
        match self {
            Self::Fifo(_) => None,
            Self::RoundRobin(_) => Some(ROUND_ROBIN_NS),
            _ => Some(SLICE_NS),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_say_what_was_encoded() {
        for policy in [
            Policy::Normal,
            Policy::Batch,
            Policy::Idle,
            Policy::Fifo(1),
            Policy::Fifo(99),
            Policy::RoundRobin(50),
        ] {
            assert_eq!(Policy::decode(policy.encode()), policy);
        }
    }

    #[test]
    fn a_nice_step_is_worth_a_quarter_and_extremes_are_in_the_table() {
        assert_eq!(Policy::Normal.weight(0), 1024);
        assert_eq!(Policy::Normal.weight(-20), 88761);
        assert_eq!(Policy::Normal.weight(19), 15);
        assert_eq!(Policy::Normal.weight(100), 15);
        assert_eq!(Policy::Idle.weight(-20), 3);
    }
}

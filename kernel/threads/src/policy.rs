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
    /// `SCHED_FIFO` with priority 1 (lowest) to 99: runs until it waits or yields, before all threads of
    /// lower priority.
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

/// Weight of each nice value from -20 on: a step changes the share between two threads by about 10 %
/// (Linux: `sched_prio_to_weight`).
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

/// A policy as a small number, to keep in an atomic and to decide by without taking it apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Code(pub u32);

const BATCH: u32 = 1;
const IDLE: u32 = 2;
/// Above these a priority.
const FIFO: u32 = 0x100;
const ROUND_ROBIN: u32 = 0x200;

impl Code {
    /// The priority of a real-time policy; 0 for the fair ones.
    #[inline]
    pub fn priority(self) -> u8 {
        if self.0 < FIFO { 0 } else { self.0 as u8 }
    }

    #[inline]
    pub fn is_round_robin(self) -> bool {
        self.0 >= ROUND_ROBIN
    }

    #[inline]
    pub fn is_idle(self) -> bool {
        self.0 == IDLE
    }

    /// Whether a thread that wakes may take the processor from a fair one.
    #[inline]
    pub fn may_preempt(self) -> bool {
        self.0 != IDLE && self.0 != BATCH
    }

    pub fn decode(self) -> Policy {
        let priority = self.0 as u8;
        match self.0 {
            ROUND_ROBIN.. => Policy::RoundRobin(priority),
            FIFO.. => Policy::Fifo(priority),
            BATCH => Policy::Batch,
            IDLE => Policy::Idle,
            _ => Policy::Normal,
        }
    }
}

impl Policy {
    /// A small number for each policy and priority; priorities are brought between 1 and 99.
    pub(crate) fn encode(self) -> Code {
        Code(match self {
            Self::Normal => 0,
            Self::Batch => BATCH,
            Self::Idle => IDLE,
            Self::Fifo(priority) => FIFO | u32::from(priority.clamp(1, 99)),
            Self::RoundRobin(priority) => ROUND_ROBIN | u32::from(priority.clamp(1, 99)),
        })
    }

    /// What the share of a thread with this policy and nice value is proportional to.
    pub(crate) fn weight(self, nice: i8) -> u32 {
        if self == Self::Idle {
            return IDLE_WEIGHT;
        }
        let index = i32::from(nice.clamp(*NICE.start(), *NICE.end())) - i32::from(*NICE.start());
        WEIGHTS[index as usize]
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
            assert_eq!(policy.encode().decode(), policy);
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

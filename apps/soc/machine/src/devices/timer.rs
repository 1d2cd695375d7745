//! The timer: one deadline, one-shot or periodic, in cycles (specification, section 8.3).

use crate::map::{TIMER_CONTROL, TIMER_PERIOD, TIMER_REMAINING, TIMER_STATUS};

pub(crate) const ENABLE: u32 = 1;
pub(crate) const PERIODIC: u32 = 2;
pub(crate) const INTERRUPT: u32 = 4;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Timer {
    pub control: u32,
    pub period: u32,
    pub expired: bool,
    /// The cycle before which it expires; set exactly while it is enabled.
    pub deadline: Option<u64>,
}

impl Timer {
    pub fn is_pending(&self) -> bool {
        self.expired && self.control & INTERRUPT != 0
    }

    fn length(&self) -> u64 {
        u64::from(self.period).max(1)
    }

    /// Expires if its time has come.
    #[inline]
    pub fn advance(&mut self, now: u64) {
        let Some(deadline) = self.deadline else { return };
        if deadline > now {
            return;
        }
        self.expired = true;
        if self.control & PERIODIC != 0 {
            // Counted from the deadline and not from now, so that a period never drifts.
            let missed = (now - deadline) / self.length();
            self.deadline = Some(deadline.saturating_add((missed + 1).saturating_mul(self.length())));
        } else {
            self.deadline = None;
            self.control &= !ENABLE;
        }
    }

    pub fn read(&self, offset: u32, now: u64) -> Option<u32> {
        Some(match offset {
            TIMER_CONTROL => self.control,
            TIMER_PERIOD => self.period,
            TIMER_REMAINING => self.deadline.map_or(0, |deadline| deadline.saturating_sub(now) as u32),
            TIMER_STATUS => u32::from(self.expired),
            _ => return None,
        })
    }

    /// `now` is the cycle that follows the store.
    pub fn write(&mut self, offset: u32, value: u32, now: u64) -> Option<()> {
        match offset {
            TIMER_CONTROL => {
                self.control = value & (ENABLE | PERIODIC | INTERRUPT);
                self.deadline = (value & ENABLE != 0).then(|| now.saturating_add(self.length()));
            }
            TIMER_PERIOD => self.period = value,
            TIMER_REMAINING => {}
            TIMER_STATUS => self.expired &= value & 1 == 0,
            _ => return None,
        }
        Some(())
    }
}

//! What becomes of a trigger that comes while the rule still runs.

use serde::{Deserialize, Serialize};

/// The four ways.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// It is dropped.
    #[default]
    Single,
    /// The run is ended, a new one begins.
    Restart,
    /// It waits for its turn.
    Queued,
    /// Both run.
    Parallel,
}

/// Runs that run or wait at most, whatever the mode.
pub const MAX_RUNS: usize = 10;

/// What is to be done with a trigger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    Start,
    /// End what runs, then start.
    Replace,
    Wait,
    Drop(&'static str),
}

impl Mode {
    /// Decides, knowing how many runs are under way and how many wait.
    pub fn admit(self, running: usize, waiting: usize) -> Admission {
        match self {
            _ if running == 0 && waiting == 0 => Admission::Start,
            Mode::Single => Admission::Drop("it still runs (mode single)"),
            Mode::Restart => Admission::Replace,
            Mode::Queued if waiting + running >= MAX_RUNS => Admission::Drop("too many wait (mode queued)"),
            Mode::Queued => Admission::Wait,
            Mode::Parallel if running >= MAX_RUNS => Admission::Drop("too many run (mode parallel)"),
            Mode::Parallel => Admission::Start,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mode_treats_a_second_trigger_its_own_way() {
        assert_eq!(Mode::Single.admit(0, 0), Admission::Start);
        assert!(matches!(Mode::Single.admit(1, 0), Admission::Drop(_)));
        assert_eq!(Mode::Restart.admit(1, 0), Admission::Replace);
        assert_eq!(Mode::Queued.admit(1, 3), Admission::Wait);
        assert_eq!(Mode::Parallel.admit(3, 0), Admission::Start);
        for mode in [Mode::Queued, Mode::Parallel] {
            assert!(matches!(mode.admit(MAX_RUNS, 0), Admission::Drop(_)));
        }
    }
}

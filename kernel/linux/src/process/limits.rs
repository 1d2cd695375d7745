//! Resource limits of a process (getrlimit(2)).

use abi::resource::*;
use machine::sync::atomic::{AtomicU64, Ordering};

/// The soft limits that are looked at often, and the hard limits beside them. Each is a word of its own: a reader needs no lock, and a writer changes one
/// resource at a time under the lock of the process's table.
pub struct Limits {
    soft: [AtomicU64; RLIM_NLIMITS],
    hard: [AtomicU64; RLIM_NLIMITS],
}

/// The highest RLIMIT_NOFILE that even root can set (Linux: fs.nr_open).
pub const NR_OPEN: u64 = 1024 * 1024;

impl Limits {
    /// What the first process starts with, on a machine with this many bytes of memory (Linux: INIT_RLIMITS; threads may fill half of
    /// memory with their kernel stacks' share).
    pub fn initial(memory_bytes: u64) -> Self {
        let threads = (memory_bytes / (128 * 1024)).clamp(32, 1 << 20) / 2;
        let limits = Self {
            soft: [const { AtomicU64::new(RLIM_INFINITY) }; RLIM_NLIMITS],
            hard: [const { AtomicU64::new(RLIM_INFINITY) }; RLIM_NLIMITS],
        };
        for (resource, soft, hard) in [
            (RLIMIT_STACK, 8 << 20, RLIM_INFINITY),
            (RLIMIT_CORE, 0, RLIM_INFINITY),
            (RLIMIT_NPROC, threads, threads),
            (RLIMIT_NOFILE, 1024, 4096),
            (RLIMIT_MEMLOCK, 8 << 20, 8 << 20),
            (RLIMIT_SIGPENDING, threads, threads),
            (RLIMIT_MSGQUEUE, 819_200, 819_200),
            (RLIMIT_NICE, 0, 0),
            (RLIMIT_RTPRIO, 0, 0),
        ] {
            limits.set(resource, Rlimit64 { rlim_cur: soft, rlim_max: hard });
        }
        limits
    }

    /// A copy, for a child.
    pub fn duplicate(&self) -> Self {
        let copy = |from: &[AtomicU64; RLIM_NLIMITS]| {
            core::array::from_fn(|index| AtomicU64::new(from[index].load(Ordering::Relaxed)))
        };
        Self { soft: copy(&self.soft), hard: copy(&self.hard) }
    }

    /// The soft limit on `resource`; infinity for a number that names none.
    pub fn soft(&self, resource: u32) -> u64 {
        self.soft.get(resource as usize).map_or(RLIM_INFINITY, |limit| limit.load(Ordering::Relaxed))
    }

    /// Both limits on `resource`.
    pub fn get(&self, resource: u32) -> Option<Rlimit64> {
        let soft = self.soft.get(resource as usize)?.load(Ordering::Relaxed);
        let hard = self.hard.get(resource as usize)?.load(Ordering::Relaxed);
        Some(Rlimit64 { rlim_cur: soft, rlim_max: hard })
    }

    /// Sets both limits on `resource`. Whether the caller may is the caller's question.
    pub fn set(&self, resource: u32, limit: Rlimit64) {
        if let (Some(soft), Some(hard)) = (self.soft.get(resource as usize), self.hard.get(resource as usize))
        {
            soft.store(limit.rlim_cur, Ordering::Relaxed);
            hard.store(limit.rlim_max, Ordering::Relaxed);
        }
    }

    /// The soft limit on open descriptors, as a table index.
    pub fn descriptors(&self) -> usize {
        self.soft(RLIMIT_NOFILE).min(NR_OPEN) as usize
    }

    /// The soft limit on waiting signals.
    pub fn pending_signals(&self) -> usize {
        usize::try_from(self.soft(RLIMIT_SIGPENDING)).unwrap_or(usize::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_starts_with_the_limits_of_its_parent() {
        let parent = Limits::initial(1 << 30);
        parent.set(RLIMIT_NOFILE, Rlimit64 { rlim_cur: 7, rlim_max: 9 });
        let child = parent.duplicate();
        parent.set(RLIMIT_NOFILE, Rlimit64 { rlim_cur: 1, rlim_max: 1 });
        assert_eq!(child.get(RLIMIT_NOFILE), Some(Rlimit64 { rlim_cur: 7, rlim_max: 9 }));
    }

    #[test]
    fn a_number_that_names_no_resource_has_no_limit() {
        let limits = Limits::initial(1 << 30);
        assert_eq!(limits.get(16), None);
        assert_eq!(limits.get(u32::MAX), None);
    }
}

//! What processes use: processor time, faults, switches, bytes (getrusage(2), times(2), /proc/PID/io).

use abi::sched::Rusage;
use abi::time::{Timeval, USER_HZ};
use machine::sync::atomic::{AtomicU64, Ordering};

use super::{Process, Task};

/// Amounts that only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Nanoseconds in the program.
    pub user_ns: u64,
    /// Nanoseconds in the kernel.
    pub system_ns: u64,
    /// Page faults that needed no disk.
    pub minor_faults: u64,
    /// Page faults that waited for a disk.
    pub major_faults: u64,
    /// Times that it gave up the processor by itself.
    pub voluntary_switches: u64,
    /// Times that it was made to.
    pub involuntary_switches: u64,
    /// The most memory that was resident at once, in KiB; the largest of several processes, not their sum.
    pub max_resident_kib: u64,
}

impl Usage {
    /// What a thread has used so far.
    pub fn of(task: &Task) -> Self {
        let thread = task.thread();
        let (user_ns, system_ns) = thread.as_ref().map_or((0, 0), |thread| thread.cpu_time_ns());
        let (voluntary, involuntary) = thread.as_ref().map_or((0, 0), |thread| thread.switches());
        Self {
            user_ns,
            system_ns,
            minor_faults: task.faults[0].load(Ordering::Relaxed),
            major_faults: task.faults[1].load(Ordering::Relaxed),
            voluntary_switches: voluntary,
            involuntary_switches: involuntary,
            max_resident_kib: 0,
        }
    }

    /// Both together.
    pub fn plus(self, other: Self) -> Self {
        Self {
            user_ns: self.user_ns + other.user_ns,
            system_ns: self.system_ns + other.system_ns,
            minor_faults: self.minor_faults + other.minor_faults,
            major_faults: self.major_faults + other.major_faults,
            voluntary_switches: self.voluntary_switches + other.voluntary_switches,
            involuntary_switches: self.involuntary_switches + other.involuntary_switches,
            max_resident_kib: self.max_resident_kib.max(other.max_resident_kib),
        }
    }

    /// Time in the program, in ticks of USER_HZ.
    pub fn user_ticks(&self) -> i64 {
        ticks(self.user_ns)
    }

    /// Time in the kernel, in ticks of USER_HZ.
    pub fn system_ticks(&self) -> i64 {
        ticks(self.system_ns)
    }

    /// As getrusage(2) tells it.
    pub fn to_rusage(self) -> Rusage {
        Rusage {
            ru_utime: Timeval::from_nanoseconds(self.user_ns),
            ru_stime: Timeval::from_nanoseconds(self.system_ns),
            ru_maxrss: self.max_resident_kib as i64,
            ru_minflt: self.minor_faults as i64,
            ru_majflt: self.major_faults as i64,
            ru_nvcsw: self.voluntary_switches as i64,
            ru_nivcsw: self.involuntary_switches as i64,
            ..Rusage::default()
        }
    }
}

/// Nanoseconds in ticks of USER_HZ.
pub fn ticks(nanoseconds: u64) -> i64 {
    (nanoseconds / (1_000_000_000 / USER_HZ)) as i64
}

/// Amounts that several processors add to.
#[derive(Default)]
struct Total {
    user_ns: AtomicU64,
    system_ns: AtomicU64,
    minor_faults: AtomicU64,
    major_faults: AtomicU64,
    voluntary_switches: AtomicU64,
    involuntary_switches: AtomicU64,
    max_resident_kib: AtomicU64,
}

impl Total {
    fn add(&self, usage: &Usage) {
        for (total, amount) in [
            (&self.user_ns, usage.user_ns),
            (&self.system_ns, usage.system_ns),
            (&self.minor_faults, usage.minor_faults),
            (&self.major_faults, usage.major_faults),
            (&self.voluntary_switches, usage.voluntary_switches),
            (&self.involuntary_switches, usage.involuntary_switches),
        ] {
            total.fetch_add(amount, Ordering::Relaxed);
        }
        self.max_resident_kib.fetch_max(usage.max_resident_kib, Ordering::Relaxed);
    }

    fn get(&self) -> Usage {
        Usage {
            user_ns: self.user_ns.load(Ordering::Relaxed),
            system_ns: self.system_ns.load(Ordering::Relaxed),
            minor_faults: self.minor_faults.load(Ordering::Relaxed),
            major_faults: self.major_faults.load(Ordering::Relaxed),
            voluntary_switches: self.voluntary_switches.load(Ordering::Relaxed),
            involuntary_switches: self.involuntary_switches.load(Ordering::Relaxed),
            max_resident_kib: self.max_resident_kib.load(Ordering::Relaxed),
        }
    }
}

/// A process's account.
#[derive(Default)]
pub struct Account {
    /// Threads that have ended.
    ended: Total,
    /// Children that were waited for, with theirs.
    children: Total,
    /// Bytes that calls have read, written; calls that read, wrote.
    transfers: [AtomicU64; 4],
}

impl Account {
    /// A thread has ended: what it used stays with the process.
    pub fn add_thread(&self, usage: &Usage) {
        self.ended.add(usage);
    }

    /// A child has been waited for.
    pub fn add_child(&self, child: &Process) {
        self.children.add(&child.account.times(child).plus(child.account.children()));
    }

    /// What `process`, whose account this is, has used: threads that ended and those that live.
    pub fn times(&self, process: &Process) -> Usage {
        let mut sum = self.ended.get();
        let _: Option<()> = process.find_task(|task| {
            sum = sum.plus(Usage::of(task));
            None
        });
        sum
    }

    /// What children that were waited for have used.
    pub fn children(&self) -> Usage {
        self.children.get()
    }

    /// The memory is about to go: its largest extent stays.
    pub fn note_resident(&self, process: &Process) {
        if let Some(program) = process.program() {
            let peak = program.space().statistics().peak_resident_pages as u64 * 4;
            self.ended.max_resident_kib.fetch_max(peak, Ordering::Relaxed);
        }
    }

    /// Counts a read of `bytes`.
    #[inline]
    pub fn note_read(&self, bytes: usize) {
        self.transfers[0].fetch_add(bytes as u64, Ordering::Relaxed);
        self.transfers[2].fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a write of `bytes`.
    #[inline]
    pub fn note_write(&self, bytes: usize) {
        self.transfers[1].fetch_add(bytes as u64, Ordering::Relaxed);
        self.transfers[3].fetch_add(1, Ordering::Relaxed);
    }

    /// Bytes read, bytes written, reads, writes.
    pub fn transfers(&self) -> [u64; 4] {
        [0, 1, 2, 3].map(|index: usize| self.transfers[index].load(Ordering::Relaxed))
    }
}

//! Resource limits (getrlimit(2), prlimit(2)).

// Resources.
pub const RLIMIT_CPU: u32 = 0;
pub const RLIMIT_FSIZE: u32 = 1;
pub const RLIMIT_DATA: u32 = 2;
pub const RLIMIT_STACK: u32 = 3;
pub const RLIMIT_CORE: u32 = 4;
pub const RLIMIT_RSS: u32 = 5;
pub const RLIMIT_NPROC: u32 = 6;
pub const RLIMIT_NOFILE: u32 = 7;
pub const RLIMIT_MEMLOCK: u32 = 8;
pub const RLIMIT_AS: u32 = 9;
pub const RLIMIT_LOCKS: u32 = 10;
pub const RLIMIT_SIGPENDING: u32 = 11;
pub const RLIMIT_MSGQUEUE: u32 = 12;
pub const RLIMIT_NICE: u32 = 13;
pub const RLIMIT_RTPRIO: u32 = 14;
pub const RLIMIT_RTTIME: u32 = 15;

/// How many resources there are.
pub const RLIM_NLIMITS: usize = 16;

/// No limit.
pub const RLIM_INFINITY: u64 = u64::MAX;

crate::plain::plain! {
    /// A limit: the one in force and the highest that an unprivileged process may set (`struct rlimit64`).
    pub struct Rlimit64 {
        pub rlim_cur: u64,
        pub rlim_max: u64,
    }
}

impl Rlimit64 {
    /// No limit at all.
    pub const UNLIMITED: Rlimit64 = Rlimit64 { rlim_cur: RLIM_INFINITY, rlim_max: RLIM_INFINITY };
}

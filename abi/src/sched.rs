//! Making, scheduling and awaiting threads and processes (clone(2), sched(7), wait4(2), getrusage(2)).

use crate::plain::plain;
use crate::time::Timeval;

bitflags::bitflags! {
    /// What a new thread shares with its parent. The low eight bits (`CSIGNAL`) are its exit signal.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct CloneFlags: u64 {
        /// `CLONE_VM`.
        const VM = 0x100;
        /// `CLONE_FS`.
        const FS = 0x200;
        /// `CLONE_FILES`.
        const FILES = 0x400;
        /// `CLONE_SIGHAND`.
        const SIGHAND = 0x800;
        /// `CLONE_PIDFD`.
        const PIDFD = 0x1000;
        /// `CLONE_PTRACE`.
        const PTRACE = 0x2000;
        /// `CLONE_VFORK`.
        const VFORK = 0x4000;
        /// `CLONE_PARENT`.
        const PARENT = 0x8000;
        /// `CLONE_THREAD`.
        const THREAD = 0x1_0000;
        /// `CLONE_NEWNS`.
        const NEWNS = 0x2_0000;
        /// `CLONE_SYSVSEM`.
        const SYSVSEM = 0x4_0000;
        /// `CLONE_SETTLS`.
        const SETTLS = 0x8_0000;
        /// `CLONE_PARENT_SETTID`.
        const PARENT_SETTID = 0x10_0000;
        /// `CLONE_CHILD_CLEARTID`.
        const CHILD_CLEARTID = 0x20_0000;
        /// `CLONE_DETACHED`.
        const DETACHED = 0x40_0000;
        /// `CLONE_UNTRACED`.
        const UNTRACED = 0x80_0000;
        /// `CLONE_CHILD_SETTID`.
        const CHILD_SETTID = 0x100_0000;
        /// `CLONE_NEWCGROUP`.
        const NEWCGROUP = 0x200_0000;
        /// `CLONE_NEWUTS`.
        const NEWUTS = 0x400_0000;
        /// `CLONE_NEWIPC`.
        const NEWIPC = 0x800_0000;
        /// `CLONE_NEWUSER`.
        const NEWUSER = 0x1000_0000;
        /// `CLONE_NEWPID`.
        const NEWPID = 0x2000_0000;
        /// `CLONE_NEWNET`.
        const NEWNET = 0x4000_0000;
        /// `CLONE_IO`.
        const IO = 0x8000_0000;
        /// `CLONE_CLEAR_SIGHAND`.
        const CLEAR_SIGHAND = 0x1_0000_0000;
        /// `CLONE_INTO_CGROUP`.
        const INTO_CGROUP = 0x2_0000_0000;
    }
}

/// The bits of clone(2)'s flags that hold the exit signal.
pub const CSIGNAL: u64 = 0xff;

/// The time namespace's flag: in the exit signal's bits, hence for clone3(2) and unshare(2) alone.
pub const CLONE_NEWTIME: u64 = 0x80;

// The sizes that clone3(2)'s argument has had: a program says which it knows.
pub const CLONE_ARGS_SIZE_VER0: usize = 64;
pub const CLONE_ARGS_SIZE_VER1: usize = 80;
pub const CLONE_ARGS_SIZE_VER2: usize = 88;

// Scheduling policies.
pub const SCHED_NORMAL: u32 = 0;
pub const SCHED_FIFO: u32 = 1;
pub const SCHED_RR: u32 = 2;
pub const SCHED_BATCH: u32 = 3;
pub const SCHED_IDLE: u32 = 5;
pub const SCHED_DEADLINE: u32 = 6;
pub const SCHED_EXT: u32 = 7;
/// Or-ed to a policy: a child starts with the normal one.
pub const SCHED_RESET_ON_FORK: u32 = 0x4000_0000;

bitflags::bitflags! {
    /// What wait4(2) and waitid(2) wait for.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct WaitFlags: u32 {
        /// `WNOHANG`.
        const NOHANG = 0x1;
        /// `WUNTRACED`.
        const UNTRACED = 0x2;
        /// `WEXITED`.
        const EXITED = 0x4;
        /// `WCONTINUED`.
        const CONTINUED = 0x8;
        /// `WNOWAIT`.
        const NOWAIT = 0x100_0000;
        /// `__WNOTHREAD`.
        const __WNOTHREAD = 0x2000_0000;
        /// `__WALL`.
        const __WALL = 0x4000_0000;
        /// `__WCLONE`.
        const __WCLONE = 0x8000_0000;
    }
}

// What waitid(2)'s number names.
pub const P_ALL: u32 = 0;
pub const P_PID: u32 = 1;
pub const P_PGID: u32 = 2;
pub const P_PIDFD: u32 = 3;

// Whose use getrusage(2) tells.
pub const RUSAGE_SELF: i32 = 0;
pub const RUSAGE_CHILDREN: i32 = -1;
pub const RUSAGE_THREAD: i32 = 1;

// Whose priority getpriority(2) tells.
pub const PRIO_PROCESS: i32 = 0;
pub const PRIO_PGRP: i32 = 1;
pub const PRIO_USER: i32 = 2;

plain! {
    /// The argument of clone3(2) in its newest size (`struct clone_args`). A shorter one ends earlier
    /// and the rest is zero; bytes beyond it must be zero, else E2BIG.
    pub struct CloneArgs {
        pub flags: u64,
        pub pidfd: u64,
        pub child_tid: u64,
        pub parent_tid: u64,
        pub exit_signal: u64,
        pub stack: u64,
        pub stack_size: u64,
        pub tls: u64,
        pub set_tid: u64,
        pub set_tid_size: u64,
        pub cgroup: u64,
    }

    /// The only parameter of the classic policies (`struct sched_param`).
    pub struct SchedParam {
        pub sched_priority: i32,
    }

    /// The argument of sched_setattr(2) (`struct sched_attr`).
    pub struct SchedAttr {
        pub size: u32,
        pub sched_policy: u32,
        pub sched_flags: u64,
        pub sched_nice: i32,
        pub sched_priority: u32,
        pub sched_runtime: u64,
        pub sched_deadline: u64,
        pub sched_period: u64,
        pub sched_util_min: u32,
        pub sched_util_max: u32,
    }

    /// What a process has used (`struct rusage`); `ru_maxrss` is in KiB.
    pub struct Rusage {
        pub ru_utime: Timeval,
        pub ru_stime: Timeval,
        pub ru_maxrss: i64,
        pub ru_ixrss: i64,
        pub ru_idrss: i64,
        pub ru_isrss: i64,
        pub ru_minflt: i64,
        pub ru_majflt: i64,
        pub ru_nswap: i64,
        pub ru_inblock: i64,
        pub ru_oublock: i64,
        pub ru_msgsnd: i64,
        pub ru_msgrcv: i64,
        pub ru_nsignals: i64,
        pub ru_nvcsw: i64,
        pub ru_nivcsw: i64,
    }
}

/// How a child's state is told to wait4(2): the `int` behind its status pointer (wait(2)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitStatus {
    /// It ended by itself with this status.
    Exited(u8),
    /// It was ended by this signal, with a core dump or without.
    Killed { signal: u8, dumped: bool },
    /// It was stopped by this signal.
    Stopped(u8),
    /// It was continued by SIGCONT.
    Continued,
}

impl WaitStatus {
    /// The word that the macros of wait(2) take apart.
    pub const fn encode(self) -> u32 {
        match self {
            WaitStatus::Exited(status) => (status as u32) << 8,
            WaitStatus::Killed { signal, dumped } => (signal & 0x7f) as u32 | if dumped { 0x80 } else { 0 },
            WaitStatus::Stopped(signal) => (signal as u32) << 8 | 0x7f,
            WaitStatus::Continued => 0xffff,
        }
    }
}

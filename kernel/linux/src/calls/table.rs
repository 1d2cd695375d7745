//! The call table: number -> handler -> what becomes of an interruption -> how complete it is. The only place that names a call's number.

use core::fmt;

use abi::Errno;
use abi::syscall::{self, COUNT};

use super::{
    Arguments, clocks, descriptors, directories, events, files, futex, identity, io, machine_wide, mapping,
    metadata, missing, mounts, poll, processes, restart_syscall, scheduling, signals, sockets, splice,
    timers,
};
use crate::process::Caller;

/// What makes a call. Errors come back as numbers in `rax`.
pub type Handler = fn(&mut Caller, &Arguments) -> Result<usize, Errno>;

/// What becomes of a call that a signal interrupted (signal(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestartRule {
    /// EINTR, whatever the handler asked for.
    Never,
    /// Made again if the handler was set with SA_RESTART, or if none ran.
    Always,
    /// Made again only if no handler ran.
    WithoutHandler,
    /// Goes on by restart_syscall(2) if no handler ran, so that it ends when it would have.
    Resume,
}

/// How much of a call is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Completeness {
    /// Everything that its manual page describes and that means something here.
    Full,
    /// Some; the text says what is missing and what a program gets instead.
    Part(&'static str),
    /// Nothing: ENOSYS.
    Missing,
}

impl fmt::Display for Completeness {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => out.write_str("whole"),
            Self::Part(text) => write!(out, "in part: {text}"),
            Self::Missing => out.write_str("not there"),
        }
    }
}

/// A call.
#[derive(Clone, Copy)]
pub struct Entry {
    /// What makes it.
    pub handler: Handler,
    /// What becomes of an interruption.
    pub restart: RestartRule,
    /// How much of it is there.
    pub completeness: Completeness,
}

impl Entry {
    const MISSING: Self =
        Self { handler: missing, restart: RestartRule::Never, completeness: Completeness::Missing };
}

/// The entry for a number, however large.
#[inline]
pub fn entry(number: u64) -> &'static Entry {
    static NOTHING: Entry = Entry::MISSING;
    TABLE.get(number as usize).unwrap_or(&NOTHING)
}

/// All calls that have a number: number, name, entry. What `./hob abi` and the documentation print.
pub fn documentation() -> impl Iterator<Item = (u32, &'static str, &'static Entry)> {
    syscall::all().map(|(number, name)| (number, name, entry(u64::from(number))))
}

/// Declares the table: `NUMBER => handler, rule, completeness;`.
macro_rules! table {
    ($($number:ident => $handler:expr, $restart:ident, $completeness:expr;)*) => {
        static TABLE: [Entry; COUNT] = {
            let mut table = [Entry::MISSING; COUNT];
            $(
                table[syscall::$number as usize] = Entry {
                    handler: $handler,
                    restart: RestartRule::$restart,
                    completeness: $completeness,
                };
            )*
            table
        };

        /// The numbers that the table names, to see that none is named twice.
        #[cfg(test)]
        const NAMED: &[u32] = &[$(syscall::$number),*];
    };
}

use Completeness::{Full, Part};

table! {
    READ => io::read, Always, Full;
    WRITE => io::write, Always, Full;
    READV => io::readv, Always, Full;
    WRITEV => io::writev, Always, Full;
    PREAD64 => io::pread, Always, Full;
    PWRITE64 => io::pwrite, Always, Full;
    PREADV => io::preadv, Always, Full;
    PWRITEV => io::pwritev, Always, Full;
    PREADV2 => io::preadv2, Always, Part("RWF_NOWAIT and RWF_APPEND: EOPNOTSUPP");
    PWRITEV2 => io::pwritev2, Always, Part("RWF_NOWAIT and RWF_APPEND: EOPNOTSUPP");
    LSEEK => io::lseek, Never, Full;

    OPEN => files::open, Always, Full;
    OPENAT => files::openat, Always, Full;
    OPENAT2 => files::openat2, Always, Full;
    CREAT => files::creat, Always, Full;
    TRUNCATE => files::truncate, Never, Full;
    FTRUNCATE => files::ftruncate, Never, Full;
    FALLOCATE => files::fallocate, Never, Full;
    FSYNC => files::fsync, Never, Full;
    SYNC_FILE_RANGE => files::sync_file_range, Never, Full;
    FDATASYNC => files::fdatasync, Never, Full;
    SYNC => files::sync, Never, Full;
    SYNCFS => files::syncfs, Never, Full;
    FADVISE64 => files::fadvise, Never, Full;
    READAHEAD => files::readahead, Never, Full;

    CLOSE => descriptors::close, Never, Full;
    CLOSE_RANGE => descriptors::close_range, Never, Full;
    DUP => descriptors::dup, Never, Full;
    DUP2 => descriptors::dup2, Never, Full;
    DUP3 => descriptors::dup3, Never, Full;
    FCNTL => descriptors::fcntl, Always, Part("no leases, no signals of F_SETOWN, F_SETSIG and F_NOTIFY: EINVAL");
    IOCTL => descriptors::ioctl, Always, Full;
    FLOCK => descriptors::flock, Always, Full;

    MKDIR => directories::mkdir, Never, Full;
    MKDIRAT => directories::mkdirat, Never, Full;
    MKNOD => directories::mknod, Never, Full;
    MKNODAT => directories::mknodat, Never, Full;
    SYMLINK => directories::symlink, Never, Full;
    SYMLINKAT => directories::symlinkat, Never, Full;
    LINK => directories::link, Never, Full;
    LINKAT => directories::linkat, Never, Full;
    RENAME => directories::rename, Never, Full;
    RENAMEAT => directories::renameat, Never, Full;
    RENAMEAT2 => directories::renameat2, Never, Part("RENAME_WHITEOUT: EINVAL");
    UNLINK => directories::unlink, Never, Full;
    UNLINKAT => directories::unlinkat, Never, Full;
    RMDIR => directories::rmdir, Never, Full;
    READLINK => directories::readlink, Never, Full;
    READLINKAT => directories::readlinkat, Never, Full;
    GETDENTS => directories::getdents, Never, Full;
    GETDENTS64 => directories::getdents64, Never, Full;
    CHDIR => directories::chdir, Never, Full;
    FCHDIR => directories::fchdir, Never, Full;
    CHROOT => directories::chroot, Never, Full;
    GETCWD => directories::getcwd, Never, Full;
    UMASK => directories::umask, Never, Full;

    STAT => metadata::stat, Never, Full;
    LSTAT => metadata::lstat, Never, Full;
    FSTAT => metadata::fstat, Never, Full;
    NEWFSTATAT => metadata::newfstatat, Never, Full;
    STATX => metadata::statx, Never, Full;
    ACCESS => metadata::access, Never, Full;
    FACCESSAT => metadata::faccessat, Never, Full;
    FACCESSAT2 => metadata::faccessat2, Never, Full;
    CHMOD => metadata::chmod, Never, Full;
    FCHMOD => metadata::fchmod, Never, Full;
    FCHMODAT => metadata::fchmodat, Never, Full;
    FCHMODAT2 => metadata::fchmodat2, Never, Full;
    CHOWN => metadata::chown, Never, Full;
    LCHOWN => metadata::lchown, Never, Full;
    FCHOWN => metadata::fchown, Never, Full;
    FCHOWNAT => metadata::fchownat, Never, Full;
    UTIMENSAT => metadata::utimensat, Never, Full;
    UTIMES => metadata::utimes, Never, Full;
    FUTIMESAT => metadata::futimesat, Never, Full;
    UTIME => metadata::utime, Never, Full;
    GETXATTR => metadata::getxattr, Never, Full;
    LGETXATTR => metadata::lgetxattr, Never, Full;
    FGETXATTR => metadata::fgetxattr, Never, Full;
    SETXATTR => metadata::setxattr, Never, Full;
    LSETXATTR => metadata::lsetxattr, Never, Full;
    FSETXATTR => metadata::fsetxattr, Never, Full;
    LISTXATTR => metadata::listxattr, Never, Full;
    LLISTXATTR => metadata::llistxattr, Never, Full;
    FLISTXATTR => metadata::flistxattr, Never, Full;
    REMOVEXATTR => metadata::removexattr, Never, Full;
    LREMOVEXATTR => metadata::lremovexattr, Never, Full;
    FREMOVEXATTR => metadata::fremovexattr, Never, Full;

    MOUNT => mounts::mount, Never, Part("one namespace, so propagation changes nothing");
    UMOUNT2 => mounts::umount2, Never, Part("MNT_EXPIRE: EINVAL");
    PIVOT_ROOT => mounts::pivot_root, Never, Part("only the caller's root moves, not that of other processes");
    STATFS => mounts::statfs, Never, Full;
    FSTATFS => mounts::fstatfs, Never, Full;

    PIPE => splice::pipe, Never, Full;
    PIPE2 => splice::pipe2, Never, Part("O_NOTIFICATION_PIPE: EINVAL");
    SENDFILE => splice::sendfile, Always, Full;
    COPY_FILE_RANGE => splice::copy_file_range, Never, Full;
    SPLICE => splice::splice, Always, Full;
    TEE => splice::tee, Always, Full;
    VMSPLICE => splice::vmsplice, Always, Part("bytes are copied");

    EVENTFD => events::eventfd, Never, Full;
    EVENTFD2 => events::eventfd2, Never, Full;
    TIMERFD_CREATE => events::timerfd_create, Never, Full;
    TIMERFD_SETTIME => events::timerfd_settime, Never, Part("TFD_TIMER_CANCEL_ON_SET is taken and has no effect");
    TIMERFD_GETTIME => events::timerfd_gettime, Never, Full;
    SIGNALFD => events::signalfd, Never, Full;
    SIGNALFD4 => events::signalfd4, Never, Full;
    MEMFD_CREATE => events::memfd_create, Never, Part("MFD_HUGETLB: EINVAL");
    EPOLL_CREATE => events::epoll_create, Never, Full;
    EPOLL_CREATE1 => events::epoll_create1, Never, Full;

    POLL => poll::poll, Resume, Full;
    PPOLL => poll::ppoll, WithoutHandler, Full;
    SELECT => poll::select, WithoutHandler, Full;
    PSELECT6 => poll::pselect6, WithoutHandler, Full;
    EPOLL_CTL => poll::epoll_ctl, Never, Full;
    EPOLL_WAIT => poll::epoll_wait, Never, Full;
    EPOLL_PWAIT => poll::epoll_pwait, Never, Full;
    EPOLL_PWAIT2 => poll::epoll_pwait2, Never, Full;

    MMAP => mapping::mmap, Never, Part("MAP_HUGETLB: ENOMEM, MAP_SYNC: EOPNOTSUPP");
    MUNMAP => mapping::munmap, Never, Full;
    MPROTECT => mapping::mprotect, Never, Full;
    MREMAP => mapping::mremap, Never, Full;
    BRK => mapping::brk, Never, Full;
    MADVISE => mapping::madvise, Never, Full;
    MSYNC => mapping::msync, Never, Full;
    MLOCK => mapping::mlock, Never, Full;
    MLOCK2 => mapping::mlock2, Never, Full;
    MUNLOCK => mapping::munlock, Never, Full;
    MLOCKALL => mapping::mlockall, Never, Full;
    MUNLOCKALL => mapping::munlockall, Never, Full;
    MINCORE => mapping::mincore, Never, Full;
    MEMBARRIER => mapping::membarrier, Never, Part("no SYNC_CORE and RSEQ commands: EINVAL");

    CLONE => processes::clone, Never, Part("no namespaces and no CLONE_PIDFD: EINVAL");
    CLONE3 => processes::clone3, Never, Part("no namespaces, CLONE_PIDFD, set_tid and cgroups: EINVAL");
    FORK => processes::fork, Never, Full;
    VFORK => processes::vfork, Never, Full;
    EXECVE => processes::execve, Never, Full;
    EXECVEAT => processes::execveat, Never, Full;
    EXIT => processes::exit, Never, Full;
    EXIT_GROUP => processes::exit_group, Never, Full;
    WAIT4 => processes::wait4, Always, Part("__WNOTHREAD means all threads' children");
    WAITID => processes::waitid, Always, Part("P_PIDFD: EBADF; __WNOTHREAD means all threads' children");
    GETPID => processes::getpid, Never, Full;
    GETTID => processes::gettid, Never, Full;
    GETPPID => processes::getppid, Never, Full;
    GETPGRP => processes::getpgrp, Never, Full;
    GETPGID => processes::getpgid, Never, Full;
    SETPGID => processes::setpgid, Never, Full;
    GETSID => processes::getsid, Never, Full;
    SETSID => processes::setsid, Never, Full;
    SET_TID_ADDRESS => processes::set_tid_address, Never, Full;
    GETRUSAGE => processes::getrusage, Never, Full;
    TIMES => processes::times, Never, Full;
    GETRLIMIT => processes::getrlimit, Never, Full;
    SETRLIMIT => processes::setrlimit, Never, Part("RLIMIT_RTTIME is kept, not enforced");
    PRLIMIT64 => processes::prlimit64, Never, Part("RLIMIT_RTTIME is kept, not enforced");
    PERSONALITY => processes::personality, Never, Part("ADDR_NO_RANDOMIZE and READ_IMPLIES_EXEC are heeded, others kept");
    PRCTL => processes::prctl, Never, Part("names, death signal, subreaper, dumpable, no_new_privs, slack, capabilities, auxiliary vector; others EINVAL");
    ARCH_PRCTL => processes::arch_prctl, Never, Part("FS and GS bases, ARCH_GET_CPUID");
    UNSHARE => processes::unshare, Never, Part("CLONE_FILES and CLONE_FS; namespaces: EINVAL");

    KILL => signals::kill, Never, Full;
    TKILL => signals::tkill, Never, Full;
    TGKILL => signals::tgkill, Never, Full;
    RT_SIGQUEUEINFO => signals::rt_sigqueueinfo, Never, Full;
    RT_TGSIGQUEUEINFO => signals::rt_tgsigqueueinfo, Never, Full;
    RT_SIGACTION => signals::rt_sigaction, Never, Full;
    RT_SIGPROCMASK => signals::rt_sigprocmask, Never, Full;
    RT_SIGPENDING => signals::rt_sigpending, Never, Full;
    RT_SIGTIMEDWAIT => signals::rt_sigtimedwait, Never, Full;
    RT_SIGSUSPEND => signals::rt_sigsuspend, WithoutHandler, Full;
    RT_SIGRETURN => signals::rt_sigreturn, Never, Full;
    SIGALTSTACK => signals::sigaltstack, Never, Full;
    PAUSE => signals::pause, WithoutHandler, Full;
    RESTART_SYSCALL => restart_syscall, Resume, Full;

    SOCKET => sockets::socket, Never, Part("AF_UNIX; other families: EAFNOSUPPORT");
    SOCKETPAIR => sockets::socketpair, Never, Full;
    BIND => sockets::bind, Never, Full;
    CONNECT => sockets::connect, Always, Full;
    LISTEN => sockets::listen, Never, Full;
    ACCEPT => sockets::accept, Always, Full;
    ACCEPT4 => sockets::accept4, Always, Full;
    GETSOCKNAME => sockets::getsockname, Never, Full;
    GETPEERNAME => sockets::getpeername, Never, Full;
    SHUTDOWN => sockets::shutdown, Never, Full;
    GETSOCKOPT => sockets::getsockopt, Never, Full;
    SETSOCKOPT => sockets::setsockopt, Never, Full;
    SENDTO => sockets::sendto, Always, Full;
    RECVFROM => sockets::recvfrom, Always, Full;
    SENDMSG => sockets::sendmsg, Always, Full;
    RECVMSG => sockets::recvmsg, Always, Full;
    SENDMMSG => sockets::sendmmsg, Always, Full;
    RECVMMSG => sockets::recvmmsg, Always, Full;

    GETUID => identity::getuid, Never, Full;
    GETEUID => identity::geteuid, Never, Full;
    GETGID => identity::getgid, Never, Full;
    GETEGID => identity::getegid, Never, Full;
    SETUID => identity::setuid, Never, Full;
    SETGID => identity::setgid, Never, Full;
    SETREUID => identity::setreuid, Never, Full;
    SETREGID => identity::setregid, Never, Full;
    SETRESUID => identity::setresuid, Never, Full;
    SETRESGID => identity::setresgid, Never, Full;
    GETRESUID => identity::getresuid, Never, Full;
    GETRESGID => identity::getresgid, Never, Full;
    SETFSUID => identity::setfsuid, Never, Full;
    SETFSGID => identity::setfsgid, Never, Full;
    GETGROUPS => identity::getgroups, Never, Full;
    SETGROUPS => identity::setgroups, Never, Full;
    CAPGET => identity::capget, Never, Full;
    CAPSET => identity::capset, Never, Full;

    SCHED_YIELD => scheduling::sched_yield, Never, Full;
    SCHED_GETAFFINITY => scheduling::sched_getaffinity, Never, Full;
    SCHED_SETAFFINITY => scheduling::sched_setaffinity, Never, Full;
    SCHED_SETSCHEDULER => scheduling::sched_setscheduler, Never, Part("SCHED_DEADLINE: EINVAL; SCHED_RESET_ON_FORK is passed over");
    SCHED_GETSCHEDULER => scheduling::sched_getscheduler, Never, Full;
    SCHED_SETPARAM => scheduling::sched_setparam, Never, Full;
    SCHED_GETPARAM => scheduling::sched_getparam, Never, Full;
    SCHED_SETATTR => scheduling::sched_setattr, Never, Part("SCHED_DEADLINE and flags: EINVAL or passed over");
    SCHED_GETATTR => scheduling::sched_getattr, Never, Full;
    SCHED_GET_PRIORITY_MAX => scheduling::sched_get_priority_max, Never, Full;
    SCHED_GET_PRIORITY_MIN => scheduling::sched_get_priority_min, Never, Full;
    SCHED_RR_GET_INTERVAL => scheduling::sched_rr_get_interval, Never, Full;
    GETPRIORITY => scheduling::getpriority, Never, Full;
    SETPRIORITY => scheduling::setpriority, Never, Full;
    GETCPU => scheduling::getcpu, Never, Full;

    FUTEX => futex::futex, Resume, Part("priority inheritance: ENOSYS");
    SET_ROBUST_LIST => futex::set_robust_list, Never, Full;
    GET_ROBUST_LIST => futex::get_robust_list, Never, Full;
    RSEQ => futex::rseq, Never, Full;

    CLOCK_GETTIME => clocks::clock_gettime, Never, Full;
    CLOCK_SETTIME => clocks::clock_settime, Never, Full;
    CLOCK_GETRES => clocks::clock_getres, Never, Full;
    CLOCK_NANOSLEEP => clocks::clock_nanosleep, Resume, Full;
    NANOSLEEP => clocks::nanosleep, Resume, Full;
    GETTIMEOFDAY => clocks::gettimeofday, Never, Full;
    SETTIMEOFDAY => clocks::settimeofday, Never, Full;
    TIME => clocks::time, Never, Full;
    ALARM => timers::alarm, Never, Full;
    GETITIMER => timers::getitimer, Never, Full;
    SETITIMER => timers::setitimer, Never, Full;
    TIMER_CREATE => timers::timer_create, Never, Full;
    TIMER_SETTIME => timers::timer_settime, Never, Full;
    TIMER_GETTIME => timers::timer_gettime, Never, Full;
    TIMER_GETOVERRUN => timers::timer_getoverrun, Never, Full;
    TIMER_DELETE => timers::timer_delete, Never, Full;

    UNAME => machine_wide::uname, Never, Full;
    SETHOSTNAME => machine_wide::sethostname, Never, Full;
    SETDOMAINNAME => machine_wide::setdomainname, Never, Full;
    SYSINFO => machine_wide::sysinfo, Never, Full;
    GETRANDOM => machine_wide::getrandom, Always, Full;
    REBOOT => machine_wide::reboot, Never, Part("no kexec, no suspend: EINVAL");
    SYSLOG => machine_wide::syslog, Never, Part("SYSLOG_ACTION_READ and SIZE_UNREAD: EINVAL");
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeSet;

    #[test]
    fn no_number_is_named_twice() {
        let distinct: BTreeSet<u32> = NAMED.iter().copied().collect();
        assert_eq!(distinct.len(), NAMED.len());
    }

    #[test]
    fn any_number_has_an_entry() {
        for number in [0, 334, 335, 423, COUNT as u64, u64::MAX, 1 << 32] {
            let _ = entry(number).completeness;
        }
        assert_eq!(entry(u64::MAX).completeness, Completeness::Missing);
        assert_eq!(entry(1 << 32).completeness, Completeness::Missing);
    }
}

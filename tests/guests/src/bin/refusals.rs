//! What calls refuse: descriptors that are not open or of the wrong kind, flags that there are not, numbers out of range, and
//! several mistakes at once. Each must say the same as on Linux.
#![expect(unsafe_code, reason = "no safe wrapper makes these mistakes")]

fn call(number: usize, arguments: [usize; 6]) -> isize {
    // SAFETY: each call below is refused, or does what changes nothing that this program uses; addresses are null or of its
    // own buffers.
    unsafe { guests::call(number, arguments) }
}

/// A negative number as an argument.
const fn minus(value: usize) -> usize {
    value.wrapping_neg()
}

const CLOSED: usize = 99;
const NONE: usize = minus(1);
const HERE: usize = minus(100);
const HUGE: usize = 1 << 62;
/// A time with as many nanoseconds as a second has.
static TOO_MANY: [i64; 2] = [0, 1_000_000_000];
static NO_TIME: [i64; 2] = [0; 2];

fn main() {
    let mut buffer = vec![0_u8; 1 << 16];
    // sigevent: SIGEV_THREAD, by SIGALRM and by no signal.
    static EVENTS: [[u64; 8]; 2] = [[0, 2 << 32 | 14, 0, 0, 0, 0, 0, 0], [0, 2 << 32 | 99, 0, 0, 0, 0, 0, 0]];
    let [for_thread, without_signal] = [EVENTS[0].as_ptr() as usize, EVENTS[1].as_ptr() as usize];
    let at = buffer.as_mut_ptr() as usize;
    let open =
        |path: &std::ffi::CStr, flags| call(257, [HERE, path.as_ptr() as usize, flags, 0o600, 0, 0]) as usize;
    let file = open(c"/tmp/file", 0o102);
    let reading = open(c"/tmp/file", 0);
    let folder = open(c"/tmp", 0o200_000);
    let place = open(c"/tmp/file", 0o10_000_000);
    let null = open(c"/dev/null", 2);
    let mut pair = [0_u32; 2];
    call(22, [pair.as_mut_ptr() as usize, 0, 0, 0, 0, 0]);
    let (reader, writer) = (pair[0] as usize, pair[1] as usize);
    call(53, [1, 1, 0, pair.as_mut_ptr() as usize, 0, 0]);
    let socket = pair[0] as usize;
    let event = call(290, [0, 0o4000, 0, 0, 0, 0]) as usize;
    let epoll = call(291, [0; 6]) as usize;
    let timer = call(283, [1, 0, 0, 0, 0, 0]) as usize;
    let path = c"/tmp/file".as_ptr() as usize;
    let missing = c"/tmp/missing".as_ptr() as usize;
    let below = c"/tmp/file/below".as_ptr() as usize;
    let empty = c"".as_ptr() as usize;

    let descriptors = [
        ("closed", CLOSED),
        ("none", NONE),
        ("file", file),
        ("reading", reading),
        ("folder", folder),
        ("place", place),
        ("null", null),
        ("reader", reader),
        ("writer", writer),
        ("socket", socket),
        ("event", event),
        ("epoll", epoll),
        ("timer", timer),
    ];
    // Calls on a descriptor of each kind, which is their first argument; the rest follows.
    let on_descriptors: &[(&str, usize, [usize; 5])] = &[
        ("read of nothing", 0, [at, 0, 0, 0, 0]),
        ("write of nothing", 1, [at, 0, 0, 0, 0]),
        ("pread64", 17, [at, 0, NONE, 0, 0]),
        ("pwrite64", 18, [at, 0, 0, 0, 0]),
        ("readv, too many", 19, [at, 1025, 0, 0, 0]),
        ("ftruncate below zero", 77, [NONE, 0, 0, 0, 0]),
        ("ftruncate", 77, [0, 0, 0, 0, 0]),
        ("fallocate of nothing", 285, [0, 0, 0, 0, 0]),
        ("fallocate, no such flag", 285, [0x1000, 0, 10, 0, 0]),
        ("fsync", 74, [0; 5]),
        ("fdatasync", 75, [0; 5]),
        ("syncfs", 306, [0; 5]),
        ("fadvise64", 221, [0, 0, 77, 0, 0]),
        ("readahead", 187, [0, 0, 0, 0, 0]),
        ("fchdir to what is no folder", 81, [0; 5]),
        ("getdents64", 217, [at, 0, 0, 0, 0]),
        ("ioctl, no such request", 16, [0xdead, 0, 0, 0, 0]),
        ("ioctl TCGETS", 16, [0x5401, at, 0, 0, 0]),
        ("ioctl TIOCGWINSZ", 16, [0x5413, at, 0, 0, 0]),
        ("ioctl FIONBIO", 16, [0x5421, at, 0, 0, 0]),
        ("fcntl, no such request", 72, [99, 0, 0, 0, 0]),
        ("fcntl F_GETFL", 72, [3, 0, 0, 0, 0]),
        ("fcntl F_GETPIPE_SZ", 72, [1032, 0, 0, 0, 0]),
        ("fcntl F_DUPFD", 72, [0, HUGE, 0, 0, 0]),
        ("fcntl F_GETLK", 72, [5, at, 0, 0, 0]),
        ("fcntl F_GET_SEALS", 72, [1034, 0, 0, 0, 0]),
        ("flock, no such kind", 73, [77, 0, 0, 0, 0]),
        ("mmap, shared and written", 9, [0, 0, 0, 0, 0]),
        ("connect", 42, [at, 2, 0, 0, 0]),
        ("bind", 49, [at, 1, 0, 0, 0]),
        ("listen", 50, [1, 0, 0, 0, 0]),
        ("accept", 43, [0, 0, 0, 0, 0]),
        ("accept4, no such flag", 288, [0, 0, 0x40, 0, 0]),
        ("getsockname", 51, [at, 0, 0, 0, 0]),
        ("shutdown, no such way", 48, [7, 0, 0, 0, 0]),
        ("getsockopt, no such level", 55, [77, 0, at, at, 0]),
        ("setsockopt, short", 54, [1, 9, at, 2, 0]),
        ("sendto without a buffer", 44, [0, 0, 0x4000, 0, 0]),
        ("recvfrom, not waiting", 45, [at, 10, 0x40, 0, 0]),
        ("epoll_ctl, no such operation", 233, [9, reader, at, 0, 0]),
        ("epoll_wait, no room", 232, [at, 0, 0, 0, 0]),
        ("timerfd_settime, no such flag", 286, [77, at, 0, 0, 0]),
        ("timerfd_gettime", 287, [at, 0, 0, 0, 0]),
        ("signalfd4, short", 289, [at, 7, 0, 0, 0]),
        ("splice", 275, [0, writer, 0, 0, 0]),
        ("tee", 276, [writer, 0, 0, 0, 0]),
        ("sendfile of nothing", 40, [file, 0, 0, 0, 0]),
        ("copy_file_range, no such flag", 326, [0, file, 0, 0, 1]),
        ("openat below", 257, [c"x".as_ptr() as usize, 0, 0, 0, 0]),
        ("openat of nothing", 257, [empty, 0, 0, 0, 0]),
        ("newfstatat of nothing", 262, [empty, at, 0, 0, 0]),
        ("newfstatat, the descriptor itself", 262, [empty, at, 0x1000, 0, 0]),
        ("newfstatat, no such flag", 262, [empty, at, 0x1_0000, 0, 0]),
        ("statx, no such flag", 332, [empty, 0x10_0000, 0x7ff, at, 0]),
        ("faccessat, no such mode", 269, [path, 77, 0, 0, 0]),
        ("readlinkat of nothing", 267, [empty, at, 100, 0, 0]),
        ("unlinkat, no such flag", 263, [missing, 0x10, 0, 0, 0]),
        ("utimensat without a name", 280, [0, 0, 0x1_0000, 0, 0]),
        ("fstatfs", 138, [at, 0, 0, 0, 0]),
        ("dup3 to itself", 292, [CLOSED, 0, 0, 0, 0]),
        ("dup3, no such flag", 292, [100, 0x10, 0, 0, 0]),
    ];
    for (name, number, rest) in on_descriptors {
        let mut line = format!("{name}:");
        for (kind, descriptor) in descriptors {
            let result = if *number == 9 {
                call(9, [0, 4096, 3, 1, descriptor, 0])
            } else {
                call(*number, [descriptor, rest[0], rest[1], rest[2], rest[3], rest[4]])
            };
            let result = if result > 4096 { 4096 } else { result };
            line += &format!(" {kind} {result}");
        }
        println!("{line}");
    }

    let alone: &[(&str, usize, [usize; 6])] = &[
        ("open, no such access", 2, [path, 3, 0, 0, 0, 0]),
        ("open below a file", 2, [below, 0, 0, 0, 0, 0]),
        ("open of a folder that may not be", 2, [path, 0o200_000, 0, 0, 0, 0]),
        ("openat2, short", 437, [HERE, path, at, 8, 0, 0]),
        ("close_range, crossed", 436, [100, 50, 0, 0, 0, 0]),
        ("close_range, no such flag", 436, [200, 300, 0x10, 0, 0, 0]),
        ("pipe2, no such flag", 293, [at, 0x10, 0, 0, 0, 0]),
        ("eventfd2, no such flag", 290, [0, 0x10, 0, 0, 0, 0]),
        ("epoll_create of nothing", 213, [0; 6]),
        ("epoll_create1, no such flag", 291, [0x10, 0, 0, 0, 0, 0]),
        ("timerfd_create, no such clock", 283, [77, 0, 0, 0, 0, 0]),
        ("memfd_create, no such flag", 319, [path, 0x4000, 0, 0, 0, 0]),
        ("getrandom, no such flag", 318, [at, 1, 0x10, 0, 0, 0]),
        ("getrandom, flags that exclude each other", 318, [at, 1, 6, 0, 0, 0]),
        ("socket, no such type", 41, [1, 77, 0, 0, 0, 0]),
        ("socket, no such family", 41, [77, 1, 0, 0, 0, 0]),
        ("socketpair, no such protocol", 53, [1, 1, 77, at, 0, 0]),
        ("mmap without a length", 9, [0, 0, 3, 0x22, NONE, 0]),
        ("mmap, crooked", 9, [0, 4096, 3, 0x22, NONE, 1]),
        ("mmap, neither", 9, [0, 4096, 3, 0x20, NONE, 0]),
        ("mmap, checked flags", 9, [0, 4096, 3, 0x4000_0023, NONE, 0]),
        ("mprotect, crooked", 10, [1, 4096, 1, 0, 0, 0]),
        ("mprotect, no such right", 10, [0, 4096, 0x100, 0, 0, 0]),
        ("mprotect, up and down", 10, [0, 4096, 0x300_0000, 0, 0, 0]),
        ("munmap of nothing", 11, [0, 0, 0, 0, 0, 0]),
        ("mremap, no such flag", 25, [0, 4096, 4096, 0x10, 0, 0]),
        ("mremap, fixed alone", 25, [0, 4096, 4096, 2, 0, 0]),
        ("madvise, no such advice", 28, [0, 4096, 999, 0, 0, 0]),
        ("madvise of nothing", 28, [0, 0, 4, 0, 0, 0]),
        ("msync, both", 26, [0, 4096, 5, 0, 0, 0]),
        ("mincore, crooked", 27, [1, 4096, at, 0, 0, 0]),
        ("mlock of nothing", 149, [0, 0, 0, 0, 0, 0]),
        ("mlockall, no such flag", 151, [0x10, 0, 0, 0, 0, 0]),
        ("rt_sigaction, no such signal", 13, [65, 0, 0, 8, 0, 0]),
        ("rt_sigaction of SIGKILL", 13, [9, at, 0, 8, 0, 0]),
        ("rt_sigaction, a set of another size", 13, [10, 0, 0, 16, 0, 0]),
        ("rt_sigprocmask, no such way", 14, [77, at, 0, 8, 0, 0]),
        ("rt_sigtimedwait, no such time", 128, [at, 0, at + 8, 7, 0, 0]),
        ("kill, no such signal", 62, [1, 65, 0, 0, 0, 0]),
        ("kill nobody", 62, [30_000, 0, 0, 0, 0, 0]),
        ("kill the least", 62, [1 << 31, 0, 0, 0, 0, 0]),
        ("tkill, no such thread", 200, [0, 0, 0, 0, 0, 0]),
        ("tgkill, another process", 234, [2, 1, 0, 0, 0, 0]),
        ("wait4, no such flag", 61, [NONE, 0, 0x10, 0, 0, 0]),
        ("waitid, nothing asked", 247, [0, 0, at, 0, 0, 0]),
        ("waitid, no such kind", 247, [77, 0, at, 4, 0, 0]),
        ("clone, signal handlers alone", 56, [0x800, 0, 0, 0, 0, 0]),
        ("clone, thread alone", 56, [0x1_0000, 0, 0, 0, 0, 0]),
        ("clone3, short", 435, [at, 8, 0, 0, 0, 0]),
        ("unshare, no such flag", 272, [1, 0, 0, 0, 0, 0]),
        ("setpgid, negative", 109, [0, NONE, 0, 0, 0, 0]),
        ("setpgid, nobody", 109, [30_000, 0, 0, 0, 0, 0]),
        ("getpgid, nobody", 121, [30_000, 0, 0, 0, 0, 0]),
        ("getsid, nobody", 124, [30_000, 0, 0, 0, 0, 0]),
        ("setsid of a leader", 112, [0; 6]),
        ("getpriority, no such kind", 140, [77, 0, 0, 0, 0, 0]),
        ("getrlimit, no such resource", 97, [77, at, 0, 0, 0, 0]),
        ("getrusage, nobody's", 98, [77, at, 0, 0, 0, 0]),
        ("prctl, no such request", 157, [99_999, 0, 0, 0, 0, 0]),
        ("arch_prctl, no such request", 158, [0x9999, 0, 0, 0, 0, 0]),
        ("sched_getaffinity, short", 204, [0, 1, at, 0, 0, 0]),
        ("sched_setaffinity, none", 203, [0, 8, at, 0, 0, 0]),
        ("sched_setscheduler, no such policy", 144, [0, 77, at, 0, 0, 0]),
        ("sched_get_priority_max, no such policy", 146, [77, 0, 0, 0, 0, 0]),
        ("futex, no such operation", 202, [at, 77, 0, 0, 0, 0]),
        ("futex wait, another value", 202, [at, 128, 1, 0, 0, 0]),
        ("futex wait, crooked", 202, [at + 1, 128, 0, 0, 0, 0]),
        ("futex wait, no bits", 202, [at, 9, 0, 0, 0, 0]),
        ("set_robust_list, another size", 273, [at, 8, 0, 0, 0, 0]),
        ("rseq, another size", 334, [at, 7, 0, 0, 0, 0]),
        ("membarrier, no such command", 324, [1 << 20, 0, 0, 0, 0, 0]),
        ("nanosleep, no such time", 35, [TOO_MANY.as_ptr() as usize, 0, 0, 0, 0, 0]),
        ("clock_gettime, no such clock", 228, [77, at, 0, 0, 0, 0]),
        ("clock_nanosleep, a thread's clock", 230, [3, 0, NO_TIME.as_ptr() as usize, 0, 0, 0]),
        ("clock_settime, a clock that cannot be", 227, [1, at, 0, 0, 0, 0]),
        ("timer_create, no such clock", 222, [77, 0, at, 0, 0, 0]),
        ("timer_create, for a thread of the C library", 222, [1, for_thread, at, 0, 0, 0]),
        ("timer_create, for a thread, without a signal", 222, [1, without_signal, at, 0, 0, 0]),
        ("timer_gettime, no such timer", 224, [77, at, 0, 0, 0, 0]),
        ("getitimer, no such timer", 36, [7, at, 0, 0, 0, 0]),
        ("poll, too many", 7, [at, 1 << 30, 0, 0, 0, 0]),
        ("select, too many", 23, [minus(1), 0, 0, 0, 0, 0]),
        ("ppoll, no time, a set of another size", 271, [0, 0, NO_TIME.as_ptr() as usize, 0, 7, 0]),
        ("mkdir, there already", 83, [path, 0, 0, 0, 0, 0]),
        ("rmdir of a file", 84, [path, 0, 0, 0, 0, 0]),
        ("rmdir of the root", 84, [c"/".as_ptr() as usize, 0, 0, 0, 0, 0]),
        ("rmdir of the dot", 84, [c"/tmp/.".as_ptr() as usize, 0, 0, 0, 0, 0]),
        ("unlink of a folder", 87, [c"/tmp".as_ptr() as usize, 0, 0, 0, 0, 0]),
        ("rename of the dot", 82, [c"/tmp/.".as_ptr() as usize, missing, 0, 0, 0, 0]),
        ("renameat2, flags that exclude each other", 316, [HERE, path, HERE, missing, 3, 0]),
        ("link, there already", 86, [path, path, 0, 0, 0, 0]),
        ("linkat, no such flag", 265, [HERE, path, HERE, missing, 0x10, 0]),
        ("symlink to nothing", 88, [empty, missing, 0, 0, 0, 0]),
        ("readlink of a file", 89, [path, at, 100, 0, 0, 0]),
        ("readlink without room", 89, [path, at, 0, 0, 0, 0]),
        ("mknod, no such kind", 133, [missing, 0o170_000, 0, 0, 0, 0]),
        ("mknod of a folder", 133, [missing, 0o040_000, 0, 0, 0, 0]),
        ("truncate of a folder", 76, [c"/tmp".as_ptr() as usize, 0, 0, 0, 0, 0]),
        ("truncate below zero", 76, [path, NONE, 0, 0, 0, 0]),
        ("access, no such mode", 21, [path, 77, 0, 0, 0, 0]),
        ("faccessat2, no such flag", 439, [HERE, path, 0, 1, 0, 0]),
        ("chdir to a file", 80, [path, 0, 0, 0, 0, 0]),
        ("chroot to a file", 161, [path, 0, 0, 0, 0, 0]),
        ("getcwd without room", 79, [at, 1, 0, 0, 0, 0]),
        ("mount, no such kind", 165, [path, c"/tmp".as_ptr() as usize, path, 0, 0, 0]),
        ("umount of no mount", 166, [c"/etc".as_ptr() as usize, 0, 0, 0, 0, 0]),
        ("umount, no such flag", 166, [c"/tmp".as_ptr() as usize, 0x100, 0, 0, 0, 0]),
        ("statfs, missing", 137, [missing, at, 0, 0, 0, 0]),
        ("setxattr, no such space", 188, [path, path, at, 1, 0, 0]),
        ("getxattr, not there", 191, [path, c"user.x".as_ptr() as usize, at, 10, 0, 0]),
        ("sethostname, too long", 170, [at, 65, 0, 0, 0, 0]),
        ("setgroups, too many", 116, [65_537, at, 0, 0, 0, 0]),
        ("getgroups, negative", 115, [NONE, at, 0, 0, 0, 0]),
        ("capget, no such version", 125, [at, 0, 0, 0, 0, 0]),
        ("reboot, no magic", 169, [1, 2, 3, 0, 0, 0]),
        ("syslog, no such request", 103, [77, 0, 0, 0, 0, 0]),
        ("a call far beyond the last", 9999, [0; 6]),
        ("a call below the first", usize::MAX, [0; 6]),
    ];
    for (name, number, arguments) in alone {
        println!("{name}: {}", call(*number, *arguments));
    }
}

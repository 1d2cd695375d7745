//! The calls that are made, what their arguments are, and what of their results is told.
//!
//! Not here is what would not be the same twice (what waits, what tells the time or how much the machine has, random bytes),
//! what would reach beyond the round (the machine's name and clock, mounts, other processes), and what Hob documents that it
//! refuses (docs/traps-and-calls.md). Nor what depends on how a Linux is set up: link(2) and sticky folders (fs.protected_*).

use crate::arguments::Argument::{self, *};

/// One call.
pub struct Call {
    /// Its name.
    pub name: &'static str,
    /// Its number.
    pub number: usize,
    /// Its arguments; those that are missing are 0.
    pub arguments: &'static [Argument],
    /// What is told of its result.
    pub told: Told,
}

/// What is told of a call that did not fail.
#[derive(Clone, Copy)]
pub enum Told {
    /// The result.
    Result,
    /// That it succeeded.
    Failure,
    /// That it succeeded, and whether the result is 0.
    Success,
    /// Which process.
    Process,
    /// How far the end of the heap has moved.
    Heap,
    /// Where in the arena.
    Address,
    /// How many bytes, and a number that stands for them: they are where the second argument says.
    Bytes,
    /// The result, and a number that stands for as many bytes where this argument says.
    Part(usize, usize),
    /// How many bytes, and what recvmsg(2) writes to the message's header.
    Message,
}

/// No call of the kernel's: a child that ends.
pub const FORK: usize = 100_000;

const fn call(name: &'static str, number: usize, arguments: &'static [Argument], told: Told) -> Call {
    Call { name, number, arguments, told }
}

use crate::surroundings::PAGE;

const NW: usize = 0o4000;
const MINUS: usize = usize::MAX;
const OPEN: &[usize] = &[1, 2, 0o100, 0o200, 0o1000, 0o2000, 0o200_000, 0o400_000, 0o2_000_000];
const AT: &[usize] = &[0x100, 0x200, 0x400, 0x1000];
const ACCESS: &[usize] = &[0, 1, 2, 4, 6, 7, 8];
const MODES: &[usize] = &[0o644, 0o600, 0, 0o777, 0o4755, 0o0777, 0o170_644];
const SIGNALS: &[usize] = &[0, 1, 1, 2, 10, 10, 12, 13, 14, 15, 17, 18, 28, 34, 34, 35, 64, 65, MINUS, 11];
const MASK: &[&[u64]] = &[&[0, 0x200, 0xa00, 1 << 33, 0x1_0200, u64::MAX]];
const NO_TIME: &[&[u64]] = &[&[0, 0, u64::MAX, 1 << 63], &[0, 0, 1, 1_000_000_000, u64::MAX]];
const ZERO_TIME: &[&[u64]] = &[&[0, 0, 0, u64::MAX], &[0, 0, 0, 1_000_000_000, u64::MAX]];
const LONG: &[u64] = &[1_000_000, 1_000_000, 0, u64::MAX];
const SHORT: &[u64] = &[0, 0, 0, 500, 1_000_000_000, u64::MAX];
/// Nothing that runs out during a round.
const TIMER: &[&[u64]] = &[LONG, SHORT, &[1_000_000, 1_000_000, u64::MAX], SHORT];
const EPOLL: &[usize] = &[19];
const SOCKETS: &[usize] = &[23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33];
const PIPES: &[usize] = &[12, 13, 14, 15, 16];
const FILES: &[usize] = &[5, 6, 7, 8, 22];
const TERMINALS: &[usize] = &[3, 4];
const LEVELS: &[usize] = &[1, 1, 1, 1, 0, 6, 999];
const OPTIONS: &[usize] = &[2, 3, 4, 6, 7, 8, 9, 10, 12, 13, 15, 16, 17, 18, 29, 30, 38, 39, 777];
const NUMBER: &[&[u64]] = &[&[0, 1, 2, 4096, u64::MAX, 1 << 31], &[0, 1, 1_000_000]];
const SEND: &[usize] = &[0x4000, 0x80, 0x8000];
const RECEIVE: &[usize] = &[2, 0x100, 0x4000_0000, 0x1_0000];
const EVENTS: &[&[u64]] =
    &[&[1, 4, 5, 0x8000_0001, 0x4000_0005, 0x1000_0001, 0x2000, 0, u32::MAX as u64], &[7]];
const LOCK: &[&[u64]] =
    &[&[0, 1, 2, 0x1_0000, 0x2_0001, 3], &[0, 5, 100, u64::MAX], &[0, 10, u64::MAX, i64::MAX as u64], &[0]];
const WANTED_LOCK: &[&[u64]] =
    &[&[0, 1, 0x1_0000, 0x2_0001, 3], &[0, 5, 100, u64::MAX], &[0, 10, u64::MAX, i64::MAX as u64], &[0]];
const USERS: &[usize] = &[MINUS, 0, 0, 54_321, 65_534];

/// All of them.
#[rustfmt::skip] // One call a line.
pub const CALLS: &[Call] = &[
    call("read", 0, &[Descriptor, Room, Length], Told::Bytes),
    call("read-file", 0, &[Prefer(FILES), Room, Length], Told::Bytes),
    call("read-pipe", 0, &[Prefer(PIPES), Room, Length], Told::Bytes),
    call("write", 1, &[Descriptor, Bytes, Length], Told::Result),
    call("write-file", 1, &[Prefer(FILES), Bytes, Length], Told::Result),
    call("write-pipe", 1, &[Prefer(PIPES), Bytes, Length], Told::Result),
    call("readv", 19, &[Descriptor, Rooms, One(&[0, 1, 2, 3, 3, 1025, MINUS])], Told::Result),
    call("writev", 20, &[Descriptor, Sources, One(&[0, 1, 2, 3, 3, 1025, MINUS])], Told::Result),
    call("pread64", 17, &[Descriptor, Room, Length, Offset], Told::Bytes),
    call("pwrite64", 18, &[Descriptor, Bytes, Length, Offset], Told::Result),
    call("preadv", 295, &[Descriptor, Rooms, One(&[0, 1, 3]), Offset], Told::Result),
    call("pwritev", 296, &[Descriptor, Sources, One(&[0, 1, 3]), Offset], Told::Result),
    call("preadv2", 327, &[Descriptor, Rooms, One(&[0, 1, 3]), Offset, One(&[0]), Flags(&[1, 1 << 30])], Told::Result),
    call("pwritev2", 328, &[Descriptor, Sources, One(&[0, 1, 3]), Offset, One(&[0]), Flags(&[1, 1 << 30])], Told::Result),
    call("open", 2, &[Name, With(NW, OPEN), One(MODES)], Told::Result),
    call("openat", 257, &[Prefer(&[9, 11, usize::MAX - 99]), Name, With(NW, OPEN), One(MODES)], Told::Result),
    call("open-place", 257, &[Prefer(&[9, 11, usize::MAX - 99]), Name, With(0o10_000_000, &[0o200_000, 0o400_000])], Told::Result),
    call("open-nameless", 257, &[Prefer(&[9, usize::MAX - 99]), Name, With(0o20_200_000 | NW, &[1, 2, 0o200]), One(MODES)], Told::Result),
    call("openat2", 437, &[One(&[9, usize::MAX - 99]), Name, Structure(&[&[0o4000, 0o4002, 0o4102, 0o10_004_000, 1 << 40], &[0, 0, 0o644, 1 << 20], &[0, 1, 2, 4, 8, 16, 64]]), One(&[24, 24, 24, 16, 8, 32])], Told::Result),
    call("close", 3, &[Descriptor], Told::Result),
    call("close_range", 436, &[One(&[20, 30, 36, 40]), One(&[21, 30, 36, 50, 10]), Flags(&[4, 8])], Told::Result),
    call("lseek", 8, &[Descriptor, Offset, One(&[0, 1, 2, 3, 4, 5, MINUS])], Told::Result),
    call("lseek-file", 8, &[Prefer(FILES), Offset, One(&[0, 1, 2, 3, 4])], Told::Result),
    call("stat", 4, &[Name, Room], Told::Result),
    call("lstat", 6, &[Name, Room], Told::Result),
    call("fstat", 5, &[Descriptor, Room], Told::Result),
    call("newfstatat", 262, &[Prefer(&[9, usize::MAX - 99]), Name, Room, Flags(&[0x100, 0x1000])], Told::Result),
    call("statx", 332, &[Prefer(&[9, usize::MAX - 99]), Name, Flags(&[0x100, 0x1000, 0x2000, 0x4000]), One(&[0, 0x7ff, 0xfff, 1 << 31]), Room], Told::Result),
    call("statfs", 137, &[Name, Room], Told::Result),
    call("fstatfs", 138, &[Descriptor, Room], Told::Result),
    call("access", 21, &[Name, One(ACCESS)], Told::Result),
    call("faccessat2", 439, &[Prefer(&[9, usize::MAX - 99]), Name, One(ACCESS), Flags(AT)], Told::Result),
    call("truncate", 76, &[Name, Offset], Told::Result),
    call("ftruncate", 77, &[Prefer(FILES), Offset], Told::Result),
    call("fallocate", 285, &[Prefer(FILES), Flags(&[1, 2, 8, 16, 32]), Offset, Offset], Told::Result),
    call("fsync", 74, &[Descriptor], Told::Result),
    call("fdatasync", 75, &[Descriptor], Told::Result),
    call("fadvise64", 221, &[Descriptor, Offset, Offset, One(&[0, 1, 2, 3, 4, 5, 6, MINUS])], Told::Result),
    call("readahead", 187, &[Descriptor, Offset, Length], Told::Result),
    call("mkdir", 83, &[Name, One(MODES)], Told::Result),
    call("mkdirat", 258, &[Prefer(&[9, usize::MAX - 99]), Name, One(MODES)], Told::Result),
    call("rmdir", 84, &[Name], Told::Result),
    call("unlink", 87, &[Name], Told::Result),
    call("unlinkat", 263, &[Prefer(&[9, usize::MAX - 99]), Name, Flags(&[0x200, 0x100])], Told::Result),
    call("rename", 82, &[Name, Name], Told::Result),
    call("renameat2", 316, &[Prefer(&[9, usize::MAX - 99]), Name, Prefer(&[9, usize::MAX - 99]), Name, Flags(&[1, 2, 8])], Told::Result),
    call("symlink", 88, &[Name, Name], Told::Result),
    call("readlink", 89, &[Name, Room, Length], Told::Bytes),
    call("readlinkat", 267, &[Prefer(&[9, 10, usize::MAX - 99]), Name, Room, Length], Told::Success),
    call("mknod", 133, &[Name, One(&[0o644, 0o010_600, 0o100_600, 0o140_600, 0o040_700, 0o120_600])], Told::Result),
    call("chmod", 90, &[Name, One(MODES)], Told::Result),
    call("fchmod", 91, &[One(&[5, 6, 7, 8, 5, 10, 12, 22]), One(MODES)], Told::Result),
    call("chown", 92, &[Name, One(USERS), One(USERS)], Told::Result),
    call("lchown", 94, &[Name, One(USERS), One(USERS)], Told::Result),
    call("fchownat", 260, &[Prefer(&[9, usize::MAX - 99]), Name, One(USERS), One(USERS), Flags(&[0x100, 0x1000, 2])], Told::Result),
    call("umask", 95, &[One(&[0o22, 0o77, 0, 0o777, MINUS])], Told::Result),
    call("utimensat", 280, &[Prefer(&[9, usize::MAX - 99]), Name, Maybe(&[&[0, 5], &[0, (1 << 30) - 1, (1 << 30) - 2, 1_000_000_000], &[0], &[0, (1 << 30) - 1]]), Flags(&[0x100, 0x1000])], Told::Result),
    call("chdir", 80, &[Name], Told::Result),
    call("fchdir", 81, &[Descriptor], Told::Result),
    call("getcwd", 79, &[Room, Length], Told::Result),
    call("setxattr", 188, &[Name, Structure(&[&[0x612e_7265_7375, 0]]), Bytes, Length, Flags(&[1, 2])], Told::Result),
    call("getxattr", 191, &[Name, Structure(&[&[0x612e_7265_7375, 0x61, 0]]), Room, Length], Told::Result),
    call("dup", 32, &[Descriptor], Told::Result),
    call("dup2", 33, &[Descriptor, Descriptor], Told::Result),
    call("dup3", 292, &[Descriptor, Descriptor, Flags(&[0o2_000_000, 1])], Told::Result),
    call("fcntl-dup", 72, &[Descriptor, One(&[0, 1030]), One(&[0, 20, 45, 63, 64, MINUS])], Told::Result),
    call("fcntl-fd", 72, &[Descriptor, One(&[1, 2]), One(&[0, 1, MINUS])], Told::Result),
    call("fcntl-getfl", 72, &[Descriptor, One(&[3])], Told::Result),
    call("fcntl-setfl", 72, &[Descriptor, One(&[4]), With(NW, &[0o2000, 0o1_000_000, 1, 0o100])], Told::Result),
    call("fcntl-getlk", 72, &[Prefer(FILES), One(&[5, 36]), Structure(WANTED_LOCK)], Told::Result),
    call("fcntl-setlk", 72, &[Prefer(FILES), One(&[6, 37]), Structure(LOCK)], Told::Result),
    call("fcntl-pipe", 72, &[Prefer(PIPES), One(&[1031, 1032]), One(&[65_536, 1 << 20, 1 << 31, MINUS])], Told::Result),
    call("fcntl-seals", 72, &[Prefer(&[22]), One(&[1033, 1034]), One(&[0, 1, 2, 4, 6, 64])], Told::Result),
    call("flock", 73, &[Descriptor, One(&[5, 6, 12, 4, 7, MINUS])], Told::Result),
    call("ioctl-count", 16, &[One(&[12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28, 29]), One(&[0x541b]), Room], Told::Part(2, 4)),
    call("ioctl", 16, &[Descriptor, One(&[0x5450, 0x5451, 0x5401, 0x5460, 2, 0xdead]), Room], Told::Success),
    call("ioctl-terminal", 16, &[Prefer(TERMINALS), One(&[0x5401, 0x5413, 0x5424, 0x8004_5439, 0x5411, 0x541b]), Room], Told::Success),
    call("ioctl-flush", 16, &[Prefer(TERMINALS), One(&[0x540b]), One(&[0, 1, 2, 3, MINUS])], Told::Result),
    call("ioctl-window", 16, &[Prefer(TERMINALS), One(&[0x5414]), Structure(&[&[0, 0x50_0018]])], Told::Result),
    call("sendfile", 40, &[Descriptor, Descriptor, Maybe(&[&[0, 5, 30, u64::MAX]]), Length], Told::Result),
    call("sendfile-from-file", 40, &[Descriptor, Prefer(FILES), Maybe(&[&[0, 5, 30]]), Length], Told::Result),
    call("copy_file_range", 326, &[Prefer(FILES), Maybe(&[&[0, 5, 30]]), Prefer(FILES), Maybe(&[&[0, 5, 30]]), Length, One(&[0, 0, 0, 1])], Told::Result),
    call("splice", 275, &[Prefer(PIPES), One(&[0]), Descriptor, Maybe(&[&[0, 5, u64::MAX]]), Length, With(2, &[1, 4, 16])], Told::Result),
    call("splice-in", 275, &[Descriptor, Maybe(&[&[0, 5, u64::MAX]]), Prefer(PIPES), One(&[0]), Length, With(2, &[1, 4])], Told::Result),
    call("tee", 276, &[Prefer(PIPES), Prefer(PIPES), Length, With(2, &[1, 16])], Told::Result),
    call("vmsplice", 278, &[Prefer(PIPES), Sources, One(&[0, 1, 2, 3, 1025]), With(2, &[1, 16])], Told::Result),
    call("pipe2", 293, &[Room, With(NW, &[0o2_000_000, 1])], Told::Result),
    call("eventfd2", 290, &[One(&[0, 5, MINUS]), With(NW, &[1, 0o2_000_000, 2])], Told::Result),
    call("timerfd_create", 283, &[One(&[0, 1, 7, 2, 99]), With(NW, &[0o2_000_000, 1])], Told::Result),
    call("timerfd_settime", 286, &[Prefer(&[20]), Flags(&[4]), Structure(TIMER), One(&[0])], Told::Result),
    call("timerfd_gettime", 287, &[Prefer(&[20]), Room], Told::Result),
    call("signalfd4", 289, &[Prefer(&[21, MINUS]), Structure(MASK), One(&[8, 8, 8, 4]), With(NW, &[0o2_000_000])], Told::Result),
    call("memfd_create", 319, &[Name, Flags(&[1, 2, 8, 1 << 20])], Told::Result),
    call("epoll_create1", 291, &[Flags(&[0o2_000_000, 1])], Told::Result),
    call("epoll_ctl", 233, &[Prefer(EPOLL), One(&[1, 1, 2, 3, 4]), Descriptor, Structure(EVENTS)], Told::Result),
    call("epoll_wait", 232, &[Prefer(EPOLL), Room, One(&[1, 3, 10, 0, MINUS, 1 << 30])], Told::Result),
    call("epoll_pwait", 281, &[Prefer(EPOLL), Room, One(&[1, 3]), One(&[0]), Maybe(MASK), One(&[8, 8, 7])], Told::Result),
    call("poll", 7, &[Polled, One(&[0, 1, 2, 3, 65, MINUS])], Told::Part(0, 24)),
    call("ppoll", 271, &[Polled, One(&[1, 3]), Time(ZERO_TIME), Maybe(MASK), One(&[8, 8, 4])], Told::Result),
    call("select", 23, &[One(&[0, 10, 40, 64, 1025, MINUS]), Set, Set, Set, Time(&[&[0, 0, u64::MAX], &[0]])], Told::Part(1, 8)),
    call("pselect6", 270, &[One(&[0, 10, 40, 64]), Set, Set, Set, Time(ZERO_TIME), One(&[0])], Told::Part(2, 8)),
    call("socket", 41, &[One(&[1, 1, 1, 0, 99, MINUS]), With(NW, &[1, 2, 4, 0o2_000_000]), One(&[0, 0, 1, 6])], Told::Result),
    call("socketpair", 53, &[One(&[1, 1, 1, 99]), With(NW, &[1, 2, 4]), One(&[0, 1]), Room], Told::Result),
    call("bind", 49, &[Prefer(SOCKETS), Address, One(&[10, 10, 2, 1, 110, 111, MINUS])], Told::Result),
    call("listen", 50, &[Prefer(SOCKETS), One(&[0, 1, MINUS])], Told::Result),
    call("connect", 42, &[Prefer(SOCKETS), Address, One(&[10, 10, 10, 2, 1, 111])], Told::Result),
    call("accept4", 288, &[Prefer(&[30]), One(&[0]), One(&[0]), With(NW, &[0o2_000_000, 1])], Told::Result),
    call("getsockname", 51, &[Prefer(SOCKETS), Room, Structure(NUMBER)], Told::Result),
    call("getpeername", 52, &[Prefer(SOCKETS), Room, Structure(NUMBER)], Told::Result),
    call("shutdown", 48, &[One(&[23, 24, 27, 28, 29, 30, 32, 99]), One(&[0, 1, 2, 3, MINUS])], Told::Result),
    call("sendto", 44, &[Prefer(SOCKETS), Text, Length, With(0x40, SEND), One(&[0])], Told::Result),
    call("sendto-address", 44, &[Prefer(SOCKETS), Text, Length, With(0x40, SEND), Address, One(&[10, 10, 2, 0, 111])], Told::Result),
    call("recvfrom", 45, &[Prefer(SOCKETS), Room, Length, With(0x40, RECEIVE), One(&[0]), One(&[0])], Told::Bytes),
    call("sendmsg", 46, &[Prefer(SOCKETS), Message, With(0x40, SEND)], Told::Result),
    call("recvmsg", 47, &[Prefer(SOCKETS), Received, With(0x40, &[2, 0x100, 0x4000_0000, 0x1_0000])], Told::Message),
    call("sendmmsg", 307, &[Prefer(SOCKETS), Message, One(&[0, 1, 1]), With(0x40, SEND)], Told::Result),
    call("recvmmsg", 299, &[Prefer(SOCKETS), Received, One(&[0, 1, 1]), With(0x40, RECEIVE), One(&[0])], Told::Result),
    call("getsockopt", 55, &[Prefer(SOCKETS), One(LEVELS), One(OPTIONS), Room, Structure(NUMBER)], Told::Result),
    call("setsockopt", 54, &[Prefer(SOCKETS), One(LEVELS), One(OPTIONS), Structure(NUMBER), One(&[4, 4, 16, 0, 3, MINUS])], Told::Result),
    call("mmap", 9, &[Page, Pages, One(&[0, 1, 3, 3, 5]), With(0x32, &[0x4000, 0x8000]), One(&[MINUS])], Told::Address),
    call("mmap-shared", 9, &[Page, Pages, One(&[0, 1, 3, 3]), With(0x31, &[0x4000]), One(&[MINUS])], Told::Address),
    call("mmap-file", 9, &[Page, Pages, One(&[0, 1, 3, 5]), One(&[0x11, 0x12, 0x13, 0x10]), One(&[5, 6, 7, 8, 22, 0, 9, 13, 19]), One(&[0, 0, 4096, 1, MINUS & !4095])], Told::Address),
    call("mmap-new", 9, &[Page, Pages, One(&[1, 3]), With(0x10_0022, &[0x4000]), One(&[MINUS])], Told::Address),
    call("munmap", 11, &[Page, Pages], Told::Result),
    call("mprotect", 10, &[Page, Pages, One(&[0, 1, 3, 5, 8])], Told::Result),
    call("mremap", 25, &[Page, Pages, Pages, Flags(&[1, 4])], Told::Success),
    call("mremap-fixed", 25, &[Page, One(&[PAGE, 2 * PAGE, 2 * PAGE]), One(&[PAGE, 2 * PAGE, 2 * PAGE]), With(2, &[1, 1, 1]), Page], Told::Address),
    call("madvise", 28, &[Page, One(&[0, 1, PAGE, 2 * PAGE, 5 * PAGE]), One(&[0, 1, 2, 3, 4, 8, 9, 10, 11, 20, 21, 99, MINUS])], Told::Result),
    call("msync", 26, &[Page, Pages, Flags(&[1, 2, 4, 8])], Told::Result),
    call("mincore", 27, &[Page, Pages, Room], Told::Result),
    call("mlock", 149, &[Page, Pages], Told::Result),
    call("mlock2", 325, &[Page, Pages, Flags(&[1, 2])], Told::Result),
    call("munlock", 150, &[Page, Pages], Told::Result),
    call("brk", 12, &[Heap], Told::Heap),
    call("rt_sigaction", 13, &[One(&[1, 2, 10, 12, 13, 15, 17, 34, 9, 19, 0, 65, MINUS]), Action, One(&[0]), One(&[8, 8, 8, 4])], Told::Result),
    call("rt_sigprocmask", 14, &[One(&[0, 1, 2, 3]), Maybe(MASK), Room, One(&[8, 8, 8, 16])], Told::Part(2, 8)),
    call("rt_sigpending", 127, &[Room, One(&[8, 8, 4, 9])], Told::Part(0, 4)),
    call("rt_sigtimedwait", 128, &[Structure(MASK), One(&[0]), Time(ZERO_TIME), One(&[8, 8, 8, 4])], Told::Result),
    call("kill", 62, &[Process, One(SIGNALS)], Told::Result),
    call("kill-own", 62, &[One(&[0]), One(SIGNALS)], Told::Result),
    call("tgkill", 234, &[Own, Own, One(SIGNALS)], Told::Result),
    call("tkill", 200, &[Own, One(SIGNALS)], Told::Result),
    call("rt_sigqueueinfo", 129, &[Process, One(SIGNALS), Structure(&[&[0], &[u32::MAX as u64, 0, 7, (-6_i32) as u32 as u64], &[1], &[42, u64::MAX]])], Told::Result),
    call("sigaltstack", 131, &[Maybe(&[&[ARENA_WORD], &[0, 0, 2, 1 << 31, 1], &[1 << 16, 0, 1]]), Room], Told::Result),
    call("fork", FORK, &[One(&[0, 1, 255, 256 + 15, 256 + 9, 256 + 6])], Told::Result),
    call("wait4", 61, &[Process, Room, With(1, &[2, 8, 0x2000_0000, 0x4000_0000, 0x100]), One(&[0])], Told::Process),
    call("waitid", 247, &[One(&[0, 1, 1, 2, 9]), Process, Room, With(1, &[4, 4, 2, 8, 0x100_0000]), One(&[0])], Told::Result),
    call("getpgid", 121, &[Process], Told::Process),
    call("getsid", 124, &[Process], Told::Failure),
    call("setpgid", 109, &[Process, Process], Told::Result),
    call("setsid", 112, &[], Told::Process),
    call("getppid", 110, &[], Told::Process),
    call("setuid", 105, &[One(USERS)], Told::Result),
    call("setreuid", 113, &[One(USERS), One(USERS)], Told::Result),
    call("setresuid", 117, &[One(USERS), One(USERS), One(USERS)], Told::Result),
    call("setresgid", 119, &[One(USERS), One(USERS), One(USERS)], Told::Result),
    call("getresuid", 118, &[Room, Room, Room], Told::Part(0, 4)),
    call("getgroups", 115, &[One(&[0, 1, 5, MINUS]), Room], Told::Success),
    call("setgroups", 116, &[One(&[0, 1, 2, 65_537, MINUS]), Structure(&[&[0, 5, u64::MAX], &[7]])], Told::Result),
    call("capget", 125, &[Structure(&[&[0x2008_0522, 0x1998_0330, 5]]), Maybe(&[&[0]])], Told::Result),
    call("getrlimit", 97, &[One(&[0, 1, 7, 8, 15, 16, MINUS]), Room], Told::Result),
    call("prlimit64", 302, &[Own, One(&[1, 7, 4, 8, 16]), Maybe(&[&[20, 40, 64, 4096, 1 << 20], &[64, 4096, 1 << 20, u64::MAX]]), Room], Told::Result),
    call("getrusage", 98, &[One(&[0, MINUS, 1, 2]), Room], Told::Result),
    call("getpriority", 140, &[One(&[0, 0, 3]), Own], Told::Result),
    call("setpriority", 141, &[One(&[0, 0, 3]), Own, One(&[0, 1, 5, 19, 100])], Told::Result),
    call("sched_getscheduler", 145, &[Own], Told::Result),
    call("sched_getparam", 143, &[Own, Room], Told::Result),
    call("sched_get_priority_max", 146, &[One(&[0, 1, 2, 3, 4, 5, 6, 7, MINUS])], Told::Result),
    call("sched_getaffinity", 204, &[Own, One(&[7, 4, 0, 1, MINUS]), Room], Told::Success),
    call("nanosleep", 35, &[Structure(&[&[0, 0, u64::MAX], &[0, 1, 1_000_000_000, u64::MAX]]), Room], Told::Result),
    call("clock_nanosleep", 230, &[One(&[0, 1, 3, 4, 7, 99, MINUS]), One(&[0, 1]), Structure(NO_TIME), Room], Told::Result),
    call("clock_gettime", 228, &[One(&[0, 1, 2, 3, 4, 5, 6, 7, 12, 99, MINUS]), Room], Told::Result),
    call("clock_getres", 229, &[One(&[0, 1, 2, 3, 4, 5, 6, 7, 12, 99, MINUS]), Room], Told::Result),
    call("getitimer", 36, &[One(&[0, 1, 2, 3, MINUS]), Room], Told::Result),
    call("setitimer", 38, &[One(&[0, 1, 2, 3]), Maybe(TIMER), Room], Told::Result),
    call("alarm", 37, &[One(&[0, 100_000, 1 << 33])], Told::Success),
    call("timer_create", 222, &[One(&[0, 1, 7, 2, 3, 4, 99]), Maybe(&[&[5], &[10, 34, 0, 65, 10 | 1 << 32, 10 | 5 << 32]]), Room], Told::Part(2, 4)),
    call("timer_settime", 223, &[One(&[0, 1, 2, 3, MINUS]), Flags(&[1]), Structure(&[LONG, SHORT, &[1_u64 << 33], SHORT]), Room], Told::Result),
    call("timer_gettime", 224, &[One(&[0, 1, 2, 3, MINUS]), Room], Told::Result),
    call("timer_getoverrun", 225, &[One(&[0, 1, 2, 3, MINUS])], Told::Result),
    call("timer_delete", 226, &[One(&[0, 1, 2, 3, MINUS])], Told::Result),
    call("futex-wake", 202, &[Page, One(&[1, 129]), One(&[0, 1, MINUS])], Told::Result),
    call("futex-wait", 202, &[Page, One(&[0, 128, 9 | 128, 128 | 256]), One(&[0, 0, 1]), Time(ZERO_TIME), One(&[0]), One(&[MINUS, 1, 0])], Told::Result),
    call("futex-requeue", 202, &[Page, One(&[3, 4, 131, 132]), One(&[0, 1, MINUS]), One(&[0, 1]), Page, One(&[0, 1])], Told::Result),
    call("futex-wake-op", 202, &[Page, One(&[5, 133]), One(&[1]), One(&[1]), Page, One(&[0, 0x1000_1000, 1 << 27])], Told::Result),
    call("set_robust_list", 273, &[One(&[0]), One(&[24, 24, 23])], Told::Result),
    call("uname", 63, &[Room], Told::Result),
    call("sysinfo", 99, &[Room], Told::Result),
    call("getrandom", 318, &[Room, Length, Flags(&[1, 2, 4])], Told::Result),
    call("getcpu", 309, &[Room, Room, One(&[0])], Told::Result),
    call("prctl", 157, &[One(&[1, 4, 8, 15, 16, 21, 30, 36, 38, 39, 9999]), One(&[0, 1, 2, 65, MINUS]), One(&[0, 0, 0, 1]), One(&[0, 0, 1]), One(&[0, 0, 1])], Told::Result),
    call("membarrier", 324, &[One(&[1, 2, 8, 16, MINUS]), One(&[0, 0, 1]), One(&[0])], Told::Result),
    call("personality", 135, &[One(&[0xffff_ffff])], Told::Result),
    call("arch_prctl", 158, &[One(&[0x1003, 0x1004, 0x9999]), Room], Told::Success),
];

/// The base of the arena, as a word of a structure.
const ARENA_WORD: u64 = crate::surroundings::ARENA as u64;

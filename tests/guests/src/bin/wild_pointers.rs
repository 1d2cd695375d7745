//! Every call that takes an address is given wild ones: the null page, unmapped memory, a read-only page, the hole of
//! non-canonical addresses, the kernel's half. Each must fail as on Linux, and the program goes on.
#![expect(unsafe_code, reason = "no safe wrapper passes a wild address")]

/// Makes a call with whatever it is given.
fn call(number: usize, arguments: [usize; 6]) -> isize {
    // SAFETY: the addresses point to memory that nothing in this program uses, or cannot be used at all; the calls below
    // neither start threads nor end the program.
    unsafe { guests::call(number, arguments) }
}

const SYS_MMAP: usize = 9;
const SYS_OPENAT: usize = 257;
const SYS_PIPE: usize = 22;
const AT_FDCWD: usize = -100_isize as usize;

/// Stands for the address under test.
const WILD: usize = usize::MAX - 1;

fn main() {
    let zero = call(SYS_OPENAT, [AT_FDCWD, c"/dev/zero".as_ptr() as usize, 0, 0, 0, 0]) as usize;
    let folder = call(SYS_OPENAT, [AT_FDCWD, c"/".as_ptr() as usize, 0o200_000, 0, 0, 0]) as usize;
    let mut pipe = [0_u32; 2];
    let made = call(SYS_PIPE, [pipe.as_mut_ptr() as usize, 0, 0, 0, 0, 0]);
    println!("pipe: {made}");
    let (reader, writer) = (pipe[0] as usize, pipe[1] as usize);
    call(1, [writer, c"content".as_ptr() as usize, 7, 0, 0, 0]);
    let epoll = call(291, [0; 6]) as usize;
    let path = c"/".as_ptr() as usize;
    let missing = c"/missing".as_ptr() as usize;
    // A page that can be read and not written, and one behind which nothing is mapped.
    let read_only = call(SYS_MMAP, [0, 4096, 1, 0x22, usize::MAX, 0]) as usize;
    let two = call(SYS_MMAP, [0, 8192, 3, 0x22, usize::MAX, 0]) as usize;
    call(11, [two + 4096, 4096, 0, 0, 0, 0]);

    let addresses = [
        ("null", 0),
        ("one", 1),
        ("hole", 0x8000_0000_0000),
        ("kernel", 0xffff_8000_0000_0000),
        ("last", usize::MAX - 7),
        ("end", 0x7fff_ffff_effc),
    ];
    let cases: &[(&str, usize, [usize; 6])] = &[
        ("read", 0, [zero, WILD, 64, 0, 0, 0]),
        ("read from a pipe", 0, [reader, WILD, 4, 0, 0, 0]),
        ("write", 1, [writer, WILD, 64, 0, 0, 0]),
        ("pread64", 17, [zero, WILD, 64, 0, 0, 0]),
        ("readv", 19, [zero, WILD, 2, 0, 0, 0]),
        ("writev", 20, [writer, WILD, 2, 0, 0, 0]),
        ("open", 2, [WILD, 0, 0, 0, 0, 0]),
        ("openat", 257, [AT_FDCWD, WILD, 0, 0, 0, 0]),
        ("stat of a name", 4, [WILD, two, 0, 0, 0, 0]),
        ("stat into", 4, [path, WILD, 0, 0, 0, 0]),
        ("stat of nothing into", 4, [missing, WILD, 0, 0, 0, 0]),
        ("fstat", 5, [zero, WILD, 0, 0, 0, 0]),
        ("newfstatat", 262, [AT_FDCWD, path, WILD, 0, 0, 0]),
        ("statx", 332, [AT_FDCWD, path, 0, 0x7ff, WILD, 0]),
        ("statfs", 137, [path, WILD, 0, 0, 0, 0]),
        ("access", 21, [WILD, 0, 0, 0, 0, 0]),
        ("poll", 7, [WILD, 1, 0, 0, 0, 0]),
        ("select", 23, [1, WILD, 0, 0, two, 0]),
        ("epoll_ctl", 233, [epoll, 1, reader, WILD, 0, 0]),
        ("rt_sigaction new", 13, [10, WILD, 0, 8, 0, 0]),
        ("rt_sigaction old", 13, [10, 0, WILD, 8, 0, 0]),
        ("rt_sigprocmask new", 14, [0, WILD, 0, 8, 0, 0]),
        ("rt_sigprocmask old", 14, [0, 0, WILD, 8, 0, 0]),
        ("rt_sigpending", 127, [WILD, 8, 0, 0, 0, 0]),
        ("rt_sigtimedwait", 128, [WILD, 0, 0, 8, 0, 0]),
        ("sigaltstack new", 131, [WILD, 0, 0, 0, 0, 0]),
        ("sigaltstack old", 131, [0, WILD, 0, 0, 0, 0]),
        ("pipe", 22, [WILD, 0, 0, 0, 0, 0]),
        ("pipe2", 293, [WILD, 0, 0, 0, 0, 0]),
        ("nanosleep", 35, [WILD, 0, 0, 0, 0, 0]),
        ("clock_nanosleep", 230, [1, 0, WILD, 0, 0, 0]),
        ("getitimer", 36, [0, WILD, 0, 0, 0, 0]),
        ("setitimer", 38, [0, WILD, 0, 0, 0, 0]),
        ("gettimeofday", 96, [WILD, 0, 0, 0, 0, 0]),
        ("clock_gettime", 228, [0, WILD, 0, 0, 0, 0]),
        ("clock_getres", 229, [0, WILD, 0, 0, 0, 0]),
        ("time", 201, [WILD, 0, 0, 0, 0, 0]),
        ("times", 100, [WILD, 0, 0, 0, 0, 0]),
        ("uname", 63, [WILD, 0, 0, 0, 0, 0]),
        ("sysinfo", 99, [WILD, 0, 0, 0, 0, 0]),
        ("getrusage", 98, [0, WILD, 0, 0, 0, 0]),
        ("getrlimit", 97, [0, WILD, 0, 0, 0, 0]),
        ("prlimit64 new", 302, [0, 0, WILD, 0, 0, 0]),
        ("prlimit64 old", 302, [0, 0, 0, WILD, 0, 0]),
        ("getcwd", 79, [WILD, 64, 0, 0, 0, 0]),
        ("chdir", 80, [WILD, 0, 0, 0, 0, 0]),
        ("mkdir", 83, [WILD, 0o755, 0, 0, 0, 0]),
        ("rmdir", 84, [WILD, 0, 0, 0, 0, 0]),
        ("unlink", 87, [WILD, 0, 0, 0, 0, 0]),
        ("rename from", 82, [WILD, path, 0, 0, 0, 0]),
        ("rename to", 82, [path, WILD, 0, 0, 0, 0]),
        ("link", 86, [WILD, path, 0, 0, 0, 0]),
        ("symlink", 88, [WILD, path, 0, 0, 0, 0]),
        ("readlink name", 89, [WILD, two, 64, 0, 0, 0]),
        ("chmod", 90, [WILD, 0, 0, 0, 0, 0]),
        ("chown", 92, [WILD, 0, 0, 0, 0, 0]),
        ("truncate", 76, [WILD, 0, 0, 0, 0, 0]),
        ("utimensat", 280, [AT_FDCWD, path, WILD, 0, 0, 0]),
        ("getdents64", 217, [folder, WILD, 1024, 0, 0, 0]),
        ("execve", 59, [WILD, 0, 0, 0, 0, 0]),
        ("execve arguments", 59, [path, WILD, 0, 0, 0, 0]),
        ("wait4", 61, [usize::MAX, WILD, 1, 0, 0, 0]),
        ("getgroups", 115, [0, WILD, 0, 0, 0, 0]),
        ("getresuid", 118, [WILD, two, two, 0, 0, 0]),
        ("capget", 125, [WILD, two, 0, 0, 0, 0]),
        ("sched_getaffinity", 204, [0, 128, WILD, 0, 0, 0]),
        ("sched_setparam", 142, [0, WILD, 0, 0, 0, 0]),
        ("sched_getparam", 143, [0, WILD, 0, 0, 0, 0]),
        ("sched_setscheduler", 144, [0, 0, WILD, 0, 0, 0]),
        ("futex wait", 202, [WILD, 128, 0, two, 0, 0]),
        ("futex wake", 202, [WILD, 128, 1, 0, 0, 0]),
        ("getrandom", 318, [WILD, 16, 0, 0, 0, 0]),
        ("memfd_create", 319, [WILD, 0, 0, 0, 0, 0]),
        ("socketpair", 53, [1, 1, 0, WILD, 0, 0]),
        ("mount", 165, [WILD, WILD, WILD, 0, 0, 0]),
        ("getxattr", 191, [path, WILD, two, 64, 0, 0]),
        ("arch_prctl get", 158, [0x1003, WILD, 0, 0, 0, 0]),
        ("prctl set name", 157, [15, WILD, 0, 0, 0, 0]),
        ("prctl get name", 157, [16, WILD, 0, 0, 0, 0]),
        ("ioctl FIONREAD", 16, [reader, 0x541b, WILD, 0, 0, 0]),
        ("sendfile offset", 40, [writer, zero, WILD, 16, 0, 0]),
        ("mincore", 27, [two, 4096, WILD, 0, 0, 0]),
        ("munmap", 11, [WILD, 4096, 0, 0, 0, 0]),
        ("mprotect", 10, [WILD & !4095, 4096, 1, 0, 0, 0]),
        ("brk", 12, [WILD, 0, 0, 0, 0, 0]),
    ];
    for (name, number, arguments) in cases {
        let results = addresses.map(|(_, address)| {
            let result =
                call(*number, arguments.map(|argument| if argument == WILD { address } else { argument }));
            // Success is told apart from failure alone where it differs from boot to boot.
            if *number == 12 {
                0
            } else if result > 4096 || *number == 100 && result >= 0 {
                1
            } else {
                result
            }
        });
        println!("{name}: {results:?}");
    }
    println!("read into a read-only page: {}", call(0, [zero, read_only, 64, 0, 0, 0]));
    println!("read to the end of what is mapped: {}", call(0, [zero, two + 4096 - 16, 64, 0, 0, 0]));
    println!(
        "entries to the end of what is mapped: {}",
        call(217, [folder, two + 4096 - 40, 4096, 0, 0, 0]) > 0
    );
    println!("stat across the end of what is mapped: {}", call(4, [path, two + 4096 - 16, 0, 0, 0, 0]));
    println!("a name that ends where memory does: {}", {
        // SAFETY: the last eight bytes of the page are this program's and nothing else uses them.
        unsafe { std::ptr::copy_nonoverlapping(b"/missing".as_ptr(), (two + 4096 - 8) as *mut u8, 8) };
        call(4, [two + 4096 - 8, two, 0, 0, 0, 0])
    });
    for len in [usize::MAX, 1 << 63, (1 << 63) - 1, 0x7fff_ffff_ffff_f000, 1 << 47] {
        let results = [
            call(0, [reader, two, len, 0, 0, 0]),
            call(1, [writer, WILD - 64, len, 0, 0, 0]),
            call(9, [0, len, 3, 0x22, usize::MAX, 0]),
            call(11, [two, len, 0, 0, 0, 0]),
            call(28, [two, len, 0, 0, 0, 0]),
            call(79, [16, len, 0, 0, 0, 0]),
            call(318, [16, len, 0, 0, 0, 0]),
            call(217, [folder, 16, len, 0, 0, 0]),
            call(7, [two, len, 0, 0, 0, 0]),
            call(20, [writer, two, len, 0, 0, 0]),
        ];
        println!("length {len:#x}: {results:?}");
        call(1, [writer, path, 1, 0, 0, 0]);
    }
}

//! What the few functions of the crate compute: against the macros of the C library where it has them.

use abi::ioctl::Request;
use abi::sched::WaitStatus;
use abi::signal::info::{self, SigInfo};
use abi::signal::{SigSet, Signal};
use abi::stat::{device_major, device_minor, device_number};
use abi::termios::Termios;
use abi::time::{Timespec, Timeval};

#[test]
fn device_numbers_are_spread_as_in_the_c_library() {
    for major in [0, 1, 4, 5, 136, 255, 256, 4095, 4096, u32::MAX] {
        for minor in [0, 1, 255, 256, 1_048_575, 1_048_576, u32::MAX] {
            let device = device_number(major, minor);
            assert_eq!(device, libc::makedev(major, minor));
            assert_eq!((device_major(device), device_minor(device)), (major, minor));
        }
    }
}

#[test]
fn a_wait_status_is_taken_apart_by_the_c_library_s_macros() {
    let exited = WaitStatus::Exited(7).encode() as i32;
    assert!(libc::WIFEXITED(exited) && libc::WEXITSTATUS(exited) == 7);
    let killed = WaitStatus::Killed { signal: 9, dumped: false }.encode() as i32;
    assert!(libc::WIFSIGNALED(killed) && libc::WTERMSIG(killed) == 9 && !libc::WCOREDUMP(killed));
    let dumped = WaitStatus::Killed { signal: 11, dumped: true }.encode() as i32;
    assert!(libc::WIFSIGNALED(dumped) && libc::WTERMSIG(dumped) == 11 && libc::WCOREDUMP(dumped));
    let stopped = WaitStatus::Stopped(19).encode() as i32;
    assert!(libc::WIFSTOPPED(stopped) && libc::WSTOPSIG(stopped) == 19);
    assert!(libc::WIFCONTINUED(WaitStatus::Continued.encode() as i32));
}

#[test]
fn signal_numbers_are_those_of_linux() {
    let signals = [
        (Signal::SIGHUP, libc::SIGHUP),
        (Signal::SIGINT, libc::SIGINT),
        (Signal::SIGQUIT, libc::SIGQUIT),
        (Signal::SIGILL, libc::SIGILL),
        (Signal::SIGTRAP, libc::SIGTRAP),
        (Signal::SIGABRT, libc::SIGABRT),
        (Signal::SIGBUS, libc::SIGBUS),
        (Signal::SIGFPE, libc::SIGFPE),
        (Signal::SIGKILL, libc::SIGKILL),
        (Signal::SIGUSR1, libc::SIGUSR1),
        (Signal::SIGSEGV, libc::SIGSEGV),
        (Signal::SIGUSR2, libc::SIGUSR2),
        (Signal::SIGPIPE, libc::SIGPIPE),
        (Signal::SIGALRM, libc::SIGALRM),
        (Signal::SIGTERM, libc::SIGTERM),
        (Signal::SIGSTKFLT, libc::SIGSTKFLT),
        (Signal::SIGCHLD, libc::SIGCHLD),
        (Signal::SIGCONT, libc::SIGCONT),
        (Signal::SIGSTOP, libc::SIGSTOP),
        (Signal::SIGTSTP, libc::SIGTSTP),
        (Signal::SIGTTIN, libc::SIGTTIN),
        (Signal::SIGTTOU, libc::SIGTTOU),
        (Signal::SIGURG, libc::SIGURG),
        (Signal::SIGXCPU, libc::SIGXCPU),
        (Signal::SIGXFSZ, libc::SIGXFSZ),
        (Signal::SIGVTALRM, libc::SIGVTALRM),
        (Signal::SIGPROF, libc::SIGPROF),
        (Signal::SIGWINCH, libc::SIGWINCH),
        (Signal::SIGIO, libc::SIGIO),
        (Signal::SIGPWR, libc::SIGPWR),
        (Signal::SIGSYS, libc::SIGSYS),
    ];
    for (signal, number) in signals {
        assert_eq!(signal.number(), number);
    }
    assert_eq!(Signal::SIGRTMIN.number() as u32, linux_raw_sys::general::SIGRTMIN);
    assert_eq!(u32::from(Signal::MAX), linux_raw_sys::general::_NSIG);
    for none in [0, -1, 65, i32::MIN, i32::MAX] {
        assert_eq!(Signal::new(none), None);
    }
}

#[test]
fn a_set_gives_back_what_was_put_in_lowest_first() {
    let mut set = SigSet::of(&[Signal::SIGTERM, Signal::SIGHUP]);
    assert_eq!(set.0, 1 << 14 | 1);
    assert_eq!(set.first(), Some(Signal::SIGHUP));
    set.insert(Signal::SIGRTMIN);
    set.remove(Signal::SIGHUP);
    assert_eq!(set.iter().collect::<Vec<_>>(), [Signal::SIGTERM, Signal::SIGRTMIN]);
    assert_eq!(SigSet::FULL.iter().count(), 64);
    assert_eq!(SigSet::EMPTY.first(), None);
}

#[test]
fn what_is_told_of_a_signal_can_be_read_back() {
    let fault = SigInfo::fault(Signal::SIGSEGV, info::SEGV_MAPERR, 0xdead_beef);
    assert_eq!(fault.fields_as::<info::FaultFields>().expect("fits").si_addr, 0xdead_beef);
    let child = SigInfo::child(info::CLD_EXITED, 42, 1000, 3, 5, 6);
    let fields = child.fields_as::<info::ChildFields>().expect("fits");
    assert_eq!((child.si_signo, child.si_code), (libc::SIGCHLD, libc::CLD_EXITED));
    assert_eq!((fields.si_pid, fields.si_uid, fields.si_status), (42, 1000, 3));
    assert_eq!((fields.si_utime, fields.si_stime), (5, 6));
    assert!(fault.fields_as::<[u64; 15]>().is_none());
}

#[test]
fn a_time_out_of_range_has_no_nanoseconds() {
    assert_eq!(Timespec { tv_sec: 1, tv_nsec: 2 }.to_nanoseconds(), Some(1_000_000_002));
    assert_eq!(Timespec { tv_sec: i64::MAX, tv_nsec: 0 }.to_nanoseconds(), Some(u64::MAX));
    for (tv_sec, tv_nsec) in [(-1, 0), (0, -1), (0, 1_000_000_000), (i64::MIN, i64::MIN)] {
        assert_eq!(Timespec { tv_sec, tv_nsec }.to_nanoseconds(), None);
    }
    assert_eq!(Timeval { tv_sec: 1, tv_usec: 999_999 }.to_nanoseconds(), Some(1_999_999_000));
    assert_eq!(Timeval { tv_sec: 0, tv_usec: 1_000_000 }.to_nanoseconds(), None);
    assert_eq!(Timespec::from_nanoseconds(u64::MAX).to_nanoseconds(), Some(u64::MAX));
}

#[test]
fn a_request_is_taken_apart() {
    let request = Request::decode(abi::ioctl::TIOCSPTLCK);
    assert_eq!((request.is_write, request.is_read, request.size), (true, false, 4));
    assert_eq!((request.kind, request.number), (b'T', 0x31));
    assert!(Request::decode(abi::ioctl::TIOCGPTN).is_read);
}

#[test]
fn a_new_terminal_edits_lines_and_echoes() {
    let default = Termios::DEFAULT;
    assert_eq!(default.c_iflag, libc::ICRNL | libc::IXON);
    assert_eq!(default.c_oflag, libc::OPOST | libc::ONLCR);
    assert_eq!(default.c_cflag, libc::B38400 | libc::CS8 | libc::CREAD | libc::HUPCL);
    let local = libc::ISIG | libc::ICANON | libc::ECHO | libc::ECHOE | libc::ECHOK | libc::ECHOCTL;
    assert_eq!(default.c_lflag, local | libc::ECHOKE | libc::IEXTEN);
    assert_eq!(default.c_cc, [3, 28, 127, 21, 4, 0, 1, 0, 17, 19, 26, 0, 18, 15, 23, 22, 0, 0, 0]);
}

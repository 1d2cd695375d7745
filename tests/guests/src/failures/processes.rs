//! What programs do with processes, threads, signals and time.
#![expect(unsafe_code, reason = "processes are forked, and run nothing but an end")]

use crate::{Operation, errno};
use nix::sched::CloneFlags;
use nix::sys::signal::{SigHandler, SigSet, SigmaskHow, Signal, raise, signal, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::io::Errno;
use rustix::process::{Pid, WaitOptions, waitpid};
use rustix::thread::futex;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::AtomicU32;

pub const OPERATIONS: &[(&str, Operation)] = &[
    ("exec", |_| command(Command::new("/bin/busybox").arg("true"))),
    ("exec of a script", |_| command(&mut Command::new("/etc/script"))),
    // For a child that changes its user the standard library forks.
    ("fork and exec", |_| command(Command::new("/bin/busybox").arg("true").uid(0))),
    ("exec of what is no program", |_| match command(&mut Command::new("/etc/no-program")) {
        Err(Errno::NOEXEC) => Ok(()),
        other => other,
    }),
    ("fork", |_| fork(|| 0)),
    ("fork of a session of its own", |_| {
        fork(|| match rustix::process::setsid() {
            Ok(_) => 0,
            Err(error) => error.raw_os_error(),
        })
    }),
    // The standard library's threads end the program where their signal stack finds no memory.
    ("a child that shares everything", |_| shared()),
    ("a signal with a handler", |_| {
        // SAFETY: the handler does nothing.
        let old = unsafe { signal(Signal::SIGUSR1, SigHandler::Handler(handle)) }.map_err(from_nix)?;
        let result = raise(Signal::SIGUSR1).map_err(from_nix);
        // SAFETY: what was there before.
        unsafe { signal(Signal::SIGUSR1, old) }.map_err(from_nix)?;
        result
    }),
    ("a signal that is read", |_| {
        let mut set = SigSet::empty();
        set.add(Signal::SIGUSR2);
        sigprocmask(SigmaskHow::SIG_BLOCK, Some(&set), None).map_err(from_nix)?;
        let result = SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC).map_err(from_nix).and_then(|file| {
            raise(Signal::SIGUSR2).map_err(from_nix)?;
            file.read_signal().map(|_| ()).map_err(from_nix)
        });
        // What was not read is forgotten.
        for handler in [SigHandler::SigIgn, SigHandler::SigDfl] {
            // SAFETY: neither runs anything.
            unsafe { signal(Signal::SIGUSR2, handler) }.map_err(from_nix)?;
        }
        sigprocmask(SigmaskHow::SIG_UNBLOCK, Some(&set), None).map_err(from_nix)?;
        result
    }),
    ("a timer that is read", |_| {
        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC)?;
        let once = Itimerspec {
            it_interval: Timespec { tv_sec: 0, tv_nsec: 0 },
            it_value: Timespec { tv_sec: 0, tv_nsec: 1000 },
        };
        timerfd_settime(&timer, TimerfdTimerFlags::empty(), &once)?;
        rustix::io::read(&timer, &mut [0; 8]).map(|_| ())
    }),
    ("a futex and its time-out", |_| {
        let word = AtomicU32::new(1);
        let soon = Timespec { tv_sec: 0, tv_nsec: 1000 };
        match futex::wait(&word, futex::Flags::PRIVATE, 1, Some(&soon)) {
            Err(Errno::TIMEDOUT) => Ok(()),
            other => other,
        }
    }),
    ("the supplementary groups", |_| {
        let groups: [rustix::process::Gid; 3] = [1, 2, 3].map(rustix::process::Gid::from_raw);
        rustix::thread::set_thread_groups(&groups)?;
        rustix::thread::set_thread_groups(&[])
    }),
];

/// Files that the programs above are.
pub fn prepare() -> io::Result<()> {
    for (path, text) in [("/etc/no-program", "neither"), ("/etc/script", "#!/bin/busybox true\n")] {
        fs::write(path, text)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}

extern "C" fn handle(_: i32) {}

fn from_nix(error: nix::Error) -> Errno {
    Errno::from_raw_os_error(error as i32)
}

/// Starts a program and waits for it. One that is ended because there is no memory for it, or that gives up itself, counts as refused.
fn command(command: &mut Command) -> Result<(), Errno> {
    let status = command.stderr(Stdio::null()).status().map_err(errno)?;
    if status.success() { Ok(()) } else { Err(Errno::NOMEM) }
}

/// A child of one thread's memory, which ends with what `body` gives.
pub fn fork_off(body: impl FnOnce() -> i32) -> Result<Pid, Errno> {
    // SAFETY: the child makes only system calls, and ends.
    match unsafe { nix::unistd::fork() }.map_err(from_nix)? {
        // SAFETY: as above.
        nix::unistd::ForkResult::Child => unsafe { nix::libc::_exit(body()) },
        nix::unistd::ForkResult::Parent { child } => Pid::from_raw(child.as_raw()).ok_or(Errno::CHILD),
    }
}

/// As above, and waits for it.
fn fork(body: fn() -> i32) -> Result<(), Errno> {
    fork_off(body).and_then(wait)
}

/// A child that shares memory, descriptors and signal handlers, on a stack of its own.
fn shared() -> Result<(), Errno> {
    // What it runs is on this stack: this goes on when the child has ended.
    let flags = CloneFlags::CLONE_VM
        | CloneFlags::CLONE_VFORK
        | CloneFlags::CLONE_FILES
        | CloneFlags::CLONE_FS
        | CloneFlags::CLONE_SIGHAND;
    // Not made here: this program's own memory is not what is to fail.
    static STACK: Mutex<[u8; 16 << 10]> = Mutex::new([0; 16 << 10]);
    let mut stack = STACK.lock().map_err(|_| Errno::IO)?;
    // SAFETY: the child only ends, before the stack does.
    let child =
        unsafe { nix::sched::clone(Box::new(|| 0), &mut *stack, flags, Some(Signal::SIGCHLD as i32)) };
    wait(Pid::from_raw(child.map_err(from_nix)?.as_raw()).ok_or(Errno::CHILD)?)
}

/// Waits for a child, which ends with 0 or an error.
fn wait(child: Pid) -> Result<(), Errno> {
    let ended = waitpid(Some(child), WaitOptions::empty())?.ok_or(Errno::CHILD)?;
    match (ended.1.exit_status(), ended.1.terminating_signal()) {
        (Some(0), _) => Ok(()),
        (Some(error), _) => Err(Errno::from_raw_os_error(error)),
        (_, Some(9)) => Err(Errno::NOMEM),
        _ => Err(Errno::CHILD),
    }
}

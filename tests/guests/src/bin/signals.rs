//! Signals: waiting for them while they are blocked, what is kept and what is lost, handlers and interrupted calls.
#![expect(unsafe_code, reason = "only a program can vouch for its signal handlers")]

use nix::errno::Errno;
use nix::sys::signal::{
    SaFlags, SigAction, SigHandler, SigSet, SigmaskHow, Signal, raise, sigaction, sigprocmask,
};
use nix::unistd::{pipe, read, write};
use std::io;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};

static RUNS: AtomicU32 = AtomicU32::new(0);
static LAST: AtomicI32 = AtomicI32::new(0);

extern "C" fn note(signal: i32) {
    RUNS.fetch_add(1, Ordering::SeqCst);
    LAST.store(signal, Ordering::SeqCst);
}

fn main() -> io::Result<()> {
    waiting()?;
    kept_and_lost()?;
    interrupted_calls()
}

/// A shell that sends signals to this program after a while, in which this program has begun to wait.
fn sender(signals: &[&str]) -> io::Result<Child> {
    let script: String = signals.iter().map(|signal| format!("sleep 0.2; kill -{signal} $PPID; ")).collect();
    Command::new("/bin/busybox").args(["sh", "-c", &script]).spawn()
}

fn set_of(signals: &[Signal]) -> SigSet {
    signals.iter().copied().collect()
}

fn waiting() -> io::Result<()> {
    let wanted = set_of(&[Signal::SIGUSR1, Signal::SIGUSR2, Signal::SIGWINCH]);
    sigprocmask(SigmaskHow::SIG_BLOCK, Some(&wanted), None)?;
    // Those that would end the program, and one that would do nothing.
    for signal in ["USR2", "WINCH", "USR1"] {
        let mut sender = sender(&[signal])?;
        println!("waited for {}", wanted.wait()?);
        sender.wait()?;
    }
    raise(Signal::SIGWINCH)?;
    raise(Signal::SIGUSR2)?;
    raise(Signal::SIGUSR1)?;
    raise(Signal::SIGUSR1)?;
    println!("waiting: {}, {}, {}", wanted.wait()?, wanted.wait()?, wanted.wait()?);
    sigprocmask(SigmaskHow::SIG_UNBLOCK, Some(&wanted), None)?;
    println!("what came twice was there once, and the program goes on");
    Ok(())
}

fn handle(signal: Signal, handler: SigHandler, flags: SaFlags) -> io::Result<()> {
    let action = SigAction::new(handler, flags, SigSet::empty());
    // SAFETY: the one handler of this program touches atomics only.
    unsafe { sigaction(signal, &action) }?;
    Ok(())
}

fn told(what: &str) {
    let (runs, last) = (RUNS.swap(0, Ordering::SeqCst), LAST.swap(0, Ordering::SeqCst));
    println!("{what}: handled {runs} times, the last was {last}");
}

fn kept_and_lost() -> io::Result<()> {
    let blocked = set_of(&[Signal::SIGUSR1, Signal::SIGCHLD]);
    handle(Signal::SIGUSR1, SigHandler::Handler(note), SaFlags::empty())?;
    raise(Signal::SIGUSR1)?;
    told("at once");
    sigprocmask(SigmaskHow::SIG_BLOCK, Some(&blocked), None)?;
    raise(Signal::SIGUSR1)?;
    raise(Signal::SIGUSR1)?;
    told("while it is blocked");
    sigprocmask(SigmaskHow::SIG_UNBLOCK, Some(&blocked), None)?;
    told("when it is not any more");

    sigprocmask(SigmaskHow::SIG_BLOCK, Some(&blocked), None)?;
    raise(Signal::SIGUSR1)?;
    handle(Signal::SIGUSR1, SigHandler::SigIgn, SaFlags::empty())?;
    handle(Signal::SIGUSR1, SigHandler::Handler(note), SaFlags::empty())?;
    sigprocmask(SigmaskHow::SIG_UNBLOCK, Some(&blocked), None)?;
    told("ignored in between");

    handle(Signal::SIGUSR1, SigHandler::Handler(note), SaFlags::SA_RESETHAND)?;
    raise(Signal::SIGUSR1)?;
    told("once only");
    handle(Signal::SIGUSR1, SigHandler::SigIgn, SaFlags::empty())?;
    raise(Signal::SIGUSR1)?;
    told("ignored");
    println!(
        "SIGKILL cannot be handled: {:?}",
        handle(Signal::SIGKILL, SigHandler::SigIgn, SaFlags::empty())
    );
    Ok(())
}

fn interrupted_calls() -> io::Result<()> {
    let (from, to) = pipe()?;
    let mut byte = [0];
    handle(Signal::SIGUSR1, SigHandler::Handler(note), SaFlags::empty())?;
    let mut child = sender(&["USR1"])?;
    println!("a read without SA_RESTART: {:?}", read(&from, &mut byte));
    child.wait()?;
    told("during the read");

    handle(Signal::SIGUSR1, SigHandler::Handler(note), SaFlags::SA_RESTART)?;
    handle(Signal::SIGUSR2, SigHandler::Handler(note), SaFlags::empty())?;
    let mut child = sender(&["USR1", "CONT", "WINCH", "USR2"])?;
    println!("a read with it, and then one without: {:?}", read(&from, &mut byte));
    child.wait()?;
    told("during both");

    drop(from);
    handle(Signal::SIGPIPE, SigHandler::SigIgn, SaFlags::empty())?;
    println!("a pipe without reader: {:?}", write(&to, b"x") == Err(Errno::EPIPE));
    handle(Signal::SIGPIPE, SigHandler::Handler(note), SaFlags::empty())?;
    println!("and with a handler: {:?}", write(&to, b"x") == Err(Errno::EPIPE));
    told("for the pipe");
    Ok(())
}

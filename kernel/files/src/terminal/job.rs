//! Job control (credentials(7), tty_ioctl): which job may read and write the terminal. What sessions and groups are, the
//! owner of processes knows and injects.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::sync::atomic::Ordering;

use abi::Errno;
use abi::capability::CAP_SYS_ADMIN;
use abi::signal::Signal;
use abi::termios::LocalFlags;
use machine::sync::Once;

use super::Terminal;

/// The process that makes the current call.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Its process id.
    pub process: u32,
    /// Its process group.
    pub group: u32,
    /// Its session.
    pub session: u32,
    /// The terminal that controls its session.
    pub terminal: Option<Arc<Terminal>>,
}

impl core::fmt::Debug for Terminal {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Terminal({})", self.name)
    }
}

impl Caller {
    /// Whether it leads its session.
    pub fn is_leader(&self) -> bool {
        self.process == self.session
    }

    /// Whether `terminal` controls its session.
    pub fn is_controlled_by(&self, terminal: &Terminal) -> bool {
        self.terminal.as_ref().is_some_and(|controlling| core::ptr::eq(&**controlling, terminal))
    }
}

/// What a terminal needs to know of processes, and do to them.
pub trait JobControl: Send + Sync {
    /// Who makes the current call; none for the kernel's own threads, which may do everything.
    fn caller(&self) -> Option<Caller>;
    /// Sends a signal to every process of a group.
    fn signal_group(&self, group: u32, signal: Signal);
    /// Whether the caller ignores or blocks a signal.
    fn is_ignored(&self, signal: Signal) -> bool;
    /// Whether no process could continue the caller's group when it is stopped.
    fn is_orphaned(&self) -> bool;
    /// The session of a group that exists.
    fn session_of(&self, group: u32) -> Option<u32>;
    /// Makes `terminal` the one that controls the caller's session, or none.
    fn set_terminal(&self, session: u32, terminal: Option<Arc<Terminal>>);
    /// The session has lost its terminal: its leader gets SIGHUP and SIGCONT, and the session has none from now on.
    fn lost_terminal(&self, session: u32);
    /// Whether the caller has a capability.
    fn has_capability(&self, capability: u32) -> bool;
}

static JOBS: Once<Box<dyn JobControl>> = Once::new();

/// Says who knows jobs. Called once, at boot; until then nobody is controlled and no signal is sent.
pub fn set_job_control(jobs: Box<dyn JobControl>) {
    let _ = JOBS.set(jobs);
}

/// Who knows jobs.
pub fn job_control() -> Option<&'static dyn JobControl> {
    JOBS.get().map(|jobs| &**jobs)
}

/// Whether the caller may do what only the foreground job may. Otherwise its group gets `signal` and the call EINTR, to be
/// made again when the job is continued; EIO where that would never happen.
fn check(terminal: &Terminal, signal: Signal) -> Result<(), Errno> {
    let Some(jobs) = job_control() else { return Ok(()) };
    let Some(caller) = jobs.caller() else { return Ok(()) };
    let foreground = terminal.foreground();
    if !caller.is_controlled_by(terminal) || foreground == 0 || caller.group == foreground {
        return Ok(());
    }
    if jobs.is_ignored(signal) {
        return if signal == Signal::SIGTTIN { Err(Errno::EIO) } else { Ok(()) };
    }
    if jobs.is_orphaned() {
        return Err(Errno::EIO);
    }
    jobs.signal_group(caller.group, signal);
    Err(Errno::EINTR)
}

/// Whether the caller may read.
pub(super) fn check_reading(terminal: &Terminal) -> Result<(), Errno> {
    check(terminal, Signal::SIGTTIN)
}

/// Whether the caller may write: everybody, unless TOSTOP is set.
pub(super) fn check_writing(terminal: &Terminal) -> Result<(), Errno> {
    let stops = LocalFlags::from_bits_retain(terminal.termios().c_lflag).contains(LocalFlags::TOSTOP);
    if stops { check(terminal, Signal::SIGTTOU) } else { Ok(()) }
}

/// Whether the caller may change settings.
pub(super) fn check_changing(terminal: &Terminal) -> Result<(), Errno> {
    check(terminal, Signal::SIGTTOU)
}

/// Makes the terminal control the caller's session if that has none and the caller leads it: what opening does.
pub(super) fn adopt_on_open(terminal: &Arc<Terminal>) {
    let Some(jobs) = job_control() else { return };
    let Some(caller) = jobs.caller() else { return };
    if caller.is_leader() && caller.terminal.is_none() {
        // Another session may have it already; then the opener simply gets no controlling terminal.
        let _ = take(terminal, jobs, &caller);
    }
}

fn take(terminal: &Arc<Terminal>, jobs: &dyn JobControl, caller: &Caller) -> Result<(), Errno> {
    terminal
        .session
        .compare_exchange(0, caller.session, Ordering::AcqRel, Ordering::Acquire)
        .map_err(|_| Errno::EPERM)?;
    terminal.foreground.store(caller.group, Ordering::Release);
    jobs.set_terminal(caller.session, Some(Arc::clone(terminal)));
    Ok(())
}

/// TIOCSCTTY: EPERM for a caller that does not lead its session or whose session has a terminal, or when the terminal has
/// another session and is not to be stolen.
pub(super) fn set_controlling(terminal: &Arc<Terminal>, steal: bool) -> Result<(), Errno> {
    let jobs = job_control().ok_or(Errno::ENOTTY)?;
    let caller = jobs.caller().ok_or(Errno::ENOTTY)?;
    if caller.is_leader() && terminal.session() == caller.session {
        return Ok(());
    }
    if !caller.is_leader() || caller.terminal.is_some() {
        return Err(Errno::EPERM);
    }
    let owner = terminal.session();
    if owner != 0 {
        if !steal || !jobs.has_capability(CAP_SYS_ADMIN) {
            return Err(Errno::EPERM);
        }
        terminal.session.store(0, Ordering::Release);
        jobs.set_terminal(owner, None);
    }
    take(terminal, jobs, &caller)
}

/// TIOCNOTTY: ENOTTY when the terminal does not control the caller. A leader gives it up for its whole session.
pub(super) fn give_up(terminal: &Terminal) -> Result<(), Errno> {
    let jobs = job_control().ok_or(Errno::ENOTTY)?;
    let caller = jobs.caller().ok_or(Errno::ENOTTY)?;
    if !caller.is_controlled_by(terminal) {
        return Err(Errno::ENOTTY);
    }
    if caller.is_leader() {
        terminal.end_session();
        jobs.set_terminal(caller.session, None);
    }
    Ok(())
}

/// TIOCSPGRP: ENOTTY when the terminal does not control the caller, EPERM for a group of another session, ESRCH for none.
pub(super) fn set_foreground(terminal: &Terminal, group: i32) -> Result<(), Errno> {
    check_changing(terminal)?;
    let jobs = job_control().ok_or(Errno::ENOTTY)?;
    let caller = jobs.caller().ok_or(Errno::ENOTTY)?;
    if !caller.is_controlled_by(terminal) || terminal.session() != caller.session {
        return Err(Errno::ENOTTY);
    }
    let group = u32::try_from(group).map_err(|_| Errno::EINVAL)?;
    match jobs.session_of(group) {
        None => Err(Errno::ESRCH),
        Some(session) if session != caller.session => Err(Errno::EPERM),
        Some(_) => {
            terminal.foreground.store(group, Ordering::Release);
            Ok(())
        }
    }
}

/// TIOCGPGRP and TIOCGSID: only for the terminal that controls the caller (ENOTTY).
pub(super) fn check_controlling(terminal: &Terminal) -> Result<(), Errno> {
    let Some(caller) = job_control().and_then(|jobs| jobs.caller()) else { return Err(Errno::ENOTTY) };
    if caller.is_controlled_by(terminal) { Ok(()) } else { Err(Errno::ENOTTY) }
}

//! Waiting for children (wait4(2), waitid(2)).

use alloc::sync::Arc;

use abi::Errno;
use abi::sched::{WaitFlags, WaitStatus};
use machine::sync::atomic::Ordering;
use threads::Wait;

use super::account::Usage;
use super::ids::Pid;
use super::{Caller, Process};

/// Which children are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// Any.
    Any,
    /// The one with this number.
    Process(Pid),
    /// Those in the group with this number.
    Group(Pid),
}

/// What was found out about a child.
#[derive(Clone, Debug)]
pub struct Found {
    /// Its number.
    pub pid: Pid,
    /// Its real user.
    pub uid: u32,
    /// What has become of it.
    pub status: WaitStatus,
    /// What it has used, its own children included.
    pub usage: Usage,
}

impl Which {
    fn matches(self, child: &Process, flags: WaitFlags) -> bool {
        let is_meant = match self {
            Self::Any => true,
            Self::Process(pid) => child.pid() == pid,
            Self::Group(id) => child.group().id() == id,
        };
        // A child that does not end with SIGCHLD is one of clone(2) (wait(2), "Linux notes").
        let is_clone = child.exit_signal() != Some(abi::signal::Signal::SIGCHLD);
        is_meant && (flags.contains(WaitFlags::__WALL) || is_clone == flags.contains(WaitFlags::__WCLONE))
    }
}

/// Waits until a child that is meant has changed its state in a way that `flags` ask for. `None` with WNOHANG when none has; ECHILD when there is none that could.
pub fn wait(caller: &Caller, which: Which, flags: WaitFlags) -> Result<Option<Found>, Errno> {
    let process = &caller.process;
    let is_patient = !flags.contains(WaitFlags::NOHANG);
    let how = Wait { interruptible: is_patient, deadline_ns: None };
    let ready = || match look(process, which, flags) {
        Look::Found(found) => Some(Ok(Some(found))),
        Look::Failed(error) => Some(Err(error)),
        Look::Nothing => (!is_patient).then_some(Ok(None)),
        // SIGCHLD comes before the end of a wait, so even who has no patience waits for that moment.
        Look::BeingTold => None,
    };
    match ready() {
        Some(outcome) => outcome,
        None => process.child_changed.wait_until(how, ready).unwrap_or(Err(Errno::EINTR)),
    }
}

/// What a look at all children says.
enum Look {
    Found(Found),
    /// One is meant, and has nothing to tell.
    Nothing,
    /// One that is meant has ended, and its parent is about to be told.
    BeingTold,
    Failed(Errno),
}

/// What a look at one child says.
enum Seen {
    Nothing,
    BeingTold,
    Ended(WaitStatus),
    Changed(WaitStatus),
}

/// Looks once.
fn look(process: &Arc<Process>, which: Which, flags: WaitFlags) -> Look {
    loop {
        let mut is_any_meant = false;
        let mut is_being_told = false;
        let found = process.find_child(|child| {
            if !which.matches(child, flags) {
                return None;
            }
            // One that has ended will not change in any other way.
            let can_change = flags.contains(WaitFlags::EXITED) || child.state.lock().zombie.is_none();
            is_any_meant |= can_change;
            match examine(child, flags) {
                Seen::Nothing => None,
                Seen::BeingTold => {
                    is_being_told = true;
                    None
                }
                Seen::Ended(status) => Some((child.pid(), status, true)),
                Seen::Changed(status) => Some((child.pid(), status, false)),
            }
        });
        let Some((pid, status, has_ended)) = found else {
            return match (is_being_told, is_any_meant) {
                (true, _) => Look::BeingTold,
                (false, true) => Look::Nothing,
                (false, false) => Look::Failed(Errno::ECHILD),
            };
        };
        let child = process.namespaces.pids.process(pid);
        let Some(child) = child.filter(|child| child.parent_pid() == process.pid()) else {
            // Another thread was quicker, and its number may be another's already.
            continue;
        };
        if has_ended && !flags.contains(WaitFlags::NOWAIT) && !process.remove_child(&child) {
            // Another thread was quicker.
            continue;
        }
        let usage = child.account.times(&child).plus(child.account.children());
        let uid = *child.last_uid.get().unwrap_or(&0);
        let uid = child.leader().map_or(uid, |task| task.credentials().uid);
        if has_ended && !flags.contains(WaitFlags::NOWAIT) {
            process.account.add_child(&child);
            release(&child);
        }
        return Look::Found(Found { pid: child.pid(), uid, status, usage });
    }
}

/// What there is to tell of a child. A report that is told is taken, unless WNOWAIT.
fn examine(child: &Process, flags: WaitFlags) -> Seen {
    let mut state = child.state.lock();
    if let Some(status) = state.zombie {
        return match (flags.contains(WaitFlags::EXITED), state.is_told) {
            (true, true) => Seen::Ended(status),
            (true, false) => Seen::BeingTold,
            (false, _) => Seen::Nothing,
        };
    }
    let Some(report) = state.report else { return Seen::Nothing };
    let is_wanted = match report {
        WaitStatus::Stopped(_) => flags.contains(WaitFlags::UNTRACED),
        WaitStatus::Continued => flags.contains(WaitFlags::CONTINUED),
        WaitStatus::Exited(_) | WaitStatus::Killed { .. } => false,
    };
    if !is_wanted {
        return Seen::Nothing;
    }
    if !flags.contains(WaitFlags::NOWAIT) {
        state.report = None;
    }
    Seen::Changed(report)
}

/// Gives up the number of a process that nobody will ask for again, and its place in its group.
pub fn release(child: &Process) {
    child.is_listed.store(false, Ordering::Release);
    child.group().leave(child);
    child.namespaces.pids.retire_process(child.pid());
    let membership = child.membership.lock().take();
    drop(membership);
}

//! Sending a signal: what happens at once, where it waits, and who is told (kill(2), signal(7)).

use alloc::sync::Arc;

use abi::Errno;
use abi::capability::CAP_KILL;
use abi::sched::WaitStatus;
use abi::signal::info::{SI_KERNEL, SI_USER, SigInfo};
use abi::signal::{SIG_DFL, SigAction, SigSet, Signal};
use files::Credentials;
use threads::poll::Events;

use super::Disposition;
use super::stop::resume;
use crate::process::{Group, Process, Task};

/// Sends to a process: some thread that does not block the signal takes it.
pub fn to_process(process: &Arc<Process>, signal: Signal, info: SigInfo) -> Result<(), Errno> {
    if !prepare(process, None, signal, &info) {
        return Ok(());
    }
    {
        let limit = process.limits.pending_signals();
        let mut state = process.state.lock();
        if signal == Signal::SIGKILL && state.zombie.is_none() {
            state.ending.get_or_insert(WaitStatus::Killed { signal: signal.number() as u8, dumped: false });
        }
        state.pending.push(signal, info, limit)?;
    }
    process.signal_arrived.notify(Events::IN);
    if signal == Signal::SIGKILL {
        end_all(process);
    } else if let Some(task) = process.find_task(|task| task.takes(signal).then(|| task.clone())) {
        task.attend();
    }
    Ok(())
}

/// Sends to one thread.
pub fn to_task(task: &Arc<Task>, signal: Signal, info: SigInfo) -> Result<(), Errno> {
    let process = task.process();
    if signal == Signal::SIGKILL {
        return to_process(process, signal, info);
    }
    if !prepare(process, Some(task), signal, &info) {
        return Ok(());
    }
    task.pending.lock().push(signal, info, process.limits.pending_signals())?;
    process.signal_arrived.notify(Events::IN);
    if task.takes(signal) {
        task.attend();
    }
    Ok(())
}

/// Sends to every process of a group; whether there was one.
pub fn to_group(group: &Group, signal: Signal, info: SigInfo) -> bool {
    let mut found = false;
    group.for_each_member(|process| {
        if !process.is_zombie() {
            found = true;
            // A full queue is reported to who asks for one process; the rest of a group still gets its signal.
            let _ = to_process(process, signal, info);
        }
    });
    found
}

/// The kernel's own signal for a process, with nothing to add.
pub fn kernel_to_process(process: &Arc<Process>, signal: Signal) {
    // Without details it is never refused.
    let _ = to_process(process, signal, SigInfo::kernel(signal));
}

/// A signal that the thread itself caused by an instruction: it cannot be put off. If it is blocked or ignored, it ends the process, the first one too.
pub fn force(task: &Arc<Task>, signal: Signal, info: SigInfo) {
    let process = task.process();
    let is_blocked = task.blocked().contains(signal);
    let ends = process.with_actions(|actions| {
        if is_blocked || actions.disposition(signal) == Disposition::Ignore {
            actions.set(signal, SigAction::default());
        }
        !matches!(actions.disposition(signal), Disposition::Handle(_))
    });
    if is_blocked {
        let mut mask = task.blocked();
        mask.remove(signal);
        task.set_blocked(mask);
    }
    if ends {
        process.state.lock().is_killable = true;
    }
    // Room or not: the set remembers the signal even where its details find no place.
    let _ = task.pending.lock().push(signal, info, usize::MAX);
    task.attend();
}

/// Has every thread look at the state of the process, those at a halt too.
pub fn end_all(process: &Arc<Process>) {
    // Without a list of them: this may be the way to memory.
    let _: Option<()> = process.find_task(|task| {
        task.attend();
        None
    });
    process.resumed.wake_all();
}

/// Whether `sender` may send `signal` to `target` (kill(2)).
pub fn is_permitted(
    sender: &Process,
    credentials: &Credentials,
    target: &Process,
    signal: Option<Signal>,
) -> bool {
    let Some(theirs) = target.leader().map(|task| task.credentials()) else { return true };
    let ids = [theirs.suid, theirs.uid];
    credentials.has(CAP_KILL)
        || ids.contains(&credentials.euid)
        || ids.contains(&credentials.uid)
        || signal == Some(Signal::SIGCONT) && Arc::ptr_eq(&sender.session(), &target.session())
}

/// What a signal does the moment it is sent, whatever becomes of it: stopping and continuing cancel each other. Returns whether it is worth keeping.
fn prepare(process: &Arc<Process>, target: Option<&Arc<Task>>, signal: Signal, info: &SigInfo) -> bool {
    if process.is_zombie() {
        return false;
    }
    if SigSet::STOPPING.contains(signal) {
        discard(process, SigSet::of(&[Signal::SIGCONT]));
    } else if signal == Signal::SIGCONT {
        discard(process, SigSet::STOPPING);
        resume(process);
    }
    let is_blocked = match target {
        Some(task) => task.blocked().contains(signal),
        None => process.leader().is_some_and(|task| task.blocked().contains(signal)),
    };
    let from_kernel = info.si_code == SI_KERNEL;
    let is_protected = process.is_init()
        && !process.state.lock().is_killable
        && (!from_kernel || !SigSet::UNBLOCKABLE.contains(signal));
    process.with_actions(|actions| {
        let does_default = actions.get(signal).sa_handler == SIG_DFL || SigSet::UNBLOCKABLE.contains(signal);
        if is_protected && does_default {
            // A blocked one waits all the same: the process may want to take it by sigwait(3).
            return is_blocked && !SigSet::UNBLOCKABLE.contains(signal);
        }
        is_blocked || !actions.is_ignored(signal)
    })
}

/// Forgets waiting signals of `unwanted`, wherever they wait.
pub fn discard(process: &Arc<Process>, unwanted: SigSet) {
    process.state.lock().pending.discard(unwanted);
    let _: Option<()> = process.find_task(|task| {
        task.pending.lock().discard(unwanted);
        None
    });
}

/// The details of a signal that `sender` sends with kill(2).
pub fn user_info(signal: Signal, code: i32, sender: &Process, credentials: &Credentials) -> SigInfo {
    debug_assert!(code <= SI_USER);
    SigInfo::sent(signal, code, sender.pid(), credentials.uid)
}

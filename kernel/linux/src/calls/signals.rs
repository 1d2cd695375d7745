//! Signals: sending, handling, blocking, waiting.

use abi::Errno;
use abi::signal::info::{SI_ASYNCNL, SI_DETHREAD, SI_KERNEL, SI_TKILL, SI_USER, SigInfo};
use abi::signal::{SIG_BLOCK, SIG_SETMASK, SIG_UNBLOCK, SigAction, SigAltStack, SigSet, Signal};
use abi::time::Timespec;
use alloc::sync::Arc;
use machine::address::UserAddress;
use memory::user;
use zerocopy::IntoBytes;

use super::Arguments;
use super::arguments::{read_optional, write_optional};
use crate::process::{Caller, Group, Process};
use crate::signal::{deliver, send, wait};

type Outcome = Result<usize, Errno>;

/// The signal that a number names; 0 only asks whether one could be sent.
fn wanted(number: i32) -> Result<Option<Signal>, Errno> {
    if number == 0 { Ok(None) } else { Signal::new(number).map(Some).ok_or(Errno::EINVAL) }
}

fn check_set_size(size: usize) -> Result<(), Errno> {
    if size == SigSet::SIZE { Ok(()) } else { Err(Errno::EINVAL) }
}

/// Sends a signal of this number to a process; that there is such a signal is asked once there is such a process.
fn send_one(caller: &Caller, target: &Arc<Process>, number: i32) -> Result<(), Errno> {
    let signal = wanted(number)?;
    if !send::is_permitted(&caller.process, &caller.credentials, target, signal) {
        return Err(Errno::EPERM);
    }
    match signal {
        Some(signal) => {
            let info = send::user_info(signal, SI_USER, &caller.process, &caller.credentials);
            send::to_process(target, signal, info)
        }
        None => Ok(()),
    }
}

/// What comes of sending to many: fine if one got it, else the last error; ESRCH when there was none.
fn merge(outcome: &mut Outcome, sent: Result<(), Errno>) {
    match sent {
        Ok(()) => *outcome = Ok(0),
        Err(error) if outcome.is_err() => *outcome = Err(error),
        Err(_) => {}
    }
}

fn send_to_group(caller: &Caller, group: &Group, signal: i32) -> Outcome {
    let mut outcome = Err(Errno::ESRCH);
    group.for_each_member(|process| merge(&mut outcome, send_one(caller, process, signal)));
    outcome
}

/// kill(2).
pub fn kill(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let signal = arguments.int(1);
    let pids = &caller.process.namespaces.pids;
    match arguments.int(0) {
        pid if pid > 0 => {
            let target = pids.process(pid).or_else(|| Some(pids.task(pid)?.process().clone()));
            send_one(caller, &target.ok_or(Errno::ESRCH)?, signal)?;
            Ok(0)
        }
        0 => send_to_group(caller, &caller.process.group(), signal),
        -1 => {
            let own = caller.process.pid();
            let mut outcome = Err(Errno::ESRCH);
            pids.for_each_process(|other| {
                if other.pid() > 1 && other.pid() != own {
                    merge(&mut outcome, send_one(caller, other, signal));
                }
            });
            outcome
        }
        i32::MIN => Err(Errno::ESRCH),
        pid => send_to_group(caller, &*pids.group(-pid).ok_or(Errno::ESRCH)?, signal),
    }
}

fn send_to_thread(caller: &Caller, tgid: Option<i32>, tid: i32, signal: i32) -> Outcome {
    if tid <= 0 || tgid.is_some_and(|tgid| tgid <= 0) {
        return Err(Errno::EINVAL);
    }
    let task = caller.process.namespaces.pids.task(tid).ok_or(Errno::ESRCH)?;
    if tgid.is_some_and(|tgid| task.process().pid() != tgid) {
        return Err(Errno::ESRCH);
    }
    let signal = wanted(signal)?;
    if !send::is_permitted(&caller.process, &caller.credentials, task.process(), signal) {
        return Err(Errno::EPERM);
    }
    if let Some(signal) = signal {
        let info = send::user_info(signal, SI_TKILL, &caller.process, &caller.credentials);
        send::to_task(&task, signal, info)?;
    }
    Ok(0)
}

/// tkill(2).
pub fn tkill(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    send_to_thread(caller, None, arguments.int(0), arguments.int(1))
}

/// tgkill(2).
pub fn tgkill(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    send_to_thread(caller, Some(arguments.int(0)), arguments.int(1), arguments.int(2))
}

/// The details that a program makes up itself: it may not claim that the kernel or kill(2) sent them, but to itself. E2BIG for
/// more of them than this kernel knows.
fn queued_info(address: UserAddress, signal: i32, is_to_itself: bool) -> Result<SigInfo, Errno> {
    let mut info: SigInfo = user::read_value(address)?;
    info.si_signo = signal;
    if !has_known_layout(signal, info.si_code)
        && info.as_bytes().get(KNOWN_INFO_LEN..).is_some_and(|rest| rest.iter().any(|byte| *byte != 0))
    {
        return Err(Errno::E2BIG);
    }
    let is_forged = info.si_code >= 0 || info.si_code == SI_TKILL;
    if is_forged && !is_to_itself { Err(Errno::EPERM) } else { Ok(info) }
}

/// How many bytes of the details any of the known layouts uses.
const KNOWN_INFO_LEN: usize = 48;

/// Whether the kernel knows what the details of a signal with this code are (sigaction(2), the list of codes).
fn has_known_layout(signal: i32, code: i32) -> bool {
    let largest = match Signal::new(signal) {
        Some(Signal::SIGILL) => 11,
        Some(Signal::SIGFPE) => 15,
        Some(Signal::SIGSEGV) => 10,
        Some(Signal::SIGBUS) => 5,
        Some(Signal::SIGSYS) => 2,
        _ => 6,
    };
    match code {
        SI_KERNEL | SI_ASYNCNL => true,
        code if code > SI_USER => code <= largest,
        code => code >= SI_DETHREAD,
    }
}

/// rt_sigqueueinfo(2).
pub fn rt_sigqueueinfo(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let pid = arguments.int(0);
    let info = queued_info(arguments.address(2), arguments.int(1), pid == caller.process.pid())?;
    let pids = &caller.process.namespaces.pids;
    let target = pids.process(pid).or_else(|| Some(pids.task(pid)?.process().clone())).ok_or(Errno::ESRCH)?;
    let signal = wanted(arguments.int(1))?;
    if !send::is_permitted(&caller.process, &caller.credentials, &target, signal) {
        return Err(Errno::EPERM);
    }
    if let Some(signal) = signal {
        send::to_process(&target, signal, info)?;
    }
    Ok(0)
}

/// rt_tgsigqueueinfo(2).
pub fn rt_tgsigqueueinfo(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let (tgid, tid) = (arguments.int(0), arguments.int(1));
    let info = queued_info(arguments.address(3), arguments.int(2), tid == caller.task.tid())?;
    if tgid <= 0 || tid <= 0 {
        return Err(Errno::EINVAL);
    }
    let task = caller.process.namespaces.pids.task(tid).ok_or(Errno::ESRCH)?;
    if task.process().pid() != tgid {
        return Err(Errno::ESRCH);
    }
    let signal = wanted(arguments.int(2))?;
    if !send::is_permitted(&caller.process, &caller.credentials, task.process(), signal) {
        return Err(Errno::EPERM);
    }
    if let Some(signal) = signal {
        send::to_task(&task, signal, info)?;
    }
    Ok(0)
}

/// rt_sigaction(2).
pub fn rt_sigaction(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    check_set_size(arguments.size(3))?;
    let new: Option<SigAction> = read_optional(arguments.optional(1))?;
    let signal = Signal::new(arguments.int(0)).ok_or(Errno::EINVAL)?;
    if new.is_some() && SigSet::UNBLOCKABLE.contains(signal) {
        return Err(Errno::EINVAL);
    }
    let (old, is_ignored) = caller.process.with_actions(|actions| {
        let old = actions.get(signal);
        if let Some(new) = new {
            actions.set(signal, new);
        }
        (old, actions.is_ignored(signal))
    });
    if new.is_some() && is_ignored {
        // What waits is forgotten at once, blocked or not (POSIX, sigaction()).
        send::discard(&caller.process, SigSet::of(&[signal]));
    }
    write_optional(arguments.optional(2), &old)?;
    Ok(0)
}

/// rt_sigprocmask(2).
pub fn rt_sigprocmask(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    check_set_size(arguments.size(3))?;
    let old = caller.task.blocked();
    if let Some(address) = arguments.optional(1) {
        let set = SigSet(user::read_value(address)?);
        let new = match arguments.unsigned(0) {
            SIG_BLOCK => old.union(set),
            SIG_UNBLOCK => old.difference(set),
            SIG_SETMASK => set,
            _ => return Err(Errno::EINVAL),
        };
        caller.set_blocked(new);
    }
    write_optional(arguments.optional(2), &old.0)?;
    Ok(0)
}

/// rt_sigpending(2).
pub fn rt_sigpending(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    if arguments.size(1) > SigSet::SIZE {
        return Err(Errno::EINVAL);
    }
    // One lock after the other: the two have the same rank.
    let own = caller.task.pending.lock().set();
    let waiting = own.union(caller.process.pending_set());
    let set = waiting.intersection(caller.task.blocked()).0.to_ne_bytes();
    user::write_bytes(arguments.address(0), set.get(..arguments.size(1)).unwrap_or(&set))?;
    Ok(0)
}

/// rt_sigtimedwait(2).
pub fn rt_sigtimedwait(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    check_set_size(arguments.size(3))?;
    let wanted = SigSet(user::read_value(arguments.address(0))?);
    let timeout: Option<Timespec> = read_optional(arguments.optional(2))?;
    let deadline_ns = match timeout {
        Some(timeout) => Some(crate::time::deadline_after(&timeout)?),
        None => None,
    };
    let (signal, info) = wait::take(caller, wanted, deadline_ns)?;
    write_optional(arguments.optional(1), &info)?;
    Ok(signal.number() as usize)
}

/// rt_sigsuspend(2).
pub fn rt_sigsuspend(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    check_set_size(arguments.size(1))?;
    let set = SigSet(user::read_value(arguments.address(0))?);
    use_mask(caller, set);
    Err(wait::pause())
}

/// Blocks `set` until the call ends and what interrupts it has been delivered.
pub fn use_mask(caller: &mut Caller, set: SigSet) {
    caller.saved_mask = Some(caller.task.blocked());
    caller.set_blocked(set);
    if caller.has_deliverable() {
        // It waits already: the wait must not begin.
        let work = threads::current();
        work.work().fetch_or(threads::work::INTERRUPT, machine::sync::atomic::Ordering::SeqCst);
    }
}

/// Ends what [`use_mask`] began, for a call that was not interrupted. One that was keeps the mask until its handler's frame is built.
pub fn restore_mask(caller: &mut Caller, outcome: &Outcome) {
    if *outcome != Err(Errno::EINTR)
        && let Some(mask) = caller.saved_mask.take()
    {
        caller.set_blocked(mask);
    }
}

/// Reads the mask that a call of the `p` kind is given, if any, and blocks it.
pub fn use_optional_mask(
    caller: &mut Caller,
    address: Option<UserAddress>,
    size: usize,
) -> Result<(), Errno> {
    if let Some(address) = address {
        check_set_size(size)?;
        let set = SigSet(user::read_value(address)?);
        use_mask(caller, set);
    }
    Ok(())
}

/// pause(2).
pub fn pause(_: &mut Caller, _: &Arguments) -> Outcome {
    Err(wait::pause())
}

/// rt_sigreturn(2).
pub fn rt_sigreturn(caller: &mut Caller, _: &Arguments) -> Outcome {
    Ok(deliver::sigreturn(caller))
}

/// sigaltstack(2).
pub fn sigaltstack(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let new: Option<SigAltStack> = read_optional(arguments.optional(0))?;
    let stack_pointer = caller.context.registers().rsp;
    let old = deliver::reported_stack(&caller.alternate_stack, stack_pointer);
    if let Some(new) = new {
        deliver::set_alternate_stack(&mut caller.alternate_stack, new, stack_pointer)?;
    }
    write_optional(arguments.optional(1), &old)?;
    Ok(0)
}

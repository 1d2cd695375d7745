//! The end of a thread, and of a process with its last thread (exit(2), exit_group(2)).
//!
//! A child that ends and a parent that ends at the same time agree on who is told by order alone: the child first becomes a zombie and then looks up its parent; the parent's end first names
//! the new parent and then looks whether the child is a zombie. Whichever comes second sees the other, and telling twice does no harm.

use alloc::sync::{Arc, Weak};

use abi::sched::WaitStatus;
use abi::signal::info::{CLD_EXITED, CLD_KILLED, SigInfo};
use abi::signal::{ActionFlags, SIG_IGN, Signal};
use machine::address::UserAddress;
use machine::sync::atomic::Ordering;

use super::account::Usage;
use super::{Caller, Process, wait};
use crate::futex::robust;
use crate::signal::{send, stop};

/// exit(2): this thread ends. `status` is what the parent learns if it is the last, or the first and the others end by themselves.
pub fn end_thread(caller: &mut Caller, status: u8) {
    {
        let mut state = caller.process.state.lock();
        let is_leader = caller.task.tid() == caller.process.pid();
        if is_leader || state.live_threads == 1 && state.leader_status.is_none() {
            state.leader_status = Some(WaitStatus::Exited(status));
        }
    }
    caller.end();
}

/// exit_group(2): all threads end.
pub fn end_group(caller: &mut Caller, status: u8) {
    caller.process.state.lock().ending.get_or_insert(WaitStatus::Exited(status));
    send::end_all(&caller.process);
    caller.end();
}

/// What a thread does last: gives back all that it holds. Afterwards its kernel thread ends.
pub fn leave(caller: Caller) {
    robust::release_all(&caller);
    clear_child_tid(&caller);
    let Caller { task, process, space, descriptors, place, vfork, context, .. } = caller;
    drop(context);
    drop(task.set_descriptors(None));
    drop(descriptors);
    drop(task.set_place(None));
    drop(place);
    process.account.add_thread(&Usage::of(&task));
    process.namespaces.pids.retire_task(task.tid());
    let uid = task.credentials().uid;
    // That of the first thread counts until the process is waited for.
    let membership = task.leave_user();
    let left_over = if task.tid() == process.pid() {
        core::mem::replace(&mut *process.membership.lock(), membership)
    } else {
        membership
    };
    drop(left_over);
    let name = task.name();
    let left = process.remove_task(&task);
    task.finish();
    machine::task::set_space(None);
    // Before the parent is told: it may need the memory.
    drop(space);
    if left == 0 {
        // Only the last thread sets it.
        let _ = process.last_name.set(name);
        end_process(&process, uid);
    } else {
        stop::check_complete(&process);
    }
    if let Some(vfork) = vfork {
        vfork.complete();
    }
}

/// Tells who waits for the thread's end by the word that it named (set_tid_address(2)).
pub fn clear_child_tid(caller: &Caller) {
    let word = caller.task.clear_child_tid.swap(0, Ordering::Relaxed);
    // Nobody else sees the word of a space that only this thread's process uses with no other thread.
    let is_shared = caller.process.state.lock().live_threads > 1 || caller.vfork.is_some();
    if word != 0 && is_shared {
        let word = UserAddress(word as usize);
        // A word that is gone is nobody's to wait for.
        if memory::user::write_value(word, &0u32).is_ok() {
            crate::futex::wake_word(&caller.space, word, 1);
        }
    }
}

/// The last thread has gone.
fn end_process(process: &Arc<Process>, uid: u32) {
    // Only the last use sets it.
    let _ = process.last_uid.set(uid);
    process.timers.clear();
    process.account.note_resident(process);
    // The memory goes now, not when the parent waits.
    drop(process.set_program(None));
    if process.is_init() {
        let status = final_status(process);
        if let Some(machinery) = crate::machinery() {
            machinery.first_process_ended(status.encode());
        }
    }
    let orphans_heir = heir(process);
    if process.is_session_leader() {
        crate::terminals::leader_ended(process);
    }
    while let Some(child) = process.take_child() {
        adopt(process, &orphans_heir, child);
    }
    let group = process.group();
    if let Some(parent) = process.parent()
        && parent.group().id() != group.id()
        && Arc::ptr_eq(parent.group().session(), group.session())
    {
        hang_up_if_orphaned(&group, process);
    }
    let status = final_status(process);
    process.state.lock().zombie = Some(status);
    // Whoever waits for the memory of a process that ends looks for another from now on.
    memory::oom::memory_was_freed();
    if let Some(parent) = process.parent() {
        tell_parent(&parent, process, status);
    }
}

fn final_status(process: &Process) -> WaitStatus {
    let state = process.state.lock();
    state.ending.or(state.leader_status).unwrap_or(WaitStatus::Exited(0))
}

/// Who adopts the children: the nearest ancestor that asked for it, or the first process.
fn heir(process: &Arc<Process>) -> Option<Arc<Process>> {
    let init = process.namespaces.init.get().and_then(Weak::upgrade);
    let mut ancestor = process.parent();
    while let Some(candidate) = ancestor {
        if candidate.is_subreaper.load(Ordering::Relaxed) && !candidate.is_ending() && !candidate.is_zombie()
        {
            return Some(candidate);
        }
        ancestor = candidate.parent();
    }
    init.filter(|init| !Arc::ptr_eq(init, process))
}

fn adopt(process: &Arc<Process>, heir: &Option<Arc<Process>>, child: Arc<Process>) {
    let death_signal = Signal::new(child.parent_death_signal.load(Ordering::Relaxed) as i32);
    if let Some(signal) = death_signal {
        send::kernel_to_process(&child, signal);
    }
    let group = child.group();
    let was_held = group.id() != process.group().id() && Arc::ptr_eq(group.session(), &process.session());
    if let Some(heir) = heir {
        child.set_exit_signal(Signal::SIGCHLD);
        child.set_parent(heir);
        child.state.lock().is_told = false;
        heir.add_child(&child);
        let zombie = child.state.lock().zombie;
        if let Some(status) = zombie {
            tell_parent(heir, &child, status);
        }
    }
    if was_held {
        hang_up_if_orphaned(&group, process);
    }
}

/// A group that nobody can continue any more does not stay stopped: SIGHUP, then SIGCONT (POSIX, _Exit()).
fn hang_up_if_orphaned(group: &super::Group, without: &Process) {
    if group.is_orphaned(Some(without)) && group.has_stopped_member() {
        send::to_group(group, Signal::SIGHUP, SigInfo::kernel(Signal::SIGHUP));
        send::to_group(group, Signal::SIGCONT, SigInfo::kernel(Signal::SIGCONT));
    }
}

/// Tells the parent of a zombie. A parent that ignores SIGCHLD never waits: the zombie goes at once (wait(2), notes).
fn tell_parent(parent: &Arc<Process>, child: &Arc<Process>, status: WaitStatus) {
    let Some(signal) = child.exit_signal() else {
        child.state.lock().is_told = true;
        parent.child_changed.wake_all();
        return;
    };
    let (ignores, refuses) = parent.with_actions(|actions| {
        let ignores = actions.get(Signal::SIGCHLD).sa_handler == SIG_IGN;
        (ignores, actions.flags(Signal::SIGCHLD).contains(ActionFlags::NOCLDWAIT))
    });
    let goes_at_once = signal == Signal::SIGCHLD && (ignores || refuses);
    if !(signal == Signal::SIGCHLD && ignores) {
        let usage = child.account.times(child);
        let (code, value) = match status {
            WaitStatus::Killed { signal, .. } => (CLD_KILLED, i32::from(signal)),
            WaitStatus::Exited(status) => (CLD_EXITED, i32::from(status)),
            WaitStatus::Stopped(_) | WaitStatus::Continued => (CLD_EXITED, 0),
        };
        let uid = *child.last_uid.get().unwrap_or(&0);
        let mut info =
            SigInfo::child(code, child.pid(), uid, value, usage.user_ticks(), usage.system_ticks());
        info.si_signo = signal.number();
        // Refused only when a real-time exit signal finds a full queue; the parent is woken all the same.
        let _ = send::to_process(parent, signal, info);
    }
    if goes_at_once && parent.remove_child(child) {
        wait::release(child);
    }
    child.state.lock().is_told = true;
    parent.child_changed.wake_all();
}

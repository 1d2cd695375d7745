//! Stopping and going on: job control as seen by the process (signal(7), waitpid(2)).

use alloc::sync::Arc;

use abi::sched::WaitStatus;
use abi::signal::info::{CLD_CONTINUED, CLD_STOPPED, SigInfo};
use abi::signal::{ActionFlags, Signal};
use threads::Wait;

use super::send::to_process;
use crate::process::{Caller, Process, Stop};

/// Orders all threads of the process to a halt: a stop signal has been taken by one of them.
pub fn begin(process: &Arc<Process>, signal: Signal) {
    {
        let mut state = process.state.lock();
        if state.ending.is_some() || state.stop != Stop::Running {
            return;
        }
        state.stop = Stop::Stopping(signal);
        state.stopped_threads = 0;
    }
    process.for_each_task(|task| task.attend());
}

/// Halts the calling thread until the process goes on, must end, or is left to another thread by execve(2).
pub fn halt(caller: &Caller) {
    let process = &caller.process;
    let tid = caller.task.tid();
    process.state.lock().stopped_threads += 1;
    check_complete(process);
    // Only SIGCONT and SIGKILL end this, and both wake the queue.
    let _ = process.resumed.wait_until(Wait::UNINTERRUPTIBLE, || {
        let state = process.state.lock();
        let goes_on = state.stop == Stop::Running
            || state.ending.is_some()
            || state.executing.is_some_and(|executing| executing != tid);
        goes_on.then_some(())
    });
}

/// Tells the parent if the last thread has just come to a halt. Called when a thread halts, and when one ends.
pub fn check_complete(process: &Arc<Process>) {
    let signal = {
        let mut state = process.state.lock();
        match state.stop {
            Stop::Stopping(signal)
                if state.stopped_threads >= state.live_threads && state.live_threads > 0 =>
            {
                state.stop = Stop::Stopped(signal);
                state.report = Some(WaitStatus::Stopped(signal.number() as u8));
                signal
            }
            _ => return,
        }
    };
    tell_parent(process, CLD_STOPPED, signal);
}

/// Lets a stopped process go on: SIGCONT was sent, whatever it does besides.
pub fn resume(process: &Arc<Process>) {
    let was_stopped = {
        let mut state = process.state.lock();
        let old = core::mem::replace(&mut state.stop, Stop::Running);
        state.stopped_threads = 0;
        if let Stop::Stopped(_) = old {
            state.report = Some(WaitStatus::Continued);
        }
        old
    };
    if was_stopped == Stop::Running {
        return;
    }
    process.resumed.wake_all();
    if let Stop::Stopped(_) = was_stopped {
        tell_parent(process, CLD_CONTINUED, Signal::SIGCONT);
    }
}

/// Wakes the parent out of wait(2), and sends it SIGCHLD unless it asked not to hear of stops.
fn tell_parent(process: &Arc<Process>, code: i32, status: Signal) {
    let Some(parent) = process.parent() else { return };
    let wants_signal =
        parent.with_actions(|actions| !actions.flags(Signal::SIGCHLD).contains(ActionFlags::NOCLDSTOP));
    if wants_signal {
        let times = process.account.times(process);
        let uid = process.leader().map_or(0, |task| task.credentials().uid);
        let info = SigInfo::child(
            code,
            process.pid(),
            uid,
            status.number(),
            times.user_ticks(),
            times.system_ticks(),
        );
        // SIGCHLD is no real-time signal: it is never refused.
        let _ = to_process(&parent, Signal::SIGCHLD, info);
    }
    parent.child_changed.wake_all();
}

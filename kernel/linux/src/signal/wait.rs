//! Waiting for signals without handlers: sigtimedwait(2), sigsuspend(2), pause(2).

use abi::Errno;
use abi::signal::info::SigInfo;
use abi::signal::{SigSet, Signal};
use threads::{Wait, WaitError, WaitQueue};

use crate::process::Caller;

/// Takes a signal of `wanted` that waits for the thread or its process, or sleeps until one arrives: EAGAIN past the deadline, EINTR when another signal came.
pub fn take(
    caller: &mut Caller,
    wanted: SigSet,
    deadline_ns: Option<u64>,
) -> Result<(Signal, SigInfo), Errno> {
    let wanted = wanted.difference(SigSet::UNBLOCKABLE);
    if let Some(found) = take_now(caller, wanted) {
        return Ok(found);
    }
    // So that who sends one chooses this thread. They stay blocked: one that would do nothing otherwise waits to be taken.
    caller.task.set_awaited(wanted);
    let nobody = WaitQueue::new();
    let how = Wait { interruptible: true, deadline_ns };
    let outcome = nobody.wait_until(how, || take_now(caller, wanted));
    caller.task.set_awaited(SigSet::EMPTY);
    match outcome {
        Ok(found) => Ok(found),
        // What interrupted may have been one of them.
        Err(reason) => take_now(caller, wanted).ok_or(match reason {
            WaitError::TimedOut => Errno::EAGAIN,
            WaitError::Interrupted => Errno::EINTR,
        }),
    }
}

fn take_now(caller: &Caller, wanted: SigSet) -> Option<(Signal, SigInfo)> {
    let own = caller.task.pending.lock().take(wanted);
    own.or_else(|| caller.process.state.lock().pending.take(wanted))
}

/// Sleeps until a signal is to be delivered: always EINTR.
pub fn pause() -> Errno {
    let nobody = WaitQueue::new();
    let _: Result<(), WaitError> = nobody.wait_until(Wait::INTERRUPTIBLE, || None);
    Errno::EINTR
}

//! The calling thread, as the thread itself sees it: its registers and everything it borrows for life.
//!
//! A [`Caller`] lives on its thread's kernel stack and is never shared, so a call reads descriptors, identity and address space without counting references and without
//! a lock. Where another thread can change such a thing (it shares it, or sets it), the change comes by way of the thread's exit-work word or a lock inside the
//! shared thing itself.

use alloc::sync::Arc;

use abi::signal::{SigAltStack, SigSet};
use files::Credentials;
use machine::context::UserContext;
use machine::frame::OutOfMemory;
use memory::AddressSpace;

use super::place::Place;
use super::task::work;
use super::{Process, Task};
use crate::calls::Restart;
use crate::descriptors::Descriptors;
use crate::sequence::Sequence;

/// The thread that makes a call or has trapped.
pub struct Caller {
    /// Its registers.
    pub context: UserContext,
    /// Itself, as others see it.
    pub task: Arc<Task>,
    /// Its process.
    pub process: Arc<Process>,
    /// Its address space.
    pub space: Arc<AddressSpace>,
    /// Its descriptors.
    pub descriptors: Arc<Descriptors>,
    /// Its root and working directory.
    pub place: Arc<Place>,
    /// Its identity.
    pub credentials: Arc<Credentials>,
    /// The stack for handlers that ask for it.
    pub alternate_stack: SigAltStack,
    /// The mask to return to once the signal that ended a sigsuspend, ppoll or epoll_pwait has had its handler's frame built.
    pub saved_mask: Option<SigSet>,
    /// The number of the call that is being made, or was made last.
    pub call: u64,
    /// The call that was interrupted and has not yet been decided on: repeated, or EINTR.
    pub interrupted: Option<Interrupted>,
    /// How restart_syscall(2) goes on with a call that waits for a point in time.
    pub restart: Option<Restart>,
    /// Restartable sequences, if it has registered any.
    pub sequence: Option<Sequence>,
    /// The exception that the signal being delivered came from; zeros for any other.
    pub last_fault: LastFault,
    /// Set when the thread is to end; the loop that runs it looks at its work word, not at this.
    pub is_ending: bool,
    /// Who waits for this thread to leave its parent's memory (vfork).
    pub vfork: Option<Arc<super::clone::Completion>>,
    /// Whether the process may gain no privileges by execve (PR_SET_NO_NEW_PRIVS).
    pub no_new_privileges: bool,
    /// Its user had more threads than he may when this one became his: it cannot run a program until it forks or that has changed.
    pub has_too_many_threads: bool,
    /// PR_SET_TIMERSLACK, in nanoseconds.
    pub timer_slack_ns: u64,
    /// What the thread began with, which 0 sets again.
    pub first_timer_slack_ns: u64,
}

/// A call that gave EINTR, and by which rule it may be made again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interrupted {
    /// Its number.
    pub number: u64,
    /// The rule.
    pub rule: crate::calls::RestartRule,
}

/// What a handler's frame tells of the exception that led to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LastFault {
    /// The vector.
    pub vector: u64,
    /// The error code.
    pub code: u64,
    /// The address of a page fault.
    pub address: u64,
}

/// Linux's default timer slack.
const TIMER_SLACK_NS: u64 = 50_000;

impl Caller {
    /// The caller that will run `task`.
    pub fn new(
        task: Arc<Task>,
        context: UserContext,
        space: Arc<AddressSpace>,
        descriptors: Arc<Descriptors>,
        place: Arc<Place>,
    ) -> Self {
        let process = task.process().clone();
        let credentials = task.credentials();
        Self {
            context,
            task,
            process,
            space,
            descriptors,
            place,
            credentials,
            alternate_stack: SigAltStack::DISABLED,
            saved_mask: None,
            call: u64::MAX,
            interrupted: None,
            restart: None,
            sequence: None,
            last_fault: LastFault::default(),
            is_ending: false,
            vfork: None,
            no_new_privileges: false,
            has_too_many_threads: false,
            timer_slack_ns: TIMER_SLACK_NS,
            first_timer_slack_ns: TIMER_SLACK_NS,
        }
    }

    /// Ends this thread before it returns to its program.
    pub fn end(&mut self) {
        self.is_ending = true;
        self.look_again();
    }

    /// Has this thread look at its state before it returns to its program.
    pub fn look_again(&self) {
        threads::current().work().fetch_or(work::ATTEND, machine::sync::atomic::Ordering::SeqCst);
    }

    /// Changes the identity of this thread: refused only when it is another real user's.
    pub fn set_credentials(&mut self, credentials: Arc<Credentials>) -> Result<(), OutOfMemory> {
        self.task.set_credentials(credentials.clone())?;
        self.space.set_limits(crate::exec::space_limits(&self.process.limits, &credentials));
        self.credentials = credentials;
        Ok(())
    }

    /// Changes the blocked signals, and sees to it that what can now be delivered is, and that what waits for the process finds another thread.
    pub fn set_blocked(&mut self, set: SigSet) {
        let before = self.task.blocked();
        self.task.set_blocked(set);
        let newly_blocked = set.difference(before);
        if !newly_blocked.is_empty() {
            let orphaned = self.process.pending_set().intersection(newly_blocked);
            for signal in orphaned.iter() {
                if let Some(task) = self.process.find_task(|task| task.takes(signal).then(|| task.clone())) {
                    task.attend();
                }
            }
        }
        if self.has_deliverable() {
            self.look_again();
        }
    }

    /// Whether a signal that is not blocked waits for this thread.
    pub fn has_deliverable(&self) -> bool {
        // One lock after the other: the two have the same rank.
        let own = self.task.pending.lock().set();
        let shared = self.process.pending_set();
        !own.union(shared).difference(self.task.blocked()).is_empty()
    }

    /// Whether this thread must end, so that waiting for anything else is pointless.
    pub fn must_end(&self) -> bool {
        let state = self.process.state.lock();
        state.ending.is_some() || state.executing.is_some_and(|executing| executing != self.task.tid())
    }
}

//! What terminals ask about processes: the sessions and groups behind job control.

use alloc::boxed::Box;
use alloc::sync::Arc;

use abi::signal::info::SigInfo;
use abi::signal::{SIG_IGN, Signal};
use files::terminal::{Caller as TerminalCaller, JobControl, Terminal, set_job_control};

use crate::process::ids::Pid;
use crate::process::{Process, Session, Task};
use crate::signal::send;

/// The answer to a terminal's questions.
struct Jobs;

/// Says who knows jobs. Called once, at start.
#[expect(clippy::disallowed_methods, reason = "made at boot")]
pub fn start() {
    set_job_control(Box::new(Jobs));
}

impl JobControl for Jobs {
    fn caller(&self) -> Option<TerminalCaller> {
        let task = Task::current()?;
        let process = task.process();
        let group = process.group();
        Some(TerminalCaller {
            process: process.pid() as u32,
            group: group.id() as u32,
            session: group.session().id() as u32,
            terminal: group.session().terminal(),
        })
    }

    fn signal_group(&self, group: u32, signal: Signal) {
        if let Some(group) = crate::init().and_then(|init| init.namespaces.pids.group(group as Pid)) {
            send::to_group(&group, signal, SigInfo::kernel(signal));
        }
    }

    fn is_ignored(&self, signal: Signal) -> bool {
        let Some(task) = Task::current() else { return true };
        !task.takes(signal)
            || task.process().with_actions(|actions| actions.get(signal).sa_handler == SIG_IGN)
    }

    fn is_orphaned(&self) -> bool {
        Task::current().is_none_or(|task| task.process().group().is_orphaned(None))
    }

    fn session_of(&self, group: u32) -> Option<u32> {
        let group = crate::init()?.namespaces.pids.group(group as Pid)?;
        Some(group.session().id() as u32)
    }

    fn set_terminal(&self, session: u32, terminal: Option<Arc<Terminal>>) {
        if let Some(session) = find(session) {
            session.set_terminal(terminal);
        }
    }

    fn lost_terminal(&self, session: u32) {
        let Some(session) = find(session) else { return };
        session.set_terminal(None);
        if let Some(leader) = session.leader() {
            send::kernel_to_process(&leader, Signal::SIGHUP);
            send::kernel_to_process(&leader, Signal::SIGCONT);
        }
    }

    fn has_capability(&self, capability: u32) -> bool {
        Task::current().is_some_and(|task| task.credentials().has(capability))
    }
}

fn find(session: u32) -> Option<Arc<Session>> {
    crate::init()?.namespaces.pids.session(session as Pid)
}

/// The leader of a session has ended: its terminal is free, and the job in the foreground is told (credentials(7), _exit(2)).
pub fn leader_ended(process: &Process) {
    let session = process.session();
    let Some(terminal) = session.terminal() else { return };
    terminal.end_session();
}

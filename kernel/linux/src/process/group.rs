//! Process groups and sessions: who gets the signals of a terminal (setpgid(2), setsid(2), credentials(7)).

use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};

use abi::Errno;
use arrayvec::ArrayVec;
use files::terminal::Terminal;
use machine::frame::OutOfMemory;
use machine::heap::{try_arc, try_insert};
use machine::sync::{Rank, SpinLock};

use super::ids::{Pid, PidNamespace};
use super::{Process, VISITED_AT_ONCE};

/// A session: process groups that share a controlling terminal.
pub struct Session {
    id: Pid,
    ids: Arc<PidNamespace>,
    /// The process that made it.
    leader: SpinLock<Weak<Process>>,
    /// Its controlling terminal.
    terminal: SpinLock<Option<Arc<Terminal>>>,
}

impl Session {
    /// The session of `leader`, which takes its number.
    pub fn new(ids: &Arc<PidNamespace>, leader: &Arc<Process>) -> Result<Arc<Self>, OutOfMemory> {
        let session = Self::first(ids, leader.pid())?;
        session.set_leader(leader);
        Ok(session)
    }

    /// A session for a process that is still to be made: the first one.
    pub fn first(ids: &Arc<PidNamespace>, id: Pid) -> Result<Arc<Self>, OutOfMemory> {
        let session = try_arc(Self {
            id,
            ids: ids.clone(),
            leader: SpinLock::new(Rank::Table, Weak::new()),
            terminal: SpinLock::new(Rank::Table, None),
        })?;
        ids.publish_session(&session);
        Ok(session)
    }

    /// Names the process that made it.
    pub fn set_leader(&self, leader: &Arc<Process>) {
        *self.leader.lock() = Arc::downgrade(leader);
    }

    /// Its number.
    pub fn id(&self) -> Pid {
        self.id
    }

    /// Its controlling terminal.
    pub fn terminal(&self) -> Option<Arc<Terminal>> {
        self.terminal.lock().clone()
    }

    /// Gives it a controlling terminal, or none.
    pub fn set_terminal(&self, terminal: Option<Arc<Terminal>>) {
        let old = core::mem::replace(&mut *self.terminal.lock(), terminal);
        drop(old);
    }

    /// The process that made it, while it exists.
    pub fn leader(&self) -> Option<Arc<Process>> {
        self.leader.lock().upgrade()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.ids.retire_session(self.id);
    }
}

/// A process group: what a shell calls a job. It exists as long as a process is in it.
pub struct Group {
    id: Pid,
    session: Arc<Session>,
    /// By number.
    members: SpinLock<BTreeMap<Pid, Weak<Process>>>,
}

impl Group {
    /// An empty group with number `id`, the number of the process that will be its first member.
    pub fn new(id: Pid, session: &Arc<Session>) -> Result<Arc<Self>, OutOfMemory> {
        let members = SpinLock::new(Rank::Table, BTreeMap::new());
        let group = try_arc(Self { id, session: session.clone(), members })?;
        session.ids.publish_group(&group);
        Ok(group)
    }

    /// Its number.
    pub fn id(&self) -> Pid {
        self.id
    }

    /// The session it belongs to.
    pub fn session(&self) -> &Arc<Session> {
        &self.session
    }

    /// Adds a process.
    pub fn join(&self, process: &Arc<Process>) -> Result<(), Errno> {
        try_insert(&mut self.members.lock(), process.pid(), Arc::downgrade(process))?;
        Ok(())
    }

    /// Takes a process out.
    pub fn leave(&self, process: &Process) {
        let mut members = self.members.lock();
        // The number may be another's already, if this one left before.
        if members.get(&process.pid()).is_some_and(|member| core::ptr::eq(member.as_ptr(), process)) {
            members.remove(&process.pid());
        }
    }

    /// Whether nobody is in it.
    pub fn is_empty(&self) -> bool {
        self.members.lock().is_empty()
    }

    /// Looks at the processes in it, zombies too, with nothing held, until `visit` gives something; one that joins meanwhile may be missed.
    pub fn find_member<R>(&self, mut visit: impl FnMut(&Arc<Process>) -> Option<R>) -> Option<R> {
        let mut next = 0;
        loop {
            let mut some = ArrayVec::<_, VISITED_AT_ONCE>::new();
            for (pid, member) in self.members.lock().range(next..) {
                if some.is_full() {
                    break;
                }
                next = pid + 1;
                some.extend(member.upgrade());
            }
            if some.is_empty() {
                return None;
            }
            if let Some(found) = some.iter().find_map(&mut visit) {
                return Some(found);
            }
        }
    }

    /// Visits the processes in it, as above.
    pub fn for_each_member(&self, mut visit: impl FnMut(&Arc<Process>)) {
        self.find_member(|process| {
            visit(process);
            None::<()>
        });
    }

    /// Whether nobody outside the group but in its session could continue it: no member has a parent in another group of the same session
    /// (setpgid(2), "orphaned process group"). `without` is a process that is about to end and does not count.
    pub fn is_orphaned(&self, without: Option<&Process>) -> bool {
        let is_held = |member: &Arc<Process>| {
            let is_leaving = without.is_some_and(|process| core::ptr::eq(process, &**member));
            if is_leaving || member.is_zombie() {
                return None;
            }
            let parent = member.parent()?;
            let group = parent.group();
            let could_continue =
                !parent.is_init() && group.id != self.id && Arc::ptr_eq(&group.session, &self.session);
            could_continue.then_some(())
        };
        self.find_member(is_held).is_none()
    }

    /// Whether a member is stopped.
    pub fn has_stopped_member(&self) -> bool {
        self.find_member(|member| member.is_stopped().then_some(())).is_some()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.session.ids.retire_group(self.id);
    }
}

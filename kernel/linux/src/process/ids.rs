//! Process numbers: what each one names, and how new ones are found.
//!
//! One number can name a thread, a process, a process group and a session at once; it is free again when it names none. Numbers are given in
//! rising order and start over at the end, so that a number is reused as late as possible. The table is cut into shards, each with a lock of its own:
//! processes that start and end at the same time on different processors rarely meet.

use abi::Errno;
use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use arrayvec::ArrayVec;
use machine::frame::OutOfMemory;
use machine::heap::{Grow, try_insert};
use machine::sync::atomic::{AtomicI32, AtomicUsize, Ordering};
use machine::sync::{Rank, SpinLock};

use super::group::{Group, Session};
use super::{Process, Task, VISITED_AT_ONCE};

/// A process number; positive.
pub type Pid = i32;

const SHARDS: usize = 64;
/// One past the highest number (Linux's default /proc/sys/kernel/pid_max on small machines).
pub const PID_MAX: Pid = 32768;
/// Where numbers start over: the low ones stay with what started first (Linux: RESERVED_PIDS).
const FIRST_REUSED: Pid = 300;

/// What a number names.
#[derive(Default)]
struct Entry {
    task: Option<Weak<Task>>,
    process: Option<Weak<Process>>,
    group: Option<Weak<Group>>,
    session: Option<Weak<Session>>,
}

impl Entry {
    fn is_unused(&self) -> bool {
        self.task.is_none() && self.process.is_none() && self.group.is_none() && self.session.is_none()
    }
}

/// The numbers of one family of processes.
pub struct PidNamespace {
    shards: [SpinLock<BTreeMap<Pid, Entry>>; SHARDS],
    next: AtomicI32,
    last: AtomicI32,
    processes: AtomicUsize,
    tasks: AtomicUsize,
}

impl PidNamespace {
    /// No numbers given.
    pub fn new() -> Self {
        Self {
            shards: [const { SpinLock::new(Rank::Table, BTreeMap::new()) }; SHARDS],
            next: AtomicI32::new(1),
            last: AtomicI32::new(0),
            processes: AtomicUsize::new(0),
            tasks: AtomicUsize::new(0),
        }
    }

    fn shard(&self, pid: Pid) -> &SpinLock<BTreeMap<Pid, Entry>> {
        &self.shards[pid as usize % SHARDS]
    }

    /// Takes a number for a new thread: it names nothing yet. EAGAIN when all are taken.
    pub fn allocate(&self) -> Result<Reserved<'_>, Errno> {
        for _ in 0..PID_MAX {
            let step = |pid: Pid| Some(if pid + 1 >= PID_MAX { FIRST_REUSED } else { pid + 1 });
            let pid = self.next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, step).unwrap_or(1);
            let mut shard = self.shard(pid).lock();
            if !shard.contains_key(&pid) {
                try_insert(&mut shard, pid, Entry { task: Some(Weak::new()), ..Entry::default() })?;
                self.last.store(pid, Ordering::Relaxed);
                return Ok(Reserved { ids: self, pid });
            }
        }
        Err(Errno::EAGAIN)
    }

    fn update(&self, pid: Pid, change: impl FnOnce(&mut Entry)) {
        let mut shard = self.shard(pid).lock();
        // Whoever has a name has taken the number.
        let Some(entry) = shard.get_mut(&pid) else { return };
        change(entry);
        if entry.is_unused() {
            shard.remove(&pid);
        }
    }

    /// Lets the number of `task` name it.
    pub fn publish_task(&self, task: &Arc<Task>) {
        self.tasks.fetch_add(1, Ordering::Relaxed);
        self.update(task.tid(), |entry| entry.task = Some(Arc::downgrade(task)));
    }

    /// The number `tid` no longer names a thread.
    pub fn retire_task(&self, tid: Pid) {
        self.tasks.fetch_sub(1, Ordering::Relaxed);
        self.update(tid, |entry| entry.task = None);
    }

    /// Lets the number of `process` name it.
    pub fn publish_process(&self, process: &Arc<Process>) {
        self.processes.fetch_add(1, Ordering::Relaxed);
        self.update(process.pid(), |entry| entry.process = Some(Arc::downgrade(process)));
    }

    /// The number no longer names a process: it has been waited for.
    pub fn retire_process(&self, pid: Pid) {
        self.processes.fetch_sub(1, Ordering::Relaxed);
        self.update(pid, |entry| entry.process = None);
    }

    /// Lets the number of `group` name it.
    pub fn publish_group(&self, group: &Arc<Group>) {
        self.update(group.id(), |entry| entry.group = Some(Arc::downgrade(group)));
    }

    /// The last process has left the group.
    pub fn retire_group(&self, id: Pid) {
        self.update(id, |entry| {
            // The number may have been taken for a new group while the last reference to the old one went.
            if entry.group.as_ref().is_some_and(|group| group.strong_count() == 0) {
                entry.group = None;
            }
        });
    }

    /// Lets the number of `session` name it.
    pub fn publish_session(&self, session: &Arc<Session>) {
        self.update(session.id(), |entry| entry.session = Some(Arc::downgrade(session)));
    }

    /// The last process has left the session.
    pub fn retire_session(&self, id: Pid) {
        self.update(id, |entry| {
            if entry.session.as_ref().is_some_and(|session| session.strong_count() == 0) {
                entry.session = None;
            }
        });
    }

    /// The thread with this number.
    pub fn task(&self, tid: Pid) -> Option<Arc<Task>> {
        self.shard(tid.max(0)).lock().get(&tid)?.task.as_ref()?.upgrade()
    }

    /// The process with this number, a zombie too.
    pub fn process(&self, pid: Pid) -> Option<Arc<Process>> {
        self.shard(pid.max(0)).lock().get(&pid)?.process.as_ref()?.upgrade()
    }

    /// The process group with this number, if anybody is in it.
    pub fn group(&self, id: Pid) -> Option<Arc<Group>> {
        let group = self.shard(id.max(0)).lock().get(&id)?.group.as_ref()?.upgrade()?;
        // Somebody may hold on for a moment to a process that has gone.
        (!group.is_empty()).then_some(group)
    }

    /// The session with this number.
    pub fn session(&self, id: Pid) -> Option<Arc<Session>> {
        self.shard(id.max(0)).lock().get(&id)?.session.as_ref()?.upgrade()
    }

    /// Looks at all processes, zombies too, with nothing held, until `visit` gives something; one that begins meanwhile may be missed.
    pub fn find_process<R>(&self, mut visit: impl FnMut(&Arc<Process>) -> Option<R>) -> Option<R> {
        self.shards.iter().find_map(|shard| {
            let mut next = 0;
            loop {
                let mut some = ArrayVec::<_, VISITED_AT_ONCE>::new();
                for (pid, entry) in shard.lock().range(next..) {
                    if some.is_full() {
                        break;
                    }
                    next = pid + 1;
                    some.extend(entry.process.as_ref().and_then(Weak::upgrade));
                }
                if some.is_empty() {
                    return None;
                }
                if let Some(found) = some.iter().find_map(&mut visit) {
                    return Some(found);
                }
            }
        })
    }

    /// Visits all processes, as above.
    pub fn for_each_process(&self, mut visit: impl FnMut(&Arc<Process>)) {
        self.find_process(|process| {
            visit(process);
            None::<()>
        });
    }

    /// The numbers of all processes, zombies too, in order: ENOMEM.
    pub fn process_numbers(&self) -> Result<Vec<Pid>, OutOfMemory> {
        let mut numbers = Vec::new();
        for shard in &self.shards {
            // Room is made before the lock is taken; what started since then is new, and a list of processes is stale at once anyway.
            let count = shard.lock().len();
            numbers.try_grow(count)?;
            let shard = shard.lock();
            let listed = shard.iter().filter(|(_, entry)| entry.process.is_some());
            numbers.extend(listed.map(|(pid, _)| *pid).take(count));
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// How many processes there are, zombies too.
    pub fn process_count(&self) -> usize {
        self.processes.load(Ordering::Relaxed)
    }

    /// How many threads there are.
    pub fn task_count(&self) -> usize {
        self.tasks.load(Ordering::Relaxed)
    }

    /// The number given last, for /proc/loadavg.
    pub fn last(&self) -> Pid {
        self.last.load(Ordering::Relaxed)
    }
}

impl Default for PidNamespace {
    fn default() -> Self {
        Self::new()
    }
}

/// A number that has been taken for a thread that does not exist yet; given back when dropped unless [`keep`](Self::keep) is called.
pub struct Reserved<'a> {
    ids: &'a PidNamespace,
    pid: Pid,
}

impl Reserved<'_> {
    /// The number.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// The thread exists and answers for its number from now on.
    pub fn keep(self) -> Pid {
        let pid = self.pid;
        core::mem::forget(self);
        pid
    }
}

impl Drop for Reserved<'_> {
    fn drop(&mut self) {
        self.ids.update(self.pid, |entry| entry.task = None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_rise_from_one() {
        let ids = PidNamespace::new();
        let first = ids.allocate().unwrap();
        let second = ids.allocate().unwrap();
        assert_eq!((first.pid(), second.pid()), (1, 2));
    }

    #[test]
    fn a_number_that_was_given_back_is_reused_only_after_all_others() {
        let ids = PidNamespace::new();
        drop(ids.allocate().unwrap());
        assert_eq!(ids.allocate().unwrap().pid(), 2);
    }

    #[test]
    fn when_every_number_is_taken_there_is_none() {
        let ids = PidNamespace::new();
        let mut held = Vec::new();
        for _ in 1..PID_MAX {
            held.push(ids.allocate().unwrap());
        }
        assert!(ids.allocate().is_err());
        let freed = held.swap_remove(999).pid();
        assert_eq!(ids.allocate().unwrap().pid(), freed);
    }

    #[test]
    fn hostile_numbers_name_nothing() {
        let ids = PidNamespace::new();
        for pid in [0, -1, i32::MIN, i32::MAX] {
            assert!(ids.process(pid).is_none() && ids.task(pid).is_none() && ids.group(pid).is_none());
        }
    }
}

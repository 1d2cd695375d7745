//! Processes and their threads.
//!
//! A [`Process`] is what Linux calls a thread group: everything that its threads share whatever flags they were made with (number, parent, children, group, signal
//! actions, limits, account). A [`Task`] is one thread of it. Parts that clone(2) can share or not (descriptors, working directory, address space) are behind
//! `Arc`s that each task holds.
//!
//! Who keeps whom: a task keeps its process; a process keeps its live tasks, and its children until they have been waited for. Parents and groups are known weakly.
//! A zombie is a process without tasks in its parent's list of children.
//!
//! | lock | rank | guards |
//! |---|---|---|
//! | `family` | Process | parent, children |
//! | `group` | Signal | the process group |
//! | `threads` | Process | live tasks |
//! | `state` | Signal | what waits for any thread, ending, stopping, what the parent has not been told |
//! | a task's `pending` | Signal | what waits for that thread |
//! | `actions`, `program` | Table | signal actions; address space and names of the program |
//!
//! Two locks of one rank are never held together: what needs two processes takes one after the other and is written so that the
//! order does not matter (see [`exit`] for the race of a child's end with its parent's).

pub mod account;
pub mod caller;
pub mod clone;
pub mod exit;
pub mod group;
pub mod identity;
pub mod ids;
pub mod limits;
pub mod namespaces;
pub mod place;
pub mod program;
pub mod task;
pub mod users;
pub mod wait;

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;

use arrayvec::ArrayVec;

use abi::Errno;
use abi::sched::WaitStatus;
use abi::signal::{SigSet, Signal};
use machine::frame::OutOfMemory;
use machine::heap::{Grow, try_arc};
use machine::list::{Link, Linked, List};
use machine::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicU64, Ordering};
use machine::sync::{Once, Rank, SpinLock};
use threads::WaitQueue;
use threads::poll::PollSource;

use crate::signal::{Actions, Pending};
use crate::time::timers::Timers;
use users::Membership;

pub use account::Account;
pub use caller::Caller;
pub use group::{Group, Session};
pub use ids::Pid;
pub use limits::Limits;
pub use namespaces::Namespaces;
pub use program::Program;
pub use task::Task;

/// Signal actions, shared by what clone(2) made with CLONE_SIGHAND.
pub type SharedActions = Arc<SpinLock<Actions>>;

/// How many threads or processes are taken out of a list at once by who visits all, so that no list of them is made.
const VISITED_AT_ONCE: usize = 16;

/// A process: threads that are one thing to kill, to wait for and to count.
pub struct Process {
    pid: Pid,
    /// The namespaces that it lives in.
    pub namespaces: Arc<Namespaces>,
    /// When it was made, in nanoseconds since boot.
    pub start_ns: u64,
    family: SpinLock<Family>,
    /// The number of the parent, 0 for none: getppid(2) asks for nothing else.
    parent_pid: AtomicI32,
    sibling: Link<Process, Child>,
    group: SpinLock<Arc<Group>>,
    threads: SpinLock<Vec<Arc<Task>>>,
    /// Signals, ending and stopping.
    pub state: SpinLock<State>,
    actions: SpinLock<SharedActions>,
    program: SpinLock<Option<Arc<Program>>>,
    /// Resource limits.
    pub limits: Limits,
    /// What threads that have ended, and children that were waited for, have used.
    pub account: Account,
    /// Interval timers and POSIX timers.
    pub timers: Timers,
    /// Whether its number still names it. Apart from the process, so that it can be asked without one, whatever locks are held.
    pub is_listed: Arc<AtomicBool>,
    /// The first thread's place among its user's, from its end until the process is waited for.
    pub membership: SpinLock<Option<Membership>>,
    /// The real user of the last thread, once it has ended.
    pub last_uid: Once<u32>,
    /// The name of the last thread, once it has ended.
    pub last_name: Once<threads::Name>,
    /// Tells signalfds that a signal has been queued.
    pub signal_arrived: PollSource,
    /// Woken when a child has changed its state.
    pub child_changed: WaitQueue,
    /// Woken when a thread has ended.
    pub thread_ended: WaitQueue,
    /// Woken when a stopped process goes on, or must end.
    pub resumed: WaitQueue,
    /// The signal that the parent gets at the end; 0 for none.
    exit_signal: AtomicU32,
    /// Sent to this process when its parent ends (PR_SET_PDEATHSIG); 0 for none.
    pub parent_death_signal: AtomicU32,
    /// Whether orphans below it become its children (PR_SET_CHILD_SUBREAPER).
    pub is_subreaper: AtomicBool,
    /// Whether a child of it has ever become one, so that most exits need not look.
    pub has_executed: AtomicBool,
    /// PR_SET_DUMPABLE.
    pub dumpable: AtomicU32,
    /// /proc/PID/oom_score_adj.
    pub oom_adjustment: AtomicU32,
    /// personality(2).
    pub personality: AtomicU32,
    /// Commands of membarrier(2) that it has registered for.
    pub membarriers: AtomicU64,
}

struct Family {
    parent: Weak<Process>,
    children: Children,
}

/// Marks the link by which a process is among its parent's children.
enum Child {}

/// Children, in the order in which they were made or adopted. The links are in them: a parent's end needs no memory to give them away.
type Children = List<Process, Child>;

impl Linked<Child> for Process {
    fn link(&self) -> &Link<Self, Child> {
        &self.sibling
    }
}

/// What decides whether and how a process runs.
pub struct State {
    /// Signals for whichever thread takes them first.
    pub pending: Pending,
    /// Set once: all threads end, and this is what the parent learns.
    pub ending: Option<WaitStatus>,
    /// The thread that is in execve(2): all others end.
    pub executing: Option<Pid>,
    /// Whether it is stopped.
    pub stop: Stop,
    /// Threads that have stopped since the order.
    pub stopped_threads: usize,
    /// Threads that have not ended.
    pub live_threads: usize,
    /// How the first thread ended, if it has and the others go on.
    pub leader_status: Option<WaitStatus>,
    /// The final status: the process is a zombie.
    pub zombie: Option<WaitStatus>,
    /// The parent has been told that it is: it is not waited for before.
    pub is_told: bool,
    /// A change that the parent has not waited for.
    pub report: Option<WaitStatus>,
    /// Whether the first process can be ended by a signal: it has caused one itself.
    pub is_killable: bool,
}

/// The progress of stopping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Not stopped.
    Running,
    /// The signal has been taken; threads are on their way to a halt.
    Stopping(Signal),
    /// All threads are at a halt.
    Stopped(Signal),
}

/// What a new process starts from.
pub struct NewProcess {
    /// Its number.
    pub pid: Pid,
    /// Its namespaces.
    pub namespaces: Arc<Namespaces>,
    /// Its parent; none for the first.
    pub parent: Weak<Process>,
    /// Its group.
    pub group: Arc<Group>,
    /// Its signal actions.
    pub actions: SharedActions,
    /// What it runs.
    pub program: Arc<Program>,
    /// Its limits.
    pub limits: Limits,
    /// The signal that its parent gets at its end; 0 for none.
    pub exit_signal: u32,
}

impl Process {
    /// A process without threads, not yet known to anybody.
    pub fn new(new: NewProcess) -> Result<Arc<Self>, OutOfMemory> {
        let state = State {
            pending: Pending::new(),
            ending: None,
            executing: None,
            stop: Stop::Running,
            stopped_threads: 0,
            live_threads: 0,
            leader_status: None,
            zombie: None,
            is_told: false,
            report: None,
            is_killable: false,
        };
        let parent_pid = new.parent.upgrade().map_or(0, |parent| parent.pid);
        let family = Family { parent: new.parent, children: List::new() };
        try_arc(Self {
            pid: new.pid,
            namespaces: new.namespaces,
            start_ns: machine::clock::now_ns(),
            family: SpinLock::new(Rank::Process, family),
            parent_pid: AtomicI32::new(parent_pid),
            sibling: Link::new(),
            group: SpinLock::new(Rank::Signal, new.group),
            threads: SpinLock::new(Rank::Process, Vec::new()),
            state: SpinLock::new(Rank::Signal, state),
            actions: SpinLock::new(Rank::Table, new.actions),
            program: SpinLock::new(Rank::Table, Some(new.program)),
            limits: new.limits,
            account: Account::default(),
            timers: Timers::new(),
            is_listed: try_arc(AtomicBool::new(true))?,
            membership: SpinLock::new(Rank::Table, None),
            last_uid: Once::new(),
            last_name: Once::new(),
            signal_arrived: PollSource::new(),
            child_changed: WaitQueue::new(),
            thread_ended: WaitQueue::new(),
            resumed: WaitQueue::new(),
            exit_signal: AtomicU32::new(new.exit_signal),
            parent_death_signal: AtomicU32::new(0),
            is_subreaper: AtomicBool::new(false),
            has_executed: AtomicBool::new(false),
            dumpable: AtomicU32::new(1),
            oom_adjustment: AtomicU32::new(0),
            personality: AtomicU32::new(0),
            membarriers: AtomicU64::new(0),
        })
    }

    /// Its number.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Whether this is the first process: it cannot be killed by what it does not handle, and it adopts orphans.
    pub fn is_init(&self) -> bool {
        self.pid == 1
    }

    /// Its parent; none for the first process.
    pub fn parent(&self) -> Option<Arc<Process>> {
        self.family.lock().parent.upgrade()
    }

    /// The number of its parent, 0 for none.
    pub fn parent_pid(&self) -> Pid {
        self.parent_pid.load(Ordering::Relaxed)
    }

    /// Gives it another parent.
    pub fn set_parent(&self, parent: &Arc<Process>) {
        let old = core::mem::replace(&mut self.family.lock().parent, Arc::downgrade(parent));
        self.parent_pid.store(parent.pid, Ordering::Relaxed);
        drop(old);
    }

    /// Adds a child, who is nobody else's.
    pub fn add_child(&self, child: &Arc<Process>) {
        let refused = self.family.lock().children.push_back(child.clone());
        debug_assert!(refused.is_ok(), "a child of two");
    }

    /// Takes a child out of the list; whether it was in it. Of two threads that wait, one takes it.
    pub fn remove_child(&self, child: &Process) -> bool {
        let removed = self.family.lock().children.remove(child);
        removed.is_some()
    }

    /// Takes a child out: the process ends.
    pub fn take_child(&self) -> Option<Arc<Process>> {
        self.family.lock().children.pop_front()
    }

    /// Looks at the children, in the order in which they were made or adopted, until `visit` gives something. `visit` must not sleep, nor
    /// take a lock of the same rank.
    pub fn find_child<R>(&self, visit: impl FnMut(&Process) -> Option<R>) -> Option<R> {
        self.family.lock().children.iter().find_map(visit)
    }

    /// The process group.
    pub fn group(&self) -> Arc<Group> {
        self.group.lock().clone()
    }

    /// Moves it to another group.
    pub fn set_group(self: &Arc<Self>, group: &Arc<Group>) -> Result<(), Errno> {
        group.join(self)?;
        let old = core::mem::replace(&mut *self.group.lock(), group.clone());
        // A shell and its child both say it.
        if !Arc::ptr_eq(&old, group) {
            old.leave(self);
        }
        Ok(())
    }

    /// The session.
    pub fn session(&self) -> Arc<Session> {
        self.group().session().clone()
    }

    /// Whether it made its session.
    pub fn is_session_leader(&self) -> bool {
        self.session().id() == self.pid
    }

    /// Visits the live threads, the youngest first, with nothing held; one that begins meanwhile may be missed, and one that lives may be visited
    /// twice.
    #[expect(clippy::disallowed_methods, reason = "into an array of its own size")]
    pub fn for_each_task(&self, mut visit: impl FnMut(&Arc<Task>)) {
        let mut end = usize::MAX;
        loop {
            // Who leaves moves those behind him down: going down, none is passed over.
            let some: ArrayVec<_, VISITED_AT_ONCE> = {
                let threads = self.threads.lock();
                end = end.min(threads.len());
                let start = end.saturating_sub(VISITED_AT_ONCE);
                let some = threads.get(start..end).unwrap_or_default().iter().rev().cloned().collect();
                end = start;
                some
            };
            some.iter().for_each(&mut visit);
            if end == 0 {
                return;
            }
        }
    }

    /// The numbers of the live threads, in order: ENOMEM.
    pub fn task_numbers(&self) -> Result<Vec<Pid>, OutOfMemory> {
        let mut numbers = Vec::new();
        let count = self.threads.lock().len();
        numbers.try_grow_exact(count)?;
        numbers.extend(self.threads.lock().iter().map(|task| task.tid()).take(count));
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// Looks at the live threads until `visit` gives something. `visit` must not sleep, nor take a lock of the same rank.
    pub fn find_task<R>(&self, visit: impl FnMut(&Arc<Task>) -> Option<R>) -> Option<R> {
        self.threads.lock().iter().find_map(visit)
    }

    /// Any live thread, the first one if it lives: who stands for the process in /proc.
    pub fn leader(&self) -> Option<Arc<Task>> {
        self.threads.lock().first().cloned()
    }

    /// Adds a thread: ENOMEM; EAGAIN when the process is ending or another thread is in execve(2).
    pub fn add_task(&self, task: &Arc<Task>) -> Result<(), Errno> {
        let mut threads = self.threads.lock();
        threads.try_grow(1)?;
        let mut state = self.state.lock();
        if state.ending.is_some() || state.executing.is_some() {
            return Err(Errno::EAGAIN);
        }
        state.live_threads += 1;
        drop(state);
        threads.push(task.clone());
        Ok(())
    }

    /// Takes out a thread that has ended; returns how many are left.
    pub fn remove_task(&self, task: &Task) -> usize {
        let (removed, left) = {
            let mut threads = self.threads.lock();
            let place = threads.iter().position(|other| core::ptr::eq(&**other, task));
            let removed = place.map(|place| threads.remove(place));
            let mut state = self.state.lock();
            if removed.is_some() {
                state.live_threads -= 1;
            }
            (removed, state.live_threads)
        };
        drop(removed);
        self.thread_ended.wake_all();
        left
    }

    /// The signal actions.
    pub fn actions(&self) -> SharedActions {
        self.actions.lock().clone()
    }

    /// Looks at, or changes, the signal actions. Locks: see the table above; may be called with `state` or a task's `pending` held.
    pub fn with_actions<R>(&self, act: impl FnOnce(&mut Actions) -> R) -> R {
        let shared = self.actions();
        let mut actions = shared.lock();
        act(&mut actions)
    }

    /// Gives it signal actions of its own (execve).
    pub fn set_actions(&self, actions: SharedActions) {
        let old = core::mem::replace(&mut *self.actions.lock(), actions);
        drop(old);
    }

    /// What it runs, while it has not ended.
    pub fn program(&self) -> Option<Arc<Program>> {
        self.program.lock().clone()
    }

    /// Lets it run something else (execve), or nothing any more; the old program comes back, to be dropped with no lock held.
    pub fn set_program(&self, program: Option<Arc<Program>>) -> Option<Arc<Program>> {
        core::mem::replace(&mut *self.program.lock(), program)
    }

    /// The signal that the parent gets at the end, if any.
    pub fn exit_signal(&self) -> Option<Signal> {
        Signal::new(self.exit_signal.load(Ordering::Relaxed) as i32)
    }

    /// Changes the signal that the parent gets: a program that was executed, or a child that was adopted, ends with SIGCHLD.
    pub fn set_exit_signal(&self, signal: Signal) {
        self.exit_signal.store(signal.number() as u32, Ordering::Relaxed);
    }

    /// Whether it has ended and waits to be waited for.
    pub fn is_zombie(&self) -> bool {
        self.state.lock().zombie.is_some()
    }

    /// Whether it is stopped.
    pub fn is_stopped(&self) -> bool {
        matches!(self.state.lock().stop, Stop::Stopped(_))
    }

    /// Whether all threads are to end.
    pub fn is_ending(&self) -> bool {
        self.state.lock().ending.is_some()
    }

    /// The signals that wait for any thread.
    pub fn pending_set(&self) -> SigSet {
        self.state.lock().pending.set()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let group = self.group.get_mut().clone();
        group.leave(self);
    }
}

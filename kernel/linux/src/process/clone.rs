//! New threads and processes (clone(2), clone3(2), fork(2), vfork(2)).

use alloc::sync::{Arc, Weak};

use abi::Errno;
use abi::capability::{CAP_SYS_ADMIN, CAP_SYS_RESOURCE};
use abi::resource::RLIMIT_NPROC;
use abi::sched::{CSIGNAL, CloneArgs, CloneFlags};
use abi::signal::{SS_DISABLE, SigAltStack, Signal};
use machine::address::UserAddress;
use machine::frame::OutOfMemory;
use machine::heap::try_arc;
use machine::sync::atomic::{AtomicBool, Ordering};
use machine::sync::{Rank, SpinLock};
use memory::user;
use threads::{Wait, WaitQueue};

use super::ids::Pid;
use super::task::NewTask;
use super::{Caller, NewProcess, Process, Task};
use crate::sequence::Sequence;

/// Flags that are known and done. What is left out makes namespaces or control groups, of which there is one each: EINVAL, as on a Linux that was built without them.
const SUPPORTED: CloneFlags = CloneFlags::VM
    .union(CloneFlags::FS)
    .union(CloneFlags::FILES)
    .union(CloneFlags::SIGHAND)
    .union(CloneFlags::VFORK)
    .union(CloneFlags::PARENT)
    .union(CloneFlags::THREAD)
    .union(CloneFlags::SYSVSEM)
    .union(CloneFlags::SETTLS)
    .union(CloneFlags::PARENT_SETTID)
    .union(CloneFlags::CHILD_CLEARTID)
    .union(CloneFlags::DETACHED)
    .union(CloneFlags::UNTRACED)
    .union(CloneFlags::PTRACE)
    .union(CloneFlags::CHILD_SETTID)
    .union(CloneFlags::IO)
    .union(CloneFlags::CLEAR_SIGHAND);

/// What a parent that has lent its memory waits for (vfork(2)): the child has executed a program or has ended.
pub struct Completion {
    is_done: AtomicBool,
    waiters: WaitQueue,
}

impl Completion {
    /// Not over.
    pub fn new() -> Result<Arc<Self>, OutOfMemory> {
        try_arc(Self { is_done: AtomicBool::new(false), waiters: WaitQueue::new() })
    }

    /// The memory is the parent's alone again.
    pub fn complete(&self) {
        self.is_done.store(true, Ordering::Release);
        self.waiters.wake_all();
    }

    /// Waits for that, whatever comes.
    pub fn wait_patiently(&self) {
        let mut is_over = || self.is_done.load(Ordering::Acquire).then_some(());
        // This wait has no other end.
        let _ = self.waiters.wait_until(Wait::UNINTERRUPTIBLE, &mut is_over);
    }

    /// Waits for that. Only a signal that ends the caller comes before it.
    fn wait(&self, caller: &Caller) {
        let mut is_over = || (self.is_done.load(Ordering::Acquire) || caller.must_end()).then_some(());
        while is_over().is_none() {
            if self.waiters.wait_until(Wait::INTERRUPTIBLE, &mut is_over).is_err() {
                // A signal that does not end the caller waits until the child is done; looked at again on the way out.
                threads::current().work().fetch_and(!threads::work::INTERRUPT, Ordering::SeqCst);
                caller.look_again();
            }
        }
    }
}

/// Checks flags that exclude each other (clone(2), EINVAL).
pub fn check(flags: CloneFlags, exit_signal: u64) -> Result<(), Errno> {
    let has = |flag| flags.contains(flag);
    let wrong = !SUPPORTED.contains(flags)
        || has(CloneFlags::SIGHAND) && !has(CloneFlags::VM)
        || has(CloneFlags::THREAD) && !has(CloneFlags::SIGHAND)
        || has(CloneFlags::SIGHAND) && has(CloneFlags::CLEAR_SIGHAND)
        || exit_signal > 64;
    if wrong { Err(Errno::EINVAL) } else { Ok(()) }
}

/// Makes a thread or a process that goes on where the caller is, with 0 as the result of its call. Returns its number.
pub fn clone(caller: &mut Caller, arguments: &CloneArgs) -> Result<Pid, Errno> {
    let flags = CloneFlags::from_bits_retain(arguments.flags & !CSIGNAL);
    check(flags, arguments.exit_signal)?;
    let is_thread = flags.contains(CloneFlags::THREAD);
    if flags.contains(CloneFlags::PARENT) && caller.process.is_init() {
        return Err(Errno::EINVAL);
    }
    check_limit(caller)?;

    let namespaces = caller.process.namespaces.clone();
    let reserved = namespaces.pids.allocate()?;
    let tid = reserved.pid();

    let descriptors = if flags.contains(CloneFlags::FILES) {
        caller.descriptors.clone()
    } else {
        caller.descriptors.duplicate()?
    };
    let place =
        if flags.contains(CloneFlags::FS) { caller.place.clone() } else { caller.place.duplicate()? };
    let space = if flags.contains(CloneFlags::VM) { caller.space.clone() } else { caller.space.fork()? };

    let process = if is_thread {
        caller.process.clone()
    } else {
        new_process(caller, tid, flags, arguments.exit_signal as u32, &space)?
    };
    let task = Task::new(NewTask {
        tid,
        process: process.clone(),
        blocked: caller.task.blocked(),
        descriptors: descriptors.clone(),
        place: place.clone(),
        credentials: caller.credentials.clone(),
    })?;

    let mut context = caller.context.duplicate()?;
    context.registers_mut().rax = 0;
    if arguments.stack != 0 {
        context.registers_mut().rsp = arguments.stack.wrapping_add(arguments.stack_size);
    }
    if flags.contains(CloneFlags::SETTLS) && !context.set_fs_base(arguments.tls) {
        return Err(Errno::EPERM);
    }

    let mut child = Caller::new(task.clone(), context, space, descriptors, place);
    child.has_too_many_threads = caller.has_too_many_threads;
    child.no_new_privileges = caller.no_new_privileges;
    child.timer_slack_ns = caller.timer_slack_ns;
    child.first_timer_slack_ns = caller.timer_slack_ns;
    if !flags.contains(CloneFlags::VM) || flags.contains(CloneFlags::VFORK) {
        child.alternate_stack = caller.alternate_stack;
    } else {
        child.alternate_stack = SigAltStack { ss_flags: SS_DISABLE, ..SigAltStack::DISABLED };
    }
    if !flags.contains(CloneFlags::VM) {
        // The copy of the memory has the copy of the registration (rseq(2)).
        child.sequence = caller.sequence.as_ref().map(Sequence::inherited);
    }
    if flags.contains(CloneFlags::CHILD_CLEARTID) {
        task.clear_child_tid.store(arguments.child_tid, Ordering::Relaxed);
    }
    let set_child_tid = flags.contains(CloneFlags::CHILD_SETTID).then_some(arguments.child_tid);
    let vfork = if flags.contains(CloneFlags::VFORK) { Some(Completion::new()?) } else { None };
    child.vfork = vfork.clone();

    introduce(caller, &task, flags)?;
    reserved.keep();
    let parent = threads::current();
    let builder = threads::Builder::new(&parent.name()).inherit(&parent).space(child.space.space().clone());
    let Ok(thread) = builder.build(move || begin(child, set_child_tid)) else {
        withdraw(&task, is_thread);
        return Err(Errno::ENOMEM);
    };
    if flags.contains(CloneFlags::PARENT_SETTID) {
        // Before the child runs: the word may be the one that its end clears. Linux ignores an address that cannot be written, too.
        let _ = user::write_value(UserAddress(arguments.parent_tid as usize), &tid);
    }
    thread.begin();
    drop(thread);
    if let Some(vfork) = vfork {
        vfork.wait(caller);
    }
    Ok(tid)
}

/// What a new thread does first.
fn begin(child: Caller, set_child_tid: Option<u64>) {
    child.task.begin();
    if let Some(address) = set_child_tid {
        let _ = user::write_value(UserAddress(address as usize), &child.task.tid());
    }
    // A signal, a stop or the end may have come before there was a thread to tell.
    child.look_again();
    crate::run::run(child);
}

/// RLIMIT_NPROC: EAGAIN for a user who has as many threads as he may, unless privileged.
fn check_limit(caller: &mut Caller) -> Result<(), Errno> {
    let limit = caller.process.limits.soft(RLIMIT_NPROC);
    let credentials = &caller.credentials;
    let is_privileged =
        credentials.uid == 0 || credentials.has(CAP_SYS_RESOURCE) || credentials.has(CAP_SYS_ADMIN);
    if !is_privileged && caller.process.namespaces.users.threads_of(credentials.uid) as u64 >= limit {
        return Err(Errno::EAGAIN);
    }
    caller.has_too_many_threads = false;
    Ok(())
}

/// Whether user `uid` has more threads than the caller's RLIMIT_NPROC lets him: setuid(2) does not fail for that, but execve(2) does then.
pub fn is_over_limit(caller: &Caller, uid: u32) -> bool {
    let limit = caller.process.limits.soft(RLIMIT_NPROC);
    uid != 0 && caller.process.namespaces.users.threads_of(uid) as u64 > limit
}

/// The process of a child that is no thread of the caller's.
fn new_process(
    caller: &Caller,
    pid: Pid,
    flags: CloneFlags,
    exit_signal: u32,
    space: &Arc<memory::AddressSpace>,
) -> Result<Arc<Process>, Errno> {
    let parent = &caller.process;
    let program = parent.program().ok_or(Errno::ESRCH)?;
    let program = if flags.contains(CloneFlags::VM) { program } else { program.duplicate(space.clone())? };
    let actions = if flags.contains(CloneFlags::SIGHAND) {
        parent.actions()
    } else {
        let mut actions = parent.with_actions(|actions| actions.clone());
        if flags.contains(CloneFlags::CLEAR_SIGHAND) {
            actions.reset_handlers();
        }
        try_arc(SpinLock::new(Rank::Table, actions))?
    };
    let father = if flags.contains(CloneFlags::PARENT) { parent.parent() } else { Some(parent.clone()) };
    let process = Process::new(NewProcess {
        pid,
        namespaces: parent.namespaces.clone(),
        parent: father.as_ref().map_or_else(Weak::new, Arc::downgrade),
        group: parent.group(),
        actions,
        program,
        limits: parent.limits.duplicate(),
        exit_signal: if flags.contains(CloneFlags::PARENT) {
            parent.exit_signal().map_or(0, |signal: Signal| signal.number() as u32)
        } else {
            exit_signal
        },
    })?;
    for (to, from) in [
        (&process.dumpable, &parent.dumpable),
        (&process.oom_adjustment, &parent.oom_adjustment),
        (&process.personality, &parent.personality),
    ] {
        to.store(from.load(Ordering::Relaxed), Ordering::Relaxed);
    }
    process.timers.watch_processor_limit(&process)?;
    Ok(process)
}

/// Makes a task, and with it a new process, known to others. Nothing is left behind by an error.
fn introduce(caller: &Caller, task: &Arc<Task>, flags: CloneFlags) -> Result<(), Errno> {
    let process = task.process();
    process.add_task(task)?;
    if !flags.contains(CloneFlags::THREAD) {
        let outcome = introduce_process(caller, process);
        if let Err(error) = outcome {
            process.remove_task(task);
            return Err(error);
        }
        process.namespaces.pids.publish_process(process);
    }
    process.namespaces.pids.publish_task(task);
    Ok(())
}

fn introduce_process(caller: &Caller, process: &Arc<Process>) -> Result<(), Errno> {
    // Signals for the group that arrive from now on reach the child; one that has arrived already interrupts the fork, which is then made again (fork(2), EINTR of ERESTARTNOINTR).
    if caller.must_end() {
        return Err(Errno::EINTR);
    }
    process.group().join(process)?;
    let parent = process.parent().ok_or(Errno::ESRCH)?;
    parent.add_child(process);
    Ok(())
}

/// Takes back what [`introduce`] did: the thread could not be made.
fn withdraw(task: &Arc<Task>, is_thread: bool) {
    let process = task.process();
    process.namespaces.pids.retire_task(task.tid());
    process.remove_task(task);
    if !is_thread {
        if let Some(parent) = process.parent() {
            parent.remove_child(process);
        }
        process.namespaces.pids.retire_process(process.pid());
    }
}

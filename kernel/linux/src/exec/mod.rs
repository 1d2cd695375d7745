//! Executing a program (execve(2)).
//!
//! ```text
//!   open ── read the strings ── script? open its interpreter (4 deep at the most)
//!        ── build the new address space beside the old one ── end the other threads
//!        ── the point of no return: switch spaces, close descriptors, reset signals ── first instruction
//! ```
//!
//! Everything that can fail happens before the point of no return, so that a program whose execve(2) fails goes on unharmed; one that executes a file whose headers
//! contradict themselves is ended by SIGSEGV, as on Linux, which has given up the old program by then.

pub mod load;
mod script;
mod stack;
mod strings;
pub(crate) mod vdso;

use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::Errno;
use abi::fcntl::{AtFlags, OpenFlags};
use abi::mount::MountFlags;
use abi::resource::{RLIMIT_AS, RLIMIT_DATA, RLIMIT_MEMLOCK, RLIMIT_STACK};
use abi::signal::{SigAltStack, Signal};
use files::credentials::Access;
use files::inode::Opening;
use files::{Credentials, File, Kind, Lookup, Path};
use machine::address::UserAddress;
use machine::heap::{Allowance, try_to_vec};
use machine::sync::atomic::Ordering;
use machine::sync::{Rank, SpinLock};
use memory::Limits as SpaceLimits;
use threads::Wait;

use crate::calls;
use crate::process::program::Running;
use crate::process::{Caller, Limits, Program, clone, identity};
use crate::signal::{deliver, send};

use load::{LoadError, Loaded};
use strings::Lists;

/// Interpreters that may stand behind each other (Linux: BINPRM_MAX_RECURSION, 4 after the first).
const SCRIPTS_MAX: usize = 5;

/// Where the program is, as execveat(2) is told.
#[derive(Clone, Copy)]
pub struct Place {
    /// A directory's descriptor, or AT_FDCWD.
    pub directory: i32,
    /// The path's address.
    pub path: UserAddress,
    /// AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW.
    pub flags: u32,
}

/// An executable that has been found and opened.
pub struct Executable {
    /// Where it is.
    pub path: Path,
    /// Its contents.
    pub file: Arc<dyn File>,
}

/// Replaces the caller's program. Returns only to say what went wrong, or to begin the new program.
pub fn execute(
    caller: &mut Caller,
    at: Place,
    arguments: UserAddress,
    environment: UserAddress,
) -> Result<usize, Errno> {
    let path = calls::read_path(at.path)?;
    if caller.has_too_many_threads && clone::is_over_limit(caller, caller.credentials.uid) {
        return Err(Errno::EAGAIN);
    }
    caller.has_too_many_threads = false;
    let limit = strings::limit_bytes(caller.process.limits.soft(RLIMIT_STACK));
    let executable = find(caller, at, &path)?;
    let lists = Lists::read(&path, arguments, environment, limit)?;
    execute_found(caller, executable, path, lists, limit)
}

/// As [`execute`], with what the kernel itself has in hand: how the first program starts.
pub fn execute_kernel(
    caller: &mut Caller,
    path: &[u8],
    arguments: Vec<Vec<u8>>,
    environment: Vec<Vec<u8>>,
) -> Result<(), Errno> {
    let limit = strings::limit_bytes(caller.process.limits.soft(RLIMIT_STACK));
    let executable = open(caller, calls::look_up(caller, abi::fcntl::AT_FDCWD, path, Lookup::FOLLOW)?)?;
    execute_found(caller, executable, try_to_vec(path)?, Lists::of(arguments, environment)?, limit)?;
    Ok(())
}

fn find(caller: &Caller, at: Place, path: &[u8]) -> Result<Executable, Errno> {
    let allowed = AtFlags::EMPTY_PATH | AtFlags::SYMLINK_NOFOLLOW;
    let flags = AtFlags::from_bits(at.flags).filter(|flags| allowed.contains(*flags)).ok_or(Errno::EINVAL)?;
    let how = Lookup {
        follow: !flags.contains(AtFlags::SYMLINK_NOFOLLOW),
        allow_empty: flags.contains(AtFlags::EMPTY_PATH),
        ..Lookup::FOLLOW
    };
    open(caller, calls::look_up(caller, at.directory, path, how)?)
}

/// Opens a file to run it: EACCES for what is no regular file, on a mount without programs, or not executable for the caller.
fn open(caller: &Caller, path: Path) -> Result<Executable, Errno> {
    let ownership = path.inode().ownership();
    match Kind::of_mode(ownership.mode) {
        Kind::Regular => {}
        Kind::Symlink => return Err(Errno::ELOOP),
        _ => return Err(Errno::EACCES),
    }
    if path.mount.forbids_execution() {
        return Err(Errno::EACCES);
    }
    caller.credentials.check(ownership, Access::EXECUTE)?;
    let opening = Opening { flags: OpenFlags::empty(), credentials: &caller.credentials, path: &path };
    let file = Arc::clone(path.inode()).open(&opening)?;
    Ok(Executable { path, file })
}

fn execute_found(
    caller: &mut Caller,
    mut executable: Executable,
    path: Vec<u8>,
    mut lists: Lists,
    limit: usize,
) -> Result<usize, Errno> {
    let mut interpreted = try_to_vec(&path)?;
    let mut head = [0; script::HEAD_LEN];
    let mut len;
    let mut scripts = 0;
    loop {
        len = load::read_at(&executable.file, 0, &mut head)?;
        let Some(parsed) = script::parse(head.get(..len).unwrap_or_default()) else { break };
        scripts += 1;
        if scripts > SCRIPTS_MAX {
            return Err(Errno::ELOOP);
        }
        let interpreter = parsed?;
        lists.interpret(interpreter.path, interpreter.argument, &interpreted)?;
        interpreted = try_to_vec(interpreter.path)?;
        let found = calls::look_up(caller, abi::fcntl::AT_FDCWD, interpreter.path, Lookup::FOLLOW)?;
        executable = open(caller, found)?;
    }
    lists.check(&path, limit)?;

    let ownership = executable.path.inode().ownership();
    let may_gain = !caller.no_new_privileges && !executable.path.mount.flags().contains(MountFlags::NOSUID);
    let (credentials, is_secure) = identity::execute(&caller.credentials, ownership, may_gain);
    let running = Running::begin(executable.path.clone())?;
    let loaded = load::load(
        caller,
        &executable,
        head.get(..len).unwrap_or_default(),
        &load::Start { path: &path, lists: &lists, credentials: &credentials, is_secure },
    );
    let loaded = match loaded {
        Ok(loaded) => loaded,
        Err(LoadError::Refused(error)) => return Err(error),
        Err(LoadError::Broken) => {
            deliver::end_process(caller, Signal::SIGSEGV);
            return Err(Errno::ENOEXEC);
        }
    };

    // What follows cannot be taken back: what it makes has its memory now.
    let _allowance = Allowance::of(COMMIT_FRAMES)?;
    end_other_threads(caller)?;
    let name = path.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
    commit(caller, loaded, running, credentials, is_secure, name);
    Ok(0)
}

/// Ends all other threads, and takes over the process's number: EAGAIN when another thread is doing the same or the process ends.
fn end_other_threads(caller: &mut Caller) -> Result<(), Errno> {
    let process = caller.process.clone();
    let tid = caller.task.tid();
    {
        let mut state = process.state.lock();
        if state.ending.is_some() || state.executing.is_some() {
            return Err(Errno::EAGAIN);
        }
        state.executing = Some(tid);
    }
    process.for_each_task(|task| {
        if !Arc::ptr_eq(task, &caller.task) {
            task.attend();
        }
    });
    process.resumed.wake_all();
    let is_alone = || (process.state.lock().live_threads == 1).then_some(());
    // The others are on their way out already; nothing that could interrupt this is worth heeding before they have gone.
    let _ = process.thread_ended.wait_until(Wait::UNINTERRUPTIBLE, is_alone);
    if tid != process.pid() {
        process.namespaces.pids.retire_task(tid);
        caller.task.become_leader();
        let first = process.membership.lock().take();
        drop(first);
        process.namespaces.pids.publish_task(&caller.task);
    }
    let mut state = process.state.lock();
    state.executing = None;
    state.leader_status = None;
    Ok(())
}

/// Frames for the program's own objects and its signal actions.
const COMMIT_FRAMES: usize = 2;

/// The new program takes the old one's place, with an allowance. Nothing here can fail.
#[expect(clippy::disallowed_methods, reason = "made with an allowance in hand")]
fn commit(
    caller: &mut Caller,
    loaded: Loaded,
    running: Running,
    credentials: Credentials,
    is_secure: bool,
    name: &[u8],
) {
    let process = caller.process.clone();
    crate::futex::robust::release_all(caller);
    crate::process::exit::clear_child_tid(caller);
    process.account.note_resident(&process);
    let program = Program::new(loaded.space.clone(), Some(running), loaded.layout);
    machine::task::set_space(Some(loaded.space.space().clone()));
    let old_space = core::mem::replace(&mut caller.space, loaded.space);
    let old_program = process.set_program(Some(program));
    drop(old_program);
    drop(old_space);
    if let Some(vfork) = caller.vfork.take() {
        vfork.complete();
    }
    // A table that another process shares stays that process's alone.
    if Arc::strong_count(&caller.descriptors) > 2 && calls::unshare_descriptors(caller).is_err() {
        send::kernel_to_process(&process, Signal::SIGKILL);
    }
    caller.descriptors.close_range(0, usize::MAX, true);
    let mut actions = process.with_actions(|actions| actions.clone());
    actions.reset_handlers();
    process.set_actions(Arc::new(SpinLock::new(Rank::Table, actions)));
    process.set_exit_signal(Signal::SIGCHLD);
    process.has_executed.store(true, Ordering::Relaxed);
    process.dumpable.store(u32::from(!is_secure), Ordering::Relaxed);
    process.timers.program_replaced();
    if is_secure {
        process.parent_death_signal.store(0, Ordering::Relaxed);
    }
    // Only another real user would need memory, and that one stays.
    if caller.set_credentials(Arc::new(credentials)).is_err() {
        send::kernel_to_process(&process, Signal::SIGKILL);
    }
    caller.alternate_stack = SigAltStack::DISABLED;
    caller.sequence = None;
    caller.restart = None;
    caller.interrupted = None;
    process.membarriers.store(0, Ordering::Relaxed);
    threads::current().set_name(name);
    caller.context.reset();
    let registers = caller.context.registers_mut();
    registers.rip = loaded.entry;
    registers.rsp = loaded.stack_pointer;
}

/// What the limits of a process mean for its address space.
pub fn space_limits(limits: &Limits, credentials: &Credentials) -> SpaceLimits {
    let may_lock_all = credentials.has(abi::capability::CAP_IPC_LOCK);
    SpaceLimits {
        address_space: limits.soft(RLIMIT_AS),
        data: limits.soft(RLIMIT_DATA),
        stack: limits.soft(RLIMIT_STACK),
        locked: if may_lock_all { u64::MAX } else { limits.soft(RLIMIT_MEMLOCK) },
        may_map_low: credentials.has(abi::capability::CAP_SYS_RAWIO),
    }
}

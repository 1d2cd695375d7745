//! Making, ending and awaiting processes; their numbers, groups and sessions; prctl(2).

use abi::Errno;
use abi::capability::{CAP_SYS_RESOURCE, SECBIT_KEEP_CAPS};
use abi::prctl::*;
use abi::resource::{RLIM_INFINITY, RLIM_NLIMITS, RLIMIT_CPU, RLIMIT_NOFILE, Rlimit64};
use abi::sched::*;
use abi::signal::Signal;
use abi::signal::info::*;
use abi::time::Tms;
use alloc::sync::Arc;
use alloc::vec::Vec;
use files::Credentials;
use machine::heap::try_arc;
use machine::sync::atomic::Ordering;
use memory::user;
use zerocopy::IntoBytes;

use super::Arguments;
use super::arguments::write_optional;
use super::files::read_extensible;
use crate::process::account::{Usage, ticks};
use crate::process::limits::NR_OPEN;
use crate::process::wait::{Found, Which};
use crate::process::{Caller, Group, Process, Session, clone, exit, identity, wait};

type Outcome = Result<usize, Errno>;

/// clone(2).
pub fn clone(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let flags = arguments.word(0) & 0xffff_ffff;
    let request = CloneArgs {
        flags: flags & !CSIGNAL,
        exit_signal: flags & CSIGNAL,
        stack: arguments.word(1),
        parent_tid: arguments.word(2),
        child_tid: arguments.word(3),
        tls: arguments.word(4),
        ..CloneArgs::default()
    };
    clone::clone(caller, &request).map(|tid| tid as usize)
}

/// clone3(2).
pub fn clone3(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let request: CloneArgs = read_extensible(arguments.address(0), arguments.size(1), CLONE_ARGS_SIZE_VER0)?;
    let has_stack = request.stack != 0;
    let is_wrong = request.flags & CSIGNAL != 0
        || request.flags & CloneFlags::DETACHED.bits() != 0
        || has_stack != (request.stack_size != 0)
        || request.set_tid_size != 0
        || request.flags & (CloneFlags::THREAD | CloneFlags::PARENT).bits() != 0 && request.exit_signal != 0;
    if is_wrong {
        return Err(Errno::EINVAL);
    }
    clone::clone(caller, &request).map(|tid| tid as usize)
}

/// fork(2).
pub fn fork(caller: &mut Caller, _: &Arguments) -> Outcome {
    let exit_signal = Signal::SIGCHLD.number() as u64;
    clone::clone(caller, &CloneArgs { exit_signal, ..CloneArgs::default() }).map(|tid| tid as usize)
}

/// vfork(2).
pub fn vfork(caller: &mut Caller, _: &Arguments) -> Outcome {
    let exit_signal = Signal::SIGCHLD.number() as u64;
    let flags = (CloneFlags::VM | CloneFlags::VFORK).bits();
    clone::clone(caller, &CloneArgs { flags, exit_signal, ..CloneArgs::default() }).map(|tid| tid as usize)
}

/// execve(2).
pub fn execve(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let at = crate::exec::Place { directory: abi::fcntl::AT_FDCWD, path: arguments.address(0), flags: 0 };
    crate::exec::execute(caller, at, arguments.address(1), arguments.address(2))
}

/// execveat(2).
pub fn execveat(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let at = crate::exec::Place {
        directory: arguments.int(0),
        path: arguments.address(1),
        flags: arguments.unsigned(4),
    };
    crate::exec::execute(caller, at, arguments.address(2), arguments.address(3))
}

/// exit(2).
pub fn exit(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    exit::end_thread(caller, arguments.word(0) as u8);
    Ok(0)
}

/// exit_group(2).
pub fn exit_group(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    exit::end_group(caller, arguments.word(0) as u8);
    Ok(0)
}

/// wait4(2).
pub fn wait4(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let flags = WaitFlags::from_bits(arguments.unsigned(2)).ok_or(Errno::EINVAL)?;
    if flags.intersects(WaitFlags::EXITED | WaitFlags::NOWAIT) {
        return Err(Errno::EINVAL);
    }
    let which = match arguments.int(0) {
        -1 => Which::Any,
        0 => Which::Group(caller.process.group().id()),
        i32::MIN => return Err(Errno::ESRCH),
        pid if pid < 0 => Which::Group(-pid),
        pid => Which::Process(pid),
    };
    let Some(found) = wait::wait(caller, which, flags | WaitFlags::EXITED)? else { return Ok(0) };
    write_optional(arguments.optional(1), &found.status.encode())?;
    write_optional(arguments.optional(3), &found.usage.to_rusage())?;
    Ok(found.pid as usize)
}

/// waitid(2).
pub fn waitid(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let outcome = wait_for_id(caller, arguments);
    let info = match &outcome {
        Ok(Some(found)) => child_info(found),
        _ => SigInfo::default(),
    };
    if let Ok(Some(found)) = &outcome {
        write_optional(arguments.optional(4), &found.usage.to_rusage())?;
    }
    // Told of a failure too: a place that cannot be written is the graver error.
    write_optional(arguments.optional(2), &info)?;
    outcome.map(|_| 0)
}

fn wait_for_id(caller: &mut Caller, arguments: &Arguments) -> Result<Option<Found>, Errno> {
    let flags = WaitFlags::from_bits(arguments.unsigned(3)).ok_or(Errno::EINVAL)?;
    if !flags.intersects(WaitFlags::EXITED | WaitFlags::UNTRACED | WaitFlags::CONTINUED) {
        return Err(Errno::EINVAL);
    }
    let id = arguments.int(1);
    let which = match arguments.unsigned(0) {
        P_ALL => Which::Any,
        P_PID if id > 0 => Which::Process(id),
        P_PGID if id > 0 => Which::Group(id),
        P_PGID if id == 0 => Which::Group(caller.process.group().id()),
        P_PIDFD => return Err(Errno::EBADF),
        _ => return Err(Errno::EINVAL),
    };
    wait::wait(caller, which, flags)
}

fn child_info(found: &Found) -> SigInfo {
    let (code, status) = match found.status {
        WaitStatus::Exited(status) => (CLD_EXITED, i32::from(status)),
        WaitStatus::Killed { signal, dumped: false } => (CLD_KILLED, i32::from(signal)),
        WaitStatus::Killed { signal, dumped: true } => (CLD_DUMPED, i32::from(signal)),
        WaitStatus::Stopped(signal) => (CLD_STOPPED, i32::from(signal)),
        WaitStatus::Continued => (CLD_CONTINUED, Signal::SIGCONT.number()),
    };
    // waitid(2) leaves the times out.
    SigInfo::child(code, found.pid, found.uid, status, 0, 0)
}

/// getpid(2).
pub fn getpid(caller: &mut Caller, _: &Arguments) -> Outcome {
    Ok(caller.process.pid() as usize)
}

/// gettid(2).
pub fn gettid(caller: &mut Caller, _: &Arguments) -> Outcome {
    Ok(caller.task.tid() as usize)
}

/// getppid(2).
pub fn getppid(caller: &mut Caller, _: &Arguments) -> Outcome {
    Ok(caller.process.parent_pid() as usize)
}

/// The process that a number names, 0 for the caller's own: ESRCH.
pub fn named(caller: &Caller, pid: i32) -> Result<Arc<Process>, Errno> {
    if pid == 0 {
        return Ok(caller.process.clone());
    }
    caller.process.namespaces.pids.process(pid).ok_or(Errno::ESRCH)
}

/// getpgrp(2).
pub fn getpgrp(caller: &mut Caller, _: &Arguments) -> Outcome {
    Ok(caller.process.group().id() as usize)
}

/// getpgid(2).
pub fn getpgid(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    Ok(named(caller, arguments.int(0))?.group().id() as usize)
}

/// getsid(2).
pub fn getsid(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    Ok(named(caller, arguments.int(0))?.session().id() as usize)
}

/// setpgid(2).
pub fn setpgid(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let (pid, id) = (arguments.int(0), arguments.int(1));
    if id < 0 || id == 0 && pid < 0 {
        return Err(Errno::EINVAL);
    }
    let target = named(caller, pid)?;
    let is_self = Arc::ptr_eq(&target, &caller.process);
    if !is_self {
        let is_child = target.parent().is_some_and(|parent| Arc::ptr_eq(&parent, &caller.process));
        if !is_child {
            return Err(Errno::ESRCH);
        }
        if !Arc::ptr_eq(&target.session(), &caller.process.session()) {
            return Err(Errno::EPERM);
        }
        if target.has_executed.load(Ordering::Relaxed) {
            return Err(Errno::EACCES);
        }
    }
    if target.is_session_leader() {
        return Err(Errno::EPERM);
    }
    let id = if id == 0 { target.pid() } else { id };
    let session = target.session();
    if target.group().id() == id {
        return Ok(0);
    }
    let group = match caller.process.namespaces.pids.group(id) {
        Some(group) if Arc::ptr_eq(group.session(), &session) => group,
        None if id == target.pid() => Group::new(id, &session)?,
        _ => return Err(Errno::EPERM),
    };
    target.set_group(&group)?;
    Ok(0)
}

/// setsid(2).
pub fn setsid(caller: &mut Caller, _: &Arguments) -> Outcome {
    let process = &caller.process;
    let pid = process.pid();
    if process.group().id() == pid || process.namespaces.pids.group(pid).is_some() {
        return Err(Errno::EPERM);
    }
    let session = Session::new(&process.namespaces.pids, process)?;
    let group = Group::new(pid, &session)?;
    process.set_group(&group)?;
    Ok(pid as usize)
}

/// set_tid_address(2).
pub fn set_tid_address(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    caller.task.clear_child_tid.store(arguments.word(0), Ordering::Relaxed);
    Ok(caller.task.tid() as usize)
}

/// getrusage(2).
pub fn getrusage(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let process = &caller.process;
    let mut usage = match arguments.int(0) {
        RUSAGE_SELF => process.account.times(process),
        RUSAGE_CHILDREN => process.account.children(),
        RUSAGE_THREAD => Usage::of(&caller.task),
        _ => return Err(Errno::EINVAL),
    };
    if arguments.int(0) != RUSAGE_CHILDREN {
        let peak = caller.space.statistics().peak_resident_pages as u64 * 4;
        usage.max_resident_kib = usage.max_resident_kib.max(peak);
    }
    user::write_value(arguments.address(1), &usage.to_rusage())?;
    Ok(0)
}

/// times(2).
pub fn times(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let process = &caller.process;
    let (own, children) = (process.account.times(process), process.account.children());
    let answer = Tms {
        tms_utime: own.user_ticks(),
        tms_stime: own.system_ticks(),
        tms_cutime: children.user_ticks(),
        tms_cstime: children.system_ticks(),
    };
    write_optional(arguments.optional(0), &answer)?;
    Ok(ticks(machine::clock::now_ns()) as usize)
}

fn set_limit(caller: &Caller, target: &Arc<Process>, resource: u32, new: Rlimit64) -> Result<(), Errno> {
    let old = target.limits.get(resource).ok_or(Errno::EINVAL)?;
    if new.rlim_cur > new.rlim_max {
        return Err(Errno::EINVAL);
    }
    if resource == RLIMIT_NOFILE && new.rlim_max > NR_OPEN {
        return Err(Errno::EPERM);
    }
    if new.rlim_max > old.rlim_max && !caller.credentials.has(CAP_SYS_RESOURCE) {
        return Err(Errno::EPERM);
    }
    target.limits.set(resource, new);
    if resource == RLIMIT_CPU {
        target.timers.watch_processor_limit(target)?;
    }
    if let Some(program) = target.program() {
        program.space().set_limits(crate::exec::space_limits(&target.limits, &caller.credentials));
    }
    Ok(())
}

/// getrlimit(2).
pub fn getrlimit(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let limit = caller.process.limits.get(arguments.unsigned(0)).ok_or(Errno::EINVAL)?;
    user::write_value(arguments.address(1), &limit)?;
    Ok(0)
}

/// setrlimit(2).
pub fn setrlimit(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let new: Rlimit64 = user::read_value(arguments.address(1))?;
    set_limit(caller, &caller.process, arguments.unsigned(0), new)?;
    Ok(0)
}

/// prlimit64(2).
pub fn prlimit64(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    const { assert!(RLIM_INFINITY == u64::MAX && RLIM_NLIMITS == 16) };
    let resource = arguments.unsigned(1);
    let new: Option<Rlimit64> = super::arguments::read_optional(arguments.optional(2))?;
    let target = named(caller, arguments.int(0))?;
    if !Arc::ptr_eq(&target, &caller.process) && !caller.credentials.has(CAP_SYS_RESOURCE) {
        let theirs = target.leader().ok_or(Errno::ESRCH)?.credentials();
        let mine = &caller.credentials;
        let is_same_user = [theirs.uid, theirs.euid, theirs.suid].iter().all(|&id| id == mine.uid);
        let is_same_group = [theirs.gid, theirs.egid, theirs.sgid].iter().all(|&id| id == mine.gid);
        if !is_same_user || !is_same_group {
            return Err(Errno::EPERM);
        }
    }
    let old = target.limits.get(resource).ok_or(Errno::EINVAL)?;
    if let Some(new) = new {
        set_limit(caller, &target, resource, new)?;
    }
    write_optional(arguments.optional(3), &old)?;
    Ok(0)
}

/// personality(2).
pub fn personality(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    const QUERY: u32 = u32::MAX;
    let new = arguments.unsigned(0);
    if new == QUERY {
        return Ok(caller.process.personality.load(Ordering::Relaxed) as usize);
    }
    Ok(caller.process.personality.swap(new, Ordering::Relaxed) as usize)
}

/// prctl(2).
pub fn prctl(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let value = arguments.word(1);
    let has_rest = (2..=4).any(|index| arguments.word(index) != 0);
    match arguments.unsigned(0) {
        PR_SET_NAME => {
            let mut name: Vec<u8> = Vec::new();
            // Fifteen bytes count; what follows a zero byte does not.
            for offset in 0..15 {
                let byte: u8 =
                    user::read_value(arguments.address(1).checked_add(offset).ok_or(Errno::EFAULT)?)?;
                if byte == 0 {
                    break;
                }
                name.push(byte);
            }
            threads::current().set_name(&name);
        }
        PR_GET_NAME => {
            let mut name = [0; 16];
            for (to, from) in name.iter_mut().zip(threads::current().name()) {
                *to = from;
            }
            user::write_bytes(arguments.address(1), &name)?;
        }
        PR_SET_PDEATHSIG => {
            if value > 64 {
                return Err(Errno::EINVAL);
            }
            caller.process.parent_death_signal.store(value as u32, Ordering::Relaxed);
        }
        PR_GET_PDEATHSIG => {
            let signal = caller.process.parent_death_signal.load(Ordering::Relaxed);
            user::write_value(arguments.address(1), &signal)?;
        }
        PR_GET_DUMPABLE => return Ok(caller.process.dumpable.load(Ordering::Relaxed) as usize),
        PR_SET_DUMPABLE => {
            if value > 1 {
                return Err(Errno::EINVAL);
            }
            caller.process.dumpable.store(value as u32, Ordering::Relaxed);
        }
        PR_SET_CHILD_SUBREAPER => caller.process.is_subreaper.store(value != 0, Ordering::Relaxed),
        PR_GET_CHILD_SUBREAPER => {
            let is_subreaper = u32::from(caller.process.is_subreaper.load(Ordering::Relaxed));
            user::write_value(arguments.address(1), &is_subreaper)?;
        }
        PR_SET_NO_NEW_PRIVS => {
            if value != 1 || has_rest {
                return Err(Errno::EINVAL);
            }
            caller.no_new_privileges = true;
        }
        PR_GET_NO_NEW_PRIVS => {
            if value != 0 || has_rest {
                return Err(Errno::EINVAL);
            }
            return Ok(usize::from(caller.no_new_privileges));
        }
        PR_SET_TIMERSLACK => {
            // Sleeps are exact whatever is asked; the number is kept for who asks.
            caller.timer_slack_ns = if value == 0 { caller.first_timer_slack_ns } else { value };
        }
        PR_GET_TIMERSLACK => return Ok(caller.timer_slack_ns as usize),
        PR_GET_TID_ADDRESS => {
            let address = caller.task.clear_child_tid.load(Ordering::Relaxed);
            user::write_value(arguments.address(1), &address)?;
        }
        PR_GET_KEEPCAPS => {
            return Ok(usize::from(caller.credentials.secure_bits & SECBIT_KEEP_CAPS != 0));
        }
        PR_SET_KEEPCAPS => {
            let new = identity::keep_capabilities(&caller.credentials, value)?;
            caller.set_credentials(try_arc(new)?)?;
        }
        PR_GET_SECUREBITS => return Ok(caller.credentials.secure_bits as usize),
        PR_SET_SECUREBITS => {
            let new = identity::set_secure_bits(&caller.credentials, value)?;
            caller.set_credentials(try_arc(new)?)?;
        }
        PR_CAP_AMBIENT => return ambient(caller, arguments),
        PR_GET_AUXV => return auxiliary_vector(caller, arguments),
        PR_GET_THP_DISABLE | PR_GET_SECCOMP | PR_GET_TIMING => {}
        PR_GET_TSC => user::write_value(arguments.address(1), &PR_TSC_ENABLE)?,
        PR_SET_TSC if value == u64::from(PR_TSC_ENABLE) => {}
        PR_SET_TIMING if value == 0 => {}
        PR_CAPBSET_READ => {
            if value > u64::from(abi::capability::CAP_LAST_CAP) {
                return Err(Errno::EINVAL);
            }
            return Ok(usize::from(caller.credentials.bounding.has(value as u32)));
        }
        PR_CAPBSET_DROP => drop_bounding(caller, value)?,
        _ => return Err(Errno::EINVAL),
    }
    Ok(0)
}

/// PR_CAP_AMBIENT.
fn ambient(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let (operation, capability) = (arguments.unsigned(1), arguments.word(2));
    let has_more = arguments.word(3) != 0 || arguments.word(4) != 0;
    if operation == PR_CAP_AMBIENT_CLEAR_ALL {
        if capability != 0 || has_more {
            return Err(Errno::EINVAL);
        }
        let none = files::credentials::Capabilities::NONE;
        caller.set_credentials(try_arc(Credentials { ambient: none, ..(*caller.credentials).clone() })?)?;
        return Ok(0);
    }
    if has_more || capability > u64::from(abi::capability::CAP_LAST_CAP) {
        return Err(Errno::EINVAL);
    }
    let capability = capability as u32;
    match operation {
        PR_CAP_AMBIENT_IS_SET => Ok(usize::from(caller.credentials.ambient.has(capability))),
        PR_CAP_AMBIENT_RAISE | PR_CAP_AMBIENT_LOWER => {
            let raises = operation == PR_CAP_AMBIENT_RAISE;
            let new = identity::change_ambient(&caller.credentials, capability, raises)?;
            caller.set_credentials(try_arc(new)?)?;
            Ok(0)
        }
        _ => Err(Errno::EINVAL),
    }
}

/// PR_GET_AUXV: as much of the auxiliary vector as there is room for; gives its whole length.
fn auxiliary_vector(caller: &Caller, arguments: &Arguments) -> Outcome {
    if arguments.word(3) != 0 || arguments.word(4) != 0 {
        return Err(Errno::EINVAL);
    }
    let program = caller.process.program().ok_or(Errno::ESRCH)?;
    let mut bytes = Vec::new();
    for entry in &program.layout.auxiliary {
        bytes.try_reserve(size_of_val(entry)).map_err(|_| Errno::ENOMEM)?;
        bytes.extend_from_slice(entry.as_bytes());
    }
    let room = arguments.size(2).min(bytes.len());
    user::write_bytes(arguments.address(1), bytes.get(..room).unwrap_or_default())?;
    Ok(bytes.len())
}

fn drop_bounding(caller: &mut Caller, capability: u64) -> Result<(), Errno> {
    if !caller.credentials.has(abi::capability::CAP_SETPCAP) {
        return Err(Errno::EPERM);
    }
    if capability > u64::from(abi::capability::CAP_LAST_CAP) {
        return Err(Errno::EINVAL);
    }
    let mut new = (*caller.credentials).clone();
    new.bounding.0 &= !(1 << capability);
    caller.set_credentials(try_arc(new)?)?;
    Ok(())
}

/// arch_prctl(2): the bases of FS and GS.
pub fn arch_prctl(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    const SET_GS: u32 = 0x1001;
    const SET_FS: u32 = 0x1002;
    const GET_FS: u32 = 0x1003;
    const GET_GS: u32 = 0x1004;
    const GET_CPUID: u32 = 0x1011;
    let value = arguments.word(1);
    let accepted = match arguments.unsigned(0) {
        SET_FS => caller.context.set_fs_base(value),
        SET_GS => caller.context.set_gs_base(value),
        GET_FS => {
            user::write_value(arguments.address(1), &caller.context.fs_base())?;
            true
        }
        GET_GS => {
            user::write_value(arguments.address(1), &caller.context.gs_base())?;
            true
        }
        GET_CPUID => return Ok(1),
        _ => return Err(Errno::EINVAL),
    };
    if accepted { Ok(0) } else { Err(Errno::EPERM) }
}

/// unshare(2): descriptors and directories of one's own. Namespaces are one of each: EINVAL, as on a Linux built without them.
pub fn unshare(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let flags = CloneFlags::from_bits(arguments.word(0)).ok_or(Errno::EINVAL)?;
    let harmless = CloneFlags::SYSVSEM | CloneFlags::IO;
    if !(CloneFlags::FILES | CloneFlags::FS | harmless).contains(flags) {
        return Err(Errno::EINVAL);
    }
    if flags.contains(CloneFlags::FILES) {
        super::descriptors::unshare(caller)?;
    }
    if flags.contains(CloneFlags::FS) {
        let own = caller.place.duplicate()?;
        drop(caller.task.set_place(Some(own.clone())));
        caller.place = own;
    }
    Ok(0)
}

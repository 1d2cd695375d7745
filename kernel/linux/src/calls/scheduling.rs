//! Scheduling: policies, priorities, affinity (sched(7)).

use abi::Errno;
use abi::capability::CAP_SYS_NICE;
use abi::resource::{RLIMIT_NICE, RLIMIT_RTPRIO};
use abi::sched::*;
use abi::time::Timespec;
use alloc::sync::Arc;
use alloc::vec::Vec;
use machine::address::{PAGE_SIZE, UserAddress};
use machine::cpu;
use memory::user;
use threads::{CpuMask, Policy, Thread};

use super::Arguments;
use super::arguments::write_optional;
use super::files::read_extensible;
use crate::process::{Caller, Task};

type Outcome = Result<usize, Errno>;

/// The slice of a round-robin thread, in nanoseconds (Linux: RR_TIMESLICE).
const ROUND_ROBIN_NS: u64 = 100_000_000;

/// The slice of a thread that shares fairly, in nanoseconds: what the run queues give.
const FAIR_NS: u64 = 3_000_000;

/// sched_yield(2).
pub fn sched_yield(_: &mut Caller, _: &Arguments) -> Outcome {
    threads::yield_now();
    Ok(0)
}

fn find(caller: &Caller, tid: i32) -> Result<Arc<Task>, Errno> {
    match tid {
        tid if tid < 0 => Err(Errno::EINVAL),
        0 => Ok(caller.task.clone()),
        tid => caller.process.namespaces.pids.task(tid).ok_or(Errno::ESRCH),
    }
}

fn thread_of(task: &Task) -> Result<Arc<Thread>, Errno> {
    task.thread().ok_or(Errno::ESRCH)
}

/// Whether the caller may change how `task` is scheduled: EPERM.
fn check_owner(caller: &Caller, task: &Task) -> Result<(), Errno> {
    let theirs = task.credentials();
    let mine = &caller.credentials;
    let is_owner = mine.euid == theirs.euid || mine.euid == theirs.uid;
    if is_owner || mine.has(CAP_SYS_NICE) { Ok(()) } else { Err(Errno::EPERM) }
}

/// sched_getaffinity(2): returns the bytes that were written.
pub fn sched_getaffinity(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let len = arguments.unsigned(1) as usize;
    if !len.is_multiple_of(size_of::<u64>()) || len * 8 < cpu::count() {
        return Err(Errno::EINVAL);
    }
    let mask = thread_of(&*find(caller, arguments.int(0))?)?.affinity();
    let bytes = len.min(cpu::count().div_ceil(64) * size_of::<u64>());
    let mut words = [0u64; cpu::MAX_CPUS.div_ceil(64)];
    for processor in (0..cpu::count()).filter(|&processor| mask.contains(processor)) {
        words[processor / 64] |= 1 << (processor % 64);
    }
    for (index, word) in words.iter().take(bytes / size_of::<u64>()).enumerate() {
        user::write_value(UserAddress(arguments.address(2).0 + index * size_of::<u64>()), word)?;
    }
    Ok(bytes)
}

/// sched_setaffinity(2): processors that are not there are passed over.
pub fn sched_setaffinity(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let len = (arguments.unsigned(1) as usize).min(cpu::MAX_CPUS.div_ceil(8));
    let bytes: Vec<u8> = user::read_array(arguments.address(2), len)?;
    let task = find(caller, arguments.int(0))?;
    check_owner(caller, &task)?;
    let mut mask = CpuMask::EMPTY;
    for processor in 0..cpu::count() {
        if bytes.get(processor / 8).is_some_and(|byte| byte >> (processor % 8) & 1 != 0) {
            mask.insert(processor);
        }
    }
    if thread_of(&task)?.set_affinity(mask) { Ok(0) } else { Err(Errno::EINVAL) }
}

/// getcpu(2).
pub fn getcpu(_: &mut Caller, arguments: &Arguments) -> Outcome {
    write_optional(arguments.optional(0), &(cpu::current() as u32))?;
    write_optional(arguments.optional(1), &0u32)?;
    Ok(0)
}

fn encode(policy: Policy) -> (u32, u32) {
    match policy {
        Policy::Normal => (SCHED_NORMAL, 0),
        Policy::Batch => (SCHED_BATCH, 0),
        Policy::Idle => (SCHED_IDLE, 0),
        Policy::Fifo(priority) => (SCHED_FIFO, u32::from(priority)),
        Policy::RoundRobin(priority) => (SCHED_RR, u32::from(priority)),
    }
}

fn decode(policy: u32, priority: u32) -> Result<Policy, Errno> {
    let real_time =
        || u8::try_from(priority).ok().filter(|priority| (1..=99).contains(priority)).ok_or(Errno::EINVAL);
    let fair = |policy| if priority == 0 { Ok(policy) } else { Err(Errno::EINVAL) };
    match policy & !SCHED_RESET_ON_FORK {
        SCHED_NORMAL => fair(Policy::Normal),
        SCHED_BATCH => fair(Policy::Batch),
        SCHED_IDLE => fair(Policy::Idle),
        SCHED_FIFO => Ok(Policy::Fifo(real_time()?)),
        SCHED_RR => Ok(Policy::RoundRobin(real_time()?)),
        _ => Err(Errno::EINVAL),
    }
}

fn set_policy(caller: &Caller, tid: i32, policy: Policy) -> Result<Arc<Thread>, Errno> {
    let task = find(caller, tid)?;
    check_owner(caller, &task)?;
    let thread = thread_of(&task)?;
    if let Policy::Fifo(priority) | Policy::RoundRobin(priority) = policy {
        let limit = task.process().limits.soft(RLIMIT_RTPRIO);
        if u64::from(priority) > limit && !caller.credentials.has(CAP_SYS_NICE) {
            return Err(Errno::EPERM);
        }
    }
    thread.set_policy(policy);
    Ok(thread)
}

/// Where a call's `sched_param` is: EINVAL for none, and for a process that cannot be.
fn parameter_address(arguments: &Arguments, index: usize) -> Result<UserAddress, Errno> {
    if arguments.int(0) < 0 {
        return Err(Errno::EINVAL);
    }
    arguments.optional(index).ok_or(Errno::EINVAL)
}

fn read_priority(arguments: &Arguments, index: usize) -> Result<u32, Errno> {
    let parameter: SchedParam = user::read_value(parameter_address(arguments, index)?)?;
    u32::try_from(parameter.sched_priority).map_err(|_| Errno::EINVAL)
}

/// sched_setscheduler(2).
pub fn sched_setscheduler(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let priority = read_priority(arguments, 2)?;
    set_policy(caller, arguments.int(0), decode(arguments.unsigned(1), priority)?)?;
    Ok(0)
}

/// sched_getscheduler(2).
pub fn sched_getscheduler(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    Ok(encode(thread_of(&*find(caller, arguments.int(0))?)?.policy()).0 as usize)
}

/// sched_setparam(2).
pub fn sched_setparam(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let priority = read_priority(arguments, 1)?;
    let (policy, _) = encode(thread_of(&*find(caller, arguments.int(0))?)?.policy());
    set_policy(caller, arguments.int(0), decode(policy, priority)?)?;
    Ok(0)
}

/// sched_getparam(2).
pub fn sched_getparam(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let address = parameter_address(arguments, 1)?;
    let (_, priority) = encode(thread_of(&*find(caller, arguments.int(0))?)?.policy());
    user::write_value(address, &SchedParam { sched_priority: priority as i32 })?;
    Ok(0)
}

/// sched_setattr(2). Deadline scheduling is not there: EINVAL.
pub fn sched_setattr(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    const LEAST: usize = 48;
    if arguments.optional(1).is_none() || arguments.int(0) < 0 || arguments.unsigned(2) != 0 {
        return Err(Errno::EINVAL);
    }
    let size: u32 = user::read_value(arguments.address(1))?;
    let len = if size == 0 { LEAST } else { size as usize };
    let attributes: SchedAttr = read_extensible(arguments.address(1), len, LEAST)?;
    let policy = decode(attributes.sched_policy, attributes.sched_priority)?;
    let thread = set_policy(caller, arguments.int(0), policy)?;
    if matches!(policy, Policy::Normal | Policy::Batch) {
        let nice = attributes.sched_nice.clamp(-20, 19) as i8;
        check_nice(caller, &thread, nice)?;
        thread.set_nice(nice);
    }
    Ok(0)
}

/// sched_getattr(2).
pub fn sched_getattr(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    const LEAST: usize = 48;
    let room = arguments.unsigned(2) as usize;
    let is_misused = arguments.optional(1).is_none() || arguments.int(0) < 0 || arguments.unsigned(3) != 0;
    if is_misused || !(LEAST..=PAGE_SIZE).contains(&room) {
        return Err(Errno::EINVAL);
    }
    let thread = thread_of(&*find(caller, arguments.int(0))?)?;
    let (policy, priority) = encode(thread.policy());
    let len = room.min(size_of::<SchedAttr>());
    let attributes = SchedAttr {
        size: len as u32,
        sched_policy: policy,
        sched_nice: i32::from(thread.nice()),
        sched_priority: priority,
        ..SchedAttr::default()
    };
    let bytes = zerocopy::IntoBytes::as_bytes(&attributes);
    user::write_bytes(arguments.address(1), bytes.get(..len).unwrap_or(bytes))?;
    Ok(0)
}

fn priority_range(policy: u32) -> Result<(usize, usize), Errno> {
    match policy {
        SCHED_FIFO | SCHED_RR => Ok((1, 99)),
        SCHED_NORMAL | SCHED_BATCH | SCHED_IDLE | SCHED_DEADLINE | SCHED_EXT => Ok((0, 0)),
        _ => Err(Errno::EINVAL),
    }
}

/// sched_get_priority_max(2).
pub fn sched_get_priority_max(_: &mut Caller, arguments: &Arguments) -> Outcome {
    priority_range(arguments.unsigned(0)).map(|(_, most)| most)
}

/// sched_get_priority_min(2).
pub fn sched_get_priority_min(_: &mut Caller, arguments: &Arguments) -> Outcome {
    priority_range(arguments.unsigned(0)).map(|(least, _)| least)
}

/// sched_rr_get_interval(2).
pub fn sched_rr_get_interval(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let policy = thread_of(&*find(caller, arguments.int(0))?)?.policy();
    let slice_ns = match policy {
        Policy::RoundRobin(_) => ROUND_ROBIN_NS,
        Policy::Fifo(_) => 0,
        Policy::Normal | Policy::Batch | Policy::Idle => FAIR_NS,
    };
    user::write_value(arguments.address(1), &Timespec::from_nanoseconds(slice_ns))?;
    Ok(0)
}

/// Whether a thread may get a better nice value: EACCES past RLIMIT_NICE.
fn check_nice(caller: &Caller, thread: &Thread, nice: i8) -> Result<(), Errno> {
    let limit = caller.process.limits.soft(RLIMIT_NICE);
    let is_worse = nice >= thread.nice();
    let is_within = (20 - i64::from(nice)) as u64 <= limit;
    if is_worse || is_within || caller.credentials.has(CAP_SYS_NICE) { Ok(()) } else { Err(Errno::EACCES) }
}

/// Visits the threads that the arguments of getpriority and setpriority name: ESRCH when there is none.
fn visit_named(
    caller: &Caller,
    which: i32,
    who: i32,
    mut visit: impl FnMut(&Arc<Task>),
) -> Result<(), Errno> {
    let pids = &caller.process.namespaces.pids;
    let mut is_any = false;
    match which {
        PRIO_PROCESS => {
            visit(&find(caller, who).map_err(|_| Errno::ESRCH)?);
            is_any = true;
        }
        PRIO_PGRP => {
            let group =
                if who == 0 { caller.process.group() } else { pids.group(who).ok_or(Errno::ESRCH)? };
            group.for_each_member(|process| {
                process.for_each_task(|task| {
                    is_any = true;
                    visit(task);
                });
            });
        }
        PRIO_USER => {
            let uid = if who == 0 { caller.credentials.uid } else { who as u32 };
            pids.for_each_process(|process| {
                process.for_each_task(|task| {
                    if task.credentials().uid == uid {
                        is_any = true;
                        visit(task);
                    }
                });
            });
        }
        _ => return Err(Errno::EINVAL),
    }
    if is_any { Ok(()) } else { Err(Errno::ESRCH) }
}

/// getpriority(2): 20 less the best nice value, so that it is never negative.
pub fn getpriority(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let mut best = None;
    visit_named(caller, arguments.int(0), arguments.int(1), |task| {
        best = best.into_iter().chain(task.thread().map(|thread| thread.nice())).min();
    })?;
    Ok((20 - i32::from(best.ok_or(Errno::ESRCH)?)) as usize)
}

/// setpriority(2).
pub fn setpriority(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let nice = arguments.int(2).clamp(-20, 19) as i8;
    let mut outcome = Ok(0);
    visit_named(caller, arguments.int(0), arguments.int(1), |task| {
        let Some(thread) = task.thread() else { return };
        match check_owner(caller, task).and_then(|()| check_nice(caller, &thread, nice)) {
            Ok(()) => thread.set_nice(nice),
            Err(error) => outcome = Err(error),
        }
    })?;
    outcome
}

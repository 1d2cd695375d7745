//! Out of memory: who has to go. The process whose end gives back the most, weighed with what its owner has set (/proc/PID/oom_score_adj).

use abi::signal::Signal;
use alloc::sync::Arc;
use machine::frame;
use machine::sync::atomic::Ordering;
use memory::oom::{Policy, Verdict};

use crate::process::{Process, Task};
use crate::signal::send;

/// The setting that keeps a process alive whatever happens.
const NEVER: i32 = -1000;

/// How bad a process is, in pages: what it has in memory, and a thousandth of the machine's memory for each point of its setting. None for one that must not go, or is going already.
pub fn badness(process: &Process) -> Option<i64> {
    let adjustment = process.oom_adjustment.load(Ordering::Relaxed) as i32;
    if process.is_init() || adjustment == NEVER {
        return None;
    }
    let program = process.program()?;
    let pages = program.space().statistics().resident_pages() as i64;
    Some(pages + i64::from(adjustment) * (frame::total() as i64 / 1000))
}

/// The decisions that `memory` asks for.
pub const POLICY: Policy = Policy { choose, is_ending };

/// Whether the current thread's process is to end.
fn is_ending() -> bool {
    Task::current().is_some_and(|task| task.process().is_ending())
}

/// Chooses a victim, names it in the log, and kills it and whoever shares its memory: one at a time. One that is ending already is waited for by the patient;
/// others take its memory, and pass it over when there is nothing left to take.
fn choose(is_patient: bool, pages: usize) -> Verdict {
    let Some(init) = crate::init() else { return Verdict::Nobody };
    // No list of the processes is made: there is no memory for one.
    let pids = &init.namespaces.pids;
    let mut worst: Option<(i64, Arc<Process>)> = None;
    let pending = pids.find_process(|process| {
        if process.is_zombie() {
            return None;
        }
        if process.is_ending() {
            return is_being_freed(is_patient, process).then_some(Verdict::Pending);
        }
        if shares_memory(process, init) {
            return None;
        }
        let badness = badness(process)?;
        if worst.as_ref().is_none_or(|(most, _)| badness > *most) {
            worst = Some((badness, process.clone()));
        }
        None
    });
    if let Some(pending) = pending {
        return pending;
    }
    let Some((_, victim)) = worst else { return Verdict::Nobody };
    let name = victim.leader().map_or_else(threads::Name::new, |task| task.name());
    let resident = victim.program().map_or(0, |program| program.space().statistics().resident_pages());
    kernel_log::error!(
        "out of memory ({pages} pages wanted): killed process {} ({}), {} KiB resident",
        victim.pid(),
        name.escape_ascii(),
        resident * 4
    );
    pids.for_each_process(|process| {
        if shares_memory(process, &victim) {
            send::kernel_to_process(process, Signal::SIGKILL);
        }
    });
    send::kernel_to_process(&victim, Signal::SIGKILL);
    Verdict::Killed
}

/// Whether the memory of a process that is ending is on its way back, or has been taken from it now because it takes long.
fn is_being_freed(is_patient: bool, process: &Process) -> bool {
    let Some(program) = process.program() else { return false };
    let goes_on = |other: &Process| !other.is_ending() && !other.is_zombie() && shares_memory(other, process);
    // Lent by who goes on (vfork), it is not the ending one's to give.
    let is_lent = process.namespaces.pids.find_process(|other| goes_on(other).then_some(())).is_some();
    !is_lent && (is_patient || !program.space().is_emptied() && !program.space().take_away())
}

/// Whether two processes have one address space (vfork(2), CLONE_VM).
fn shares_memory(one: &Process, other: &Process) -> bool {
    match (one.program(), other.program()) {
        (Some(one), Some(other)) => Arc::ptr_eq(one.space(), other.space()),
        _ => false,
    }
}

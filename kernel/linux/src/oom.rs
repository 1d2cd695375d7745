//! Out of memory: who has to go. The process whose end gives back the most, weighed with what its owner has set (/proc/PID/oom_score_adj).

use abi::signal::Signal;
use alloc::sync::Arc;
use machine::frame;
use machine::sync::atomic::Ordering;
use memory::oom::Verdict;

use crate::process::Process;
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

/// Chooses a victim, names it in the log, and kills it.
pub fn choose(pages: usize) -> Verdict {
    let Some(init) = crate::init() else { return Verdict::Nobody };
    let mut worst: Option<(i64, Arc<Process>)> = None;
    for process in init.namespaces.pids.processes() {
        if process.is_ending() && !process.is_zombie() {
            // One is on its way out: its memory is waited for first.
            return Verdict::Killed;
        }
        let Some(badness) = badness(&process) else { continue };
        if worst.as_ref().is_none_or(|(most, _)| badness > *most) {
            worst = Some((badness, process));
        }
    }
    let Some((_, victim)) = worst else { return Verdict::Nobody };
    let name = victim.leader().map_or_else(alloc::vec::Vec::new, |task| task.name());
    let resident = victim.program().map_or(0, |program| program.space().statistics().resident_pages());
    kernel_log::error!(
        "out of memory ({pages} pages wanted): killed process {} ({}), {} KiB resident",
        victim.pid(),
        alloc::string::String::from_utf8_lossy(&name),
        resident * 4
    );
    send::kernel_to_process(&victim, Signal::SIGKILL);
    Verdict::Killed
}

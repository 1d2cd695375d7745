//! Which processor a thread runs on.
//!
//! A thread stays where it ran last, where its cache is warm, unless that processor is busy and another
//! idles. Processors take work from others in two moments only, so that busy threads stay put: when they
//! would idle, and (the busier one gives) when a turn ends with two more threads wanting it than another
//! processor.

use alloc::sync::Arc;
use core::sync::atomic::Ordering::Relaxed;

use machine::cpu;
use machine::sync::IrqGuard;
use machine::task::Schedulable;

use crate::processor::{IDLE, LIT, PROCESSORS};
use crate::schedule;
use crate::thread::Thread;

fn load(cpu: usize) -> u32 {
    PROCESSORS.on(cpu).load.load(Relaxed)
}

/// The processor in whose queue a thread that was woken, or begins, should be put. Interrupts are held off.
pub(crate) fn choose_processor(thread: &Thread, here: usize, is_synchronous: bool) -> usize {
    let last = thread.cpu();
    // Its stack may still be in use there. (Nobody else can take it over before that has ended.)
    if thread.task().is_on_processor() {
        return last;
    }
    let may_run_on = |cpu| thread.affinity.contains(cpu) && LIT.contains(cpu);
    let is_last_allowed = may_run_on(last);
    if is_last_allowed && IDLE.remove(last) {
        return last;
    }
    // The waker is about to leave its processor to the thread that it wakes.
    if is_synchronous && may_run_on(here) && load(here) <= 1 {
        return here;
    }
    if let Some(idle) = take_idle(thread) {
        return idle;
    }
    let candidates = [last, here].into_iter().filter(|&cpu| may_run_on(cpu));
    candidates.min_by_key(|&cpu| load(cpu)).or_else(|| least_loaded(thread)).unwrap_or(0)
}

/// Takes a processor that idles out of the set of those, so that nobody else chooses it too.
fn take_idle(thread: &Thread) -> Option<usize> {
    let idle = IDLE.load();
    if idle.is_empty() {
        return None;
    }
    idle.intersection(&thread.affinity.load()).iter().find(|&cpu| IDLE.remove(cpu))
}

fn least_loaded(thread: &Thread) -> Option<usize> {
    LIT.load().intersection(&thread.affinity.load()).iter().min_by_key(|&cpu| load(cpu))
}

/// Takes a waiting thread from the busiest processor that can spare one, for `here`, which would idle. No
/// lock is held.
pub(crate) fn steal(here: usize, _guard: &IrqGuard) -> Option<Arc<Thread>> {
    let others = (0..cpu::count()).filter(|&cpu| cpu != here && LIT.contains(cpu) && load(cpu) > 1);
    let victim = others.max_by_key(|&cpu| load(cpu))?;
    let processor = PROCESSORS.on(victim);
    // Whoever holds the lock is about to choose; there will be another moment.
    let mut queue = processor.queue.try_lock()?;
    let thread = queue.remove_movable(here)?;
    processor.add_load(-1);
    Some(thread)
}

/// After a choice with `waiting` threads left over: gives one to a processor that idles, or that has fewer
/// by two.
pub(crate) fn push_surplus(here: usize, waiting: usize, guard: &IrqGuard) {
    let own = waiting as u32 + 1;
    let others = (0..cpu::count()).filter(|&cpu| cpu != here && LIT.contains(cpu));
    let Some(target) = others.min_by_key(|&cpu| load(cpu)) else { return };
    if load(target) + 2 > own {
        return;
    }
    let processor = PROCESSORS.on(here);
    let found = {
        let mut queue = processor.queue.lock_held(guard);
        let found = queue.remove_movable(target);
        if found.is_some() {
            processor.add_load(-1);
        }
        found
    };
    if let Some(thread) = found {
        IDLE.remove(target);
        schedule::hand_to(target, here, thread, guard);
    }
}

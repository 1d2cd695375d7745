//! The switch, and putting threads where they will run.

use alloc::sync::Arc;
use core::sync::atomic::Ordering::Relaxed;

use machine::sync::{IrqGuard, disable_interrupts};
use machine::task::{Schedulable, switch_to};
use machine::{clock, cpu};

use crate::account::{self, TICK_NS};
use crate::balance;
use crate::processor::{IDLE, LIT, NEVER, PROCESSORS, Processor};
use crate::queue::{Entry, RunQueue};
use crate::state::Woken;
use crate::thread::{Thread, current, try_current};

/// Why the current thread comes to the switch.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// Somebody asked for another choice. The thread goes on wanting the processor, even if it was about to park.
    Preempted,
    /// It has announced to park, or has ended.
    Parks,
    /// It lets others go first.
    Yields,
}

/// Chooses the thread that should run on this processor, and runs it. Returns when the calling thread is chosen again.
pub(crate) fn schedule(reason: Reason) {
    let guard = disable_interrupts();
    let here = cpu::current();
    let processor = PROCESSORS.on(here);
    cpu::take_reschedule_request();
    let now_ns = clock::now_ns();
    account::charge_current(processor, now_ns, false);
    let thread = current();
    let was_idle = processor.is_idle_thread(&thread);

    let mut queue = processor.queue.lock();
    queue.count(now_ns);
    let mut stays = !was_idle;
    if stays && reason == Reason::Parks && (thread.state.park() || thread.state.is_dead()) {
        queue.leave(&thread);
        processor.load.fetch_sub(1, Relaxed);
        stays = false;
    } else if stays && !thread.affinity.contains(here) {
        queue.leave(&thread);
        processor.load.fetch_sub(1, Relaxed);
        // It may be put in another queue only when this processor has left its stack.
        processor.set_moving(thread.to_arc());
        stays = false;
    }
    if stays {
        if queue.is_empty() {
            // Alone: no turn to end, nothing to switch.
            set_turn(processor, None, now_ns);
            return;
        }
        queue.put_back(thread.to_arc(), reason == Reason::Yields);
    }
    let mut next = queue.choose();
    if next.is_none() && !stays {
        drop(queue);
        let stolen = balance::steal(here);
        queue = processor.queue.lock();
        if let Some(stolen) = stolen {
            arrive(processor, here, &mut queue, stolen, Entry::Joins);
        }
        next = queue.choose();
    }
    let turn_ns = queue.run(next.as_deref(), now_ns);
    let is_contested = !queue.is_empty();
    let surplus = if is_contested { queue.waiting() } else { 0 };
    drop(queue);

    set_turn(processor, turn_ns.filter(|_| is_contested), now_ns);
    let next = match next {
        Some(next) => {
            if was_idle {
                IDLE.remove(here);
            }
            processor.start_ticks(next.account.is_program(), now_ns);
            next
        }
        None => {
            processor.start_ticks(false, now_ns);
            IDLE.insert(here);
            if was_idle {
                return;
            }
            processor.idle_thread()
        }
    };
    if surplus > 0 {
        balance::push_surplus(here, surplus);
    }
    if core::ptr::eq(&*thread, &*next) {
        return;
    }
    thread.account.count_switch(reason != Reason::Preempted);
    processor.switches.store(processor.switches.load(Relaxed).wrapping_add(1), Relaxed);
    switch_to(next, guard);
    finish_switch();
}

/// Sets when the current turn ends; `None`: nobody waits for it to.
fn set_turn(processor: &Processor, turn_ns: Option<u64>, now_ns: u64) {
    processor.turn_end_ns.store(turn_ns.map_or(NEVER, |turn_ns| now_ns + turn_ns), Relaxed);
    processor.arm();
}

impl Processor {
    /// Begins or ends the sampling of what programs do.
    fn start_ticks(&self, is_program: bool, now_ns: u64) {
        if !is_program {
            self.tick_ns.store(NEVER, Relaxed);
        } else if self.tick_ns.load(Relaxed) == NEVER {
            self.tick_ns.store(now_ns + TICK_NS, Relaxed);
            self.arm();
        }
    }

    fn idle_thread(&self) -> Arc<Thread> {
        match self.idle.get() {
            Some(idle) => idle.clone(),
            None => panic!("a switch on a processor without an idle thread"),
        }
    }
}

/// What the thread that was switched to does for the one that was left: sees it off if it must move.
pub(crate) fn finish_switch() {
    let moving = {
        let _guard = disable_interrupts();
        PROCESSORS.on(cpu::current()).take_moving()
    };
    if let Some(thread) = moving {
        enqueue(thread, Entry::Joins, false);
    }
}

/// Ends a thread's wait. Whether it was waiting.
#[inline]
pub(crate) fn wake(thread: Arc<Thread>, is_synchronous: bool) -> bool {
    match thread.state.wake() {
        Woken::No => false,
        Woken::Early => true,
        Woken::Enqueue => {
            enqueue(thread, Entry::Joins, is_synchronous);
            true
        }
    }
}

/// Lets a new thread run.
pub(crate) fn begin(thread: Arc<Thread>) {
    thread.cpu.store(cpu::current() as u32, Relaxed);
    enqueue(thread, Entry::Joins, false);
}

/// Puts a thread that is in no queue in one. `is_synchronous`: the caller is about to wait, so the thread should run here, then.
fn enqueue(thread: Arc<Thread>, entry: Entry, is_synchronous: bool) {
    let guard = disable_interrupts();
    let target = balance::choose_processor(&thread, is_synchronous);
    enqueue_on(target, thread, entry, is_synchronous, &guard);
}

fn enqueue_on(target: usize, thread: Arc<Thread>, entry: Entry, is_synchronous: bool, _guard: &IrqGuard) {
    let processor = PROCESSORS.on(target);
    let mut queue = processor.queue.lock();
    let was_uncontested = queue.is_empty();
    let wants_processor = thread.clone();
    arrive(processor, target, &mut queue, thread, entry);
    let preempts = queue.should_preempt(&wants_processor) && (!is_synchronous || queue.is_idle());
    let turn_end_ns = queue.turn_ns().map(|turn_ns| queue.counted_ns().saturating_add(turn_ns));
    drop(queue);
    if target == cpu::current() {
        if preempts {
            cpu::request_reschedule();
        } else if was_uncontested {
            // The turn that nobody waited for ends now when it should.
            processor.turn_end_ns.store(turn_end_ns.unwrap_or(NEVER), Relaxed);
            processor.arm();
        }
    } else if preempts || was_uncontested {
        cpu::send_reschedule(target);
    }
}

/// Enters a thread in the queue of processor `cpu`.
fn arrive(processor: &Processor, cpu: usize, queue: &mut RunQueue, thread: Arc<Thread>, entry: Entry) {
    thread.cpu.store(cpu as u32, Relaxed);
    processor.load.fetch_add(1, Relaxed);
    queue.enter(thread, entry);
}

/// Takes a waiting thread of this processor to another one.
pub(crate) fn hand_to(target: usize, thread: Arc<Thread>) {
    let guard = disable_interrupts();
    enqueue_on(target, thread, Entry::Joins, false, &guard);
}

/// Changes what decides a thread's share, wherever it is.
pub(crate) fn reweigh(thread: &Thread, change: impl FnOnce()) {
    loop {
        let cpu = thread.cpu();
        if !LIT.contains(cpu) {
            return change();
        }
        let mut queue = PROCESSORS.on(cpu).queue.lock();
        if thread.cpu() != cpu {
            continue;
        }
        if let Some(found) = queue.remove(thread) {
            change();
            queue.enter(found, Entry::Joins);
        } else if queue.is_running(thread.id()) {
            queue.change_running(thread, change);
        } else {
            // It counts from when it comes into a queue.
            return change();
        }
        drop(queue);
        cpu::send_reschedule(cpu);
        return;
    }
}

/// Moves a thread that waits or runs where its affinity does not allow it any more.
pub(crate) fn leave_forbidden_processor(thread: &Arc<Thread>) {
    loop {
        let cpu = thread.cpu();
        if thread.affinity.contains(cpu) || !LIT.contains(cpu) {
            return;
        }
        let processor = PROCESSORS.on(cpu);
        let mut queue = processor.queue.lock();
        if thread.cpu() != cpu {
            continue;
        }
        // While the processor has not quite left its stack it stays; the processor's next choice moves it.
        if queue.is_waiting(thread) && !thread.task().is_on_processor() {
            let found = queue.remove(thread);
            processor.load.fetch_sub(1, Relaxed);
            drop(queue);
            if let Some(found) = found {
                enqueue(found, Entry::Joins, false);
            }
        } else {
            drop(queue);
            cpu::send_reschedule(cpu);
        }
        return;
    }
}

/// Parks the current thread, which has announced it, until it is woken.
#[inline]
pub(crate) fn park() {
    schedule(Reason::Parks);
}

/// Called by the machine when a choice was asked for and nothing is held.
pub(crate) fn preempt() {
    if try_current().is_none() {
        // Boot has spawned a thread, and goes on until it lights this processor.
        cpu::take_reschedule_request();
        return;
    }
    schedule(Reason::Preempted);
}

/// Lets other threads of this processor run, if there are any that have had less.
pub fn yield_now() {
    schedule(Reason::Yields);
}

/// Ends the current thread. What it still has on its stack is never dropped, so threads return from their body instead where they can.
pub fn exit() -> ! {
    current().end();
    schedule(Reason::Parks);
    unreachable!("a thread that had ended was switched to")
}

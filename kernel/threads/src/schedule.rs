//! The switch, and putting threads where they will run.

use alloc::sync::Arc;
use core::sync::atomic::Ordering::Relaxed;

use machine::sync::{IrqGuard, disable_interrupts};
use machine::task::{Schedulable, switch_to};
use machine::{clock, cpu};

use crate::account::{self, TICK_NS};
use crate::balance;
use crate::processor::{IDLE, LIT, NEVER, PROCESSORS, Processor};
use crate::queue::RunQueue;
use crate::state::Woken;
use crate::thread::{Thread, current, try_current};

/// Why the current thread comes to the switch.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// Somebody asked for another choice. The thread goes on wanting the processor, even if it was about to
    /// park.
    Preempted,
    /// It has announced to park, or has ended.
    Parks,
    /// It lets others go first.
    Yields,
}

/// Chooses the thread that should run on this processor, and runs it. Returns when the calling thread is
/// chosen again.
pub(crate) fn schedule(reason: Reason) {
    let guard = disable_interrupts();
    let here = cpu::current();
    let processor = PROCESSORS.on(here);
    if processor.has_moving() {
        // The last switch was interrupted before it could do this.
        see_off(processor);
    }
    cpu::take_reschedule_request();
    let now_ns = clock::now_ns();
    let thread = current();
    account::charge(processor, &thread, now_ns, false);

    let mut queue = processor.queue.lock_held(&guard);
    queue.count(now_ns);
    let mut stays = !thread.is_idle;
    if stays {
        let is_forbidden = !thread.affinity.contains(here);
        let parks = reason == Reason::Parks && (thread.state.park() || thread.state.is_dead());
        if parks || is_forbidden {
            queue.leave(&thread);
            processor.add_load(-1);
            stays = false;
            if !parks {
                // It may be put in another queue only when this processor has left its stack.
                processor.set_moving(thread.to_arc());
            }
        } else if queue.is_empty() {
            // Alone: no turn to end, nothing to switch.
            drop(queue);
            set_turn(processor, None, now_ns);
            return;
        }
    }
    let mut next = if stays {
        let next = queue.exchange(&thread, reason == Reason::Yields);
        if next.is_none() {
            let turn_ns = queue.turn_ns();
            drop(queue);
            set_turn(processor, turn_ns, now_ns);
            return;
        }
        next
    } else {
        queue.choose()
    };
    if next.is_none() {
        drop(queue);
        let stolen = balance::steal(here, &guard);
        queue = processor.queue.lock_held(&guard);
        if let Some(stolen) = stolen {
            arrive(processor, here, &mut queue, stolen);
        }
        next = queue.choose();
    }
    let turn_ns = queue.run(next.as_deref(), now_ns);
    let waiting = queue.waiting();
    drop(queue);

    set_turn(processor, turn_ns.filter(|_| waiting > 0), now_ns);
    let next = match next {
        Some(next) => {
            if thread.is_idle {
                IDLE.remove(here);
            }
            next
        }
        None => {
            IDLE.insert(here);
            if thread.is_idle {
                return;
            }
            processor.idle_thread()
        }
    };
    if waiting > 0 && stays && reason == Reason::Preempted {
        balance::push_surplus(here, waiting, &guard);
    }
    if core::ptr::eq(&*thread, &*next) {
        return;
    }
    processor.sample(next.account.is_program(), now_ns);
    thread.account.count_switch(reason != Reason::Preempted);
    processor.switches.store(processor.switches.load(Relaxed).wrapping_add(1), Relaxed);
    switch_to(next, guard);
    finish_switch();
}

/// Sets when the current turn ends; `None`: nobody waits for it to.
#[inline]
fn set_turn(processor: &Processor, turn_ns: Option<u64>, now_ns: u64) {
    processor.turn_end_ns.store(turn_ns.map_or(NEVER, |turn_ns| now_ns + turn_ns), Relaxed);
    processor.arm();
}

impl Processor {
    /// Begins or ends the sampling of what programs do.
    #[inline]
    fn sample(&self, is_program: bool, now_ns: u64) {
        if !is_program {
            self.tick_ns.store(NEVER, Relaxed);
        } else if self.tick_ns.load(Relaxed) == NEVER {
            self.tick_ns.store(now_ns + TICK_NS, Relaxed);
            self.arm();
        }
    }

    /// Counts threads that want the processor; under the lock of its queue.
    #[inline]
    pub fn add_load(&self, change: i32) {
        self.load.store(self.load.load(Relaxed).wrapping_add_signed(change), Relaxed);
    }

    fn idle_thread(&self) -> Arc<Thread> {
        match self.idle.get() {
            Some(idle) => idle.clone(),
            None => panic!("a switch on a processor without an idle thread"),
        }
    }
}

/// What the thread that was switched to does for the one that was left: sees it off if it must move. (If
/// this one is switched away or moved before it comes to that, the next choice on the processor does it.)
#[inline]
pub(crate) fn finish_switch() {
    if PROCESSORS.on(cpu::current()).has_moving() {
        let _guard = disable_interrupts();
        see_off(PROCESSORS.on(cpu::current()));
    }
}

/// Puts the thread that had to leave this processor in the queue of another. Interrupts are held off.
#[cold]
fn see_off(processor: &Processor) {
    if let Some(thread) = processor.take_moving() {
        enqueue(thread, false);
    }
}

/// Ends a thread's wait. Whether it was waiting.
#[inline]
pub(crate) fn wake(thread: Arc<Thread>, is_synchronous: bool) -> bool {
    match thread.state.wake() {
        Woken::No => false,
        Woken::Early => true,
        Woken::Enqueue => {
            enqueue(thread, is_synchronous);
            true
        }
    }
}

/// Lets a new thread run.
pub(crate) fn begin(thread: Arc<Thread>) {
    thread.cpu.store(cpu::current() as u32, Relaxed);
    enqueue(thread, false);
}

/// Puts a thread that is in no queue in one. `is_synchronous`: the caller is about to wait, so the thread
/// should run here, then.
fn enqueue(thread: Arc<Thread>, is_synchronous: bool) {
    let guard = disable_interrupts();
    let here = cpu::current();
    let target = balance::choose_processor(&thread, here, is_synchronous);
    enqueue_on(target, here, thread, is_synchronous, &guard);
}

fn enqueue_on(target: usize, here: usize, thread: Arc<Thread>, is_synchronous: bool, guard: &IrqGuard) {
    let processor = PROCESSORS.on(target);
    let mut queue = processor.queue.lock_held(guard);
    let was_uncontested = queue.is_empty();
    let should_run = arrive(processor, target, &mut queue, thread);
    let preempts = should_run && (!is_synchronous || queue.is_idle());
    if target != here {
        drop(queue);
        // A processor whose turns nobody waited for has to begin to end them.
        if preempts || was_uncontested {
            cpu::send_reschedule(target);
        }
    } else if preempts {
        drop(queue);
        cpu::request_reschedule();
    } else if was_uncontested {
        let turn_end_ns = queue.turn_ns().map_or(NEVER, |turn_ns| queue.counted_ns().saturating_add(turn_ns));
        drop(queue);
        processor.turn_end_ns.store(turn_end_ns, Relaxed);
        processor.arm();
    }
}

/// Enters a thread in the queue of processor `cpu`. Returns whether it should run at once.
#[inline]
fn arrive(processor: &Processor, cpu: usize, queue: &mut RunQueue, thread: Arc<Thread>) -> bool {
    thread.cpu.store(cpu as u32, Relaxed);
    processor.add_load(1);
    queue.join(thread)
}

/// Takes a waiting thread of this processor to another one.
pub(crate) fn hand_to(target: usize, here: usize, thread: Arc<Thread>, guard: &IrqGuard) {
    enqueue_on(target, here, thread, false, guard);
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
            queue.join(found);
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
            processor.add_load(-1);
            drop(queue);
            if let Some(found) = found {
                enqueue(found, false);
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

/// Ends the current thread. What it still has on its stack is never dropped, so threads return from their
/// body instead where they can.
pub fn exit() -> ! {
    current().end();
    schedule(Reason::Parks);
    unreachable!("a thread that had ended was switched to")
}

//! Lighting the scheduler.

use alloc::sync::Arc;
use core::sync::atomic::Ordering::Relaxed;

use machine::cpu;
use machine::sync::{disable_preemption, set_rcu_hook};
use machine::task::{adopt, set_deadline_hook, set_reschedule_hook};

use crate::mask::CpuMask;
use crate::policy::Policy;
use crate::processor::{IDLE, LIT, PROCESSORS, Processor};
use crate::thread::Thread;
use crate::{futex, load, schedule, softirq, time};

/// Prepares the scheduler. Called once, by the processor that booted, when the number of processors is
/// known; threads can be spawned from then on. They run when the processors call [`run_processor`].
pub fn start() {
    PROCESSORS.init(|_| Processor::new());
    futex::init();
    set_reschedule_hook(schedule::preempt);
    set_deadline_hook(time::on_deadline);
    set_rcu_hook(softirq::on_deferred);
    // A thread that is spawned before any processor runs waits here.
    LIT.insert(cpu::current());
}

/// Makes the calling flow of control the idle thread of its processor, and runs threads there for ever.
/// Each processor calls it once, after [`start`], with nothing held.
#[expect(clippy::disallowed_methods, reason = "made at boot")]
pub fn run_processor() -> ! {
    let here = cpu::current();
    let processor = PROCESSORS.on(here);
    // Once it is lit other threads run here, and this one only when they all wait; so everything is in
    // place before the first switch.
    let guard = disable_preemption();
    adopt(|task| {
        let mut idle = Thread::new(task, b"idle", 19, Policy::Idle, CpuMask::one(here), None);
        idle.is_idle = true;
        idle.cpu.store(here as u32, Relaxed);
        let idle = Arc::new(idle);
        let is_first = processor.idle.set(idle.clone()).is_ok();
        assert!(is_first, "a processor was lit twice");
        idle
    });
    processor.charged_ns.store(machine::clock::now_ns(), Relaxed);
    LIT.insert(here);
    softirq::start(here);
    load::start(here);
    IDLE.insert(here);
    drop(guard);
    loop {
        schedule::preempt();
        cpu::idle();
    }
}

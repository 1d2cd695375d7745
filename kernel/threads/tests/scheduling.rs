//! Scheduling on the hosted machine, over many seeds. Each test is a process of its own (`cargo nextest`), and each seed too.

mod seeds;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};

use machine::{clock, cpu, hosted};
use seeds::over_seeds;
use threads::{Builder, CpuMask, Policy, Wait, WaitQueue, current, load, yield_now};

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Arc<threads::Thread> {
    Builder::new(name.as_bytes()).spawn(body).expect("memory for a thread")
}

#[test]
fn a_spawned_thread_runs_and_is_joined_and_freed() {
    over_seeds(2, 50, || {
        static RAN: AtomicUsize = AtomicUsize::new(0);
        let before = threads::count();
        for _ in 0..10 {
            let thread = spawn("child", || {
                RAN.fetch_add(1, SeqCst);
            });
            thread.join();
        }
        assert_eq!(RAN.load(SeqCst), 10);
        while threads::count() > before {
            yield_now();
        }
    });
}

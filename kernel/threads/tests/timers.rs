//! Sleeping and timers on the hosted machine, over many seeds.
#![allow(clippy::disallowed_methods, clippy::disallowed_macros, reason = "a test may end for want of memory")]

mod seeds;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};

use machine::clock;
use machine::sync::{RcuCell, rcu_read};
use seeds::over_seeds;
use threads::time::{Timer, sleep, sleep_until};
use threads::{Builder, Wait, WaitError, WaitQueue, current, softirq};

#[test]
fn sleepers_wake_in_the_order_of_their_deadlines_and_never_early() {
    static ORDER: machine::sync::SpinLock<Vec<u64>> =
        machine::sync::SpinLock::new(machine::sync::Rank::Process, Vec::new());
    over_seeds(2, 25, || {
        let start = clock::now_ns() + 1_000_000_000;
        let threads: Vec<_> = [50, 10, 40, 20, 30]
            .map(|ms: u64| {
                let body = move || {
                    let deadline_ns = start + ms * 1_000_000;
                    assert_eq!(sleep_until(deadline_ns, true), Ok(()));
                    assert!(clock::now_ns() >= deadline_ns);
                    ORDER.lock().push(ms);
                };
                Builder::new(b"sleeper").spawn(body).expect("memory")
            })
            .into();
        threads.iter().for_each(|thread| thread.join());
        assert_eq!(*ORDER.lock(), [10, 20, 30, 40, 50]);
    });
}

#[test]
fn a_wait_ends_at_its_deadline_or_by_its_condition_and_leaves_no_timer() {
    static QUEUE: WaitQueue = WaitQueue::new();
    static FLAG: AtomicUsize = AtomicUsize::new(0);
    over_seeds(2, 25, || {
        let deadline_ns = clock::now_ns() + 5_000_000;
        let wait = Wait::INTERRUPTIBLE.with_deadline(deadline_ns);
        assert_eq!(QUEUE.wait_until(wait, || None::<()>), Err(WaitError::TimedOut));
        assert!(clock::now_ns() >= deadline_ns);
        let setter = || {
            sleep(1_000_000);
            FLAG.store(1, SeqCst);
            QUEUE.wake_one();
        };
        let setter = Builder::new(b"setter").spawn(setter).expect("memory");
        let deadline_ns = clock::now_ns() + 60_000_000_000;
        let wait = Wait::UNINTERRUPTIBLE.with_deadline(deadline_ns);
        assert_eq!(QUEUE.wait_until(wait, || (FLAG.load(SeqCst) == 1).then_some(())), Ok(()));
        assert!(clock::now_ns() < deadline_ns);
        setter.join();
        assert!(current().to_arc().affinity().contains(0));
    });
}

#[test]
fn a_timer_calls_once_and_not_after_it_was_cancelled() {
    over_seeds(2, 25, || {
        static CALLS: AtomicU64 = AtomicU64::new(0);
        let timer = Timer::new(|| {
            CALLS.fetch_add(1, SeqCst);
        })
        .unwrap();
        timer.set(clock::now_ns() + 1_000_000);
        sleep(3_000_000);
        assert_eq!(CALLS.load(SeqCst), 1);
        timer.set(clock::now_ns() + 1_000_000_000);
        assert!(timer.cancel());
        assert!(!timer.cancel());
        timer.set(clock::now_ns() + 2_000_000_000);
        timer.set(clock::now_ns() + 1_000_000);
        sleep(10_000_000);
        assert_eq!(CALLS.load(SeqCst), 2);
        timer.set(clock::now_ns() + 1_000_000);
        drop(timer);
        sleep(10_000_000);
        assert_eq!(CALLS.load(SeqCst), 2);
    });
}

#[test]
fn a_timer_may_set_itself_again() {
    over_seeds(2, 25, || {
        static CALLS: AtomicU64 = AtomicU64::new(0);
        let timer = Arc::new_cyclic(|own: &std::sync::Weak<Timer>| {
            let own = own.clone();
            Timer::new(move || {
                CALLS.fetch_add(1, SeqCst);
                if let Some(timer) = own.upgrade() {
                    timer.set(clock::now_ns() + 1_000_000);
                }
            })
            .unwrap()
        });
        timer.set(clock::now_ns());
        sleep(20_500_000);
        let calls = CALLS.load(SeqCst);
        assert!((15..=21).contains(&calls), "{calls}");
        drop(timer);
        sleep(10_000_000);
        assert!(CALLS.load(SeqCst) <= calls + 2);
    });
}

#[test]
fn timers_set_and_cancelled_by_several_threads_stay_whole() {
    over_seeds(3, 25, || {
        static CALLS: AtomicU64 = AtomicU64::new(0);
        let timer = Timer::new(|| {
            CALLS.fetch_add(1, SeqCst);
        });
        let timer = Arc::new(timer.unwrap());
        let threads: Vec<_> = (0..3)
            .map(|own| {
                let timer = timer.clone();
                let body = move || {
                    for round in 0..30 {
                        if round % 3 == own {
                            timer.cancel();
                        } else {
                            timer.set(clock::now_ns() + 500);
                        }
                    }
                };
                Builder::new(b"setter").spawn(body).expect("memory")
            })
            .collect();
        threads.iter().for_each(|thread| thread.join());
        timer.cancel();
        sleep(1_000_000);
        let calls = CALLS.load(SeqCst);
        sleep(1_000_000);
        assert_eq!(CALLS.load(SeqCst), calls);
    });
}

#[test]
fn work_raised_by_an_interrupt_is_done_by_a_thread_of_that_processor() {
    over_seeds(3, 25, || {
        static DONE: AtomicUsize = AtomicUsize::new(0);
        softirq::register(softirq::Kind::Device, || {
            DONE.fetch_or(1 << machine::cpu::current(), SeqCst);
        });
        for cpu in 0..3 {
            machine::hosted::interrupt(cpu, || softirq::raise(softirq::Kind::Device));
        }
        sleep(1_000_000);
        assert_eq!(DONE.load(SeqCst), 0b111);
    });
}

#[test]
fn what_rcu_readers_may_see_is_dropped_when_they_have_finished() {
    struct Noted(u64);
    static DROPPED: AtomicU64 = AtomicU64::new(0);
    impl Drop for Noted {
        fn drop(&mut self) {
            DROPPED.fetch_max(self.0, SeqCst);
        }
    }
    over_seeds(2, 25, || {
        let cell = Arc::new(RcuCell::new(Arc::new(Noted(1))));
        let reading = cell.clone();
        let reader = Builder::new(b"reader")
            .spawn(move || {
                for _ in 0..50 {
                    let guard = rcu_read();
                    let seen = reading.read(&guard).0;
                    machine::hosted::step();
                    assert!(DROPPED.load(SeqCst) < seen);
                    drop(guard);
                    threads::yield_now();
                }
            })
            .expect("memory");
        for number in 2..20 {
            cell.replace(Arc::new(Noted(number)));
            sleep(1_000_000);
        }
        reader.join();
        sleep(50_000_000);
        assert_eq!(DROPPED.load(SeqCst), 18);
    });
}

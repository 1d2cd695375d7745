//! Futexes on the hosted machine, over many seeds.
#![allow(clippy::disallowed_methods, clippy::disallowed_macros, reason = "a test may end for want of memory")]

mod seeds;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering::SeqCst};

use machine::clock;
use seeds::over_seeds;
use threads::futex::{ANY, Ended, FutexKey, requeue, wait, wake};
use threads::{Builder, Thread, Wait, time};

const ONE: FutexKey = FutexKey(1, 0x1000);
const TWO: FutexKey = FutexKey(1, 0x2000);

fn spawn(body: impl FnOnce() + Send + 'static) -> Arc<Thread> {
    Builder::new(b"test").spawn(body).expect("memory for a thread")
}

/// Waits as long as `word` is `value`.
fn wait_while(key: FutexKey, word: &AtomicU32, value: u32) -> Ended {
    match wait::<()>(key, ANY, Wait::INTERRUPTIBLE, || Ok(word.load(SeqCst) == value)) {
        Ok(ended) => ended,
        Err(()) => unreachable!("the check does not fail"),
    }
}

#[test]
fn a_mutex_made_of_a_futex_excludes_and_loses_no_wake_up() {
    // Drepper, "Futexes are tricky", mutex 2: 0 free, 1 locked, 2 locked and waited for.
    static WORD: AtomicU32 = AtomicU32::new(0);
    static INSIDE: AtomicUsize = AtomicUsize::new(0);
    static TOTAL: AtomicUsize = AtomicUsize::new(0);
    fn lock() {
        let mut seen = WORD.compare_exchange(0, 1, SeqCst, SeqCst).unwrap_or_else(|seen| seen);
        if seen != 0 {
            if seen != 2 {
                seen = WORD.swap(2, SeqCst);
            }
            while seen != 0 {
                wait_while(ONE, &WORD, 2);
                seen = WORD.swap(2, SeqCst);
            }
        }
    }
    fn unlock() {
        if WORD.fetch_sub(1, SeqCst) != 1 {
            WORD.store(0, SeqCst);
            wake(ONE, 1, ANY);
        }
    }
    for cpus in [1, 3] {
        over_seeds(cpus, 25, || {
            let work = || {
                for _ in 0..50 {
                    lock();
                    assert_eq!(INSIDE.fetch_add(1, SeqCst), 0);
                    machine::hosted::step();
                    INSIDE.fetch_sub(1, SeqCst);
                    unlock();
                    TOTAL.fetch_add(1, SeqCst);
                }
            };
            let threads: Vec<_> = (0..4).map(|_| spawn(work)).collect();
            threads.iter().for_each(|thread| thread.join());
            assert_eq!(TOTAL.load(SeqCst), 200);
        });
    }
}

#[test]
fn a_word_that_has_changed_is_not_waited_for_and_a_fault_comes_back() {
    over_seeds(1, 2, || {
        assert_eq!(wait::<()>(ONE, ANY, Wait::INTERRUPTIBLE, || Ok(false)), Ok(Ended::Changed));
        assert_eq!(wait(ONE, ANY, Wait::INTERRUPTIBLE, || Err("fault")), Err("fault"));
        assert_eq!(wake(ONE, 1, ANY), 0);
    });
}

#[test]
fn a_wait_ends_at_its_deadline_or_by_an_interruption() {
    over_seeds(2, 20, || {
        let late = Wait::INTERRUPTIBLE.with_deadline(clock::now_ns() + 1_000_000);
        assert_eq!(wait::<()>(ONE, ANY, late, || Ok(true)), Ok(Ended::TimedOut));
        let thread = spawn(|| {
            assert_eq!(wait::<()>(ONE, ANY, Wait::INTERRUPTIBLE, || Ok(true)), Ok(Ended::Interrupted));
        });
        time::sleep(100_000);
        thread.interrupt();
        thread.join();
        assert_eq!(wake(ONE, 10, ANY), 0);
    });
}

#[test]
fn wake_ups_go_to_matching_bitsets_in_order_of_arrival() {
    over_seeds(2, 20, || {
        static ORDER: machine::sync::SpinLock<Vec<usize>> =
            machine::sync::SpinLock::new(machine::sync::Rank::Process, Vec::new());
        let threads: Vec<_> = (0..4)
            .map(|own| {
                let thread = spawn(move || {
                    let bitset = 1 << (own % 2);
                    assert_eq!(wait::<()>(ONE, bitset, Wait::INTERRUPTIBLE, || Ok(true)), Ok(Ended::Woken));
                    ORDER.lock().push(own);
                });
                time::sleep(100_000);
                thread
            })
            .collect();
        for bitset in [2, 2, 1] {
            assert_eq!(wake(ONE, 1, bitset), 1);
            time::sleep(100_000);
        }
        assert_eq!(wake(ONE, 10, 2), 0);
        assert_eq!(wake(ONE, 10, ANY), 1);
        threads.iter().for_each(|thread| thread.join());
        assert_eq!(*ORDER.lock(), [1, 3, 0, 2]);
    });
}

#[test]
fn waiters_are_moved_to_another_key_and_only_as_many_as_asked_for() {
    over_seeds(2, 20, || {
        let waiter = || {
            assert_eq!(wait::<()>(ONE, ANY, Wait::INTERRUPTIBLE, || Ok(true)), Ok(Ended::Woken));
        };
        let threads: Vec<_> = (0..5).map(|_| spawn(waiter)).collect();
        time::sleep(1_000_000);
        assert_eq!(requeue::<()>(ONE, TWO, 1, 2, || Ok(false)), Ok(None));
        assert_eq!(requeue::<()>(ONE, TWO, 1, 2, || Ok(true)), Ok(Some((1, 2))));
        assert_eq!(wake(TWO, 10, ANY), 2);
        assert_eq!(wake(ONE, 10, ANY), 2);
        threads.iter().for_each(|thread| thread.join());
    });
}

#[test]
fn waiters_that_time_out_while_they_are_moved_are_counted_once() {
    over_seeds(3, 40, || {
        static TIMED_OUT: AtomicUsize = AtomicUsize::new(0);
        static WOKEN: AtomicUsize = AtomicUsize::new(0);
        let waiter = || {
            for _ in 0..20 {
                let wait_for = Wait::INTERRUPTIBLE.with_deadline(clock::now_ns() + 3_000);
                match wait::<()>(ONE, ANY, wait_for, || Ok(true)) {
                    Ok(Ended::TimedOut) => TIMED_OUT.fetch_add(1, SeqCst),
                    Ok(Ended::Woken) => WOKEN.fetch_add(1, SeqCst),
                    other => panic!("{other:?}"),
                };
            }
        };
        let threads: Vec<_> = (0..3).map(|_| spawn(waiter)).collect();
        let mut woken = 0;
        while threads.iter().any(|thread| thread.state() != threads::State::Dead) {
            let moved = requeue::<()>(ONE, TWO, 0, 2, || Ok(true));
            assert!(moved.is_ok());
            woken += wake(TWO, 1, ANY);
            threads::yield_now();
        }
        assert_eq!((WOKEN.load(SeqCst), WOKEN.load(SeqCst) + TIMED_OUT.load(SeqCst)), (woken, 60));
        assert_eq!(wake(ONE, 10, ANY) + wake(TWO, 10, ANY), 0);
    });
}

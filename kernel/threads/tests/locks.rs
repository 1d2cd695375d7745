//! Sleeping locks on the hosted machine, over many seeds.
#![allow(clippy::disallowed_methods, clippy::disallowed_macros, reason = "a test may end for want of memory")]

mod seeds;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use machine::hosted;
use seeds::over_seeds;
use threads::{Builder, Mutex, RwLock, WaitError, current, time};

fn spawn(body: impl FnOnce() + Send + 'static) -> Arc<threads::Thread> {
    Builder::new(b"test").spawn(body).expect("memory for a thread")
}

#[test]
fn a_mutex_is_held_by_one_thread_at_a_time_also_while_it_sleeps() {
    static LOCK: Mutex<u64> = Mutex::new(0);
    static INSIDE: AtomicUsize = AtomicUsize::new(0);
    fn count() {
        for round in 0..40 {
            let mut held = LOCK.lock();
            assert_eq!(INSIDE.fetch_add(1, SeqCst), 0);
            let before = *held;
            if round % 8 == 0 {
                time::sleep(1000);
            } else {
                hosted::step();
            }
            *held = before + 1;
            assert_eq!(INSIDE.fetch_sub(1, SeqCst), 1);
        }
    }
    for cpus in [1, 3] {
        over_seeds(cpus, 25, || {
            let threads: Vec<_> = (0..4).map(|_| spawn(count)).collect();
            threads.iter().for_each(|thread| thread.join());
            assert_eq!(*LOCK.lock(), 160);
        });
    }
}

#[test]
fn waiting_for_a_mutex_can_be_interrupted_and_leaves_nothing_behind() {
    static LOCK: Mutex<()> = Mutex::new(());
    over_seeds(2, 25, || {
        let held = LOCK.lock();
        let thread = spawn(|| {
            assert_eq!(LOCK.lock_interruptible().map(drop), Err(WaitError::Interrupted));
            current().work().store(0, SeqCst);
            assert!(LOCK.lock_interruptible().is_ok());
        });
        thread.interrupt();
        while thread.work().load(SeqCst) != 0 {
            threads::yield_now();
        }
        drop(held);
        thread.join();
        assert!(!LOCK.is_locked());
    });
}

#[test]
fn readers_share_and_a_writer_is_alone() {
    static LOCK: RwLock<(u64, u64)> = RwLock::new((0, 0));
    static READERS: AtomicUsize = AtomicUsize::new(0);
    static MOST: AtomicUsize = AtomicUsize::new(0);
    over_seeds(3, 40, || {
        let readers = (0..3).map(|_| {
            spawn(|| {
                for _ in 0..40 {
                    let pair = LOCK.read();
                    let together = READERS.fetch_add(1, SeqCst) + 1;
                    MOST.fetch_max(together, SeqCst);
                    hosted::step();
                    assert_eq!(pair.0, pair.1);
                    READERS.fetch_sub(1, SeqCst);
                }
            })
        });
        let writers = (0..2).map(|_| {
            spawn(|| {
                for round in 0..40 {
                    let mut pair = LOCK.write();
                    assert_eq!(READERS.load(SeqCst), 0);
                    pair.0 += 1;
                    if round % 10 == 0 {
                        time::sleep(1000);
                    }
                    hosted::step();
                    pair.1 += 1;
                }
            })
        });
        let threads: Vec<_> = readers.chain(writers).collect();
        threads.iter().for_each(|thread| thread.join());
        assert_eq!(*LOCK.read(), (80, 80));
        assert!(MOST.load(SeqCst) > 1);
    });
}

#[test]
fn neither_a_writer_nor_a_reader_starves() {
    static LOCK: RwLock<()> = RwLock::new(());
    static STOP: AtomicUsize = AtomicUsize::new(0);
    over_seeds(2, 25, || {
        let keep = |is_writer: bool| {
            spawn(move || {
                while STOP.load(SeqCst) == 0 {
                    if is_writer {
                        let _held = LOCK.write();
                        time::sleep(100);
                    } else {
                        let _held = LOCK.read();
                        time::sleep(100);
                    }
                }
            })
        };
        // Readers that overlap never leave the lock free; writers that queue never leave a gap.
        let threads = [keep(false), keep(false), keep(false), keep(true), keep(true)];
        for _ in 0..10 {
            drop(LOCK.write());
            drop(LOCK.read());
        }
        STOP.store(1, SeqCst);
        threads.iter().for_each(|thread| thread.join());
    });
}

#[test]
fn a_writer_that_gives_up_lets_the_readers_in() {
    static LOCK: RwLock<()> = RwLock::new(());
    over_seeds(2, 25, || {
        let held = LOCK.read();
        let writer = spawn(|| {
            assert_eq!(LOCK.write_interruptible().map(drop), Err(WaitError::Interrupted));
        });
        while writer.state() != threads::State::Interruptible {
            threads::yield_now();
        }
        let reader = spawn(|| drop(LOCK.read()));
        time::sleep(10_000);
        writer.interrupt();
        reader.join();
        drop(held);
        writer.join();
    });
}

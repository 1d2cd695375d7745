//! Spin locks, ranks, RCU and values made once, on the hosted machine and between threads of the host.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use machine::sync::{
    Irq, Once, Rank, RcuCell, SpinLock, Task, disable_interrupts, disable_preemption, is_atomic, rcu_poll,
    rcu_read,
};
use machine::{cpu, hosted};

#[test]
fn guards_may_be_dropped_in_any_order_and_the_last_one_ends_the_state() {
    static LOW: SpinLock<(), Irq> = SpinLock::new(Rank::Process, ());
    static HIGH: SpinLock<()> = SpinLock::new(Rank::PageTable, ());
    static INTERRUPTS: AtomicUsize = AtomicUsize::new(0);
    hosted::run(1, 1, || {
        let (low, high) = (LOW.lock(), HIGH.lock());
        let (irq, preempt) = (disable_interrupts(), disable_preemption());
        hosted::interrupt(0, || {
            INTERRUPTS.fetch_add(1, SeqCst);
        });
        drop(low);
        assert!(is_atomic() && INTERRUPTS.load(SeqCst) == 0);
        drop(irq);
        // Interrupts come again, preemption does not yet.
        assert!(is_atomic() && INTERRUPTS.load(SeqCst) == 1);
        drop(high);
        assert!(is_atomic());
        drop(preempt);
        assert!(!is_atomic());
    });
}

#[test]
#[should_panic(expected = "is taken while one of rank")]
fn a_lock_of_lower_rank_is_refused_under_a_higher_one() {
    static LOW: SpinLock<()> = SpinLock::new(Rank::Process, ());
    static HIGH: SpinLock<()> = SpinLock::new(Rank::PageTable, ());
    let _high = HIGH.lock();
    let _low = LOW.lock();
}

#[test]
#[should_panic(expected = "holds off interrupts")]
fn a_lock_of_a_rank_that_handlers_take_must_hold_off_interrupts() {
    let _lock = SpinLock::<(), Task>::new(std::hint::black_box(Rank::Timer), ());
}

#[test]
#[should_panic(expected = "is taken while one of rank")]
fn a_lock_that_was_only_tried_counts_for_those_that_come_after() {
    static LOW: SpinLock<()> = SpinLock::new(Rank::Process, ());
    static HIGH: SpinLock<()> = SpinLock::new(Rank::PageTable, ());
    let _high = HIGH.try_lock().unwrap();
    let _low = LOW.lock();
}

#[test]
fn a_lower_lock_may_be_tried_and_equal_ones_nested() {
    static LOW: SpinLock<()> = SpinLock::new(Rank::Process, ());
    static ONE: SpinLock<()> = SpinLock::new(Rank::PageTable, ());
    static TWO: SpinLock<()> = SpinLock::new(Rank::PageTable, ());
    let one = ONE.lock();
    let two = TWO.lock_nested();
    assert!(LOW.try_lock().is_some());
    assert!(ONE.try_lock().is_none());
    drop((one, two));
    drop(LOW.lock());
}

#[test]
fn threads_of_the_host_exclude_each_other() {
    static COUNT: SpinLock<u32> = SpinLock::new(Rank::Process, 0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..10_000).for_each(|_| *COUNT.lock() += 1));
        }
    });
    assert_eq!(*COUNT.lock(), 40_000);
}

#[test]
fn a_value_is_set_by_the_first_and_seen_by_all() {
    let cell = Once::new();
    let winners = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for number in 0..4 {
            let (cell, winners) = (&cell, &winners);
            scope.spawn(move || {
                winners.fetch_add(usize::from(cell.set(vec![number; 3]).is_ok()), SeqCst);
                if let Some(seen) = cell.get() {
                    assert!(seen.len() == 3 && seen.iter().all(|&number| number == seen[0]));
                }
            });
        }
    });
    assert_eq!(winners.load(SeqCst), 1);
    assert!(cell.get().is_some());
}

#[test]
fn what_a_reader_sees_lives_until_the_reader_has_finished() {
    static DROPPED: Mutex<Vec<u32>> = Mutex::new(Vec::new());
    struct Noted(u32);
    impl Drop for Noted {
        fn drop(&mut self) {
            DROPPED.lock().unwrap().push(self.0);
        }
    }
    hosted::run(2, 5, || {
        cpu::release_others(|| {
            loop {
                cpu::idle();
            }
        });
        let cell = RcuCell::new(Arc::new(Noted(1)));
        let guard = rcu_read();
        assert_eq!(cell.read(&guard).0, 1);
        cell.replace(Arc::new(Noted(2)));
        for _ in 0..10 {
            rcu_poll();
        }
        assert!(DROPPED.lock().unwrap().is_empty());
        assert_eq!(cell.get().0, 2);
        drop(guard);
        // This processor passes a moment without readers when it idles.
        for _ in 0..4 {
            rcu_poll();
            machine::clock::set_deadline(Some(machine::clock::now_ns() + 1000));
            // What the poll asked for, which a scheduler would do.
            cpu::take_reschedule_request();
            cpu::idle();
        }
        assert_eq!(*DROPPED.lock().unwrap(), [1]);
    });
}

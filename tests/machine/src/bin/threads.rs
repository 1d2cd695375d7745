//! The scheduler on real processors: waking, sleeping, sharing, and ending without a leak.

#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use machine::frame::{self, Owner};
use machine::{clock, cpu};
use machine_tests::expect;
use threads::{Builder, CpuMask, Mutex, Thread, Wait, WaitQueue, time};

#[cfg(target_os = "none")]
machine::entry!(main);

fn main() {
    threads::start();
    if let Err(error) = Builder::new(b"tests").spawn(tests) {
        panic!("{error}");
    }
    cpu::release_others(threads::run_processor);
    threads::run_processor();
}

fn tests() {
    machine_tests::run(&[
        ("a_sleeper_wakes_after_its_time_and_not_before", sleeping),
        ("two_threads_hand_over_ten_thousand_times", ping_pong),
        ("a_mutex_counts_right_under_contention", mutex),
        ("busy_threads_share_all_processors", sharing),
        ("a_wake_up_is_never_lost", wake_ups),
        ("a_processor_that_is_asked_to_choose_without_end_keeps_its_stack", asking),
        ("two_hundred_threads_come_and_go_without_a_leak", leaks),
    ]);
}

fn spawn(body: impl FnOnce() + Send + 'static) -> Result<Arc<Thread>, String> {
    Builder::new(b"test").spawn(body).map_err(|error| format!("{error}"))
}

fn sleeping() -> Result<(), String> {
    for ns in [0, 1, 1000, 1_000_000, 12_345_678, 50_000_000] {
        let start = clock::now_ns();
        time::sleep(ns);
        let slept = clock::now_ns() - start;
        if slept < ns {
            return Err(format!("slept {slept} of {ns} ns"));
        }
    }
    Ok(())
}

static TURN: AtomicUsize = AtomicUsize::new(0);
static TURNS: WaitQueue = WaitQueue::new();
const ROUNDS: usize = 10_000;

fn take_turns(me: usize) {
    for round in 0..ROUNDS {
        let mine = round * 2 + me;
        let _ =
            TURNS.wait_until(Wait::UNINTERRUPTIBLE, || (TURN.load(Ordering::Acquire) == mine).then_some(()));
        TURN.store(mine + 1, Ordering::Release);
        TURNS.wake_all();
    }
}

fn ping_pong() -> Result<(), String> {
    let other = spawn(|| take_turns(1))?;
    take_turns(0);
    other.join();
    expect("turns", TURN.load(Ordering::Acquire), ROUNDS * 2)
}

static COUNTER: Mutex<u64> = Mutex::new(0);

fn mutex() -> Result<(), String> {
    let threads: Result<Vec<_>, _> = (0..8)
        .map(|_| {
            spawn(|| {
                for round in 0..1000 {
                    let mut counter = COUNTER.lock();
                    let old = *counter;
                    if round % 16 == 0 {
                        threads::yield_now();
                    }
                    *counter = old + 1;
                }
            })
        })
        .collect();
    threads?.iter().for_each(|thread| thread.join());
    expect("counted", *COUNTER.lock(), 8000)
}

static SEEN: AtomicU64 = AtomicU64::new(0);
static STOP: AtomicBool = AtomicBool::new(false);

fn sharing() -> Result<(), String> {
    let threads: Result<Vec<_>, _> = (0..cpu::count() * 2)
        .map(|_| {
            spawn(|| {
                while !STOP.load(Ordering::Relaxed) {
                    SEEN.fetch_or(1 << cpu::current(), Ordering::Relaxed);
                }
            })
        })
        .collect();
    let threads = threads?;
    // However slow the machine is, in the end each processor has one.
    while SEEN.load(Ordering::Relaxed) != (1 << cpu::count()) - 1 {
        time::sleep(5_000_000);
    }
    STOP.store(true, Ordering::Relaxed);
    threads.iter().for_each(|thread| thread.join());
    let time: u64 =
        threads.iter().map(|thread| thread.cpu_time_ns()).map(|(user, system)| user + system).sum();
    expect("their time was counted", time > 0, true)
}

static QUEUE: WaitQueue = WaitQueue::new();
static ITEMS: AtomicUsize = AtomicUsize::new(0);
static TAKEN: AtomicUsize = AtomicUsize::new(0);

fn take_item() -> Option<()> {
    ITEMS.fetch_update(Ordering::AcqRel, Ordering::Acquire, |items| items.checked_sub(1)).ok().map(|_| ())
}

fn wake_ups() -> Result<(), String> {
    const EACH: usize = 2000;
    let takers: Result<Vec<_>, _> = (0..6)
        .map(|_| {
            spawn(|| {
                for _ in 0..EACH {
                    let _ = QUEUE.wait_until(Wait::UNINTERRUPTIBLE, take_item);
                    TAKEN.fetch_add(1, Ordering::AcqRel);
                }
            })
        })
        .collect();
    let givers: Result<Vec<_>, _> = (0..3)
        .map(|_| {
            spawn(|| {
                for _ in 0..EACH * 2 {
                    ITEMS.fetch_add(1, Ordering::AcqRel);
                    QUEUE.wake_one();
                }
            })
        })
        .collect();
    givers?.iter().chain(&takers?).for_each(|thread| thread.join());
    expect("taken", TAKEN.load(Ordering::Acquire), 6 * EACH)
}

static IS_ASKED: AtomicBool = AtomicBool::new(true);

/// Every processor but one asks that one to choose again, all the time, while threads there sleep, wake and hand over:
/// the interrupts come in every part of a choice.
fn asking() -> Result<(), String> {
    let others: Result<Vec<_>, _> = (1..cpu::count())
        .map(|cpu| {
            let ask = || {
                while IS_ASKED.load(Ordering::Relaxed) {
                    cpu::send_reschedule(0);
                }
            };
            Builder::new(b"asker").affinity(CpuMask::one(cpu)).spawn(ask).map_err(|error| format!("{error}"))
        })
        .collect();
    let sleepers: Result<Vec<_>, _> = (1..=8)
        .map(|number: u64| {
            let sleep = move || {
                for _ in 0..100 {
                    time::sleep(number * 10_000);
                    threads::yield_now();
                }
            };
            Builder::new(b"asked").affinity(CpuMask::one(0)).spawn(sleep).map_err(|error| format!("{error}"))
        })
        .collect();
    sleepers?.iter().for_each(|thread| thread.join());
    IS_ASKED.store(false, Ordering::Relaxed);
    others?.iter().for_each(|thread| thread.join());
    Ok(())
}

fn leaks() -> Result<(), String> {
    let round = || -> Result<(), String> {
        let threads: Result<Vec<_>, _> = (0..200).map(|_| spawn(threads::yield_now)).collect();
        threads?.iter().for_each(|thread| thread.join());
        // The last reference goes when the processor has left the thread's stack.
        while threads::count() > before_count() {
            threads::yield_now();
        }
        Ok(())
    };
    round()?;
    machine::heap::trim();
    let before = frame::count(Owner::Free);
    for _ in 0..10 {
        round()?;
    }
    machine::heap::trim();
    let after = frame::count(Owner::Free);
    if after + 8 < before { Err(format!("{before} frames were free, {after} are")) } else { Ok(()) }
}

/// Threads that stay: this one, and the scheduler's own.
fn before_count() -> usize {
    1 + 2 * cpu::count()
}

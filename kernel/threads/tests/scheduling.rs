//! Scheduling on the hosted machine, over many seeds. Each test is a process of its own (`cargo nextest`),
//! and each seed too.
#![allow(clippy::disallowed_methods, clippy::disallowed_macros, reason = "a test may end for want of memory")]

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

#[test]
fn every_wake_up_reaches_the_waiter() {
    static TURN: AtomicUsize = AtomicUsize::new(0);
    static TURNS: WaitQueue = WaitQueue::new();
    const THREADS: usize = 3;
    const ROUNDS: usize = 60;
    fn take_turns(own: usize) {
        for round in 0..ROUNDS {
            let mine = round * THREADS + own;
            let turn = TURNS.wait_until(Wait::UNINTERRUPTIBLE, || (TURN.load(SeqCst) == mine).then_some(()));
            assert_eq!(turn, Ok(()));
            TURN.store(mine + 1, SeqCst);
            TURNS.wake_all();
        }
    }
    for cpus in [1, 2, 3] {
        over_seeds(cpus, 25, || {
            let others: Vec<_> = (1..THREADS).map(|own| spawn("other", move || take_turns(own))).collect();
            take_turns(0);
            others.iter().for_each(|other| other.join());
            assert_eq!(TURN.load(SeqCst), THREADS * ROUNDS);
        });
    }
}

#[test]
fn a_wake_up_from_an_interrupt_on_another_processor_is_not_lost() {
    static EVENTS: AtomicUsize = AtomicUsize::new(0);
    static QUEUE: WaitQueue = WaitQueue::new();
    over_seeds(2, 25, || {
        for round in 1..100 {
            hosted::interrupt(round % 2, || {
                EVENTS.fetch_add(1, SeqCst);
                QUEUE.wake_one();
            });
            let seen = QUEUE.wait_until(Wait::UNINTERRUPTIBLE, || {
                let events = EVENTS.load(SeqCst);
                (events >= round).then_some(events)
            });
            assert_eq!(seen, Ok(round));
        }
    });
}

#[test]
fn wake_one_wakes_those_that_have_waited_longest_and_only_one() {
    over_seeds(1, 10, || {
        static QUEUE: WaitQueue = WaitQueue::new();
        static TOKENS: AtomicUsize = AtomicUsize::new(0);
        static ORDER: machine::sync::SpinLock<Vec<usize>> =
            machine::sync::SpinLock::new(machine::sync::Rank::Process, Vec::new());
        let take = || TOKENS.fetch_update(SeqCst, SeqCst, |tokens| tokens.checked_sub(1)).ok();
        let threads: Vec<_> = (0..4)
            .map(|own| {
                let thread = spawn("waiter", move || {
                    assert!(QUEUE.wait_until(Wait::UNINTERRUPTIBLE, take).is_ok());
                    ORDER.lock().push(own);
                });
                while thread.state() != threads::State::Uninterruptible {
                    yield_now();
                }
                thread
            })
            .collect();
        for woken in 1..=4 {
            TOKENS.fetch_add(1, SeqCst);
            assert!(QUEUE.wake_one());
            while ORDER.lock().len() < woken {
                yield_now();
            }
        }
        assert_eq!(*ORDER.lock(), [0, 1, 2, 3]);
        assert!(!QUEUE.wake_one());
        threads.iter().for_each(|thread| thread.join());
    });
}

#[test]
fn an_interruption_ends_an_interruptible_wait_and_no_other() {
    over_seeds(2, 25, || {
        static QUEUE: WaitQueue = WaitQueue::new();
        static IS_DONE: AtomicUsize = AtomicUsize::new(0);
        let interruptible = spawn("a", || {
            let outcome = QUEUE.wait_until(Wait::INTERRUPTIBLE, || None::<()>);
            assert_eq!(outcome, Err(threads::WaitError::Interrupted));
        });
        let other = spawn("b", || {
            let outcome =
                QUEUE.wait_until(Wait::UNINTERRUPTIBLE, || (IS_DONE.load(SeqCst) == 1).then_some(()));
            assert_eq!(outcome, Ok(()));
        });
        other.interrupt();
        interruptible.interrupt();
        interruptible.join();
        assert_ne!(other.state(), threads::State::Dead);
        IS_DONE.store(1, SeqCst);
        QUEUE.wake_all();
        other.join();
        // A thread that has been interrupted does not begin to wait.
        current().to_arc().interrupt();
        assert_eq!(
            QUEUE.wait_until(Wait::INTERRUPTIBLE, || None::<()>),
            Err(threads::WaitError::Interrupted)
        );
    });
}

#[test]
fn busy_threads_run_in_parallel_and_stay_where_they_are() {
    static MOVES: AtomicUsize = AtomicUsize::new(0);
    static SWITCHES: AtomicU64 = AtomicU64::new(0);
    fn work() {
        // Placed by its start; from then on it stays.
        threads::time::sleep(1_000_000);
        let home = cpu::current();
        let before = current().switches();
        let end = clock::now_ns() + 200_000_000;
        while clock::now_ns() < end {
            hosted::advance(10_000);
            MOVES.fetch_add(usize::from(cpu::current() != home), SeqCst);
        }
        let after = current().switches();
        SWITCHES.fetch_add(after.0 + after.1 - before.0 - before.1, SeqCst);
    }
    over_seeds(4, 8, || {
        let threads: Vec<_> = (0..4).map(|_| spawn("busy", work)).collect();
        threads.iter().for_each(|thread| thread.join());
        // The softirq thread may come between, for the load average; nobody else.
        assert!(MOVES.load(SeqCst) == 0, "{} moves", MOVES.load(SeqCst));
        assert!(SWITCHES.load(SeqCst) <= 4, "{} switches", SWITCHES.load(SeqCst));
    });
}

#[test]
fn fewer_threads_than_processors_are_never_switched() {
    over_seeds(4, 8, || {
        let threads: Vec<_> = (0..2)
            .map(|_| {
                spawn("busy", || {
                    let end = clock::now_ns() + 300_000_000;
                    while clock::now_ns() < end {
                        hosted::advance(20_000);
                    }
                    let (voluntary, involuntary) = current().switches();
                    assert!(voluntary == 0 && involuntary <= 1, "{voluntary} and {involuntary} switches");
                })
            })
            .collect();
        threads.iter().for_each(|thread| thread.join());
    });
}

#[test]
fn threads_of_one_processor_share_it_by_weight() {
    static STOP: AtomicUsize = AtomicUsize::new(0);
    fn burn() {
        while STOP.load(SeqCst) == 0 {
            hosted::advance(50_000);
        }
    }
    over_seeds(1, 8, || {
        let nice = |nice| Builder::new(b"burner").nice(nice).spawn(burn).expect("memory");
        let threads = [nice(0), nice(0), nice(5)];
        let before: Vec<u64> = threads.iter().map(|thread| thread.cpu_time_ns().1).collect();
        threads::time::sleep(1_000_000_000);
        let ran: Vec<u64> =
            threads.iter().zip(before).map(|(thread, before)| thread.cpu_time_ns().1 - before).collect();
        STOP.store(1, SeqCst);
        threads.iter().for_each(|thread| thread.join());
        // Weights 1024, 1024 and 335: 43 %, 43 %, 14 %, each to two turns.
        let share = |ns: u64, percent: u64| ns.abs_diff(percent * 10_000_000) < 20_000_000;
        assert!(share(ran[0], 43) && share(ran[1], 43) && share(ran[2], 14), "{ran:?}");
    });
}

#[test]
fn a_real_time_thread_runs_before_all_others_and_equals_take_turns_only_if_round_robin() {
    over_seeds(1, 8, || {
        let work = || {
            let end = clock::now_ns() + 350_000_000;
            while clock::now_ns() < end {
                hosted::advance(100_000);
            }
        };
        let spawn = |policy| Builder::new(b"real-time").policy(policy).spawn(work).expect("memory");
        // This thread is of the highest priority while it sets the scene.
        current().set_policy(Policy::Fifo(99));
        let (one, two) = (spawn(Policy::Fifo(10)), spawn(Policy::Fifo(10)));
        let (three, four) = (spawn(Policy::RoundRobin(5)), spawn(Policy::RoundRobin(5)));
        threads::time::sleep(300_000_000);
        assert!(one.cpu_time_ns().1 > 290_000_000 && two.cpu_time_ns().1 == 0);
        threads::time::sleep(650_000_000);
        let (three_ns, four_ns) = (three.cpu_time_ns().1, four.cpu_time_ns().1);
        assert!(three_ns > 90_000_000 && four_ns > 90_000_000, "{three_ns} {four_ns}");
        [one, two, three, four].iter().for_each(|thread| thread.join());
    });
}

#[test]
fn an_idle_processor_takes_over_what_waits_elsewhere() {
    over_seeds(2, 20, || {
        let here = CpuMask::one(0);
        assert!(current().to_arc().set_affinity(here));
        let threads: Vec<_> = (0..4)
            .map(|_| {
                spawn("busy", || {
                    let end = clock::now_ns() + 20_000_000;
                    while clock::now_ns() < end {
                        hosted::advance(10_000);
                    }
                })
            })
            .collect();
        threads.iter().for_each(|thread| thread.join());
        let (one, two) = (load::times(0), load::times(1));
        assert!(one.system_ns > 10_000_000 && two.system_ns > 10_000_000, "{one:?} {two:?}");
    });
}

#[test]
fn a_changed_affinity_moves_a_thread_that_runs_waits_or_sleeps() {
    over_seeds(3, 25, || {
        static STOP: AtomicUsize = AtomicUsize::new(0);
        let busy: Vec<_> = (0..3)
            .map(|_| {
                spawn("busy", || {
                    while STOP.load(SeqCst) == 0 {
                        hosted::step();
                    }
                })
            })
            .collect();
        let sleeper = spawn("sleeper", || {
            threads::time::sleep(1_000_000);
            assert_eq!(cpu::current(), 1);
        });
        assert!(sleeper.set_affinity(CpuMask::one(1)));
        for target in [0, 2, 1] {
            for thread in &busy {
                assert!(thread.set_affinity(CpuMask::one(target)));
            }
            assert!(current().to_arc().set_affinity(CpuMask::one(target)));
            threads::time::sleep(10_000_000);
            assert_eq!(cpu::current(), target);
            assert!(busy.iter().all(|thread| thread.cpu() == target));
        }
        assert!(!current().to_arc().set_affinity(CpuMask::one(77)));
        STOP.store(1, SeqCst);
        busy.iter().for_each(|thread| thread.join());
        sleeper.join();
    });
}

#[test]
fn weights_and_policies_can_change_at_any_moment() {
    over_seeds(2, 25, || {
        let threads: Vec<_> = (0..5)
            .map(|index| {
                spawn("busy", move || {
                    for round in 0..60 {
                        match (round + index) % 3 {
                            0 => threads::time::sleep(10_000),
                            1 => yield_now(),
                            _ => hosted::advance(500_000),
                        }
                    }
                })
            })
            .collect();
        for round in 0..100 {
            let thread = &threads[round % threads.len()];
            match round % 4 {
                0 => thread.set_policy(Policy::Fifo(20)),
                1 => thread.set_nice((round % 40) as i8 - 20),
                2 => thread.set_policy(Policy::Normal),
                _ => thread.set_policy(Policy::Idle),
            }
            threads::time::sleep(100_000);
        }
        threads.iter().for_each(|thread| thread.set_policy(Policy::Normal));
        threads.iter().for_each(|thread| thread.join());
    });
}

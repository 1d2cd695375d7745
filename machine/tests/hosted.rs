//! The hosted machine itself: switches, hand-overs, idling, interrupts. Each test is a process of its own
//! (`cargo nextest`).

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use machine::sync::{Irq, Rank, SpinLock, disable_interrupts};
use machine::task::{Schedulable, Task, adopt, current, set_reschedule_hook, switch_to};
use machine::{clock, cpu, hosted};

struct Thread {
    task: Task,
    name: u32,
}

impl Schedulable for Thread {
    fn task(&self) -> &Task {
        &self.task
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        DROPPED.fetch_add(1, SeqCst);
    }
}

static DROPPED: AtomicU32 = AtomicU32::new(0);
static READY: Mutex<VecDeque<Arc<Thread>>> = Mutex::new(VecDeque::new());
static SEEN: Mutex<Vec<u32>> = Mutex::new(Vec::new());

fn boot_thread() {
    adopt(|task| Arc::new(Thread { task, name: 0 }));
}

fn next() -> Option<Arc<Thread>> {
    READY.lock().unwrap().pop_front()
}

fn leave_for(next: Arc<Thread>) {
    switch_to(next, disable_interrupts());
}

#[test]
fn a_new_thread_runs_and_is_freed_after_it_has_been_left_for_good() {
    hosted::run(1, 1, || {
        boot_thread();
        let boot = current::<Thread>().to_arc();
        READY.lock().unwrap().push_back(boot);
        let entry = || {
            SEEN.lock().unwrap().push(current::<Thread>().name);
            let boot = next().unwrap();
            leave_for(boot);
        };
        leave_for(Arc::new(Thread { task: Task::new(entry, None).unwrap(), name: 7 }));
        assert_eq!(*SEEN.lock().unwrap(), [7]);
        assert_eq!(DROPPED.load(SeqCst), 1);
    });
}

#[test]
#[should_panic(expected = "switching with a lock or another guard held")]
fn a_switch_with_a_lock_held_is_caught() {
    static LOCK: SpinLock<()> = SpinLock::new(Rank::Process, ());
    hosted::run(1, 1, || {
        boot_thread();
        let _held = LOCK.lock();
        leave_for(Arc::new(Thread { task: Task::new(|| (), None).unwrap(), name: 1 }));
    });
}

#[test]
fn two_processors_that_count_under_a_lock_lose_nothing() {
    static COUNT: SpinLock<u32> = SpinLock::new(Rank::Process, 0);
    static DONE: AtomicBool = AtomicBool::new(false);
    fn count() {
        for _ in 0..1000 {
            let before = *COUNT.lock();
            hosted::step();
            let mut held = COUNT.lock();
            *held = before.max(*held) + 1;
        }
    }
    hosted::run(2, 3, || {
        cpu::release_others(|| {
            count();
            DONE.store(true, SeqCst);
            loop {
                cpu::idle();
            }
        });
        count();
        while !DONE.load(SeqCst) {
            cpu::spin_wait();
        }
        assert_eq!(*COUNT.lock(), 2000);
    });
}

#[test]
fn an_interrupt_waits_until_the_irq_lock_is_released() {
    static LOCK: SpinLock<u32, Irq> = SpinLock::new(Rank::Process, 0);
    hosted::run(1, 1, || {
        let held = LOCK.lock();
        hosted::interrupt(0, || *LOCK.lock() += 1);
        hosted::step();
        assert_eq!(*held, 0);
        drop(held);
        assert_eq!(*LOCK.lock(), 1);
    });
}

#[test]
fn idling_skips_to_the_deadline() {
    static FIRED: AtomicBool = AtomicBool::new(false);
    machine::task::set_deadline_hook(|| FIRED.store(true, SeqCst));
    hosted::run(1, 1, || {
        let deadline = clock::now_ns() + 5_000_000_000;
        clock::set_deadline(Some(deadline));
        cpu::idle();
        assert!(FIRED.load(SeqCst));
        assert!(clock::now_ns() >= deadline);
    });
}

#[test]
#[should_panic(expected = "all threads wait for each other")]
fn a_machine_in_which_nothing_can_happen_any_more_panics() {
    hosted::run(3, 1, || {
        cpu::release_others(|| {
            loop {
                cpu::idle();
            }
        });
        cpu::idle();
    });
}

#[test]
fn a_lock_held_for_ever_is_found() {
    static LOCK: SpinLock<()> = SpinLock::new(Rank::Process, ());
    let result = std::panic::catch_unwind(|| {
        hosted::run(2, 1, || {
            cpu::release_others(|| {
                std::mem::forget(LOCK.lock());
                loop {
                    cpu::idle();
                }
            });
            loop {
                drop(LOCK.lock());
            }
        })
    });
    assert!(result.is_err());
}

#[test]
fn a_choice_that_is_asked_for_at_the_end_of_one_is_made_after_it_and_not_inside() {
    static DEPTH: AtomicU32 = AtomicU32::new(0);
    static DEEPEST: AtomicU32 = AtomicU32::new(0);
    static CHOICES: AtomicU32 = AtomicU32::new(0);
    fn choose() {
        let depth = DEPTH.fetch_add(1, SeqCst) + 1;
        DEEPEST.fetch_max(depth, SeqCst);
        cpu::take_reschedule_request();
        if CHOICES.fetch_add(1, SeqCst) < 1000 {
            let guard = disable_interrupts();
            cpu::request_reschedule();
            drop(guard);
        }
        DEPTH.fetch_sub(1, SeqCst);
    }
    hosted::run(1, 1, || {
        boot_thread();
        set_reschedule_hook(choose);
        cpu::request_reschedule();
        hosted::step();
        assert_eq!((CHOICES.load(SeqCst), DEEPEST.load(SeqCst)), (1001, 1));
    });
}

#[test]
fn equal_seeds_give_equal_runs() {
    let run = |seed: &str| {
        let output = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "--nocapture", "--ignored", "one_order_of_a_race"])
            .env("SEED", seed)
            .output()
            .unwrap();
        String::from_utf8(output.stdout)
            .unwrap()
            .lines()
            .find(|line| line.starts_with("order"))
            .unwrap()
            .to_owned()
    };
    assert_eq!(run("5"), run("5"));
    assert!((0..8).any(|seed| run("5") != run(&seed.to_string())));
}

#[test]
#[ignore = "run by equal_seeds_give_equal_runs"]
fn one_order_of_a_race() {
    let Ok(seed) = std::env::var("SEED") else { return };
    static ORDER: SpinLock<Vec<usize>> = SpinLock::new(Rank::Process, Vec::new());
    fn race() {
        for _ in 0..20 {
            ORDER.lock().push(cpu::current());
        }
    }
    hosted::run(3, seed.parse().unwrap(), || {
        cpu::release_others(|| {
            race();
            loop {
                cpu::idle();
            }
        });
        race();
        while ORDER.lock().len() < 60 {
            cpu::spin_wait();
        }
        println!("\norder {:?}", *ORDER.lock());
    });
}

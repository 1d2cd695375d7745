//! Memory is used up: who is asked to choose a victim, how often, and who waits.
#![allow(clippy::disallowed_methods, clippy::disallowed_macros, reason = "a test may end for want of memory")]

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use abi::Errno;
use machine::frame::{self, Frame, Owner};
use memory::oom::{Policy, Verdict, memory_was_freed, set_policy};
use threads::{Builder, Wait, WaitQueue};

/// What the victim holds, and everybody else's.
static VICTIMS: Mutex<Vec<Vec<Frame>>> = Mutex::new(Vec::new());
static HELD: Mutex<Vec<Frame>> = Mutex::new(Vec::new());
static CHOICES: AtomicUsize = AtomicUsize::new(0);
static IS_VICTIM_ENDING: AtomicBool = AtomicBool::new(false);
static IS_CALLER_ENDING: AtomicBool = AtomicBool::new(false);
static KILL: WaitQueue = WaitQueue::new();
static DONE: WaitQueue = WaitQueue::new();

/// Kills the victims in turn; each needs a while to go.
fn choose(is_patient: bool, _pages: usize) -> Verdict {
    if IS_VICTIM_ENDING.load(SeqCst) {
        assert!(is_patient, "a victim that goes within the time is waited for");
        return Verdict::Pending;
    }
    if VICTIMS.lock().unwrap().is_empty() {
        return Verdict::Nobody;
    }
    CHOICES.fetch_add(1, SeqCst);
    IS_VICTIM_ENDING.store(true, SeqCst);
    KILL.wake_all();
    Verdict::Killed
}

/// Lets victims of `sizes` frames have, together with this thread, all that there is.
fn use_memory_up(sizes: &[usize]) {
    set_policy(Policy { choose, is_ending: || IS_CALLER_ENDING.load(SeqCst) });
    for &size in sizes {
        let frames = (0..size).map(|_| Frame::new_dirty(Owner::User).unwrap()).collect();
        VICTIMS.lock().unwrap().push(frames);
    }
    take_all();
    Builder::new(b"victims")
        .spawn(|| {
            loop {
                let _ =
                    KILL.wait_until(Wait::UNINTERRUPTIBLE, || IS_VICTIM_ENDING.load(SeqCst).then_some(()));
                threads::time::sleep(5_000_000);
                let frames = VICTIMS.lock().unwrap().pop();
                drop(frames);
                IS_VICTIM_ENDING.store(false, SeqCst);
                memory_was_freed();
            }
        })
        .unwrap();
}

/// Takes what may be taken.
fn take_all() {
    let mut held = HELD.lock().unwrap();
    while frame::count(Owner::Free) > memory::reclaim::watermarks().min {
        held.push(Frame::new_dirty(Owner::User).unwrap());
    }
}

/// Has `count` threads want `pages` at once and gives what they were told.
fn all_want(count: usize, pages: usize) -> Vec<Result<(), Errno>> {
    static ANSWERS: Mutex<Vec<Result<(), Errno>>> = Mutex::new(Vec::new());
    for _ in 0..count {
        Builder::new(b"wants")
            .spawn(move || {
                let answer = memory::reserve(pages);
                ANSWERS.lock().unwrap().push(answer);
                DONE.wake_all();
            })
            .unwrap();
    }
    let all = || (ANSWERS.lock().unwrap().len() == count).then_some(());
    let _ = DONE.wait_until(Wait::UNINTERRUPTIBLE, all);
    core::mem::take(&mut *ANSWERS.lock().unwrap())
}

#[test]
fn what_several_want_at_once_costs_one_victim() {
    threads::hosted::run(4, 1, || {
        use_memory_up(&[500, 500]);
        assert_eq!(all_want(5, 100), [Ok(()); 5]);
        assert_eq!(CHOICES.load(SeqCst), 1);
        assert_eq!(memory::oom::kills(), 1);
    });
}

#[test]
fn when_others_were_quicker_the_next_victim_goes_without_a_long_wait() {
    threads::hosted::run(2, 2, || {
        use_memory_up(&[100, 50, 50]);
        let start = machine::clock::now_ns();
        assert_eq!(memory::reserve(120), Ok(()));
        assert_eq!(CHOICES.load(SeqCst), 3);
        assert!(machine::clock::now_ns() - start < 1_000_000_000);
    });
}

#[test]
fn without_anybody_to_kill_there_is_no_memory() {
    threads::hosted::run(2, 3, || {
        use_memory_up(&[20]);
        assert_eq!(memory::reserve(1000), Err(Errno::ENOMEM));
        assert_eq!(CHOICES.load(SeqCst), 1);
    });
}

#[test]
fn whoever_is_to_end_does_not_wait_and_has_nobody_killed() {
    threads::hosted::run(1, 4, || {
        use_memory_up(&[500]);
        IS_CALLER_ENDING.store(true, SeqCst);
        assert_eq!(memory::reserve(100), Err(Errno::ENOMEM));
        assert_eq!(CHOICES.load(SeqCst), 0);
    });
}

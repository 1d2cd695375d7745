//! Everything at once: threads that come and go, wait, are interrupted, moved and reweighed, under many seeds.
#![allow(clippy::disallowed_methods, clippy::disallowed_macros, reason = "a test may end for want of memory")]

mod seeds;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use machine::frame::{self, Owner};
use machine::{clock, hosted, random};
use seeds::over_seeds;
use threads::futex::{self, FutexKey};
use threads::poll::{Epoll, Events, Interest, PollSource, Pollable, Waiter};
use threads::{Builder, CpuMask, Mutex, Policy, RwLock, Thread, Wait, WaitQueue, current, time};

static QUEUE: WaitQueue = WaitQueue::new();
static EVENTS: AtomicUsize = AtomicUsize::new(0);
static MUTEX: Mutex<u64> = Mutex::new(0);
static LOCK: RwLock<u64> = RwLock::new(0);

struct Source(PollSource);

impl Pollable for Source {
    fn poll(&self, interest: Events, waiter: Option<&mut Waiter>) -> Events {
        if let Some(waiter) = waiter {
            waiter.watch(&self.0, interest);
        }
        Events::IN & interest
    }
}

fn number(below: u64) -> u64 {
    random::hardware_u64().expect("the hosted machine has numbers") % below
}

fn soon() -> Wait {
    Wait::INTERRUPTIBLE.with_deadline(clock::now_ns() + number(20_000))
}

fn act(epoll: &Epoll, source: &Source) {
    let key = FutexKey(number(2), 0);
    match number(12) {
        0 => {
            let take = || EVENTS.fetch_update(SeqCst, SeqCst, |events| events.checked_sub(1)).ok();
            let _ = QUEUE.wait_until(soon(), take);
        }
        1 => {
            EVENTS.fetch_add(1, SeqCst);
            QUEUE.wake_one_sync();
        }
        2 => *MUTEX.lock() += 1,
        3 => {
            let mut held = MUTEX.lock();
            time::sleep(number(3000));
            *held += 1;
        }
        4 => assert!(*LOCK.read() < u64::MAX),
        5 => *LOCK.write() += 1,
        6 => {
            let _ = futex::wait::<()>(key, futex::ANY, soon(), || Ok(true));
        }
        7 => {
            futex::wake(key, 2, futex::ANY);
        }
        8 => {
            let _ = futex::requeue::<()>(FutexKey(0, 0), FutexKey(1, 0), 1, 3, || Ok(true));
        }
        9 => {
            let _ = epoll.wait(2, soon(), |_, data| data == 5);
        }
        10 => source.0.notify(Events::IN),
        _ => {
            let _ = time::sleep_until(clock::now_ns() + number(5000), true);
        }
    }
    current().work().store(0, SeqCst);
}

fn disturb(threads: &[Arc<Thread>]) {
    let thread = &threads[number(threads.len() as u64) as usize];
    match number(7) {
        0 => thread.interrupt(),
        1 => thread.set_nice(number(40) as i8 - 20),
        2 => thread.set_policy(Policy::RoundRobin(1 + number(3) as u8)),
        3 => thread.set_policy(Policy::Normal),
        4 => assert!(thread.set_affinity(CpuMask::one(number(3) as usize))),
        5 => assert!(thread.set_affinity(CpuMask::ALL)),
        _ => {
            thread.wake();
        }
    }
}

#[test]
fn a_mixture_of_everything_ends_and_leaves_nothing_behind() {
    over_seeds(3, 60, || {
        let source = Arc::new(Source(PollSource::new()));
        let epoll = Arc::new(Epoll::new().unwrap());
        let watched: Arc<dyn Pollable> = source.clone();
        let interest =
            Interest { events: Events::IN, is_edge: true, is_one_shot: false, is_exclusive: false, data: 5 };
        assert_eq!(epoll.add(1, &watched, interest), Ok(()));
        let before = (threads::count(), frame::count(Owner::Stack));
        for _ in 0..3 {
            let threads: Vec<_> = (0..8)
                .map(|_| {
                    let (epoll, source) = (epoll.clone(), source.clone());
                    let body = move || {
                        for _ in 0..30 {
                            act(&epoll, &source);
                            hosted::step();
                        }
                    };
                    Builder::new(b"soak").spawn(body).expect("memory for a thread")
                })
                .collect();
            while threads.iter().any(|thread| thread.state() != threads::State::Dead) {
                disturb(&threads);
                hosted::interrupt(number(3) as usize, || {
                    EVENTS.fetch_add(1, SeqCst);
                    QUEUE.wake_one();
                });
                time::sleep(number(20_000));
            }
            threads.iter().for_each(|thread| thread.join());
        }
        time::sleep(100_000_000);
        assert_eq!((threads::count(), frame::count(Owner::Stack)), before);
        assert!(!MUTEX.is_locked() && LOCK.try_write().is_some());
    });
}

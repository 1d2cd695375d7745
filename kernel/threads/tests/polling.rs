//! Poll sources and epoll on the hosted machine, over many seeds.
#![allow(clippy::disallowed_methods, clippy::disallowed_macros, reason = "a test may end for want of memory")]

mod seeds;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering::SeqCst};

use machine::clock;
use seeds::over_seeds;
use threads::poll::{AddError, Epoll, Events, Interest, PollSource, Pollable, Waiter};
use threads::{Builder, Thread, Wait, WaitError, time};

/// A file of which the test says what holds.
struct File {
    source: PollSource,
    events: AtomicU32,
}

impl File {
    fn new() -> Arc<Self> {
        Arc::new(Self { source: PollSource::new(), events: AtomicU32::new(0) })
    }

    fn raise(&self, events: Events) {
        self.events.fetch_or(events.bits(), SeqCst);
        self.source.notify(events);
    }

    fn lower(&self, events: Events) -> bool {
        self.events.fetch_and(!events.bits(), SeqCst) & events.bits() != 0
    }
}

impl Pollable for File {
    fn poll(&self, interest: Events, waiter: Option<&mut Waiter>) -> Events {
        if let Some(waiter) = waiter {
            waiter.watch(&self.source, interest);
        }
        Events::from_bits_truncate(self.events.load(SeqCst)) & (interest | Events::ALWAYS)
    }
}

fn spawn(body: impl FnOnce() + Send + 'static) -> Arc<Thread> {
    Builder::new(b"test").spawn(body).expect("memory for a thread")
}

fn level(data: u64) -> Interest {
    Interest { events: Events::IN, is_edge: false, is_one_shot: false, is_exclusive: false, data }
}

fn pollable(file: &Arc<impl Pollable + 'static>) -> Arc<dyn Pollable> {
    file.clone()
}

/// What is ready now, by data.
fn ready(epoll: &Epoll) -> Vec<u64> {
    let mut found = Vec::new();
    epoll.collect(100, &mut |_, data| {
        found.push(data);
        true
    });
    found
}

#[test]
fn a_thread_that_polls_several_files_sees_the_one_that_becomes_ready() {
    over_seeds(2, 25, || {
        let files: Vec<_> = (0..3).map(|_| File::new()).collect();
        for round in 0..20 {
            let target = files[round % 3].clone();
            let raiser = spawn(move || target.raise(Events::IN));
            let mut waiter = Waiter::new().unwrap();
            let look = |mut waiter: Option<&mut Waiter>| {
                files.iter().position(|file| !file.poll(Events::IN, waiter.as_deref_mut()).is_empty())
            };
            let mut found = look(Some(&mut waiter));
            while found.is_none() {
                assert_eq!(waiter.wait(Wait::INTERRUPTIBLE), Ok(()));
                found = look(None);
            }
            assert_eq!(found, Some(round % 3));
            assert!(files[round % 3].lower(Events::IN));
            raiser.join();
        }
        assert!(files.iter().all(|file| !file.source.is_watched()));
    });
}

#[test]
fn polling_ends_at_its_deadline() {
    over_seeds(1, 10, || {
        let file = File::new();
        let mut waiter = Waiter::new().unwrap();
        assert!(file.poll(Events::IN, Some(&mut waiter)).is_empty());
        let wait = Wait::INTERRUPTIBLE.with_deadline(clock::now_ns() + 1_000_000);
        assert_eq!(waiter.wait(wait), Err(WaitError::TimedOut));
        // What nobody asked for does not end the wait; an error does.
        file.raise(Events::OUT);
        let wait = Wait::INTERRUPTIBLE.with_deadline(clock::now_ns() + 1_000_000);
        assert_eq!(waiter.wait(wait), Err(WaitError::TimedOut));
        file.raise(Events::ERR);
        assert_eq!(waiter.wait(Wait::INTERRUPTIBLE), Ok(()));
    });
}

#[test]
fn level_edge_and_one_shot_items_report_as_often_as_they_should() {
    over_seeds(1, 5, || {
        let epoll = Epoll::new().unwrap();
        let (one, two, three) = (File::new(), File::new(), File::new());
        let [a, b, c] = [pollable(&one), pollable(&two), pollable(&three)];
        assert_eq!(epoll.add(1, &a, level(1)), Ok(()));
        assert_eq!(epoll.add(2, &b, Interest { is_edge: true, ..level(2) }), Ok(()));
        assert_eq!(epoll.add(3, &c, Interest { is_one_shot: true, ..level(3) }), Ok(()));
        assert_eq!(epoll.add(1, &a, level(9)), Err(AddError::Exists));
        assert!(ready(&epoll).is_empty());
        for file in [&one, &two, &three] {
            file.raise(Events::IN);
        }
        assert_eq!(ready(&epoll), [1, 2, 3]);
        assert_eq!(ready(&epoll), [1]);
        two.raise(Events::IN);
        three.raise(Events::IN);
        assert_eq!(ready(&epoll), [1, 2]);
        assert_eq!(epoll.modify(3, &c, Interest { is_one_shot: true, ..level(33) }), Ok(()));
        assert_eq!(ready(&epoll), [1, 33]);
        assert!(one.lower(Events::IN));
        assert!(ready(&epoll).is_empty());
        assert_eq!(epoll.remove(1, &a), Ok(()));
        assert_eq!(epoll.remove(1, &a), Err(AddError::Missing));
        one.raise(Events::IN);
        assert!(ready(&epoll).is_empty());
        assert!(!one.source.is_watched());
    });
}

#[test]
fn a_file_that_is_ready_when_it_is_added_is_reported_and_one_that_is_closed_is_not() {
    over_seeds(1, 5, || {
        let epoll = Epoll::new().unwrap();
        let file = File::new();
        file.raise(Events::IN);
        assert_eq!(epoll.add(1, &pollable(&file), level(1)), Ok(()));
        assert_eq!(ready(&epoll), [1]);
        drop(file);
        assert!(ready(&epoll).is_empty());
    });
}

#[test]
fn what_could_not_be_told_ends_the_wait_and_stays_ready() {
    over_seeds(1, 5, || {
        let epoll = Epoll::new().unwrap();
        let file = File::new();
        file.raise(Events::IN);
        assert_eq!(epoll.add(1, &pollable(&file), level(1)), Ok(()));
        assert_eq!(epoll.wait(1, Wait::INTERRUPTIBLE, |_, _| false), Ok(0));
        assert_eq!(ready(&epoll), [1]);
    });
}

#[test]
fn an_event_wakes_one_of_those_that_wait() {
    over_seeds(3, 25, || {
        static WOKEN: AtomicUsize = AtomicUsize::new(0);
        let epoll = Arc::new(Epoll::new().unwrap());
        let file = File::new();
        let edge = Interest { is_edge: true, ..level(7) };
        assert_eq!(epoll.add(1, &pollable(&file), edge), Ok(()));
        let threads: Vec<_> = (0..3)
            .map(|_| {
                let epoll = epoll.clone();
                spawn(move || {
                    let found = epoll.wait(1, Wait::INTERRUPTIBLE, |_, data| data == 7);
                    WOKEN.fetch_add(usize::from(found == Ok(1)), SeqCst);
                })
            })
            .collect();
        time::sleep(1_000_000);
        for round in 1..=3 {
            file.raise(Events::IN);
            time::sleep(1_000_000);
            assert_eq!(WOKEN.load(SeqCst), round);
        }
        threads.iter().for_each(|thread| thread.join());
    });
}

#[test]
fn a_stream_of_events_through_epoll_loses_none() {
    over_seeds(2, 25, || {
        let epoll = Epoll::new().unwrap();
        let files: Vec<_> = (0..4).map(|_| File::new()).collect();
        for (index, file) in files.iter().enumerate() {
            let interest = Interest { is_edge: index % 2 == 0, ..level(index as u64) };
            assert_eq!(epoll.add(index as u64, &pollable(file), interest), Ok(()));
        }
        let sources = files.clone();
        static TAKEN: AtomicUsize = AtomicUsize::new(0);
        let maker = spawn(move || {
            for round in 0..80 {
                sources[round % 4].raise(Events::IN);
                while TAKEN.load(SeqCst) <= round {
                    threads::yield_now();
                }
            }
        });
        while TAKEN.load(SeqCst) < 80 {
            let found = epoll.wait(2, Wait::INTERRUPTIBLE, |_, data| {
                let taken = usize::from(files[data as usize].lower(Events::IN));
                TAKEN.fetch_add(taken, SeqCst);
                true
            });
            assert!(found.is_ok());
        }
        maker.join();
    });
}

#[test]
fn nested_instances_tell_each_other_and_circles_are_refused() {
    over_seeds(2, 10, || {
        let instances: Vec<Arc<Epoll>> = (0..7).map(|_| Arc::new(Epoll::new().unwrap())).collect();
        let file = File::new();
        assert_eq!(instances[0].add(0, &pollable(&file), level(0)), Ok(()));
        for depth in 1..5 {
            let below = pollable(&instances[depth - 1]);
            assert_eq!(instances[depth].add(0, &below, level(depth as u64)), Ok(()));
        }
        assert_eq!(instances[5].add(0, &pollable(&instances[4]), level(5)), Err(AddError::Loop));
        assert_eq!(instances[0].add(9, &pollable(&instances[4]), level(9)), Err(AddError::Loop));
        assert_eq!(instances[0].add(9, &pollable(&instances[0]), level(9)), Err(AddError::Invalid));
        let top = instances[4].clone();
        let waiting = spawn(move || {
            assert_eq!(top.wait(1, Wait::INTERRUPTIBLE, |_, data| data == 4), Ok(1));
        });
        time::sleep(1_000_000);
        file.raise(Events::IN);
        waiting.join();
        assert!(file.lower(Events::IN));
        assert!(ready(&instances[4]).is_empty());
    });
}

#[test]
fn an_instance_that_is_dropped_leaves_its_files_unwatched() {
    over_seeds(1, 5, || {
        let file = File::new();
        let epoll = Epoll::new().unwrap();
        assert_eq!(epoll.add(0, &pollable(&file), level(0)), Ok(()));
        file.raise(Events::IN);
        assert!(file.source.is_watched());
        drop(epoll);
        assert!(!file.source.is_watched());
        assert_eq!(Arc::strong_count(&file), 1);
    });
}

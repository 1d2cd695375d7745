//! Threads: sixteen of them with locks, condition variables, channels, barriers, thread-locals, parking and panics.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{channel, sync_channel};
use std::sync::{Barrier, Condvar, Mutex, Once, RwLock};
use std::thread;
use std::time::Duration;

const THREADS: usize = 16;
const ROUNDS: usize = 500;

thread_local! { static OWN: Cell<usize> = const { Cell::new(0) }; }

fn main() {
    locks();
    turns();
    channels();
    barriers();
    parking();
    beginnings_and_ends();
}

fn locks() {
    let (count, table, atomic) = (Mutex::new(0), RwLock::new(vec![0; THREADS]), AtomicU64::new(0));
    thread::scope(|scope| {
        for number in 0..THREADS {
            let (count, table, atomic) = (&count, &table, &atomic);
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    *count.lock().unwrap() += 1;
                    atomic.fetch_add(round as u64, Ordering::Relaxed);
                    if round % 8 == 0 {
                        table.write().unwrap()[number] += 1;
                    } else {
                        assert!(table.read().unwrap()[number] <= round);
                    }
                }
            });
        }
    });
    println!("locked: {}, added: {}", count.into_inner().unwrap(), atomic.into_inner());
    println!("table: {:?}", table.into_inner().unwrap());
}

/// Every thread waits for its turn, so each round passes the lock through all of them in order.
fn turns() {
    let (state, changed) = (Mutex::new(Vec::new()), Condvar::new());
    thread::scope(|scope| {
        for number in 0..THREADS {
            let (state, changed) = (&state, &changed);
            scope.spawn(move || {
                for _ in 0..20 {
                    let mine = |order: &mut Vec<usize>| order.len() % THREADS != number;
                    let mut order = changed.wait_while(state.lock().unwrap(), mine).unwrap();
                    order.push(number);
                    changed.notify_all();
                }
            });
        }
    });
    let order = state.into_inner().unwrap();
    println!(
        "turns: {}, in order: {}",
        order.len(),
        order.iter().enumerate().all(|(at, n)| at % THREADS == *n)
    );
    let (_lock, timed_out) = changed
        .wait_timeout(Mutex::new(()).lock().unwrap(), Duration::from_millis(20))
        .map(|(_, t)| ((), t))
        .unwrap();
    println!("nobody notifies: {}", timed_out.timed_out());
}

fn channels() {
    let (sender, receiver) = channel();
    for number in 0..THREADS {
        let sender = sender.clone();
        thread::spawn(move || (0..ROUNDS).try_for_each(|round| sender.send((number, round))));
    }
    drop(sender);
    let mut next = [0; THREADS];
    let mut in_order = true;
    for (number, round) in receiver {
        in_order &= next[number] == round;
        next[number] += 1;
    }
    println!("each sender's in order: {in_order}, received: {}", next.iter().sum::<usize>());
    // A ring of threads that hand one number round, without a buffer between them.
    let (first, mut last) = sync_channel::<usize>(0);
    for _ in 0..THREADS {
        let (sender, receiver) = sync_channel(0);
        let before = std::mem::replace(&mut last, receiver);
        thread::spawn(move || before.iter().try_for_each(|value| sender.send(value + 1)));
    }
    let sum: usize = (0..50).map(|value| first.send(value).map_or(0, |()| last.recv().unwrap_or(0))).sum();
    println!("through the ring: {sum}");
}

fn barriers() {
    let (barrier, leaders, once, calls) =
        (Barrier::new(THREADS), AtomicUsize::new(0), Once::new(), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for _ in 0..20 {
                    if barrier.wait().is_leader() {
                        leaders.fetch_add(1, Ordering::Relaxed);
                    }
                    once.call_once(|| {
                        calls.fetch_add(1, Ordering::Relaxed);
                    });
                }
            });
        }
    });
    println!("leaders: {}, once: {}", leaders.into_inner(), calls.into_inner());
}

fn parking() {
    let passes = AtomicUsize::new(0);
    thread::scope(|scope| {
        let parked = scope.spawn(|| {
            while passes.load(Ordering::Acquire) < 200 {
                thread::park();
            }
            "woken"
        });
        for _ in 0..200 {
            passes.fetch_add(1, Ordering::Release);
            parked.thread().unpark();
            thread::yield_now();
        }
        println!("parked: {:?}", parked.join().ok());
    });
}

fn beginnings_and_ends() {
    let mut sum = 0;
    for number in 0..200 {
        let thread = thread::Builder::new().name(format!("worker {number}")).stack_size(64 << 10);
        let own = thread.spawn(move || {
            OWN.set(OWN.get() + number);
            OWN.get()
        });
        sum += own.map_or(0, |own| own.join().unwrap_or(0));
    }
    println!("thread-locals: {sum}, here: {}", OWN.get());
    std::panic::set_hook(Box::new(|_| ()));
    let panicked = thread::spawn(|| std::panic::panic_any(7_u8)).join();
    println!("panicked with {:?}", panicked.err().and_then(|value| value.downcast::<u8>().ok()));
    let comm = thread::Builder::new()
        .name("a name that is too long".into())
        .spawn(|| std::fs::read_to_string("/proc/thread-self/comm").unwrap_or_default());
    println!("name: {:?}", comm.map(|thread| thread.join().unwrap_or_default()).unwrap_or_default());
    // A thread that waits for ever does not keep the process from ending.
    thread::spawn(thread::park);
}

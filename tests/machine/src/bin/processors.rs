//! Several processors: a shared address space, wake-ups of idle ones, clocks, and locks under contention.

#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use machine::address::UserAddress;
use machine::frame::{self, Frame, Owner};
use machine::paging::{Gather, Protection, Space};
use machine::sync::{Irq, Once, Rank, RcuCell, SpinLock, rcu_poll, rcu_read};
use machine::task::Task;
use machine::{clock, cpu, user};
use machine_tests::{Thread, expect, first_thread, switch_to};

#[cfg(target_os = "none")]
machine::entry!(main);

fn main() {
    cpu::release_others(other_main);
    machine_tests::run(&[
        ("all_listed_processors_run", all_run),
        ("an_idle_processor_is_woken_a_thousand_times", wakes),
        ("locks_count_right_under_contention", contention),
        ("time_never_goes_back_between_processors", time),
        ("an_unmapped_page_is_gone_on_every_processor", shoot_down),
        ("a_space_is_evicted_from_idle_processors", eviction),
        ("replaced_values_are_freed_after_their_readers", rcu),
        ("frames_and_objects_move_between_processors", memory),
    ]);
}

type Job = fn(usize);

/// What all processors do, numbered; each counts itself done.
static JOB: SpinLock<Option<Job>, Irq> = SpinLock::new(Rank::Table, None);
static ROUND: AtomicUsize = AtomicUsize::new(0);
static DONE: AtomicUsize = AtomicUsize::new(0);

fn other_main() -> ! {
    machine::task::adopt(Thread::new);
    let me = cpu::current();
    let mut seen = 0;
    loop {
        while ROUND.load(Ordering::Acquire) == seen {
            cpu::idle();
            cpu::take_reschedule_request();
        }
        seen = ROUND.load(Ordering::Acquire);
        let job = *JOB.lock();
        if let Some(job) = job {
            job(me);
        }
        DONE.fetch_add(1, Ordering::AcqRel);
    }
}

/// Runs `job` on every processor at once and waits for all.
fn everywhere(job: Job) {
    *JOB.lock() = Some(job);
    DONE.store(0, Ordering::Release);
    ROUND.fetch_add(1, Ordering::AcqRel);
    (1..cpu::count()).for_each(cpu::send_reschedule);
    job(0);
    while DONE.load(Ordering::Acquire) < cpu::count() - 1 {
        cpu::spin_wait();
    }
}

static SEEN: AtomicU64 = AtomicU64::new(0);

fn all_run() -> Result<(), String> {
    let _ = first_thread();
    SEEN.store(0, Ordering::Relaxed);
    everywhere(|me| {
        SEEN.fetch_or(1 << me, Ordering::AcqRel);
    });
    expect("processors", SEEN.load(Ordering::Acquire), (1 << cpu::count()) - 1)?;
    let missing = machine::boot::processors().map_or(usize::MAX, |processors| processors.missing.len());
    expect("missing processors", missing, 0)?;
    let has_acpi =
        !machine::boot::info().command_line.split_ascii_whitespace().any(|word| word == "acpi=off");
    let source = machine::boot::processors().map_or("none", |processors| processors.source);
    expect("where they are listed", source, if has_acpi { "ACPI" } else { "MP table" })
}

fn wakes() -> Result<(), String> {
    SEEN.store(0, Ordering::Relaxed);
    for _ in 0..1000 {
        everywhere(|_| {
            SEEN.fetch_add(1, Ordering::AcqRel);
        });
    }
    expect("jobs done", SEEN.load(Ordering::Acquire), 1000 * cpu::count() as u64)
}

static COUNTER: SpinLock<u64> = SpinLock::new(Rank::Table, 0);
static IRQ_COUNTER: SpinLock<u64, Irq> = SpinLock::new(Rank::Table, 0);

fn contention() -> Result<(), String> {
    everywhere(|_| {
        for _ in 0..5000 {
            *COUNTER.lock() += 1;
            *IRQ_COUNTER.lock() += 1;
        }
    });
    expect("counted", *COUNTER.lock(), 5000 * cpu::count() as u64)?;
    expect("counted with interrupts off", *IRQ_COUNTER.lock(), 5000 * cpu::count() as u64)
}

static LATEST: SpinLock<(u64, u64)> = SpinLock::new(Rank::Table, (0, 0));

fn time() -> Result<(), String> {
    everywhere(|_| {
        for _ in 0..5000 {
            let mut latest = LATEST.lock();
            let now = clock::now_ns();
            if now < latest.0 {
                latest.1 += 1;
            }
            latest.0 = now;
        }
    });
    expect("steps back", LATEST.lock().1, 0)
}

/// What `in_space` threads do, and where.
static SPACE_JOB: SpinLock<Option<Job>> = SpinLock::new(Rank::Table, None);
static IDLE_THREADS: SpinLock<alloc::vec::Vec<Option<Arc<Thread>>>> =
    SpinLock::new(Rank::Table, alloc::vec::Vec::new());
static SPACE: SpinLock<Option<Arc<Space>>> = SpinLock::new(Rank::Table, None);

/// Runs `job` on every processor on a thread in [`SPACE`].
fn everywhere_in_space(job: Job) {
    *SPACE_JOB.lock() = Some(job);
    IDLE_THREADS.lock().resize_with(cpu::count(), || None);
    everywhere(|me| {
        IDLE_THREADS.lock()[me] = Some(machine::task::current::<Thread>().to_arc());
        let space = SPACE.lock().clone();
        if let Ok(task) = Task::new(space_main, space) {
            switch_to(Thread::new(task));
        }
    });
}

fn space_main() {
    let me = cpu::current();
    let job = *SPACE_JOB.lock();
    if let Some(job) = job {
        job(me);
    }
    let back = IDLE_THREADS.lock()[me].take();
    if let Some(back) = back {
        switch_to(back);
    }
}

const PAGE: UserAddress = UserAddress(0x40_0000);
static FLAG: AtomicUsize = AtomicUsize::new(0);
static BAD: AtomicUsize = AtomicUsize::new(0);

fn shoot_down() -> Result<(), String> {
    for _ in 0..30 {
        let space = Space::new().map_err(|error| format!("{error}"))?;
        let frame = Frame::new(Owner::User).map_err(|error| format!("{error}"))?;
        let mut cursor = space.cursor(PAGE).map_err(|error| format!("{error}"))?;
        cursor.map(PAGE, frame, Protection::READ | Protection::WRITE).map_err(|_| String::from("mapped"))?;
        drop(cursor);
        *SPACE.lock() = Some(space);
        FLAG.store(0, Ordering::Release);
        BAD.store(0, Ordering::Release);
        everywhere_in_space(|me| {
            let mut byte = [0];
            // Everybody has the translation cached.
            if user::read(PAGE, &mut byte).is_err() {
                BAD.fetch_add(1, Ordering::AcqRel);
            }
            FLAG.fetch_add(1, Ordering::AcqRel);
            if me == 0 {
                while FLAG.load(Ordering::Acquire) != cpu::count() {
                    cpu::spin_wait();
                }
                let space = SPACE.lock().clone();
                if let Some(space) = space {
                    let mut gather = Gather::new(&space);
                    let unmapped = space.find(PAGE).and_then(|mut cursor| cursor.unmap(PAGE, &mut gather));
                    if unmapped.is_none() {
                        BAD.fetch_add(1, Ordering::AcqRel);
                    }
                    drop(gather);
                }
                FLAG.store(1000, Ordering::Release);
            } else {
                while FLAG.load(Ordering::Acquire) != 1000 {
                    cpu::spin_wait();
                }
            }
            if user::read(PAGE, &mut byte).is_ok() {
                BAD.fetch_add(1, Ordering::AcqRel);
            }
        });
        expect("stale translations", BAD.load(Ordering::Acquire), 0)?;
        SPACE.lock().take();
    }
    Ok(())
}

fn eviction() -> Result<(), String> {
    let space = Space::new().map_err(|error| format!("{error}"))?;
    *SPACE.lock() = Some(Arc::clone(&space));
    everywhere_in_space(|_| {});
    SPACE.lock().take();
    expect("references while loaded", Arc::strong_count(&space) > 1, true)?;
    space.evict();
    expect("references afterwards", Arc::strong_count(&space), 1)
}

static CELL: Once<RcuCell<u64>> = Once::new();
static DROPPED: AtomicBool = AtomicBool::new(false);

fn rcu() -> Result<(), String> {
    let _ = CELL.set(RcuCell::new(Arc::new(0)));
    everywhere(|me| {
        let Some(cell) = CELL.get() else { return };
        for round in 0..2000 {
            if me == 0 {
                cell.replace(Arc::new(round));
                rcu_poll();
            } else {
                let guard = rcu_read();
                if *cell.read(&guard) > 2000 {
                    BAD.fetch_add(1, Ordering::AcqRel);
                }
            }
        }
    });
    struct Tell;
    impl Drop for Tell {
        fn drop(&mut self) {
            DROPPED.store(true, Ordering::Release);
        }
    }
    let tell = Tell;
    machine::sync::rcu_defer(move || drop(tell));
    while rcu_poll() || !DROPPED.load(Ordering::Acquire) {
        // This processor's own quiet moment: a switch away and back.
        *SPACE.lock() = None;
        everywhere_in_space(|_| {});
    }
    expect("values seen after they were freed", BAD.load(Ordering::Acquire), 0)
}

static EXCHANGE: SpinLock<alloc::vec::Vec<(Frame, Box<[u8; 100]>)>> =
    SpinLock::new(Rank::Table, alloc::vec::Vec::new());

fn memory() -> Result<(), String> {
    machine::heap::trim();
    let before = frame::count(Owner::Free);
    everywhere(|me| {
        for round in 0..500 {
            if let Ok(frame) = Frame::new(Owner::User) {
                let mut exchange = EXCHANGE.lock();
                exchange.push((frame, Box::new([me as u8; 100])));
                if round % 2 == 1 {
                    let len = exchange.len();
                    let gone = (exchange.swap_remove(len / 2), exchange.pop());
                    drop(exchange);
                    drop(gone);
                }
            }
        }
    });
    *EXCHANGE.lock() = alloc::vec::Vec::new();
    machine::heap::trim();
    expect("free afterwards", frame::count(Owner::Free), before)
}

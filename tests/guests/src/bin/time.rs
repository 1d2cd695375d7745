//! Time: clocks that never go back, sleeps that are not short, timers as descriptors and as signals' cause.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, read};
use rustix::thread::clock_nanosleep_relative;
use rustix::time::{
    ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, clock_getres, clock_gettime,
    timerfd_create, timerfd_gettime, timerfd_settime,
};
use std::io;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const MILLISECOND: i64 = 1_000_000;

fn main() -> io::Result<()> {
    clocks();
    sleeps();
    timers()?;
    periods()
}

fn nanoseconds(nanoseconds: i64) -> Timespec {
    Timespec { tv_sec: nanoseconds / 1_000_000_000, tv_nsec: nanoseconds % 1_000_000_000 }
}

fn clocks() {
    let ids = [
        ("realtime", ClockId::Realtime),
        ("monotonic", ClockId::Monotonic),
        ("raw", ClockId::MonotonicRaw),
        ("coarse realtime", ClockId::RealtimeCoarse),
        ("coarse monotonic", ClockId::MonotonicCoarse),
        ("boot", ClockId::Boottime),
        ("process", ClockId::ProcessCPUTime),
        ("thread", ClockId::ThreadCPUTime),
    ];
    for (name, id) in ids {
        let mut before = clock_gettime(id);
        let mut forwards = true;
        for _ in 0..20_000 {
            let now = clock_gettime(id);
            forwards &= now >= before && (0..1_000_000_000).contains(&now.tv_nsec);
            before = now;
        }
        println!(
            "{name}: never back {forwards}, resolution below 20 ms {}",
            clock_getres(id).tv_nsec <= 20 * MILLISECOND
        );
    }
    let year =
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |age| 1970 + age.as_secs() / 31_556_952);
    println!("a year that can be: {}", (2024..2100).contains(&year));
    let start = Instant::now();
    let ordered = thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(move || {
                    let mut before = start;
                    (0..20_000).all(|_| {
                        let now = Instant::now();
                        std::mem::replace(&mut before, now) <= now
                    })
                })
            })
            .collect();
        threads.into_iter().all(|thread| thread.join().unwrap_or(false))
    });
    println!("on every processor: {ordered}");
    let used = clock_gettime(ClockId::ProcessCPUTime);
    thread::sleep(Duration::from_millis(50));
    let asleep = clock_gettime(ClockId::ProcessCPUTime) - used;
    println!("sleeping costs no processor time: {}", asleep < nanoseconds(40 * MILLISECOND));
}

fn sleeps() {
    for duration in [0, 1, 100, 1000, 5000, 20_000, 50_000].map(Duration::from_micros) {
        let start = Instant::now();
        thread::sleep(duration);
        let slept = start.elapsed();
        println!(
            "{duration:?}: not short {}, not lost {}",
            slept >= duration,
            slept < Duration::from_secs(2)
        );
    }
    for wrong in [Timespec { tv_sec: 0, tv_nsec: 1_000_000_000 }, Timespec { tv_sec: -1, tv_nsec: 0 }] {
        println!("{wrong:?}: {:?}", clock_nanosleep_relative(ClockId::Monotonic, &wrong));
    }
    let start = Instant::now();
    println!("poll of nothing: {:?}", poll(&mut [], Some(&nanoseconds(30 * MILLISECOND))));
    println!("not short: {}", start.elapsed() >= Duration::from_millis(30));
    // Sleepers of different lengths: who wakes first is the scheduler's choice, but nobody wakes early and nobody is lost.
    let threads: Vec<_> = [3, 1, 4, 2, 0]
        .map(|number| Duration::from_millis(100 + number * 150))
        .into_iter()
        .map(|duration| {
            thread::spawn(move || {
                let start = Instant::now();
                thread::sleep(duration);
                start.elapsed() >= duration
            })
        })
        .collect();
    let woken: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap_or(false)).collect();
    println!("woken, not early: {woken:?}");
}

fn timers() -> io::Result<()> {
    let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK)?;
    let mut count = [0; 8];
    println!("not set: {:?}", read(&timer, &mut count));
    let once = Itimerspec { it_interval: nanoseconds(0), it_value: nanoseconds(30 * MILLISECOND) };
    let start = Instant::now();
    timerfd_settime(&timer, TimerfdTimerFlags::empty(), &once)?;
    let left = timerfd_gettime(&timer)?;
    println!("left: {}", left.it_value <= once.it_value && left.it_interval == nanoseconds(0));
    println!("too early: {:?}", read(&timer, &mut count));
    let mut descriptors = [PollFd::new(&timer, PollFlags::IN)];
    println!("poll: {:?} {:?}", poll(&mut descriptors, None), descriptors[0].revents());
    println!("not short: {}", start.elapsed() >= Duration::from_millis(30));
    println!("a short buffer: {:?}", read(&timer, &mut count[..4]));
    println!("expired: {:?} {:?}, again {:?}", read(&timer, &mut count), count, read(&timer, &mut [0; 8]));
    println!("nothing left: {}", timerfd_gettime(&timer)?.it_value == nanoseconds(0));
    let past = Itimerspec { it_interval: nanoseconds(0), it_value: nanoseconds(1) };
    timerfd_settime(&timer, TimerfdTimerFlags::ABSTIME, &past)?;
    println!("in the past: {:?} {:?}", poll(&mut descriptors, None), read(&timer, &mut count));
    timerfd_settime(
        &timer,
        TimerfdTimerFlags::empty(),
        &Itimerspec { it_value: nanoseconds(3_600_000_000_000), ..once },
    )?;
    timerfd_settime(&timer, TimerfdTimerFlags::empty(), &Itimerspec { it_value: nanoseconds(0), ..once })?;
    println!("taken back: {}", timerfd_gettime(&timer)?.it_value == nanoseconds(0));
    let wrong = Itimerspec { it_interval: nanoseconds(0), it_value: Timespec { tv_sec: 0, tv_nsec: -1 } };
    println!("wrong: {:?}", timerfd_settime(&timer, TimerfdTimerFlags::empty(), &wrong).err());
    Ok(())
}

fn periods() -> io::Result<()> {
    let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::empty())?;
    let period = nanoseconds(10 * MILLISECOND);
    let start = Instant::now();
    timerfd_settime(
        &timer,
        TimerfdTimerFlags::empty(),
        &Itimerspec { it_interval: period, it_value: period },
    )?;
    let mut total = 0;
    while total < 10 {
        let mut count = [0; 8];
        if read(&timer, &mut count) != Ok::<_, Errno>(8) {
            break;
        }
        total += u64::from_le_bytes(count);
    }
    println!("ten periods: {}", total >= 10 && start.elapsed() >= Duration::from_millis(100));
    Ok(())
}

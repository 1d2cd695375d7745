//! Waiting for several things at once: poll, epoll (level, edge, once), eventfd.

use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::{read, write};
use rustix::pipe::pipe;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::thread;
use std::time::{Duration, Instant};

const NOW: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

fn main() -> io::Result<()> {
    polled()?;
    events()?;
    levels_and_edges()?;
    refused()?;
    nested()?;
    waking()
}

fn polled() -> io::Result<()> {
    let (reader, writer) = pipe()?;
    let file = File::open("/proc/self/exe")?;
    let mut all = [
        PollFd::new(&reader, PollFlags::IN),
        PollFd::new(&writer, PollFlags::OUT | PollFlags::IN),
        PollFd::new(&file, PollFlags::IN | PollFlags::OUT | PollFlags::PRI),
        PollFd::new(&reader, PollFlags::empty()),
    ];
    for step in ["empty", "filled"] {
        println!("{step}: {:?}", poll(&mut all, Some(&NOW)));
        for descriptor in &all {
            println!("  {:?}", descriptor.revents());
        }
        write(&writer, b"x")?;
    }
    Ok(())
}

fn events() -> io::Result<()> {
    let counter = eventfd(2, EventfdFlags::NONBLOCK)?;
    let mut value = [0; 8];
    println!("first: {:?}, then {:?}", read(&counter, &mut value), read(&counter, &mut [0; 8]));
    println!("value: {}", u64::from_ne_bytes(value));
    for add in [3, 4_u64] {
        write(&counter, &add.to_ne_bytes())?;
    }
    println!("short: {:?} {:?}", read(&counter, &mut value[..7]), write(&counter, &[1; 4]));
    println!("sum: {:?} {}", read(&counter, &mut value), u64::from_ne_bytes(value));
    println!("the greatest: {:?}", write(&counter, &u64::MAX.to_ne_bytes()));
    println!("nearly: {:?}", write(&counter, &(u64::MAX - 1).to_ne_bytes()));
    println!("full: {:?}", write(&counter, &1_u64.to_ne_bytes()));
    let mut descriptors = [PollFd::new(&counter, PollFlags::IN | PollFlags::OUT)];
    println!("poll: {:?} {:?}", poll(&mut descriptors, Some(&NOW)), descriptors[0].revents());
    let semaphore = eventfd(2, EventfdFlags::SEMAPHORE | EventfdFlags::NONBLOCK)?;
    for _ in 0..3 {
        let result = read(&semaphore, &mut value);
        println!("semaphore: {result:?} {}", u64::from_ne_bytes(value));
    }
    Ok(())
}

/// What epoll has at once, in order of the data.
fn ready(queue: &OwnedFd) -> io::Result<Vec<(u64, u32)>> {
    let mut events = [Event { flags: EventFlags::empty(), data: EventData::new_u64(0) }; 8];
    let count = epoll::wait(queue, &mut events[..], Some(&NOW))?;
    let mut ready: Vec<_> = events[..count]
        .iter()
        .map(|event| {
            let (data, flags) = (event.data, event.flags);
            (data.u64(), flags.bits())
        })
        .collect();
    ready.sort_unstable();
    Ok(ready)
}

fn levels_and_edges() -> io::Result<()> {
    let queue = epoll::create(CreateFlags::CLOEXEC)?;
    let mut writers = Vec::new();
    let mut readers = Vec::new();
    let kinds = [EventFlags::IN, EventFlags::IN | EventFlags::ET, EventFlags::IN | EventFlags::ONESHOT];
    for (number, flags) in kinds.into_iter().enumerate() {
        let (reader, writer) = pipe()?;
        epoll::add(&queue, &reader, EventData::new_u64(number as u64), flags)?;
        readers.push(reader);
        writers.push(writer);
    }
    println!("empty: {:?}", ready(&queue)?);
    for step in ["written", "written again"] {
        for writer in &writers {
            write(writer, b"ab")?;
        }
        println!("{step}: {:?}", ready(&queue)?);
        println!("a second look: {:?}", ready(&queue)?);
    }
    read(&readers[1], &mut [0; 1])?;
    println!("a read makes no edge: {:?}", ready(&queue)?);
    epoll::modify(&queue, &readers[2], EventData::new_u64(12), EventFlags::IN | EventFlags::ONESHOT)?;
    epoll::modify(&queue, &readers[1], EventData::new_u64(11), EventFlags::IN | EventFlags::ET)?;
    println!("armed again: {:?}", ready(&queue)?);
    epoll::delete(&queue, &readers[0])?;
    println!("taken out: {:?}", ready(&queue)?);
    writers.clear();
    println!("hung up: {:?}", ready(&queue)?);
    readers.clear();
    println!("closed: {:?}", ready(&queue)?);
    Ok(())
}

fn refused() -> io::Result<()> {
    let queue = epoll::create(CreateFlags::empty())?;
    let (reader, writer) = pipe()?;
    let data = EventData::new_u64(0);
    epoll::add(&queue, &reader, data, EventFlags::IN)?;
    println!("twice: {:?}", epoll::add(&queue, &reader, data, EventFlags::IN));
    println!("not there: {:?}", epoll::modify(&queue, &writer, data, EventFlags::IN));
    println!("not there: {:?}", epoll::delete(&queue, &writer));
    println!("itself: {:?}", epoll::add(&queue, &queue, data, EventFlags::IN));
    println!("a file: {:?}", epoll::add(&queue, File::open("/proc/self/exe")?, data, EventFlags::IN));
    for path in [
        "/dev/null",
        "/dev/zero",
        "/dev/urandom",
        "/dev/random",
        "/tmp",
        "/proc/version",
        "/proc/self/status",
    ] {
        println!("{path}: {:?}", epoll::add(&queue, File::open(path)?, data, EventFlags::IN));
    }
    println!("no queue: {:?}", epoll::add(&reader, &writer, data, EventFlags::IN));
    let copy = rustix::io::dup(&reader)?;
    println!("a copy is another: {:?}", epoll::add(&queue, &copy, data, EventFlags::IN));
    let other = epoll::create(CreateFlags::empty())?;
    epoll::add(&queue, &other, data, EventFlags::IN)?;
    println!("in a circle: {:?}", epoll::add(&other, &queue, data, EventFlags::IN));
    Ok(())
}

fn nested() -> io::Result<()> {
    let (inner, outer) = (epoll::create(CreateFlags::empty())?, epoll::create(CreateFlags::empty())?);
    let (reader, writer) = pipe()?;
    epoll::add(&inner, &reader, EventData::new_u64(1), EventFlags::IN)?;
    epoll::add(&outer, &inner, EventData::new_u64(2), EventFlags::IN)?;
    println!("nested, empty: {:?}", ready(&outer)?);
    write(&writer, b"x")?;
    println!("nested, filled: {:?} {:?}", ready(&outer)?, ready(&inner)?);
    let mut descriptors = [PollFd::from_borrowed_fd(outer.as_fd(), PollFlags::IN)];
    println!("polled: {:?} {:?}", poll(&mut descriptors, Some(&NOW)), descriptors[0].revents());
    read(&reader, &mut [0; 1])?;
    println!("nested, read: {:?}", ready(&outer)?);
    Ok(())
}

/// Many rounds of two threads that wait for each other with epoll and poll.
fn waking() -> io::Result<()> {
    let (to, from) = (eventfd(0, EventfdFlags::empty())?, eventfd(0, EventfdFlags::empty())?);
    let queue = epoll::create(CreateFlags::empty())?;
    epoll::add(&queue, &to, EventData::new_u64(0), EventFlags::IN)?;
    let one = 1_u64.to_ne_bytes();
    let (answered, asked) = thread::scope(|scope| {
        let answering = scope.spawn(|| -> rustix::io::Result<u32> {
            let mut events = [Event { flags: EventFlags::empty(), data: EventData::new_u64(0) }; 2];
            for _ in 0..300 {
                epoll::wait(&queue, &mut events[..], None)?;
                read(&to, &mut [0; 8])?;
                write(&from, &one)?;
            }
            Ok(300)
        });
        let asked = (0..300).try_for_each(|_| {
            write(&to, &one)?;
            poll(&mut [PollFd::new(&from, PollFlags::IN)], None)?;
            read(&from, &mut [0; 8]).map(|_| ())
        });
        (answering.join().ok(), asked)
    });
    println!("answered: {answered:?}, asked: {asked:?}");
    let start = Instant::now();
    let limit = Timespec { tv_sec: 0, tv_nsec: 40_000_000 };
    let mut events = [Event { flags: EventFlags::empty(), data: EventData::new_u64(0) }; 2];
    println!("nothing comes: {:?}", epoll::wait(&queue, &mut events[..], Some(&limit)));
    println!("not short: {}", start.elapsed() >= Duration::from_millis(40));
    Ok(())
}

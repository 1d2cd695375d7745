//! Requests of the kernel for memory fail by chance, while several processes do everything at once: fork, run programs, talk, map memory, make
//! and move files. Whatever a process does is done or refused; what it stored and what it named is as the calls said; and afterwards everything
//! is possible again, and the kernel's heap is as full as before. The number of turns that each process has may be given.

#[path = "../failures/arena.rs"]
mod arena;
#[path = "../failures/files.rs"]
mod files;
#[path = "../failures/hook.rs"]
mod hook;
#[path = "../failures/memory.rs"]
mod memory;
#[path = "../failures/names.rs"]
mod names;
#[path = "../failures/processes.rs"]
mod processes;
#[path = "../failures/storm.rs"]
mod storm;
#[path = "../failures/streams.rs"]
mod streams;

use hook::Hook;
use rustix::io::Errno;
use std::io;

#[global_allocator]
static ARENA: arena::Arena = arena::Arena::new();

/// What is done; the path is one that it may use for itself.
type Operation = fn(&str) -> Result<(), Errno>;

/// One request of so many fails: hardly anything is done, most is.
const RATES: [u32; 3] = [15, 80, 500];
const TURNS: u32 = 15;
/// What the kernel may keep of a storm: tables that have grown, caches that hold more.
const KEPT_BYTES: u64 = 32 << 10;
/// Storms after which it has to become no more.
const STORMS: u32 = 4;

fn errno(error: io::Error) -> Errno {
    // The standard library says this where it had itself no memory.
    let number = error.raw_os_error().unwrap_or(Errno::NOMEM.raw_os_error());
    Errno::from_raw_os_error(number)
}

fn main() -> io::Result<()> {
    let turns = std::env::args().nth(1).and_then(|turns| turns.parse().ok()).unwrap_or(TURNS);
    let hook = Hook::open()?;
    processes::prepare()?;
    files::prepare()?;
    let all = [
        processes::OPERATIONS,
        memory::OPERATIONS,
        files::OPERATIONS,
        streams::OPERATIONS,
        storm::OPERATIONS,
    ]
    .concat();
    // The first fills what is filled once for all.
    let mut before = 0;
    let mut kept = u64::MAX;
    for number in 0..STORMS {
        for (rate, seed) in RATES.into_iter().zip(1..) {
            let seed = number * 10 + seed;
            hook.order(&format!("one in {rate} from {seed}"));
            storm::blow(&hook, &all, turns, seed)?;
            if !hook.stop() {
                println!("one in {rate}: none has failed");
            }
        }
        let after = hook.settled(before + KEPT_BYTES);
        kept = after.saturating_sub(before);
        before = after;
        if number > 0 && kept <= KEPT_BYTES {
            break;
        }
    }
    if kept <= KEPT_BYTES {
        println!("kept by the kernel's heap: no more");
    } else {
        println!("kept by the kernel's heap: {kept} bytes each time");
    }
    for (name, operation) in all {
        if let Err(error) = operation("/tmp/after") {
            println!("{name} afterwards: {error}");
        }
    }
    println!("afterwards everything is possible");
    Ok(())
}

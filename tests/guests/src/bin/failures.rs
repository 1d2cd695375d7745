//! Every request of the kernel for memory, for a frame or of its heap, fails once, in turn, in the middle of what programs do: the call says ENOMEM
//! or succeeds all the same, the next one without a failure succeeds, and the kernel's heap is afterwards as full as before.

#[path = "../failures/arena.rs"]
mod arena;
#[path = "../failures/files.rs"]
mod files;
#[path = "../failures/hook.rs"]
mod hook;
#[path = "../failures/memory.rs"]
mod memory;
#[path = "../failures/processes.rs"]
mod processes;
#[path = "../failures/streams.rs"]
mod streams;

use hook::Hook;
use rustix::io::Errno;
use std::io;

#[global_allocator]
static ARENA: arena::Arena = arena::Arena::new();

/// More requests than any of the operations makes.
const MOST: u32 = 3000;
/// What the kernel may keep of an operation, done often: a table that has grown, a cache that holds one thing more.
const KEPT_BYTES: u64 = 4096;
/// Rounds of failures in which it has to become no more.
const ROUNDS: usize = 3;

/// What is done; the path is one that it may use for itself.
type Operation = fn(&str) -> Result<(), Errno>;

fn errno(error: io::Error) -> Errno {
    // The standard library says this where it had itself no memory.
    let number = error.raw_os_error().unwrap_or(Errno::NOMEM.raw_os_error());
    Errno::from_raw_os_error(number)
}

fn main() -> io::Result<()> {
    let hook = Hook::open()?;
    processes::prepare()?;
    files::prepare()?;
    hook.order("mine");
    let only = std::env::args().nth(1);
    for (name, operation) in
        [processes::OPERATIONS, memory::OPERATIONS, files::OPERATIONS, streams::OPERATIONS].concat()
    {
        if only.as_ref().is_none_or(|only| only == name) {
            println!("{name}: {}", sweep(&hook, operation)?);
        }
    }
    Ok(())
}

/// Whether an error may be what comes of a request that failed.
fn is_for_want_of_memory(error: Errno) -> bool {
    // Locks, messages and threads have errors of their own for it, as in Linux.
    matches!(error, Errno::NOMEM | Errno::NOLCK | Errno::NOBUFS | Errno::AGAIN)
}

/// Has the requests of an operation fail; says how that went.
fn sweep(hook: &Hook, operation: Operation) -> io::Result<String> {
    // What is made once for all is made now.
    for path in ["/tmp/again", "/tmp/after"] {
        if let Err(error) = operation(path) {
            return Ok(format!("fails without a failure: {error}"));
        }
    }
    // What failures alone bring into the caches is there after the first round.
    let mut leaked = 0;
    for _ in 0..ROUNDS {
        let before = hook.settled(0);
        if let Err(why) = round(hook, operation) {
            return Ok(why);
        }
        leaked = hook.settled(before + KEPT_BYTES).saturating_sub(before);
        if leaked <= KEPT_BYTES {
            return Ok("refused or done, and possible again".into());
        }
    }
    Ok(format!("leaks {leaked} bytes"))
}

/// Has the first, second ... request of an operation fail until none is left that could.
fn round(hook: &Hook, operation: Operation) -> Result<(), String> {
    for failing in 0..MOST {
        hook.order(&format!("after {failing}"));
        let result = operation("/tmp/again");
        let has_failed = hook.stop();
        match result {
            Ok(()) => {}
            Err(error) if has_failed && is_for_want_of_memory(error) => {}
            Err(error) => return Err(format!("request {failing}: {error}")),
        }
        if let Err(error) = operation("/tmp/after") {
            return Err(format!("after the failure of request {failing}: {error}"));
        }
        if !has_failed {
            return Ok(());
        }
    }
    Err("too many requests".into())
}

//! Processes that do everything at once, each in an order of its own, and look after what they have done.
#![expect(unsafe_code, reason = "processes are forked, and share and store to memory")]

use crate::hook::Hook;
use crate::processes::fork_off;
use crate::{Operation, errno, names};
use nix::sys::signal::{Signal, kill};
use rustix::io::{Errno, read, write};
use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};
use rustix::mount::{UnmountFlags, unmount};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{WaitOptions, wait, waitpid};
use std::fs;
use std::io;
use std::process::{Command, Stdio};
use std::ptr::null_mut;

const WORKERS: u32 = 4;

/// What several processes do together.
pub const OPERATIONS: &[(&str, Operation)] = &[
    ("a shell with pipes", |path| {
        let script = format!(
            "mkdir {path} && cd {path} && for i in 1 2 3; do echo $i; done | cat | (cat > file; cat file) | wc -l; cd /; rm -r {path}"
        );
        shell(&script)
    }),
    ("a shell with jobs", |_| shell("for i in 1 2 3; do (exit $i) & done; x=$(echo 1; echo 2); wait")),
    ("a shell that kills", |_| shell("cat /dev/zero > /dev/null & kill $!; wait $!; test $? = 143")),
    ("a child that writes into a pipe", |_| written()),
    ("a child that stores to its copy", |_| copied()),
    ("a child that is killed", |_| killed()),
];

/// Numbers by chance: SplitMix64.
pub struct Chance(pub u64);

impl Chance {
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (bits ^ bits >> 31) as usize % limit
    }
}

/// Has the processes take their turns, and waits for all that they leave behind.
pub fn blow(hook: &Hook, all: &[(&str, Operation)], turns: u32, seed: u32) -> io::Result<()> {
    for number in 0..WORKERS {
        // SAFETY: there is one thread.
        if let nix::unistd::ForkResult::Child = unsafe { nix::unistd::fork() }? {
            let result = work(hook, all, turns, number, seed);
            if let Err(error) = &result {
                println!("process {number} of storm {seed}: {error}");
            }
            std::process::exit(0);
        }
    }
    // Those whose parents have ended are process 1's, which this is.
    while !matches!(wait(WaitOptions::empty()), Err(Errno::CHILD)) {}
    Ok(())
}

/// One process's turns.
fn work(hook: &Hook, all: &[(&str, Operation)], turns: u32, number: u32, seed: u32) -> io::Result<()> {
    let mut chance = Chance(u64::from(seed) << 32 | u64::from(number));
    let folder = format!("/tmp/{number}");
    fs::create_dir(&folder)?;
    let path = format!("{folder}/own");
    let mut names = names::Names::new(&format!("{folder}/names"))?;
    for _ in 0..turns {
        let (name, operation) = all[chance.below(all.len())];
        hook.order("mine");
        let result = operation(&path);
        hook.order("not mine");
        if let Err(error) = result.or_else(allowed) {
            println!("{name}: {error}");
        }
        clean(&path)?;
        for _ in 0..10 {
            hook.order("mine");
            let step = names.step(&mut chance);
            hook.order("not mine");
            names.check(&step)?;
        }
    }
    fs::remove_dir_all(folder)
}

/// An error that may be what comes of a request that failed.
fn allowed(error: Errno) -> Result<(), Errno> {
    // Locks, messages and threads have errors of their own for it, as in Linux.
    match error {
        Errno::NOMEM | Errno::NOLCK | Errno::NOBUFS | Errno::AGAIN => Ok(()),
        // What tidies up has had requests fail as well.
        Errno::EXIST | Errno::NOTEMPTY | Errno::BUSY => Ok(()),
        other => Err(other),
    }
}

/// Takes away what is left of an operation that could not tidy up.
fn clean(path: &str) -> io::Result<()> {
    while unmount(path, UnmountFlags::empty()).is_ok() {}
    match fs::symlink_metadata(path) {
        Err(_) => Ok(()),
        Ok(about) if about.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
    }
}

/// Runs a script. Whatever comes of it may come of a failure: what counts is that it ends.
fn shell(script: &str) -> Result<(), Errno> {
    let mut command = Command::new("/bin/busybox");
    command.args(["sh", "-c", script]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let status = command.status().map_err(errno)?;
    if status.success() { Ok(()) } else { Err(Errno::NOMEM) }
}

/// A child writes more than there is room for; what arrives is what it sent.
fn written() -> Result<(), Errno> {
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC)?;
    let child = fork_off(|| {
        for number in 0..20 {
            let mut rest: &[u8] = &[number; 8192];
            while !rest.is_empty() {
                match write(&writer, rest) {
                    Ok(len) => rest = &rest[len..],
                    Err(error) => return error.raw_os_error(),
                }
            }
        }
        0
    })?;
    drop(writer);
    let mut bytes = [0; 5000];
    let mut count = 0;
    let result = loop {
        match read(&reader, &mut bytes) {
            Ok(0) => break Ok(()),
            Ok(len) => {
                if bytes[..len].iter().zip(count..).any(|(&byte, at)| usize::from(byte) != at / 8192) {
                    break Err(Errno::IO);
                }
                count += len;
            }
            Err(error) => break Err(error),
        }
    };
    drop(reader);
    let end = waitpid(Some(child), WaitOptions::empty())?.ok_or(Errno::CHILD)?.1;
    match (result, end.exit_status()) {
        (Ok(()), Some(0)) if count != 20 * 8192 => Err(Errno::IO),
        (Ok(()), Some(0)) => Ok(()),
        (Ok(()), _) => Err(Errno::NOMEM),
        (error, _) => error,
    }
}

/// Parent and child each store to what was one memory, and see their own alone.
fn copied() -> Result<(), Errno> {
    const PAGES: usize = 40;
    // SAFETY: the memory is this function's own, and used within its length.
    let at = unsafe {
        mmap_anonymous(null_mut(), PAGES << 12, ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE)
    }?;
    let pages = at.cast::<u8>();
    let store = |value: u8| {
        for page in 0..PAGES {
            // SAFETY: as above.
            unsafe { pages.add(page << 12).write_volatile(value) };
        }
    };
    // SAFETY: as above.
    let all_are =
        |value: u8| (0..PAGES).all(|page| unsafe { pages.add(page << 12).read_volatile() } == value);
    store(1);
    let result = fork_off(|| {
        let is_copy = all_are(1);
        store(2);
        if is_copy && all_are(2) { 0 } else { Errno::IO.raw_os_error() }
    })
    .and_then(|child| {
        let is_own = all_are(1);
        store(3);
        let end = waitpid(Some(child), WaitOptions::empty())?.ok_or(Errno::CHILD)?.1;
        match (end.exit_status(), end.terminating_signal()) {
            (Some(0), _) if is_own && all_are(3) => Ok(()),
            (_, Some(9)) => Err(Errno::NOMEM),
            _ => Err(Errno::IO),
        }
    });
    // SAFETY: as above. What fails is a request, not the place: it comes to an end.
    while unsafe { munmap(at, PAGES << 12) } == Err(Errno::NOMEM) {}
    result
}

/// A child waits for good, and is killed.
fn killed() -> Result<(), Errno> {
    let child = fork_off(|| {
        loop {
            nix::unistd::pause();
        }
    })?;
    kill(nix::unistd::Pid::from_raw(child.as_raw_nonzero().get()), Signal::SIGKILL)
        .map_err(|error| Errno::from_raw_os_error(error as i32))?;
    let end = waitpid(Some(child), WaitOptions::empty())?.ok_or(Errno::CHILD)?.1;
    if end.terminating_signal() == Some(9) { Ok(()) } else { Err(Errno::IO) }
}

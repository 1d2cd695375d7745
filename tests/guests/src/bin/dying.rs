//! The end of a process when every request of the kernel for memory fails: whatever it holds, it ends as it was told, gives all back, and whoever
//! waits for it is told.
#![expect(unsafe_code, reason = "processes are forked, and run nothing but system calls")]

#[path = "../failures/hook.rs"]
mod hook;

use guests::call;
use hook::Hook;
use nix::libc;
use nix::sys::signal::{Signal, kill};
use rustix::event::{EventfdFlags, epoll, eventfd};
use rustix::fd::{AsFd, AsRawFd, OwnedFd};
use rustix::fs::{CWD, FlockOperation, Mode, OFlags, fcntl_lock, open};
use rustix::io::{Errno, read, write};
use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType, sendmsg,
    socketpair,
};
use rustix::pipe::pipe;
use rustix::process::{Pid, WaitOptions, wait, waitpid};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use std::fs;
use std::io;
use std::mem::MaybeUninit;
use std::ptr::null_mut;
use std::thread;

/// Brings a process, the leader of a session, to what it has when its end comes.
type State = fn() -> io::Result<()>;

const STATES: &[(&str, State)] = &[
    ("nothing", || kept(())),
    ("threads", || {
        let threads = (0..6).map(|_| {
            thread::Builder::new().spawn(|| {
                loop {
                    thread::park()
                }
            })
        });
        kept(threads.collect::<io::Result<Vec<_>>>()?)
    }),
    ("children", || {
        for _ in 0..20 {
            fork(|| pause())?;
        }
        // And some that have ended, for which nobody has waited.
        for _ in 0..3 {
            fork(|| end(0))?;
        }
        kept(())
    }),
    ("a terminal", || {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
        grantpt(&master)?;
        unlockpt(&master)?;
        let slave = open(ptsname(&master, Vec::new())?, OFlags::RDWR, Mode::empty())?;
        for _ in 0..20 {
            fork(|| pause())?;
        }
        write(&slave, b"not read by anybody\n")?;
        kept((master, slave))
    }),
    ("memory", || {
        const LEN: usize = 8 << 20;
        for flags in [MapFlags::PRIVATE, MapFlags::SHARED] {
            // SAFETY: nobody else uses the memory.
            let at = unsafe { mmap_anonymous(null_mut(), LEN, ProtFlags::READ | ProtFlags::WRITE, flags) }?;
            for offset in (0..LEN).step_by(4096) {
                // SAFETY: within the mapping.
                unsafe { at.cast::<u8>().add(offset).write_volatile(1) };
            }
        }
        kept(())
    }),
    ("descriptors in messages", || {
        let mut last = pipe()?.0;
        // Each is in the inbox of the next, which is closed with it.
        for _ in 0..100 {
            last = passed(&last)?;
        }
        let many = (0..50).map(|_| passed(&last)).collect::<Result<Vec<_>, _>>()?;
        kept((last, many))
    }),
    ("what waits for what", || {
        let (reader, writer) = pipe()?;
        write(&writer, &[1; 30_000])?;
        let inner = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let outer = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let event = eventfd(1, EventfdFlags::empty())?;
        for file in [reader.as_fd(), writer.as_fd(), event.as_fd()] {
            epoll::add(&inner, file, epoll::EventData::new_u64(0), epoll::EventFlags::IN)?;
        }
        epoll::add(&outer, &inner, epoll::EventData::new_u64(0), epoll::EventFlags::IN)?;
        kept((reader, writer, inner, outer, event))
    }),
    ("locks", || {
        let file = open("/tmp/locked", OFlags::CREATE | OFlags::RDWR, Mode::from_raw_mode(0o600))?;
        fcntl_lock(&file, FlockOperation::LockExclusive)?;
        kept(file)
    }),
    ("the last reference to a file system", || {
        fs::create_dir_all("/tmp/mounted")?;
        mount("none", "/tmp/mounted", "tmpfs", MountFlags::empty(), None)?;
        for folder in 0..30 {
            let folder = format!("/tmp/mounted/{folder}/{}", "deep/".repeat(20));
            fs::create_dir_all(&folder)?;
            fs::write(format!("{folder}/file"), [7; 10_000])?;
        }
        let inside = rustix::fs::openat(CWD, "/tmp/mounted", OFlags::PATH, Mode::empty())?;
        unmount("/tmp/mounted", UnmountFlags::DETACH)?;
        kept(inside)
    }),
    ("a file without a name", || {
        let file = open("/tmp", OFlags::TMPFILE | OFlags::RDWR, Mode::from_raw_mode(0o600))?;
        write(&file, &[1; 1 << 20])?;
        kept(file)
    }),
];

/// What the kernel may keep: tables that have grown, caches that hold more.
const KEPT_BYTES: u64 = 16 << 10;

fn main() -> io::Result<()> {
    let hook = Hook::open()?;
    let round = || -> io::Result<Vec<String>> {
        STATES
            .iter()
            .map(|(name, state)| {
                let exits = ending(&hook, *state, false)?;
                let killed = ending(&hook, *state, true)?;
                Ok(format!("{name}: exits, {exits}; killed, {killed}"))
            })
            .collect()
    };
    // What is made once for all is made in the first round.
    round()?;
    let before = hook.settled(0);
    for line in round()? {
        println!("{line}");
    }
    let kept = hook.settled(before + KEPT_BYTES).saturating_sub(before);
    println!("kept by the kernel's heap: {}", if kept <= KEPT_BYTES { "no more" } else { "more" });
    Ok(())
}

/// Keeps something until the process ends.
fn kept<T>(value: T) -> io::Result<()> {
    std::mem::forget(value);
    Ok(())
}

fn end(status: i32) -> ! {
    // SAFETY: nothing of this program is to run any more.
    unsafe { libc::_exit(status) }
}

fn pause() -> ! {
    loop {
        nix::unistd::pause();
    }
}

fn fork(body: impl FnOnce()) -> io::Result<Pid> {
    // SAFETY: there is one thread, or the child makes system calls alone.
    match unsafe { nix::unistd::fork() }? {
        nix::unistd::ForkResult::Child => {
            body();
            end(1)
        }
        nix::unistd::ForkResult::Parent { child } => {
            Pid::from_raw(child.as_raw()).ok_or_else(|| io::Error::other("a child without a number"))
        }
    }
}

/// A socket in whose inbox `file` is; nothing else holds what sent it.
fn passed(file: &OwnedFd) -> Result<OwnedFd, Errno> {
    let (one, two) = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::empty(), None)?;
    let files = [file.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmRights(&files));
    sendmsg(&one, &[io::IoSlice::new(b"file")], &mut control, SendFlags::empty())?;
    Ok(two)
}

/// Says `word`, waits to be told, and ends. All that it takes is done before in the same few instructions, so that no page of this program is met
/// for the first time when there is no memory.
fn wait_and_end(word: &[u8; 1], ready: &OwnedFd, signal: &OwnedFd, rehearsal: &OwnedFd) -> ! {
    const READ: usize = 0;
    const WRITE: usize = 1;
    const EXIT_GROUP: usize = 231;
    let mut told = [0_u8];
    loop {
        for (from, to) in [(rehearsal, None), (signal, Some(ready))] {
            let (bytes, place) = (word.as_ptr() as usize, told.as_mut_ptr() as usize);
            // SAFETY: a byte is written, and one is read to where there is room for it.
            unsafe {
                if let Some(to) = to {
                    call(WRITE, [to.as_raw_fd() as usize, bytes, 1, 0, 0, 0]);
                }
                call(READ, [from.as_raw_fd() as usize, place, 1, 0, 0, 0]);
            }
        }
        // SAFETY: the process ends.
        unsafe { call(EXIT_GROUP, [7, 0, 0, 0, 0, 0]) };
    }
}

/// Has a process come to its end in a state while every request fails; says what its parent was told.
fn ending(hook: &Hook, state: State, is_killed: bool) -> io::Result<String> {
    let (is_ready, ready) = pipe()?;
    let (signal, told) = pipe()?;
    let (rehearsal, rehearsed) = pipe()?;
    write(&rehearsed, b"x")?;
    let child = fork(|| {
        let is_in_it = rustix::process::setsid().is_ok() && state().is_ok();
        // Its threads and children may still be on their way to where they wait, and need memory for that: they are spared.
        hook.order("mine");
        wait_and_end(if is_in_it { b"r" } else { b"e" }, &ready, &signal, &rehearsal)
    })?;
    let mut word = [0];
    read(&is_ready, &mut word)?;
    if word != *b"r" {
        return Ok("it is in no such state".into());
    }
    hook.order("one in 1 from 1");
    if is_killed {
        kill(nix::unistd::Pid::from_raw(child.as_raw_nonzero().get()), Signal::SIGKILL)?;
    } else {
        write(&told, b"x")?;
    }
    let ended = waitpid(Some(child), WaitOptions::empty())?;
    // Its children are this process's now, if a terminal's hang-up has left any.
    match kill(nix::unistd::Pid::from_raw(-child.as_raw_nonzero().get()), Signal::SIGKILL) {
        Ok(()) | Err(nix::Error::ESRCH) => {}
        Err(error) => return Err(error.into()),
    }
    while !matches!(wait(WaitOptions::empty()), Err(Errno::CHILD)) {}
    // Whether any did: most ends ask for nothing, as they should.
    let _ = hook.stop();
    let ended = ended.map(|(_, status)| (status.exit_status(), status.terminating_signal()));
    Ok(match ended {
        Some((Some(7), _)) => "it exits".into(),
        Some((_, Some(9))) => "it is killed".into(),
        other => format!("{other:?}"),
    })
}

//! Every allocation of a frame fails once, in turn, in the middle of what programs do: the call says ENOMEM or succeeds all
//! the same, and the next one without a failure succeeds.
#![expect(unsafe_code, reason = "memory is mapped, moved and touched")]
use rustix::fs::{CWD, MemfdFlags, Mode, OFlags, RenameFlags, ftruncate, memfd_create, open, renameat_with};
use rustix::io::{Errno, pwrite, read, write};
use rustix::mm::{MapFlags, MremapFlags, ProtFlags, mmap_anonymous, mremap, munmap};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::pipe::{PipeFlags, fcntl_setpipe_size, pipe_with};
use std::fs;
use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::Command;
use std::ptr::null_mut;

/// Where the kernel is told which allocation fails, and says whether it has.
const HOOK: &str = "/sys/kernel/debug/fail_frame";
/// More allocations than any of the operations makes.
const MOST: u32 = 3000;

type Operation = fn(&str) -> Result<(), Errno>;

const OPERATIONS: &[(&str, Operation)] = &[
    ("exec", |_| command(Command::new("/bin/busybox").arg("true"))),
    // For a child that changes its user the standard library forks.
    ("fork and exec", |_| command(Command::new("/bin/busybox").arg("true").uid(0))),
    ("exec of what is no program", |_| match command(&mut Command::new("/etc/no-program")) {
        Err(Errno::NOEXEC) => Ok(()),
        other => other,
    }),
    ("a thread", |_| {
        let thread = std::thread::Builder::new().stack_size(64 << 10).spawn(|| 1);
        thread.map_err(errno)?.join().map(|_| ()).map_err(|_| Errno::IO)
    }),
    ("a mapping that is touched", |_| mapping()),
    ("a mapping that moves", |_| moved()),
    ("a shared file", |_| shared()),
    ("a pipe", |_| piped()),
    ("sockets", |_| {
        let (one, two) = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::empty(), None)?;
        write(&one, &[7; 50_000])?;
        read(&two, &mut [0; 50_000]).map(|_| ())
    }),
    ("a file", |name| {
        let file = open(name, OFlags::CREATE | OFlags::EXCL | OFlags::RDWR, Mode::from_raw_mode(0o600))?;
        let result = (0..20).try_for_each(|page| pwrite(&file, &[1; 100], page * 10_000).map(|_| ()));
        rustix::fs::unlink(name)?;
        result
    }),
    ("folders, links and names", |name| {
        fs::create_dir(name).map_err(errno)?;
        let inner = format!("{name}/{}", "x".repeat(200));
        let result = names(name, &inner);
        let _ = fs::remove_dir_all(name);
        result
    }),
    ("a path", |_| fs::metadata("/proc/self/task/../../self/fd/0").map(|_| ()).map_err(errno)),
    ("a folder that is read", |_| {
        for entry in fs::read_dir("/bin").map_err(errno)? {
            entry.map_err(errno)?;
        }
        Ok(())
    }),
    ("/proc", |_| {
        for name in
            ["/proc/self/maps", "/proc/self/smaps", "/proc/meminfo", "/proc/self/status", "/proc/mounts"]
        {
            fs::read(name).map_err(errno)?;
        }
        Ok(())
    }),
];

fn errno(error: io::Error) -> Errno {
    // The standard library says this where it had itself no memory.
    let number = error.raw_os_error().unwrap_or(Errno::NOMEM.raw_os_error());
    Errno::from_raw_os_error(number)
}

fn main() -> io::Result<()> {
    fs::write("/etc/no-program", "neither")?;
    let mode = <fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o755);
    fs::set_permissions("/etc/no-program", mode)?;
    for (name, operation) in OPERATIONS {
        println!("{name}: {}", sweep(*operation)?);
    }
    Ok(())
}

/// Has the first, second ... allocation of an operation fail until none is left that could; says how that went.
fn sweep(operation: Operation) -> io::Result<String> {
    // What is made once for all is made now.
    if let Err(error) = operation("/tmp/first") {
        return Ok(format!("fails without a failure: {error}"));
    }
    for failing in 0..MOST {
        fs::write(HOOK, failing.to_string())?;
        let result = operation("/tmp/again");
        let is_over = fs::read_to_string(HOOK)? == "pending\n";
        fs::write(HOOK, "off")?;
        match result {
            Ok(()) => {}
            Err(Errno::NOMEM) if !is_over => {}
            Err(error) => return Ok(format!("allocation {failing}: {error}")),
        }
        if let Err(error) = operation("/tmp/after") {
            return Ok(format!("after the failure of allocation {failing}: {error}"));
        }
        if is_over {
            return Ok("refused or done, and possible again".into());
        }
    }
    Ok("too many allocations".into())
}

/// Starts a program and waits for it. One that the kernel ends because it has no memory for it counts as refused.
fn command(command: &mut Command) -> Result<(), Errno> {
    let status = command.status().map_err(errno)?;
    match (status.code(), status.signal()) {
        (Some(0), _) => Ok(()),
        (_, Some(9)) => Err(Errno::NOMEM),
        _ => Err(Errno::CHILD),
    }
}

fn mapping() -> Result<(), Errno> {
    const LEN: usize = 64 << 10;
    // SAFETY: the memory is this function's own and used within its length.
    unsafe {
        let at = mmap_anonymous(null_mut(), LEN, ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE)?;
        for offset in (0..LEN).step_by(4096) {
            at.cast::<u8>().add(offset).write_volatile(1);
        }
        munmap(at, LEN)
    }
}

fn moved() -> Result<(), Errno> {
    const LEN: usize = 16 << 10;
    // SAFETY: as above; the old place is not used after the memory has moved.
    unsafe {
        let mut at = mmap_anonymous(null_mut(), LEN, ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE)?;
        at.cast::<u8>().write_volatile(9);
        let mut len = LEN;
        let result = mremap(at, LEN, 4 << 20, MremapFlags::MAYMOVE).map(|new| (at, len) = (new, 4 << 20));
        assert_eq!(at.cast::<u8>().read_volatile(), 9);
        munmap(at, len)?;
        result
    }
}

fn shared() -> Result<(), Errno> {
    let file = memfd_create("shared", MemfdFlags::CLOEXEC)?;
    ftruncate(&file, 40_000)?;
    pwrite(&file, &[3; 9000], 20_000).map(|_| ())
}

fn piped() -> Result<(), Errno> {
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
    fcntl_setpipe_size(&writer, 256 << 10)?;
    write(&writer, &[5; 100_000])?;
    read(&reader, &mut [0; 100_000]).map(|_| ())
}

fn names(folder: &str, inner: &str) -> Result<(), Errno> {
    fs::write(inner, "content").map_err(errno)?;
    fs::hard_link(inner, format!("{folder}/hard")).map_err(errno)?;
    std::os::unix::fs::symlink(inner, format!("{folder}/soft")).map_err(errno)?;
    renameat_with(CWD, inner, CWD, format!("{folder}/new"), RenameFlags::empty())
}

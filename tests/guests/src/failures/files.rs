//! What programs do with names and files.

use crate::{Operation, errno};
use rustix::fs::{
    AtFlags, CWD, FlockOperation, Mode, OFlags, RenameFlags, XattrFlags, fcntl_lock, flock, getxattr, linkat,
    listxattr, open, removexattr, renameat_with, setxattr, symlink, unlink,
};
use rustix::io::{Errno, fcntl_dupfd_cloexec, pwrite};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use std::fs;
use std::io;

/// A folder with many names, on a file system of its own kind in memory.
const MANY: &str = "/tmp/many";

pub const OPERATIONS: &[(&str, Operation)] = &[
    ("a file", |path| {
        let file = open(path, OFlags::CREATE | OFlags::EXCL | OFlags::RDWR, Mode::from_raw_mode(0o600))?;
        let result = (0..20).try_for_each(|page| pwrite(&file, &[1; 100], page * 10_000).map(|_| ()));
        remove(path)?;
        result
    }),
    ("a file without a name", |_| {
        let flags = OFlags::TMPFILE | OFlags::RDWR;
        let file = open("/tmp", flags, Mode::from_raw_mode(0o600))?;
        pwrite(&file, &[1; 5000], 0).map(|_| ())
    }),
    ("folders, links and names", |path| {
        fs::create_dir(path).map_err(errno)?;
        let result = names(path);
        remove_all(path)?;
        result
    }),
    ("names that are exchanged", |path| {
        fs::create_dir(path).map_err(errno)?;
        let (one, two) = (format!("{path}/one"), format!("{path}/two"));
        let result = fs::write(&one, "1").and_then(|()| fs::create_dir(&two)).map_err(errno);
        let result = result.and_then(|()| renameat_with(CWD, &one, CWD, &two, RenameFlags::EXCHANGE));
        remove_all(path)?;
        result
    }),
    ("a path", |_| fs::metadata("/proc/self/task/../../self/fd/0").map(|_| ()).map_err(errno)),
    ("a path through links", |_| fs::metadata("/tmp/links/3/2/1/etc").map(|_| ()).map_err(errno)),
    ("where a link leads", |_| fs::read_link("/proc/self/exe").map(|_| ()).map_err(errno)),
    ("where this is", |_| std::env::current_dir().map(|_| ()).map_err(errno)),
    ("another working directory", |_| {
        rustix::process::chdir("/tmp")?;
        rustix::process::chdir("/").or_else(|_| rustix::process::chdir("/"))
    }),
    ("a folder that is read", |_| {
        for entry in fs::read_dir(MANY).map_err(errno)? {
            entry.map_err(errno)?;
        }
        Ok(())
    }),
    ("attributes", |path| {
        // A file of its own: others may be at it at the same time.
        drop(open(path, OFlags::CREATE | OFlags::EXCL | OFlags::RDWR, Mode::from_raw_mode(0o600))?);
        let result = setxattr(path, "user.one", &[7; 300], XattrFlags::empty())
            .and_then(|()| getxattr(path, "user.one", &mut [0; 300]))
            .and_then(|_| listxattr(path, &mut [0; 300]))
            .and_then(|_| removexattr(path, "user.one"));
        remove(path)?;
        result
    }),
    ("locks", |path| {
        let file = open(path, OFlags::CREATE | OFlags::RDWR, Mode::from_raw_mode(0o600))?;
        let result = flock(&file, FlockOperation::LockExclusive)
            .and_then(|()| fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive));
        drop(file);
        remove(path)?;
        result
    }),
    ("many descriptors", |_| {
        let file = open("/dev/null", OFlags::RDONLY, Mode::empty())?;
        fcntl_dupfd_cloexec(&file, 900).map(|_| ())
    }),
    ("a file system", |path| {
        fs::create_dir(path).map_err(errno)?;
        let result = mount("none", path, "tmpfs", MountFlags::empty(), Some(c"size=1m"));
        let result = result.and_then(|()| {
            let inner = fs::write(format!("{path}/file"), "text").map_err(errno);
            unmount(path, UnmountFlags::empty()).or_else(|_| unmount(path, UnmountFlags::empty()))?;
            inner
        });
        remove_all(path)?;
        result
    }),
    ("/proc", |_| {
        for name in [
            "/proc/self/maps",
            "/proc/self/smaps",
            "/proc/meminfo",
            "/proc/self/status",
            "/proc/self/mountinfo",
            "/proc/mounts",
            "/proc/stat",
            "/proc/self/cmdline",
        ] {
            fs::read(name).map_err(errno)?;
        }
        Ok(())
    }),
    ("the processes of /proc", |_| {
        for entry in fs::read_dir("/proc/self/fd").map_err(errno)? {
            entry.map_err(errno)?;
        }
        fs::read_dir("/proc").map_err(errno)?.try_for_each(|entry| entry.map(|_| ())).map_err(errno)
    }),
    ("the kernel's log", |_| {
        let log = open("/dev/kmsg", OFlags::RDONLY | OFlags::NONBLOCK, Mode::empty())?;
        rustix::io::read(&log, &mut [0; 4096]).map(|_| ())
    }),
];

/// A folder with names to read, and links to follow.
pub fn prepare() -> io::Result<()> {
    fs::create_dir(MANY)?;
    for number in 0..200 {
        fs::write(format!("{MANY}/{number}-{}", "x".repeat(number)), "")?;
    }
    fs::create_dir("/tmp/links")?;
    for (name, target) in [("1", "/"), ("2", "../links"), ("3", ".")] {
        std::os::unix::fs::symlink(target, format!("/tmp/links/{name}"))?;
    }
    Ok(())
}

/// Takes a name away: where a failure comes in between, again.
fn remove(path: &str) -> Result<(), Errno> {
    unlink(path).or_else(|_| unlink(path))
}

fn remove_all(path: &str) -> Result<(), Errno> {
    fs::remove_dir_all(path).or_else(|_| fs::remove_dir_all(path)).map_err(errno)
}

fn names(folder: &str) -> Result<(), Errno> {
    let inner = format!("{folder}/{}", "x".repeat(200));
    fs::write(&inner, "content").map_err(errno)?;
    linkat(CWD, &inner, CWD, format!("{folder}/hard"), AtFlags::empty())?;
    symlink(&inner, format!("{folder}/soft"))?;
    rustix::fs::mknodat(
        CWD,
        format!("{folder}/fifo"),
        rustix::fs::FileType::Fifo,
        Mode::from_raw_mode(0o600),
        0,
    )?;
    renameat_with(CWD, &inner, CWD, format!("{folder}/new"), RenameFlags::empty())
}

//! Limits: descriptors, arguments too long, file sizes, processes (which do not bind root, but a bomb), memory, processor time.

use rustix::io::{Errno, dup, fcntl_dupfd_cloexec};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::Command;

fn main() -> io::Result<()> {
    match std::env::args().nth(1).as_deref() {
        Some("count") => return count(),
        Some("size") => return size(),
        Some("data") => return data(),
        Some("bomb") => return bomb(),
        Some("spin") => return spin(),
        Some(_) => return Ok(()),
        None => (),
    }
    limits();
    descriptors()?;
    arguments();
    processes()?;
    processor_time()?;
    for name in ["size", "data"] {
        let status = Command::new("/proc/self/exe").arg(name).status()?;
        println!("{name}: code {:?}, signal {:?}", status.code(), status.signal());
    }
    Ok(())
}

fn limits() {
    let all = [
        Resource::Cpu,
        Resource::Fsize,
        Resource::Stack,
        Resource::Core,
        Resource::Nofile,
        Resource::As,
        Resource::Rss,
        Resource::Data,
    ];
    for resource in all {
        let limit = getrlimit(resource);
        println!("{resource:?}: {:?} of {:?}", limit.current, limit.maximum);
    }
    let crossed = Rlimit { current: Some(20), maximum: Some(10) };
    println!("more than the maximum: {:?}", setrlimit(Resource::Nofile, crossed));
}

fn descriptors() -> io::Result<()> {
    let file = File::open("/dev/null")?;
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: Some(40), maximum })?;
    let mut copies = Vec::new();
    let end = loop {
        match dup(&file) {
            Ok(copy) => copies.push(copy),
            Err(error) => break error,
        }
    };
    println!("dup: {end:?}, open: {}", std::os::fd::AsRawFd::as_raw_fd(&file) as usize + 1 + copies.len());
    println!("open: {:?}", File::open("/dev/null").err().and_then(|error| error.raw_os_error()));
    println!("pipe: {:?}", rustix::pipe::pipe().err());
    copies.pop();
    println!("a pipe needs two: {:?}", rustix::pipe::pipe().err());
    println!("one is free: {:?}", dup(&file).is_ok());
    println!("above the limit: {:?}", fcntl_dupfd_cloexec(&file, 40).err());
    setrlimit(Resource::Nofile, Rlimit { current: Some(20), maximum })?;
    println!(
        "those above a lower limit stay: {:?}",
        copies.last().map(|copy| rustix::io::fcntl_getfd(copy).is_ok())
    );
    copies.clear();
    println!("and are not made again: {:?}", fcntl_dupfd_cloexec(&file, 19).is_ok());
    setrlimit(Resource::Nofile, Rlimit { current: Some(1024), maximum })?;
    Ok(())
}

fn arguments() {
    let run = |argument: String, count: usize| {
        let result = Command::new("/proc/self/exe").arg("nothing").args(vec![argument; count]).status();
        result.map(|status| status.code()).map_err(|error| error.raw_os_error())
    };
    println!("one argument of 128 KiB less one: {:?}", run("x".repeat((128 << 10) - 1), 1));
    println!("one argument of 128 KiB: {:?}", run("x".repeat(128 << 10), 1));
    println!("a mebibyte in all: {:?}", run("x".repeat((64 << 10) - 1), 16));
    println!("three mebibytes in all: {:?}", run("x".repeat((64 << 10) - 1), 48));
    println!("many short ones: {:?}", run("x".into(), 20_000));
    println!("too many short ones: {:?}", run("x".into(), 400_000));
    // Under a larger stack up to six mebibytes, strings and pointers together.
    let before = getrlimit(Resource::Stack);
    let larger = setrlimit(Resource::Stack, Rlimit { current: Some(64 << 20), ..before });
    println!("a larger stack: {larger:?}");
    let counted = |argument: String, count: usize| {
        let output = Command::new("/proc/self/exe").arg("count").args(vec![argument; count]).output();
        output
            .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
            .map_err(|error| error.raw_os_error())
    };
    println!("sixty of 100 KiB: {:?}", counted("x".repeat(100 << 10), 60));
    println!("more than there may be: {:?}", counted("x".repeat(100 << 10), 62));
    println!("half a million: {:?}", counted("x".into(), 500_000));
    println!("the stack as before: {:?}", setrlimit(Resource::Stack, before));
}

/// Says how many arguments there are, how long they are together, and how many bytes the kernel tells of them.
fn count() -> io::Result<()> {
    let (mut count, mut len) = (0, 0);
    for argument in std::env::args() {
        (count, len) = (count + 1, len + argument.len());
    }
    println!("{count} of {len} bytes, {} told", std::fs::read("/proc/self/cmdline")?.len());
    Ok(())
}

fn processes() -> io::Result<()> {
    let before = getrlimit(Resource::Nproc);
    setrlimit(Resource::Nproc, Rlimit { current: Some(1), ..before })?;
    println!("root may: {:?}", Command::new("/proc/self/exe").arg("nothing").status()?.code());
    setrlimit(Resource::Nproc, before)?;
    let status = Command::new("/proc/self/exe").arg("bomb").uid(4321).gid(4321).status()?;
    println!("the bomb: code {:?}", status.code());
    Ok(())
}

/// How deep the bomb's processes start others.
const DEPTH: u32 = 5;

/// A process that starts three of its kind, each of which does the same, as a user who may have no more than twenty: most are refused, all come to an end. The status says whether
/// anybody was refused.
fn bomb() -> io::Result<()> {
    let depth = std::env::args().nth(2).and_then(|depth| depth.parse().ok()).unwrap_or(DEPTH);
    let limit = Rlimit { current: Some(20), maximum: Some(20) };
    setrlimit(Resource::Nproc, limit)?;
    let (mut was_refused, mut children) = (false, Vec::new());
    for _ in 0..if depth == 0 { 0 } else { 3 } {
        match Command::new("/proc/self/exe").args(["bomb", &(depth - 1).to_string()]).spawn() {
            Ok(child) => children.push(child),
            Err(error) => was_refused |= error.raw_os_error() == Some(Errno::AGAIN.raw_os_error()),
        }
    }
    for mut child in children {
        was_refused |= child.wait()?.code() == Some(7);
    }
    std::process::exit(if was_refused { 7 } else { 0 })
}

/// Uses processor time until it is ended.
fn spin() -> io::Result<()> {
    let number = |at: usize| std::env::args().nth(at).and_then(|number| number.parse().ok());
    setrlimit(Resource::Cpu, Rlimit { current: number(2), maximum: number(3) })?;
    loop {
        std::hint::black_box(());
    }
}

fn processor_time() -> io::Result<()> {
    for (soft, hard) in [("1", "1"), ("1", "9"), ("0", "9")] {
        let status = Command::new("/proc/self/exe").args(["spin", soft, hard]).status()?;
        println!("{soft} s of processor time, at most {hard}: signal {:?}", status.signal());
    }
    let script = "trap 'echo one more second' XCPU; ulimit -S -t 1; ulimit -H -t 3; while :; do :; done";
    let output = Command::new("/bin/busybox").args(["sh", "-c", script]).output()?;
    println!("{:?} {}", output.status.signal(), output.stdout.escape_ascii());
    Ok(())
}

/// A file that grows over RLIMIT_FSIZE: what fits is written, then SIGXFSZ ends the process.
fn size() -> io::Result<()> {
    setrlimit(Resource::Fsize, Rlimit { current: Some(10_000), maximum: Some(10_000) })?;
    let mut file = File::create("/tmp/size")?;
    println!("written: {:?}", file.write(&[0; 8000])?);
    println!("written: {:?}", file.write(&[0; 8000])?);
    println!("more: {:?}", file.write(&[0; 1]));
    Ok(())
}

/// Memory beyond RLIMIT_AS is refused, and the process goes on.
fn data() -> io::Result<()> {
    let limit = Rlimit { current: Some(64 << 20), maximum: Some(64 << 20) };
    setrlimit(Resource::As, limit)?;
    let mut vector: Vec<u8> = Vec::new();
    println!("a hundred mebibytes: {:?}", vector.try_reserve_exact(100 << 20).is_err());
    println!("ten: {:?}", vector.try_reserve_exact(10 << 20).is_ok());
    println!("raised again: {:?}", setrlimit(Resource::As, limit) == Ok::<_, Errno>(()));
    Ok(())
}

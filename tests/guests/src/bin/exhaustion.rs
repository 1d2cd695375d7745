//! Memory runs out: by touching it, by several at once, in pipes, in files, by many processes. Whoever takes too much is ended or
//! refused, the program that started it goes on, and all of the memory comes back.

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::process::WaitOptions;
use std::fs;
use std::io::{self, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};

fn main() -> io::Result<()> {
    if let Some(how) = std::env::args().nth(1) {
        return take(&how);
    }
    let before = free_kib()?;
    for (how, count) in [("memory", 1), ("memory", 6), ("pipes", 1), ("pipes", 3), ("processes", 1)] {
        let children = (0..count).map(|_| start(how)).collect::<io::Result<Vec<_>>>()?;
        for mut child in children {
            let status = child.wait()?;
            // Which of many processes has to go is the kernel's choice.
            let by =
                if how == "processes" { "some way".into() } else { format!("signal {:?}", status.signal()) };
            println!("{how}, {count} at once: ended by {by}");
        }
        // Processes whose parent was ended have become this program's.
        while rustix::process::wait(WaitOptions::empty()).is_ok() {}
        println!("  the memory is back: {}", is_back(before)?);
    }
    println!("files: {:?}", files().err().and_then(|error| error.raw_os_error()));
    fs::remove_file("/tmp/large")?;
    println!("  the memory is back: {}", is_back(before)?);
    Ok(())
}

fn start(how: &str) -> io::Result<Child> {
    Command::new("/proc/self/exe").arg(how).stdin(Stdio::null()).spawn()
}

fn free_kib() -> io::Result<u64> {
    let facts = fs::read_to_string("/proc/meminfo")?;
    let free = facts
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:")?.strip_suffix("kB")?.trim().parse().ok());
    free.ok_or_else(|| io::Error::other("/proc/meminfo says nothing of MemAvailable"))
}

/// Whether as much is free as was before, but for what the kernel keeps at hand.
fn is_back(before: u64) -> io::Result<bool> {
    // What a process held may be given back a moment after its parent has heard of its end. Of what was used the kernel keeps
    // a mebibyte of stacks, and some of its heap.
    for _ in 0..100 {
        if free_kib()? + 2048 >= before {
            return Ok(true);
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    eprintln!("{} KiB free, {before} KiB before", free_kib()?);
    Ok(false)
}

fn take(how: &str) -> io::Result<()> {
    match how {
        "memory" => {
            let mut all = Vec::new();
            loop {
                all.push(vec![1_u8; 1 << 20]);
                std::hint::black_box(&all);
            }
        }
        "pipes" => pipes(),
        _ => {
            // Each process takes a little and starts the next; the last that can be started ends first.
            let mine = vec![1_u8; 2 << 20];
            let depth = std::env::args().nth(2).and_then(|depth| depth.parse::<u32>().ok()).unwrap_or(40);
            if depth > 0 {
                // It may be refused, or ended.
                let _ = Command::new("/proc/self/exe").args(["processes", &(depth - 1).to_string()]).status();
            }
            std::hint::black_box(&mine);
            Ok(())
        }
    }
}

/// Fills pipes until there is no more of something.
fn pipes() -> io::Result<()> {
    let mut all = Vec::new();
    let chunk = [1; 4096];
    loop {
        let (reader, writer) = match rustix::pipe::pipe_with(rustix::pipe::PipeFlags::NONBLOCK) {
            Ok(pipe) => pipe,
            // Linux's limit is by user, and not for root.
            Err(Errno::MFILE | Errno::NFILE | Errno::NOMEM) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let _ = rustix::pipe::fcntl_setpipe_size(&writer, 1 << 20);
        while rustix::io::write(&writer, &chunk).is_ok() {}
        all.push((reader, writer));
    }
}

/// Writes a file until the file system is full.
fn files() -> io::Result<()> {
    let file = openat(CWD, "/tmp/large", OFlags::CREATE | OFlags::WRONLY, Mode::from_raw_mode(0o600))?;
    let mut file = fs::File::from(file);
    let chunk = vec![1; 1 << 20];
    loop {
        file.write_all(&chunk)?;
    }
}

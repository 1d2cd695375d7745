//! Everything at once: four threads start processes that fork, run programs, talk through pipes, map memory, write files,
//! fault and are killed; 28 of them in each round. The number of rounds may be given.
#![expect(unsafe_code, reason = "some of the processes fault")]

use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read, Write};
use std::ops::Range;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Stdio};
use std::ptr::null_mut;
use std::sync::Mutex;
use std::thread;

const WORKERS: usize = 4;
const ROUNDS: usize = 8;
const KINDS: [&str; 7] = ["echo", "shell", "fault", "killed", "map", "threads", "files"];

fn main() -> io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let first = arguments.next();
    let rounds = first.as_deref().map_or(Ok(ROUNDS), str::parse);
    let Ok(rounds) = rounds else {
        return child(&first.unwrap_or_default(), &arguments.next().unwrap_or_default());
    };
    let tally = Mutex::new(BTreeMap::new());
    run(0..rounds / 2, &tally);
    let before = kernel_memory()?;
    run(rounds / 2..rounds, &tally);
    let growth_kib = kernel_memory()?.saturating_sub(before);
    println!("the kernel's own memory does not grow: {}", growth_kib < 128);
    if let Ok(tally) = tally.into_inner() {
        for ((kind, ending), count) in tally {
            println!("{kind}: {count} times {ending}");
        }
    }
    println!("left in /tmp: {}", fs::read_dir("/tmp")?.count());
    Ok(())
}

/// What the kernel has allocated for itself, in KiB. On a machine that others use too, as Linux's is, that says nothing: zero.
fn kernel_memory() -> io::Result<u64> {
    if !fs::read_to_string("/proc/sys/kernel/osrelease")?.contains("hob") {
        return Ok(0);
    }
    let facts = fs::read_to_string("/proc/meminfo")?;
    let slab =
        facts.lines().find_map(|line| line.strip_prefix("Slab:")?.strip_suffix("kB")?.trim().parse().ok());
    slab.ok_or_else(|| io::Error::other("/proc/meminfo says nothing of Slab"))
}

/// Has all workers start their processes for each of these rounds.
fn run(rounds: Range<usize>, tally: &Mutex<BTreeMap<(&'static str, String), u32>>) {
    thread::scope(|scope| {
        for worker in 0..WORKERS {
            let rounds = rounds.clone();
            scope.spawn(move || {
                for round in rounds {
                    for offset in 0..KINDS.len() {
                        let kind = KINDS[(offset + worker) % KINDS.len()];
                        let ending = start(kind, worker, round).unwrap_or_else(|error| format!("{error}"));
                        if let Ok(mut tally) = tally.lock() {
                            *tally.entry((kind, ending)).or_insert(0) += 1;
                        }
                    }
                }
            });
        }
    });
}

fn describe(status: ExitStatus) -> String {
    format!("code {:?}, signal {:?}", status.code(), status.signal())
}

/// Starts a process of this kind and says how it ended.
fn start(kind: &str, worker: usize, round: usize) -> io::Result<String> {
    let name = format!("/tmp/{worker}-{round}");
    let mut command = Command::new("/proc/self/exe");
    command.args([kind, &name]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    if kind == "shell" {
        let script =
            format!("for i in 1 2 3; do echo $i; done | cat | (cat > {name}; cat {name}) | wc -l; rm {name}");
        command = Command::new("/bin/busybox");
        command.args(["sh", "-c", &script]).stdout(Stdio::piped());
    }
    let mut process = command.spawn()?;
    let (input, output) = (process.stdin.take(), process.stdout.take());
    if kind == "killed" {
        process.kill()?;
    }
    let writer = input.filter(|_| kind == "echo").map(|mut input| {
        thread::spawn(move || (0..50).try_for_each(|line| input.write_all(&[line; 4096])).is_ok())
    });
    let mut content = Vec::new();
    if let Some(mut output) = output {
        output.read_to_end(&mut content)?;
    }
    let written = writer.map(|writer| writer.join().unwrap_or(false));
    let sum: u64 = content.iter().map(|&byte| u64::from(byte)).sum();
    Ok(format!("{}, {} bytes, sum {sum}, written {written:?}", describe(process.wait()?), content.len()))
}

/// What a started process does.
fn child(kind: &str, name: &str) -> io::Result<()> {
    match kind {
        "echo" => io::copy(&mut io::stdin().lock(), &mut io::stdout().lock()).map(|_| ()),
        "fault" => {
            // SAFETY: the load faults, which ends the process.
            unsafe { std::arch::asm!("mov rax, [rax]", inout("rax") 8_u64 => _) };
            Ok(())
        }
        "killed" => loop {
            thread::park();
        },
        "map" => map(),
        "threads" => {
            let sum: u32 = thread::scope(|scope| {
                let threads: Vec<_> = (0..8).map(|number| scope.spawn(move || number * 3)).collect();
                threads.into_iter().map(|thread| thread.join().unwrap_or(0)).sum()
            });
            println!("{sum}");
            Ok(())
        }
        _ => {
            for size in [10, 10_000, 300_000] {
                fs::write(name, vec![1; size])?;
                println!("{}", fs::read(name)?.len());
                fs::remove_file(name)?;
            }
            Ok(())
        }
    }
}

/// Maps a few mebibytes, touches every page and gives them back, some times over.
fn map() -> io::Result<()> {
    const LEN: usize = 2 << 20;
    for _ in 0..3 {
        // SAFETY: the memory is this loop's own, used within its length, and not after it is unmapped.
        unsafe {
            let at = mmap_anonymous(null_mut(), LEN, ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE)?;
            for offset in (0..LEN).step_by(4096) {
                at.cast::<u8>().add(offset).write_volatile(1);
            }
            munmap(at, LEN)?;
        }
    }
    println!("mapped");
    Ok(())
}

//! `./hob bench boot`: how long until the first program runs, how large the kernel is, how much memory it takes.

use super::console::Console;
use super::table::{self, Figures};
use super::{hob_version, linux};
use crate::emulator::{Boot, Machine, MemorySize, Time};
use crate::initramfs;
use crate::kernel_image::{self, Kernel};
use crate::progress::Step;
use crate::suites::machine_run::LIMIT;
use crate::toolchain::{Build, Platform, Profile};
use crate::workspace::Workspace;
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The package of the first program, and the program's name.
const PROGRAM: &str = "bench-boot";
/// The processor of the emulated machine.
const PROCESSOR: &str = "max";
/// Its memory, and the most with which the least is looked for.
const MEMORY_MIB: u64 = 256;
/// Starts by the host's clock, of which the middle one counts.
const STARTS: usize = 9;
/// How many times longer than with all memory a start with little may take.
const PATIENCE: u32 = 20;
/// The shell, and its prompt where nothing sets another.
const SHELL: &str = "/bin/sh";
const PROMPT: &str = "/ # ";
/// Linux has not mounted /proc when it starts a shell in place of init; Hob has.
const SHOW_MEMORY: &str = "[ -e /proc/meminfo ] || mount -t proc proc /proc; cat /proc/meminfo\n";

/// What both kernels boot with.
struct Archives {
    /// The ordinary initramfs with the measuring program as `/init`.
    probe: PathBuf,
    /// The ordinary initramfs.
    shell: PathBuf,
    /// Its size in bytes.
    len_bytes: u64,
}

/// Measures both kernels and returns the page.
pub fn measure(workspace: &Workspace) -> Result<String> {
    let hob = kernel_image::build(workspace, Profile::Release)?;
    let linux = linux::find(workspace)?;
    let build =
        Build { package: PROGRAM, platform: Platform::Guest, profile: Profile::Release, bin: Some(PROGRAM) };
    let programs = build.run(workspace)?;
    let program = programs.get(PROGRAM).with_context(|| format!("cargo built no {PROGRAM}"))?;
    let folder =
        tempfile::Builder::new().prefix("hob-bench-").tempdir().context("cannot make a temporary folder")?;
    let archives = Archives::make(folder.path(), program)?;

    let on_hob = on("Hob", &hob, &archives).context("on Hob")?;
    let on_linux = on("Linux", &linux.kernel, &archives).context("on Linux")?;
    Ok(format!(
        "# Boot\n\nFrom QEMU's start to the first instruction of the first program, and what the kernel takes; \
         `./hob bench boot` measures it again.\n\n{}\n\
         Hob {} and Debian's Linux {}, in QEMU (TCG) with `-machine q35 -cpu {PROCESSOR} -smp 1 -m {MEMORY_MIB}M`, the same \
         plain initramfs of {} KiB with busybox, the console on a serial port, the word `quiet`. The first line is by \
         `-icount shift=0,sleep=off`, where an instruction is a nanosecond and a wait takes the time that it would: it \
         repeats exactly, and QEMU's firmware is in it, the same for both. The second is by the host's clock, the middle \
         of {STARTS} starts, and says as much about the host. Linux's file is compressed and has loadable modules beside \
         it, Hob's is neither. Memory in use is all that is not free ({MEMORY_MIB} MiB less MemFree), the kernel and the \
         files of the initramfs included, with busybox's shell as the first program at its prompt.\n",
        table::compare("figure", &on_hob, &on_linux)?,
        hob_version(workspace),
        linux.version,
        archives.len_bytes / 1024,
    ))
}

impl Archives {
    fn make(folder: &Path, program: &Path) -> Result<Self> {
        let mut tree = initramfs::base()?;
        let write = |name: &str, bytes: &[u8]| {
            let file = folder.join(name);
            std::fs::write(&file, bytes).with_context(|| format!("cannot write {}", file.display()))?;
            Ok::<_, anyhow::Error>(file)
        };
        let bytes = initramfs::archive(&tree)?;
        let shell = write("shell", &bytes)?;
        initramfs::add_program(&mut tree, program)?;
        tree.link("init", &format!("/bin/{PROGRAM}"));
        Ok(Self { probe: write("probe", &initramfs::archive(&tree)?)?, shell, len_bytes: bytes.len() as u64 })
    }
}

/// All figures of one kernel.
fn on(name: &str, kernel: &Kernel, archives: &Archives) -> Result<Figures> {
    let step = Step::new(format!("starting {name}"));
    let (guest_ns, _) = first_instruction(kernel, &archives.probe, Time::Instructions)?;
    let mut starts = Vec::new();
    for start in 1..=STARTS {
        step.message(format!("starting {name}, {start} of {STARTS}"));
        starts.push(first_instruction(kernel, &archives.probe, Time::Wall)?.1);
    }
    starts.sort_unstable();
    let wall = starts[STARTS / 2];
    step.message(format!("measuring the memory that {name} takes"));
    let memory = MemorySize::mebibytes(MEMORY_MIB);
    let (free, took) =
        free_at_the_prompt(kernel, &archives.shell, memory, LIMIT)?.context("the shell did not start")?;
    // With too little memory a kernel may also go on for ever without a prompt.
    let patience = took * PATIENCE;
    let file_bytes = std::fs::metadata(&kernel.file).context("cannot read the kernel's file")?.len();
    // A machine cannot be smaller than what QEMU loads into it.
    let smallest = (file_bytes + archives.len_bytes).div_ceil(1 << 20);
    let least = least(smallest, MEMORY_MIB, |mebibytes| {
        step.message(format!("starting {name} in {mebibytes} MiB"));
        let memory = MemorySize::mebibytes(mebibytes);
        Ok(free_at_the_prompt(kernel, &archives.shell, memory, patience)?.is_some())
    })?;
    Ok(vec![
        ("guest time to the first instruction, µs".into(), guest_ns / 1000),
        ("host time until it is told, ms".into(), u64::try_from(wall.as_millis())?),
        ("kernel's file, KiB".into(), file_bytes.div_ceil(1024)),
        ("memory in use at the prompt, KiB".into(), memory.kibibytes().saturating_sub(free)),
        ("least memory that reaches the prompt, MiB".into(), least),
    ])
}

fn machine(kernel: &Kernel, initramfs: &Path) -> Machine {
    Machine::new(Boot::Kernel { kernel: kernel.file.clone(), initramfs: Some(initramfs.to_owned()) })
        .cpu(Some(PROCESSOR.into()))
        .memory(MemorySize::mebibytes(MEMORY_MIB))
        .word("console=ttyS0")
        .word("quiet")
        // Linux resets after a panic, which ends QEMU; Hob ends QEMU by itself.
        .word("panic=-1")
}

/// The time-stamp counter at the program's first instruction, and the host's time until its line came.
fn first_instruction(kernel: &Kernel, initramfs: &Path, time: Time) -> Result<(u64, Duration)> {
    const LINE_START: &str = "first-instruction ";
    let mut running = machine(kernel, initramfs).time(time).start()?;
    let started = running.started();
    let mut console = Console::of(&mut running, LIMIT)?;
    let Some(before) = console.until(LINE_START)? else {
        bail!("the first program did not say when it began; {}", running.wait_within(LIMIT)?.describe())
    };
    let ticks = console.until("\n")?.with_context(|| format!("the line breaks off after {before}"))?;
    let passed = started.elapsed();
    let ticks = ticks.trim().parse().with_context(|| format!("'{ticks}' is no number of ticks"))?;
    Ok((ticks, passed))
}

/// MemFree in KiB as the shell at its prompt sees it, and how long the answer took; nothing when there is no prompt.
fn free_at_the_prompt(
    kernel: &Kernel,
    initramfs: &Path,
    memory: MemorySize,
    patience: Duration,
) -> Result<Option<(u64, Duration)>> {
    let machine = machine(kernel, initramfs)
        .memory(memory)
        // Each kernel passes the other's word over.
        .word(format!("rdinit={SHELL}"))
        .word(format!("init={SHELL}"));
    let mut running = machine.start()?;
    let started = running.started();
    let mut console = Console::of(&mut running, patience)?;
    if console.until(PROMPT)?.is_none() {
        return Ok(None);
    }
    console.write(SHOW_MEMORY)?;
    match console.until(PROMPT)? {
        Some(text) => Ok(Some((mem_free(&text)?, started.elapsed()))),
        None => Ok(None),
    }
}

/// The value of MemFree in what /proc/meminfo shows.
fn mem_free(text: &str) -> Result<u64> {
    text.lines()
        .find_map(|line| line.trim().strip_prefix("MemFree:")?.trim().strip_suffix("kB")?.trim().parse().ok())
        .with_context(|| format!("there is no MemFree in '{text}'"))
}

/// The least number from `from` to `to` that `is_enough`, where `to` is known to be and more is never worse.
fn least(mut from: u64, mut to: u64, mut is_enough: impl FnMut(u64) -> Result<bool>) -> Result<u64> {
    while from < to {
        let middle = from + (to - from) / 2;
        if is_enough(middle)? {
            to = middle;
        } else {
            from = middle + 1;
        }
    }
    Ok(to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_that_is_enough_is_found() -> Result<()> {
        for wanted in 1..=16 {
            assert_eq!(least(1, 16, |number| Ok(number >= wanted))?, wanted);
        }
        Ok(())
    }

    #[test]
    fn free_memory_is_read_from_what_a_console_shows() -> Result<()> {
        let text = "cat /proc/meminfo\r\nMemTotal:  61020 kB\r\nMemFree:          34136 kB\r\n";
        assert_eq!(mem_free(text)?, 34136);
        assert!(mem_free("cat: not found").is_err());
        Ok(())
    }
}

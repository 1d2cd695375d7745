//! `./hob bench calls`: guest instructions of the kernel's common operations, and their time in the emulator.

use super::table::{self, Figures};
use super::{hob_version, linux};
use crate::emulator::{Boot, Machine, Time};
use crate::initramfs;
use crate::job::{Input, Job};
use crate::kernel_image::{self, Kernel};
use crate::progress::Step;
use crate::suites::machine_run;
use crate::toolchain::{Build, Platform, Profile};
use crate::workspace::Workspace;
use anyhow::{Context, Result, bail};
use std::path::Path;

/// The package of the measuring program, and the program's name.
const PROGRAM: &str = "bench-calls";
/// The processor of the emulated machine. The figures depend on it: it says how pages are cleared.
const PROCESSOR: &str = "max";

/// Measures both kernels and returns the page.
pub fn measure(workspace: &Workspace) -> Result<String> {
    let hob = kernel_image::build(workspace, Profile::Release)?;
    let linux = linux::find(workspace)?;
    let build =
        Build { package: PROGRAM, platform: Platform::Guest, profile: Profile::Release, bin: Some(PROGRAM) };
    let programs = build.run(workspace)?;
    let program = programs.get(PROGRAM).with_context(|| format!("cargo built no {PROGRAM}"))?;

    let step = Step::new("measuring");
    let both = |time| -> Result<[Figures; 2]> {
        step.message("measuring Hob");
        let on_hob = on(&hob, program, time).context("on Hob")?;
        step.message("measuring Linux");
        Ok([on_hob, on(&linux.kernel, program, time).context("on Linux")?])
    };
    let [on_hob, on_linux] = both(Time::Instructions)?;
    let [hob_ns, linux_ns] = both(Time::Wall)?;
    drop(step);

    Ok(format!(
        "# System calls, switches and faults\n\n\
         Guest instructions, the least of several rounds; `./hob bench calls` measures them again.\n\n{}\n\
         Hob {} and Debian's Linux {}, in QEMU with `-cpu {PROCESSOR} -smp 1 -icount shift=0,sleep=off`, where a tick of \
         the time-stamp counter is one instruction. Instruction counts do not see cache misses, and Linux here has one CPU. \
         A string instruction counts once for each repetition, so a page that is cleared by `rep stosb` counts 4,096 and \
         one that is cleared by `rep stosq` 512: where pages are cleared the figures say more about the choice of the \
         instruction than about time.\n\n\
         ## Time\n\n\
         Nanoseconds in the emulator, the least of several rounds, without `-icount`. They depend on the host and on what else it \
         does, and on what the emulator finds hard, such as faults and changes of the address space: not on what a processor \
         does.\n\n{}",
        table::compare("operation", &on_hob, &on_linux)?,
        hob_version(workspace),
        linux.version,
        table::compare("operation", &hob_ns, &linux_ns)?,
    ))
}

/// Runs the program as the job on `kernel` and reads what it prints.
fn on(kernel: &Kernel, program: &Path, time: Time) -> Result<Figures> {
    let mut tree = initramfs::base()?;
    initramfs::add_program(&mut tree, program)?;
    let mut job = match time {
        Time::Instructions => Job::new([PROGRAM]),
        Time::Wall => Job::new([PROGRAM, "nanoseconds"]),
    };
    job.input = Input::Bytes(Vec::new());
    initramfs::add_job(&mut tree, &job);
    let folder =
        tempfile::Builder::new().prefix("hob-bench-").tempdir().context("cannot make a temporary folder")?;
    let file = folder.path().join("initramfs");
    std::fs::write(&file, initramfs::archive(&tree)?)
        .with_context(|| format!("cannot write {}", file.display()))?;

    let machine = Machine::new(Boot::Kernel { kernel: kernel.file.clone(), initramfs: Some(file) })
        .cpu(Some(PROCESSOR.into()))
        .time(time)
        .word("console=ttyS0")
        .word("quiet");
    let machine = kernel.job_words().into_iter().fold(machine, Machine::word);
    let (output, ended) = machine_run::run(&machine)?;
    let output = String::from_utf8_lossy(&output);
    match ended.report.exit().filter(|_| ended.report.panic().is_none()) {
        Some(status) if status.success() => table::read(&output),
        Some(status) => bail!("{PROGRAM} ended with {status}\n{output}"),
        None => bail!("{}\n{output}\n{}", ended.describe(), machine_run::last_words(&ended)),
    }
}

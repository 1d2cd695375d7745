//! `./hob run`: a shell in the user's terminal, or one command whose exit status becomes this program's.

use crate::args::Run;
use crate::emulator::{Boot, Console, Ended, Machine, running};
use crate::initramfs::{self, tree::Tree};
use crate::job::{Input, Job};
use crate::kernel_image::{self, Kernel};
use crate::progress::{Step, say};
use crate::report::shell_status;
use crate::terminal;
use crate::toolchain::Profile;
use crate::workspace::Workspace;
use anyhow::{Context, Result};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Runs the command.
pub fn run(workspace: &Workspace, arguments: &Run) -> Result<ExitCode> {
    let profile = if arguments.release { Profile::Release } else { Profile::Debug };
    let kernel = kernel_image::choose(workspace, profile, arguments.kernel.as_deref())?;
    let job = make_job(arguments, kernel.is_hob)?;
    let step = Step::new("making the initramfs");
    let folder =
        tempfile::Builder::new().prefix("hob-run-").tempdir().context("cannot make a temporary folder")?;
    let initramfs = folder.path().join("initramfs");
    std::fs::write(&initramfs, make_initramfs(arguments, job.as_ref())?)
        .with_context(|| format!("cannot write {}", initramfs.display()))?;
    drop(step);

    if arguments.gdb {
        let script = gdb_script(workspace, &kernel)?;
        say(format!("waiting for gdb: gdb -x {}", script.display()));
    }
    let input = job.as_ref().filter(|job| job.input == Input::Host).map(|_| Box::new(std::io::stdin()) as _);
    let machine = describe(arguments, &kernel, job.is_some(), initramfs);
    let ended = start_and_wait(&machine, input)?;
    Ok(conclude(&ended, job.is_some(), arguments.verbose))
}

/// The job that the command line asks for, if it asks for one.
fn make_job(arguments: &Run, is_hob: bool) -> Result<Option<Job>> {
    if arguments.job.is_empty() {
        return Ok(None);
    }
    let mut job = Job::new(&arguments.job);
    if let Ok(terminal) = std::env::var("TERM") {
        job.environment.retain(|entry| !entry.starts_with("TERM="));
        job.environment.push(format!("TERM={terminal}"));
    }
    job.is_console_raw = !terminal::is_interactive();
    job.input = match &arguments.input {
        Some(file) => Input::Bytes(read_input(file)?),
        None if terminal::is_interactive() => Input::Console,
        None if is_hob => Input::Host,
        // Another kernel does not know how to ask for it.
        None => Input::Bytes(Vec::new()),
    };
    Ok(Some(job))
}

fn read_input(file: &Path) -> Result<Vec<u8>> {
    if file == Path::new("-") {
        let mut bytes = Vec::new();
        std::io::stdin().read_to_end(&mut bytes).context("cannot read standard input")?;
        return Ok(bytes);
    }
    std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))
}

fn make_initramfs(arguments: &Run, job: Option<&Job>) -> Result<Vec<u8>> {
    if let Some(file) = &arguments.initramfs {
        let mut archive = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        if let Some(job) = job {
            let mut tree = Tree::default();
            initramfs::add_job(&mut tree, job);
            initramfs::append(&mut archive, &tree)?;
        }
        return Ok(archive);
    }
    let mut tree = initramfs::base()?;
    for program in &arguments.program {
        initramfs::add_program(&mut tree, program)?;
    }
    if let Some(job) = job {
        initramfs::add_job(&mut tree, job);
    }
    initramfs::archive(&tree)
}

fn describe(arguments: &Run, kernel: &Kernel, has_job: bool, initramfs: PathBuf) -> Machine {
    let processors = arguments.smp.unwrap_or_else(host_processors);
    let boot = Boot::Kernel { kernel: kernel.file.clone(), initramfs: Some(initramfs) };
    let console = match (terminal::is_interactive(), has_job) {
        (true, _) => Console::Terminal,
        (false, true) => Console::Output,
        (false, false) => Console::Stdio,
    };
    let mut machine = Machine::new(boot)
        .board(arguments.machine)
        .smp(processors)
        .memory(arguments.memory)
        .cpu(arguments.cpu.clone())
        .console(console)
        .word("console=ttyS0");
    if has_job && !arguments.verbose {
        machine = machine.word("quiet");
    }
    if arguments.verbose {
        machine = machine.word("verbose");
    }
    if kernel.is_hob {
        if let Some(size) = terminal::size() {
            machine = machine.word(format!("hob.winsize={}x{}", size.rows, size.columns));
        }
        if !has_job {
            machine = machine.word("hob.report=ttyS1");
        }
    }
    if has_job {
        machine = kernel.job_words().into_iter().fold(machine, Machine::word);
    }
    if arguments.gdb {
        machine = machine.wait_for_debugger();
    }
    arguments.append.iter().fold(machine, |machine, words| machine.word(words))
}

fn host_processors() -> u32 {
    std::thread::available_parallelism()
        .map_or(1, |count| u32::try_from(count.get()).unwrap_or(u32::MAX).min(255))
}

/// Runs the machine to its end. The terminal is put back as it was, whatever QEMU did to it.
fn start_and_wait(machine: &Machine, input: Option<running::Input>) -> Result<Ended> {
    let _saved = terminal::Saved::take();
    let running = machine.start_with(input)?;
    terminal::follow_size(running.window())?;
    running.wait()
}

/// The exit status of this program, and what the user must be told about the end.
fn conclude(ended: &Ended, has_job: bool, verbose: bool) -> ExitCode {
    if has_job {
        if let Some(status) = ended.report.exit().filter(|_| ended.report.panic().is_none()) {
            if let Some(message) = ended.report.refusal() {
                say(message);
            }
            return ExitCode::from(shell_status(status));
        }
        if !verbose {
            ended.report.log().for_each(|line| eprintln!("{line}"));
        }
        if ended.is_orderly() {
            say("the machine was turned off before the command ended");
        } else {
            say(ended.describe());
        }
        return ExitCode::FAILURE;
    }
    if ended.is_orderly() {
        return ExitCode::SUCCESS;
    }
    say(ended.describe());
    ExitCode::FAILURE
}

/// Writes the commands by which gdb finds symbols and machine, and returns their file.
fn gdb_script(workspace: &Workspace, kernel: &Kernel) -> Result<PathBuf> {
    let script = workspace.cache("gdb")?.join("kernel.gdb");
    let commands = format!(
        "file {}\nset disassembly-flavor intel\ntarget remote :1234\n",
        kernel.with_debug_info.display()
    );
    std::fs::write(&script, commands).with_context(|| format!("cannot write {}", script.display()))?;
    Ok(script)
}

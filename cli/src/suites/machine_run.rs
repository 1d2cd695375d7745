//! Running a job on Hob for a test: boot, output, report, end.

use super::shared::Shared;
use super::transcript::{Transcript, tail};
use crate::emulator::running::Input;
use crate::emulator::{Board, Boot, Ended, Machine, MemorySize};
use crate::initramfs::{self, tree::Tree};
use crate::job::Job;
use crate::report::Record;
use anyhow::{Context, Result, bail};
use std::io::Read;
use std::time::Duration;

/// Longer than any case needs on a slow machine; only a hang reaches it.
pub const LIMIT: Duration = Duration::from_secs(600);
/// The lines of the guest's log that a failure shows.
const LAST_LINES: usize = 25;

/// The machine that a job is given.
#[derive(Debug, Clone)]
pub struct Surroundings {
    pub board: Board,
    pub processors: u32,
    /// 256 MiB when absent.
    pub memory: Option<MemorySize>,
    pub has_acpi: bool,
    /// Further words for the kernel's command line.
    pub words: Vec<String>,
    /// Further options of QEMU.
    pub options: Vec<String>,
}

impl Default for Surroundings {
    fn default() -> Self {
        Self {
            board: Board::Q35,
            processors: 2,
            memory: None,
            has_acpi: true,
            words: Vec::new(),
            options: Vec::new(),
        }
    }
}

/// A job that ended.
#[derive(Debug)]
pub struct Finished {
    pub transcript: Transcript,
    ended: Ended,
}

impl Finished {
    /// The end of the kernel's log, to be shown with a failure.
    pub fn last_words(&self) -> String {
        last_words(&self.ended)
    }

    /// Why the job could not be started, when it could not.
    pub fn refusal(&self) -> Option<&str> {
        self.ended.report.refusal()
    }

    /// Fails when the kernel counted something that was not given back.
    pub fn check_leaks(&self) -> Result<()> {
        for record in self.ended.report.records() {
            if let Record::Counter { name, value } = record
                && name.starts_with("leaked-")
                && *value != 0
            {
                bail!("{name} is {value}\n{}", self.last_words());
            }
        }
        Ok(())
    }
}

/// Boots Hob with `tree` and `job` and waits for the job's end.
pub fn job(shared: &Shared, tree: Tree, job: &Job, surroundings: &Surroundings) -> Result<Finished> {
    job_with(shared, tree, job, surroundings, None)
}

/// As [`job`]; passes `input` on, if the job asks for it.
pub fn job_with(
    shared: &Shared,
    mut tree: Tree,
    job: &Job,
    surroundings: &Surroundings,
    input: Option<Input>,
) -> Result<Finished> {
    initramfs::add_job(&mut tree, job);
    let kernel = shared.kernel()?;
    let folder =
        tempfile::Builder::new().prefix("hob-test-").tempdir().context("cannot make a temporary folder")?;
    let file = folder.path().join("initramfs");
    std::fs::write(&file, initramfs::archive(&tree)?)
        .with_context(|| format!("cannot write {}", file.display()))?;
    let boot = Boot::Kernel { kernel: kernel.file.clone(), initramfs: Some(file) };
    let machine =
        kernel.job_words().into_iter().fold(machine(boot, surroundings).word("quiet"), Machine::word);
    let (output, ended) = run_with(&machine, input)?;
    let Some(status) = ended.report.exit().filter(|_| ended.report.panic().is_none()) else {
        bail!("{}\n{}\n{}", ended.describe(), tail(&output, LAST_LINES), last_words(&ended));
    };
    Ok(Finished { transcript: Transcript { output, status }, ended })
}

/// A machine in the given surroundings, with its console on the first serial port.
pub fn machine(boot: Boot, surroundings: &Surroundings) -> Machine {
    let mut machine = Machine::new(boot)
        .extra(surroundings.options.iter().cloned())
        .board(surroundings.board)
        .smp(surroundings.processors)
        .word("console=ttyS0");
    if let Some(memory) = surroundings.memory {
        machine = machine.memory(memory);
    }
    if !surroundings.has_acpi {
        machine = machine.without_acpi();
    }
    surroundings.words.iter().fold(machine, Machine::word)
}

/// Runs a machine to its end and returns what it wrote to its console.
pub fn run(machine: &Machine) -> Result<(Vec<u8>, Ended)> {
    run_with(machine, None)
}

fn run_with(machine: &Machine, input: Option<Input>) -> Result<(Vec<u8>, Ended)> {
    let mut running = machine.start_with(input)?;
    let mut console = running.take_console().context("the machine has no console socket")?;
    let reader = std::thread::spawn(move || {
        let mut output = Vec::new();
        // What came before an error is what the machine wrote.
        let _ = console.read_to_end(&mut output);
        output
    });
    let report = running.watch();
    match running.wait_within(LIMIT) {
        Ok(ended) => {
            let output = reader.join().map_err(|_| anyhow::anyhow!("the reader of the console panicked"))?;
            Ok((output, ended))
        }
        // The machine has been ended, so the reader comes to its end too.
        Err(error) => {
            let output = reader.join().unwrap_or_default();
            let log: Vec<_> = report().log().map(str::to_owned).collect();
            bail!("{error:#}\n{}\n{}", tail(&output, LAST_LINES), tail(log.join("\n").as_bytes(), LAST_LINES))
        }
    }
}

/// The end of a machine's log.
pub fn last_words(ended: &Ended) -> String {
    let log: Vec<_> = ended.report.log().collect();
    tail(log.join("\n").as_bytes(), LAST_LINES)
}

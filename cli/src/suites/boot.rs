//! `boot/...`: Hob comes up on every board with every number of processors, in little memory, and says what is wrong
//! when there is nothing to start.

use super::case::Case;
use super::machine_run::{self, Finished, Surroundings};
use super::shared::Shared;
use super::transcript::tail;
use crate::commands::image;
use crate::emulator::running::Input;
use crate::emulator::{Board, Boot, Firmware, Machine, MemorySize};
use crate::initramfs;
use crate::job::{self, Job};
use crate::prerequisites::{self, OVMF};
use anyhow::{Context, Result, bail, ensure};
use std::sync::Arc;

/// The boards with the ways in which processors are found there: ACPI's MADT, or the MP table.
const BOARDS: [(&str, Board, bool); 4] = [
    ("q35", Board::Q35, true),
    ("q35-without-acpi", Board::Q35, false),
    ("microvm", Board::Microvm, true),
    ("microvm-without-acpi", Board::Microvm, false),
];

/// What tells the time where the time stamp counter is not trusted.
const CLOCKS: [(&str, Board, &[&str], &str); 3] = [
    ("clock-hpet", Board::Q35, &[], "hpet"),
    ("clock-acpi", Board::Q35, &["-machine", "hpet=off"], "acpi_pm"),
    ("clock-none", Board::Microvm, &[], "tsc-unsynchronised"),
];

/// All cases.
pub fn cases(shared: &Arc<Shared>) -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, board, has_acpi) in BOARDS {
        for processors in [1, 2, 4, 8] {
            let surroundings = Surroundings { board, processors, has_acpi, ..Default::default() };
            let work = with(shared, move |shared| counts_processors(shared, &surroundings));
            cases.push(Case::test(format!("boot/{name}-{processors}"), work));
        }
    }
    for (name, board, options, source) in CLOCKS {
        let options = options.iter().copied().map(String::from).collect();
        let words = vec![String::from("tsc=unstable")];
        let surroundings = Surroundings { board, processors: 2, words, options, ..Default::default() };
        let work = with(shared, move |shared| tells_the_time_by(shared, &surroundings, source));
        cases.push(Case::test(format!("boot/{name}"), work));
    }
    cases.push(Case::test("boot/24-mebibytes", with(shared, starts_in_24_mebibytes)));
    cases.push(Case::test("boot/missing-processor", with(shared, goes_on_without_a_processor)));
    cases.push(Case::test("boot/input", with(shared, passes_standard_input_on)));
    cases.push(Case::test("boot/exit-status", with(shared, passes_exit_statuses_on)));
    cases.push(Case::test("boot/refused-programs", with(shared, says_why_a_program_cannot_be_started)));
    cases.push(Case::test("boot/missing-initramfs", with(shared, |shared| refuses(shared, None))));
    for (name, damage) in DAMAGES {
        let work = with(shared, move |shared| {
            let mut archive = initramfs::archive(&shared.tree()?)?;
            damage(&mut archive);
            refuses(shared, Some(&archive))
        });
        cases.push(Case::test(format!("boot/{name}"), work));
    }
    cases.push(Case::test("image/bios", with(shared, |shared| starts_from_disc(shared, Firmware::Default))));
    let uefi = with(shared, |shared| starts_from_disc(shared, Firmware::File(prerequisites::find(OVMF)?)));
    cases.push(Case::test("image/uefi", uefi));
    cases
}

fn with(
    shared: &Arc<Shared>,
    work: impl FnOnce(&Shared) -> Result<()> + Send + 'static,
) -> impl FnOnce() -> Result<()> + Send + 'static {
    let shared = Arc::clone(shared);
    move || work(&shared)
}

fn run(shared: &Shared, arguments: &[&str], surroundings: &Surroundings) -> Result<Finished> {
    let mut job = Job::new(arguments.iter().copied());
    job.input = job::Input::Bytes(Vec::new());
    machine_run::job(shared, shared.tree()?, &job, surroundings)
}

fn counts_processors(shared: &Shared, surroundings: &Surroundings) -> Result<()> {
    let finished = run(shared, &["nproc"], surroundings)?;
    let output = String::from_utf8_lossy(&finished.transcript.output).into_owned();
    ensure!(
        output.trim() == surroundings.processors.to_string(),
        "of {} processors the guest counts {output}\n{}",
        surroundings.processors,
        finished.last_words()
    );
    Ok(())
}

/// Another clock takes the counter's place, and says so; or the log says that there is none.
fn tells_the_time_by(shared: &Shared, surroundings: &Surroundings, source: &str) -> Result<()> {
    let script = "cat /sys/devices/system/clocksource/clocksource0/current_clocksource; \
                  dmesg | grep -c 'there is no other clock'; sleep 6; echo slept";
    let started = std::time::Instant::now();
    let finished = run(shared, &["sh", "-c", script], surroundings)?;
    let output = String::from_utf8_lossy(&finished.transcript.output);
    let warnings = u32::from(source == "tsc-unsynchronised");
    let expected = format!("{source}\n{warnings}\nslept\n");
    ensure!(output == expected, "{output}\n{}", finished.last_words());
    // The ACPI timer has run round once by then.
    let has_another = warnings == 0;
    ensure!(!has_another || started.elapsed().as_secs() >= 6, "six seconds of {source} are too short");
    Ok(())
}

/// A processor that is listed and does not come up is reported, and the others go on.
fn goes_on_without_a_processor(shared: &Shared) -> Result<()> {
    let words = vec![String::from("hob.listed=77")];
    let surroundings = Surroundings { processors: 2, words, ..Default::default() };
    let finished = run(shared, &["sh", "-c", "nproc; dmesg"], &surroundings)?;
    let output = String::from_utf8_lossy(&finished.transcript.output);
    let is_reported = output.contains("the processor with APIC id 77 did not start");
    ensure!(output.starts_with("2\n") && is_reported, "{output}\n{}", finished.last_words());
    Ok(())
}

/// What the host reads is the job's standard input: every byte once and in order, to the end; also when the job reads
/// late, not at all, or no further.
fn passes_standard_input_on(shared: &Shared) -> Result<()> {
    let bytes: Vec<u8> =
        (0..30_000_u32).map(|number| (number.wrapping_mul(0x9e37_79b1) >> 24) as u8).collect();
    let endless = || Box::new(std::io::repeat(b'y')) as Input;
    for (script, input, expected) in [
        ("cat", Box::new(std::io::Cursor::new(bytes.clone())) as Input, bytes.as_slice()),
        ("sleep 1; wc -c", Box::new(std::io::Cursor::new(bytes.clone())), b"30000\n"),
        ("cat", Box::new(std::io::empty()), b""),
        ("head -c 5000 | wc -c", endless(), b"5000\n"),
        ("exec <&-; echo closed", endless(), b"closed\n"),
    ] {
        let mut job = Job::new(["sh", "-c", script]);
        job.input = job::Input::Host;
        let finished =
            machine_run::job_with(shared, shared.tree()?, &job, &Surroundings::default(), Some(input))?;
        let output = &finished.transcript.output;
        ensure!(
            output == expected,
            "'{script}' gave {} bytes, expected {}\n{}",
            output.len(),
            expected.len(),
            tail(output, 5)
        );
    }
    Ok(())
}

fn starts_in_24_mebibytes(shared: &Shared) -> Result<()> {
    let memory = Some(MemorySize::mebibytes(24));
    let finished =
        run(shared, &["sh", "-c", "echo $((6 * 7))"], &Surroundings { memory, ..Default::default() })?;
    ensure!(finished.transcript.output == b"42\n", "{}", finished.last_words());
    Ok(())
}

fn says_why_a_program_cannot_be_started(shared: &Shared) -> Result<()> {
    for (program, status, expected) in [
        ("/no/such/program", 127, "No such file or directory"),
        ("/etc/passwd", 126, "Permission denied"),
        ("/etc", 126, "Permission denied"),
    ] {
        let finished = run(shared, &[program], &Surroundings::default())?;
        let said = finished.refusal().unwrap_or_default();
        ensure!(said.contains(expected), "of {program} it says '{said}', expected '{expected}'");
        let code = finished.transcript.status.code();
        ensure!(code == Some(status), "{program} ended with {code:?}, expected {status}");
    }
    Ok(())
}

fn passes_exit_statuses_on(shared: &Shared) -> Result<()> {
    for (script, expected) in
        [("exit 0", 0), ("exit 37", 37), ("kill -KILL $$; exit 3", 3), ("no-such-program", 127)]
    {
        let finished = run(shared, &["sh", "-c", script], &Surroundings::default())?;
        let status = finished.transcript.status;
        ensure!(status.code() == Some(expected), "'{script}' ended with {status}, expected {expected}");
    }
    Ok(())
}

type Damage = fn(&mut Vec<u8>);

/// What can have happened to an initramfs.
const DAMAGES: [(&str, Damage); 3] = [
    ("empty-initramfs", |archive| archive.clear()),
    ("truncated-initramfs", |archive| archive.truncate(archive.len() / 2)),
    ("corrupt-initramfs", |archive| archive.iter_mut().step_by(97).for_each(|byte| *byte ^= 0x5a)),
];

/// The kernel must say that it finds nothing to start, and end the machine.
fn refuses(shared: &Shared, initramfs: Option<&[u8]>) -> Result<()> {
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    let file = folder.path().join("initramfs");
    if let Some(bytes) = initramfs {
        std::fs::write(&file, bytes)?;
    }
    let boot =
        Boot::Kernel { kernel: shared.kernel()?.file.clone(), initramfs: initramfs.map(|_| file.clone()) };
    let (output, ended) =
        machine_run::run(&machine_run::machine(boot, &Surroundings::default()).word("hob.report=ttyS1"))?;
    let said = format!("{}\n{}", tail(&output, 25), machine_run::last_words(&ended));
    ensure!(said.contains("initramfs"), "the kernel does not name the initramfs as the cause\n{said}");
    Ok(())
}

/// Makes a disc image with a job in it and starts it with the given firmware.
fn starts_from_disc(shared: &Shared, firmware: Firmware) -> Result<()> {
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    let disc = folder.path().join("hob.iso");
    let mut tree = shared.tree()?;
    let mut job = Job::new(["echo", "from a disc"]);
    job.input = job::Input::Bytes(Vec::new());
    initramfs::add_job(&mut tree, &job);
    let words = format!("console=ttyS0 quiet hob.report=ttyS1 hob.job=/{}", job::PATH);
    image::make_iso(&shared.kernel()?.file, &initramfs::archive(&tree)?, &words, &disc)?;

    let machine = Machine::new(Boot::Disc(disc)).firmware(firmware).smp(2);
    // The firmware and GRUB write to the console too, so what is there is not compared.
    let (_, ended) = machine_run::run(&machine)?;
    match ended.report.exit() {
        Some(status) if status.success() => Ok(()),
        Some(status) => bail!("the job ended with {status}"),
        None => bail!("{}\n{}", ended.describe(), machine_run::last_words(&ended)),
    }
}

//! `machine/KERNEL/BOARD-PROCESSORS`: test kernels in QEMU, each on several machines.
//!
//! Every binary of the package in `tests/machine` is a test kernel. It runs its tests and reports each; see
//! docs/testing.md. `tests/machine/cases.toml` says on which machines, where the usual ones do not fit.

use super::case::{Case, Outcome, Verdict};
use super::machine_run::{self, Surroundings, last_words};
use super::shared::Shared;
use super::shell::files_with_extension;
use super::transcript::tail;
use crate::emulator::{Board, Boot, Ended, MemorySize};
use crate::report::{self, Record};
use anyhow::{Context, Result, bail};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The machines of one test kernel.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Machines {
    /// Numbers of processors.
    smp: Vec<u32>,
    /// `q35`, `microvm`, `q35-without-acpi`, `microvm-without-acpi`.
    boards: Vec<String>,
    /// As 24M.
    memory: Option<String>,
    /// Words for the kernel's command line.
    words: Vec<String>,
    /// The kernel is expected to panic, with this text in its message.
    panics: Option<String>,
    /// For `--full` only.
    long: bool,
}

impl Default for Machines {
    fn default() -> Self {
        Self {
            smp: vec![1, 4],
            boards: vec!["q35".into(), "microvm".into()],
            memory: None,
            words: Vec::new(),
            panics: None,
            long: false,
        }
    }
}

/// One case a kernel and machine.
pub fn cases(shared: &Arc<Shared>) -> Result<Vec<Case>> {
    let folder = shared.workspace().path("tests/machine");
    let kernels = files_with_extension(&folder.join("src/bin"), "rs")?;
    let table = folder.join("cases.toml");
    let mut table: BTreeMap<String, Machines> = match std::fs::read_to_string(&table) {
        Ok(text) => {
            toml::from_str(&text).with_context(|| format!("{} is not as expected", table.display()))?
        }
        Err(_) => BTreeMap::new(),
    };
    let mut cases = Vec::new();
    for (kernel, _) in kernels {
        let machines = table.remove(&kernel).unwrap_or_default();
        for board in &machines.boards {
            let (board_kind, has_acpi) = parse_board(board)?;
            for &processors in &machines.smp {
                let memory = machines.memory.as_deref().map(str::parse::<MemorySize>).transpose();
                let surroundings = Surroundings {
                    board: board_kind,
                    processors,
                    memory: memory.map_err(anyhow::Error::msg)?,
                    has_acpi,
                    words: machines.words.clone(),
                    options: Vec::new(),
                };
                let name = format!("machine/{kernel}/{board}-{processors}");
                let is_long = machines.long;
                let (shared, kernel, machines) = (Arc::clone(shared), kernel.clone(), machines.clone());
                let prefix = name.clone();
                let work = move || run(&shared, &kernel, &machines, &surroundings, &prefix);
                cases.push(Case::batch(name, work).long(is_long));
            }
        }
    }
    if let Some(name) = table.keys().next() {
        bail!("tests/machine/cases.toml names a kernel that is not there: {name}");
    }
    Ok(cases)
}

fn parse_board(text: &str) -> Result<(Board, bool)> {
    Ok(match text {
        "q35" => (Board::Q35, true),
        "q35-without-acpi" => (Board::Q35, false),
        "microvm" => (Board::Microvm, true),
        "microvm-without-acpi" => (Board::Microvm, false),
        _ => bail!("expected q35 or microvm, alone or with -without-acpi, not '{text}'"),
    })
}

fn run(
    shared: &Shared,
    kernel: &str,
    machines: &Machines,
    surroundings: &Surroundings,
    prefix: &str,
) -> Result<Vec<Outcome>> {
    let kernel = shared.test_kernel(kernel)?;
    let machine =
        machine_run::machine(Boot::Kernel { kernel, initramfs: None }, surroundings).word("hob.report=ttyS1");
    let (output, ended) = machine_run::run(&machine)?;
    outcomes(&ended, machines.panics.as_deref(), prefix)
        .with_context(|| format!("{}\n{}", tail(&output, 25), last_words(&ended)))
}

/// The tests that a machine reported. One that began and has no result has failed, and so has a machine that did not
/// come to its end.
fn outcomes(ended: &Ended, panics: Option<&str>, prefix: &str) -> Result<Vec<Outcome>> {
    let mut outcomes = Vec::new();
    let mut begun = None;
    for record in ended.report.records() {
        match record {
            Record::Begin(name) => begun = Some(name),
            Record::Result { name, verdict, message } => {
                begun = None;
                let verdict = match verdict {
                    report::Verdict::Pass => Verdict::Passed,
                    report::Verdict::Fail => Verdict::Failed(message.clone()),
                    report::Verdict::Skip => Verdict::Skipped(message.clone()),
                };
                outcomes.push(Outcome { name: format!("{prefix}/{name}"), verdict });
            }
            _ => {}
        }
    }
    match (ended.report.panic(), panics) {
        (Some(message), Some(expected)) if message.contains(expected) => {
            outcomes.push(Outcome { name: format!("{prefix}/panic"), verdict: Verdict::Passed });
            return Ok(outcomes);
        }
        (_, Some(expected)) => bail!("a panic with '{expected}' was expected; {}", ended.describe()),
        (_, None) => {}
    }
    if let Some(name) = begun {
        bail!("{name} began and did not end; {}", ended.describe());
    }
    if !ended.report.is_complete() || ended.report.panic().is_some() {
        bail!("the report breaks off; {}", ended.describe());
    }
    Ok(outcomes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Report;
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    fn ended(lines: &[&str]) -> Ended {
        let mut report = Report::default();
        lines.iter().for_each(|line| report.push(Record::parse(line)));
        Ended { qemu: ExitStatus::from_raw(1 << 8), report, errors: String::new() }
    }

    #[test]
    fn each_reported_test_is_one_outcome() -> Result<()> {
        let ended =
            ended(&["hob-report 1", "begin a", "result a pass", "begin b", "result b fail no", "end"]);
        let outcomes = outcomes(&ended, None, "machine/k")?;
        assert_eq!(outcomes[0], Outcome { name: "machine/k/a".into(), verdict: Verdict::Passed });
        assert_eq!(outcomes[1].verdict, Verdict::Failed("no".into()));
        Ok(())
    }

    #[test]
    fn a_report_that_breaks_off_fails_and_names_the_test() {
        let error =
            outcomes(&ended(&["hob-report 1", "begin a"]), None, "k").map_err(|error| error.to_string());
        assert!(error.is_err_and(|error| error.contains("a began and did not end")));
        assert!(outcomes(&ended(&["hob-report 1", "begin a", "result a pass"]), None, "k").is_err());
    }

    #[test]
    fn a_panic_passes_only_where_it_is_expected() {
        let lines = ["hob-report 1", "panic stack overflow in idle", "end"];
        assert!(outcomes(&ended(&lines), Some("stack overflow"), "k").is_ok());
        assert!(outcomes(&ended(&lines), Some("double fault"), "k").is_err());
        assert!(outcomes(&ended(&lines), None, "k").is_err());
    }
}

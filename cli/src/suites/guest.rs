//! `guest/NAME`: one static program, run on Linux and on Hob; output and status must be equal.
//!
//! Every program in `tests/guests/src/bin` is a case of its own, with the surroundings below unless
//! `tests/guests/cases.toml` says otherwise; that table can also run a program several times, with other arguments.

use super::case::Case;
use super::machine_run::{self, Surroundings};
use super::oracle;
use super::shared::Shared;
use super::transcript::{Transcript, difference};
use crate::emulator::MemorySize;
use crate::job::{Input, Job};
use crate::progress::say;
use anyhow::{Context, Result, bail};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::ExitStatus;
use std::sync::Arc;

/// The table's file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    /// Programs that other programs start: no cases of their own.
    #[serde(default)]
    helpers: BTreeSet<String>,
    #[serde(default)]
    case: Vec<Entry>,
}

/// One line of the table.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    program: String,
    /// The case's name where it is not the program's.
    name: Option<String>,
    #[serde(default)]
    args: Vec<String>,
    /// Other guest programs that it starts.
    #[serde(default)]
    with: Vec<String>,
    /// What it reads from standard input; nothing when absent.
    #[serde(default)]
    input: String,
    /// Processors.
    #[serde(default = "two")]
    smp: u32,
    /// Memory, as 24M.
    memory: Option<String>,
    /// Words for Hob's command line.
    #[serde(default)]
    words: Vec<String>,
    /// What it prints before it ends with 0, where Linux cannot be asked: because it would take all of the host's memory.
    output: Option<String>,
    /// The first Linux that says what Hob says, as 6.17. On an older host the program runs on Hob alone, and must end well.
    linux: Option<String>,
    /// For `--full` only.
    #[serde(default)]
    long: bool,
}

fn two() -> u32 {
    2
}

impl Entry {
    fn of(program: String) -> Self {
        Self {
            program,
            name: None,
            args: Vec::new(),
            with: Vec::new(),
            input: String::new(),
            smp: two(),
            memory: None,
            words: Vec::new(),
            output: None,
            linux: None,
            long: false,
        }
    }
}

/// All cases of the table, and all programs that are not in it.
pub fn cases(shared: &Arc<Shared>) -> Result<Vec<Case>> {
    let folder = shared.workspace().path("tests/guests");
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let programs = programs(&folder.join("src/bin"))?;
    let table = read_table(&folder.join("cases.toml"))?;
    let entries = entries(table, &programs)?;
    Ok(entries.into_iter().map(|entry| case(shared, entry)).collect())
}

/// The names of the programs whose sources lie in `folder`.
fn programs(folder: &Path) -> Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for entry in std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "rs") || path.is_dir() {
            names.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
        }
    }
    Ok(names)
}

fn read_table(file: &Path) -> Result<Table> {
    if !file.exists() {
        return Ok(Table::default());
    }
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    toml::from_str(&text).with_context(|| format!("{} is not as expected", file.display()))
}

/// The table's entries, and one for each program that it does not name.
fn entries(table: Table, programs: &BTreeSet<String>) -> Result<Vec<Entry>> {
    let mut entries = table.case;
    let mut named = table.helpers;
    for entry in &entries {
        if !programs.contains(&entry.program) {
            bail!("cases.toml names a program that is not there: {}", entry.program);
        }
        named.insert(entry.program.clone());
    }
    entries.extend(programs.difference(&named).cloned().map(Entry::of));
    Ok(entries)
}

fn case(shared: &Arc<Shared>, entry: Entry) -> Case {
    let name = format!("guest/{}", entry.name.as_ref().unwrap_or(&entry.program));
    let is_long = entry.long;
    let shared = Arc::clone(shared);
    Case::test(name, move || compare(&shared, &entry)).long(is_long)
}

/// Runs the program on both kernels and compares.
fn compare(shared: &Shared, entry: &Entry) -> Result<()> {
    let mut tree = shared.tree()?;
    for program in std::iter::once(&entry.program).chain(&entry.with) {
        crate::initramfs::add_program(&mut tree, shared.guest(program)?)?;
    }
    let mut job =
        Job::new(std::iter::once(format!("/bin/{}", entry.program)).chain(entry.args.iter().cloned()));
    job.input = Input::Bytes(entry.input.clone().into_bytes());
    let memory =
        entry.memory.as_deref().map(str::parse::<MemorySize>).transpose().map_err(anyhow::Error::msg)?;
    let surroundings =
        Surroundings { processors: entry.smp, memory, words: entry.words.clone(), ..Surroundings::default() };

    let host =
        std::fs::read_to_string("/proc/sys/kernel/osrelease").context("the host's Linux has no version")?;
    let linux = match (&entry.output, &entry.linux) {
        (Some(output), _) => {
            Some(Transcript { output: output.clone().into_bytes(), status: ExitStatus::default() })
        }
        (None, Some(first)) if version(&host) < version(first) => None,
        (None, _) => Some(oracle::run(&tree, &job)?),
    };
    let hob = machine_run::job(shared, tree, &job, &surroundings)?;
    let Some(linux) = linux else {
        let (program, host, first) =
            (&entry.program, host.trim(), entry.linux.as_deref().unwrap_or_default());
        say(format!("{program}: not compared, since the host's Linux is {host} and {first} is needed"));
        if !hob.transcript.status.success() {
            bail!("it ends with {}{}", hob.transcript.status, hob.last_words());
        }
        return hob.check_leaks();
    };
    if let Some(difference) = difference(&linux, &hob.transcript) {
        bail!("{difference}{}", hob.last_words());
    }
    hob.check_leaks()
}

/// The first two numbers of a kernel's release, as uname(2) tells it.
fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.trim().split(|other: char| !other.is_ascii_digit()).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_compared_by_number() {
        assert_eq!(version("6.1.0-56-cloud-amd64\n"), Some((6, 1)));
        assert!(version("6.9.12") < version("6.17"));
        assert!(version("5.15") < version("6.1-rc2"));
        assert_eq!(version("hurd"), None);
    }

    fn table(text: &str) -> Table {
        toml::from_str(text).unwrap_or_default()
    }

    #[test]
    fn a_program_that_the_table_does_not_name_is_a_case_and_a_helper_is_none() -> Result<()> {
        let programs = ["files", "pipes", "told"].map(String::from).into();
        let table = table("helpers = ['told']\n[[case]]\nprogram = 'pipes'\nsmp = 4");
        let names: Vec<_> =
            entries(table, &programs)?.into_iter().map(|entry| (entry.program, entry.smp)).collect();
        assert_eq!(names, [("pipes".into(), 4), ("files".into(), 2)]);
        Ok(())
    }

    #[test]
    fn a_table_that_names_a_missing_program_is_refused() {
        assert!(entries(table("[[case]]\nprogram = 'none'"), &BTreeSet::new()).is_err());
    }
}

//! `service/NAME`: the tests of a service, by its own script `apps/NAME/test.sh`, which installs what it needs.
//!
//! With `--full` the script is given that word. Its status decides; the tests that it names as it goes (cargo-nextest's and node's lines) are counted one by one.

use super::case::{Case, Outcome, Verdict};
use super::transcript::tail;
use crate::workspace::Workspace;
use anyhow::{Context, Result, bail};
use std::collections::BTreeSet;
use std::process::{Command, Stdio};

/// The lines that a failure shows.
const LAST_LINES: usize = 60;

/// One case for each folder of `apps/` that has the script.
pub fn cases(workspace: &Workspace, is_full: bool) -> Result<Vec<Case>> {
    let apps = workspace.path("apps");
    let Ok(folders) = std::fs::read_dir(&apps) else { return Ok(Vec::new()) };
    let mut names = Vec::new();
    for folder in folders {
        let folder = folder.with_context(|| format!("cannot read {}", apps.display()))?;
        if folder.path().join("test.sh").exists() {
            names.push(folder.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    let make = |name: String| {
        let workspace = workspace.clone();
        Case::batch(format!("service/{name}"), move || run(&workspace, &name, is_full))
    };
    Ok(names.into_iter().map(make).collect())
}

fn run(workspace: &Workspace, name: &str, is_full: bool) -> Result<Vec<Outcome>> {
    let script = workspace.path("apps").join(name).join("test.sh");
    let output = Command::new("sh")
        .args(["-c", "exec 2>&1; exec \"$0\" \"$@\""])
        .arg(&script)
        .args(is_full.then_some("--full"))
        .env("NO_COLOR", "1")
        .env("CARGO_TERM_COLOR", "never")
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run {}", script.display()))?;
    let log = workspace.target().join(format!("service-{name}.log"));
    std::fs::write(&log, &output.stdout).with_context(|| format!("cannot write {}", log.display()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let mut outcomes: Vec<Outcome> = text.lines().filter_map(|line| outcome(name, line)).collect();
    // nextest names a failure again in its summary.
    let mut names = BTreeSet::new();
    outcomes.retain(|outcome| names.insert(outcome.name.clone()));
    for outcome in &mut outcomes {
        if let Verdict::Failed(message) = &mut outcome.verdict {
            *message = format!("its output is in {}", log.display());
        }
    }
    let has_failure = outcomes.iter().any(|outcome| matches!(outcome.verdict, Verdict::Failed(_)));
    if !output.status.success() && !has_failure {
        bail!("{} ended with {}:\n{}", script.display(), output.status, tail(&output.stdout, LAST_LINES));
    }
    Ok(outcomes)
}

/// Reads a line that names a test: `PASS [0.1s] (1/9) package test` of cargo-nextest, `✔ test (1ms)` of node.
fn outcome(service: &str, line: &str) -> Option<Outcome> {
    let line = line.trim_start();
    let (verdict, rest) = if let Some(rest) = line.strip_prefix("PASS [") {
        (Verdict::Passed, rest.split_once(']')?.1)
    } else if let Some(rest) = line.strip_prefix("✔ ") {
        (Verdict::Passed, rest)
    } else if let Some(rest) = line.strip_prefix("✖ ") {
        // The heading of node's list of failures, in which each stands again.
        if rest.starts_with("failing tests") {
            return None;
        }
        (Verdict::Failed(String::new()), rest)
    } else {
        let failures = ["FAIL [", "SIGABRT [", "SIGSEGV [", "TIMEOUT ["];
        let rest = failures.iter().find_map(|failure| line.strip_prefix(failure))?;
        (Verdict::Failed(String::new()), rest.split_once(']')?.1)
    };
    Some(Outcome { name: format!("service/{service}/{}", rest.trim()), verdict })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Option<(String, bool)> {
        outcome("soc", line).map(|outcome| (outcome.name, outcome.verdict == Verdict::Passed))
    }

    #[test]
    fn lines_of_nextest_and_of_node_name_tests() {
        let named = |name: &str, is_passed| Some((format!("service/soc/{name}"), is_passed));
        assert_eq!(read("        PASS [   0.004s] (1/3) soc a::b"), named("(1/3) soc a::b", true));
        assert_eq!(read("  FAIL [   1.2s] (2/3) soc c"), named("(2/3) soc c", false));
        assert_eq!(read("✔ the page runs (12.3ms)"), named("the page runs (12.3ms)", true));
        assert_eq!(read("✖ the page stops (1ms)"), named("the page stops (1ms)", false));
    }

    #[test]
    fn other_lines_name_none() {
        assert_eq!(read("    Finished dev"), None);
        assert_eq!(read("PASSED everything"), None);
        assert_eq!(read("✖ failing tests:"), None);
    }
}

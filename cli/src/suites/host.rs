//! `host/PACKAGE`: the unit and property tests of every crate, run by cargo-nextest in one go.

use super::case::{Case, Outcome, Selection, Verdict};
use super::metadata::Metadata;
use crate::prerequisites::locate;
use crate::progress::say;
use crate::toolchain::{self, Platform};
use crate::workspace::Workspace;
use anyhow::{Context, Result, bail};
use std::path::Path;
use std::process::{Command, Stdio};

/// Packages that are no programs of the host: the kernel's binary, and what runs in a guest.
const ELSEWHERE: [&str; 4] = ["kernel", "tests/", "bench/", "apps/"];

/// One batch of all selected packages.
pub fn cases(workspace: &Workspace, metadata: &Metadata, selection: &Selection) -> Result<Vec<Case>> {
    let mut packages = Vec::new();
    for (folder, package) in metadata.packages(workspace) {
        if is_here(&folder) && selection.includes(&format!("host/{}", package.name), false) {
            packages.push(package.name.clone());
        }
    }
    if packages.is_empty() {
        return Ok(Vec::new());
    }
    // The batch's name holds the names of its packages, so that whatever selected them selects it.
    let name = format!("host/{}", packages.join(" host/"));
    let workspace = workspace.clone();
    Ok(vec![Case::batch(name, move || run(&workspace, "host", &packages))])
}

/// Whether the package in `folder` is tested on the host by this suite.
fn is_here(folder: &str) -> bool {
    !ELSEWHERE.iter().any(|place| match place.strip_suffix('/') {
        Some(_) => folder.starts_with(place),
        None => folder == *place,
    })
}

/// Runs the tests of `packages` and returns each test's outcome.
pub fn run(workspace: &Workspace, suite: &str, packages: &[String]) -> Result<Vec<Outcome>> {
    install_nextest()?;
    let results = workspace.target().join("nextest/hob/junit.xml");
    if results.exists() {
        std::fs::remove_file(&results).with_context(|| format!("cannot remove {}", results.display()))?;
    }
    let mut nextest = toolchain::cargo(workspace, "nextest", Platform::Host)?;
    nextest.args(["run", "--cargo-quiet", "--profile", "hob", "--no-tests", "pass", "--config-file"]);
    nextest.arg(workspace.path("tests/nextest.toml"));
    packages.iter().for_each(|package| {
        nextest.args(["-p", package]);
    });
    let output = nextest.stdin(Stdio::null()).output().context("cannot run cargo nextest")?;
    if !results.exists() {
        bail!("the tests do not build:\n{}", String::from_utf8_lossy(&output.stderr));
    }
    let outcomes = read_results(suite, &results)?;
    let has_failure = outcomes.iter().any(|outcome| matches!(outcome.verdict, Verdict::Failed(_)));
    if !output.status.success() && !has_failure {
        bail!("cargo nextest failed without a failed test:\n{}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(outcomes)
}

fn install_nextest() -> Result<()> {
    if locate("cargo-nextest").is_some() {
        return Ok(());
    }
    say("installing cargo-nextest (cargo install; some minutes, once)");
    let status = Command::new("cargo").args(["install", "--locked", "--quiet", "cargo-nextest"]).status()?;
    if !status.success() {
        bail!("cargo-nextest cannot be installed; see https://nexte.st for other ways");
    }
    Ok(())
}

/// Reads the JUnit file that nextest has written.
fn read_results(suite: &str, file: &Path) -> Result<Vec<Outcome>> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    parse_results(suite, &text).with_context(|| format!("{} is no JUnit file", file.display()))
}

fn parse_results(suite: &str, text: &str) -> Result<Vec<Outcome>> {
    let document = roxmltree::Document::parse(text)?;
    let cases = document.descendants().filter(|node| node.has_tag_name("testcase"));
    let outcome = |case: roxmltree::Node| {
        let attribute = |name| case.attribute(name).unwrap_or("?");
        let child = |name: &str| case.children().find(|node| node.has_tag_name(name));
        let verdict = if let Some(failure) = child("failure").or_else(|| child("error")) {
            let mut message =
                failure.attribute("message").or(failure.text()).unwrap_or("it failed").to_owned();
            for stream in ["system-out", "system-err"] {
                if let Some(text) = child(stream).and_then(|node| node.text()) {
                    message.push('\n');
                    message.push_str(text.trim());
                }
            }
            Verdict::Failed(message)
        } else if child("skipped").is_some() {
            Verdict::Skipped("left out by its own mark".into())
        } else {
            Verdict::Passed
        };
        Outcome { name: format!("{suite}/{}::{}", attribute("classname"), attribute("name")), verdict }
    };
    Ok(cases.map(outcome).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passed_and_failed_tests_are_read_with_their_output() {
        let text = r#"<?xml version="1.0"?><testsuites><testsuite name="formats">
            <testcase name="elf::good" classname="formats"/>
            <testcase name="elf::bad" classname="formats"><failure message="panicked" type="test failure"/>
            <system-out>left: 1</system-out></testcase></testsuite></testsuites>"#;
        let outcomes = parse_results("host", text).unwrap_or_default();
        assert_eq!(outcomes[0], Outcome { name: "host/formats::elf::good".into(), verdict: Verdict::Passed });
        assert_eq!(outcomes[1].verdict, Verdict::Failed("panicked\nleft: 1".into()));
    }

    #[test]
    fn the_kernels_crates_are_tested_here_and_its_binary_is_not() {
        assert!(is_here("kernel/threads"));
        assert!(is_here("cli"));
        assert!(!is_here("kernel"));
        assert!(!is_here("tests/guests"));
    }
}

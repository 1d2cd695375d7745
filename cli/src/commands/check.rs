//! `./hob check`: format, lints, the floors of the house, and the figures that must not grow unannounced.

mod floors;
mod source;

use crate::kernel_image;
use crate::progress::Step;
use crate::suites::Metadata;
use crate::toolchain::{self, Platform, Profile};
use crate::workspace::Workspace;
use anyhow::{Context, Result};
use serde::Deserialize;
use std::process::{Command, ExitCode, Stdio};

/// The figures as they were last announced, in `check.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Announced {
    /// The word `unsafe` in machine/, comments and text left out.
    unsafe_in_machine: u64,
    /// Lines of code in machine/, without blank lines, comments and the hosted machine.
    lines_of_machine: u64,
    /// The kernel's file, optimised, without debug information, with its symbols.
    kernel_bytes: u64,
}

/// Runs all checks; each that fails is shown, and the rest go on.
pub fn run(workspace: &Workspace) -> Result<ExitCode> {
    let metadata = Metadata::read(workspace)?;
    let mut failures = floors::violations(&metadata.packages(workspace));
    failures.extend(cargo(workspace, "format", "fmt", Platform::Host, &["--all", "--check"])?);
    // The kernel's binary and the test kernels have no host to run on.
    let host = [
        "--workspace",
        "--all-targets",
        "--exclude",
        "kernel",
        "--exclude",
        "machine-tests",
        "--",
        "-D",
        "warnings",
    ];
    failures.extend(cargo(workspace, "lints of the host's crates", "clippy", Platform::Host, &host)?);
    let kernel = ["-p", "kernel", "--", "-D", "warnings"];
    failures.extend(cargo(workspace, "lints of the kernel", "clippy", Platform::Kernel, &kernel)?);
    failures.extend(figures(workspace)?);

    failures.iter().for_each(|failure| println!("FAIL {failure}"));
    if failures.is_empty() {
        println!("all checks passed");
        return Ok(ExitCode::SUCCESS);
    }
    Ok(ExitCode::FAILURE)
}

/// What of machine/ does without its own stacks and processors, which Miri cannot play, and without spinning for long: the intrusive containers, and the
/// value that is set once.
const FOR_MIRI: &str = "binary(containers) + test(a_value_is_set_by_the_first_and_seen_by_all)";

/// Runs tests of machine/ in Miri.
pub fn miri(workspace: &Workspace) -> Result<ExitCode> {
    let mut command = Command::new("cargo");
    command.current_dir(workspace.root()).env("CARGO_TARGET_DIR", workspace.target().join("miri"));
    command.args([
        "+nightly",
        "miri",
        "nextest",
        "run",
        "-p",
        "machine",
        "--test",
        "containers",
        "--test",
        "locks",
    ]);
    let status = command.args(["-E", FOR_MIRI]).status().context("cannot run cargo")?;
    if status.success() {
        return Ok(ExitCode::SUCCESS);
    }
    println!("if Miri is missing: rustup toolchain install nightly --component miri,rust-src");
    Ok(ExitCode::FAILURE)
}

/// Runs one of cargo's checks; returns what to tell when it fails.
fn cargo(
    workspace: &Workspace,
    name: &str,
    subcommand: &str,
    platform: Platform,
    arguments: &[&str],
) -> Result<Option<String>> {
    let _step = Step::new(name);
    let mut command = if subcommand == "fmt" {
        // Formatting builds nothing and takes no target folder.
        let mut command = Command::new("cargo");
        command.current_dir(workspace.root()).arg("fmt");
        command
    } else {
        toolchain::cargo(workspace, subcommand, platform)?
    };
    let output = command.args(arguments).stdin(Stdio::null()).output().context("cannot run cargo")?;
    if output.status.success() {
        return Ok(None);
    }
    let said = [output.stdout, output.stderr].concat();
    Ok(Some(format!("{name}\n{}", String::from_utf8_lossy(&said).trim_end())))
}

/// Measures, prints, and compares with what was announced.
fn figures(workspace: &Workspace) -> Result<Vec<String>> {
    let file = workspace.path("check.toml");
    let text = std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let announced: Announced =
        toml::from_str(&text).with_context(|| format!("{} is not as expected", file.display()))?;
    let count = source::count(&workspace.path("machine/src"))?;
    let kernel = kernel_image::build(workspace, Profile::Release)?;
    let kernel_bytes = std::fs::metadata(&kernel.file).context("cannot read the kernel's file")?.len();
    let mut failures = Vec::new();
    for (name, measured, limit) in [
        ("unsafe_in_machine", count.unsafe_words, announced.unsafe_in_machine),
        ("lines_of_machine", count.lines, announced.lines_of_machine),
        ("kernel_bytes", kernel_bytes, announced.kernel_bytes),
    ] {
        println!("{name}: {measured} (announced: {limit})");
        if measured > limit {
            failures.push(format!("{name} grew from {limit} to {measured}; shrink it, or say why in the commit that raises check.toml"));
        }
    }
    Ok(failures)
}

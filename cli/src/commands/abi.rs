//! `./hob abi`: the system calls, from the table that the kernel dispatches by.

use crate::toolchain::{self, Platform};
use crate::workspace::Workspace;
use anyhow::{Context, Result};
use std::process::ExitCode;

/// Builds the kernel's own printer of its table for this machine and runs it.
pub fn run(workspace: &Workspace) -> Result<ExitCode> {
    let mut cargo = toolchain::cargo(workspace, "run", Platform::Host)?;
    cargo.args(["--quiet", "-p", "linux", "--example", "abi"]);
    let status = cargo.status().context("cannot run cargo")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

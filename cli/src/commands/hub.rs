//! `./hob hub`: the home hub on this machine, with whatever arguments it is given.

use crate::toolchain::{self, Platform};
use crate::workspace::Workspace;
use anyhow::{Context, Result};
use std::process::ExitCode;

/// Builds the hub and runs it until it ends; its exit status is ours.
pub fn run(workspace: &Workspace, arguments: &[String]) -> Result<ExitCode> {
    let mut cargo = toolchain::cargo(workspace, "run", Platform::Host)?;
    cargo.args(["--profile", "service", "--quiet", "-p", "hub", "--"]).args(arguments);
    let status = cargo.status().context("cannot run cargo")?;
    // A hub that was ended by a signal (Ctrl-C) has no status of its own.
    Ok(status.code().map_or(ExitCode::SUCCESS, |code| ExitCode::from(u8::try_from(code).unwrap_or(1))))
}

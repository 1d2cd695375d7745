//! `./hob hub`: the home hub on this machine, with whatever arguments it is given.

use crate::toolchain::{Build, Platform, Profile};
use crate::workspace::Workspace;
use anyhow::{Context, Error, Result};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

/// Builds the hub and becomes it, in the folder where the user is: signals and exit status are its own.
pub fn run(workspace: &Workspace, arguments: &[String]) -> Result<ExitCode> {
    let build =
        Build { package: "hub", platform: Platform::Host, profile: Profile::Service, bin: Some("hub") };
    let hub = build.run(workspace)?.remove("hub").context("cargo has built no hub")?;
    Err(Error::new(Command::new(hub).args(arguments).exec()).context("cannot start the hub"))
}

//! `./hob bench`: what Hob costs beside Linux on the same emulated machine, and the hub beside another, written into docs/figures/.

mod boot;
mod calls;
mod console;
mod hub;
mod linux;
mod table;

use crate::args::{Bench, Figure};
use crate::workspace::Workspace;
use anyhow::{Context, Result};
use std::process::{Command, ExitCode};

/// Measures, prints the figures and keeps them.
pub fn run(workspace: &Workspace, arguments: &Bench) -> Result<ExitCode> {
    let (name, page) = match arguments.figure {
        Figure::Boot => ("boot", boot::measure(workspace)?),
        Figure::Calls => ("calls", calls::measure(workspace)?),
        Figure::Hub => ("hub", hub::measure(workspace)?),
    };
    print!("{page}");
    let folder = workspace.path("docs/figures");
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let file = folder.join(name).with_extension("md");
    std::fs::write(&file, page).with_context(|| format!("cannot write {}", file.display()))?;
    Ok(ExitCode::SUCCESS)
}

/// The version of Hob that is measured: the package's, with the commit where git knows it.
fn hob_version(workspace: &Workspace) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let commit =
        Command::new("git").current_dir(workspace.root()).args(["rev-parse", "--short", "HEAD"]).output();
    match commit {
        Ok(output) if output.status.success() => {
            format!("{version} ({})", String::from_utf8_lossy(&output.stdout).trim())
        }
        _ => version.into(),
    }
}

//! The hub's figures on this machine, with Home Assistant in a virtual environment of its own where it can be installed.

use crate::progress::say;
use crate::toolchain::{Build, Platform, Profile};
use crate::workspace::Workspace;
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Builds both programs and gives the page that the measuring one writes.
pub fn measure(workspace: &Workspace) -> Result<String> {
    let hub = build(workspace, "hub", "hub")?;
    let bench = build(workspace, "hub-bench", "hub-bench")?;
    let mut command = Command::new(bench);
    command.arg(hub);
    let environment = workspace.target().join("home-assistant");
    match install(&environment) {
        Ok(()) => {
            command.arg(&environment);
        }
        Err(error) => say(format!("Home Assistant is left out: {error:#}")),
    }
    let output = command.stderr(Stdio::inherit()).output().context("cannot run hub-bench")?;
    if !output.status.success() {
        bail!("hub-bench ended with {}", output.status);
    }
    String::from_utf8(output.stdout).context("hub-bench wrote no text")
}

fn build(workspace: &Workspace, package: &str, name: &str) -> Result<PathBuf> {
    let build = Build { package, platform: Platform::Guest, profile: Profile::Service, bin: Some(name) };
    build.run(workspace)?.remove(name).with_context(|| format!("cargo has built no {name}"))
}

/// Installs the package from PyPI, once; whatever version the machine's Python takes. Versions for older Pythons do not say that
/// they need a josepy before 2.
fn install(environment: &Path) -> Result<()> {
    if environment.join("bin/hass").exists() {
        return Ok(());
    }
    say("installing Home Assistant beside the hub (pip, about 100 MB)");
    run(Command::new("python3").args(["-m", "venv"]).arg(environment))?;
    run(Command::new(environment.join("bin/pip")).args(["install", "-q", "homeassistant", "josepy<2"]))
}

fn run(command: &mut Command) -> Result<()> {
    let status = command.stdout(Stdio::null()).status().context("cannot be started")?;
    if !status.success() {
        bail!("{} ended with {status}", command.get_program().to_string_lossy());
    }
    Ok(())
}

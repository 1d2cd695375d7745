//! `./hob soc`: the device workbench, its program with whatever arguments it is given or its web page.

use crate::toolchain::{self, Build, Platform, Profile};
use crate::workspace::Workspace;
use anyhow::{Context, Result};
use std::process::{Command, ExitCode};

/// What the page's machine is compiled to.
const WASM_TARGET: &str = "wasm32-unknown-unknown";

/// Builds what is asked for and runs it in the folder where the user is; its exit status is ours.
pub fn run(workspace: &Workspace, arguments: &[String]) -> Result<ExitCode> {
    let mut command = match arguments {
        [page, output @ ..] if page == "page" => page_builder(workspace, output)?,
        _ => {
            let mut program = program(workspace, "soc", Profile::Release)?;
            program.args(arguments);
            program
        }
    };
    let status = command.status().context("cannot run the workbench")?;
    Ok(status.code().map_or(ExitCode::FAILURE, |code| ExitCode::from(u8::try_from(code).unwrap_or(1))))
}

fn program(workspace: &Workspace, name: &str, profile: Profile) -> Result<Command> {
    let build = Build { package: name, platform: Platform::Host, profile, bin: Some(name) };
    let path = build.run(workspace)?.remove(name).with_context(|| format!("cargo has built no {name}"))?;
    Ok(Command::new(path))
}

/// The program that compiles the page and prints where it is.
fn page_builder(workspace: &Workspace, output: &[String]) -> Result<Command> {
    toolchain::need_target(WASM_TARGET)?;
    let mut builder = program(workspace, "soc-page", Profile::Tool)?;
    builder.args(output).env("CARGO_TARGET_DIR", workspace.target());
    Ok(builder)
}

//! `./hob`: reads the command line, runs the command, ends with its exit status.

use clap::Parser;
use cli::args::{Arguments, Command};
use cli::commands;
use cli::workspace::Workspace;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = Workspace::find().and_then(|workspace| match arguments.command {
        Command::Run(run) => commands::run::run(&workspace, &run),
    });
    result.unwrap_or_else(|error| {
        eprintln!("hob: {error:#}");
        ExitCode::FAILURE
    })
}

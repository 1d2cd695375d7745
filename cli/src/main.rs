//! `./hob`: reads the command line, runs the command, ends with its exit status.

use clap::Parser;
use cli::args::{Arguments, Command};
use cli::commands;
use cli::suites::{self, Selection};
use cli::workspace::Workspace;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = Workspace::find().and_then(|workspace| match arguments.command {
        Command::Run(run) => commands::run::run(&workspace, &run),
        Command::Image(image) => commands::image::run(&workspace, &image),
        Command::Bench(bench) => commands::bench::run(&workspace, &bench),
        Command::Abi => commands::abi::run(&workspace),
        Command::Check { miri: true } => commands::check::miri(&workspace),
        Command::Check { miri: false } => commands::check::run(&workspace),
        Command::Hub { arguments } => commands::hub::run(&workspace, &arguments),
        Command::Soc { arguments } => commands::soc::run(&workspace, &arguments),
        Command::Test(test) => {
            suites::run(&workspace, &Selection { words: test.words, full: test.full }, test.kernel)
        }
    });
    result.unwrap_or_else(|error| {
        eprintln!("hob: {error:#}");
        ExitCode::FAILURE
    })
}

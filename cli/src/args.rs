//! The command line of `./hob`.

use crate::emulator::{Board, MemorySize};
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Hob: an operating system for a house.
#[derive(Debug, Parser)]
#[command(name = "hob", version, bin_name = "./hob", arg_required_else_help = true)]
pub struct Arguments {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Build Hob, boot it in QEMU and give a shell, or run one command there
    Run(Run),
    /// Make an image that boots on a PC
    Image(Image),
    /// Run the tests: all quick ones, or those whose names contain one of the words
    Test(Test),
    /// Measure Hob beside Linux on the same emulated machine and keep the figures in docs/figures
    Bench(Bench),
    /// Print the system calls: number, name, how much of each is there
    Abi,
    /// Check format, lints, the floors of the crates, and the figures in check.toml
    Check {
        /// Run what can be run of machine/ by Miri instead, which finds undefined behaviour (needs nightly Rust with miri)
        #[arg(long)]
        miri: bool,
    },
    /// Build the home hub and run it on this machine, as `./hob hub --demo`
    #[command(disable_help_flag = true)]
    Hub {
        /// What the hub is given; `--help` tells
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENTS")]
        arguments: Vec<String>,
    },
    /// Build the device workbench and run its program, as `./hob soc run FILE`; `./hob soc page` makes its web page
    #[command(disable_help_flag = true)]
    Soc {
        /// What the program is given; `--help` tells
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENTS")]
        arguments: Vec<String>,
    },
}

/// What `./hob run` boots and how.
#[derive(Debug, Args)]
#[command(after_help = "Ctrl-A X ends the machine, Ctrl-A C shows QEMU's monitor.\n\n\
    Examples:\n  ./hob run\n  ./hob run --smp 1 --memory 24M\n  ./hob run -- ls -l /bin\n  \
    ./hob run --program target/x86_64-unknown-linux-musl/release/mine -- mine --help")]
pub struct Run {
    /// Processors [default: as many as this machine has]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=255))]
    pub smp: Option<u32>,
    /// Memory, as 24M or 1G
    #[arg(long, value_name = "SIZE", default_value = "256M")]
    pub memory: MemorySize,
    /// The board that QEMU plays
    #[arg(long, value_enum, default_value = "q35")]
    pub machine: Board,
    /// Put a static Linux program into /bin of the image (may be repeated)
    #[arg(long, value_name = "FILE")]
    pub program: Vec<PathBuf>,
    /// Boot with this initramfs in place of the one that is built
    #[arg(long, value_name = "FILE", conflicts_with = "program")]
    pub initramfs: Option<PathBuf>,
    /// Add words to the kernel's command line
    #[arg(long, value_name = "WORDS")]
    pub append: Vec<String>,
    /// The processor model [default: max, or host under KVM]
    #[arg(long, value_name = "MODEL")]
    pub cpu: Option<String>,
    /// Standard input of the command: a file, or - to read this program's to its end first [default: this program's]
    #[arg(long, value_name = "FILE", requires = "job")]
    pub input: Option<PathBuf>,
    /// Stop before the first instruction and wait for gdb
    #[arg(long)]
    pub gdb: bool,
    /// Build the kernel optimised
    #[arg(long, conflicts_with = "debug")]
    pub release: bool,
    /// Build the kernel quickly and with its assertions (the default)
    #[arg(long)]
    pub debug: bool,
    /// Show the kernel's log as it is written
    #[arg(long)]
    pub verbose: bool,
    /// Boot this kernel file in place of Hob's, for comparison
    #[arg(long, value_name = "FILE", conflicts_with_all = ["release", "debug"])]
    pub kernel: Option<PathBuf>,
    /// A command to run in place of the shell; the machine ends with its exit status
    #[arg(last = true, value_name = "COMMAND")]
    pub job: Vec<String>,
}

/// What `./hob image` makes.
#[derive(Debug, Args)]
pub struct Image {
    /// The kind of image
    #[arg(value_enum)]
    pub kind: ImageKind,
    /// Where to put it [default: hob.iso in Cargo's target folder]
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Build the kernel quickly and with its assertions
    #[arg(long)]
    pub debug: bool,
}

/// Kinds of images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ImageKind {
    /// A disc image with GRUB, for BIOS and UEFI
    Iso,
}

/// What `./hob test` runs.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  ./hob test\n  ./hob test guest/ session/\n  ./hob test --full")]
pub struct Test {
    /// The long suites too
    #[arg(long)]
    pub full: bool,
    /// Boot this kernel file in place of Hob's: Linux shows whether the tests themselves are sound
    #[arg(long, value_name = "FILE")]
    pub kernel: Option<PathBuf>,
    /// Parts of names, such as guest/pipes or host/threads
    pub words: Vec<String>,
}

/// What `./hob bench` measures.
#[derive(Debug, Args)]
pub struct Bench {
    /// The kind of figures
    #[arg(value_enum)]
    pub figure: Figure,
}

/// Kinds of figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Figure {
    /// Time to the first program, size of the kernel, memory in use
    Boot,
    /// Guest instructions of system calls, switches and faults
    Calls,
    /// The home hub: start, memory, events a second and latency, with Home Assistant beside it
    Hub,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_description_of_the_command_line_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn everything_after_two_dashes_belongs_to_the_job() {
        let parsed = Arguments::try_parse_from(["hob", "run", "--smp", "2", "--", "ls", "--smp", "-l"]);
        let Ok(Arguments { command: Command::Run(run) }) = parsed else { panic!("{parsed:?}") };
        assert_eq!(run.job, ["ls", "--smp", "-l"]);
        assert_eq!(run.smp, Some(2));
    }

    #[test]
    fn everything_after_soc_is_the_workbenchs() {
        let parsed = Arguments::try_parse_from(["hob", "soc", "run", "--help", "--cycles", "5", "a.asm"]);
        let Ok(Arguments { command: Command::Soc { arguments } }) = parsed else { panic!("{parsed:?}") };
        assert_eq!(arguments, ["run", "--help", "--cycles", "5", "a.asm"]);
    }

    #[test]
    fn wrong_use_says_what_was_expected() {
        let parsed = Arguments::try_parse_from(["hob", "run", "--memory", "lots"]);
        let Err(error) = parsed else { panic!("it was accepted") };
        assert!(error.to_string().contains("expected a size such as 24M or 1G"), "{error}");
    }
}

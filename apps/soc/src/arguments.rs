//! What the command line can say.

use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// A small invented computer: assembler, disassembler, machine, debugger.
#[derive(Parser)]
#[command(name = "soc", version)]
pub struct Arguments {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand)]
pub enum Command {
    /// Assemble a source into an image
    As(Assemble),
    /// Disassemble an image into a source that assembles to the same bytes
    Dis(Disassemble),
    /// Run a program; its exit status becomes this one's
    Run(Run),
    /// Debug a program: in the terminal, for gdb, or by commands
    Debug(Debug),
    /// Check programs against the expectations in TOML files
    Test(Test),
    /// Lay out sources in the one way
    Fmt(Format),
    /// Print the instruction set
    Isa(Isa),
}

#[derive(Args)]
pub struct Assemble {
    /// Source file, or - for standard input
    pub source: PathBuf,
    /// Image to write, or - for standard output [default: the source's name with .rom]
    #[arg(short, long)]
    pub output: Option<PathBuf>,
    /// Symbol file to write
    #[arg(long)]
    pub symbols: Option<PathBuf>,
    /// Take the original's language only, with its limits
    #[arg(long)]
    pub compat: bool,
    /// Print findings and summary as JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
pub struct Disassemble {
    /// Image, or - for standard input
    pub image: PathBuf,
    /// Symbol file, to keep the names
    #[arg(long)]
    pub symbols: Option<PathBuf>,
    /// Print a listing in the original's form: not to be assembled again
    #[arg(long)]
    pub listing: bool,
    /// Print every word as an instruction, with its address, bytes and labels, as JSON
    #[arg(long, conflicts_with = "listing")]
    pub json: bool,
}

/// Which machine, and what it is given: what `run` and `debug` share.
#[derive(Args, Clone, Default)]
pub struct MachineOptions {
    /// Keep the original's faults, in machine and assembler
    #[arg(long)]
    pub compat: bool,
    /// Start of the random numbers
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// File that the block store holds at power-on
    #[arg(long)]
    pub disk: Option<PathBuf>,
}

#[derive(Args)]
pub struct Run {
    /// Source (.asm) or image; - is an image on standard input
    pub program: Option<PathBuf>,
    #[command(flatten)]
    pub machine: MachineOptions,
    /// Stop after this many cycles, with status 124
    #[arg(long)]
    pub cycles: Option<u64>,
    /// Keys to press, one every 1000 cycles; \n, \r, \b and \xNN as in the assembler
    #[arg(long)]
    pub keys: Option<String>,
    /// File whose bytes the UART receives, one every 1000 cycles; - for standard input
    #[arg(long)]
    pub serial: Option<PathBuf>,
    /// Print the text screen at the end
    #[arg(long)]
    pub screen: bool,
    /// Write the graphics screen at the end, as a PPM picture
    #[arg(long)]
    pub picture: Option<PathBuf>,
    /// Write the block store at the end
    #[arg(long)]
    pub disk_out: Option<PathBuf>,
    /// Write a recording that --replay repeats exactly
    #[arg(long)]
    pub record: Option<PathBuf>,
    /// Repeat a recording instead of a program
    #[arg(long, conflicts_with_all = ["program", "keys", "serial", "load_state"])]
    pub replay: Option<PathBuf>,
    /// Write the machine's state at the end
    #[arg(long)]
    pub save_state: Option<PathBuf>,
    /// Go on from a saved state instead of a program
    #[arg(long, conflicts_with = "program")]
    pub load_state: Option<PathBuf>,
    /// Be a device of the house under this id: an IO board whose pins and alarm line are the program's; implies --realtime
    #[arg(long, value_name = "ID", value_parser = node_id, conflicts_with_all = ["keys", "serial", "record", "replay"])]
    pub node: Option<String>,
    /// Address of the interface that the node uses
    #[arg(long, default_value = "0.0.0.0", requires = "node")]
    pub node_address: std::net::Ipv4Addr,
    /// UDP and TCP port of the node
    #[arg(long, default_value_t = wire::PORT, requires = "node")]
    pub node_port: u16,
    /// Keep to the nominal clock of 1 MHz instead of running as fast as it goes
    #[arg(long)]
    pub realtime: bool,
    /// Print the outcome as JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
pub struct Debug {
    /// Source (.asm) or image
    #[arg(required_unless_present = "replay")]
    pub program: Option<PathBuf>,
    #[command(flatten)]
    pub machine: MachineOptions,
    /// Debug a recording, from its beginning
    #[arg(long, conflicts_with = "program")]
    pub replay: Option<PathBuf>,
    /// Write a recording of the past of where the session ends, edits included: for --replay here and in `soc run`
    #[arg(long)]
    pub record: Option<PathBuf>,
    /// Serve gdb at this address (127.0.0.1:1234; port 0 takes a free one), which is printed
    #[arg(long)]
    pub gdb: Option<String>,
    /// Commands instead of the screen, separated by semicolons; - reads them from standard input, one a line
    #[arg(long, conflicts_with = "gdb")]
    pub batch: Option<String>,
    /// Stop a command of a batch after this many cycles, with status 124
    #[arg(long, requires = "batch")]
    pub cycles: Option<u64>,
}

#[derive(Args)]
pub struct Test {
    /// TOML files, or folders that are searched for them
    #[arg(required = true)]
    pub expectations: Vec<PathBuf>,
    /// Print the results as JSON
    #[arg(long)]
    pub json: bool,
    /// Folder for a recording of each run (.rec) and the checksum of the state at its end (.sum)
    #[arg(long)]
    pub recordings: Option<PathBuf>,
}

#[derive(Args)]
pub struct Format {
    /// Sources to lay out in place; none or - formats standard input to standard output
    pub sources: Vec<PathBuf>,
    /// Change nothing; fail if a source is not laid out
    #[arg(long)]
    pub check: bool,
}

#[derive(Args)]
pub struct Isa {
    /// As the Markdown tables of the specification
    #[arg(long)]
    pub markdown: bool,
    /// As JSON
    #[arg(long, conflicts_with = "markdown")]
    pub json: bool,
}

/// The id of a node, as the hub takes it.
fn node_id(text: &str) -> Result<String, String> {
    if wire::advert::is_id(text) {
        Ok(text.to_owned())
    } else {
        Err("an id is 1 to 64 of letters, digits and - _ : .".to_owned())
    }
}

//! One file a command.

mod assemble;
mod debug;
mod disassemble;
mod format;
mod isa;
mod run;
mod test;

use crate::arguments::{Arguments, Command};
use crate::failure::Failure;

/// Carries out what the command line says; gives the exit status.
pub fn dispatch(arguments: Arguments) -> Result<u8, Failure> {
    match arguments.command {
        Command::As(options) => assemble::assemble(&options),
        Command::Dis(options) => disassemble::disassemble(&options),
        Command::Run(options) => run::run(&options),
        Command::Debug(options) => debug::debug(&options),
        Command::Test(options) => test::test(&options),
        Command::Fmt(options) => format::format(&options),
        Command::Isa(options) => isa::isa(&options),
    }
}

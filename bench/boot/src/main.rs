//! A first program that says when it began and turns the machine off.
//!
//! It prints `first-instruction TICKS`: the time-stamp counter at its first instruction. In an emulator whose counter starts
//! with the machine, that is the time from the machine's start to the first instruction of a program.

mod first;

use rustix::system::{RebootCommand, reboot};
use rustix::termios::tcdrain;
use std::process::ExitCode;

fn main() -> ExitCode {
    println!("first-instruction {}", first::ticks());
    // On a console this waits until the line is out; elsewhere there is nothing to wait for.
    let _ = tcdrain(rustix::stdio::stdout());
    // Returns only where this program may not turn the machine off.
    let error = reboot(RebootCommand::PowerOff);
    eprintln!("the machine could not be turned off: {error:?}");
    ExitCode::FAILURE
}

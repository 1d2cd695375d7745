//! Measures what the kernel's common operations cost and prints a line `name cost` for each.
//!
//! The unit is a tick of the time-stamp counter. Under QEMU's `-icount shift=0` that is one guest instruction, so a figure
//! repeats exactly. With the argument `nanoseconds` it is time, which does not. [`operations`] holds what is measured, [`measure`] how, [`system`] the calls that no safe wrapper makes.

mod measure;
mod operations;
mod system;

use std::process::ExitCode;

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        None => measure::count_in(measure::Unit::Ticks),
        Some("nanoseconds") => measure::count_in(measure::Unit::Nanoseconds),
        // The program starts itself to measure exec: that copy has nothing to do.
        Some(operations::EXIT_AT_ONCE) => return ExitCode::SUCCESS,
        Some(other) => {
            eprintln!("bench-calls: '{other}' is no unit; expected 'nanoseconds' or nothing");
            return ExitCode::FAILURE;
        }
    }
    for (name, operation) in operations::ALL {
        match operation() {
            Ok(cost) => println!("{name} {cost}"),
            Err(error) => {
                eprintln!("{name}: {error}");
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

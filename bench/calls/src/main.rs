//! Measures what the kernel's common operations cost and prints a line `name instructions` for each.
//!
//! The unit is a tick of the time-stamp counter. Under QEMU's `-icount shift=0` that is one guest instruction, so a figure
//! repeats exactly. [`operations`] holds what is measured, [`measure`] how, [`system`] the calls that no safe wrapper makes.

mod measure;
mod operations;
mod system;

use std::process::ExitCode;

fn main() -> ExitCode {
    // The program starts itself to measure exec: that copy has nothing to do.
    if std::env::args().nth(1).as_deref() == Some(operations::EXIT_AT_ONCE) {
        return ExitCode::SUCCESS;
    }
    for (name, operation) in operations::ALL {
        match operation() {
            Ok(instructions) => println!("{name} {instructions}"),
            Err(error) => {
                eprintln!("{name}: {error}");
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

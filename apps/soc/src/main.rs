//! The program `soc`.
#![forbid(unsafe_code)]

use clap::Parser as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    match soc::dispatch(soc::arguments::Arguments::parse()) {
        Ok(status) => ExitCode::from(status),
        Err(reason) => {
            eprintln!("soc: {reason}");
            ExitCode::from(soc::outcome::STATUS_FAILURE)
        }
    }
}

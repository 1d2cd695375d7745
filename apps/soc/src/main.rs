//! The program `soc`.
#![forbid(unsafe_code)]

use clap::Parser as _;
use soc::failure::Failure;
use soc::outcome::{STATUS_FAILURE, STATUS_READER_GONE};
use std::process::ExitCode;

fn main() -> ExitCode {
    match soc::dispatch(soc::arguments::Arguments::parse()) {
        Ok(status) => ExitCode::from(status),
        Err(Failure::Reason(reason)) => {
            eprintln!("soc: {reason}");
            ExitCode::from(STATUS_FAILURE)
        }
        Err(Failure::ReaderGone) => ExitCode::from(STATUS_READER_GONE),
    }
}

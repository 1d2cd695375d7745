//! The suites of `./hob test`: each makes cases, one runner runs them.
//!
//! Making cases is quick: it reads tables and lists folders. What a case needs built (the kernel, the guest programs, the
//! initramfs) is built once, by the first case that asks for it, through [`Shared`].

mod boot;
mod case;
mod guest;
mod host;
mod machine;
pub(crate) mod machine_run;
mod metadata;
mod oracle;
mod runner;
mod service;
mod session;
mod shared;
mod shell;
mod transcript;

pub use case::Selection;
pub use metadata::{Metadata, Package};

use crate::workspace::Workspace;
use anyhow::{Result, bail};
use shared::Shared;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

/// Runs what is selected; the last line is the count. `other_kernel` takes the place of Hob's.
pub fn run(workspace: &Workspace, selection: &Selection, other_kernel: Option<PathBuf>) -> Result<ExitCode> {
    let shared = Arc::new(Shared::new(workspace, other_kernel));
    let metadata = Metadata::read(workspace)?;
    let mut cases = host::cases(workspace, &metadata, selection)?;
    cases.extend(machine::cases(&shared)?);
    cases.extend(boot::cases(&shared));
    cases.extend(guest::cases(&shared)?);
    cases.extend(shell::cases(&shared)?);
    cases.extend(session::cases(&shared)?);
    cases.extend(service::cases(workspace, selection.full)?);
    cases.retain(|case| selection.includes(&case.name, case.is_long));
    if cases.is_empty() {
        bail!("no test has one of these in its name: {}", selection.words.join(" "));
    }
    let tally = runner::run(cases);
    println!("{} passed, {} failed", tally.passed, tally.failed);
    Ok(if tally.is_success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

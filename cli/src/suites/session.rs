//! `session/NAME`: a person at the terminal, played from a script of `tests/sessions`.
//!
//! `./hob run` itself is started on a terminal of its own, so the whole way of a key is tested: the user's terminal, QEMU,
//! the guest's serial port, its line discipline, the shell.

mod player;
mod script;

use super::case::Case;
use super::shared::Shared;
use super::shell::files_with_extension;
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One case a script.
pub fn cases(shared: &Arc<Shared>) -> Result<Vec<Case>> {
    let scripts = files_with_extension(&shared.workspace().path("tests/sessions"), "session")?;
    let case = |(name, path): (String, PathBuf)| {
        let shared = Arc::clone(shared);
        Case::test(format!("session/{name}"), move || play(&shared, &path))
    };
    Ok(scripts.into_iter().map(case).collect())
}

fn play(shared: &Shared, path: &Path) -> Result<()> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let script = script::Script::parse(&text)?;
    // The kernel is built before the clock of the first expectation runs.
    player::play(&script, shared.kernel()?)
}

//! `shell/NAME`: a script of `tests/shell`, run by Debian's busybox on Linux and on Hob; output must be equal.

use super::case::Case;
use super::machine_run::{self, Surroundings};
use super::oracle;
use super::shared::Shared;
use super::transcript::difference;
use crate::job::{Input, Job};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One case a script.
pub fn cases(shared: &Arc<Shared>) -> Result<Vec<Case>> {
    let scripts = files_with_extension(&shared.workspace().path("tests/shell"), "sh")?;
    let case = |(name, script): (String, PathBuf)| {
        let shared = Arc::clone(shared);
        Case::test(format!("shell/{name}"), move || compare(&shared, &script))
    };
    Ok(scripts.into_iter().map(case).collect())
}

/// The files of a folder with this extension, by name without it, in order. A missing folder has none.
pub fn files_with_extension(folder: &Path, wanted: &str) -> Result<Vec<(String, PathBuf)>> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
        if let (true, Some(stem)) = (path.extension().is_some_and(|extension| extension == wanted), stem) {
            files.push((stem, path));
        }
    }
    files.sort();
    Ok(files)
}

fn compare(shared: &Shared, script: &Path) -> Result<()> {
    let mut tree = shared.tree()?;
    let text = std::fs::read(script).with_context(|| format!("cannot read {}", script.display()))?;
    tree.program("etc/script", text);
    let mut job = Job::new(["/bin/sh", "/etc/script"]);
    job.input = Input::Bytes(Vec::new());
    let linux = oracle::run(&tree, &job)?;
    let hob = machine_run::job(shared, tree, &job, &Surroundings::default())?;
    if let Some(difference) = difference(&linux, &hob.transcript) {
        bail!("{difference}{}", hob.last_words());
    }
    hob.check_leaks()
}

//! Debian's kernel for virtual machines, with which Hob is compared. It is downloaded once, into `.hob/linux/`.

use crate::kernel_image::Kernel;
use crate::progress::say;
use crate::workspace::Workspace;
use anyhow::{Context, Result, bail};
use std::path::Path;
use std::process::Command;

/// The package that depends on the newest kernel.
const NEWEST: &str = "linux-image-cloud-amd64";
/// What the name of a kernel's file begins with; the version follows.
const FILE_START: &str = "vmlinuz-";

/// A kernel that is not Hob's, and its version.
#[derive(Debug)]
pub struct Linux {
    pub kernel: Kernel,
    pub version: String,
}

/// The kernel from the cache; it is downloaded when it is not there.
pub fn find(workspace: &Workspace) -> Result<Linux> {
    let folder = workspace.cache("linux")?;
    let boot = folder.join("boot");
    if let Some(linux) = cached(&boot)? {
        return Ok(linux);
    }
    download(&folder)?;
    cached(&boot)?.with_context(|| format!("{NEWEST} brought no {FILE_START}* into {}", boot.display()))
}

fn cached(boot: &Path) -> Result<Option<Linux>> {
    if !boot.exists() {
        return Ok(None);
    }
    for entry in boot.read_dir().with_context(|| format!("cannot read {}", boot.display()))? {
        let file = entry?.path();
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if let Some(version) = name.strip_prefix(FILE_START) {
            let kernel = Kernel { with_debug_info: file.clone(), file, is_hob: false };
            return Ok(Some(Linux { kernel, version: version.to_owned() }));
        }
    }
    Ok(None)
}

fn download(folder: &Path) -> Result<()> {
    let relations = output(Command::new("apt-cache").args(["depends", NEWEST]))?;
    let package = dependency(&relations)
        .with_context(|| format!("apt knows no {NEWEST}; run apt-get update and try again"))?;
    say(format!("downloading {package} (apt)"));
    output(Command::new("apt-get").current_dir(folder).args(["download", "-qq", package]))?;
    let archive = folder
        .read_dir()?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .find(|path| path.extension().is_some_and(|end| end == "deb"))
        .context("apt-get downloaded no package")?;
    output(Command::new("dpkg").arg("-x").arg(&archive).arg(folder))?;
    std::fs::remove_file(&archive).with_context(|| format!("cannot remove {}", archive.display()))
}

/// The package that the newest kernel's package depends on, from what `apt-cache depends` prints.
fn dependency(relations: &str) -> Option<&str> {
    relations
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Depends: "))
        .find(|package| package.starts_with("linux-image-"))
}

/// Runs `command` to its end and returns what it printed.
fn output(command: &mut Command) -> Result<String> {
    let done = command.output().with_context(|| format!("cannot run {command:?}"))?;
    if !done.status.success() {
        bail!("{command:?}: {}", String::from_utf8_lossy(&done.stderr).trim());
    }
    String::from_utf8(done.stdout).with_context(|| format!("{command:?} did not print text"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_package_is_found_among_the_relations() {
        let relations =
            "linux-image-cloud-amd64\n  Depends: linux-image-6.1.0-56-cloud-amd64\n  Suggests: grub\n";
        assert_eq!(dependency(relations), Some("linux-image-6.1.0-56-cloud-amd64"));
        assert_eq!(dependency("N: Unable to locate package"), None);
    }

    #[test]
    fn a_cache_without_a_kernel_has_none() -> Result<()> {
        let folder = tempfile::tempdir()?;
        assert!(cached(&folder.path().join("boot"))?.is_none());
        std::fs::write(folder.path().join("vmlinuz-6.1.0-56"), "")?;
        assert_eq!(cached(folder.path())?.map(|linux| linux.version), Some("6.1.0-56".into()));
        Ok(())
    }
}

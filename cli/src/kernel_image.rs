//! Hob's kernel as a file that boots.

use crate::toolchain::{Build, Platform, Profile};
use crate::workspace::Workspace;
use anyhow::{Context, Result, bail};
use std::path::PathBuf;

/// The two forms of a built kernel.
#[derive(Debug, Clone)]
pub struct KernelImage {
    /// The file to boot: no debug information, the symbol table inside.
    pub file: PathBuf,
    /// The compiler's file, with debug information for gdb.
    pub with_debug_info: PathBuf,
}

/// Builds the kernel.
pub fn build(workspace: &Workspace, profile: Profile) -> Result<KernelImage> {
    if !workspace.path("kernel/Cargo.toml").exists() {
        bail!("there is no kernel/ in {}", workspace.root().display());
    }
    let build = Build { package: "kernel", platform: Platform::Kernel, profile, bin: Some("kernel") };
    let executables = build.run(workspace)?;
    let built = executables.get("kernel").context("cargo built no executable named kernel")?;
    Ok(KernelImage { file: built.clone(), with_debug_info: built.clone() })
}

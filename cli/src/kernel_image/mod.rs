//! Hob's kernel as a file that boots.

pub mod elf;

use crate::job;
use crate::toolchain::{Build, Platform, Profile};
use crate::workspace::Workspace;
use anyhow::{Context, Result, bail};
use formats::symbols::{self, InputSymbol};
use std::path::{Path, PathBuf};

/// A kernel to boot.
#[derive(Debug, Clone)]
pub struct Kernel {
    /// The file to boot: no debug information, the symbol table inside.
    pub file: PathBuf,
    /// The compiler's file, with debug information for gdb.
    pub with_debug_info: PathBuf,
    /// Whether it is Hob's own. Another one is not told Hob's words, and starts the job by a script.
    pub is_hob: bool,
}

/// Builds Hob's kernel, or takes `other` in its place.
pub fn choose(workspace: &Workspace, profile: Profile, other: Option<&Path>) -> Result<Kernel> {
    let Some(other) = other else { return build(workspace, profile) };
    let file = other.canonicalize().with_context(|| format!("cannot read {}", other.display()))?;
    Ok(Kernel { with_debug_info: file.clone(), file, is_hob: false })
}

/// Builds Hob's kernel.
pub fn build(workspace: &Workspace, profile: Profile) -> Result<Kernel> {
    if !workspace.path("kernel/Cargo.toml").exists() {
        bail!("there is no kernel/ in {}", workspace.root().display());
    }
    let build = Build { package: "kernel", platform: Platform::Kernel, profile, bin: Some("kernel") };
    let executables = build.run(workspace)?;
    finish(executables.get("kernel").context("cargo built no executable named kernel")?)
}

/// Makes the file that boots, beside the linker's and named after it.
pub fn finish(built: &Path) -> Result<Kernel> {
    let linked = std::fs::read(built).with_context(|| format!("cannot read {}", built.display()))?;
    let functions = elf::functions(&linked)?;
    let symbols: Vec<_> = functions
        .iter()
        .map(|function| InputSymbol {
            address: function.address,
            length: function.len_bytes,
            name: &function.name,
        })
        .collect();
    let table = symbols::write(&symbols)?;
    let file = built.with_extension("boot");
    let bytes = elf::boot_file(&linked, &table).with_context(|| format!("cannot use {}", built.display()))?;
    std::fs::write(&file, bytes).with_context(|| format!("cannot write {}", file.display()))?;
    Ok(Kernel { file, with_debug_info: built.to_owned(), is_hob: true })
}

impl Kernel {
    /// The words by which this kernel is told to start the job of the initramfs.
    pub fn job_words(&self) -> Vec<String> {
        if self.is_hob {
            vec!["hob.report=ttyS1".into(), format!("hob.job=/{}", job::PATH)]
        } else {
            vec![format!("rdinit=/{}", job::SCRIPT_PATH)]
        }
    }
}

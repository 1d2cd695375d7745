//! The workspace as Cargo describes it: packages, their folders, who depends on whom.

use crate::workspace::Workspace;
use anyhow::{Context, Result, bail};
use serde::Deserialize;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// The packages of the workspace.
#[derive(Debug, Clone, Deserialize)]
pub struct Metadata {
    packages: Vec<Package>,
}

/// One package of the workspace.
#[derive(Debug, Clone, Deserialize)]
pub struct Package {
    /// Its name.
    pub name: String,
    manifest_path: PathBuf,
    /// What it depends on, of the workspace and of others.
    pub dependencies: Vec<Dependency>,
}

/// One dependency.
#[derive(Debug, Clone, Deserialize)]
pub struct Dependency {
    /// The other package's name.
    pub name: String,
    /// `dev`, `build`, or absent for an ordinary one.
    pub kind: Option<String>,
    /// The folder of a package of the workspace.
    pub path: Option<PathBuf>,
}

impl Metadata {
    /// Asks Cargo.
    pub fn read(workspace: &Workspace) -> Result<Self> {
        let output = Command::new("cargo")
            .current_dir(workspace.root())
            .args(["metadata", "--format-version", "1", "--no-deps"])
            .stderr(Stdio::inherit())
            .output()
            .context("cannot run cargo metadata")?;
        if !output.status.success() {
            bail!("cargo cannot read the workspace (its message is above)");
        }
        serde_json::from_slice(&output.stdout).context("cargo metadata printed something unexpected")
    }

    /// The packages with their folders inside the checkout, such as `kernel/threads`.
    pub fn packages(&self, workspace: &Workspace) -> Vec<(String, &Package)> {
        self.packages.iter().map(|package| (package.folder(workspace), package)).collect()
    }
}

impl Package {
    fn folder(&self, workspace: &Workspace) -> String {
        let folder = self.manifest_path.parent().unwrap_or(&self.manifest_path);
        folder.strip_prefix(workspace.root()).unwrap_or(folder).to_string_lossy().into_owned()
    }
}

//! Where things lie: the checkout, Cargo's target folder, and `.hob/` for what is downloaded or measured.

use anyhow::{Context, Result};
use std::path::{Path, PathBuf};

/// The checkout that `./hob` was called from.
#[derive(Debug, Clone)]
pub struct Workspace {
    root: PathBuf,
}

impl Workspace {
    /// The checkout named by `HOB_ROOT` (set by the `hob` script), else the one this program was built from.
    pub fn find() -> Result<Self> {
        let root = std::env::var_os("HOB_ROOT")
            .map(PathBuf::from)
            .unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join(".."));
        let root = root.canonicalize().with_context(|| format!("{} is not there", root.display()))?;
        Ok(Self { root })
    }

    /// The folder that holds the workspace's Cargo.toml.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A path inside the checkout.
    pub fn path(&self, inside: impl AsRef<Path>) -> PathBuf {
        self.root.join(inside)
    }

    /// Cargo's target folder: `CARGO_TARGET_DIR`, else `target/`.
    pub fn target(&self) -> PathBuf {
        match std::env::var_os("CARGO_TARGET_DIR") {
            Some(folder) => self.root.join(folder),
            None => self.root.join("target"),
        }
    }

    /// A folder under `.hob/`, made when it is missing: downloads, and state that outlives a run.
    pub fn cache(&self, name: &str) -> Result<PathBuf> {
        let folder = self.root.join(".hob").join(name);
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        Ok(folder)
    }
}

//! What the cases share: built once, by the first that needs it.

use crate::initramfs::{self, tree::Tree};
use crate::kernel_image::{self, Kernel};
use crate::toolchain::{Build, Platform, Profile};
use crate::workspace::Workspace;
use anyhow::{Context, Result, anyhow};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::OnceLock;

/// The package of the guest programs.
const GUESTS: &str = "guests";
/// The package of the test kernels.
const TEST_KERNELS: &str = "machine-tests";

/// A value that is made once; a failure is kept and told to everyone who asks.
#[derive(Debug)]
struct Once<T>(OnceLock<Result<T, String>>);

impl<T> Once<T> {
    const fn new() -> Self {
        Self(OnceLock::new())
    }

    fn get(&self, make: impl FnOnce() -> Result<T>) -> Result<&T> {
        let made = self.0.get_or_init(|| make().map_err(|error| format!("{error:#}")));
        made.as_ref().map_err(|message| anyhow!("{message}"))
    }
}

/// The checkout and what has been built from it so far.
#[derive(Debug)]
pub struct Shared {
    workspace: Workspace,
    other_kernel: Option<PathBuf>,
    kernel: Once<Kernel>,
    test_kernels: Once<BTreeMap<String, PathBuf>>,
    guests: Once<BTreeMap<String, PathBuf>>,
    tree: Once<Tree>,
}

impl Shared {
    /// Nothing is built yet.
    pub fn new(workspace: &Workspace, other_kernel: Option<PathBuf>) -> Self {
        Self {
            workspace: workspace.clone(),
            other_kernel,
            kernel: Once::new(),
            test_kernels: Once::new(),
            guests: Once::new(),
            tree: Once::new(),
        }
    }

    /// The checkout.
    pub fn workspace(&self) -> &Workspace {
        &self.workspace
    }

    /// The kernel, with its assertions: the suites look for bugs, not for speed. Another kernel in its place is a check of
    /// the suites themselves: Linux in QEMU must agree with the host's Linux.
    pub fn kernel(&self) -> Result<&Kernel> {
        self.kernel
            .get(|| kernel_image::choose(&self.workspace, Profile::Debug, self.other_kernel.as_deref()))
    }

    /// The file of a test kernel.
    pub fn test_kernel(&self, name: &str) -> Result<PathBuf> {
        let kernels = self.test_kernels.get(|| {
            let build = Build {
                package: TEST_KERNELS,
                platform: Platform::Kernel,
                profile: Profile::Debug,
                bin: None,
            };
            let built = build.run(&self.workspace)?;
            built.into_iter().map(|(name, file)| Ok((name, kernel_image::finish(&file)?.file))).collect()
        })?;
        kernels.get(name).cloned().with_context(|| format!("there is no test kernel named {name}"))
    }

    /// The file of a guest program.
    pub fn guest(&self, name: &str) -> Result<&PathBuf> {
        let programs = self.guests.get(|| {
            Build { package: GUESTS, platform: Platform::Guest, profile: Profile::Tool, bin: None }
                .run(&self.workspace)
        })?;
        programs.get(name).with_context(|| format!("there is no guest program named {name}"))
    }

    /// A copy of the tree that every initramfs begins with.
    pub fn tree(&self) -> Result<Tree> {
        self.tree.get(initramfs::base).cloned()
    }
}

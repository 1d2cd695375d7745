//! Cargo for the three things that are built: host programs, the kernel, and static programs for the guest.
//!
//! The compiler is rustup's with precompiled targets. Where those cannot be downloaded it is Debian's rustc-web, which
//! builds core, alloc and std from the sources that Debian ships.

use crate::prerequisites::{LLD, apt_install, find, locate};
use crate::progress::say;
use crate::workspace::Workspace;
use anyhow::{Context, Result, bail};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The target of the kernel.
pub const KERNEL_TARGET: &str = "x86_64-unknown-none";
const MUSL_TARGET: &str = "x86_64-unknown-linux-musl";
const GNU_TARGET: &str = "x86_64-unknown-linux-gnu";

/// What a crate is built to run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Platform {
    /// This machine's Linux.
    Host,
    /// The bare machine.
    Kernel,
    /// Linux or Hob, with no library beside it.
    Guest,
}

/// How much the compiler optimises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// Incremental, with debug assertions: seconds to build.
    Debug,
    /// What is measured and shipped.
    Release,
    /// Quick to build, small and quick enough: test programs.
    Tool,
    /// Services as they are shipped: like a release, but a panic unwinds.
    Service,
}

/// Which compiler builds for a platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Compiler {
    /// The cargo in PATH, which has the target's libraries.
    Default,
    /// Debian's rustc-web with `-Zbuild-std`.
    Debian,
}

/// One request to Cargo.
#[derive(Debug)]
pub struct Build<'a> {
    /// The package's name.
    pub package: &'a str,
    /// What it is to run on.
    pub platform: Platform,
    /// How it is optimised.
    pub profile: Profile,
    /// The only binary to build; all of the package's when absent.
    pub bin: Option<&'a str>,
}

impl Build<'_> {
    /// Builds, and returns the executables by name. Cargo's own progress and errors go to the user's terminal.
    pub fn run(&self, workspace: &Workspace) -> Result<BTreeMap<String, PathBuf>> {
        let mut cargo = cargo(workspace, "build", self.platform)?;
        cargo.args(["-p", self.package, "--message-format", "json-render-diagnostics"]);
        match self.bin {
            Some(bin) => cargo.args(["--bin", bin]),
            None => cargo.arg("--bins"),
        };
        match self.profile {
            Profile::Debug => &mut cargo,
            Profile::Release => cargo.arg("--release"),
            Profile::Tool => cargo.args(["--profile", "tool"]),
            Profile::Service => cargo.args(["--profile", "service"]),
        };
        if !std::io::stderr().is_terminal() {
            cargo.arg("-q");
        }
        let mut child = cargo.stdout(Stdio::piped()).spawn().context("cannot start cargo")?;
        let mut executables = BTreeMap::new();
        if let Some(stdout) = child.stdout.take() {
            for line in BufReader::new(stdout).lines() {
                let line = line.context("cannot read cargo's messages")?;
                if let Some((name, path)) = executable(&line) {
                    executables.insert(name, path);
                }
            }
        }
        if !child.wait()?.success() {
            bail!("{} does not build (the compiler's messages are above)", self.package);
        }
        Ok(executables)
    }
}

/// The executable that one line of `--message-format json` announces, if it does.
fn executable(line: &str) -> Option<(String, PathBuf)> {
    #[derive(Deserialize)]
    struct Message {
        reason: String,
        target: Option<Target>,
        executable: Option<PathBuf>,
    }
    #[derive(Deserialize)]
    struct Target {
        name: String,
    }
    let message: Message = serde_json::from_str(line).ok()?;
    if message.reason != "compiler-artifact" {
        return None;
    }
    Some((message.target?.name, message.executable?))
}

/// A cargo command for `platform`, with target and flags set. Installs what the platform lacks, and says so.
pub fn cargo(workspace: &Workspace, subcommand: &str, platform: Platform) -> Result<Command> {
    let mut command = Command::new("cargo");
    command.current_dir(workspace.root()).arg(subcommand).env("CARGO_TARGET_DIR", workspace.target());
    let (target, std_crates) = match platform {
        Platform::Host => return Ok(command),
        Platform::Kernel => (KERNEL_TARGET, "core,alloc"),
        Platform::Guest => (MUSL_TARGET, "std,panic_unwind"),
    };
    match compiler_for(target)? {
        Compiler::Default => {
            command.args(["--target", target]);
        }
        Compiler::Debian => {
            find(LLD)?;
            let mut debian = Command::new("/usr/bin/cargo");
            debian.current_dir(workspace.root()).arg(subcommand).env("CARGO_TARGET_DIR", workspace.target());
            debian.env("RUSTC_BOOTSTRAP", "1").env("RUSTC", "/usr/bin/rustc");
            let path = std::env::var("PATH").unwrap_or_default();
            debian.env("PATH", format!("/usr/bin:{path}"));
            if platform == Platform::Kernel {
                debian.args([
                    &format!("-Zbuild-std={std_crates}"),
                    "-Zbuild-std-features=compiler-builtins-mem",
                ]);
                debian.args(["--target", target]).env("CARGO_TARGET_X86_64_UNKNOWN_NONE_LINKER", "ld.lld");
            } else {
                // Debian ships no musl for Rust: glibc linked statically, which makes a static PIE.
                debian.args(["--target", GNU_TARGET]);
                debian
                    .env("CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUSTFLAGS", "-C target-feature=+crt-static");
            }
            command = debian;
        }
    }
    Ok(command)
}

/// Adds a target that only rustup's compiler is used for.
///
/// # Errors
/// rustup is not there or cannot fetch it.
pub fn need_target(target: &str) -> Result<()> {
    if has_target(target) || add_target(target) {
        return Ok(());
    }
    bail!("this Rust cannot build for {target}: install rustup (https://rustup.rs) and try again")
}

/// The compiler that can build for `target`, after adding the target where rustup can.
fn compiler_for(target: &str) -> Result<Compiler> {
    if has_target(target) {
        return Ok(Compiler::Default);
    }
    if locate("rustup").is_some() {
        if add_target(target) {
            return Ok(Compiler::Default);
        }
        say(format!("rustup cannot fetch {target}: Debian's rustc-web takes its place"));
    }
    if !Path::new("/usr/lib/rustlib/src/rust/library/core").exists() && locate("/usr/src/rustc-web").is_none()
    {
        apt_install(&["rustc-web", "cargo-web", "rust-web-src", "lld"])?;
    }
    Ok(Compiler::Debian)
}

/// Adds `target` to the compiler in PATH, where that is rustup's; whether it is there now.
fn add_target(target: &str) -> bool {
    if locate("rustup").is_none() {
        return false;
    }
    say(format!("installing the Rust target {target} (rustup)"));
    let status = Command::new("rustup").args(["-q", "target", "add", target]).status();
    status.is_ok_and(|status| status.success()) && has_target(target)
}

/// Whether the compiler in PATH has `target`'s libraries.
fn has_target(target: &str) -> bool {
    let Ok(output) = Command::new("rustc").args(["--print", "sysroot"]).stderr(Stdio::null()).output() else {
        return false;
    };
    let sysroot = String::from_utf8_lossy(&output.stdout);
    Path::new(sysroot.trim()).join("lib/rustlib").join(target).join("lib").exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_executable_is_found_in_cargos_messages() {
        let line = r#"{"reason":"compiler-artifact","target":{"name":"kernel"},"executable":"/t/kernel"}"#;
        assert_eq!(executable(line), Some(("kernel".into(), "/t/kernel".into())));
    }

    #[test]
    fn a_library_and_a_line_of_text_are_not_executables() {
        assert_eq!(
            executable(r#"{"reason":"compiler-artifact","target":{"name":"a"},"executable":null}"#),
            None
        );
        assert_eq!(executable("warning: something"), None);
    }
}

//! `./hob image iso`: a disc image with GRUB that starts on PCs with BIOS and with UEFI.

use crate::args::{Image, ImageKind};
use crate::initramfs;
use crate::kernel_image;
use crate::prerequisites::{self, GRUB};
use crate::progress::{Step, say};
use crate::toolchain::Profile;
use crate::workspace::Workspace;
use anyhow::{Context, Result, bail};
use std::path::Path;
use std::process::{Command, ExitCode};

/// Makes the image that the arguments ask for.
pub fn run(workspace: &Workspace, arguments: &Image) -> Result<ExitCode> {
    let profile = if arguments.debug { Profile::Debug } else { Profile::Release };
    let kernel = kernel_image::build(workspace, profile)?;
    let output = match &arguments.output {
        Some(output) => output.clone(),
        None => workspace.target().join("hob.iso"),
    };
    let step = Step::new("making the image");
    match arguments.kind {
        ImageKind::Iso => {
            let archive = initramfs::archive(&initramfs::base()?)?;
            make_iso(&kernel.file, &archive, "console=ttyS0", &output)?;
        }
    }
    drop(step);
    let size = std::fs::metadata(&output).with_context(|| format!("cannot read {}", output.display()))?.len();
    say(format!("made {} ({:.1} MiB)", output.display(), size as f64 / (1024.0 * 1024.0)));
    Ok(ExitCode::SUCCESS)
}

/// Makes a disc image of a kernel, an initramfs and the words of the kernel's command line.
pub fn make_iso(kernel: &Path, initramfs: &[u8], words: &str, output: &Path) -> Result<()> {
    let mut grub = None;
    for need in GRUB {
        let path = prerequisites::find(need)?;
        grub.get_or_insert(path);
    }
    let folder =
        tempfile::Builder::new().prefix("hob-iso-").tempdir().context("cannot make a temporary folder")?;
    let boot = folder.path().join("boot");
    std::fs::create_dir_all(boot.join("grub"))?;
    std::fs::copy(kernel, boot.join("hob")).with_context(|| format!("cannot copy {}", kernel.display()))?;
    std::fs::write(boot.join("initramfs"), initramfs)?;
    std::fs::write(boot.join("grub/grub.cfg"), configuration(words))?;

    let mut command = Command::new(grub.unwrap_or_else(|| "grub-mkrescue".into()));
    let made =
        command.arg("-o").arg(output).arg(folder.path()).output().context("cannot run grub-mkrescue")?;
    if !made.status.success() {
        bail!("grub-mkrescue failed:\n{}", String::from_utf8_lossy(&made.stderr).trim());
    }
    Ok(())
}

/// GRUB's commands: on the serial port as well as on a screen, without a menu.
fn configuration(words: &str) -> String {
    format!(
        "serial --unit=0 --speed=115200\nterminal_output console serial\nset timeout=0\n\
         menuentry Hob {{\n    multiboot2 /boot/hob {words}\n    module2 /boot/initramfs\n    boot\n}}\n"
    )
}

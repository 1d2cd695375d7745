//! Programs and targets that a command needs: found at once when they are there, installed and announced when not.

use crate::progress::say;
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A file that some Debian package provides.
#[derive(Debug, Clone, Copy)]
pub struct Need {
    /// A program's name, looked for in PATH, or an absolute path.
    pub file: &'static str,
    /// The Debian packages that bring it.
    pub packages: &'static [&'static str],
}

/// The emulator.
pub const QEMU: Need = Need { file: "qemu-system-x86_64", packages: &["qemu-system-x86"] };
/// Debian's static busybox; the packages busybox and busybox-static both own this path, so [`busybox`] looks closer.
pub const BUSYBOX: Need = Need { file: "/bin/busybox", packages: &["busybox-static"] };
/// The linker of the fallback toolchain.
pub const LLD: Need = Need { file: "ld.lld", packages: &["lld"] };
/// UEFI firmware for the image tests.
pub const OVMF: Need = Need { file: "/usr/share/ovmf/OVMF.fd", packages: &["ovmf"] };
/// What makes a bootable ISO image.
pub const GRUB: [Need; 5] = [
    Need { file: "grub-mkrescue", packages: &["grub-common"] },
    Need { file: "/usr/lib/grub/i386-pc/boot.img", packages: &["grub-pc-bin"] },
    Need { file: "/usr/lib/grub/x86_64-efi/kernel.img", packages: &["grub-efi-amd64-bin"] },
    Need { file: "xorriso", packages: &["xorriso"] },
    Need { file: "mformat", packages: &["mtools"] },
];

/// Where the file of `need` is; its packages are installed first when it is missing.
pub fn find(need: Need) -> Result<PathBuf> {
    if let Some(path) = locate(need.file) {
        return Ok(path);
    }
    apt_install(need.packages)?;
    locate(need.file).with_context(|| {
        format!("{} is still missing after installing {}", need.file, need.packages.join(" "))
    })
}

/// Debian's busybox, statically linked as the guest needs it.
pub fn busybox() -> Result<PathBuf> {
    let path = find(BUSYBOX)?;
    if !is_static(&path)? {
        apt_install(BUSYBOX.packages)?;
        if !is_static(&path)? {
            bail!("{} is not statically linked; install busybox-static instead of busybox", path.display());
        }
    }
    Ok(path)
}

/// Installs Debian packages, with sudo where the user is not root. Says which.
pub fn apt_install(packages: &[&str]) -> Result<()> {
    say(format!("installing {} (apt)", packages.join(" ")));
    let install = |command: &mut Command| -> Result<bool> {
        let status = command.stdout(Stdio::null()).status().context("cannot run apt-get")?;
        Ok(status.success())
    };
    let attempt = || install(apt_get("install").args(["-y", "--no-install-recommends"]).args(packages));
    if attempt()? {
        return Ok(());
    }
    // A machine whose package lists are missing or old.
    install(&mut apt_get("update"))?;
    if !attempt()? {
        bail!("apt-get could not install {}; install it by hand and try again", packages.join(" "));
    }
    Ok(())
}

/// `apt-get WORD`, which waits for as long as ten minutes for another package manager to end (apt.conf(5); a machine
/// that was just started often has one at work).
fn apt_get(word: &str) -> Command {
    let mut command = as_root("apt-get");
    command.args(["-o", "DPkg::Lock::Timeout=600", "-qq", word]);
    command
}

/// A command that runs as root: directly for root, through sudo for everybody else.
fn as_root(program: &str) -> Command {
    let mut command;
    if rustix::process::geteuid().is_root() {
        command = Command::new(program);
    } else {
        command = Command::new("sudo");
        command.args(["--preserve-env=DEBIAN_FRONTEND", program]);
    }
    command.env("DEBIAN_FRONTEND", "noninteractive");
    command
}

/// Looks a program up in PATH, as the shell does; an absolute path stands for itself.
pub fn locate(file: &str) -> Option<PathBuf> {
    if file.starts_with('/') {
        return Path::new(file).exists().then(|| PathBuf::from(file));
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .map(|folder| folder.join(file))
        .find(|path| path.is_file())
}

/// Whether an ELF file asks for no interpreter (no PT_INTERP): it runs where there are no libraries.
pub fn is_static(path: &Path) -> Result<bool> {
    use object::read::elf::{FileHeader, ProgramHeader};
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let header = object::elf::FileHeader64::<object::Endianness>::parse(&*bytes)
        .with_context(|| format!("{} is not a 64-bit ELF file", path.display()))?;
    let endian = header.endian().with_context(|| format!("{} has no valid ELF header", path.display()))?;
    let segments = header
        .program_headers(endian, &*bytes)
        .with_context(|| format!("{} has no valid program headers", path.display()))?;
    Ok(!segments.iter().any(|segment| segment.p_type(endian) == object::elf::PT_INTERP))
}

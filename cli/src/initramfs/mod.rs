//! The initramfs: Debian's own busybox, the few files under /etc that it reads, and what a command adds.

pub mod tree;

use crate::job::{self, Input, Job};
use crate::prerequisites;
use anyhow::{Context, Result};
use formats::cpio::{Device, Metadata, Writer};
use std::path::Path;
use std::process::Command;
use tree::{Node, Tree};

const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n";
const GROUP: &str = "root:x:0:\ntty:x:5:\nnogroup:x:65534:\n";
const HOSTNAME: &str = "hob\n";
const INITTAB: &str = include_str!("etc/inittab");
const START: &str = include_str!("etc/rcS");
const PROFILE: &str = include_str!("etc/profile");

/// Debian's busybox with a link for each applet, ready for an interactive shell.
pub fn base() -> Result<Tree> {
    let busybox = prerequisites::busybox()?;
    let program = std::fs::read(&busybox).with_context(|| format!("cannot read {}", busybox.display()))?;
    let list = Command::new(&busybox)
        .arg("--list-full")
        .output()
        .with_context(|| format!("cannot run {}", busybox.display()))?;
    let applets = String::from_utf8(list.stdout).context("busybox --list-full did not print text")?;

    let mut tree = Tree::default();
    for folder in ["dev", "etc", "mnt", "proc", "run", "sys", "tmp", "var"] {
        tree.folder(folder);
    }
    tree.add("root", Node::Folder { mode: 0o700 });
    tree.add("tmp", Node::Folder { mode: 0o1777 });
    tree.add("dev/console", Node::Characters { mode: 0o600, major: 5, minor: 1 });
    tree.add("dev/null", Node::Characters { mode: 0o666, major: 1, minor: 3 });
    for applet in applets.lines().filter(|applet| !applet.is_empty()) {
        tree.link(applet, "/bin/busybox");
    }
    tree.program("bin/busybox", program);
    tree.link("init", "/sbin/init");
    tree.file("etc/passwd", PASSWD);
    tree.file("etc/group", GROUP);
    tree.file("etc/hostname", HOSTNAME);
    tree.file("etc/inittab", INITTAB);
    tree.file("etc/profile", PROFILE);
    tree.program("etc/init.d/rcS", START);
    Ok(tree)
}

/// Puts a program of the host into `/bin` of the tree, under its own name.
pub fn add_program(tree: &mut Tree, program: &Path) -> Result<()> {
    let name = program
        .file_name()
        .and_then(|name| name.to_str())
        .with_context(|| format!("{} is no file name to use in the image", program.display()))?;
    let bytes = std::fs::read(program).with_context(|| format!("cannot read {}", program.display()))?;
    tree.program(&format!("bin/{name}"), bytes);
    Ok(())
}

/// Adds the job, in the form that Hob reads and in the form that a shell can start on another kernel.
pub fn add_job(tree: &mut Tree, job: &Job) {
    tree.file(job::PATH, job.encode());
    tree.program(job::SCRIPT_PATH, job.script());
    if let Input::Bytes(input) = &job.input {
        tree.file(job::INPUT_PATH, input.clone());
    }
}

/// The archive of `tree` in the form that a kernel unpacks. The same tree always gives the same bytes.
pub fn archive(tree: &Tree) -> Result<Vec<u8>> {
    let mut writer = Writer::new();
    for (path, node) in tree.nodes() {
        let name = path.as_bytes();
        let written = match node {
            Node::Folder { mode } => writer.directory(name, &Metadata::root(*mode)),
            Node::File { mode, data } => writer.file(name, &Metadata::root(*mode), data),
            Node::Link { target } => writer.symlink(name, &Metadata::root(0o777), target.as_bytes()),
            Node::Characters { mode, major, minor } => {
                writer.character(name, &Metadata::root(*mode), Device { major: *major, minor: *minor })
            }
        };
        written.with_context(|| format!("cannot put {path} into the initramfs"))?;
    }
    Ok(writer.finish())
}

/// Appends a second archive to a finished one. A kernel unpacks them one after the other, the later over the earlier.
pub fn append(archive: &mut Vec<u8>, tree: &Tree) -> Result<()> {
    // Each archive begins on a multiple of four bytes; zeros between archives are passed over.
    archive.resize(archive.len().next_multiple_of(4), 0);
    archive.extend(self::archive(tree)?);
    Ok(())
}

//! Linux as the oracle: the job that Hob is given, run by the host's kernel in the same surroundings.
//!
//! The root folder holds the initramfs's files, the job is process 1 of a PID namespace, its console a terminal that passes
//! bytes unchanged, its limits those that Linux gives its first process.

use super::transcript::Transcript;
use crate::initramfs::tree::Tree;
use crate::job::{Input, Job};
use crate::process;

use crate::pseudoterminal::{self, Pseudoterminal};
use anyhow::{Context, Result, bail};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};
use std::fs::File;
use std::io::Read;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Longer than any case needs; only a hang reaches it.
const LIMIT: Duration = Duration::from_secs(600);

/// Mounts what Hob has mounted before the job starts, closes what it was given besides the terminal (whoever started `./hob`
/// may have left descriptors open), then becomes the job. `$1` is the root folder. In bash's language, since sh can close only
/// descriptors of one digit.
const PREPARE: &str = "set -e; root=$1; shift
    mount --rbind /dev $root/dev; mount -t proc proc $root/proc; mount -t sysfs sysfs $root/sys
    mount -t tmpfs tmpfs $root/tmp; hostname hob
    umask 022
    for file in /proc/self/fd/*; do number=${file##*/}; if ((number > 2)); then exec {number}>&-; fi; done
    exec setsid -c chroot $root /bin/busybox sh -c 'test ! -f /etc/hob/input || exec </etc/hob/input
    exec /bin/busybox env -i \"$@\"' sh \"$@\"";

/// Runs `job` over `tree` on the host.
pub fn run(tree: &Tree, job: &Job) -> Result<Transcript> {
    let root =
        tempfile::Builder::new().prefix("hob-linux-").tempdir().context("cannot make a temporary folder")?;
    tree.write_to(root.path())?;
    if let Input::Bytes(input) = &job.input {
        let file = root.path().join(crate::job::INPUT_PATH);
        file.parent().map_or(Ok(()), std::fs::create_dir_all)?;
        std::fs::write(&file, input).with_context(|| format!("cannot write {}", file.display()))?;
    }
    let Pseudoterminal { ours, theirs } = pseudoterminal::open(24, 80)?;
    let mut settings = tcgetattr(&theirs)?;
    settings.make_raw();
    tcsetattr(&theirs, OptionalActions::Now, &settings)?;

    // Signals that whoever started the tests ignores (nohup, a script's background) are none of the job's business.
    let mut command = Command::new("env");
    command.args(["--default-signal", "prlimit"]);
    command.args(["--nofile=1024:4096", "--stack=8388608:unlimited", "--core=0:unlimited"]);
    command.args(["unshare", "--mount", "--pid", "--uts", "--ipc", "--fork", "--kill-child"]);
    if !rustix::process::geteuid().is_root() {
        command.arg("--map-root-user");
    }
    command.args(["bash", "-c", PREPARE, "bash"]).arg(root.path());
    command.args(&job.environment).args(&job.arguments);
    let stdio = || -> Result<Stdio> { Ok(theirs.try_clone()?.into()) };
    let mut child = command
        .stdin(stdio()?)
        .stdout(stdio()?)
        .stderr(stdio()?)
        .spawn()
        .context("cannot run env, prlimit and unshare")?;
    // The command holds copies of the terminal; only when the last is closed does reading end.
    drop(command);
    drop(theirs);

    let reader = std::thread::spawn(move || read_to_hangup(ours));
    let Some(status) = process::wait_within(&mut child, LIMIT)? else {
        process::end(&mut child);
        bail!("on Linux the program was still running after {} s", LIMIT.as_secs());
    };
    let output = reader.join().map_err(|_| anyhow::anyhow!("the reader of the terminal panicked"))?;
    Ok(Transcript { output, status })
}

/// Everything that is written to the terminal until its other side is closed (EIO).
fn read_to_hangup(mut terminal: File) -> Vec<u8> {
    let mut output = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(count) = terminal.read(&mut buffer) {
        if count == 0 {
            break;
        }
        output.extend_from_slice(&buffer[..count]);
    }
    output
}

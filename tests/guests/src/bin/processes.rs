//! Processes: how they end and what their parent is told, what can be started, groups, stopping, orphans.

use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, WaitOptions, getpgid, getpgrp, getpid, getppid, kill_process,
    kill_process_group, test_kill_process, wait, waitid, waitpid,
};
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, Stdio};

fn main() -> io::Result<()> {
    println!("own number: {}", getpid().as_raw_nonzero());
    println!("parent: {:?}", getppid().map(|parent| parent.as_raw_nonzero()));
    endings()?;
    surroundings()?;
    not_programs()?;
    waiting()?;
    groups()?;
    orphans()
}

fn shell(script: &str) -> Command {
    let mut command = Command::new("/bin/busybox");
    command.args(["sh", "-c", script]);
    command
}

fn pid(child: &Child) -> Pid {
    Pid::from_child(child)
}

fn endings() -> io::Result<()> {
    for status in [0, 1, 42, 127, 128, 255, 256, -1] {
        let ended = shell(&format!("exit {}", status & 0xffff)).status()?;
        println!("exit {status}: code {:?}, signal {:?}", ended.code(), ended.signal());
    }
    for signal in [1, 2, 6, 9, 11, 13, 14, 15, 24, 31] {
        let ended = shell(&format!("kill -{signal} $$; exit 1")).stderr(Stdio::null()).status()?;
        println!(
            "signal {signal}: code {:?}, signal {:?}, {:#x}",
            ended.code(),
            ended.signal(),
            ended.into_raw()
        );
    }
    for signal in [17, 18, 23, 28] {
        let ended = shell(&format!("kill -{signal} $$; exit 5")).status()?;
        println!("signal {signal} is ignored: {:?}", ended.code());
    }
    Ok(())
}

fn surroundings() -> io::Result<()> {
    let output = shell("pwd; echo $A $B; cat; echo $0 $1")
        .args(["zero", "one"])
        .env_clear()
        .env("A", "first")
        .env("PATH", "/bin")
        .current_dir("/proc")
        .stdin(Stdio::null())
        .output()?;
    println!("output: {}", output.stdout.escape_ascii());
    println!("errors: {}", output.stderr.escape_ascii());
    let output = shell("ls /proc/self/fd | wc -l").env("PATH", "/bin").output()?;
    println!("no descriptors are passed on: {}", output.stdout.escape_ascii());
    Ok(())
}

fn not_programs() -> io::Result<()> {
    let file = |name: &str, content: &[u8], mode| -> io::Result<()> {
        fs::write(name, content)?;
        fs::set_permissions(name, fs::Permissions::from_mode(mode))
    };
    file("/tmp/script", b"#!/bin/busybox echo\nnot read\n", 0o755)?;
    file("/tmp/nested", b"#!/tmp/script  some argument \n", 0o755)?;
    file("/tmp/lost", b"#!/missing\n", 0o755)?;
    file("/tmp/text", b"neither\n", 0o755)?;
    file("/tmp/empty", b"", 0o755)?;
    file("/tmp/cut", b"\x7fELF\x02\x01\x01", 0o755)?;
    file("/tmp/plain", b"#!/bin/busybox echo\n", 0o644)?;
    for name in ["script", "nested", "lost", "text", "empty", "cut", "plain", "missing", "text/below", ""] {
        let result = Command::new(format!("/tmp/{name}")).arg("last").output();
        match result {
            Ok(output) => println!("{name:?}: {:?} {}", output.status.code(), output.stdout.escape_ascii()),
            Err(error) => println!("{name:?}: {:?}", error.raw_os_error()),
        }
    }
    Ok(())
}

fn waiting() -> io::Result<()> {
    println!("no child: {:?}", wait(WaitOptions::NOHANG));
    let child = shell("read line; exit 9").stdin(Stdio::piped()).spawn()?;
    println!("still running: {:?}", waitpid(Some(pid(&child)), WaitOptions::NOHANG)?.is_none());
    println!("it exists: {:?}", test_kill_process(pid(&child)));
    kill_process(pid(&child), Signal::STOP)?;
    let stopped =
        waitpid(Some(pid(&child)), WaitOptions::UNTRACED)?.map(|(_, status)| status.stopping_signal());
    println!("stopped by {stopped:?}");
    kill_process(pid(&child), Signal::CONT)?;
    let continued = waitpid(Some(pid(&child)), WaitOptions::CONTINUED)?.map(|(_, status)| status.continued());
    println!("continued: {continued:?}");
    let number = pid(&child);
    drop(child);
    let seen = waitid(WaitId::Pid(number), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT)?;
    println!("seen and left: {:?}", seen.map(|status| status.exit_status()));
    println!("a dead child exists: {:?}", test_kill_process(number));
    let taken = waitpid(Some(number), WaitOptions::empty())?.map(|(_, status)| status.exit_status());
    println!("taken: {taken:?}");
    println!("and gone: {:?} {:?}", waitpid(Some(number), WaitOptions::NOHANG), test_kill_process(number));
    Ok(())
}

fn groups() -> io::Result<()> {
    let first = Command::new("/bin/busybox").args(["sleep", "10"]).process_group(0).spawn()?;
    let group = pid(&first);
    let second =
        Command::new("/bin/busybox").args(["sleep", "10"]).process_group(group.as_raw_pid()).spawn()?;
    println!("a group of its own: {}", getpgid(Some(group))? == group && group != getpgrp());
    println!("joined: {}", getpgid(Some(pid(&second)))? == group);
    kill_process_group(group, Signal::TERM)?;
    for mut child in [first, second] {
        println!("ended by {:?}", child.wait()?.signal());
    }
    println!("an empty group: {:?}", kill_process_group(group, Signal::TERM));
    let mut gone = 0;
    for _ in 0..50 {
        let mut child = shell("exit 0").process_group(0).spawn()?;
        child.wait()?;
        gone += u32::from(kill_process_group(pid(&child), Signal::TERM).is_err());
    }
    println!("a group goes with its last process: {gone} of 50");
    Ok(())
}

/// A process whose parent ends becomes a child of process 1, which this program is.
fn orphans() -> io::Result<()> {
    let ended = shell("(sleep 0.2; exit 7) & exit 3").status()?;
    println!("the parent: {:?}", ended.code());
    let orphan = wait(WaitOptions::empty())?.map(|(_, status)| status.exit_status());
    println!("the orphan: {orphan:?}");
    println!("nobody is left: {:?}", wait(WaitOptions::empty()));
    Ok(())
}

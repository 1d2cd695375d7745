//! What the hub writes is the hub's alone, whatever the umask, and a backup is whole or not there.

mod support;

use hub_store::backup;
use serde_json::json;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;
use support::*;

/// Every file and folder below and including `path` with its mode.
fn modes(path: &Path) -> Vec<(String, u32)> {
    let metadata = std::fs::symlink_metadata(path).unwrap();
    let mut all = vec![(path.display().to_string(), metadata.permissions().mode() & 0o777)];
    if metadata.is_dir() {
        for entry in std::fs::read_dir(path).unwrap() {
            all.extend(modes(&entry.unwrap().path()));
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_can_read_what_the_hub_keeps_whatever_the_umask() {
    let scratch = Scratch::new("modes");
    let file = Process::configure(&scratch, free_port(), true);
    let under_umask = |arguments: &[&std::ffi::OsStr]| {
        let mut command = Command::new("sh");
        command.args(["-c", "umask 000; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_hub"), "--config"]);
        command.arg(&file).args(arguments).stderr(Stdio::null());
        command
    };
    let hub = Process::of(under_umask(&[]));
    let made = send(hub.http, "POST", "/api/backups", json!({"passphrase": "phrase"})).await.json();
    let path = format!("/api/backups/{}", made["id"].as_str().unwrap());
    until("the backup is good", AT_LAST, async || get(hub.http, &path).await.json()["state"] == "good").await;
    let (online, offline) = (scratch.0.join("online.hob"), scratch.0.join("offline.hob"));
    let back_up = |to: &Path| under_umask(&["backup".as_ref(), to.as_os_str()]).status().unwrap().success();
    assert!(back_up(&online));
    hub.kill();
    assert!(back_up(&offline));
    let all = [modes(&scratch.0.join("state")), modes(&online), modes(&offline)].concat();
    assert!(all.len() >= 6, "store, socket, backup: {all:?}");
    let open: Vec<_> = all.iter().filter(|(_, mode)| mode & 0o077 != 0).collect();
    assert!(open.is_empty(), "others may look into {open:?}");
    // A store that an earlier hub has left open to everyone is closed.
    let store = scratch.0.join("state/store.redb");
    std::fs::set_permissions(&store, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(back_up(&offline));
    assert_eq!(modes(&store)[0].1, 0o600);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_is_killed_leaves_the_one_before() {
    let rounds = if std::env::var_os("HUB_FULL_TESTS").is_some() { 100 } else { 5 };
    let scratch = Scratch::new("torn");
    let file = Process::configure(&scratch, free_port(), true);
    let (to, phrase, before) =
        (scratch.0.join("house.hob"), scratch.0.join("phrase"), scratch.0.join("before"));
    std::fs::write(&phrase, "phrase\n").unwrap();
    let back_up = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hub"));
        command.arg("--config").arg(&file).arg("backup").arg(&to).arg("--passphrase-file").arg(&phrase);
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    };
    let makes_the_store =
        Command::new(env!("CARGO_BIN_EXE_hub")).arg("--config").arg(&file).arg("nodes").status();
    assert!(makes_the_store.unwrap().success());
    let began = Instant::now();
    assert!(back_up().wait().unwrap().success());
    let takes = began.elapsed();
    let opens = |sealed: &Path| {
        let opened = scratch.0.join("opened");
        hub_store::sealed::open(sealed, &opened, "phrase").map_err(|e| e.to_string())?;
        backup::verify(&opened)
    };
    let mut random = Random(0x5eed);
    for round in 0..rounds {
        std::fs::copy(&to, &before).unwrap();
        let mut child = back_up();
        std::thread::sleep(takes.mul_f64(random.below(1_000) as f64 / 1_000.0));
        // It may have ended by itself.
        let _ = child.kill();
        child.wait().unwrap();
        if std::fs::read(&to).unwrap() != std::fs::read(&before).unwrap() {
            assert!(opens(&to).is_ok(), "round {round}: neither the backup before nor a whole one");
        }
    }
    // What is left behind is in nobody's way, and goes.
    assert!(back_up().wait().unwrap().success());
    assert!(opens(&to).is_ok());
    for scratch in backup::scratch_of(&to) {
        assert!(!scratch.exists(), "{}", scratch.display());
    }
    // When a copy cannot be made, what was there stays.
    let whole = std::fs::read(&to).unwrap();
    let [plain, ..] = backup::scratch_of(&to);
    std::fs::create_dir(&plain).unwrap();
    assert!(!back_up().wait().unwrap().success());
    assert_eq!(std::fs::read(&to).unwrap(), whole);
}

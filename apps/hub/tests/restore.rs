//! Going back to a backup by the API, and the command line while no hub runs: the hub as a process of its own.

mod support;

use futures_util::StreamExt as _;
use serde_json::{Value, json};
use std::io::Write as _;
use std::process::{Command, Stdio};
use support::*;
use tokio_tungstenite::tungstenite::Message;

#[tokio::test(flavor = "multi_thread")]
async fn a_running_hub_goes_back_to_a_backup_and_starts_anew_with_it() {
    let scratch = Scratch::new("restore");
    let port = free_port();
    let mut hub = Process::start(&scratch, port, true);
    let name = async |at, name: &str| {
        assert_eq!(send(at, "PUT", "/api/areas/garden", json!({ "name": name })).await.status, 200);
    };
    name(hub.http, "Roses").await;
    let made = send(hub.http, "POST", "/api/backups", json!({"passphrase": "phrase"})).await.json();
    let path = format!("/api/backups/{}", made["id"].as_str().unwrap());
    until("the backup is good", AT_LAST, async || get(hub.http, &path).await.json()["state"] == "good").await;
    name(hub.http, "Weeds").await;
    let restore = format!("{path}/restore");
    let wrong = send(hub.http, "POST", &restore, json!({"passphrase": "guess"})).await;
    assert_eq!(wrong.status, 422, "{}", wrong.json());
    assert_eq!(send(hub.http, "POST", "/api/backups/0/restore", json!({})).await.status, 404);
    assert_eq!(get(hub.http, "/api/areas").await.json()[0]["name"], "Weeds");
    let (mut listener, _) = tokio_tungstenite::connect_async(format!("ws://{}/ws", hub.http)).await.unwrap();
    let answer = send(hub.http, "POST", &restore, json!({"passphrase": "phrase"})).await;
    assert_eq!((answer.status, &answer.json()["status"]), (202, &json!("restarting")));
    // Whoever listens is told that the hub starts anew, and can come again.
    let last = loop {
        match listener.next().await {
            Some(Ok(Message::Close(Some(close)))) => break u16::from(close.code),
            Some(Ok(_)) => {}
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(last, 1012);
    let mut hub = tokio::task::spawn_blocking(move || {
        hub.started_anew();
        hub
    })
    .await
    .unwrap();
    assert_eq!(get(hub.http, "/api/areas").await.json()[0]["name"], "Roses");
    let listed = get(hub.http, "/api/backups").await.json();
    assert_eq!(
        listed.as_object().map(serde_json::Map::len),
        Some(1),
        "backups of earlier runs are listed: {listed}"
    );
    assert!(scratch.0.join("state/store.before-restore").exists());
    // The way back.
    assert_eq!(send(hub.http, "POST", &restore, json!({"passphrase": "phrase"})).await.status, 202);
    hub = tokio::task::spawn_blocking(move || {
        hub.started_anew();
        hub
    })
    .await
    .unwrap();
    name(hub.http, "Beans").await;
    hub.kill();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_works_on_the_store_while_no_hub_runs() {
    let scratch = Scratch::new("offline");
    let port = free_port();
    let file = Process::configure(&scratch, port, false);
    let run = |arguments: &[&str], input: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hub"));
        command.arg("--config").arg(&file).args(arguments);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    assert!(run(&["user", "add", "anna", "--role", "admin"], "open sesame\n").0);
    assert!(!run(&["user", "add", "ben", "--role", "king"], "open sesame\n").0);
    assert!(run(&["nodes"], "").0);
    let (is_ok, openapi) = run(&["export-openapi"], "");
    let openapi: Value = serde_json::from_str(&openapi).unwrap();
    assert!(is_ok && openapi["paths"]["/api/devices"].is_object());
    assert!(!run(&["status"], "").0, "there are no figures of a hub that does not run");
    let hub = Process::start(&scratch, port, false);
    let login =
        send(hub.http, "POST", "/api/login", json!({"user": "anna", "password": "open sesame"})).await;
    assert_eq!(login.status, 200, "{}", login.json());
    // The same through the running hub.
    assert!(run(&["user", "add", "ben"], "open sesame\n").0);
    assert!(run(&["status"], "").0);
    hub.kill();
}

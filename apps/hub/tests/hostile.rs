//! Damaged configurations, requests and WebSocket frames: refused or answered, and the hub goes on.

mod support;

use hostile::attack;
use hub::Config;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;
use support::*;

#[test]
fn configurations() {
    let small = b"state = \"/tmp/x\"\n[server]\nhttp = \"127.0.0.1:0\"\n[place]\nlatitude = 48.86\ntime_zone = \"Europe/Paris\"\n";
    let defaults = Config::default().to_toml().unwrap();
    let rules = br#"[rules.r]
triggers = [{ on = "cron", when = "*/5 * * * *" }]
actions = [{ do = "emit", event = "x" }]
[programs.p]
zones = [{ valve = "dwn.n1.valve_a", seconds = 60 }]
starts = ["06:30"]
[scripts.s]
source = "log(\"x\")"
"#;
    attack(1, 1_000, &[small, defaults.as_bytes(), rules], |input| {
        let text = String::from_utf8_lossy(input);
        match Config::parse(&text, Path::new("hub.toml")) {
            Ok(config) => drop(config.to_toml()),
            Err(mistake) => {
                let lines = text.matches('\n').count() + 1;
                assert!(mistake.line.is_none_or(|line| (1..=lines).contains(&line)), "{mistake}");
            }
        }
    });
}

/// Sends bytes, says that no more will come, and reads until the hub closes.
fn talk(at: SocketAddr, bytes: &[u8]) {
    let mut stream = TcpStream::connect(at).unwrap();
    // Only so that a hub that hangs ends the test.
    stream.set_read_timeout(Some(Duration::from_secs(120))).unwrap();
    // A hub that has heard enough may close before everything is sent.
    if stream.write_all(bytes).is_ok() && stream.shutdown(Shutdown::Write).is_ok() {
        let mut answer = Vec::new();
        if let Err(error) = stream.read_to_end(&mut answer) {
            assert_ne!(error.kind(), std::io::ErrorKind::WouldBlock, "the hub neither answers nor closes");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_and_frames() {
    let scratch = Scratch::new("mutated");
    let hub = start(&config(&scratch)).await;
    let at = hub.http;
    // The house's own.
    let listening = hub.house.bus().subscribers();
    let request = |line: &str, body: &str| {
        let len = body.len();
        format!(
            "{line} HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\nContent-Type: application/json\r\n\
             Content-Length: {len}\r\n\r\n{body}"
        )
        .into_bytes()
    };
    let mut websocket = format!(
        "GET /ws?patterns=state/* HTTP/1.1\r\nHost: {at}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    .into_bytes();
    for text in [r#"{"subscribe": ["state/*", "dwn"]}"#, "x"] {
        let text = wire::websocket::Outgoing::Text(text);
        websocket.extend(wire::websocket::encode(text, Some([1, 2, 3, 4])));
    }
    let rule = r#"{"triggers":[{"on":"webhook","id":"w"}],"actions":[{"do":"emit","event":"x"}]}"#;
    let examples = [
        request("GET /api/history?entity=a.b&from=0&points=5", ""),
        request("GET /api/events?patterns=state/*,dwn&limit=5", ""),
        request("POST /api/events", r#"[{"event":"x","n":1}]"#),
        request("PUT /api/rules/r", rule),
        request("PUT /api/areas/garden", r#"{"name":"Garden"}"#),
        request("POST /api/login", r#"{"user":"anna","password":"x"}"#),
        websocket,
    ];
    let examples: Vec<&[u8]> = examples.iter().map(Vec::as_slice).collect();
    tokio::task::block_in_place(|| attack(2, 300, &examples, |input| talk(at, input)));
    assert_eq!(get(at, "/api/health").await.status, 200);
    until("nobody else listens any more", SOON, async || hub.house.bus().subscribers() == listening).await;
}

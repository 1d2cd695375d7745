//! RFC 6455, frame by frame, and every defect of the server that this one follows.

mod support;

use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::Duration;
use support::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

struct Client(TcpStream);

#[derive(Debug, PartialEq)]
struct Frame {
    opcode: u8,
    payload: Vec<u8>,
}

fn handshake(at: SocketAddr, path: &str, extra: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: {at}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n{extra}\r\n"
    )
}

/// A masked frame as clients send them.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        len @ 0..=125 => bytes.push(0x80 | len as u8),
        len @ 126..=65_535 => {
            bytes.push(0x80 | 126);
            bytes.extend((len as u16).to_be_bytes());
        }
        len => {
            bytes.push(0x80 | 127);
            bytes.extend((len as u64).to_be_bytes());
        }
    }
    let mask = [1, 2, 3, 4];
    bytes.extend(mask);
    bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(b, m)| b ^ m));
    bytes
}

impl Client {
    async fn open(at: SocketAddr) -> Client {
        let mut stream = TcpStream::connect(at).await.unwrap();
        // No event comes unasked: only what the test subscribes to.
        stream.write_all(handshake(at, "/ws?patterns=nothing", "").as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap().to_lowercase();
        assert!(head.starts_with("http/1.1 101"), "{head}");
        assert!(head.contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="), "{head}");
        Client(stream)
    }
    async fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.unwrap();
    }
    /// The next frame; none when the server closes the connection.
    async fn next(&mut self) -> Option<Frame> {
        let read = async {
            let first = self.0.read_u8().await.ok()?;
            assert_eq!(first & 0x70, 0, "a reserved bit");
            let second = self.0.read_u8().await.ok()?;
            assert_eq!(second & 0x80, 0, "a server must not mask");
            let len = match second {
                126 => usize::from(self.0.read_u16().await.ok()?),
                127 => self.0.read_u64().await.ok()? as usize,
                len => usize::from(len),
            };
            let mut payload = vec![0; len];
            self.0.read_exact(&mut payload).await.ok()?;
            Some(Frame { opcode: first & 15, payload })
        };
        tokio::time::timeout(SOON, read).await.expect("nothing came")
    }
    async fn text(&mut self) -> Value {
        let frame = self.next().await.unwrap();
        assert_eq!(frame.opcode, 1, "{frame:?}");
        serde_json::from_slice(&frame.payload).unwrap()
    }
    /// The code of the close that must come next, and then the end.
    async fn closed_with(&mut self) -> u16 {
        let frame = self.next().await.expect("no close frame came");
        assert_eq!(frame.opcode, 8, "{frame:?}");
        let code = frame.payload.first_chunk().map_or(0, |code| u16::from_be_bytes(*code));
        assert_eq!(self.next().await, None);
        code
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_that_is_not_one_is_refused_and_closed() {
    let scratch = Scratch::new("handshake");
    let hub = start(&config(&scratch)).await;
    let at = hub.http;
    let good = handshake(at, "/ws", "Connection: close\r\n");
    for (request, wanted) in [
        (good.replace("GET", "POST"), 400..=405),
        (good.replace("Sec-WebSocket-Key", "X-Key"), 400..=400),
        (good.replace("Upgrade: websocket\r\n", ""), 400..=426),
        (good.replace("Version: 13", "Version: 8"), 400..=426),
        (good.replace("/ws", "/wsx"), 404..=404),
        (good.replace("Host: ", "Host: evil.example:"), 421..=421),
        (good.replace("\r\n\r\n", "\r\nOrigin: https://evil.example\r\n\r\n"), 403..=403),
        (good.replace("\r\n\r\n", &format!("\r\nX: {}\r\n\r\n", "y".repeat(30_000))), 400..=431),
    ] {
        let answer = tokio::time::timeout(SOON, raw(at, request.as_bytes())).await.expect("left open");
        assert!(answer.as_ref().is_ok_and(|a| wanted.contains(&a.status)), "{request:.60}: {answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_every_length_and_cut_are_understood() {
    let scratch = Scratch::new("lengths");
    let hub = start(&config(&scratch)).await;
    let mut client = Client::open(hub.http).await;
    // 126, 128, 256 and 3000 bytes killed the original; an empty one hung it.
    for len in [0, 1, 125, 126, 127, 128, 256, 3_000, 40_000, 65_536] {
        client.send(&frame(0x81, &vec![b' '; len])).await;
        assert_eq!(client.text().await["status"], 400, "{len}");
    }
    let ask = frame(0x81, br#"{"subscribe":["bell"]}"#);
    client.send(&[ask.clone(), ask.clone()].concat()).await;
    assert_eq!(client.text().await["event"], "subscribed");
    assert_eq!(client.text().await["event"], "subscribed");
    for byte in &ask {
        client.send(&[*byte]).await;
    }
    assert_eq!(client.text().await["patterns"], json!(["bell"]));
    // Fragments, with a ping between them.
    let (first, second) = br#"{"subscribe":["bell","b2"]}"#.split_at(10);
    client
        .send(&[frame(0x01, first), frame(0x89, b"abc"), frame(0x00, b""), frame(0x80, second)].concat())
        .await;
    assert_eq!(client.next().await, Some(Frame { opcode: 10, payload: b"abc".to_vec() }));
    assert_eq!(client.text().await["patterns"], json!(["bell", "b2"]));
    client.send(&frame(0x8a, b"unasked pong")).await;
    send(hub.http, "POST", "/api/events", json!({"event": "bell", "text": "é"})).await;
    let event = client.text().await;
    assert_eq!((&event["event"], &event["text"]), (&json!("bell"), &json!("é")));
}

#[tokio::test(flavor = "multi_thread")]
async fn closes_are_echoed_and_violations_fail_the_connection() {
    let scratch = Scratch::new("closes");
    let hub = start(&config(&scratch)).await;
    let unmasked = [0x81, 2, b'h', b'i'].to_vec();
    for (name, bytes, wanted) in [
        ("close 1000", frame(0x88, &1000u16.to_be_bytes()), vec![1000]),
        ("empty close", frame(0x88, b""), vec![0, 1000, 1005]),
        ("close with a reason", frame(0x88, &[&1001u16.to_be_bytes()[..], b"bye"].concat()), vec![1001]),
        ("unmasked", unmasked, vec![1002]),
        ("reserved bit", frame(0xc1, b"hi"), vec![1002]),
        ("opcode 3", frame(0x83, b"hi"), vec![1002]),
        ("opcode 11", frame(0x8b, b""), vec![1002]),
        ("continuation of nothing", frame(0x80, b"hi"), vec![1002]),
        ("text within a fragmented text", [frame(0x01, b"a"), frame(0x81, b"b")].concat(), vec![1002]),
        ("long ping", frame(0x89, &[0; 126]), vec![1002]),
        ("fragmented ping", frame(0x09, b"a"), vec![1002]),
        ("close of one byte", frame(0x88, b"x"), vec![1002]),
        ("close with a wrong code", frame(0x88, &999u16.to_be_bytes()), vec![1002]),
        ("close with 1005", frame(0x88, &1005u16.to_be_bytes()), vec![1002]),
        ("bad UTF-8", frame(0x81, b"\xff\xfe"), vec![1007]),
        ("cut UTF-8", frame(0x81, b"\xc3"), vec![1007]),
        ("binary", frame(0x82, b"hi"), vec![1003]),
        ("too long", frame(0x81, &vec![b'x'; 70_000]), vec![1009]),
        ("absurd length", [&[0x81, 0xff][..], &u64::MAX.to_be_bytes(), &[0; 4]].concat(), vec![1009, 1002]),
    ] {
        let mut client = Client::open(hub.http).await;
        // The server may close while the rest is still on its way.
        let _ = client.0.write_all(&bytes).await;
        let code = client.closed_with().await;
        assert!(wanted.contains(&code), "{name}: {code}");
    }
    // A client that resets its connection harms nobody else.
    let mut other = Client::open(hub.http).await;
    let client = Client::open(hub.http).await;
    socket2::SockRef::from(&client.0).set_linger(Some(Duration::ZERO)).unwrap();
    drop(client);
    other.send(&frame(0x89, b"x")).await;
    assert_eq!(other.next().await, Some(Frame { opcode: 10, payload: b"x".to_vec() }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_read_is_resynchronised_and_costs_no_memory() {
    let scratch = Scratch::new("slow-ws");
    let hub = start(&config(&scratch)).await;
    let mut slow = Client::open(hub.http).await;
    slow.send(&frame(0x81, br#"{"subscribe":["load"]}"#)).await;
    assert_eq!(slow.text().await["event"], "subscribed");
    let batch: Vec<Value> =
        (0..1_000).map(|n| json!({"event": "load", "n": n, "pad": "x".repeat(500)})).collect();
    for _ in 0..30 {
        assert_eq!(send(hub.http, "POST", "/api/events", json!(batch)).await.status, 200);
    }
    // It is told what it missed, or closed because it took no bytes for too long; it never gets a gap without a word.
    let (mut events, mut missed) = (0u64, 0);
    while events + missed < 30_000 {
        let Some(frame) = slow.next().await.filter(|frame| frame.opcode == 1) else { return };
        let text: Value = serde_json::from_slice(&frame.payload).unwrap();
        match text["event"].as_str() {
            Some("load") => events += 1,
            Some("resync") => missed += text["missed"].as_u64().unwrap(),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(events + missed, 30_000);
    assert!(missed > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn server_sent_events_carry_the_same() {
    let scratch = Scratch::new("sse");
    let hub = start(&config(&scratch)).await;
    let mut stream = TcpStream::connect(hub.http).await.unwrap();
    let request = format!(
        "GET /events?patterns=bell HTTP/1.1\r\nHost: {}\r\nAccept: text/event-stream\r\n\r\n",
        hub.http
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    let mut bytes = [0; 1024];
    let mut is_sent = false;
    while !text.contains("data: {") {
        let len = tokio::time::timeout(SOON, stream.read(&mut bytes)).await.unwrap().unwrap();
        assert_ne!(len, 0);
        text.push_str(&String::from_utf8_lossy(&bytes[..len]));
        if text.contains("retry: 1000") && !is_sent {
            is_sent = true;
            send(hub.http, "POST", "/api/events", json!({"event": "bell"})).await;
        }
    }
    assert!(text.contains("text/event-stream") && text.contains("\"event\":\"bell\""), "{text}");
}

//! Hostile HTTP, and what the table of functions promises.

mod support;

use serde_json::json;
use std::net::SocketAddr;

use support::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

async fn status(at: SocketAddr, bytes: &[u8]) -> Option<u16> {
    tokio::time::timeout(SOON, raw(at, bytes))
        .await
        .expect("the hub neither answers nor closes")
        .ok()
        .map(|a| a.status)
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_requests_get_an_answer_or_a_close_and_the_hub_goes_on() {
    let scratch = Scratch::new("hostile");
    let hub = start(&config(&scratch)).await;
    let at = hub.http;
    let with = |line: &str, rest: &str| {
        format!("{line} HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n{rest}\r\n").into_bytes()
    };
    let long = "x".repeat(40_000);
    for (bytes, wanted) in [
        (with("GET /api/status", ""), vec![200]),
        (with("GET /no/such", ""), vec![404]),
        (with("GET /api/status/", ""), vec![404]),
        (with("GET /api/../etc/passwd", ""), vec![404]),
        (with("GET /%2e%2e/%2e%2e/etc/passwd", ""), vec![404]),
        (with("GET /api/devices/..%2f..%2fx", ""), vec![404]),
        (with("GET /api/devices/%00", ""), vec![400]),
        (with("GET /api/devices/%ff", ""), vec![400]),
        (with("GET /api/history?entity=%ff", ""), vec![400]),
        (with("DELETE /help", ""), vec![405]),
        (with("BREW /help", ""), vec![501]),
        (with(&format!("GET /{long}"), ""), vec![414, 431, 400]),
        (with("GET /help", &format!("X: {long}\r\n")), vec![431, 400]),
        (with("GET /help", &"X: y\r\n".repeat(500)), vec![431, 400]),
        (with("POST /api/events", "Content-Length: 99999999999999999999\r\n"), vec![400, 413]),
        (
            with("POST /api/events", "Content-Type: application/json\r\nContent-Length: 9000000\r\n"),
            vec![413],
        ),
        (
            with(
                "POST /api/events",
                "Content-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: 0\r\n",
            ),
            vec![415],
        ),
        (with("GET /help", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"), vec![400, 200]),
        (b"GET /help HTTP/1.1\r\nConnection: close\r\n\r\n".to_vec(), vec![421, 400]),
        (b"GET /help HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n".to_vec(), vec![421]),
        (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n".to_vec(), vec![400]),
        (b"\xff\xfe\x00\r\n\r\n".to_vec(), vec![400]),
        (b"GET /help\r\n\r\n".to_vec(), vec![400]),
    ] {
        let got = status(at, &bytes).await;
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(80)]).into_owned();
        assert!(got.is_none_or(|got| wanted.contains(&got)), "{shown:?}: {got:?}");
    }
    let smuggled = with("POST /api/events", "Content-Type: text/plain\r\nContent-Length: 2\r\n");
    assert_eq!(status(at, &[smuggled, b"{}".to_vec()].concat()).await, Some(415));
    for body in [
        "{",
        "\u{0}",
        "{\"event\":\"state\"}",
        "[1,2]",
        "{\"event\":\"a b\"}",
        &format!("{}1{}", "[".repeat(500), "]".repeat(500)),
    ] {
        let head = with(
            "POST /api/events",
            &format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len()),
        );
        let got = status(at, &[head, body.as_bytes().to_vec()].concat()).await;
        assert!(matches!(got, Some(400 | 413 | 422)), "{body:.40}: {got:?}");
    }
    assert_eq!(get(at, "/api/health").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn problems_are_problem_json_and_a_page_from_elsewhere_cannot_act() {
    let scratch = Scratch::new("problems");
    let hub = start(&config(&scratch)).await;
    let at = hub.http;
    let missing = get(at, "/api/devices/nobody").await;
    assert_eq!((missing.status, missing.header("content-type")), (404, Some("application/problem+json")));
    assert_eq!(missing.json()["status"], 404);
    let foreign =
        request(at, "PUT", "/api/areas/a", "Origin: http://evil.example\r\n", Some(json!({"name": "A"})))
            .await
            .unwrap();
    assert_eq!(foreign.status, 403);
    let own =
        request(at, "PUT", "/api/areas/a", &format!("Origin: http://{at}\r\n"), Some(json!({"name": "A"})))
            .await
            .unwrap();
    assert_eq!(own.status, 200);
    let read = get(at, "/api/areas/a").await;
    assert_eq!((read.json(), read.header("etag")), (json!({"id": "a", "name": "A"}), own.header("etag")));
    let rename = async |tag: &str, name: &str| {
        let tag = format!("If-Match: {tag}\r\n");
        request(at, "PUT", "/api/areas/a", &tag, Some(json!({ "name": name }))).await.unwrap().status
    };
    let tag = read.header("etag").unwrap();
    assert_eq!((rename(tag, "B").await, rename(tag, "C").await), (200, 412), "somebody else was faster");
    assert_eq!(get(at, "/api/areas/none").await.status, 404);
    assert_eq!(get(at, "/api/health").await.header("x-content-type-options"), Some("nosniff"));
    let head = request(at, "HEAD", "/help", "", None).await.unwrap();
    assert_eq!((head.status, head.body.len()), (200, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn several_requests_in_one_segment_and_one_in_many_are_all_answered() {
    let scratch = Scratch::new("pipelined");
    let hub = start(&config(&scratch)).await;
    let one = format!("GET /events/gettime HTTP/1.1\r\nHost: {}\r\n\r\n", hub.http);
    let last = format!("GET /events/gettime HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", hub.http);
    let mut stream = TcpStream::connect(hub.http).await.unwrap();
    stream.write_all(format!("{one}{one}").as_bytes()).await.unwrap();
    for byte in last.as_bytes() {
        stream.write_all(&[*byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    assert_eq!(text.matches("HTTP/1.1 200").count(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_clients_are_dropped_and_hold_nobody_up() {
    let scratch = Scratch::new("slow");
    let hub = start(&config(&scratch)).await;
    let mut slow = Vec::new();
    for _ in 0..200 {
        let mut stream = TcpStream::connect(hub.http).await.unwrap();
        stream.write_all(b"GET /help HTTP/1.1\r\nHost:").await.unwrap();
        slow.push(stream);
    }
    assert_eq!(get(hub.http, "/api/health").await.status, 200);
    // The answer has not waited until the slow ones were dropped.
    let still_open = |stream: &TcpStream| matches!(stream.try_read(&mut [0]), Err(e) if e.kind() == std::io::ErrorKind::WouldBlock);
    assert!(slow.iter().all(still_open));
    // One that goes away in the middle of a body.
    let mut gone = TcpStream::connect(hub.http).await.unwrap();
    let head = format!(
        "POST /api/events HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{{",
        hub.http
    );
    gone.write_all(head.as_bytes()).await.unwrap();
    drop(gone);
    assert_eq!(get(hub.http, "/api/health").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn openapi_and_help_are_made_from_the_same_table() {
    let scratch = Scratch::new("openapi");
    let hub = start(&config(&scratch)).await;
    until("modules have registered", SOON, async || get(hub.http, "/dwn/list").await.status == 200).await;
    let help = get(hub.http, "/help").await.json();
    let openapi = get(hub.http, "/api/openapi.json").await.json();
    assert_eq!(openapi["openapi"], "3.1.0");
    for function in help["api"].as_array().unwrap() {
        let method = function["method"].as_str().unwrap().to_lowercase();
        let operation = &openapi["paths"][function["path"].as_str().unwrap()][&method];
        assert_eq!(operation["summary"], function["description"], "{function}");
        // Every name in a path is a parameter.
        for name in function["path"]
            .as_str()
            .unwrap()
            .split('/')
            .filter_map(|s| s.strip_prefix('{')?.strip_suffix('}'))
        {
            assert!(
                operation["parameters"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .any(|p| p["name"] == name && p["in"] == "path")
            );
        }
    }
    for stream in ["/ws", "/events"] {
        assert!(openapi["paths"][stream]["get"].is_object(), "{stream} can be found");
    }
    let page = get(hub.http, "/api").await;
    assert!(page.status == 200 && page.header("content-security-policy").is_some());
    assert_eq!(get(hub.http, "/").await.header("location"), Some("/api"));
    assert!(String::from_utf8(get(hub.http, "/metrics").await.body).unwrap().contains("hub_events_total"));
    assert!(get(hub.http, "/api/system").await.json()["memory_total_bytes"].as_u64().unwrap() > 0);
}

//! The soak: a thousand devices that come and go, events without pause, clients that do not listen; memory stays bounded.

mod support;

use hob_node::Handle;
use hob_node::devices::Irrigation;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::Duration;
use support::*;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

/// Events of one request.
const BATCH: u64 = 500;
/// Memory may differ by so much between a third of the way and the end: what an allocator keeps, not what grows with events.
const SLACK_MIB: u64 = 24;

/// How much is done.
struct Extent {
    nodes: u16,
    rounds: u64,
    batches: u64,
}

fn extent() -> Extent {
    match std::env::var_os("HUB_FULL_TESTS").is_some() {
        true => Extent { nodes: 1_000, rounds: 120, batches: 20 },
        false => Extent { nodes: 30, rounds: 3, batches: 2 },
    }
}

/// A client that subscribes to everything and never reads.
async fn deaf(at: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(at).await.unwrap();
    let request = format!(
        "GET /ws HTTP/1.1\r\nHost: {at}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

async fn all_are_connected(at: SocketAddr, nodes: u16) {
    until("all nodes are connected", AT_LAST, async || {
        let status = get(at, "/api/status").await.json();
        status["entities"] == 4 * u64::from(nodes) && status["entities_unavailable"] == 0
    })
    .await;
}

/// The number of the newest event.
async fn newest(at: SocketAddr) -> u64 {
    get(at, "/api/events?limit=1").await.json()[0]["seq"].as_u64().unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn devices_come_and_go_for_long_and_memory_stays_bounded() {
    let files = rustix::process::Resource::Nofile;
    let maximum = rustix::process::getrlimit(files).maximum;
    rustix::process::setrlimit(files, rustix::process::Rlimit { current: maximum, maximum }).unwrap();
    let Extent { nodes: count, rounds, batches } = extent();
    let scratch = Scratch::new("soak");
    let config = config(&scratch);
    let hub = Process::start(&scratch, config.modules.dwn.port, true);
    let nodes: Vec<Handle> = (0..count)
        .map(|number| {
            let mut settings =
                node(&config, number + 1, wire::irrigation::DRIVER_NAMES[0], &format!("n{number}"));
            settings.heartbeat = Duration::from_secs(1);
            spawn_device(settings, Irrigation::new(60_000).0)
        })
        .collect();
    all_are_connected(hub.http, count).await;
    let mut random = Random(11);
    let mut settled_mib = 0;
    for round in 0..rounds {
        // A deaf client costs its queue until it is closed; it goes with the round.
        let _deaf = deaf(hub.http).await;
        for _ in 0..count / 20 {
            nodes[random.below(u64::from(count)) as usize].drop_hub();
        }
        for batch in 0..batches {
            let n = round * batches + batch;
            let events: Vec<Value> = (0..BATCH).map(|_| json!({"event": "load", "n": n})).collect();
            assert_eq!(send(hub.http, "POST", "/api/events", json!(events)).await.status, 200);
        }
        if round == rounds / 3 {
            all_are_connected(hub.http, count).await;
            settled_mib = hub.memory_mib();
        }
    }
    all_are_connected(hub.http, count).await;
    let (events, memory_mib) = (newest(hub.http).await, hub.memory_mib());
    println!("{count} nodes, {events} events: {settled_mib} MiB after a third, {memory_mib} MiB at the end");
    assert!(events > rounds * batches * BATCH, "{events} events");
    assert!(memory_mib <= settled_mib + SLACK_MIB, "it grew from {settled_mib} to {memory_mib} MiB");
    // It still does what it is for.
    assert_eq!(open_valve(hub.http, "dwn.n0.valve_a", 30).await.status, 200);
    hub.kill();
}

//! The start as it is promised: what was remembered is there, then automations listen, then the network is open; and a valve that
//! has been open for too long is shut before anything else.

mod support;

use house::{Change, Memory as _};
use serde_json::json;
use std::net::SocketAddr;
use support::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use wire::advert::Advert;

/// Advertises a v1 node at this address, once.
fn advertise(config: &hub::Config, address: [u8; 4]) {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None).unwrap();
    socket.set_multicast_if_v4(&std::net::Ipv4Addr::LOCALHOST).unwrap();
    socket.bind(&SocketAddr::from((address, 0)).into()).unwrap();
    let group = (std::net::Ipv4Addr::from(wire::GROUP), config.modules.dwn.port);
    let advert = Advert::v1(wire::irrigation::DRIVER_NAMES[0], "n1").encode();
    std::net::UdpSocket::from(socket).send_to(&advert, group).unwrap();
}

/// The next command that the hub gives a node.
async fn ordered(stream: &mut TcpStream) -> [u8; 2] {
    let mut order = [0; 2];
    stream.read_exact(&mut order).await.unwrap();
    order
}

#[tokio::test(flavor = "multi_thread")]
async fn an_overdue_valve_is_shut_before_anything_else_is_done() {
    let scratch = Scratch::new("overdue");
    let config = config(&scratch);
    let address = [127, 77, 0, 1];
    let node = TcpListener::bind(SocketAddr::from((address, config.modules.dwn.port))).await.unwrap();
    let hub = start(&config).await;
    advertise(&config, address);
    let (mut stream, _) = node.accept().await.unwrap();
    stream.write_all(b"S\x00").await.unwrap();
    known(hub.http, "dwn.n1.valve_a").await;
    // Two rules that would rather water: one when the node is there, one when it reports.
    let water =
        json!([{"do": "command", "entity": "dwn.n1.valve_b", "command": "open", "with": {"seconds": 5}}]);
    for (id, trigger) in [
        ("there", json!({"on": "event", "kind": "dwn", "with": {"type": "new"}})),
        ("open", json!({"on": "state", "entity": "dwn.n1.valve_a", "to": true})),
    ] {
        let rule = json!({"mode": "parallel", "triggers": [trigger], "actions": water});
        assert_eq!(send(hub.http, "PUT", &format!("/api/rules/{id}"), rule).await.status, 200);
    }
    let over = json!({"boot_id": "", "until_boot_ms": 0, "until_wall_ms": 0, "seconds": 1});
    hub.store.write(vec![Change::put("deadlines", "dwn.n1.valve_a", over)]).await.unwrap();
    hub.stop().await;
    drop(stream);

    // Nobody advertises now: the hub comes by itself, because it knows that a valve is open.
    let hub = start(&config).await;
    let (mut stream, _) = node.accept().await.unwrap();
    stream.write_all(b"S\x01").await.unwrap();
    let first = ordered(&mut stream).await;
    assert!(first == [0x60, 0x30] || first == *b"a0", "the first order was {first:?}");
    // Then the rules have their turn: the house was listening when the node came.
    while ordered(&mut stream).await != *b"b1" {}
    // The trace is written when the run has ended, which is after its order is on the wire.
    until("the rule tells that it has acted", SOON, async || {
        get(hub.http, "/api/rules/there/trace").await.json()[0]["acted"] == true
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_can_ask_finds_the_whole_house() {
    let scratch = Scratch::new("order");
    let mut config = config(&scratch);
    let hub = start(&config).await;
    assert_eq!(send(hub.http, "PUT", "/api/areas/garden", json!({"name": "Garden"})).await.status, 200);
    let rule = json!({"triggers": [{"on": "event", "kind": "knock"}], "actions": [
        {"do": "call", "method": "PUT", "url": "/api/areas/cellar", "body": {"name": "Cellar"}}]});
    assert_eq!(send(hub.http, "PUT", "/api/rules/r", rule).await.status, 200);
    hub.stop().await;
    // From now on somebody knocks without a pause: the first who is let in must find everything.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    config.server.http = taken.local_addr().unwrap();
    drop(taken);
    let at = config.server.http;
    let first = tokio::spawn(async move {
        loop {
            if let Ok(answer) = request(at, "POST", "/api/events", "", Some(json!({"event": "knock"}))).await
            {
                return (answer.status, get(at, "/api/areas").await.json());
            }
            tokio::task::yield_now().await;
        }
    });
    let hub = start(&config).await;
    let (status, areas) = first.await.unwrap();
    assert_eq!(status, 200);
    assert!(areas.as_array().unwrap().iter().any(|area| area["id"] == "garden"), "{areas}");
    until("the rule has heard the first knock", SOON, async || {
        let areas = get(hub.http, "/api/areas").await.json();
        areas.as_array().is_some_and(|areas| areas.iter().any(|area| area["id"] == "cellar"))
    })
    .await;
}

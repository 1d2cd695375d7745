//! DWN v2 pairing on real sockets: only the code that the node shows makes the two known to each other.

mod support;

use hob_node::Trust;
use house::Memory as _;
use serde_json::{Value, json};
use std::net::SocketAddr;
use support::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use wire::advert::Advert;
use wire::pairing::{Acceptor, Code, WRONG_CODES, Window};
use wire::session::{Keys, Link};

async fn pair(at: SocketAddr, id: &str, code: &Code) -> Answer {
    send(at, "POST", &format!("/api/dwn/{id}/pair"), json!({"code": code.to_string()})).await
}

async fn discovered(at: SocketAddr, id: &str) {
    until("the node is discovered", SOON, async || {
        let device = get(at, &format!("/api/devices/dwn.{id}")).await.json();
        device["unavailable"].as_str().is_some_and(|reason| reason.contains("not paired yet"))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_code_that_is_shown_pairs_and_three_wrong_ones_close_the_window() {
    let scratch = Scratch::new("codes");
    let config = config(&scratch);
    let hub = start(&config).await;
    let (shown, wrong) = (Code::from_random([7; 16]), Code::from_random([8; 16]));
    let trust = Trust::new("n1", shown.clone()).unwrap();
    let (_node, relays) = irrigation(&config, 1, "n1", Some(trust.clone()));
    discovered(hub.http, "n1").await;
    for attempt in 1..=WRONG_CODES {
        assert!(trust.can_be_paired());
        let answer = pair(hub.http, "n1", &wrong).await;
        assert_eq!(answer.status, 409, "{answer:?}");
        assert!(hub.store.get("pairings", "n1").is_none(), "attempt {attempt} made the node known");
    }
    assert!(!trust.can_be_paired());
    assert_eq!(pair(hub.http, "n1", &shown).await.status, 409, "the window is closed");
    let next = Code::from_random([9; 16]);
    trust.open_window(next.clone());
    assert_eq!(pair(hub.http, "n1", &shown).await.status, 409, "a code of before");
    assert_eq!(pair(hub.http, "n1", &next).await.status, 200);
    assert!(!trust.can_be_paired(), "a code serves once");
    known(hub.http, "dwn.n1.valve_a").await;
    assert_eq!(open_valve(hub.http, "dwn.n1.valve_a", 5).await.status, 200);
    until("it is open", SOON, async || relays.now() == 1).await;

    // Its key is taken away: it is let go at once, and not taken for v1.
    assert_eq!(send(hub.http, "DELETE", "/api/dwn/n1/pair", json!({})).await.status, 200);
    until("it is let go", SOON, async || state(hub.http, "dwn.n1.valve_a").await == "unavailable").await;
    assert_eq!(open_valve(hub.http, "dwn.n1.valve_a", 5).await.status, 503);
    let again = Code::from_random([10; 16]);
    trust.open_window(again.clone());
    assert_eq!(pair(hub.http, "n1", &again).await.status, 200);
    known(hub.http, "dwn.n1.valve_a").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_answers_in_the_nodes_place_without_its_code_is_not_paired() {
    let scratch = Scratch::new("impostor");
    let config = config(&scratch);
    let hub = start(&config).await;
    let listener = TcpListener::bind("127.77.0.1:0").await.unwrap();
    // The impostor goes through the handshake by a code of his own, and then claims that all is well.
    let keys = Keys::generate().unwrap();
    let advert = Advert {
        name: wire::irrigation::DRIVER_NAMES[0].into(),
        id: "n1".into(),
        version: wire::session::VERSION,
        port: Some(listener.local_addr().unwrap().port()),
        key: Some(keys.public),
    };
    let group = (std::net::Ipv4Addr::from(wire::GROUP), config.modules.dwn.port);
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None).unwrap();
    socket.set_multicast_if_v4(&std::net::Ipv4Addr::LOCALHOST).unwrap();
    socket.bind(&SocketAddr::from(([127, 77, 0, 1], 0)).into()).unwrap();
    std::net::UdpSocket::from(socket).send_to(&advert.encode(), group).unwrap();
    discovered(hub.http, "n1").await;
    let impostor = tokio::spawn(async move {
        let window = Window::open(Code::from_random([8; 16]));
        let mut link = Link::accept(Acceptor { id: "n1".into(), keys, hubs: Vec::new(), window });
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut segment = [0; 1024];
        loop {
            let len = stream.read(&mut segment).await.unwrap();
            match link.push(&segment[..len]) {
                Ok(_) if len > 0 => stream.write_all(&link.take_output()).await.unwrap(),
                _ => break,
            }
        }
        let mut confirmation = vec![0, 17];
        confirmation.extend([6; 17]);
        stream.write_all(&confirmation).await.unwrap();
    });
    let answer = pair(hub.http, "n1", &Code::from_random([7; 16])).await;
    assert_eq!(answer.status, 409, "{answer:?}");
    impostor.await.unwrap();
    assert_eq!(hub.store.get("pairings", "n1"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_only_connects_does_not_disturb_a_session() {
    let scratch = Scratch::new("callers");
    let config = config(&scratch);
    let hub = start(&config).await;
    let code = Code::from_random([7; 16]);
    let (_node, relays) = irrigation(&config, 1, "n1", Some(Trust::new("n1", code.clone()).unwrap()));
    discovered(hub.http, "n1").await;
    assert_eq!(pair(hub.http, "n1", &code).await.status, 200);
    known(hub.http, "dwn.n1.valve_a").await;
    let before = hub.house.bus().seq();
    assert_eq!(open_valve(hub.http, "dwn.n1.valve_a", 60).await.status, 200);
    let address = get(hub.http, "/api/devices/dwn.n1").await.json()["address"].clone();
    let address: SocketAddr = address.as_str().unwrap().parse().unwrap();
    let mut callers = Vec::new();
    let stranger = Keys::generate().unwrap();
    for number in 0..40 {
        let mut caller = TcpStream::connect(address).await.unwrap();
        let said = match number % 4 {
            0 => b"GET / HTTP/1.1\r\n\r\n".to_vec(),
            1 => b"DWN2".to_vec(),
            2 => Link::connect("n1", &stranger, &stranger.public).unwrap().take_output(),
            _ => Vec::new(),
        };
        // The node may already have closed it.
        let _ = caller.write_all(&said).await;
        callers.push(caller);
    }
    // One that has waited longest gives way to those who came after it.
    let mut byte = [0];
    until("the first silent one is closed", SOON, async || {
        callers[3].try_read(&mut byte).is_ok_and(|len| len == 0)
    })
    .await;
    assert_eq!(relays.now(), 1, "the valve is as it was");
    assert_eq!(command(hub.http, "dwn.n1.valve_a", json!({"command": "shut"})).await.status, 200);
    until("it is shut", SOON, async || relays.now() == 0).await;
    let events = get(hub.http, "/api/events?patterns=dwn").await.json();
    let is_new = |event: &&Value| event["seq"].as_u64() > Some(before);
    let is_of_connection = |event: &&Value| ["new", "closed"].contains(&event["type"].as_str().unwrap_or(""));
    let since: Vec<_> = events.as_array().unwrap().iter().filter(is_new).filter(is_of_connection).collect();
    assert!(since.is_empty(), "the session has gone on: {since:?}");
}

//! Devices on real sockets: found, lost, found again, lied about, and a thousand of them.

mod support;

use hob_node::devices::{Io, Irrigation, Led};
use house::{Change, Memory as _};
use serde_json::json;
use std::net::{Ipv4Addr, UdpSocket};
use std::time::Duration;
use support::*;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

#[tokio::test(flavor = "multi_thread")]
async fn a_new_device_waits_in_the_inbox_and_is_not_touched_until_it_is_accepted() {
    let scratch = Scratch::new("inbox");
    let mut config = config(&scratch);
    config.devices.accept_all = false;
    let hub = start(&config).await;
    let _node = irrigation(&config, 1, "n1", None);
    until("it is discovered", SOON, async || get(hub.http, "/api/inbox").await.json()[0]["id"] == "dwn.n1")
        .await;
    tokio::time::sleep(BEAT * 3).await;
    assert_eq!(get(hub.http, "/dwn/n1/status").await.status, 404);
    let accepted =
        send(hub.http, "PATCH", "/api/devices/dwn.n1", json!({"status": "accepted", "name": "Garden"})).await;
    assert_eq!((accepted.status, &accepted.json()["name"]), (200, &json!("Garden")));
    known(hub.http, "dwn.n1.valve_a").await;
    assert_eq!(get(hub.http, "/dwn/n1/status").await.json(), json!({"status": "ok", "valves": 0}));
    let ignored = send(hub.http, "PATCH", "/api/devices/dwn.n1", json!({"area": "nowhere"})).await;
    assert_eq!(ignored.status, 422);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_is_ignored_is_let_go() {
    let scratch = Scratch::new("ignored");
    let config = config(&scratch);
    let hub = start(&config).await;
    let _node = irrigation(&config, 1, "n1", None);
    known(hub.http, "dwn.n1.valve_a").await;
    let status = async |status: &str| {
        send(hub.http, "PATCH", "/api/devices/dwn.n1", json!({ "status": status })).await.status
    };
    assert_eq!(status("ignored").await, 200);
    until("it is let go", SOON, async || {
        get(hub.http, "/api/devices/dwn.n1").await.json()["unavailable"] == "it is not accepted"
    })
    .await;
    assert_eq!(open_valve(hub.http, "dwn.n1.valve_a", 5).await.status, 503);
    assert_eq!(status("accepted").await, 200);
    known(hub.http, "dwn.n1.valve_a").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_originals_urls_drive_the_valves() {
    let scratch = Scratch::new("urls");
    let config = config(&scratch);
    let hub = start(&config).await;
    let (_node, relays) = irrigation(&config, 1, "n1", None);
    known(hub.http, "dwn.n1.valve_a").await;
    assert_eq!(get(hub.http, "/dwn/n1/on?valve=e").await.json()["status"], "No such valve");
    assert_eq!(get(hub.http, "/dwn/n1/on").await.json()["error"], "Missing required parameter valve");
    assert_eq!(get(hub.http, "/dwn/n1/on?valve=c").await.json()["status"], "ok");
    until("valve c is open", SOON, async || get(hub.http, "/dwn/n1/status").await.json()["valves"] == 3)
        .await;
    assert_eq!(relays.now(), 0b0100);
    assert_eq!(get(hub.http, "/dwn/n1/off").await.json(), json!({}));
    until("it is shut", SOON, async || relays.now() == 0).await;
    let answer = get(hub.http, "/dwn/n1/sequence?seq=a1,b1").await.json();
    assert_eq!(answer, json!({"status": "ok", "items": 2}));
    until("the sequence is over", SOON, async || {
        relays.now() == 0 && relays.history().iter().any(|(_, mask)| *mask == 2)
    })
    .await;
    let masks: Vec<u8> = relays.history().iter().map(|(_, mask)| *mask).collect();
    assert!(masks.contains(&1) && masks.contains(&2), "{masks:?}");
    assert!(
        get(hub.http, "/help").await.json()["api"]
            .as_array()
            .unwrap()
            .iter()
            .any(|f| f["path"] == "/dwn/n1/sequence")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_node_is_lost_with_its_functions_and_comes_back() {
    let scratch = Scratch::new("silent");
    let mut config = config(&scratch);
    config.modules.dwn.lost_after = 0.6;
    let hub = start(&config).await;
    let (node, _) = irrigation(&config, 1, "n1", None);
    known(hub.http, "dwn.n1.valve_a").await;
    node.mute(true);
    until("it is lost", SOON, async || state(hub.http, "dwn.n1.valve_a").await == "unavailable").await;
    let entity = get(hub.http, "/api/entities/dwn.n1.valve_a").await.json();
    assert_eq!(entity["reason"], "heartbeat lost");
    assert_eq!(get(hub.http, "/dwn/n1/status").await.status, 404);
    assert_eq!(open_valve(hub.http, "dwn.n1.valve_a", 5).await.status, 503);
    let events = get(hub.http, "/api/events?patterns=dwn").await.json();
    assert!(events.as_array().unwrap().iter().any(|e| e["type"] == "closed" && e["id"] == "n1"));
    node.mute(false);
    known(hub.http, "dwn.n1.valve_a").await;
    node.drop_hub();
    until("it is connected again", SOON, async || {
        let events = get(hub.http, "/api/events?patterns=dwn").await.json();
        events.as_array().unwrap().iter().filter(|e| e["type"] == "new").count() >= 3
    })
    .await;
    known(hub.http, "dwn.n1.valve_a").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_are_heard_on_every_interface_unless_one_is_configured() {
    let scratch = Scratch::new("interfaces");
    let mut config = config(&scratch);
    // The loopback interface is not the one that a route leads to.
    config.modules.dwn.interface = Ipv4Addr::UNSPECIFIED;
    let hub = start(&config).await;
    let (_node, _) = irrigation(&config, 1, "n1", None);
    known(hub.http, "dwn.n1.valve_a").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_moves_is_followed_by_its_id() {
    let scratch = Scratch::new("moves");
    let config = config(&scratch);
    let hub = start(&config).await;
    let (node, _) = irrigation(&config, 1, "n1", None);
    known(hub.http, "dwn.n1.valve_a").await;
    drop(node);
    until("it is lost", SOON, async || state(hub.http, "dwn.n1.valve_a").await == "unavailable").await;
    let (_node, _) = irrigation(&config, 2, "n1", None);
    known(hub.http, "dwn.n1.valve_a").await;
    let devices = get(hub.http, "/api/devices").await.json();
    assert_eq!(devices.as_array().unwrap().len(), 1);
    assert!(devices[0]["address"].as_str().unwrap().starts_with("127.77.0.2:"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_valve_is_shut_at_its_deadline_and_one_that_nobody_asked_for_at_once() {
    let scratch = Scratch::new("deadline");
    let config = config(&scratch);
    let hub = start(&config).await;
    let (_node, relays) = irrigation(&config, 1, "n1", None);
    known(hub.http, "dwn.n1.valve_a").await;
    let before_order = std::time::Instant::now();
    let answer = open_valve(hub.http, "dwn.n1.valve_a", 1).await;
    assert_eq!((answer.status, &answer.json()["enforced_by"]), (200, &json!("hub")), "{answer:?}");
    until("it was open and is shut", SOON, async || relays.history().len() == 2).await;
    let history = relays.history();
    assert_eq!((history[0].1, history[1].1), (1, 0));
    // The deadline counts from the order; the node may get that late, and then its valve is open for less.
    assert!(before_order.elapsed() >= Duration::from_secs(1), "{history:?}");
    let events = get(hub.http, "/api/events?patterns=valve").await.json();
    assert_eq!(events[0]["type"], "deadline", "the hub shuts it, not the node's own limit: {events}");
    for bad in [json!(0), json!(-1), json!("x"), json!(1e9)] {
        let answer = command(hub.http, "dwn.n1.valve_a", json!({"command": "open", "seconds": bad})).await;
        assert_eq!(answer.status, 400, "{bad}");
    }
    // Another hub opens a valve behind this one's back: it takes the node's connection, and then lets it go.
    let at = (Ipv4Addr::new(127, 77, 0, 1), config.modules.dwn.port);
    until("the rival has opened it", SOON, async || {
        // The hub fights for its connection: the rival may have to come again.
        let mut rival = tokio::net::TcpStream::connect(at).await.unwrap();
        let _ = rival.write_all(b"d1").await;
        tokio::time::sleep(BEAT / 4).await;
        relays.history().iter().any(|(_, mask)| *mask == 8)
    })
    .await;
    until("the hub has shut it", SOON, async || relays.now() == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_with_two_valves_on_record_is_called_once_after_a_restart() {
    let scratch = Scratch::new("armed");
    let config = config(&scratch);
    let hub = start(&config).await;
    let (_node, relays) = irrigation(&config, 1, "n1", None);
    known(hub.http, "dwn.n1.valve_a").await;
    let deadline = json!({"boot_id": "", "until_boot_ms": 0, "until_wall_ms": 0, "seconds": 1});
    let both =
        ["a", "b"].map(|valve| Change::put("deadlines", &format!("dwn.n1.valve_{valve}"), deadline.clone()));
    hub.store.write(both.to_vec()).await.unwrap();
    let before = hub.house.bus().seq();
    hub.stop().await;
    let hub = start(&config).await;
    known(hub.http, "dwn.n1.valve_a").await;
    // The node goes on to advertise all the while.
    assert_eq!(open_valve(hub.http, "dwn.n1.valve_c", 1).await.status, 200);
    until("it was open and is shut", SOON, async || relays.history().len() == 2).await;
    let events = get(hub.http, "/api/events?patterns=dwn").await.json();
    let sessions =
        events.as_array().unwrap().iter().filter(|e| e["type"] == "new" && e["seq"].as_u64() > Some(before));
    assert_eq!(sessions.count(), 1, "{events}");
}

#[tokio::test(flavor = "multi_thread")]
async fn liars_are_refused_and_the_house_goes_on() {
    let scratch = Scratch::new("liars");
    let config = config(&scratch);
    let hub = start(&config).await;
    let (_node, relays) = irrigation(&config, 1, "n1", None);
    known(hub.http, "dwn.n1.valve_a").await;
    let port = config.modules.dwn.port;
    let group = (Ipv4Addr::from(wire::GROUP), port);
    let from = |last: u8| {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None).unwrap();
        socket.set_multicast_if_v4(&Ipv4Addr::LOCALHOST).unwrap();
        socket.bind(&std::net::SocketAddr::from(([127, 77, 9, last], 0)).into()).unwrap();
        UdpSocket::from(socket)
    };
    // A huge advert, one that is none, a wrong id, the name of another.
    from(1).send_to(&vec![b'x'; 60_000], group).unwrap();
    from(1).send_to(&[0xff; 64], group).unwrap();
    from(1).send_to(br#"{"name":"LED STRIP","id":"../../x"}"#, group).unwrap();
    from(2).send_to(br#"{"name":"ESP8266 IRRIGATION CONTROLLER","id":"n1"}"#, group).unwrap();
    // A node that sends a message without end, and one that sends nonsense.
    let endless = TcpListener::bind((Ipv4Addr::new(127, 77, 9, 3), port)).await.unwrap();
    let nonsense = TcpListener::bind((Ipv4Addr::new(127, 77, 9, 4), port)).await.unwrap();
    from(3).send_to(br#"{"name":"EDISON IO CONTROLLER","id":"endless"}"#, group).unwrap();
    from(4).send_to(br#"{"name":"ESP8266 IRRIGATION CONTROLLER","id":"nonsense"}"#, group).unwrap();
    from(5).send_to(br#"{"name":"NO SUCH DRIVER","id":"stranger"}"#, group).unwrap();
    let (mut stream, _) = endless.accept().await.unwrap();
    while stream.write_all(&[b'{'; 4096]).await.is_ok() {
        tokio::task::yield_now().await;
    }
    let (mut stream, _) = nonsense.accept().await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
    let reason = async |id: &str| {
        get(hub.http, &format!("/api/devices/dwn.{id}")).await.json()["unavailable"].to_string()
    };
    until("the endless one is dropped", SOON, async || reason("endless").await.contains("longer than")).await;
    until("nonsense is dropped", SOON, async || reason("nonsense").await.contains("nonsense")).await;
    until("the stranger has no driver", SOON, async || reason("stranger").await.contains("no driver")).await;
    until("the impostor is told", SOON, async || {
        let events = get(hub.http, "/api/events?patterns=dwn&limit=1000").await.json();
        events.as_array().unwrap().iter().any(|e| e["type"] == "refused" && e["ip"] == "127.77.9.2")
    })
    .await;
    assert!(
        get(hub.http, "/api/devices/dwn.n1").await.json()["address"]
            .as_str()
            .unwrap()
            .starts_with("127.77.0.1")
    );
    assert_eq!(open_valve(hub.http, "dwn.n1.valve_b", 5).await.status, 200);
    until("the honest node works", SOON, async || relays.now() == 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lights_and_boards_report_and_obey() {
    let scratch = Scratch::new("lights");
    let config = config(&scratch);
    let hub = start(&config).await;
    let _led = spawn_device(node(&config, 1, wire::led::DRIVER_NAME, "strip"), Led::default());
    let _io = spawn_device(node(&config, 2, wire::io::DRIVER_NAME, "board"), Io::default());
    known(hub.http, "dwn.strip.light").await;
    known(hub.http, "dwn.board.input_0").await;
    let fade = json!({"command": "fade", "value": "#ff8000", "over_ms": 100});
    assert_eq!(command(hub.http, "dwn.strip.light", fade).await.status, 200);
    until("the fade has ended", SOON, async || state(hub.http, "dwn.strip.light").await == "#ff8000").await;
    let effect = json!({"command": "set", "value": "rainbow", "period_ms": 500});
    assert_eq!(command(hub.http, "dwn.strip.effect", effect).await.status, 200);
    until("the effect runs", SOON, async || state(hub.http, "dwn.strip.effect").await == "rainbow").await;
    assert_eq!(
        command(hub.http, "dwn.strip.light", json!({"command": "set", "value": "red"})).await.status,
        400
    );
    assert_eq!(get(hub.http, "/dwn/board/set?out=3&level=1").await.json()["status"], "ok");
    until("the input follows", SOON, async || state(hub.http, "dwn.board.input_3").await == true).await;
    assert_eq!(get(hub.http, "/dwn/board/status").await.json()["pgms"][3], 1);
    let log = get(hub.http, "/api/devices/dwn.board/log").await.json();
    assert!(log.as_array().unwrap().iter().any(|line| line["to"] == "device"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_nodes_at_once_are_all_found_and_obey() {
    // Two descriptors a node: the soft limit of 1,024 is too small.
    let files = rustix::process::Resource::Nofile;
    let maximum = rustix::process::getrlimit(files).maximum;
    rustix::process::setrlimit(files, rustix::process::Rlimit { current: maximum, maximum }).unwrap();
    let scratch = Scratch::new("thousand");
    let config = config(&scratch);
    let hub = start(&config).await;
    let mut nodes = Vec::new();
    for number in 0..1_000u16 {
        let (device, relays) = Irrigation::new(60_000);
        let mut settings =
            node(&config, number + 1, wire::irrigation::DRIVER_NAMES[1], &format!("n{number}"));
        settings.heartbeat = Duration::from_secs(2);
        nodes.push((hob_node::spawn(settings, device).unwrap(), relays));
    }
    until("all are connected", Duration::from_secs(60), async || {
        let status = get(hub.http, "/api/status").await.json();
        status["entities"] == 4_000 && status["entities_unavailable"] == 0
    })
    .await;
    for number in [0, 499, 999] {
        known(hub.http, &format!("dwn.n{number}.valve_a")).await;
        let answer = open_valve(hub.http, &format!("dwn.n{number}.valve_a"), 30).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        until("it is open", SOON, async || nodes[number].1.now() == 1).await;
    }
}

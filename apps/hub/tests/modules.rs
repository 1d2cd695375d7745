//! The other technologies, each against a device on a real socket or line.

mod support;

use hob_node::jsonrpc::{JsonRpcNode, Settings};
use hob_node::serial::SerialBoard;
use hob_node::servers;
use hub_modules::jsonrpc::NodeSettings;
use serde_json::json;
use std::net::SocketAddr;
use support::*;
use wire::alarm::Record;

const ANY: ([u8; 4], u16) = ([127, 0, 0, 1], 0);

#[tokio::test(flavor = "multi_thread")]
async fn a_thermostat_is_read_and_set() {
    let scratch = Scratch::new("weather");
    let station = servers::weather(SocketAddr::from(ANY)).await.unwrap();
    let mut config = config(&scratch);
    config.modules.weather.stations.insert("hall".into(), station.address.to_string());
    config.modules.weather.every = 1;
    let hub = start(&config).await;
    known(hub.http, "weather.hall.indoor").await;
    assert_eq!(state(hub.http, "weather.hall.indoor").await, 21.5);
    assert_eq!(state(hub.http, "weather.hall.mode").await, "heat");
    assert_eq!(state(hub.http, "weather.hall.hold").await, true);
    assert!(state(hub.http, "weather.hall.outdoor").await.is_null(), "N/A is no number");
    let setpoint = async |degrees: f64| {
        command(hub.http, "weather.hall.setpoint", json!({"command": "set", "value": degrees})).await.status
    };
    assert_eq!((setpoint(31.0).await, setpoint(20.2).await, setpoint(19.5).await), (400, 400, 200));
    until("it is read again", SOON, async || state(hub.http, "weather.hall.setpoint").await == 19.5).await;
    // The original's URLs.
    assert_eq!(get(hub.http, "/weather/setpoint?id=hall&temp=31").await.status, 400);
    assert_eq!(get(hub.http, "/weather/setpoint?id=attic&temp=22.5").await.status, 404);
    assert_eq!(get(hub.http, "/weather/setpoint?id=hall&temp=22.5").await.json()["status"], "ok");
    assert_eq!(get(hub.http, "/weather/setmode?id=hall&mode=cool").await.json()["status"], "ok");
    assert_eq!(get(hub.http, "/weather/getstats?id=hall").await.json()["temperatures"][0], "21.5");
    until("it is read again", SOON, async || {
        let told = get(hub.http, "/weather/getthermostat?id=hall").await.json();
        told["setpoint"] == 22.5 && told["mode"] == "cool"
    })
    .await;
    until("the mode is told", SOON, async || {
        get(hub.http, "/api/events?patterns=thermostat").await.json()[0]["status"] == 2
    })
    .await;
    drop(station);
    until("it is gone", SOON, async || state(hub.http, "weather.hall.indoor").await == "unavailable").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_alarm_panel_tells_zones_and_who_armed_it() {
    let scratch = Scratch::new("alarm");
    let panel = servers::alarm(SocketAddr::from(ANY)).await.unwrap();
    let mut config = config(&scratch);
    config.modules.alarm.panel = Some(panel.address.to_string());
    let hub = start(&config).await;
    until("the panel is connected", SOON, async || state(hub.http, "alarm.panel.armed").await == "unknown")
        .await;
    let record = |group, subgroup, label: &str| Record {
        group,
        subgroup,
        partition: 1,
        label_type: 0,
        label: label.into(),
    };
    until("the zone opens", SOON, async || {
        panel.happen(record(0, 5, "Kitchen"));
        state(hub.http, "alarm.panel.zone_5").await == true
    })
    .await;
    panel.happen(record(1, 5, "Kitchen"));
    panel.happen(record(29, 3, "Anna"));
    until("it is armed", SOON, async || state(hub.http, "alarm.panel.armed").await == true).await;
    assert_eq!(state(hub.http, "alarm.panel.zone_5").await, false);
    let events = get(hub.http, "/api/events?patterns=alarm").await.json();
    assert!(events.as_array().unwrap().iter().any(|e| e["action"] == "Armed" && e["usernumber"] == 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_serial_board_is_plugged_in_obeys_and_is_pulled_out() {
    let scratch = Scratch::new("gpio");
    let board = SerialBoard::plug_in().unwrap();
    // A name that stays while the terminal behind it changes, as udev makes it.
    let name = scratch.0.join("board");
    std::os::unix::fs::symlink(&board.path, &name).unwrap();
    let mut config = config(&scratch);
    config.modules.gpio.boards.push(name.clone());
    let hub = start(&config).await;
    known(hub.http, "gpio.board.input_0").await;
    board.set_contacts(0b00101);
    until("the contacts are seen", SOON, async || state(hub.http, "gpio.board.input_2").await == true).await;
    assert_eq!(state(hub.http, "gpio.board.input_1").await, false);
    let on = json!({"command": "set", "value": true});
    assert_eq!(command(hub.http, "gpio.board.relay_b", on.clone()).await.status, 200);
    until("the relay is on", SOON, async || board.relays() == 2).await;
    assert_eq!(command(hub.http, "gpio.board.input_0", on.clone()).await.status, 400);
    drop(board);
    until("it is gone", SOON, async || state(hub.http, "gpio.board.input_0").await == "unavailable").await;
    assert_eq!(command(hub.http, "gpio.board.relay_b", on).await.status, 503);
    let board = SerialBoard::plug_in().unwrap();
    std::fs::remove_file(&name).unwrap();
    std::os::unix::fs::symlink(&board.path, &name).unwrap();
    known(hub.http, "gpio.board.input_0").await;
}

const PINS: &str = r#"[{"pin":1,"mode":1},{"pin":5,"mode":2},{"pin":6,"mode":2,"maxon":1}]"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_json_rpc_node_is_read_and_set_and_turns_itself_off() {
    let scratch = Scratch::new("jsonrpc");
    let token = Some("node's token".to_string());
    let node =
        JsonRpcNode::start(ANY.into(), Settings { id: "shed".into(), token, hub: None, pins: PINS.into() })
            .await
            .unwrap();
    let (right, wrong) = (scratch.0.join("right"), scratch.0.join("wrong"));
    std::fs::write(&right, "node's token\n").unwrap();
    std::fs::write(&wrong, "guess\n").unwrap();
    let mut config = config(&scratch);
    for (id, token_file) in [("shed", right), ("guess", wrong)] {
        let settings = NodeSettings { address: Some(node.address.to_string()), token_file: Some(token_file) };
        config.modules.jsonrpc.nodes.insert(id.into(), settings);
    }
    let hub = start(&config).await;
    known(hub.http, "jsonrpc.shed.pin_5").await;
    assert_eq!(state(hub.http, "jsonrpc.shed.temperature").await, 20.5);
    let refused = get(hub.http, "/api/devices/jsonrpc.guess").await.json();
    assert!(refused["unavailable"].as_str().unwrap().contains("401"), "{refused}");
    node.set_inputs(1 << 1 | 1 << 5);
    until("the contact is seen", SOON, async || state(hub.http, "jsonrpc.shed.pin_1").await == true).await;
    let on = json!({"command": "set", "value": true});
    assert_eq!(command(hub.http, "jsonrpc.shed.pin_5", on.clone()).await.status, 200);
    assert_eq!(node.outputs(), 1 << 5);
    until("the output is known", SOON, async || state(hub.http, "jsonrpc.shed.pin_5").await == true).await;
    assert_eq!(command(hub.http, "jsonrpc.shed.pin_1", on.clone()).await.status, 400);
    // The fail-safe is the node's own: it acts without the hub, which is told.
    let safe = get(hub.http, "/api/entities/jsonrpc.shed.pin_6").await.json();
    assert_eq!(safe["attributes"]["turns_off_after_s"], 1);
    assert_eq!(command(hub.http, "jsonrpc.shed.pin_6", on.clone()).await.status, 200);
    until("it has turned itself off", SOON, async || node.outputs() == 1 << 5).await;
    until("the hub knows", SOON, async || state(hub.http, "jsonrpc.shed.pin_6").await == false).await;
    let pins = json!([{"pin": 7, "mode": 2}, {"pin": 5, "mode": 0}]);
    assert_eq!(send(hub.http, "PUT", "/api/jsonrpc/shed/pins", pins).await.status, 200);
    known(hub.http, "jsonrpc.shed.pin_7").await;
    until("pin 5 is used no more", SOON, async || {
        state(hub.http, "jsonrpc.shed.pin_5").await == "unavailable"
    })
    .await;
    // Edits are made on what is there, not on what somebody has read some time ago.
    let path = "/api/jsonrpc/shed/pins";
    let read = get(hub.http, path).await;
    assert!(
        read.json().as_array().unwrap().contains(&json!({"pin": 7, "mode": 2, "maxon": 0})),
        "{}",
        read.json()
    );
    let tag = format!("If-Match: {}\r\n", read.header("etag").unwrap());
    let edit = async |pin: u8| {
        request(hub.http, "PUT", path, &tag, Some(json!([{"pin": pin, "mode": 2}]))).await.unwrap().status
    };
    assert_eq!(edit(10).await, 200);
    assert_eq!(edit(11).await, 412);
    // Somebody configures the node by its own page: the hub sees what it is now.
    let own = json!({"jsonrpc": "2.0", "id": "1", "method": "configpins", "params": {"pins": [{"pin": 12, "mode": 2}]}});
    let shown = "Authorization: Bearer node's token\r\n";
    let told = request(node.address, "POST", "/jsonrpc", shown, Some(own)).await.unwrap();
    assert_eq!(told.status, 200, "{told:?}");
    until("the hub has seen it", AT_LAST, async || state(hub.http, "jsonrpc.shed.pin_12").await == false)
        .await;
    assert_eq!(command(hub.http, "jsonrpc.shed.pin_12", on.clone()).await.status, 200);
    assert_eq!(node.outputs() & 1 << 12, 1 << 12);
    let reserved = send(hub.http, "PUT", "/api/jsonrpc/shed/pins", json!([{"pin": 13, "mode": 2}])).await;
    assert_eq!(reserved.status, 409, "{}", reserved.json());
    drop(node);
    until("it is gone", SOON, async || state(hub.http, "jsonrpc.shed.pin_7").await == "unavailable").await;
    assert_eq!(command(hub.http, "jsonrpc.shed.pin_7", on).await.status, 503);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_behind_a_nat_dials_in_with_its_token() {
    const TOKEN: &str = "a token of some length";
    let scratch = Scratch::new("dial");
    let token_file = scratch.0.join("token");
    std::fs::write(&token_file, format!("{TOKEN}\n")).unwrap();
    let mut config = config(&scratch);
    // An address of this process alone.
    let [.., high, low] = std::process::id().to_be_bytes();
    let at = SocketAddr::from(([127, 89, high, low], 8242));
    config.modules.jsonrpc.listen = Some(at);
    let settings = NodeSettings { address: None, token_file: Some(token_file) };
    config.modules.jsonrpc.nodes.insert("boat".into(), settings);
    let hub = start(&config).await;
    let dial = async |id: &str, token: &str| {
        let (token, hub) = (Some(token.into()), Some(at.to_string()));
        let settings = Settings { id: id.into(), token, hub, pins: PINS.into() };
        JsonRpcNode::start(ANY.into(), settings).await.unwrap()
    };
    let _stranger = dial("stranger", TOKEN).await;
    let _liar = dial("boat", "a guess of that length").await;
    let device = get(hub.http, "/api/devices/jsonrpc.boat").await.json();
    assert_eq!(device["unavailable"], "it has not dialled in yet");
    let mut silent = Vec::new();
    for _ in 0..40 {
        silent.push(tokio::net::TcpStream::connect(at).await.unwrap());
    }
    let mut byte = [0];
    until("the first silent one makes room", SOON, async || {
        silent[0].try_read(&mut byte).is_ok_and(|len| len == 0)
    })
    .await;
    let boat = dial("boat", TOKEN).await;
    known(hub.http, "jsonrpc.boat.pin_5").await;
    let on = json!({"command": "set", "value": true});
    assert_eq!(command(hub.http, "jsonrpc.boat.pin_5", on.clone()).await.status, 200);
    assert_eq!(boat.outputs(), 1 << 5);
    boat.set_inputs(1 << 1);
    until("the contact is seen", SOON, async || state(hub.http, "jsonrpc.boat.pin_1").await == true).await;
    // A node that has lost its power comes back over a new connection while the hub still has the old one.
    let again = dial("boat", TOKEN).await;
    until("the newer one is the boat", SOON, async || {
        command(hub.http, "jsonrpc.boat.pin_5", on.clone()).await.status == 200 && again.outputs() == 1 << 5
    })
    .await;
    let devices = get(hub.http, "/api/devices").await.json();
    assert_eq!(devices.as_array().unwrap().len(), 1, "strangers make no devices: {devices}");
}

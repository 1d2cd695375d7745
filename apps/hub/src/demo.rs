//! The living house of `hub --demo`: simulated devices in the same program, on loopback addresses of their own.

use crate::Config;
use hob_node::devices::{Io, Irrigation, Led};
use hob_node::jsonrpc::{JsonRpcNode, Settings as Shed};
use hob_node::{Config as Node, Handle, servers, spawn};
use hub_modules::jsonrpc::NodeSettings;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::task::JoinSet;
use wire::alarm::Record;

/// The port that needs no right.
pub const PORT: u16 = 24_242;
const STATION: ([u8; 4], u16) = ([127, 77, 0, 5], 24_280);
const PANEL: ([u8; 4], u16) = ([127, 77, 0, 6], 24_223);
const SHED: ([u8; 4], u16) = ([127, 77, 0, 7], 24_280);

/// Something that lives as long as it is kept.
pub enum Living {
    Node(Handle),
    Shed(JsonRpcNode),
    Station(servers::Station),
    /// Weather that changes, and a door that is used.
    Life(JoinSet<()>),
}

/// Lets the configuration know of the devices that do not advertise themselves.
pub fn furnish(config: &mut Config) {
    let modules = &mut config.modules;
    modules.dwn.port = PORT;
    modules.dwn.interface = Ipv4Addr::LOCALHOST;
    modules.weather.stations.insert("hall".into(), SocketAddr::from(STATION).to_string());
    modules.weather.every = 10;
    modules.alarm.panel = Some(SocketAddr::from(PANEL).to_string());
    let shed = NodeSettings { address: Some(SocketAddr::from(SHED).to_string()), token_file: None };
    modules.jsonrpc.nodes.insert("shed".into(), shed);
}

/// Starts the demonstration's devices; they live as long as what is returned.
///
/// # Errors
/// A socket could not be made.
pub async fn devices(config: &Config) -> std::io::Result<Vec<Living>> {
    let node = |last: u8, name: &str, id: &str| Node {
        name: name.into(),
        id: id.into(),
        address: Ipv4Addr::new(127, 77, 0, last),
        port: config.modules.dwn.port,
        interface: Ipv4Addr::LOCALHOST,
        heartbeat: Duration::from_millis(wire::HEARTBEAT_EVERY_MS),
        trust: None,
    };
    let (garden, _) = Irrigation::new(wire::irrigation::NODE_LIMIT_MS);
    let (greenhouse, _) = Irrigation::new(wire::irrigation::NODE_LIMIT_MS);
    let pins = r#"[{"pin":1,"mode":1},{"pin":5,"mode":2},{"pin":6,"mode":2,"maxon":10}]"#.into();
    let shed = JsonRpcNode::start(SHED.into(), Shed { id: "shed".into(), pins, ..Shed::default() }).await?;
    let station = servers::weather(STATION.into()).await?;
    let panel = servers::alarm(PANEL.into()).await?;
    let mut life = JoinSet::new();
    let climate = station.climate.clone();
    life.spawn(async move {
        let mut pass = tokio::time::interval(Duration::from_secs(10));
        for step in 0_u32.. {
            pass.tick().await;
            // A day in ten minutes.
            let angle = f64::from(step) / 60.0 * std::f64::consts::TAU;
            let mut climate = climate.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            climate.indoor = (215.0 + 20.0 * angle.sin()).round() / 10.0;
        }
    });
    life.spawn(async move {
        let mut pass = tokio::time::interval(Duration::from_secs(20));
        for step in 0_u8.. {
            pass.tick().await;
            let label = "Front door".to_string();
            panel.happen(Record { group: step % 2, subgroup: 1, partition: 1, label_type: 0, label });
        }
    });
    Ok(vec![
        Living::Node(spawn(node(1, wire::irrigation::DRIVER_NAMES[0], "garden"), garden)?),
        Living::Node(spawn(node(2, wire::irrigation::DRIVER_NAMES[1], "greenhouse"), greenhouse)?),
        Living::Node(spawn(node(3, wire::led::DRIVER_NAME, "kitchen-strip"), Led::default())?),
        Living::Node(spawn(node(4, wire::io::DRIVER_NAME, "hall-board"), Io::default())?),
        Living::Shed(shed),
        Living::Station(station),
        Living::Life(life),
    ])
}

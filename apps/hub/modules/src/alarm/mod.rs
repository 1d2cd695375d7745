//! The alarm panel behind a serial server: 37-byte records over TCP.

use house::{BoxFuture, Entity, Kind, Module, Room, State};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use wire::alarm::{Record, Records};

/// `[modules.alarm]`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// `address:port` of the serial server; port 23 on most. None: no panel.
    pub panel: Option<String>,
}

/// The module.
#[derive(Debug)]
pub struct Alarm {
    settings: Settings,
}

impl Alarm {
    /// A module for this panel.
    pub fn new(settings: Settings) -> Alarm {
        Alarm { settings }
    }
}

/// The pause before the panel is called again.
const AGAIN: Duration = Duration::from_secs(2);
/// Zones that become entities at most: labels come from the wire.
const ZONES: usize = 192;

impl Module for Alarm {
    fn name(&self) -> &'static str {
        "alarm"
    }

    fn run(self: Arc<Self>, room: Room) -> BoxFuture<'static, Result<(), String>> {
        Box::pin(async move {
            let Some(panel) = &self.settings.panel else {
                room.armed();
                return std::future::pending().await;
            };
            let device = room.own_device("panel", "Alarm panel", "alarm panel", Some(panel));
            room.armed();
            loop {
                let reason = match timeout(Duration::from_secs(5), TcpStream::connect(panel)).await {
                    Ok(Ok(stream)) => {
                        room.available(&device, None);
                        listen(&room, &device, stream).await
                    }
                    Ok(Err(error)) => format!("no connection: {error}"),
                    Err(_) => "it does not accept a connection".into(),
                };
                room.unavailable(&device, &reason);
                sleep(AGAIN).await;
            }
        })
    }
}

/// Takes records until the connection ends; gives the reason.
async fn listen(room: &Room, device: &str, mut stream: TcpStream) -> String {
    room.offer(Entity::new(device, "armed", "Armed", Kind::Binary));
    let mut records = Records::default();
    let mut segment = [0; 512];
    loop {
        match stream.read(&mut segment).await {
            Ok(0) => return "it closed the connection".into(),
            Ok(len) => {
                let bytes = segment.get(..len).unwrap_or(&[]);
                room.log(device, false, bytes);
                records.push(bytes).iter().for_each(|record| happened(room, device, record));
            }
            Err(error) => return format!("connection lost: {error}"),
        }
    }
}

fn happened(room: &Room, device: &str, record: &Record) {
    let action = record.action();
    let Record { group, subgroup, label, .. } = record;
    let data = json!({"action": action, "label": label, "usernumber": record.user(), "group": group, "subgroup": subgroup});
    room.emit(device, "alarm", data);
    match action {
        "Armed" | "Disarmed" => {
            room.state(&format!("{device}.armed"), State::Known((action == "Armed").into()))
        }
        "zoneon" | "zoneoff" => {
            let what = format!("zone_{subgroup}");
            let id = format!("{device}.{what}");
            let (is_known, zones) = room
                .house()
                .look(|r| (r.entity(&id).is_some(), r.entities().filter(|e| e.device == device).count()));
            if !is_known && zones >= ZONES {
                return;
            }
            let name = if label.is_empty() { what.clone() } else { label.clone() };
            room.offer(Entity::new(device, &what, &name, Kind::Binary));
            room.state(&id, State::Known((action == "zoneon").into()));
        }
        _ => {}
    }
}

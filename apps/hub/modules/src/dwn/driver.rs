//! What a node is: its driver, chosen by the name in the advert. A new kind of node is one file and one line here.

mod io;
mod irrigation;
mod led;

use house::{Command, Problem, Room};
use serde_json::{Map, Value};
use std::net::SocketAddr;
use wire::Refused;
use wire::stream::{Payload, Received, Stream};

/// Where a driver finds its device.
#[derive(Clone)]
pub(crate) struct Context<'a> {
    pub room: &'a Room,
    /// The device's id in the house.
    pub device: &'a str,
    /// Its own id, as in URLs.
    pub id: &'a str,
    /// The name in its advert.
    pub name: &'a str,
    pub address: SocketAddr,
    pub is_v2: bool,
}

impl Context<'_> {
    /// The id of an entity.
    pub fn entity(&self, what: &str) -> String {
        format!("{}.{what}", self.device)
    }
    /// An event of the node in the original's form.
    pub fn emit(&self, mut data: Map<String, Value>) {
        data.insert("ip".into(), self.address.ip().to_string().into());
        data.insert("name".into(), self.name.into());
        data.insert("id".into(), self.id.into());
        self.room.emit(self.device, "dwn", Value::Object(data));
    }
}

/// Bytes for the device, and what to tell who asked.
#[derive(Debug, Default)]
pub(crate) struct Order {
    /// v1: what goes on the wire; v2: one command's payload.
    pub bytes: Vec<u8>,
    pub answer: Map<String, Value>,
}

/// Speaks for one device over one connection.
pub(crate) trait Driver: Send {
    /// Registers entities and functions.
    fn offer(&self, context: &Context);
    /// What to ask of a device that has just connected.
    fn connected(&mut self, context: &Context) -> Option<Order>;
    /// Bytes of a v1 stream; says whether a heartbeat was among them.
    fn receive(&mut self, context: &Context, segment: &[u8]) -> Result<bool, Refused>;
    /// One whole report of a v2 session.
    fn report(&mut self, context: &Context, payload: &[u8]) -> Result<(), Refused>;
    /// How a command is said to the device.
    fn command(&mut self, context: &Context, command: &Command) -> Result<Order, Problem>;
}

/// The driver for a name, if there is one.
pub(crate) fn for_name(name: &str) -> Option<Box<dyn Driver>> {
    match name {
        name if wire::irrigation::DRIVER_NAMES.contains(&name) => {
            Some(Box::<irrigation::Irrigation>::default())
        }
        wire::led::DRIVER_NAME => Some(Box::<led::Led>::default()),
        wire::io::DRIVER_NAME => Some(Box::<io::Io>::default()),
        _ => None,
    }
}

/// What people call a node of this name.
pub(crate) fn title(name: &str) -> &str {
    match name {
        name if wire::irrigation::DRIVER_NAMES.contains(&name) => "Irrigation",
        wire::led::DRIVER_NAME => "LED strip",
        wire::io::DRIVER_NAME => "IO board",
        other => other,
    }
}

/// Cuts a v1 segment into messages.
fn receive<P: Payload>(stream: &mut Stream<P>, segment: &[u8]) -> Result<(Vec<P::Message>, bool), Refused> {
    let (mut messages, mut is_alive) = (Vec::new(), false);
    stream.push(segment, |received| match received {
        Received::Heartbeat => is_alive = true,
        Received::Message(message) => messages.push(message),
    })?;
    Ok((messages, is_alive))
}

/// Reads the one message that a v2 report is.
fn whole<P: Payload>(payload: &[u8]) -> Result<P::Message, Refused> {
    if payload.is_empty() {
        return Err(Refused::Malformed("empty report"));
    }
    match P::next(payload)? {
        Some((message, used)) if used == payload.len() => Ok(message),
        _ => Err(Refused::Malformed("report")),
    }
}

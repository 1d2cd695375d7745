//! JSON-RPC nodes: pins over HTTP and WebSocket, called by the hub or dialling in from behind a NAT.
//!
//! What the pins are is the node's own configuration and is read when it connects. A node's events only say that something
//! has changed (older firmware tells outputs the wrong way round): the pins are read anew.
//!
//! Start reading at [`JsonRpc`], then [`line`] (one connection) and [`door`] (where nodes dial in).

mod door;
mod line;

use door::Expected;
use house::function::Right;
use house::house::Commander;
use house::{BoxFuture, Command, Entity, Function, Kind, Method, Module, Problem, Reply, Room, State};
use line::{Dialled, Line};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep};
use wire::dial::SHORTEST_TOKEN;
use wire::jsonrpc::{Mode, PINS, Pin, pins};

/// `[modules.jsonrpc]`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Where nodes dial in; none: no node does.
    pub listen: Option<SocketAddr>,
    /// The nodes, by their ids.
    pub nodes: BTreeMap<String, NodeSettings>,
}

/// `[modules.jsonrpc.nodes.<id>]`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct NodeSettings {
    /// `host` or `host:port`; none: the node dials in.
    pub address: Option<String>,
    /// A file whose first line is the node's token. A node that dials in must have one.
    pub token_file: Option<PathBuf>,
}

impl Settings {
    /// What is wrong: the name of the field and the reason.
    ///
    /// # Errors
    /// An id that is none, a node that can be reached in no way.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        for (id, node) in &self.nodes {
            if !wire::advert::is_id(id) || id.contains('.') {
                return Err((
                    "[modules.jsonrpc.nodes",
                    format!("{id:?}: an id has letters, digits, - and _"),
                ));
            }
            if node.address.is_none() && (self.listen.is_none() || node.token_file.is_none()) {
                let what =
                    format!("{id} has no address: to dial in it needs a token_file, and listen must be set");
                return Err(("[modules.jsonrpc", what));
            }
        }
        Ok(())
    }
}

/// How often a node is asked although it has said nothing: finds out whether it is still there.
const ASK_EVERY: Duration = Duration::from_secs(5);
/// The pause before a node is called again.
const AGAIN: Duration = Duration::from_secs(1);
/// Requests that wait for one node at most.
const REQUESTS: usize = 16;

/// The module.
#[derive(Debug)]
pub struct JsonRpc {
    settings: Settings,
}

impl JsonRpc {
    /// A module for these nodes.
    pub fn new(settings: Settings) -> JsonRpc {
        JsonRpc { settings }
    }
}

impl Module for JsonRpc {
    fn name(&self) -> &'static str {
        "jsonrpc"
    }

    fn run(self: Arc<Self>, room: Room) -> BoxFuture<'static, Result<(), String>> {
        Box::pin(async move {
            let mut tasks = JoinSet::new();
            let mut expected = BTreeMap::new();
            for (id, settings) in &self.settings.nodes {
                let token = settings.token_file.as_deref().map(crate::secret).transpose()?;
                let device = room.own_device(id, id, "JSON-RPC node", settings.address.as_deref());
                let node = Node { room: room.clone(), device, id: id.clone(), pins: Arc::default() };
                match (&settings.address, token) {
                    (Some(address), token) => {
                        tasks.spawn(node.called(address.clone(), token));
                    }
                    (None, Some(token)) if token.len() < SHORTEST_TOKEN => {
                        let what =
                            format!("{id} dials in: its token needs {SHORTEST_TOKEN} characters or more");
                        return Err(format!("{what} (openssl rand -hex 16 makes such a token)"));
                    }
                    (None, Some(token)) => {
                        let (take, taken) = mpsc::channel(1);
                        expected.insert(id.clone(), Expected { token, take });
                        tasks.spawn(node.dialling(taken));
                    }
                    (None, None) => return Err(format!("{id} has neither an address nor a token")),
                }
            }
            if let Some(at) = self.settings.listen {
                let listener = TcpListener::bind(at).await.map_err(|error| format!("{at}: {error}"))?;
                tasks.spawn(door::open(listener, expected));
            }
            room.armed();
            match tasks.join_next().await {
                Some(_) => Err("a node's task ended".into()),
                None => std::future::pending().await,
            }
        })
    }
}

/// What the house asks of a node, and where the answer goes.
struct Asked {
    method: &'static str,
    params: Value,
    answer: oneshot::Sender<Result<Value, Problem>>,
}

/// One node of the house.
struct Node {
    room: Room,
    device: String,
    id: String,
    /// What the pins are used for, as the node last said.
    pins: Arc<Mutex<Vec<Pin>>>,
}

impl Node {
    /// A node that the hub calls.
    async fn called(self, address: String, token: Option<String>) {
        loop {
            let reason = match Line::connect(&address, token.as_deref()).await {
                Ok(mut line) => self.serve(&mut line).await,
                Err(reason) => reason,
            };
            self.room.unavailable(&self.device, &reason);
            sleep(AGAIN).await;
        }
    }

    /// A node that dials in; whoever comes later with its token is the node, and the connection before is dropped.
    async fn dialling(self, mut taken: mpsc::Receiver<Dialled>) {
        self.room.unavailable(&self.device, "it has not dialled in yet");
        let mut next = taken.recv().await;
        while let Some(dialled) = next.take() {
            let mut line = Line::dialled(dialled);
            tokio::select! {
                reason = self.serve(&mut line) => {
                    self.room.unavailable(&self.device, &reason);
                    next = taken.recv().await;
                }
                newer = taken.recv() => next = newer,
            }
        }
    }

    /// Serves a connection until it is lost; gives the reason.
    async fn serve(&self, line: &mut Line) -> String {
        match self.speak(line).await {
            Ok(never) => match never {},
            Err(reason) => reason,
        }
    }

    async fn speak(&self, line: &mut Line) -> Result<std::convert::Infallible, String> {
        let (ask, mut asked) = mpsc::channel(REQUESTS);
        let mut known = self.read_status(line).await?;
        self.room.available(&self.device, Some(self.commander(&ask, &known)));
        self.offer_functions(&ask);
        self.read_pins(line, &known).await?;
        let mut pass = interval(ASK_EVERY);
        pass.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                news = line.news() => {
                    news?;
                    self.read_pins(line, &known).await?;
                }
                _ = pass.tick() => {
                    // Somebody may have configured the node by its own page.
                    let now = self.read_status(line).await?;
                    if now != known {
                        known = now;
                        self.room.available(&self.device, Some(self.commander(&ask, &known)));
                    }
                    self.read_pins(line, &known).await?;
                }
                Some(Asked { method, params, answer }) = asked.recv() => {
                    self.room.log(&self.device, true, format!("{method} {params}").as_bytes());
                    let result = line.call(method, params).await;
                    let told = match &result {
                        Ok(Ok(result)) => Ok(result.clone()),
                        Ok(Err(reason)) => Err(Problem::new(409, "the device refused the command").detail(reason.clone())),
                        Err(reason) => Err(Problem::unavailable("the connection was lost").detail(reason.clone())),
                    };
                    let is_configured = method == "configpins" && result?.is_ok();
                    if is_configured {
                        // Before the answer: who has it finds the pins as they are now.
                        known = self.read_status(line).await?;
                        self.room.available(&self.device, Some(self.commander(&ask, &known)));
                    }
                    // Who asked may have gone.
                    let _ = answer.send(told);
                    self.read_pins(line, &known).await?;
                }
            }
        }
    }

    /// What the node is; offers what it has.
    async fn read_status(&self, line: &mut Line) -> Result<Vec<Pin>, String> {
        let status = line.call("status", Value::Null).await??;
        let known = pins(&status);
        for (number, pin) in known.iter().enumerate() {
            let (what, name) = (format!("pin_{number}"), format!("Pin {number}"));
            match pin.mode {
                Mode::Input => self.room.offer(Entity::new(&self.device, &what, &name, Kind::Binary)),
                Mode::Output => {
                    let output = Entity::new(&self.device, &what, &name, Kind::Switch);
                    self.room.offer(match pin.max_on_s {
                        0 => output,
                        seconds => output.attribute("turns_off_after_s", seconds),
                    });
                }
                Mode::None | Mode::Analog => {}
            }
        }
        self.climate(&status);
        self.pins.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&known);
        Ok(known)
    }

    async fn read_pins(&self, line: &mut Line, known: &[Pin]) -> Result<(), String> {
        let answer = line.call("getpins", Value::Null).await??;
        self.room.log(&self.device, false, answer.to_string().as_bytes());
        let listed = answer["pins"].as_array().ok_or("it sent nonsense")?;
        let is_on = |number: usize| listed.iter().any(|pin| pin.as_u64() == Some(number as u64));
        self.room.house().change(|registry, now_ms| {
            let mut events = Vec::new();
            for (number, pin) in known.iter().enumerate() {
                let state = match pin.mode {
                    Mode::Input | Mode::Output => State::Known(is_on(number).into()),
                    Mode::None | Mode::Analog => State::Unavailable("the node does not use this pin".into()),
                };
                events.extend(registry.set_state(&format!("{}.pin_{number}", self.device), state, now_ms));
            }
            ((), events)
        });
        Ok(())
    }

    /// Measurements; a figure of -1 for all three means that there is no sensor.
    fn climate(&self, figures: &Value) {
        let all = [
            ("temperature", "Temperature", "°C"),
            ("pressure", "Pressure", "hPa"),
            ("humidity", "Humidity", "%"),
        ];
        if all.iter().all(|(what, ..)| figures[*what].as_f64().is_none_or(|figure| figure == -1.0)) {
            return;
        }
        for (what, name, unit) in all {
            if let Some(figure) = figures[what].as_f64() {
                self.room.offer(Entity::new(&self.device, what, name, Kind::Sensor).unit(unit));
                self.room.state(&format!("{}.{what}", self.device), State::Known(figure.into()));
            }
        }
    }

    fn commander(&self, ask: &mpsc::Sender<Asked>, known: &[Pin]) -> Commander {
        let (ask, prefix) = (ask.clone(), format!("{}.pin_", self.device));
        let outputs: Vec<bool> = known.iter().map(|pin| pin.mode == Mode::Output).collect();
        Arc::new(move |command: Command| {
            let pin = command.entity.strip_prefix(&prefix).and_then(|number| number.parse::<usize>().ok());
            let pin = pin.filter(|pin| outputs.get(*pin) == Some(&true));
            let on =
                command.arguments.get("value").and_then(Value::as_bool).filter(|_| command.action == "set");
            let ask = ask.clone();
            Box::pin(async move {
                let pin = pin.ok_or_else(|| Problem::bad("only outputs take commands"))?;
                let on = on.ok_or_else(|| Problem::bad("an output takes set with value true or false"))?;
                let method = if on { "setpin" } else { "clearpin" };
                send(&ask, method, json!({ "pin": pin })).await?;
                Ok(Map::new())
            })
        })
    }

    fn offer_functions(&self, ask: &mpsc::Sender<Asked>) {
        let schema = json!({"type": "array", "items": {"type": "object", "required": ["pin", "mode"], "properties": {
            "pin": {"type": "integer"}, "mode": {"type": "integer", "description": "0 none, 1 input, 2 output"},
            "maxon": {"type": "integer", "description": "fail-safe in seconds, 0: never"}}}});
        let path = format!("/api/jsonrpc/{}/pins", self.id);
        let about =
            "What the node's pins are used for, and after how many seconds an output turns itself off";
        let pins = self.pins.clone();
        let show = Function::new(Method::Get, &path, about, move |_, _| {
            let shown = shown(&pins);
            Box::pin(async move { Ok(Reply::tagged(shown)) })
        });
        self.room.function(Some(&self.device), show);
        let (own, pins) = (ask.clone(), self.pins.clone());
        let configure = Function::new(Method::Put, &path, about, move |_, call| {
            let (own, pins) = (own.clone(), pins.clone());
            Box::pin(async move {
                call.unchanged(&shown(&pins))?;
                let listed = call.body.as_array().filter(|listed| listed.len() <= PINS).cloned();
                let listed = listed.ok_or_else(|| Problem::bad("the body is a list of pins"))?;
                // One at a time: older firmware takes 200 bytes.
                for pin in listed {
                    send(&own, "configpins", json!({ "pins": [pin] })).await?;
                }
                Ok(Reply::ok())
            })
        });
        self.room.function(Some(&self.device), configure.right(Right::Admin).body(schema));
        let own = ask.clone();
        let path = format!("/api/jsonrpc/{}/restart", self.id);
        let restart = Function::new(Method::Post, &path, "Restart the node", move |_, _| {
            let own = own.clone();
            Box::pin(async move {
                send(&own, "restart", json!({})).await?;
                Ok(Reply::ok())
            })
        });
        self.room.function(Some(&self.device), restart.right(Right::Admin));
    }
}

/// The pins that are used, in the form in which they are configured.
fn shown(pins: &Mutex<Vec<Pin>>) -> Value {
    let pins = pins.lock().unwrap_or_else(PoisonError::into_inner);
    let used = pins.iter().enumerate().filter(|(_, pin)| pin.mode != Mode::None);
    used.map(|(n, pin)| json!({"pin": n, "mode": pin.mode.number(), "maxon": pin.max_on_s})).collect()
}

async fn send(ask: &mpsc::Sender<Asked>, method: &'static str, params: Value) -> Result<Value, Problem> {
    let (answer, wait) = oneshot::channel();
    let busy = |_| Problem::unavailable("too many commands wait for this device");
    ask.try_send(Asked { method, params, answer }).map_err(busy)?;
    let lost = || Problem::unavailable("the connection was lost");
    // What is sent in the moment in which the connection ends may stay in the channel, and its answer with it.
    tokio::select! {
        biased;
        answered = wait => answered.unwrap_or_else(|_| Err(lost())),
        () = ask.closed() => Err(lost()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_nobody_could_reach_is_a_mistake() {
        let with = |listen: bool, node: NodeSettings| {
            let listen = listen.then(|| SocketAddr::from(([127, 0, 0, 1], 1)));
            Settings { listen, nodes: [("shed".to_string(), node)].into() }.check().is_ok()
        };
        let address = NodeSettings { address: Some("192.0.2.1".into()), token_file: None };
        let token = NodeSettings { address: None, token_file: Some("x".into()) };
        assert!(with(false, address) && with(true, token.clone()));
        assert!(!with(false, token) && !with(true, NodeSettings::default()));
    }
}

//! MQTT: the house's entities for other programs, and other programs' devices for the house, both found by Home Assistant's
//! discovery messages.
//!
//! Whoever may write to the broker may command what is offered there; the broker's own access rules decide who that is.
//! Devices that announce themselves wait in the inbox like all others.
//!
//! Start reading at [`Bridge`], then [`outward`] with [`offer`], and [`inward`] with [`found`].

mod found;
mod inward;
mod link;
mod offer;
mod outward;
mod template;
mod tunnel;

use found::{Announced, Remote};
use house::function::Right;
use house::{
    BoxFuture, Delivery, Filter, Function, Method, Module, Principal, Problem, Reply, Room, Status,
    Subscription,
};
use link::{Broker, News};
use offer::{Retained, Topics};
use rumqttc::{AsyncClient, QoS};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// `[modules.mqtt]`.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// `host` or `host:port` (1883) of the broker, `mqtts://host` or `mqtts://host:port` (8883) for TLS. None: no MQTT.
    pub broker: Option<String>,
    /// A PEM file with the authority that vouches for the broker, besides those that this machine knows.
    pub authority: Option<PathBuf>,
    pub user: Option<String>,
    /// A file whose first line is the password.
    pub password_file: Option<PathBuf>,
    /// The first part of the hub's own topics.
    pub base: String,
    /// Home Assistant's discovery prefix.
    pub discovery: String,
    /// Offer the house's entities to others.
    pub offer: bool,
    /// Look for the devices of others.
    pub find: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            broker: None,
            authority: None,
            user: None,
            password_file: None,
            base: "hob".into(),
            discovery: "homeassistant".into(),
            offer: true,
            find: true,
        }
    }
}

/// Remote entities at most.
const REMOTES: usize = 5_000;
/// Commands that wait for the broker at most.
const COMMANDS: usize = 64;
/// Events that wait for the bridge at most.
const EVENTS: usize = 8_192;

/// The module.
#[derive(Debug)]
pub struct Mqtt {
    settings: Settings,
}

impl Mqtt {
    /// A module with these settings.
    pub fn new(settings: Settings) -> Mqtt {
        Mqtt { settings }
    }

    fn broker(&self, address: &str) -> Result<Broker, String> {
        let (is_secure, place) = match address.split_once("://") {
            None | Some(("mqtt", _)) => (false, address.trim_start_matches("mqtt://")),
            Some(("mqtts", place)) => (true, place),
            Some(_) => return Err(format!("broker {address:?}: mqtt:// or mqtts:// is known")),
        };
        let (host, port) = match place.rsplit_once(':') {
            Some((host, port)) => {
                (host, port.parse().map_err(|_| format!("broker {address:?} has no port number"))?)
            }
            None => (place, if is_secure { 8883 } else { 1883 }),
        };
        let Settings { user, password_file, base, authority, .. } = &self.settings;
        let tls = match (is_secure, authority) {
            (true, authority) => Some(Arc::new(hub_tls::client(authority.as_deref())?)),
            (false, None) => None,
            (false, Some(_)) => return Err("an authority is of use only with broker = \"mqtts://..\"".into()),
        };
        let password = match password_file {
            None => String::new(),
            Some(file) => crate::secret(file)?,
        };
        let is_plain = |topic: &str| !topic.is_empty() && !topic.contains(['+', '#', '\0']);
        if !is_plain(base) || base.contains('/') || !is_plain(&self.settings.discovery) {
            return Err("base and discovery must be plain topics, base without a slash".into());
        }
        Ok(Broker {
            host: host.to_string(),
            port,
            tls,
            login: user.clone().map(|user| (user, password)),
            // A hub that comes back takes its connection over.
            client_id: format!("hob-hub-{base}"),
            status_topic: format!("{base}/status"),
        })
    }
}

impl Module for Mqtt {
    fn name(&self) -> &'static str {
        "mqtt"
    }

    fn run(self: Arc<Self>, room: Room) -> BoxFuture<'static, Result<(), String>> {
        Box::pin(async move {
            let Some(address) = &self.settings.broker else {
                room.armed();
                return std::future::pending().await;
            };
            let broker = self.broker(address)?;
            let mut tasks = JoinSet::new();
            let house = room.house();
            let events = house.bus().subscribe(
                Filter {
                    patterns: ["state", "entity", "device"].map(str::to_string).to_vec(),
                    who: Principal::house(),
                },
                EVENTS,
            );
            let (client, news) = link::connect(&broker, &mut tasks)?;
            let (order, orders) = mpsc::channel(COMMANDS);
            let is_connected = Arc::new(AtomicBool::new(false));
            let lost = Lost::default();
            register(&room, &order, &is_connected, &lost);
            room.armed();
            let bridge = Bridge {
                topics: Topics {
                    base: self.settings.base.clone(),
                    discovery: self.settings.discovery.clone(),
                },
                settings: self.settings.clone(),
                address: format!("{}:{}", broker.host, broker.port),
                room,
                client,
                order,
                is_connected,
                lost,
                offered: BTreeMap::new(),
                announced: BTreeMap::new(),
                remotes: BTreeMap::new(),
                listening: BTreeMap::new(),
                retained: BTreeMap::new(),
                requests: VecDeque::new(),
            };
            tokio::select! {
                ended = bridge.run(events, news, orders) => ended,
                _ = tasks.join_next() => Err("the task that keeps the connection ended".into()),
            }
        })
    }
}

/// A message that goes out once.
#[derive(Debug)]
struct Order {
    topic: String,
    payload: String,
    retain: bool,
}

/// What goes to the broker besides retained messages.
#[derive(Debug)]
enum Request {
    Subscribe(String),
    Unsubscribe(String),
    Publish(Order),
}

/// Why there is no connection.
type Lost = Arc<Mutex<Option<String>>>;

/// Between the house and the broker.
struct Bridge {
    topics: Topics,
    settings: Settings,
    address: String,
    room: Room,
    client: AsyncClient,
    order: mpsc::Sender<Order>,
    is_connected: Arc<AtomicBool>,
    lost: Lost,
    /// Entities that others were told of, and the topics that say so.
    offered: BTreeMap<String, [String; 3]>,
    /// Which device a discovery topic announced, and its entities, so that an empty message takes them away again.
    announced: BTreeMap<String, Announced>,
    /// Entities of accepted devices, by id in the house.
    remotes: BTreeMap<String, Remote>,
    /// Topics that are listened to, and the entities that hear them.
    listening: BTreeMap<String, BTreeSet<String>>,
    /// The newest retained message of each topic that is not with the broker yet: bounded by the number of topics.
    retained: BTreeMap<String, Vec<u8>>,
    requests: VecDeque<Request>,
}

impl Bridge {
    async fn run(
        mut self,
        mut events: Subscription,
        mut news: mpsc::Receiver<News>,
        mut orders: mpsc::Receiver<Order>,
    ) -> Result<(), String> {
        loop {
            let is_connected = self.is_connected.load(Ordering::Relaxed);
            let has_work = is_connected && !(self.requests.is_empty() && self.retained.is_empty());
            tokio::select! {
                delivery = events.next() => match delivery {
                    Delivery::Event(event) => self.happened(&event),
                    Delivery::Resync { .. } => self.look_at_everything(),
                },
                received = news.recv() => match received {
                    Some(News::Connected) => self.connected(),
                    Some(News::Lost(reason)) => self.lost(&reason),
                    Some(News::Message { topic, payload, is_retained }) => self.heard(&topic, &payload, is_retained),
                    None => return Err("the connection's task ended".into()),
                },
                Some(order) = orders.recv(), if self.requests.len() < COMMANDS => {
                    self.requests.push_back(Request::Publish(order));
                }
                sent = Self::send(&self.client, &self.requests, &self.retained), if has_work => {
                    sent.map_err(|error| error.to_string())?;
                    if self.requests.pop_front().is_none() {
                        self.retained.pop_first();
                    }
                }
            }
        }
    }

    /// Hands the next thing to the connection; waits while that is busy. What was handed over is removed by the caller.
    async fn send(
        client: &AsyncClient,
        requests: &VecDeque<Request>,
        retained: &BTreeMap<String, Vec<u8>>,
    ) -> Result<(), rumqttc::ClientError> {
        match (requests.front(), retained.first_key_value()) {
            (Some(Request::Subscribe(topic)), _) => client.subscribe(topic, QoS::AtLeastOnce).await,
            (Some(Request::Unsubscribe(topic)), _) => client.unsubscribe(topic).await,
            (Some(Request::Publish(order)), _) => {
                client.publish(&order.topic, QoS::AtLeastOnce, order.retain, order.payload.clone()).await
            }
            (None, Some((topic, payload))) => {
                client.publish(topic, QoS::AtLeastOnce, true, payload.clone()).await
            }
            (None, None) => Ok(()),
        }
    }

    fn connected(&mut self) {
        tracing::info!(broker = self.address, "connected to the broker");
        self.is_connected.store(true, Ordering::Relaxed);
        *self.lost.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.requests.clear();
        if self.settings.find || self.settings.offer {
            self.requests.push_back(Request::Subscribe(format!("{}/#", self.topics.discovery)));
        }
        if self.settings.offer {
            self.requests.push_back(Request::Subscribe(format!("{}/+/set", self.topics.base)));
            self.retain(Retained { topic: self.topics.status(), payload: b"online".to_vec() });
        }
        self.requests.extend(self.listening.keys().cloned().map(Request::Subscribe));
        self.look_at_everything();
        for device in self.accepted() {
            self.reachable(&device);
        }
    }

    fn lost(&mut self, reason: &str) {
        if self.is_connected.swap(false, Ordering::Relaxed) {
            tracing::warn!(broker = self.address, reason, "the broker is lost");
        }
        *self.lost.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason.to_string());
        for device in self.accepted() {
            self.room.unavailable(&device, &format!("no connection to the broker: {reason}"));
        }
    }

    /// Devices of others that the house has accepted and that are served here.
    fn accepted(&self) -> BTreeSet<String> {
        let all = self.announced.values().map(|announced| self.room.device_id(&announced.id));
        all.filter(|device| self.status(device) == Some(Status::Accepted)).collect()
    }

    fn status(&self, device: &str) -> Option<Status> {
        self.room.house().look(|registry| registry.device(device).map(|d| d.status))
    }

    fn retain(&mut self, message: Retained) {
        self.retained.insert(message.topic, message.payload);
    }
}

fn register(room: &Room, order: &mpsc::Sender<Order>, is_connected: &Arc<AtomicBool>, lost: &Lost) {
    let (connected, lost) = (is_connected.clone(), lost.clone());
    let state = Function::new(
        Method::Get,
        "/api/mqtt",
        "Whether the broker is connected, and why not",
        move |_, _| {
            let connected = connected.load(Ordering::Relaxed);
            let reason = lost.lock().unwrap_or_else(PoisonError::into_inner).clone();
            Box::pin(async move { Ok(Reply::json(json!({"connected": connected, "reason": reason}))) })
        },
    );
    room.function(None, state);
    let (order, connected) = (order.clone(), is_connected.clone());
    let schema = json!({"type": "object", "required": ["topic"], "properties": {
        "topic": {"type": "string"}, "payload": {"type": "string"}, "retain": {"type": "boolean"}}});
    let publish =
        Function::new(Method::Post, "/api/mqtt/publish", "Send one message to the broker", move |_, call| {
            let (order, connected) = (order.clone(), connected.clone());
            Box::pin(async move {
                let text = |name: &str| call.body[name].as_str().unwrap_or_default().to_string();
                let (topic, payload) = (text("topic"), text("payload"));
                if topic.is_empty() || topic.len() > 256 || topic.contains(['+', '#', '\0']) {
                    return Err(Problem::bad("topic: a topic without wild cards").with("field", "topic"));
                }
                if !connected.load(Ordering::Relaxed) {
                    return Err(Problem::unavailable("no connection to the broker"));
                }
                let retain = call.body["retain"].as_bool().unwrap_or(false);
                let busy = |_| Problem::unavailable("too many commands wait for the broker");
                order.try_send(Order { topic, payload, retain }).map_err(busy)?;
                Ok(Reply::ok().status(202))
            })
        });
    // Who writes to the broker commands everything that listens there.
    room.function(None, publish.right(Right::Admin).body(schema));
}

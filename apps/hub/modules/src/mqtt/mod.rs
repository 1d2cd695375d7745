//! MQTT: the house's entities for other programs, and other programs' devices for the house, both found by Home Assistant's
//! discovery messages.
//!
//! Whoever may write to the broker may command what is offered there; the broker's own access rules decide who that is.
//! Devices that announce themselves wait in the inbox like all others.
//!
//! Start reading at [`Bridge`], then [`offer`] (the way out) and [`found`] (the way in).

mod found;
mod link;
mod offer;
mod template;

use found::{Announced, Remote};
use house::function::Right;
use house::house::Commander;
use house::{
    BoxFuture, Command, Delivery, Event, Filter, Function, Method, Module, Principal, Problem, Reply, Role,
    Room, State, Status, Subscription, Trust,
};
use link::{Broker, News};
use offer::{Retained, Topics};
use rumqttc::{AsyncClient, QoS};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// `[modules.mqtt]`.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// `host` or `host:port` (1883) of the broker. None: no MQTT.
    pub broker: Option<String>,
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
        let (host, port) = match address.rsplit_once(':') {
            Some((host, port)) => {
                (host, port.parse().map_err(|_| format!("broker {address:?} has no port number"))?)
            }
            None => (address, 1883),
        };
        let Settings { user, password_file, base, .. } = &self.settings;
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
            let (client, news) = link::connect(&broker, &mut tasks);
            let (order, orders) = mpsc::channel(COMMANDS);
            let is_connected = Arc::new(AtomicBool::new(false));
            register(&room, &order, &is_connected);
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

/// Between the house and the broker.
struct Bridge {
    topics: Topics,
    settings: Settings,
    address: String,
    room: Room,
    client: AsyncClient,
    order: mpsc::Sender<Order>,
    is_connected: Arc<AtomicBool>,
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

    // The way out.

    fn happened(&mut self, event: &Event) {
        match (event.kind.as_str(), &event.entity, &event.device) {
            ("state", Some(entity), _) => self.tell(entity, false),
            ("entity", Some(entity), _) => self.tell(entity, true),
            ("device", _, Some(device)) => {
                let forgotten = event.value()["entities"].as_array().cloned().unwrap_or_default();
                for entity in forgotten.iter().filter_map(Value::as_str) {
                    self.forget(entity);
                }
                self.look_at(device);
            }
            _ => {}
        }
    }

    /// A device has changed: its name stands in every message of its entities, and it may have been accepted.
    fn look_at(&mut self, device: &str) {
        let entities: Vec<String> = self.room.house().look(|registry| {
            registry.entities().filter(|e| e.device == device).map(|e| e.id.clone()).collect()
        });
        for entity in entities {
            self.tell(&entity, true);
        }
        let own: Vec<Announced> =
            self.announced.values().filter(|a| self.room.device_id(&a.id) == device).cloned().collect();
        for announced in own {
            self.serve(&announced);
        }
    }

    fn look_at_everything(&mut self) {
        let devices: Vec<String> =
            self.room.house().look(|registry| registry.devices().map(|d| d.id.clone()).collect());
        for device in devices {
            self.look_at(&device);
        }
    }

    /// Tells others of one entity: its state, and with `is_new` what it is. What came by MQTT is not sent back.
    fn tell(&mut self, entity: &str, is_new: bool) {
        if !self.settings.offer {
            return;
        }
        let found = self.room.house().look(|registry| {
            let entity = registry.entity(entity)?;
            let device = registry.device(&entity.device).filter(|d| d.module != "mqtt")?;
            let area = registry.area_of(entity).and_then(|id| registry.areas().find(|a| a.id == id));
            let config =
                is_new.then(|| offer::config(&self.topics, entity, device, area.map(|a| a.name.as_str())));
            Some((config, offer::state(&self.topics, entity)))
        });
        let Some((config, states)) = found else { return };
        if let Some(config) = &config {
            let topics = [config, &states[0], &states[1]].map(|message| message.topic.clone());
            self.offered.insert(entity.to_string(), topics);
        }
        config.into_iter().chain(states).for_each(|message| self.retain(message));
    }

    /// An entity is gone for good.
    fn forget(&mut self, entity: &str) {
        self.remotes.remove(entity);
        for topic in self.offered.remove(entity).into_iter().flatten() {
            self.retain(Retained { topic, payload: Vec::new() });
        }
    }

    /// Somebody commands one of the house's entities.
    fn commanded(&mut self, object: &str, payload: &str) {
        let house = self.room.house().clone();
        let entity = house.look(|registry| {
            registry
                .entities()
                .find(|e| offer::object(&e.id) == object && !e.device.starts_with("mqtt."))
                .cloned()
        });
        let Some(entity) = entity else { return };
        let Some((action, arguments)) = offer::command(&entity, payload) else {
            return tracing::warn!(entity = entity.id, payload, "a command over MQTT makes no sense");
        };
        let who = Principal { user: "mqtt".into(), role: Role::Resident, ..Principal::house() };
        let command = Command { entity: entity.id, action: action.into(), arguments, who };
        tokio::spawn(async move {
            let entity = command.entity.clone();
            if let Err(problem) = house.command(command).await {
                tracing::warn!(entity, %problem, "a command over MQTT failed");
            }
        });
    }

    // The way in.

    fn heard(&mut self, topic: &str, payload: &[u8], is_retained: bool) {
        if self.settings.offer
            && let Some(object) = self.topics.commanded(topic)
        {
            // A command that the broker kept is not one of this moment.
            if !is_retained {
                self.commanded(object, &String::from_utf8_lossy(payload));
            }
            return;
        }
        if let Some(rest) = topic.strip_prefix(&self.topics.discovery).and_then(|rest| rest.strip_prefix('/'))
        {
            match self.topics.own_config(topic) {
                Some(object) => self.own(topic, object, payload),
                None if self.settings.find && rest.ends_with("/config") => {
                    self.announced(topic, rest, payload)
                }
                None => {}
            }
        }
        let Some(hearing) = self.listening.get(topic) else { return };
        let text = String::from_utf8_lossy(payload);
        for id in hearing {
            let Some(remote) = self.remotes.get(id) else { continue };
            match remote.heard(topic, &text) {
                // It is there again; its state comes on its own topic.
                Some(State::Unknown) => {
                    let is_away = self
                        .room
                        .house()
                        .look(|r| r.entity(id).is_some_and(|e| matches!(e.state, State::Unavailable(_))));
                    if is_away {
                        self.room.state(id, State::Unknown);
                    }
                }
                Some(state) => self.room.state(id, state),
                None => {}
            }
        }
        if let Some(device) = hearing.iter().find_map(|id| Some(id.rsplit_once('.')?.0.to_string())) {
            self.room.log(&device, false, payload);
        }
    }

    /// A discovery message of the hub itself: one of an entity that is no more is taken back.
    fn own(&mut self, topic: &str, object: &str, payload: &[u8]) {
        let is_known =
            self.room.house().look(|registry| registry.entities().any(|e| offer::object(&e.id) == object));
        if !is_known && !payload.is_empty() && self.settings.offer {
            self.retain(Retained { topic: topic.to_string(), payload: Vec::new() });
        }
    }

    fn announced(&mut self, topic: &str, rest: &str, payload: &[u8]) {
        let read = if payload.is_empty() { Ok(None) } else { found::read(rest, payload) };
        let now = match read {
            Ok(now) => now,
            Err(reason) => return tracing::info!(topic, reason, "a discovery message is passed over"),
        };
        let before = match &now {
            Some(now) => self.announced.insert(topic.to_string(), now.clone()),
            None => self.announced.remove(topic),
        };
        if let Some(before) = before.filter(|before| Some(before) != now.as_ref()) {
            self.withdraw(&before);
        }
        let Some(now) = now else { return };
        if self.announced.len() > REMOTES {
            self.announced.remove(topic);
            return tracing::warn!(topic, "there are too many devices at the broker");
        }
        let found =
            self.room.discover(&now.id, &now.name, &now.model, Some(&self.address), Trust::Unauthenticated);
        if found.is_some() {
            self.serve(&now);
        }
    }

    /// Entities that a device no longer has.
    fn withdraw(&mut self, before: &Announced) {
        let device = self.room.device_id(&before.id);
        for remote in &before.entities {
            let id = format!("{device}.{}", remote.what);
            self.remotes.remove(&id);
            self.room.state(&id, State::Unavailable("the device no longer announces it".into()));
            self.listen_less(&id);
        }
        if !self.announced.values().any(|a| a.id == before.id) {
            self.room.unavailable(&device, "it took its announcement back");
        }
    }

    fn listen_less(&mut self, entity: &str) {
        let (requests, topics) = (&mut self.requests, &mut self.listening);
        topics.retain(|topic, hearing| {
            if hearing.remove(entity) && hearing.is_empty() {
                requests.push_back(Request::Unsubscribe(topic.clone()));
                return false;
            }
            true
        });
    }

    /// Begins (or ends) to serve what a message announced, as the house wants it.
    fn serve(&mut self, announced: &Announced) {
        let device = self.room.device_id(&announced.id);
        let wanted = self.status(&device) == Some(Status::Accepted);
        let mut is_news = false;
        for remote in &announced.entities {
            let id = format!("{device}.{}", remote.what);
            match (wanted, self.remotes.get(&id) == Some(remote)) {
                (true, true) => {}
                (true, false) if self.remotes.len() >= REMOTES => {}
                (true, false) => {
                    is_news = true;
                    self.listen_less(&id);
                    self.room.offer(remote.offered(&device));
                    for topic in remote.topics() {
                        // The broker repeats what it has retained for each subscription, also for one that it has already.
                        self.requests.push_back(Request::Subscribe(topic.to_string()));
                        self.listening.entry(topic.to_string()).or_default().insert(id.clone());
                    }
                    self.remotes.insert(id, remote.clone());
                }
                (false, _) => {
                    if self.remotes.remove(&id).is_some() {
                        is_news = true;
                        self.listen_less(&id);
                    }
                }
            }
        }
        if is_news && wanted && self.is_connected.load(Ordering::Relaxed) {
            self.reachable(&device);
        } else if is_news && !wanted {
            self.room.unavailable(&device, "it is not accepted");
        }
    }

    fn reachable(&self, device: &str) {
        let own = device.to_string();
        let remotes: BTreeMap<String, Remote> = self
            .remotes
            .iter()
            .filter(|(id, _)| id.rsplit_once('.').is_some_and(|(device, _)| device == own))
            .map(|(id, remote)| (id.clone(), remote.clone()))
            .collect();
        let (order, room) = (self.order.clone(), self.room.clone());
        let commander: Commander = Arc::new(move |command| {
            let sent = match remotes.get(&command.entity) {
                None => Err(Problem::unavailable("the device no longer announces it")),
                Some(remote) => remote.order(&command).and_then(|(topic, payload, retain)| {
                    room.log(&own, true, payload.as_bytes());
                    let busy = |_| Problem::unavailable("too many commands wait for the broker");
                    order.try_send(Order { topic, payload, retain }).map_err(busy)
                }),
            };
            Box::pin(async move { sent.map(|()| serde_json::Map::new()) })
        });
        self.room.available(device, Some(commander));
    }
}

fn register(room: &Room, order: &mpsc::Sender<Order>, is_connected: &Arc<AtomicBool>) {
    let connected = is_connected.clone();
    let state = Function::new(Method::Get, "/api/mqtt", "Whether the broker is connected", move |_, _| {
        let connected = connected.load(Ordering::Relaxed);
        Box::pin(async move { Ok(Reply::json(json!({ "connected": connected }))) })
    });
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

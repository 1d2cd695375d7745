//! The bridge's way in: devices of others are found, listened to and commanded.

use super::found::{self, Announced, Remote};
use super::offer::{self, Retained};
use super::{Bridge, Order, REMOTES, Request};
use house::house::Commander;
use house::{Problem, State, Status, Trust};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

impl Bridge {
    pub(super) fn heard(&mut self, topic: &str, payload: &[u8], is_retained: bool) {
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
    pub(super) fn own(&mut self, topic: &str, object: &str, payload: &[u8]) {
        let is_known =
            self.room.house().look(|registry| registry.entities().any(|e| offer::object(&e.id) == object));
        if !is_known && !payload.is_empty() && self.settings.offer {
            self.retain(Retained { topic: topic.to_string(), payload: Vec::new() });
        }
    }

    pub(super) fn announced(&mut self, topic: &str, rest: &str, payload: &[u8]) {
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
    pub(super) fn withdraw(&mut self, before: &Announced) {
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

    pub(super) fn listen_less(&mut self, entity: &str) {
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
    pub(super) fn serve(&mut self, announced: &Announced) {
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

    pub(super) fn reachable(&self, device: &str) {
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

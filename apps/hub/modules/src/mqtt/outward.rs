//! The bridge's way out: the house's entities are told to others, whose commands are carried out.

use super::offer::{self, Retained};
use super::{Announced, Bridge};
use house::{Command, Event, Principal};
use serde_json::Value;

impl Bridge {
    pub(super) fn happened(&mut self, event: &Event) {
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
    pub(super) fn look_at(&mut self, device: &str) {
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

    pub(super) fn look_at_everything(&mut self) {
        let devices: Vec<String> =
            self.room.house().look(|registry| registry.devices().map(|d| d.id.clone()).collect());
        for device in devices {
            self.look_at(&device);
        }
    }

    /// Tells others of one entity: its state, and with `is_new` what it is. What came by MQTT is not sent back.
    pub(super) fn tell(&mut self, entity: &str, is_new: bool) {
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
    pub(super) fn forget(&mut self, entity: &str) {
        self.remotes.remove(entity);
        for topic in self.offered.remove(entity).into_iter().flatten() {
            self.retain(Retained { topic, payload: Vec::new() });
        }
    }

    /// Somebody commands one of the house's entities.
    pub(super) fn commanded(&mut self, object: &str, payload: &str) {
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
        let who = Principal { user: "mqtt".into(), ..Principal::automation() };
        let command = Command { entity: entity.id, action: action.into(), arguments, who };
        tokio::spawn(async move {
            let entity = command.entity.clone();
            if let Err(problem) = house.command(command).await {
                tracing::warn!(entity, %problem, "a command over MQTT failed");
            }
        });
    }
}

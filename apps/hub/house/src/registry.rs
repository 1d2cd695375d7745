//! The registry: all devices, entities and areas. Pure: a change goes in, the events that it makes come out.

use crate::entity::{Area, Device, Entity, State, Status, Trust, Value};
use crate::event::Draft;
use serde_json::json;
use std::collections::{BTreeMap, VecDeque};

/// How many lines of a device's traffic are kept.
const LOG_LINES: usize = 64;
/// How many bytes of one line are kept.
const LOG_BYTES: usize = 64;
/// How many devices that nobody has accepted are kept: more come only from someone who forges adverts.
pub const INBOX_LIMIT: usize = 2_000;

/// What a module says of a device that it found.
#[derive(Clone, Debug, Default)]
pub struct Discovered {
    pub id: String,
    pub module: String,
    pub name: String,
    pub driver: String,
    pub address: Option<String>,
    pub trust: Trust,
}

/// One line of a device's traffic.
#[derive(Clone, Debug)]
pub struct Traffic {
    pub time_ms: i64,
    pub is_outgoing: bool,
    pub bytes: Vec<u8>,
}

/// Everything that is known of the house.
#[derive(Debug, Default)]
pub struct Registry {
    devices: BTreeMap<String, Device>,
    entities: BTreeMap<String, Entity>,
    areas: BTreeMap<String, Area>,
    traffic: BTreeMap<String, VecDeque<Traffic>>,
}

impl Registry {
    /// Puts back what an earlier run remembered; nothing is reachable until a module says so.
    pub fn restore(&mut self, devices: Vec<Device>, entities: Vec<Entity>, areas: Vec<Area>) {
        let reason = "not seen since the hub started";
        for mut device in devices {
            device.unavailable = Some(reason.into());
            self.devices.insert(device.id.clone(), device);
        }
        for mut entity in entities {
            if self.devices.contains_key(&entity.device) {
                entity.state = State::Unavailable(reason.into());
                self.entities.insert(entity.id.clone(), entity);
            }
        }
        self.areas = areas.into_iter().map(|area| (area.id.clone(), area)).collect();
    }

    /// A module has found a device. Gives its status, and events when it is new or has moved.
    /// `default` is what becomes of one that was never seen. `None`: the inbox is full.
    pub fn discover(&mut self, found: Discovered, default: Status) -> Option<(Status, Vec<Draft>)> {
        if let Some(device) = self.devices.get_mut(&found.id) {
            let mut events = Vec::new();
            if device.address != found.address {
                let data = json!({"type": "moved", "from": device.address, "to": found.address});
                events.push(Draft::new("device", data).device(&device.id, device.area.as_deref()));
                device.address = found.address;
            }
            if !device.is_named {
                device.name = found.name;
            }
            (device.driver, device.trust) = (found.driver, found.trust);
            return Some((device.status, events));
        }
        let waiting = || self.devices.values().filter(|d| d.status == Status::Inbox).count();
        if default == Status::Inbox && waiting() >= INBOX_LIMIT {
            return None;
        }
        let device = Device {
            id: found.id.clone(),
            module: found.module,
            name: found.name,
            driver: found.driver,
            status: default,
            trust: found.trust,
            address: found.address,
            unavailable: Some("not connected yet".into()),
            ..Device::default()
        };
        let data = json!({"type": "discovered", "name": device.name, "status": device.status});
        let event = Draft::new("device", data).device(&device.id, None);
        self.devices.insert(found.id, device);
        Some((default, vec![event]))
    }

    /// A module offers an entity. One that is known keeps its area, its state, and the name that a person gave it.
    pub fn offer(&mut self, entity: Entity) -> Vec<Draft> {
        match self.entities.get_mut(&entity.id) {
            Some(known) => {
                let before = std::mem::replace(known, entity);
                known.area = before.area;
                (known.state, known.changed_ms) = (before.state, before.changed_ms);
                if before.is_named {
                    (known.name, known.is_named) = (before.name, true);
                }
                Vec::new()
            }
            None => {
                let data = json!({"type": "added", "kind": entity.kind});
                let mut event = Draft::new("entity", data).device(&entity.device, self.area_of(&entity));
                event.entity = Some(entity.id.clone());
                self.entities.insert(entity.id.clone(), entity);
                vec![event]
            }
        }
    }

    /// An entity has (or has not) a value. Nothing happens when it is what was known.
    pub fn set_state(&mut self, id: &str, state: State, now_ms: i64) -> Vec<Draft> {
        let Some(entity) = self.entities.get_mut(id) else { return Vec::new() };
        if entity.state == state {
            return Vec::new();
        }
        let old = std::mem::replace(&mut entity.state, state);
        entity.changed_ms = now_ms;
        let mut data = json!({"state": entity.state.to_json(), "old": old.to_json()});
        if let State::Unavailable(reason) = &entity.state {
            data["reason"] = json!(reason);
        }
        if let Some(unit) = &entity.unit {
            data["unit"] = json!(unit);
        }
        let mut event = Draft::new("state", data);
        event.number = entity.state.value().and_then(Value::number);
        event.entity = Some(entity.id.clone());
        event.device = Some(entity.device.clone());
        event.area = entity.area.clone().or_else(|| self.devices.get(&entity.device)?.area.clone());
        vec![event]
    }

    /// A device cannot be reached: its entities cannot either.
    pub fn lose(&mut self, device: &str, reason: &str, now_ms: i64) -> Vec<Draft> {
        let Some(known) = self.devices.get_mut(device) else { return Vec::new() };
        let was_available = known.unavailable.replace(reason.to_string()).is_none();
        let mut events = Vec::new();
        if was_available {
            let data = json!({"type": "unavailable", "reason": reason});
            events.push(Draft::new("device", data).device(device, known.area.as_deref()));
        }
        for id in self.entity_ids(device) {
            events.extend(self.set_state(&id, State::Unavailable(reason.into()), now_ms));
        }
        events
    }

    /// A device can be reached. Its entities are unknown until it reports them.
    pub fn regain(&mut self, device: &str, now_ms: i64) -> Vec<Draft> {
        let Some(known) = self.devices.get_mut(device) else { return Vec::new() };
        let mut events = Vec::new();
        if known.unavailable.take().is_some() {
            events.push(
                Draft::new("device", json!({"type": "available"})).device(device, known.area.as_deref()),
            );
        }
        for id in self.entity_ids(device) {
            if matches!(self.entities.get(&id), Some(Entity { state: State::Unavailable(_), .. })) {
                events.extend(self.set_state(&id, State::Unknown, now_ms));
            }
        }
        events
    }

    /// Changes a device; `None` when there is none.
    pub fn edit_device<T>(&mut self, id: &str, edit: impl FnOnce(&mut Device) -> T) -> Option<T> {
        self.devices.get_mut(id).map(edit)
    }

    /// Changes an entity; `None` when there is none.
    pub fn edit_entity<T>(&mut self, id: &str, edit: impl FnOnce(&mut Entity) -> T) -> Option<T> {
        self.entities.get_mut(id).map(edit)
    }

    /// Forgets a device and its entities.
    pub fn forget(&mut self, id: &str) -> Option<Device> {
        self.entities.retain(|_, entity| entity.device != id);
        self.traffic.remove(id);
        self.devices.remove(id)
    }

    /// Adds, renames or (with `None`) removes an area. What stood in a removed area stands in none.
    pub fn set_area(&mut self, id: &str, area: Option<Area>) {
        match area {
            Some(area) => {
                self.areas.insert(id.to_string(), area);
            }
            None => {
                self.areas.remove(id);
                let all = self.devices.values_mut().map(|d| &mut d.area);
                all.chain(self.entities.values_mut().map(|e| &mut e.area))
                    .filter(|place| place.as_deref() == Some(id))
                    .for_each(|place| *place = None);
            }
        }
    }

    /// Remembers the last bytes of a device's traffic.
    pub fn log(&mut self, device: &str, is_outgoing: bool, bytes: &[u8], now_ms: i64) {
        let lines = self.traffic.entry(device.to_string()).or_default();
        if lines.len() >= LOG_LINES {
            lines.pop_front();
        }
        let bytes = bytes.get(..bytes.len().min(LOG_BYTES)).unwrap_or(bytes).to_vec();
        lines.push_back(Traffic { time_ms: now_ms, is_outgoing, bytes });
    }

    /// The last bytes of a device, oldest first.
    pub fn traffic(&self, device: &str) -> impl Iterator<Item = &Traffic> {
        self.traffic.get(device).into_iter().flatten()
    }
    /// A device.
    pub fn device(&self, id: &str) -> Option<&Device> {
        self.devices.get(id)
    }
    /// An entity.
    pub fn entity(&self, id: &str) -> Option<&Entity> {
        self.entities.get(id)
    }
    /// All devices, by id.
    pub fn devices(&self) -> impl Iterator<Item = &Device> {
        self.devices.values()
    }
    /// All entities, by id.
    pub fn entities(&self) -> impl Iterator<Item = &Entity> {
        self.entities.values()
    }
    /// All areas, by id.
    pub fn areas(&self) -> impl Iterator<Item = &Area> {
        self.areas.values()
    }
    /// Where an entity stands: its own area, or its device's.
    pub fn area_of<'a>(&'a self, entity: &'a Entity) -> Option<&'a str> {
        entity.area.as_deref().or_else(|| self.devices.get(&entity.device)?.area.as_deref())
    }

    fn entity_ids(&self, device: &str) -> Vec<String> {
        // Ids begin with the device's, so that the range holds all and few others.
        let from = format!("{device}.");
        let all = self.entities.range(from.clone()..);
        all.take_while(|(id, _)| id.starts_with(&from))
            .filter(|(_, e)| e.device == device)
            .map(|(id, _)| id.clone())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entity::Kind;

    fn with_valve() -> Registry {
        let mut registry = Registry::default();
        let found = Discovered { id: "dwn.n1".into(), address: Some("a".into()), ..Discovered::default() };
        registry.discover(found, Status::Accepted);
        registry.offer(Entity::new("dwn.n1", "valve_a", "Valve A", Kind::Valve));
        registry
    }

    #[test]
    fn an_address_change_is_followed_and_told() {
        let mut registry = with_valve();
        let found = Discovered { id: "dwn.n1".into(), address: Some("b".into()), ..Discovered::default() };
        let (status, events) = registry.discover(found.clone(), Status::Inbox).unwrap();
        assert_eq!((status, events.len()), (Status::Accepted, 1));
        assert_eq!(registry.discover(found, Status::Inbox).unwrap().1.len(), 0);
        assert_eq!(registry.devices().count(), 1);
    }

    #[test]
    fn a_name_that_a_person_gave_outlives_what_the_module_calls_it() {
        let mut registry = with_valve();
        let offer = |name: &str| Entity::new("dwn.n1", "valve_a", name, Kind::Valve);
        registry.offer(offer("Valve 1"));
        assert_eq!(registry.entity("dwn.n1.valve_a").unwrap().name, "Valve 1");
        registry.edit_entity("dwn.n1.valve_a", |e| (e.name, e.is_named) = ("Roses".into(), true));
        registry.offer(offer("Valve 2"));
        assert_eq!(registry.entity("dwn.n1.valve_a").unwrap().name, "Roses");
    }

    #[test]
    fn a_state_is_told_once() {
        let mut registry = with_valve();
        let open = State::Known(true.into());
        assert_eq!(registry.set_state("dwn.n1.valve_a", open.clone(), 1).len(), 1);
        assert_eq!(registry.set_state("dwn.n1.valve_a", open, 2).len(), 0);
        assert_eq!(registry.set_state("nobody", State::Unknown, 2).len(), 0);
    }

    #[test]
    fn a_lost_device_takes_its_entities_and_a_regained_one_knows_nothing() {
        let mut registry = with_valve();
        registry.regain("dwn.n1", 0);
        registry.set_state("dwn.n1.valve_a", State::Known(true.into()), 1);
        assert_eq!(registry.lose("dwn.n1", "heartbeat lost", 2).len(), 2);
        assert_eq!(registry.lose("dwn.n1", "heartbeat lost", 3).len(), 0);
        let state = |r: &Registry| r.entity("dwn.n1.valve_a").unwrap().state.clone();
        assert_eq!(state(&registry), State::Unavailable("heartbeat lost".into()));
        registry.regain("dwn.n1", 4);
        assert_eq!(state(&registry), State::Unknown);
    }

    #[test]
    fn a_device_whose_id_begins_like_another_keeps_its_entities() {
        let mut registry = with_valve();
        let found = Discovered { id: "dwn.n1.x".into(), ..Discovered::default() };
        registry.discover(found, Status::Accepted);
        registry.offer(Entity::new("dwn.n1.x", "valve_a", "Valve", Kind::Valve));
        registry.set_state("dwn.n1.x.valve_a", State::Known(true.into()), 1);
        registry.lose("dwn.n1", "gone", 2);
        assert_eq!(registry.entity("dwn.n1.x.valve_a").unwrap().state, State::Known(true.into()));
    }

    #[test]
    fn the_inbox_has_a_limit_and_known_devices_are_not_touched_by_it() {
        let mut registry = with_valve();
        for n in 0..INBOX_LIMIT {
            let found = Discovered { id: format!("dwn.x{n}"), ..Discovered::default() };
            assert!(registry.discover(found, Status::Inbox).is_some());
        }
        let one_more = Discovered { id: "dwn.y".into(), ..Discovered::default() };
        assert!(registry.discover(one_more, Status::Inbox).is_none());
        let known = Discovered { id: "dwn.n1".into(), ..Discovered::default() };
        assert!(registry.discover(known, Status::Inbox).is_some());
    }

    #[test]
    fn traffic_is_bounded() {
        let mut registry = with_valve();
        for _ in 0..1000 {
            registry.log("dwn.n1", true, &[0; 5000], 0);
        }
        assert_eq!(registry.traffic("dwn.n1").count(), LOG_LINES);
        assert!(registry.traffic("dwn.n1").all(|line| line.bytes.len() == LOG_BYTES));
    }

    #[test]
    fn what_stood_in_a_removed_area_stands_in_none() {
        let mut registry = with_valve();
        registry.set_area("garden", Some(Area { id: "garden".into(), name: "Garden".into() }));
        registry.edit_device("dwn.n1", |d| d.area = Some("garden".into()));
        let valve = registry.entity("dwn.n1.valve_a").unwrap().clone();
        assert_eq!(registry.area_of(&valve), Some("garden"));
        registry.set_area("garden", None);
        assert_eq!(registry.area_of(&valve), None);
    }
}

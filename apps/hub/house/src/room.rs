//! A module's room in the house: everything that a module registers goes through it and disappears with it.

use crate::entity::{Entity, State, Status, Trust};
use crate::event::Draft;
use crate::function::Function;
use crate::house::{Commander, House};
use crate::registry::Discovered;
use tokio::sync::watch;

/// A module's handle.
#[derive(Clone)]
pub struct Room {
    house: House,
    module: &'static str,
    is_armed: watch::Sender<bool>,
}

impl Room {
    /// A room for the module of this name; `is_armed` becomes true when the module says so.
    pub fn new(house: House, module: &'static str, is_armed: watch::Sender<bool>) -> Room {
        Room { house, module, is_armed }
    }

    /// The module has registered what it offers without any device, and watches what it has to watch. The hub opens the
    /// network only when every module has said this (or has failed), so that nobody meets a house that is half there.
    pub fn armed(&self) {
        self.is_armed.send_replace(true);
    }

    /// The house, for what a room does not narrow.
    pub fn house(&self) -> &House {
        &self.house
    }

    /// The id of one of this module's devices.
    pub fn device_id(&self, own: &str) -> String {
        format!("{}.{own}", self.module)
    }

    /// A device was found on the network: accepted, ignored, or waiting in the inbox. `None`: the inbox is full.
    pub fn discover(
        &self,
        own: &str,
        name: &str,
        driver: &str,
        address: Option<&str>,
        trust: Trust,
    ) -> Option<Status> {
        self.house.discover(self.found(own, name, driver, address, trust), None)
    }

    /// A device that was configured by hand or is part of the hub: accepted at once.
    pub fn own_device(&self, own: &str, name: &str, driver: &str, address: Option<&str>) -> String {
        let found = self.found(own, name, driver, address, Trust::Local);
        self.house.discover(found, Some(Status::Accepted));
        self.device_id(own)
    }

    fn found(&self, own: &str, name: &str, driver: &str, address: Option<&str>, trust: Trust) -> Discovered {
        Discovered {
            id: self.device_id(own),
            module: self.module.into(),
            name: name.into(),
            driver: driver.into(),
            address: address.map(str::to_string),
            trust,
        }
    }

    /// The device can be reached, and this carries out its commands.
    pub fn available(&self, device: &str, commander: Option<Commander>) {
        self.house.set_commander(device, commander);
        self.house.change(|registry, now_ms| ((), registry.regain(device, now_ms)));
    }

    /// The device cannot be reached: its functions go, its entities say why.
    pub fn unavailable(&self, device: &str, reason: &str) {
        self.house.set_commander(device, None);
        self.house.functions().remove_owner(device);
        self.house.change(|registry, now_ms| ((), registry.lose(device, reason, now_ms)));
    }

    /// Offers an entity.
    pub fn offer(&self, entity: Entity) {
        self.house.offer(entity);
    }

    /// An entity has this state now.
    pub fn state(&self, entity: &str, state: State) {
        self.house.set_state(entity, state);
    }

    /// Something happened to a device.
    pub fn emit(&self, device: &str, kind: &str, data: serde_json::Value) {
        let area = self.house.look(|r| r.device(device).and_then(|d| d.area.clone()));
        self.house.emit(Draft::new(kind, data).device(device, area.as_deref()));
    }

    /// Registers a function, owned by the module or (with `device`) by one of its devices.
    pub fn function(&self, device: Option<&str>, mut function: Function) {
        function.owner = device.unwrap_or(self.module).to_string();
        self.house.functions().add(function);
    }

    /// Notes bytes that went to or came from a device.
    pub fn log(&self, device: &str, is_outgoing: bool, bytes: &[u8]) {
        self.house.change(|registry, now_ms| (registry.log(device, is_outgoing, bytes, now_ms), Vec::new()));
    }

    /// Everything of the module goes; its devices are unavailable for this reason.
    pub fn withdraw(&self, reason: &str) {
        self.house.functions().remove_owner(self.module);
        let devices: Vec<String> = self.house.look(|registry| {
            registry.devices().filter(|d| d.module == self.module).map(|d| d.id.clone()).collect()
        });
        for device in devices {
            self.unavailable(&device, reason);
        }
    }
}

//! The house: registry, bus, functions, memory and clock in one handle that is cheap to clone.

use crate::BoxFuture;
use crate::bus::Bus;
use crate::clock::Clock;
use crate::entity::{Area, Device, Entity, Kind, State, Status};
use crate::event::Draft;
use crate::function::{self, Call, Found, Function, Method, Reply, Right, Table};
use crate::memory::{Change, Memory};
use crate::principal::Principal;
use crate::problem::Problem;
use crate::registry::{Discovered, Registry};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

/// What somebody wants an entity to do.
#[derive(Clone, Debug)]
pub struct Command {
    pub entity: String,
    /// `set`, `open`, `shut`, `fade`, ...: the module knows.
    pub action: String,
    pub arguments: Map<String, Value>,
    pub who: Principal,
}

/// What carries out commands for a device; the answer's fields are shown to the caller.
pub type Commander =
    Arc<dyn Fn(Command) -> BoxFuture<'static, Result<Map<String, Value>, Problem>> + Send + Sync>;

/// What stands between a command and a valve: nobody opens water without an end that survives the hub.
/// It may change the command (shorten the time), and what it answers is shown to the caller.
pub type Interlock = Arc<
    dyn Fn(Entity, Command) -> BoxFuture<'static, Result<(Command, Map<String, Value>), Problem>>
        + Send
        + Sync,
>;

struct Inner {
    registry: RwLock<Registry>,
    bus: Bus,
    functions: Table,
    commanders: RwLock<HashMap<String, Commander>>,
    interlock: RwLock<Option<Interlock>>,
    fixed: RwLock<BTreeMap<String, BTreeMap<String, Value>>>,
    memory: Arc<dyn Memory>,
    clock: Clock,
    default_status: Status,
}

/// A handle to everything.
#[derive(Clone)]
pub struct House(Arc<Inner>);

impl House {
    /// A house that remembers what `memory` holds. `default_status` is what becomes of a device never seen before.
    pub fn new(memory: Arc<dyn Memory>, clock: Clock, default_status: Status) -> House {
        fn read<T: serde::de::DeserializeOwned>(memory: &dyn Memory, space: &str) -> Vec<T> {
            let all = memory.list(space).into_iter();
            all.filter_map(|(key, value)| match serde_json::from_value(value) {
                Ok(document) => Some(document),
                Err(error) => {
                    tracing::error!(space, key, %error, "a document makes no sense and is left out");
                    None
                }
            })
            .collect()
        }
        let mut registry = Registry::default();
        registry.restore(
            read::<Device>(&*memory, "devices"),
            read::<Entity>(&*memory, "entities"),
            read::<Area>(&*memory, "areas"),
        );
        House(Arc::new(Inner {
            registry: RwLock::new(registry),
            bus: Bus::default(),
            functions: Table::default(),
            commanders: RwLock::default(),
            interlock: RwLock::default(),
            fixed: RwLock::default(),
            memory,
            clock,
            default_status,
        }))
    }

    /// The bus.
    pub fn bus(&self) -> &Bus {
        &self.0.bus
    }
    /// The table of functions.
    pub fn functions(&self) -> &Table {
        &self.0.functions
    }
    /// The store.
    pub fn memory(&self) -> &dyn Memory {
        &*self.0.memory
    }
    /// The time.
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// Looks at the registry. Do not block inside.
    pub fn look<T>(&self, look: impl FnOnce(&Registry) -> T) -> T {
        look(&self.0.registry.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes the registry and publishes what follows, in one order for everyone.
    pub fn change<T>(&self, change: impl FnOnce(&mut Registry, i64) -> (T, Vec<Draft>)) -> T {
        let now_ms = self.0.clock.now_ms();
        let mut registry = self.0.registry.write().unwrap_or_else(PoisonError::into_inner);
        let (result, events) = change(&mut registry, now_ms);
        if !events.is_empty() {
            self.0.bus.publish_all(events, now_ms);
        }
        result
    }

    /// Something happened that is no change of a state.
    pub fn emit(&self, draft: Draft) {
        self.emit_all(vec![draft]);
    }

    /// Several things happened, one after another.
    pub fn emit_all(&self, drafts: Vec<Draft>) {
        self.0.bus.publish_all(drafts, self.0.clock.now_ms());
    }

    /// A module has found a device: its status says whether the module may talk to it.
    pub fn discover(&self, found: Discovered, default: Option<Status>) -> Option<Status> {
        let id = found.id.clone();
        let default = default.unwrap_or(self.0.default_status);
        let (status, is_changed) = self.change(|registry, _| match registry.discover(found, default) {
            Some((status, events)) => ((Some(status), !events.is_empty()), events),
            None => ((None, false), Vec::new()),
        });
        if is_changed {
            self.remember_device(&id);
        }
        status
    }

    /// Writes a device's record within a second.
    pub fn remember_device(&self, id: &str) {
        let record = self.look(|registry| registry.device(id).cloned());
        let change = match record.map(|device| serde_json::to_value(device).unwrap_or(Value::Null)) {
            Some(value) => Change::put("devices", id, value),
            None => Change::remove("devices", id),
        };
        self.memory().write_soon(vec![change]);
    }

    /// A module offers an entity.
    pub fn offer(&self, entity: Entity) {
        let id = entity.id.clone();
        let is_new = self.change(|registry, _| {
            let events = registry.offer(entity);
            (!events.is_empty(), events)
        });
        if is_new && let Some(entity) = self.look(|r| r.entity(&id).cloned()) {
            let value = serde_json::to_value(entity).unwrap_or(Value::Null);
            self.memory().write_soon(vec![Change::put("entities", &id, value)]);
        }
    }

    /// An entity has a new state.
    pub fn set_state(&self, entity: &str, state: State) {
        self.change(|registry, now_ms| ((), registry.set_state(entity, state, now_ms)));
    }

    /// Who carries out the commands of a device; `None` when nobody does any more.
    pub fn set_commander(&self, device: &str, commander: Option<Commander>) {
        let mut all = self.0.commanders.write().unwrap_or_else(PoisonError::into_inner);
        match commander {
            Some(commander) => all.insert(device.to_string(), commander),
            None => all.remove(device),
        };
    }

    /// Defines something in the configuration: it cannot be changed by the API.
    pub fn fix(&self, space: &str, id: &str, value: Value) {
        let mut fixed = self.0.fixed.write().unwrap_or_else(PoisonError::into_inner);
        fixed.entry(space.to_string()).or_default().insert(id.to_string(), value);
    }

    /// Whether something is defined in the configuration.
    pub fn is_fixed(&self, space: &str, id: &str) -> bool {
        let fixed = self.0.fixed.read().unwrap_or_else(PoisonError::into_inner);
        fixed.get(space).is_some_and(|all| all.contains_key(id))
    }

    /// All rules, scenes, scripts or programs: those of the configuration and those of the store.
    pub fn definitions(&self, space: &str) -> BTreeMap<String, Value> {
        let mut all: BTreeMap<String, Value> = self.memory().list(space).into_iter().collect();
        let fixed = self.0.fixed.read().unwrap_or_else(PoisonError::into_inner);
        all.extend(fixed.get(space).into_iter().flatten().map(|(id, value)| (id.clone(), value.clone())));
        all
    }

    /// Who must agree before a valve opens; while there is nobody, no valve opens.
    pub fn set_interlock(&self, interlock: Option<Interlock>) {
        *self.0.interlock.write().unwrap_or_else(PoisonError::into_inner) = interlock;
    }

    /// Carries out a command, checked against the caller's rights, and records it before it is acknowledged.
    ///
    /// # Errors
    /// No such entity (or none that the caller sees), not allowed, not reachable, or what the module says.
    pub async fn command(&self, command: Command) -> Result<Map<String, Value>, Problem> {
        let known = self.look(|registry| {
            let entity = registry.entity(&command.entity)?;
            Some((entity.clone(), registry.area_of(entity).map(str::to_string)))
        });
        let missing = || Problem::missing("entity", &command.entity);
        let (entity, area) = known.ok_or_else(missing)?;
        if !command.who.sees(area.as_deref()) {
            return Err(missing());
        }
        if !command.who.controls(area.as_deref()) {
            return Err(Problem::forbidden("this token may only read"));
        }
        let commander = {
            let all = self.0.commanders.read().unwrap_or_else(PoisonError::into_inner);
            all.get(&entity.device).cloned()
        };
        let Some(commander) = commander else {
            let reason = match entity.state {
                State::Unavailable(reason) => reason,
                _ => "takes no commands".into(),
            };
            return Err(Problem::unavailable(format!("{} cannot be commanded", entity.name)).detail(reason));
        };
        let (command, mut notes) = match entity.kind == Kind::Valve && command.action == "open" {
            true => {
                let interlock = self.0.interlock.read().unwrap_or_else(PoisonError::into_inner).clone();
                let interlock =
                    interlock.ok_or_else(|| Problem::unavailable("nobody guards the valves at present"))?;
                interlock(entity.clone(), command).await?
            }
            false => (command, Map::new()),
        };
        let data =
            json!({"action": command.action, "arguments": command.arguments, "user": command.who.user});
        let mut draft = Draft::new("command", data).device(&entity.device, area.as_deref());
        draft.entity = Some(entity.id);
        self.emit(draft);
        let mut answer = commander(command).await?;
        answer.append(&mut notes);
        if let Err(error) = self.memory().sync().await {
            answer.insert("warning".into(), json!(error.to_string()));
        }
        Ok(answer)
    }

    /// Calls a function of the table as the server would.
    ///
    /// # Errors
    /// 404, 405, what [`function::check`] says, or the handler's problem.
    pub async fn call(&self, method: Method, path: &str, mut call: Call) -> Result<Reply, Problem> {
        match self.functions().find(method, path) {
            Found::Function(function, captured) => {
                call.parameters.extend(captured);
                self.permit(&function, &call)?;
                (function.handler)(self.clone(), call).await
            }
            Found::OtherMethods(_) => Err(Problem::new(405, "method not allowed")),
            Found::Nothing => Err(Problem::missing("function", path)),
        }
    }

    /// Checks who calls a function and what with, as the server and [`House::call`] do.
    ///
    /// # Errors
    /// 404 for a function of a device that the caller must not know of; else what [`function::check`] says.
    pub fn permit(&self, function: &Function, call: &Call) -> Result<(), Problem> {
        function::check(function, call)?;
        match function.right == Right::Anyone || self.shows(function, &call.who) {
            true => Ok(()),
            false => Err(Problem::missing("function", &function.path)),
        }
    }

    /// Whether this function is to be shown to somebody: it is theirs to call, and of no device that they do not see.
    pub fn shows(&self, function: &Function, who: &Principal) -> bool {
        let device = || self.look(|r| r.device(&function.owner).map(|d| d.area.clone()));
        who.may(function.right) && device().is_none_or(|area| who.sees(area.as_deref()))
    }

    /// Calls a URL as rules and scripts write it: path and query, no host.
    ///
    /// # Errors
    /// See [`House::call`].
    pub async fn call_url(
        &self,
        method: Method,
        url: &str,
        body: Value,
        who: Principal,
    ) -> Result<Reply, Problem> {
        let (path, query) = url.split_once('?').unwrap_or((url, ""));
        let path = decode(path).ok_or_else(|| Problem::bad("the URL is no UTF-8"))?;
        let parameters = parse_query(query).ok_or_else(|| Problem::bad("the URL is no UTF-8"))?;
        self.call(method, &path, Call { parameters, body, if_match: None, who }).await
    }
}

/// The parameters of a query string; `None` when it is no UTF-8. The first of a name counts.
pub fn parse_query(query: &str) -> Option<BTreeMap<String, String>> {
    let mut parameters = BTreeMap::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = decode(&name.replace('+', " "))?;
        let value = decode(&value.replace('+', " "))?;
        parameters.entry(name).or_insert(value);
    }
    Some(parameters)
}

/// Undoes percent-encoding; `None` when the result is no UTF-8 or the encoding is cut off.
pub fn decode(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => {
                let mut digit = || char::from(bytes.next()?).to_digit(16);
                (digit()? << 4 | digit()?) as u8
            }
            other => other,
        });
    }
    String::from_utf8(decoded).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_decoded_and_the_first_value_counts() {
        let query = parse_query("a=b%20c+d&x=1=2&a=z&empty=&flag").unwrap();
        assert_eq!((query["a"].as_str(), query["x"].as_str()), ("b c d", "1=2"));
        assert_eq!((query["empty"].as_str(), query["flag"].as_str()), ("", ""));
        for bad in ["a=%", "a=%f", "a=%zz", "a=%ff"] {
            assert_eq!(parse_query(bad), None, "{bad}");
        }
    }
}

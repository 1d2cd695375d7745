//! The model of a house, and the table of what can be done in it.
//!
//! This room knows devices, entities, areas, events, functions and who may use them. It knows no technology, no network and
//! no disk: modules, store and server stand around it and reach it through [`House`] (or, for a module, a [`Room`]).
//!
//! Invariants: a device is known by its id, never by its address; every change of a state becomes one event; no
//! subscriber can make memory grow ([`bus`]); what a module has registered disappears with it.
//!
//! Neighbours: `store` implements [`Memory`], `server` reads [`function::Table`] and [`bus::Bus`], `modules/*` implement
//! [`Module`]. Start reading at [`house`], then [`registry`].
#![forbid(unsafe_code)]

pub mod bus;
pub mod clock;
pub mod describe;
pub mod edit;
pub mod entity;
pub mod event;
pub mod function;
pub mod house;
pub mod memory;
pub mod module;
pub mod principal;
pub mod problem;
pub mod registry;
pub mod room;

pub use bus::{Bus, Delivery, Filter, Subscription};
pub use clock::Clock;
pub use entity::{Area, Device, Entity, Kind, State, Status, Trust, Value};
pub use event::Event;
pub use function::{Call, Function, Method, Parameter, Place, Reply, Right};
pub use house::{Command, House};
pub use memory::{Change, Memory, MemoryError};
pub use module::Module;
pub use principal::{Principal, Role, Scope};
pub use problem::Problem;
pub use room::Room;

/// A future that can be kept in a table.
pub type BoxFuture<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>>;

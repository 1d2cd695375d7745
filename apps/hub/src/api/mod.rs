//! The hub's own functions: everything in the table that no module brings.

mod areas;
mod backups;
mod definitions;
mod devices;
mod entities;
mod events;
mod history;
mod page;
mod system;

use crate::config::Config;
use house::{Call, Function, House, Method, Problem, Reply};
use hub_store::Store;
use std::sync::Arc;
use tokio::sync::Notify;

/// Fills the table.
///
/// `restart` is told when the hub is to start anew.
pub fn register(house: &House, store: &Arc<Store>, config: &Config, restart: &Arc<Notify>) {
    page::register(house);
    devices::register(house);
    entities::register(house);
    areas::register(house);
    definitions::register(house);
    events::register(house, store);
    history::register(house, store);
    backups::register(house, store, config, restart);
    system::register(house, store);
}

/// Adds a function whose handler does not wait.
fn add<F>(
    house: &House,
    method: Method,
    path: &str,
    summary: &str,
    shape: impl FnOnce(Function) -> Function,
    handler: F,
) where
    F: Fn(House, Call) -> Result<Reply, Problem> + Send + Sync + 'static,
{
    let function = Function::new(method, path, summary, move |house, call| {
        let answer = handler(house, call);
        Box::pin(async move { answer })
    });
    house.functions().add(shape(function));
}

//! The module's own functions: the list, raw bytes, pairing.

use super::{Nodes, pairing};
use house::function::{Right, Shape};
use house::{Function, House, Method, Problem, Reply, Room};
use serde_json::{Map, Value, json};
use std::sync::{Arc, PoisonError};
use wire::session::Keys;

pub(super) fn register(room: &Room, nodes: &Nodes, keys: &Arc<Keys>) {
    let list = Function::new(Method::Get, "/dwn/list", "Connected nodes", |house, call| {
        let modules = list(&house, &call.who);
        Box::pin(async move { Ok(Reply::json(json!({ "modules": modules }))) })
    });
    room.function(None, list);

    let schema = json!({"type": "object", "required": ["code"], "properties": {"code": {"type": "string"}}});
    let (known, own) = (nodes.clone(), keys.clone());
    let pair = Function::new(
        Method::Post,
        "/api/dwn/{id}/pair",
        "Pair a node by the code that it shows",
        move |house, call| {
            let (id, own, known) = (call.text("id").to_string(), own.clone(), known.clone());
            let address = {
                let known = known.lock().unwrap_or_else(PoisonError::into_inner);
                known
                    .get(&id)
                    .filter(|node| node.advert.version >= wire::session::VERSION)
                    .map(|node| node.address)
            };
            Box::pin(async move {
                let address = address.ok_or_else(|| Problem::missing("v2 node", &id))?;
                let code = call.body["code"].as_str().unwrap_or_default();
                pairing::pair(&house, &own, &id, address, code).await?;
                hang_up(&known, &id);
                let device = format!("dwn.{id}");
                house.change(|registry, _| {
                    (registry.edit_device(&device, |d| d.status = house::Status::Accepted), Vec::new())
                });
                house.remember_device(&device);
                Ok(Reply::ok())
            })
        },
    );
    room.function(None, pair.right(Right::Admin).body(schema));

    let known = nodes.clone();
    let revoke =
        Function::new(Method::Delete, "/api/dwn/{id}/pair", "Revoke a node's key", move |house, call| {
            let known = known.clone();
            Box::pin(async move {
                pairing::revoke(&house, call.text("id")).await?;
                hang_up(&known, call.text("id"));
                Ok(Reply::ok())
            })
        });
    room.function(None, revoke.right(Right::Admin));

    let about =
        "The original's raw bytes are refused: commands are checked. Says which command to use instead";
    let raw = Function::new(Method::Get, "/dwn/sendraw", about, |_, _| {
        Box::pin(async {
            let detail =
                "raw bytes could open a valve without a deadline; use POST /api/entities/{id}/command";
            Err(Problem::new(410, "no longer offered").detail(detail))
        })
    });
    let raw = raw.acting().query("destination", Shape::Text, false, "").query("data", Shape::Text, false, "");
    room.function(None, raw);
}

/// Ends the session with a node: it stands on a key that is no longer the node's.
fn hang_up(nodes: &Nodes, id: &str) {
    let nodes = nodes.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(node) = nodes.get(id) {
        node.hang_up.notify_one();
    }
}

fn list(house: &House, who: &house::Principal) -> Vec<Value> {
    house.look(|registry| {
        let devices = registry.devices().filter(|d| d.module == "dwn" && d.unavailable.is_none());
        let seen = devices.filter(|d| who.sees(d.area.as_deref()));
        seen.map(|device| {
            let ip = device.address.as_deref().and_then(|a| a.rsplit_once(':')).map_or("", |(ip, _)| ip);
            let id = device.id.strip_prefix("dwn.").unwrap_or(&device.id);
            let mut node = Map::new();
            node.insert("name".into(), json!(device.driver));
            node.insert("ip".into(), json!(ip));
            node.insert("id".into(), json!(id));
            node.insert("trust".into(), json!(device.trust));
            Value::Object(node)
        })
        .collect()
    })
}

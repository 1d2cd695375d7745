//! Devices: the list, the inbox, names and areas, the last bytes.

use super::add;
use house::event::Draft;
use house::function::Right;
use house::registry::Registry;
use house::{Call, Device, Function, House, Method, Principal, Problem, Reply, Status};
use serde::Deserialize;
use serde_json::{Value, json};

pub(super) fn register(house: &House) {
    let same = |f| f;
    add(house, Method::Get, "/api/devices", "All devices", same, |house, call| {
        Ok(Reply::json(
            house.look(|r| r.devices().filter(|d| call.who.sees(d.area.as_deref())).map(show).collect()),
        ))
    });
    add(
        house,
        Method::Get,
        "/api/inbox",
        "Discovered devices that wait to be accepted or ignored",
        same,
        |house, call| {
            let waits = |d: &&Device| d.status == Status::Inbox && call.who.sees(d.area.as_deref());
            Ok(Reply::json(house.look(|r| r.devices().filter(waits).map(show).collect())))
        },
    );
    add(house, Method::Get, "/api/devices/{id}", "One device", same, |house, call| {
        house.look(|r| Ok(Reply::tagged(show(find(r, call.text("id"), &call.who)?))))
    });
    let log = "The last bytes to and from a device, as hex";
    add(
        house,
        Method::Get,
        "/api/devices/{id}/log",
        log,
        |f| f.right(Right::Edit),
        |house, call| {
            house.look(|r| {
                find(r, call.text("id"), &call.who)?;
                let lines: Vec<Value> = r
                    .traffic(call.text("id"))
                    .map(|line| {
                        let hex: String = line.bytes.iter().map(|b| format!("{b:02x}")).collect();
                        let to = if line.is_outgoing { "device" } else { "hub" };
                        json!({"time": line.time_ms, "to": to, "bytes": hex})
                    })
                    .collect();
                Ok(Reply::json(json!(lines)))
            })
        },
    );
    let schema = json!({"type": "object", "properties": {
        "name": {"type": "string"}, "area": {"type": ["string", "null"]}, "status": {"enum": ["inbox", "accepted", "ignored"]}}});
    let edit = Function::new(
        Method::Patch,
        "/api/devices/{id}",
        "Name a device, place it, accept or ignore it",
        |house, call| Box::pin(edit(house, call)),
    );
    house.functions().add(edit.right(Right::Edit).body(schema));
    let forget = Function::new(Method::Delete, "/api/devices/{id}", "Forget a device", |house, call| {
        Box::pin(forget(house, call))
    });
    house.functions().add(forget.right(Right::Admin));
}

fn show(device: &Device) -> Value {
    serde_json::to_value(device).unwrap_or(Value::Null)
}

fn find<'a>(registry: &'a Registry, id: &str, who: &Principal) -> Result<&'a Device, Problem> {
    let device = registry.device(id).filter(|d| who.sees(d.area.as_deref()));
    device.ok_or_else(|| Problem::missing("device", id))
}

/// What may be edited; a missing field stays, `"area": null` takes the device out of its area.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Edit {
    name: Option<String>,
    #[serde(default, deserialize_with = "present")]
    area: Option<Option<String>>,
    status: Option<Status>,
}

/// Tells `null` from a field that is not there.
pub(super) fn present<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(from).map(Some)
}

/// A name that people can read and a page can show.
pub(super) fn check_name(name: &str) -> Result<(), Problem> {
    match name.trim().is_empty() || name.chars().count() > 100 || name.chars().any(char::is_control) {
        true => Err(Problem::new(422, "a name has 1 to 100 characters").with("field", "name")),
        false => Ok(()),
    }
}

async fn edit(house: House, call: Call) -> Result<Reply, Problem> {
    let edit: Edit = call.read()?;
    if let Some(name) = &edit.name {
        check_name(name)?;
    }
    let id = call.text("id");
    let changed = house.change(|registry, _| {
        let change = || {
            call.unchanged(&show(find(registry, id, &call.who)?))?;
            if let Some(Some(area)) = &edit.area
                && !registry.areas().any(|a| a.id == *area)
            {
                return Err(Problem::new(422, format!("no area {area:?}")).with("field", "area"));
            }
            let changed = registry.edit_device(id, |device| {
                if let Some(name) = &edit.name {
                    device.name = name.clone();
                    device.is_named = true;
                }
                if let Some(area) = &edit.area {
                    device.area = area.clone();
                }
                if let Some(status) = edit.status {
                    device.status = status;
                }
                show(device)
            });
            let changed = changed.ok_or_else(|| Problem::missing("device", id))?;
            Ok((changed, registry.device(id).and_then(|d| d.area.clone())))
        };
        match { change }() {
            Ok((changed, area)) => {
                let data = json!({"type": "edited", "name": changed["name"], "status": changed["status"]});
                (Ok(changed), vec![Draft::new("device", data).device(id, area.as_deref())])
            }
            Err(problem) => (Err(problem), Vec::new()),
        }
    })?;
    house.memory().write(vec![house::Change::put("devices", id, changed.clone())]).await?;
    Ok(Reply::tagged(changed))
}

async fn forget(house: House, call: Call) -> Result<Reply, Problem> {
    let id = call.text("id");
    let entities: Vec<String> =
        house.look(|r| r.entities().filter(|e| e.device == id).map(|e| e.id.clone()).collect());
    let gone = house.change(|registry, _| {
        let gone = registry.forget(id);
        let event = gone.as_ref().map(|device| {
            let data = json!({"type": "forgotten", "entities": entities});
            Draft::new("device", data).device(id, device.area.as_deref())
        });
        (gone, event.into_iter().collect())
    });
    gone.ok_or_else(|| Problem::missing("device", id))?;
    let mut changes = vec![house::Change::remove("devices", id)];
    changes.extend(entities.iter().map(|entity| house::Change::remove("entities", entity)));
    house.memory().write(changes).await?;
    Ok(Reply::ok())
}

//! Entities: states, names and areas, commands.

use super::add;
use super::devices::{check_name, present};
use house::event::Draft;
use house::function::{Right, Shape};
use house::registry::Registry;
use house::{Call, Change, Command, Entity, Function, House, Method, Problem, Reply, State};
use serde::Deserialize;
use serde_json::{Map, Value, json};

pub(super) fn register(house: &House) {
    let by = |f: Function| {
        f.query("device", Shape::Text, false, "only this device's").query(
            "area",
            Shape::Text,
            false,
            "only in this area",
        )
    };
    add(house, Method::Get, "/api/entities", "All entities and their states", by, |house, call| {
        let wanted = |name: &str, is: Option<&str>| call.text(name).is_empty() || is == Some(call.text(name));
        let all: Vec<Value> = house.look(|registry| {
            let all = registry.entities().filter(|e| call.who.sees(registry.area_of(e)));
            let all =
                all.filter(|e| wanted("device", Some(&e.device)) && wanted("area", registry.area_of(e)));
            all.map(|e| show(registry, e)).collect()
        });
        Ok(Reply::json(json!(all)))
    });
    add(
        house,
        Method::Get,
        "/api/entities/{id}",
        "One entity",
        |f| f,
        |house, call| house.look(|registry| Ok(Reply::tagged(show(registry, find(registry, &call)?)))),
    );
    let schema = json!({"type": "object", "properties": {"name": {"type": "string"}, "area": {"type": ["string", "null"]}}});
    let edit =
        Function::new(Method::Patch, "/api/entities/{id}", "Name an entity, or place it", |house, call| {
            Box::pin(edit(house, call))
        });
    house.functions().add(edit.right(Right::Edit).body(schema));
    let schema = json!({"type": "object", "required": ["command"], "properties": {
        "command": {"type": "string"}, "value": {}, "seconds": {"type": "integer"}}});
    let about = "Command an entity: set with a value, open with seconds, shut, fade, ...";
    let command = Function::new(Method::Post, "/api/entities/{id}/command", about, |house, call| {
        Box::pin(command(house, call))
    });
    house.functions().add(command.body(schema));
}

/// An entity as the API shows it.
pub(super) fn show(registry: &Registry, entity: &Entity) -> Value {
    let mut shown = serde_json::to_value(entity).unwrap_or(Value::Null);
    shown["area"] = json!(registry.area_of(entity));
    shown["state"] = entity.state.to_json();
    shown["available"] = json!(!matches!(entity.state, State::Unavailable(_)));
    if let State::Unavailable(reason) = &entity.state {
        shown["reason"] = json!(reason);
    }
    shown
}

fn find<'a>(registry: &'a Registry, call: &Call) -> Result<&'a Entity, Problem> {
    let id = call.text("id");
    let entity = registry.entity(id).filter(|e| call.who.sees(registry.area_of(e)));
    entity.ok_or_else(|| Problem::missing("entity", id))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Edit {
    name: Option<String>,
    #[serde(default, deserialize_with = "present")]
    area: Option<Option<String>>,
}

async fn edit(house: House, call: Call) -> Result<Reply, Problem> {
    let edit: Edit = call.read()?;
    if let Some(name) = &edit.name {
        check_name(name)?;
    }
    let id = call.text("id");
    let (shown, record) = house.change(|registry, _| {
        let change = || {
            call.unchanged(&show(registry, find(registry, &call)?))?;
            if let Some(Some(area)) = &edit.area
                && !registry.areas().any(|a| a.id == *area)
            {
                return Err(Problem::new(422, format!("no area {area:?}")).with("field", "area"));
            }
            registry.edit_entity(id, |entity| {
                if let Some(name) = &edit.name {
                    entity.name = name.clone();
                    entity.is_named = true;
                }
                if let Some(area) = &edit.area {
                    entity.area = area.clone();
                }
            });
            let entity = find(registry, &call)?;
            let data = json!({"type": "edited", "name": entity.name});
            let mut event = Draft::new("entity", data).device(&entity.device, registry.area_of(entity));
            event.entity = Some(entity.id.clone());
            Ok::<_, Problem>((
                (show(registry, entity), serde_json::to_value(entity).unwrap_or(Value::Null)),
                event,
            ))
        };
        match { change }() {
            Ok((changed, event)) => (Ok(changed), vec![event]),
            Err(problem) => (Err(problem), Vec::new()),
        }
    })?;
    house.memory().write(vec![Change::put("entities", id, record)]).await?;
    Ok(Reply::tagged(shown))
}

async fn command(house: House, call: Call) -> Result<Reply, Problem> {
    let mut arguments: Map<String, Value> = call.read()?;
    let action = arguments.remove("command").and_then(|c| c.as_str().map(str::to_string));
    let action =
        action.ok_or_else(|| Problem::bad("command: what to do is missing").with("field", "command"))?;
    let entity = call.text("id").to_string();
    let mut answer = house.command(Command { entity, action, arguments, who: call.who }).await?;
    answer.insert("status".into(), "ok".into());
    Ok(Reply::json(Value::Object(answer)))
}

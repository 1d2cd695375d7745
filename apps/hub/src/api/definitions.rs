//! Rules, scenes, scripts and programs: read, written, checked. What the configuration defines can only be read.

use super::add;
use house::edit::etag;
use house::event::Draft;
use house::function::Right;
use house::{Call, Change, Function, House, Method, Problem, Reply};
use hub_modules::{DEFINITIONS, check_definition};
use serde_json::{Map, Value, json};

/// Definitions of one kind at most.
const LIMIT: usize = 1_000;

pub(super) fn register(house: &House) {
    for space in DEFINITIONS {
        let path = format!("/api/{space}");
        let one = format!("{path}/{{id}}");
        let edit = |f: Function| f.right(Right::Edit);
        add(house, Method::Get, &path, &format!("All {space}"), edit, move |house, _| {
            let all: Map<String, Value> = house
                .definitions(space)
                .into_iter()
                .map(|(id, value)| (id.clone(), shown(&house, space, &id, value)))
                .collect();
            Ok(Reply::json(Value::Object(all)))
        });
        add(house, Method::Get, &one, &format!("One of the {space}"), edit, move |house, call| {
            let id = call.text("id");
            let value = house.definitions(space).remove(id).ok_or_else(|| Problem::missing(space, id))?;
            let tag = etag(&value);
            Ok(Reply::json(shown(&house, space, id, value)).etag(tag))
        });
        let check = format!("{path}/validate");
        let schema = json!({"type": "object"});
        let body = schema.clone();
        add(
            house,
            Method::Post,
            &check,
            "Whether this could be stored",
            |f| f.right(Right::Edit).body(body),
            move |_, call| {
                let answer = match check_definition(space, &call.body) {
                    Ok(()) => json!({"valid": true}),
                    Err(reason) => json!({"valid": false, "reason": reason}),
                };
                Ok(Reply::json(answer))
            },
        );
        // A script may call every function: only an administrator writes one.
        let right = if space == "scripts" { Right::Admin } else { Right::Edit };
        let put = Function::new(Method::Put, &one, "Make or change one", move |house, call| {
            Box::pin(put(space, house, call))
        });
        house.functions().add(put.right(right).body(schema));
        let remove = Function::new(Method::Delete, &one, "Remove one", move |house, call| {
            Box::pin(remove(space, house, call))
        });
        house.functions().add(remove.right(right));
    }
}

fn shown(house: &House, space: &str, id: &str, mut value: Value) -> Value {
    if house.is_fixed(space, id)
        && let Some(fields) = value.as_object_mut()
    {
        fields.insert("read_only".into(), true.into());
    }
    value
}

fn editable(house: &House, space: &str, id: &str) -> Result<(), Problem> {
    if house.is_fixed(space, id) {
        let detail = "it stands in the configuration file: edit that and start the hub anew";
        return Err(Problem::new(409, "read only").detail(detail));
    }
    Ok(())
}

async fn put(space: &'static str, house: House, call: Call) -> Result<Reply, Problem> {
    let id = call.text("id").to_string();
    if !wire::advert::is_id(&id) || id == "validate" || id == "test" {
        return Err(Problem::new(422, "an id has letters, digits, - and _").with("field", "id"));
    }
    editable(&house, space, &id)?;
    check_definition(space, &call.body).map_err(|reason| Problem::new(422, reason))?;
    let all = house.definitions(space);
    call.unchanged(all.get(&id).unwrap_or(&Value::Null))?;
    if all.len() >= LIMIT && !all.contains_key(&id) {
        return Err(Problem::new(507, format!("there are {LIMIT} {space} already")));
    }
    let written = house.memory().write(vec![Change::put(space, &id, call.body.clone())]).await;
    // It is in force even when it could not be stored; the answer says which.
    house.emit(Draft::new("changed", json!({"space": space, "id": id, "user": call.who.user})));
    written?;
    Ok(Reply::tagged(call.body))
}

async fn remove(space: &'static str, house: House, call: Call) -> Result<Reply, Problem> {
    let id = call.text("id").to_string();
    editable(&house, space, &id)?;
    let now = house.memory().get(space, &id).ok_or_else(|| Problem::missing(space, &id))?;
    call.unchanged(&now)?;
    let written = house.memory().write(vec![Change::remove(space, &id)]).await;
    house.emit(Draft::new("changed", json!({"space": space, "id": id, "user": call.who.user})));
    written?;
    Ok(Reply::ok())
}

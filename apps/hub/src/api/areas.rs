//! Areas: the parts of the house.

use super::add;
use super::devices::check_name;
use house::function::Right;
use house::{Area, Call, Change, Function, House, Method, Problem, Reply};
use serde_json::{Value, json};

pub(super) fn register(house: &House) {
    add(
        house,
        Method::Get,
        "/api/areas",
        "All areas",
        |f| f,
        |house, call| {
            let seen =
                house.look(|r| r.areas().filter(|a| call.who.sees(Some(&a.id))).map(|a| json!(a)).collect());
            Ok(Reply::json(seen))
        },
    );
    add(
        house,
        Method::Get,
        "/api/areas/{id}",
        "One area",
        |f| f,
        |house, call| {
            let id = call.text("id");
            let area = find(&house, id).filter(|_| call.who.sees(Some(id)));
            area.map(Reply::tagged).ok_or_else(|| Problem::missing("area", id))
        },
    );
    let schema = json!({"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}});
    let put = Function::new(Method::Put, "/api/areas/{id}", "Make or rename an area", |house, call| {
        Box::pin(put(house, call))
    });
    house.functions().add(put.right(Right::Edit).body(schema));
    let remove = Function::new(Method::Delete, "/api/areas/{id}", "Remove an area", |house, call| {
        Box::pin(remove(house, call))
    });
    house.functions().add(remove.right(Right::Edit));
}

fn find(house: &House, id: &str) -> Option<Value> {
    house.look(|registry| registry.areas().find(|a| a.id == id).map(|a| json!(a)))
}

async fn put(house: House, call: Call) -> Result<Reply, Problem> {
    let id = call.text("id").to_string();
    if !wire::advert::is_id(&id) {
        return Err(Problem::new(422, "an id has letters, digits, - and _").with("field", "id"));
    }
    let name = call.body["name"].as_str().unwrap_or_default().to_string();
    check_name(&name)?;
    call.unchanged(&find(&house, &id).unwrap_or(Value::Null))?;
    let area = Area { id: id.clone(), name };
    let value = json!(area);
    house.change(|registry, _| (registry.set_area(&id, Some(area)), Vec::new()));
    house.memory().write(vec![Change::put("areas", &id, value.clone())]).await?;
    Ok(Reply::tagged(value))
}

async fn remove(house: House, call: Call) -> Result<Reply, Problem> {
    let id = call.text("id");
    find(&house, id).ok_or_else(|| Problem::missing("area", id))?;
    let placed: Vec<String> =
        house.look(|r| r.devices().filter(|d| d.area.as_deref() == Some(id)).map(|d| d.id.clone()).collect());
    house.change(|registry, _| (registry.set_area(id, None), Vec::new()));
    placed.iter().for_each(|device| house.remember_device(device));
    house.memory().write(vec![Change::remove("areas", id)]).await?;
    Ok(Reply::ok())
}

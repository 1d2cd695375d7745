//! History: numbers over time, thinned to what can be shown, and as CSV.

use house::function::Shape;
use house::{Call, Function, House, Method, Problem, Reply};
use hub_store::history::thin;
use hub_store::{Point, Resolution, Store};
use serde_json::json;
use std::fmt::Write as _;
use std::sync::Arc;

/// Points of one answer at most.
const LIMIT: usize = 5_000;
const HOUR_MS: i64 = 3_600_000;

pub(super) fn register(house: &House, store: &Arc<Store>) {
    let shape = |f: Function| {
        f.query("entity", Shape::Text, true, "the entity's id")
            .query("from", Shape::Integer, false, "Unix milliseconds; a day ago by default")
            .query("to", Shape::Integer, false, "Unix milliseconds, not included; now by default")
            .query(
                "resolution",
                Shape::Text,
                false,
                "raw, five_minutes or hour; chosen by the range by default",
            )
            .query("points", Shape::Integer, false, "at most so many points; 500 by default")
    };
    let (json_store, csv_store) = (store.clone(), store.clone());
    let json =
        Function::new(Method::Get, "/api/history", "An entity's numbers over time", move |house, call| {
            let store = json_store.clone();
            Box::pin(async move {
                let (resolution, points) = read(&house, store, &call).await?;
                Ok(Reply::json(
                    json!({"entity": call.text("entity"), "resolution": resolution, "points": points}),
                ))
            })
        });
    house.functions().add(shape(json));
    let csv = Function::new(Method::Get, "/api/history.csv", "The same as CSV", move |house, call| {
        let store = csv_store.clone();
        Box::pin(async move {
            let (_, points) = read(&house, store, &call).await?;
            let mut text = String::from("time_ms,min,max,mean,count\r\n");
            for Point { time, min, max, mean, count } in points {
                // Writing to a String cannot fail.
                let _ = write!(text, "{time},{min},{max},{mean},{count}\r\n");
            }
            let mut reply = Reply::bytes("text/csv; charset=utf-8", text.into_bytes());
            reply.headers.push(("content-disposition", "attachment; filename=\"history.csv\"".into()));
            Ok(reply)
        })
    });
    house.functions().add(shape(csv));
}

async fn read(house: &House, store: Arc<Store>, call: &Call) -> Result<(Resolution, Vec<Point>), Problem> {
    let entity = call.text("entity").to_string();
    let is_seen = house.look(|r| r.entity(&entity).is_some_and(|e| call.who.sees(r.area_of(e))));
    if !is_seen {
        return Err(Problem::missing("entity", &entity));
    }
    let to_ms = call.number("to").unwrap_or_else(|| house.clock().now_ms() + 1);
    let from_ms = call.number("from").unwrap_or(to_ms - 24 * HOUR_MS);
    let range_ms = to_ms.checked_sub(from_ms).filter(|range| *range > 0);
    let range_ms = range_ms.ok_or_else(|| Problem::bad("from must be before to"))?;
    let resolution = match call.text("resolution") {
        "" if range_ms <= 24 * HOUR_MS => Resolution::Raw,
        "" if range_ms <= 31 * 24 * HOUR_MS => Resolution::FiveMinutes,
        "" | "hour" => Resolution::Hour,
        "five_minutes" => Resolution::FiveMinutes,
        "raw" => Resolution::Raw,
        _ => {
            return Err(Problem::bad("resolution: raw, five_minutes or hour").with("parameter", "resolution"));
        }
    };
    let limit = call.number("points").unwrap_or(500).clamp(1, LIMIT);
    let points =
        tokio::task::spawn_blocking(move || store.history(&entity, resolution, from_ms, to_ms)).await;
    let points = points.map_err(|e| Problem::internal(e.to_string()))??;
    Ok((resolution, thin(&points, from_ms, to_ms, limit)))
}

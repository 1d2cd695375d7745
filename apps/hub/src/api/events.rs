//! Events: the log, and making them.

use house::event::Draft;
use house::function::{Right, Shape};
use house::{Filter, Function, House, Method, Problem, Reply};
use hub_store::Store;
use hub_store::events::Search;
use serde_json::{Value, json};
use std::sync::Arc;

/// Events of one answer at most.
const LIMIT: usize = 1_000;
/// Events of one request at most.
const BATCH: usize = 1_000;

pub(super) fn register(house: &House, store: &Arc<Store>) {
    let shape = |f: Function| {
        f.query("patterns", Shape::Text, false, "kinds or kind/entity, with *, separated by commas")
            .query("from", Shape::Integer, false, "Unix milliseconds")
            .query("to", Shape::Integer, false, "Unix milliseconds, not included")
            .query("before", Shape::Integer, false, "only events with a smaller seq: for paging")
            .query("limit", Shape::Integer, false, "at most 1000; 100 by default")
    };
    let store = store.clone();
    let search =
        Function::new(Method::Get, "/api/events", "The log of events, newest first", move |_, call| {
            let patterns = call
                .text("patterns")
                .split(',')
                .filter(|p| !p.is_empty())
                .take(64)
                .map(str::to_string)
                .collect();
            let search = Search {
                from_ms: call.number("from").unwrap_or(0),
                to_ms: call.number("to").unwrap_or(i64::MAX),
                before: call.number("before").unwrap_or(u64::MAX),
                limit: call.number("limit").unwrap_or(100).min(LIMIT),
                filter: Filter { patterns, who: call.who },
            };
            let store = store.clone();
            Box::pin(async move {
                let found = tokio::task::spawn_blocking(move || store.events(&search)).await;
                let found = found.map_err(|e| Problem::internal(e.to_string()))??;
                Ok(Reply::json(json!(found)))
            })
        });
    house.functions().add(shape(search));

    let about =
        "Make events: one object or a list, each with \"event\"; acknowledged when they are on the disk";
    let emit = Function::new(Method::Post, "/api/events", about, |house, call| {
        Box::pin(async move {
            let list = match call.body {
                Value::Array(list) if list.len() <= BATCH => list,
                Value::Array(_) => return Err(Problem::new(413, format!("at most {BATCH} events at once"))),
                one => vec![one],
            };
            let made = |value: Value| {
                let kind = value["event"].as_str().unwrap_or_default().to_string();
                Draft::made(&kind, value)
            };
            let drafts: Vec<Draft> = list.into_iter().map(made).collect::<Result<_, Problem>>()?;
            let count = drafts.len();
            house.emit_all(drafts);
            house.memory().sync().await?;
            Ok(Reply::json(json!({"status": "ok", "events": count})))
        })
    });
    house.functions().add(emit.right(Right::Edit).body(json!({"type": ["object", "array"]})));

    // Served beside the table, because they have no end; here for those who look for them.
    for (path, about) in [
        ("/ws", "Events as they happen, over WebSocket; {\"subscribe\": [patterns]} asks for others"),
        ("/events", "Events as they happen, as server-sent events"),
    ] {
        let stream = Function::new(Method::Get, path, about, |_, _| {
            Box::pin(async { Err(Problem::new(426, "a stream has no answer; open it as what it is")) })
        });
        let patterns = "kinds or kind/entity, with *, separated by commas; all without";
        house.functions().add(stream.query("patterns", Shape::Text, false, patterns));
    }
}

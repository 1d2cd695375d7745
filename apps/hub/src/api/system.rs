//! The hub and its machine: status, health, metrics, figures of /proc.

use super::add;
use house::function::Right;
use house::{House, Memory as _, Method, Reply, State};
use hub_store::Store;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::sync::Arc;

pub(super) fn register(house: &House, store: &Arc<Store>) {
    let anyone = |f: house::Function| f.right(Right::Anyone);
    let kept = store.clone();
    add(
        house,
        Method::Get,
        "/api/health",
        "Whether all is well; 503 when something is not",
        anyone,
        move |house, _| {
            let mut troubles = Vec::new();
            if kept.trouble().is_some() {
                troubles.push("the store failed: nothing is remembered, valves are shut");
            }
            if !house.clock().is_plausible() {
                troubles.push("the clock is not set: time triggers wait");
            }
            let status = if troubles.is_empty() { 200 } else { 503 };
            Ok(Reply::json(json!({"healthy": troubles.is_empty(), "troubles": troubles})).status(status))
        },
    );
    let kept = store.clone();
    add(
        house,
        Method::Get,
        "/api/status",
        "The hub in figures",
        |f| f,
        move |house, _| Ok(Reply::json(status(&house, &kept))),
    );
    let kept = store.clone();
    add(
        house,
        Method::Get,
        "/metrics",
        "The same for Prometheus",
        |f| f,
        move |house, _| {
            let mut text = String::new();
            if let Value::Object(figures) = status(&house, &kept) {
                for (name, figure) in figures.iter().filter(|(_, figure)| figure.is_number()) {
                    // Writing to a String cannot fail.
                    let _ = writeln!(text, "# TYPE hub_{name} gauge\nhub_{name} {figure}");
                }
            }
            Ok(Reply::bytes("text/plain; version=0.0.4", text.into_bytes()))
        },
    );
    add(
        house,
        Method::Get,
        "/api/system",
        "The machine's figures from /proc",
        |f| f,
        |_, _| Ok(Reply::json(machine())),
    );
}

fn status(house: &House, store: &Store) -> Value {
    let (commits, dropped) = store.counters();
    let (devices, entities, unavailable) = house.look(|registry| {
        let gone = registry.entities().filter(|e| matches!(e.state, State::Unavailable(_))).count();
        (registry.devices().count(), registry.entities().count(), gone)
    });
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "uptime_ms": house.clock().monotonic_ms(),
        "time": house.clock().now_ms(),
        "clock_plausible": house.clock().is_plausible(),
        "devices": devices,
        "entities": entities,
        "entities_unavailable": unavailable,
        "events_total": house.bus().seq(),
        "subscribers": house.bus().subscribers(),
        "functions": house.functions().all().len(),
        "store_commits_total": commits,
        "store_dropped_events_total": dropped,
        "store_trouble": store.trouble(),
        "memory_bytes": own_memory(),
    })
}

/// Resident memory of this process (proc(5), `VmRSS`).
fn own_memory() -> Option<u64> {
    field(&std::fs::read_to_string("/proc/self/status").ok()?, "VmRSS:").map(|kib| kib * 1024)
}

fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

fn machine() -> Value {
    let read = |name: &str| std::fs::read_to_string(format!("/proc/{name}")).unwrap_or_default();
    let (memory, load, uptime) = (read("meminfo"), read("loadavg"), read("uptime"));
    let bytes = |name: &str| field(&memory, name).map(|kib| kib * 1024);
    let first = |text: &str| text.split_whitespace().next().and_then(|n| n.parse::<f64>().ok());
    json!({
        "uptime_s": first(&uptime),
        "load": load.split_whitespace().take(3).filter_map(|n| n.parse::<f64>().ok()).collect::<Vec<_>>(),
        "processors": std::thread::available_parallelism().map(std::num::NonZero::get).ok(),
        "memory_total_bytes": bytes("MemTotal:"),
        "memory_available_bytes": bytes("MemAvailable:"),
        "kernel": read("version").trim(),
    })
}

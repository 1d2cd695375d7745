//! Power cuts of the whole hub. What a hub wrote while it lived is recorded, operation by operation; the power is cut after each
//! of them, another hub is started on what is left, and everything that was acknowledged before is there.

#[path = "../store/tests/medium/mod.rs"]
mod medium;
mod support;

use house::{Clock, Filter, Memory as _};
use hub::{Config, start_on};
use hub_store::events::Search;
use hub_store::{Medium, Options, Resolution, Store, schema};
use medium::{Tape, in_order, torn};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::Duration;
use support::*;

/// Commits and checkpoints come so often that a short life has all kinds of them.
const OPTIONS: Options = Options {
    group: Duration::from_millis(50),
    event_bytes: 256 << 20,
    checkpoint: Duration::from_millis(300),
    retry: Duration::from_millis(20),
};
/// The valve that stays open, and the one that opens and shuts.
const OPEN: &str = "dwn.garden.valve_a";
const CHANGING: &str = "dwn.orchard.valve_b";

fn open(tape: &Tape) -> Store {
    let tape = tape.clone();
    let medium: Medium = Box::new(move || tape.open());
    Store::open_medium(medium, OPTIONS, &schema::MIGRATIONS, schema::VERSION, &|_| Ok(())).unwrap()
}

/// What had been acknowledged when the disk had taken so many operations.
#[derive(Clone, Copy, Debug, Default)]
struct Promise {
    operations: usize,
    /// The number of the round: in a setting, an event, the seconds of a deadline.
    round: u64,
    /// Commands so far.
    commands: usize,
    /// Points of history that were known before something else was acknowledged.
    points: usize,
}

async fn points(at: SocketAddr) -> usize {
    let path = format!("/api/history?entity={CHANGING}&resolution=raw&from=0&points=5000");
    get(at, &path).await.json()["points"].as_array().map_or(0, Vec::len)
}

/// A hub's life on a recording disk, from the moment when there is a store: one is made under another name first.
async fn live(config: &Config, rounds: u64) -> (Tape, Vec<Promise>) {
    let tape = Tape::default();
    drop(open(&tape));
    let mut promises = vec![Promise { operations: tape.operations(), ..Promise::default() }];
    let hub = start_on(config, Clock::default(), open(&tape)).await.unwrap();
    let nodes: Vec<_> =
        (0..).zip(["garden", "orchard"]).map(|(n, id)| irrigation_for_long(config, n, id)).collect();
    known(hub.http, OPEN).await;
    known(hub.http, CHANGING).await;
    for round in 1..=rounds {
        let known_points = points(hub.http).await;
        let setting = json!({"name": format!("area {round}")});
        assert_eq!(send(hub.http, "PUT", &format!("/api/areas/a{}", round % 5), setting).await.status, 200);
        let event = json!([{"event": "load", "n": round}]);
        assert_eq!(send(hub.http, "POST", "/api/events", event).await.status, 200);
        assert_eq!(open_valve(hub.http, OPEN, 900 + round as u32).await.status, 200);
        let change = if round % 2 == 1 { json!({"command": "open"}) } else { json!({"command": "shut"}) };
        assert_eq!(command(hub.http, CHANGING, change).await.status, 200);
        until("the change is reported", SOON, async || state(hub.http, CHANGING).await == (round % 2 == 1))
            .await;
        promises.push(Promise {
            operations: tape.operations(),
            round,
            commands: 2 * round as usize,
            points: known_points,
        });
    }
    drop(nodes);
    hub.stop().await;
    (tape, promises)
}

fn irrigation_for_long(config: &Config, number: u16, id: &str) -> hob_node::Handle {
    let (device, _) = hob_node::devices::Irrigation::new(wire::irrigation::NODE_LIMIT_MS);
    spawn_device(node(config, number + 1, wire::irrigation::DRIVER_NAMES[0], id), device)
}

/// Starts a hub on what a cut has left, and holds it to its promises.
async fn check(config: &Config, image: Vec<u8>, promised: Promise, what: &str) {
    let hub = start_on(config, Clock::default(), open(&Tape::from_image(image))).await.unwrap();
    assert_eq!(hub.store.trouble(), None, "{what}");
    let Promise { round, commands, points, .. } = promised;
    if round > 0 {
        let newest = hub.house.look(|registry| registry.areas().map(|area| number_in(&area.name)).max());
        assert!(newest >= Some(round), "{what}: setting {round} is lost, {newest:?} is there");
        let deadline = hub.store.get("deadlines", OPEN).unwrap_or_default();
        let seconds = deadline["seconds"].as_u64().unwrap_or(0);
        assert!(
            (900 + round..=901 + round).contains(&seconds),
            "{what}: the deadline of {round} is {deadline}"
        );
        let of = |kind: &str| -> Vec<Value> {
            let filter = Filter { patterns: vec![kind.into()], ..Filter::all() };
            let all = Search { filter, from_ms: 0, to_ms: i64::MAX, before: u64::MAX, limit: 100_000 };
            hub.store.events(&all).unwrap()
        };
        let mut numbers: Vec<u64> = of("load").iter().filter_map(|event| event["n"].as_u64()).collect();
        numbers.reverse();
        let last = numbers.len() as u64;
        assert!(
            last >= round && numbers == (1..=last).collect::<Vec<u64>>(),
            "{what}: events {numbers:?} of {round}"
        );
        assert!(of("command").len() >= commands, "{what}: {} of {commands} commands", of("command").len());
        assert!(hub.house.look(|registry| registry.entity(OPEN).is_some()), "{what}: the valve is not known");
    }
    let history = hub.store.history(CHANGING, Resolution::Raw, 0, i64::MAX).unwrap();
    assert!(history.len() >= points, "{what}: {} of {points} points", history.len());
    assert!(history.is_sorted_by_key(|point| point.time), "{what}: history is corrupt");
    hub.stop().await;
}

fn number_in(name: &str) -> u64 {
    name.trim_start_matches("area ").parse().unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_power_may_go_after_any_operation_of_the_disk() {
    // What is lost at most is what no commit has taken yet: of history and unacknowledged events, a second.
    assert!(Options::default().group <= Duration::from_secs(1));
    let is_full = std::env::var_os("HUB_FULL_TESTS").is_some();
    let scratch = Scratch::new("power");
    let config = config(&scratch);
    let (tape, promises) = live(&config, if is_full { 60 } else { 8 }).await;
    let log = tape.log();
    // The hubs that come after the cut need no devices.
    let mut later = config.clone();
    later.modules.dwn.enabled = false;
    let mut random = Random(0xb1ac);
    let first = promises.first().map_or(0, |promise| promise.operations);
    let mut any = || first + random.below((log.len() - first) as u64 + 1) as usize;
    let cuts: Vec<usize> = match is_full {
        true => (first..=log.len()).collect(),
        false => std::iter::repeat_with(&mut any).take(12).chain([log.len()]).collect(),
    };
    for cut in &cuts {
        let kept = promises.iter().rev().find(|promise| promise.operations <= *cut);
        let kept = kept.copied().unwrap_or_default();
        check(&later, in_order(&log, *cut), kept, &format!("cut {cut} in order")).await;
        let image = torn(&log, *cut, |limit| random.below(limit as u64) as usize);
        check(&later, image, kept, &format!("cut {cut} torn")).await;
    }
    println!("{} operations, {} cuts, each in order and torn", log.len(), cuts.len());
}

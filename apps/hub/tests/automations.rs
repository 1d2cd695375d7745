//! Rules, scenes, scripts and irrigation programs in a whole hub, with the clock in the test's hand.

mod support;

use hob_node::devices::{Io, Led};
use hub::Running;
use serde_json::{Value, json};
use std::time::Duration;
use support::*;

/// 2026-03-29 01:59:57 in Paris: three seconds later it is 03:00.
const BEFORE_THE_JUMP_S: i64 = 1_774_745_997;

/// Sets the wall clock; the modules see the jump within a second and take it for what it is.
async fn set_clock(hub: &Running, unix_s: i64) {
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    hub.house.clock().shift(unix_s * 1000 - hub.house.clock().now_ms());
}

async fn events(hub: &Running, kind: &str) -> Vec<Value> {
    get(hub.http, &format!("/api/events?patterns={kind}&limit=1000"))
        .await
        .json()
        .as_array()
        .cloned()
        .unwrap_or_default()
}

async fn put(hub: &Running, path: &str, body: Value) {
    let answer = send(hub.http, "PUT", path, body).await;
    assert_eq!(answer.status, 200, "{}", answer.json());
}

async fn trace(hub: &Running, rule: &str) -> Vec<Value> {
    get(hub.http, &format!("/api/rules/{rule}/trace")).await.json().as_array().cloned().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_acts_when_its_conditions_hold_and_says_why_when_not() {
    let scratch = Scratch::new("rules");
    let config = config(&scratch);
    let hub = start(&config).await;
    let _led = spawn_device(node(&config, 1, wire::led::DRIVER_NAME, "strip"), Led::default());
    let _io = spawn_device(node(&config, 2, wire::io::DRIVER_NAME, "board"), Io::default());
    known(hub.http, "dwn.strip.light").await;
    known(hub.http, "dwn.board.input_0").await;
    let rule = json!({
        "triggers": [{"on": "state", "entity": "dwn.board.input_0", "to": true}],
        "conditions": [{"if": "state", "entity": "dwn.board.input_1", "is": true}],
        "actions": [{"do": "command", "entity": "dwn.strip.light", "command": "set", "with": {"value": "#010203"}},
                    {"do": "emit", "event": "acted", "with": {"by": "rule"}}],
    });
    put(&hub, "/api/rules/r1", rule.clone()).await;
    let level = async |pin: u8, on: bool| {
        get(hub.http, &format!("/dwn/board/set?out={pin}&level={}", u8::from(on))).await;
        until("the input follows", SOON, async || {
            state(hub.http, &format!("dwn.board.input_{pin}")).await == on
        })
        .await;
    };
    level(0, true).await;
    until("the refusal is traced", SOON, async || trace(&hub, "r1").await.len() == 1).await;
    let refused = trace(&hub, "r1").await;
    assert_eq!(
        (&refused[0]["acted"], &refused[0]["steps"][0]),
        (&json!(false), &json!("no: dwn.board.input_1 is false"))
    );
    level(0, false).await;
    level(1, true).await;
    level(0, true).await;
    until("the light obeys", SOON, async || state(hub.http, "dwn.strip.light").await == "#010203").await;
    until("the event is made", SOON, async || events(&hub, "acted").await.len() == 1).await;

    // Editing: tags, validation, and what cannot be stored.
    let read = get(hub.http, "/api/rules/r1").await;
    let tag = read.header("etag").unwrap().to_string();
    let edited = request(
        hub.http,
        "PUT",
        "/api/rules/r1",
        &format!("If-Match: {tag}\r\n"),
        Some(json!({"triggers": [{"on": "webhook", "id": "w"}], "actions": [{"do": "scene", "id": "s"}]})),
    )
    .await
    .unwrap();
    assert_eq!(edited.status, 200);
    let stale =
        request(hub.http, "PUT", "/api/rules/r1", &format!("If-Match: {tag}\r\n"), Some(rule)).await.unwrap();
    assert_eq!(stale.status, 412);
    let valid =
        send(hub.http, "POST", "/api/rules/validate", json!({"triggers": [], "actions": []})).await.json();
    assert_eq!(valid["valid"], false);
    assert_eq!(send(hub.http, "PUT", "/api/rules/bad", json!({"triggers": 1})).await.status, 422);
    // A webhook pulls it, and the scene sets the light.
    put(
        &hub,
        "/api/scenes/s",
        json!({"steps": [{"entity": "dwn.strip.light", "command": "set", "value": "#0a0b0c"}]}),
    )
    .await;
    assert_eq!(send(hub.http, "POST", "/api/webhooks/nobody", json!({})).await.status, 404);
    assert_eq!(send(hub.http, "POST", "/api/webhooks/w", json!({"x": 1})).await.status, 202);
    until("the scene is brought about", SOON, async || state(hub.http, "dwn.strip.light").await == "#0a0b0c")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_that_the_zone_skips_comes_once_and_waits_while_the_clock_is_wrong() {
    let scratch = Scratch::new("times");
    let mut config = config(&scratch);
    config.place.time_zone = Some("Europe/Paris".into());
    let hub = start(&config).await;
    let rule = json!({"triggers": [{"on": "time", "at": "02:30"}], "actions": [{"do": "emit", "event": "half_past_two"}]});
    put(&hub, "/api/rules/night", rule).await;
    let cron = json!({"triggers": [{"on": "cron", "when": "*/10 2 * * *"}], "actions": [{"do": "emit", "event": "tens"}]});
    put(&hub, "/api/rules/tens", cron).await;
    // A clock that was never set: nothing comes, and health says so.
    set_clock(&hub, 5_000).await;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let health = get(hub.http, "/api/health").await;
    assert_eq!(
        (health.status, health.json()["troubles"][0].as_str().unwrap().contains("clock")),
        (503, true)
    );
    set_clock(&hub, BEFORE_THE_JUMP_S).await;
    assert_eq!(events(&hub, "half_past_two").await.len(), 0);
    until("it comes at 03:00", SOON, async || events(&hub, "half_past_two").await.len() == 1).await;
    let at = events(&hub, "half_past_two").await[0]["timestamp"].as_i64().unwrap();
    assert!((0..=2).contains(&(at - BEFORE_THE_JUMP_S - 3)), "{at}");
    assert_eq!(events(&hub, "tens").await.len(), 1);
    // The clock is set back a little: nothing comes twice.
    hub.house.clock().shift(-4_000);
    tokio::time::sleep(Duration::from_millis(5_500)).await;
    assert_eq!(events(&hub, "half_past_two").await.len(), 1);
    assert!(!events(&hub, "timer").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_originals_schedule_makes_its_event_and_forgets_it() {
    let scratch = Scratch::new("schedule");
    let mut config = config(&scratch);
    config.place.time_zone = Some("Europe/Paris".into());
    let hub = start(&config).await;
    set_clock(&hub, BEFORE_THE_JUMP_S).await;
    let added = get(hub.http, "/events/add?name=wakeup&p=x%20y&hour=3&min=0").await.json();
    assert_eq!((&added["status"], &added["timeout"]), (&json!("ok"), &json!(BEFORE_THE_JUMP_S + 3)));
    assert_eq!(get(hub.http, "/events/add?name=a&p=b&hour=24&min=0").await.status, 400);
    let other = get(hub.http, "/events/add?name=later&p=z&hour=12&min=5").await.json();
    assert_eq!(get(hub.http, "/events/show").await.json()["events"].as_array().unwrap().len(), 2);
    assert_eq!(
        get(hub.http, &format!("/events/remove?id={}", other["id"].as_str().unwrap())).await.json()["status"],
        "ok"
    );
    until("it happens", SOON, async || events(&hub, "scheduledevent").await.len() == 1).await;
    let event = &events(&hub, "scheduledevent").await[0];
    assert_eq!((&event["name"], &event["param"]), (&json!("wakeup"), &json!("x y")));
    assert_eq!(get(hub.http, "/events/show").await.json(), json!({"events": []}));
}

#[tokio::test(flavor = "multi_thread")]
async fn modes_decide_about_a_trigger_that_comes_while_the_rule_runs() {
    let scratch = Scratch::new("modes");
    let hub = start(&config(&scratch)).await;
    for mode in ["single", "restart", "queued", "parallel"] {
        let rule = json!({"mode": mode, "triggers": [{"on": "event", "kind": "go"}],
            "actions": [{"do": "delay", "seconds": 0.3}, {"do": "emit", "event": format!("done-{mode}")}]});
        put(&hub, &format!("/api/rules/{mode}"), rule).await;
    }
    let go = json!([{"event": "go"}, {"event": "go"}, {"event": "go"}]);
    assert_eq!(send(hub.http, "POST", "/api/events", go).await.status, 200);
    tokio::time::sleep(Duration::from_millis(2_000)).await;
    let count = async |mode: &str| events(&hub, &format!("done-{mode}")).await.len();
    assert_eq!((count("single").await, count("restart").await), (1, 1));
    assert_eq!((count("queued").await, count("parallel").await), (3, 3));
    let dropped = trace(&hub, "single").await.iter().filter(|t| t["acted"] == false).count();
    assert_eq!(dropped, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_that_cause_each_other_for_ever_are_stopped() {
    let scratch = Scratch::new("loop");
    let hub = start(&config(&scratch)).await;
    let rule = json!({"mode": "parallel", "triggers": [{"on": "event", "kind": "again"}],
        "actions": [{"do": "emit", "event": "again"}, {"do": "emit", "event": "again"}]});
    put(&hub, "/api/rules/loop", rule).await;
    send(hub.http, "POST", "/api/events", json!({"event": "again"})).await;
    until("it is stopped", SOON, async || {
        trace(&hub, "loop").await.iter().any(|t| t["steps"].to_string().contains("too many"))
    })
    .await;
    assert_eq!(get(hub.http, "/api/status").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_hears_events_and_acts_through_urls() {
    let scratch = Scratch::new("scripts");
    let config = config(&scratch);
    let hub = start(&config).await;
    let (_node, relays) = irrigation(&config, 1, "n1", None);
    known(hub.http, "dwn.n1.valve_a").await;
    let source = r#"
        fn on_event(e) {
            if e.event == "doorbell" {
                let answer = action("/dwn/n1/on?valve=d&seconds=20");
                if answer.status != "ok" { throw "no water" }
                log("watered for " + e.who);
            }
        }
    "#;
    put(&hub, "/api/scripts/door", json!({ "source": source })).await;
    assert_eq!(send(hub.http, "PUT", "/api/scripts/bad", json!({"source": "let ="})).await.status, 422);
    send(hub.http, "POST", "/api/events", json!({"event": "doorbell", "who": "anna"})).await;
    until("the valve is open", SOON, async || relays.now() == 8).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_waters_its_zones_in_turn_and_rain_skips_it() {
    let scratch = Scratch::new("programs");
    let mut config = config(&scratch);
    config.place.time_zone = Some("Europe/Paris".into());
    let hub = start(&config).await;
    let (_node, relays) = irrigation(&config, 1, "n1", None);
    known(hub.http, "dwn.n1.valve_a").await;
    let program = json!({"zones": [{"valve": "dwn.n1.valve_a", "seconds": 2}, {"valve": "dwn.n1.valve_c", "seconds": 1}],
        "starts": ["03:00"], "seasonal": [100, 100, 50, 100, 100, 100, 100, 100, 100, 100, 100, 100]});
    put(&hub, "/api/programs/lawn", program.clone()).await;
    let mut wrong = program.clone();
    wrong["starts"] = json!(["25:00"]);
    assert_eq!(send(hub.http, "PUT", "/api/programs/wrong", wrong).await.status, 422);
    set_clock(&hub, BEFORE_THE_JUMP_S).await;
    until("it waters", SOON, async || relays.now() == 1).await;
    until("it has finished", SOON, async || {
        events(&hub, "irrigation").await.iter().any(|e| e["type"] == "finished")
    })
    .await;
    // In March the zones run half as long: one second, and for the second zone nothing.
    let history = relays.history();
    let opened = history.iter().position(|(_, mask)| *mask == 1).unwrap();
    let lasted = history[opened + 1].0 - history[opened].0;
    assert!((700..1_600).contains(&lasted), "{history:?}");
    assert!(history.iter().all(|(_, mask)| *mask != 4), "{history:?}");
    // Rain: the next start is skipped, but a person can still start it, pause it and stop it.
    assert_eq!(send(hub.http, "POST", "/api/irrigation/rain_delay", json!({"hours": 24})).await.status, 200);
    set_clock(&hub, BEFORE_THE_JUMP_S + 86_400).await;
    until("it is skipped", SOON, async || {
        events(&hub, "irrigation").await.iter().any(|e| e["type"] == "skipped")
    })
    .await;
    let long = json!({"id": "by-hand", "zones": [{"valve": "dwn.n1.valve_b", "seconds": 60}]});
    assert_eq!(send(hub.http, "POST", "/api/irrigation/run", long).await.status, 202);
    until("b is open", SOON, async || relays.now() == 2).await;
    assert!(
        get(hub.http, "/api/irrigation").await.json()["deadlines"]["dwn.n1.valve_b"]["left_ms"]
            .as_i64()
            .unwrap()
            > 50_000
    );
    send(hub.http, "POST", "/api/irrigation/pause", json!({})).await;
    until("b is shut", SOON, async || relays.now() == 0).await;
    send(hub.http, "POST", "/api/irrigation/resume", json!({})).await;
    until("b is open again", SOON, async || relays.now() == 2).await;
    send(hub.http, "POST", "/api/irrigation/stop", json!({})).await;
    until("b is shut for good", SOON, async || relays.now() == 0).await;
    let unknown = json!({"id": "x", "zones": [{"valve": "dwn.n9.valve_b", "seconds": 60}]});
    assert_eq!(send(hub.http, "POST", "/api/irrigation/run", unknown).await.status, 422);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_file_defines_can_only_be_read_and_must_not_exist_twice() {
    let scratch = Scratch::new("fixed");
    let mut config = config(&scratch);
    let scene = json!({"steps": [{"entity": "a", "command": "set"}]});
    config.scenes.insert("cinema".into(), scene.clone());
    let hub = start(&config).await;
    assert_eq!(get(hub.http, "/api/scenes/cinema").await.json()["read_only"], true);
    assert_eq!(send(hub.http, "PUT", "/api/scenes/cinema", scene.clone()).await.status, 409);
    assert_eq!(request(hub.http, "DELETE", "/api/scenes/cinema", "", None).await.unwrap().status, 409);
    put(&hub, "/api/scenes/own", scene.clone()).await;
    hub.stop().await;
    config.scenes.insert("own".into(), scene);
    let again = hub::start(&config, house::Clock::default()).await;
    let refused = again.err().map(|e| e.to_string()).unwrap_or_default();
    assert!(refused.contains("scenes.own"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn history_is_kept_thinned_and_exported() {
    let scratch = Scratch::new("history");
    let config = config(&scratch);
    let hub = start(&config).await;
    let _io = spawn_device(node(&config, 2, wire::io::DRIVER_NAME, "board"), Io::default());
    known(hub.http, "dwn.board.input_0").await;
    for on in [1, 0, 1, 0, 1] {
        get(hub.http, &format!("/dwn/board/set?out=0&level={on}")).await;
        until("it follows", SOON, async || state(hub.http, "dwn.board.input_0").await == (on == 1)).await;
    }
    let history = get(hub.http, "/api/history?entity=dwn.board.input_0").await.json();
    let means: Vec<f64> = history["points"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|p| p["count"] == 1)
        .map(|p| p["mean"].as_f64().unwrap())
        .collect();
    assert_eq!(means, [0.0, 1.0, 0.0, 1.0, 0.0, 1.0]);
    let thin = get(hub.http, "/api/history?entity=dwn.board.input_0&points=2").await.json();
    assert!(thin["points"].as_array().unwrap().len() <= 2);
    let csv = get(hub.http, "/api/history.csv?entity=dwn.board.input_0&resolution=hour").await;
    assert!(String::from_utf8(csv.body.clone()).unwrap().starts_with("time_ms,min,max,mean,count\r\n"));
    assert_eq!(get(hub.http, "/api/history?entity=nobody").await.status, 404);
    assert_eq!(get(hub.http, "/api/history?entity=dwn.board.input_0&from=5&to=5").await.status, 400);
}

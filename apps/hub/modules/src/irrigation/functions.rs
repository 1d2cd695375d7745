//! What can be asked of the irrigation: run, stop, pause, resume, skip, and how it stands.

use super::{SharedEngine, SharedGuard, lock, now};
use house::function::Right;
use house::{Function, House, Kind, Method, Principal, Problem, Reply, Room};
use irrigation::engine::MAX_ZONES;
use irrigation::engine::Overlap;
use irrigation::program::LONGEST_ZONE_S;
use irrigation::{Input, Run};
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;

pub(super) fn register(
    room: &Room,
    inputs: &mpsc::Sender<Input>,
    engine: &SharedEngine,
    guard: &SharedGuard,
) {
    let schema = json!({"type": "object", "required": ["id", "zones"], "properties": {
        "id": {"type": "string"},
        "overlap": {"enum": ["queue", "skip", "replace"]},
        "zones": {"type": "array", "items": {"type": "object", "properties": {
            "valve": {"type": "string"}, "seconds": {"type": "integer"}}}}}});
    let about = "Run zones one after another; a run of the same id is replaced";
    let (to, engine_of_runs) = (inputs.clone(), engine.clone());
    let run = Function::new(Method::Post, "/api/irrigation/run", about, move |house, call| {
        let (to, engine) = (to.clone(), engine_of_runs.clone());
        Box::pin(async move {
            let run: Run = call.read()?;
            check(&house, &run, &call.who)?;
            let is_ended = |other: &Run, active: Option<&Run>| {
                other.id == run.id || (run.overlap == Overlap::Replace && Some(other) == active)
            };
            let ends_anothers = {
                let engine = lock(&engine);
                let mut ended = engine.runs().filter(|other| is_ended(other, engine.active()));
                ended.any(|other| !controls(&house, other, &call.who))
            };
            if ends_anothers {
                return Err(Problem::forbidden("this would end a run of somebody else"));
            }
            send(&to, Input::Stop(Some(run.id.clone()))).await?;
            send(&to, Input::Start(run)).await?;
            Ok(Reply::ok().status(202))
        })
    });
    room.function(None, run.body(schema));

    let schema = json!({"type": "object", "properties": {"id": {"type": "string"}}});
    let (to, engine_of_runs) = (inputs.clone(), engine.clone());
    let about = "End one run, or all of them; only those whose valves the caller controls";
    let stop = Function::new(Method::Post, "/api/irrigation/stop", about, move |house, call| {
        let (to, engine) = (to.clone(), engine_of_runs.clone());
        Box::pin(async move {
            let id = call.body["id"].as_str().map(str::to_string);
            if call.who.sees_all() {
                send(&to, Input::Stop(id)).await?;
                return Ok(Reply::ok().status(202));
            }
            let theirs: Vec<String> = {
                let engine = lock(&engine);
                let runs = engine.runs().filter(|run| id.as_ref().is_none_or(|id| run.id == *id));
                runs.filter(|run| controls(&house, run, &call.who)).map(|run| run.id.clone()).collect()
            };
            for id in theirs {
                send(&to, Input::Stop(Some(id))).await?;
            }
            Ok(Reply::ok().status(202))
        })
    });
    room.function(None, stop.body(schema));

    for (what, about, input) in [
        ("pause", "Shut the valve and wait", Input::Pause),
        ("resume", "Go on after a pause", Input::Resume),
        ("skip", "End the present zone", Input::Skip),
    ] {
        let to = inputs.clone();
        let function = Function::new(Method::Post, &format!("/api/irrigation/{what}"), about, move |_, _| {
            let (to, input) = (to.clone(), input.clone());
            Box::pin(async move {
                send(&to, input).await?;
                Ok(Reply::ok().status(202))
            })
        });
        room.function(None, function.right(Right::Edit));
    }

    let (engine, guard) = (engine.clone(), guard.clone());
    let status = Function::new(
        Method::Get,
        "/api/irrigation",
        "Runs, and the deadline of each open valve",
        move |house, call| {
            let shown = lock(&engine).shown(|run| sees(&house, run, &call.who));
            let runs = serde_json::to_value(&shown).unwrap_or(Value::Null);
            let deadlines = deadlines(&house, &guard, &call.who);
            Box::pin(async move { Ok(Reply::json(json!({"runs": runs, "deadlines": deadlines}))) })
        },
    );
    room.function(None, status);
}

async fn send(to: &mpsc::Sender<Input>, input: Input) -> Result<(), Problem> {
    to.send(input).await.map_err(|_| Problem::unavailable("the irrigation is being restarted"))
}

/// Whether every valve of a run passes.
fn all_valves(house: &House, run: &Run, passes: impl Fn(Option<&str>) -> bool) -> bool {
    house.look(|registry| {
        let mut areas = run.zones.iter().map(|zone| registry.area_of(registry.entity(&zone.valve)?));
        areas.all(&passes)
    })
}

fn controls(house: &House, run: &Run, who: &Principal) -> bool {
    who.controls(None) || all_valves(house, run, |area| who.controls(area))
}

fn sees(house: &House, run: &Run, who: &Principal) -> bool {
    who.sees_all() || all_valves(house, run, |area| who.sees(area))
}

/// The zones must be valves that the caller may control.
pub(super) fn check(house: &House, run: &Run, who: &Principal) -> Result<(), Problem> {
    if run.zones.is_empty() || run.zones.len() > MAX_ZONES {
        return Err(Problem::bad(format!("zones: 1 to {MAX_ZONES}")));
    }
    house.look(|registry| {
        for zone in &run.zones {
            let valve = registry
                .entity(&zone.valve)
                .filter(|e| e.kind == Kind::Valve && who.sees(registry.area_of(e)));
            let valve =
                valve.ok_or_else(|| Problem::new(422, "no such valve").with("valve", zone.valve.as_str()))?;
            if !who.controls(registry.area_of(valve)) {
                return Err(Problem::forbidden("this token may only read"));
            }
            if !(1..=LONGEST_ZONE_S).contains(&zone.seconds) {
                return Err(Problem::bad(format!("seconds: 1 to {LONGEST_ZONE_S}")));
            }
        }
        Ok(())
    })
}

fn deadlines(house: &House, guard: &SharedGuard, who: &Principal) -> Map<String, Value> {
    let valves: Vec<String> = house.look(|registry| {
        let valves = registry.entities().filter(|e| e.kind == Kind::Valve && who.sees(registry.area_of(e)));
        valves.map(|valve| valve.id.clone()).collect()
    });
    let (guard, now) = (lock(guard), now(house));
    let left = valves.into_iter().filter_map(|valve| {
        let left_ms = guard.deadline(&valve)?.left_ms(&now);
        Some((valve, json!({"left_ms": left_ms})))
    });
    left.collect()
}

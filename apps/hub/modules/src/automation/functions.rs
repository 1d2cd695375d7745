//! What can be asked of the automations: run, traces, validation, webhooks, scenes, scripts.

use super::script::{Scripts, compile};
use super::{Request, States, Traces, run};
use house::event::Draft;
use house::function::{Right, Shape};
use house::{Function, Method, Problem, Reply, Room};
use rules::rule::all_hold;
use rules::{Place, Rule};
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::sync::mpsc;

pub(super) fn register(
    room: &Room,
    ask: &mpsc::Sender<Request>,
    traces: &Traces,
    scripts: &Arc<Scripts>,
    place: &Place,
) {
    let ask = ask.clone();
    let about = "Run a rule now; skip=true does not look at its conditions";
    let run = Function::new(Method::Post, "/api/rules/{id}/run", about, move |house, call| {
        let ask = ask.clone();
        Box::pin(async move {
            let id = call.text("id").to_string();
            if !house.definitions("rules").contains_key(&id) {
                return Err(Problem::missing("rule", &id));
            }
            let request = Request::Run { id, skip_conditions: call.text("skip") == "true" };
            ask.send(request).await.map_err(|_| Problem::unavailable("automations are being restarted"))?;
            Ok(Reply::ok().status(202))
        })
    });
    room.function(
        None,
        run.right(Right::Edit).query("skip", Shape::Boolean, false, "true: without conditions"),
    );

    let traces = traces.clone();
    let trace = Function::new(
        Method::Get,
        "/api/rules/{id}/trace",
        "Why a rule did or did not act, newest last",
        move |_, call| {
            let traces = traces.of(call.text("id"));
            Box::pin(async move { Ok(Reply::json(json!(traces))) })
        },
    );
    room.function(None, trace.right(Right::Edit));

    let place = place.clone();
    let about = "What a rule would do now: is it valid, do its conditions hold, when is it due next";
    let test = Function::new(Method::Post, "/api/rules/test", about, move |house, call| {
        let place = place.clone();
        Box::pin(async move {
            let rule: Rule = call.read()?;
            rule.check().map_err(|reason| Problem::new(422, reason))?;
            let now_s = house.clock().now_ms().div_euclid(1000);
            let verdict = all_hold(&rule.conditions, &States(&house), now_s, &place);
            let next = rule.schedules().iter().filter_map(|s| s.next(now_s, &place)).min();
            Ok(Reply::json(json!({"valid": true, "conditions": verdict, "next": next})))
        })
    });
    room.function(None, test.right(Right::Edit).body(json!({"type": "object"})));

    let about = "Tell the house that something happened outside; the id is the secret";
    let webhook = Function::new(Method::Post, "/api/webhooks/{id}", about, |house, call| {
        Box::pin(async move {
            let id = call.text("id").to_string();
            let is_wanted = house.definitions("rules").values().any(|rule| {
                rule["triggers"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .any(|t| t["on"] == "webhook" && t["id"] == id.as_str())
            });
            if !is_wanted {
                return Err(Problem::missing("webhook", &id));
            }
            house.emit(Draft::new("webhook", json!({"id": id, "body": call.body})));
            Ok(Reply::ok().status(202))
        })
    });
    room.function(None, webhook.right(Right::Anyone));

    let activate =
        Function::new(Method::Post, "/api/scenes/{id}/activate", "Bring a scene about", |house, call| {
            Box::pin(async move {
                // A scene may reach beyond a guest's areas.
                run::activate(&house, call.text("id")).await?;
                Ok(Reply::ok())
            })
        });
    room.function(None, activate.right(Right::Edit));

    let scripts = scripts.clone();
    let start = Function::new(Method::Post, "/api/scripts/{id}/run", "Run a script", move |_, call| {
        let scripts = scripts.clone();
        Box::pin(async move {
            scripts.run(call.text("id"), "asked by a person").await?;
            Ok(Reply::ok())
        })
    });
    room.function(None, start.right(Right::Admin));
}

/// What is wrong with a rule, scene or script that somebody wants to store.
///
/// # Errors
/// The reason.
pub(crate) fn check(space: &str, value: &Value) -> Result<(), String> {
    match space {
        "rules" => serde_json::from_value::<Rule>(value.clone()).map_err(|e| e.to_string())?.check(),
        "scripts" => compile(value["source"].as_str().ok_or("source: the script is missing")?).map(|_| ()),
        "scenes" => {
            let steps = value["steps"].as_array().filter(|s| (1..=200).contains(&s.len()));
            let steps = steps.ok_or("steps: 1 to 200 are needed")?;
            let is_whole = |step: &Value| step["entity"].is_string() && step["command"].is_string();
            if steps.iter().all(is_whole) {
                Ok(())
            } else {
                Err("steps: each needs entity and command".into())
            }
        }
        _ => Ok(()),
    }
}

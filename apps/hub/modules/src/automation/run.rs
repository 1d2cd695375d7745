//! One run of a rule: its actions, one after another, and what came of each.

use super::States;
use super::script::Scripts;
use house::event::Draft;
use house::{BoxFuture, Command, House, Method, Principal, Problem};
use rules::rule::all_hold;
use rules::{Action, Place};
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::time::Duration;

/// Lines of one trace at most.
const STEPS: usize = 100;

pub(super) struct Run {
    pub house: House,
    pub place: Place,
    pub scripts: Arc<Scripts>,
    pub cause: String,
    pub reasons: Vec<String>,
    /// Whose rights the calls have.
    pub who: Principal,
}

/// What came of a run.
pub(super) struct Outcome {
    pub cause: String,
    pub steps: Vec<String>,
}

impl Run {
    pub async fn perform(mut self, actions: Vec<Action>) -> Outcome {
        self.all(&actions).await;
        self.reasons.truncate(STEPS);
        Outcome { cause: self.cause, steps: self.reasons }
    }

    /// False when a check ended the run. An action that fails is told, and the next one comes all the same.
    fn all<'a>(&'a mut self, actions: &'a [Action]) -> BoxFuture<'a, bool> {
        Box::pin(async move {
            for action in actions {
                match action {
                    Action::Check { conditions } => {
                        if !self.holds(conditions) {
                            return false;
                        }
                    }
                    Action::Choose { when, then, otherwise } => {
                        let chosen = if self.holds(when) { then } else { otherwise };
                        if !self.all(chosen).await {
                            return false;
                        }
                    }
                    Action::Delay { seconds } => {
                        tokio::time::sleep(Duration::from_secs_f64(seconds.clamp(0.0, 86_400.0))).await;
                        self.reasons.push(format!("waited {seconds} s"));
                    }
                    one => {
                        let (what, result) = self.one(one).await;
                        self.reasons.push(match result {
                            Ok(()) => format!("{what}: done"),
                            Err(problem) => format!("{what}: {problem}"),
                        });
                    }
                }
            }
            true
        })
    }

    fn holds(&mut self, conditions: &[rules::Condition]) -> bool {
        let now_s = self.house.clock().now_ms().div_euclid(1000);
        let verdict = all_hold(conditions, &States(&self.house), now_s, &self.place);
        self.reasons.extend(verdict.reasons);
        verdict.holds
    }

    async fn one(&self, action: &Action) -> (String, Result<(), Problem>) {
        match action {
            Action::Command { entity, command, with } => {
                let result = perform(&self.house, entity, command, with.clone()).await;
                (format!("{command} {entity}"), result)
            }
            Action::Call { url, method, body } => {
                let method = method.as_deref().map_or(Some(Method::Get), Method::from_name);
                let result = match method {
                    Some(method) => {
                        self.house.call_url(method, url, body.clone(), self.who.clone()).await.map(|_| ())
                    }
                    None => Err(Problem::bad("no such method")),
                };
                (format!("call {url}"), result)
            }
            Action::Scene { id } => (format!("scene {id}"), activate(&self.house, id).await),
            Action::Script { id } => (format!("script {id}"), self.scripts.run(id, &self.cause).await),
            Action::Emit { event, with } => {
                let made = Draft::made(event, Value::Object(with.clone()));
                (format!("emit {event}"), made.map(|draft| self.house.emit(draft)))
            }
            Action::Check { .. } | Action::Choose { .. } | Action::Delay { .. } => (String::new(), Ok(())),
        }
    }
}

async fn perform(
    house: &House,
    entity: &str,
    action: &str,
    arguments: Map<String, Value>,
) -> Result<(), Problem> {
    let command =
        Command { entity: entity.into(), action: action.into(), arguments, who: Principal::house() };
    house.command(command).await.map(|_| ())
}

/// A scene: states to bring about, each `{"entity": .., "command": .., ...}`. All are tried; the first problem is told.
pub(super) async fn activate(house: &House, id: &str) -> Result<(), Problem> {
    let scene = house.definitions("scenes").remove(id).ok_or_else(|| Problem::missing("scene", id))?;
    let mut first = Ok(());
    for step in scene["steps"].as_array().into_iter().flatten() {
        let mut arguments = step.as_object().cloned().unwrap_or_default();
        arguments.remove("entity");
        arguments.remove("command");
        let text = |name: &str| step[name].as_str().unwrap_or_default();
        let result = perform(house, text("entity"), text("command"), arguments).await;
        first = first.and(result);
    }
    house.emit(Draft::new("scene", json!({ "id": id })));
    first
}

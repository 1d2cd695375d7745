//! Stored programs: when they are due, when they are skipped, and starting one by hand.

use super::functions::check as check_run;
use house::event::Draft;
use house::function::Right;
use house::{Change, Function, House, Method, Principal, Problem, Reply, Room};
use irrigation::{Input, Program};
use jiff::Timestamp;
use rules::when::{At, Place, Schedule};
use serde_json::{Value, json};
use tokio::sync::mpsc;

/// A clock that jumped further did not pass the time between.
const LONGEST_CATCH_UP_S: i64 = 600;

/// What is wrong with a program.
pub(crate) fn check(value: &Value) -> Result<(), String> {
    let program: Program = serde_json::from_value(value.clone()).map_err(|e| e.to_string())?;
    program.starts.iter().try_for_each(|start| At::parse(start).map(|_| ()))?;
    program.check()
}

/// Knows until when programs were looked at.
pub(super) struct Clockwork {
    place: Place,
    checked_s: i64,
}

impl Clockwork {
    pub fn new(house: &House, place: Place) -> Clockwork {
        Clockwork { place, checked_s: house.clock().now_ms().div_euclid(1000) }
    }

    /// The programs whose time has come since the last look.
    pub fn due(&mut self, house: &House) -> Vec<Input> {
        let now_s = house.clock().now_ms().div_euclid(1000);
        let passed_s = now_s - self.checked_s;
        if !house.clock().is_plausible() || passed_s.abs() > LONGEST_CATCH_UP_S {
            self.checked_s = now_s;
            return Vec::new();
        }
        if passed_s <= 0 {
            return Vec::new();
        }
        let (after_s, mut inputs) = (self.checked_s, Vec::new());
        self.checked_s = now_s;
        for (id, value) in house.definitions("programs") {
            let Ok(program) = serde_json::from_value::<Program>(value) else { continue };
            let starts = program.starts.iter().filter_map(|start| At::parse(start).ok());
            let mut moments = starts.flat_map(|at| Schedule::Daily(at).between(after_s, now_s, &self.place));
            let Some(at_s) = moments.next() else { continue };
            let Ok(date) = Timestamp::from_second(at_s).map(|t| t.to_zoned(self.place.zone.clone()).date())
            else {
                continue;
            };
            if !program.enabled || !program.is_on(date) {
                continue;
            }
            match objection(house, &program, now_s) {
                None => inputs.push(Input::Start(program.run(&id, date.month()))),
                Some(reason) => {
                    house.emit(Draft::new(
                        "irrigation",
                        json!({"type": "skipped", "run": id, "reason": reason}),
                    ));
                }
            }
        }
        inputs
    }
}

/// Why a program should not run now.
fn objection(house: &House, program: &Program, now_s: i64) -> Option<String> {
    let delay = house.memory().get("irrigation", "rain_delay").and_then(|v| v["until"].as_i64());
    if delay.is_some_and(|until| now_s < until) {
        return Some("rain delay".into());
    }
    let sensor = program.rain_sensor.as_ref()?;
    let wet = house.look(|registry| registry.entity(sensor)?.state.value()?.number());
    wet.filter(|wet| *wet > program.rain_limit).map(|wet| format!("{sensor} is {wet}"))
}

pub(super) fn register(room: &Room, inputs: &mpsc::Sender<Input>, place: &Place) {
    let (to, place) = (inputs.clone(), place.clone());
    let start = Function::new(
        Method::Post,
        "/api/programs/{id}/start",
        "Start an irrigation program now",
        move |house, call| {
            let (to, place) = (to.clone(), place.clone());
            Box::pin(async move {
                let id = call.text("id").to_string();
                let program = house
                    .definitions("programs")
                    .remove(&id)
                    .ok_or_else(|| Problem::missing("program", &id))?;
                let program: Program =
                    serde_json::from_value(program).map_err(|e| Problem::new(422, e.to_string()))?;
                let now_s = house.clock().now_ms().div_euclid(1000);
                let month =
                    Timestamp::from_second(now_s).map_or(1, |t| t.to_zoned(place.zone.clone()).month());
                let run = program.run(&id, month);
                check_run(&house, &run, &Principal::house())?;
                to.send(Input::Start(run))
                    .await
                    .map_err(|_| Problem::unavailable("the irrigation is being restarted"))?;
                Ok(Reply::ok().status(202))
            })
        },
    );
    room.function(None, start.right(Right::Edit));

    let schema = json!({"type": "object", "properties": {"hours": {"type": "number"}}});
    let about = "No program starts by itself for so many hours; 0 ends the delay";
    let delay = Function::new(Method::Post, "/api/irrigation/rain_delay", about, |house, call| {
        Box::pin(async move {
            let hours = call.body["hours"].as_f64().filter(|h| (0.0..=336.0).contains(h));
            let hours = hours.ok_or_else(|| Problem::bad("hours: 0 to 336").with("field", "hours"))?;
            let until = house.clock().now_ms().div_euclid(1000) + (hours * 3600.0) as i64;
            let change = if hours > 0.0 {
                Change::put("irrigation", "rain_delay", json!({ "until": until }))
            } else {
                Change::remove("irrigation", "rain_delay")
            };
            house.memory().write(vec![change]).await?;
            Ok(Reply::json(json!({"status": "ok", "until": until})))
        })
    });
    room.function(None, delay.right(Right::Edit).body(schema));
}

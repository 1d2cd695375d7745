//! Time as events: `timer` each minute, `sunrise` and `sunset`, and the original's one-shot schedule.

use crate::PlaceSettings;
use house::event::Draft;
use house::function::{Right, Shape};
use house::{BoxFuture, Change, Function, House, Method, Module, Problem, Reply, Room};
use rules::sun::{Day, is_up};
use rules::when::{At, Place, Schedule, sun_day};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};

/// One-shot events that may wait.
const WAITING: usize = 1_000;
/// A clock that jumped further did not pass the time between.
const LONGEST_CATCH_UP_S: i64 = 600;

/// The module.
#[derive(Debug)]
pub struct Clockwork {
    place: PlaceSettings,
}

impl Clockwork {
    /// A module for a house at this place.
    pub fn new(place: PlaceSettings) -> Clockwork {
        Clockwork { place }
    }
}

impl Module for Clockwork {
    fn name(&self) -> &'static str {
        "schedule"
    }

    fn run(self: Arc<Self>, room: Room) -> BoxFuture<'static, Result<(), String>> {
        Box::pin(async move {
            let (house, place) = (room.house().clone(), self.place.place());
            register(&room, &place);
            room.armed();
            let sun = [
                ("sunrise", Schedule::Daily(At::Sunrise { offset_min: 0 })),
                ("sunset", Schedule::Daily(At::Sunset { offset_min: 0 })),
            ];
            let mut checked_s = house.clock().now_ms().div_euclid(1000);
            let mut second = interval(Duration::from_secs(1));
            second.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                second.tick().await;
                let now_s = house.clock().now_ms().div_euclid(1000);
                let passed_s = now_s - checked_s;
                if !house.clock().is_plausible() || passed_s.abs() > LONGEST_CATCH_UP_S {
                    checked_s = now_s;
                    continue;
                }
                if passed_s <= 0 {
                    continue;
                }
                if now_s.div_euclid(60) > checked_s.div_euclid(60) {
                    timer(&house);
                }
                for (kind, schedule) in &sun {
                    for _ in schedule.between(checked_s, now_s, &place) {
                        house.emit(Draft::new(kind, json!({})));
                    }
                }
                checked_s = now_s;
                fire(&house, now_s).await;
            }
        })
    }
}

/// The minute, with the temperatures that the weather stations report.
fn timer(house: &House) {
    let temperatures: Vec<Value> = house.look(|registry| {
        let sensors = registry
            .entities()
            .filter(|e| e.device.starts_with("weather.") && e.unit.as_deref() == Some("°C"));
        sensors.map(|e| e.state.to_json()).collect()
    });
    house.emit(Draft::new("timer", json!({ "temperatures": temperatures })));
}

/// What is due happens once: it is removed from the disk first, so that a crash between loses it rather than repeats it.
async fn fire(house: &House, now_s: i64) {
    for (id, value) in house.memory().list("schedule") {
        if value["timeout"].as_i64().is_none_or(|at| at > now_s) {
            continue;
        }
        if let Err(error) = house.memory().write(vec![Change::remove("schedule", &id)]).await {
            tracing::warn!(id, %error, "a scheduled event could not be removed; it happens all the same");
        }
        house.emit(Draft::new("scheduledevent", value));
    }
}

fn register(room: &Room, place: &Place) {
    let show = Function::new(Method::Get, "/events/show", "Scheduled one-shot events", |house, _| {
        let events: Vec<Value> =
            house.memory().list("schedule").into_iter().map(|(_, value)| value).collect();
        Box::pin(async move { Ok(Reply::json(json!({ "events": events }))) })
    });
    room.function(None, show);

    let coordinates = place.coordinates;
    let about = "The hub's time, and whether it is night: only where [place] says where the house is";
    let time = Function::new(Method::Get, "/events/gettime", about, move |house, _| {
        let timestamp = house.clock().now_ms().div_euclid(1000);
        let mut answer = json!({ "timestamp": timestamp });
        if let Some((latitude, longitude)) = coordinates {
            // A text, as the original has it.
            answer["night"] = (!is_up(timestamp, latitude, longitude)).to_string().into();
        }
        Box::pin(async move { Ok(Reply::json(answer)) })
    });
    room.function(None, time);

    let (place, sun_place) = (place.clone(), place.clone());
    let add = Function::new(
        Method::Get,
        "/events/add",
        "Schedule an event for the next such time of day",
        move |house, call| {
            let place = place.clone();
            Box::pin(async move {
                let at = At::parse(&format!(
                    "{}:{:02}",
                    call.text("hour"),
                    call.number::<u8>("min").unwrap_or(60)
                ));
                let at = at.map_err(Problem::bad)?;
                let now_ms = house.clock().now_ms();
                let timeout = Schedule::Daily(at).next(now_ms.div_euclid(1000), &place);
                let timeout = timeout.ok_or_else(|| Problem::bad("that time never comes"))?;
                if house.memory().list("schedule").len() >= WAITING {
                    return Err(Problem::new(507, format!("{WAITING} events are scheduled already")));
                }
                let id = format!("{now_ms:x}-{:x}", house.bus().seq());
                let value = json!({"id": id, "name": call.text("name"), "param": call.text("p"),
                "min": call.number::<u8>("min"), "hour": call.number::<u8>("hour"), "timeout": timeout});
                house.memory().write(vec![Change::put("schedule", &id, value)]).await?;
                Ok(Reply::json(json!({"status": "ok", "id": id, "timeout": timeout})))
            })
        },
    );
    let add = add.acting().right(Right::Edit).query("name", Shape::Text, true, "name of the event");
    let add = add.query("p", Shape::Text, true, "parameter").query("min", Shape::Integer, true, "minute");
    room.function(None, add.query("hour", Shape::Integer, true, "hour, 0 to 23"));

    let remove = Function::new(Method::Get, "/events/remove", "Remove a scheduled event", |house, call| {
        Box::pin(async move {
            let id = call.text("id");
            house.memory().get("schedule", id).ok_or_else(|| Problem::missing("scheduled event", id))?;
            house.memory().write(vec![Change::remove("schedule", id)]).await?;
            Ok(Reply::ok())
        })
    });
    room.function(None, remove.acting().right(Right::Edit).query("id", Shape::Text, true, "its id"));

    let about = "Today's sunrise and sunset, Unix seconds; absent where there is none";
    let sun = Function::new(Method::Get, "/api/sun", about, move |house, _| {
        let now_s = house.clock().now_ms().div_euclid(1000);
        let today =
            jiff::Timestamp::from_second(now_s).map(|now| now.to_zoned(sun_place.zone.clone()).date());
        let answer = match today.ok().and_then(|date| sun_day(date, &sun_place)) {
            Some(Day::Rises { rise, set }) => json!({"sunrise": rise, "sunset": set}),
            Some(Day::AlwaysUp) => json!({"polar": "day"}),
            Some(Day::AlwaysDown) => json!({"polar": "night"}),
            None => json!({"missing": "coordinates: set place.latitude and place.longitude"}),
        };
        Box::pin(async move { Ok(Reply::json(answer)) })
    });
    room.function(None, sun);
}

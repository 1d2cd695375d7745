//! The irrigation controller's driver: four valves.

use super::{Context, Driver, Order, receive, whole};
use house::function::Shape;
use house::{Command, Entity, Function, Kind, Method, Problem, Reply, State};
use serde_json::{Map, Value, json};
use wire::Refused;
use wire::irrigation::{self as bytes, Report, Valve};
use wire::stream::Stream;

#[derive(Default)]
pub(super) struct Irrigation {
    stream: Stream<Report>,
}

fn what(valve: Valve) -> String {
    format!("valve_{}", valve.letter())
}

impl Irrigation {
    fn reported(&self, context: &Context, report: Report) {
        for valve in Valve::all() {
            let is_open = report.mask() & valve.bit() != 0;
            context.room.state(&context.entity(&what(valve)), State::Known(is_open.into()));
        }
        let mut data = Map::new();
        data.insert("node".into(), "sprinklernode".into());
        let field = match report {
            Report::Changed { .. } => "valvechanged",
            Report::Status { .. } => "valvestatus",
        };
        data.insert(field.into(), report.highest().into());
        context.emit(data);
    }
}

impl Driver for Irrigation {
    fn offer(&self, context: &Context) {
        for valve in Valve::all() {
            let name = format!("Valve {}", valve.letter().to_ascii_uppercase());
            let end = if context.is_v2 {
                "the node shuts it at its deadline"
            } else {
                "up to 30 min if the hub is lost"
            };
            let entity = Entity::new(context.device, &what(valve), &name, Kind::Valve);
            context.room.offer(entity.attribute("ends", end));
        }
        offer_functions(context);
    }

    /// A valve that has been open for too long is shut before the device is told anything else, and before anybody else may
    /// command it; the guard sees to it that it stays so.
    fn connected(&mut self, context: &Context) -> Option<Order> {
        let house = context.room.house();
        let mut valves = Valve::all().map(|valve| context.entity(&what(valve)));
        let is_any_overdue = valves.any(|valve| crate::irrigation::is_overdue(house, &valve));
        is_any_overdue.then(|| Order { bytes: bytes::Command::ShutAll.encode().to_vec(), answer: Map::new() })
    }

    fn receive(&mut self, context: &Context, segment: &[u8]) -> Result<bool, Refused> {
        let (reports, is_alive) = receive(&mut self.stream, segment)?;
        reports.into_iter().for_each(|report| self.reported(context, report));
        Ok(is_alive)
    }

    fn report(&mut self, context: &Context, payload: &[u8]) -> Result<(), Refused> {
        self.reported(context, whole::<Report>(payload)?);
        Ok(())
    }

    fn command(&mut self, context: &Context, command: &Command) -> Result<Order, Problem> {
        let valve = Valve::all().find(|valve| command.entity == context.entity(&what(*valve)));
        let valve = valve.ok_or_else(|| Problem::missing("valve", &command.entity))?;
        let order = match command.action.as_str() {
            "open" => {
                let seconds = command.arguments.get("seconds").and_then(Value::as_u64);
                let seconds = seconds.and_then(|s| u16::try_from(s).ok());
                let seconds = seconds.ok_or_else(|| Problem::bad("seconds: how long, 1 to 1800"))?;
                bytes::Command::Open { valve, seconds: Some(seconds) }
            }
            "shut" => bytes::Command::Shut(valve),
            other => return Err(Problem::bad(format!("a valve can open and shut, not {other:?}"))),
        };
        let (payload, len) = order.encode_v2();
        let bytes =
            if context.is_v2 { payload.get(..len).unwrap_or(&[]).to_vec() } else { order.encode().to_vec() };
        let mut answer = Map::new();
        if command.action == "open" {
            answer.insert("enforced_by".into(), if context.is_v2 { "node".into() } else { "hub".into() });
            answer.insert(
                "if_hub_is_lost".into(),
                if context.is_v2 { "shuts in time".into() } else { "up to 30 min".into() },
            );
        }
        Ok(Order { bytes, answer })
    }
}

/// The original's URLs. They go through the same commands as everything else.
fn offer_functions(context: &Context) {
    let device = context.device.to_string();
    let path = |what: &str| format!("/dwn/{}/{what}", context.id);
    let valves = device.clone();
    let on = Function::new(Method::Get, &path("on"), "Turn valve on", move |house, call| {
        let letter = call.text("valve").to_string();
        let device = valves.clone();
        Box::pin(async move {
            let mut letters = letter.chars();
            let valve = letters.next().and_then(Valve::from_letter).filter(|_| letters.as_str().is_empty());
            let Some(valve) = valve else { return Ok(Reply::json(json!({"status": "No such valve"}))) };
            stop(&house, &device, &call.who).await?;
            let mut arguments = Map::new();
            arguments.insert("seconds".into(), call.number::<u32>("seconds").unwrap_or(1800).into());
            let entity = format!("{device}.{}", what(valve));
            let mut answer =
                house.command(Command { entity, action: "open".into(), arguments, who: call.who }).await?;
            answer.insert("status".into(), "ok".into());
            Ok(Reply::json(Value::Object(answer)))
        })
    });
    let on = on.acting().query("valve", Shape::Text, true, "a, b, c or d");
    context.room.function(
        Some(context.device),
        on.query("seconds", Shape::Integer, false, "1 to 1800, which is the default"),
    );

    let valves = device.clone();
    let off = Function::new(
        Method::Get,
        &path("off"),
        "Turn all valves off; a running sequence ends",
        move |house, call| {
            let device = valves.clone();
            Box::pin(async move {
                stop(&house, &device, &call.who).await?;
                for valve in Valve::all() {
                    let entity = format!("{device}.{}", what(valve));
                    let who = call.who.clone();
                    house
                        .command(Command { entity, action: "shut".into(), arguments: Map::new(), who })
                        .await?;
                }
                Ok(Reply::json(json!({})))
            })
        },
    );
    context.room.function(Some(context.device), off.acting());

    let valves = device.clone();
    let status = Function::new(
        Method::Get,
        &path("status"),
        "Which valve is open: 1 to 4, or 0",
        move |house, call| {
            let device = valves.clone();
            Box::pin(async move {
                let open = house.look(|registry| {
                    let entity = |valve| registry.entity(&format!("{device}.{}", what(valve)));
                    let first = Valve::all().next().and_then(entity);
                    if !first.is_some_and(|entity| call.who.sees(registry.area_of(entity))) {
                        return Err(Problem::missing("device", &device));
                    }
                    let is_open = |valve| entity(valve).is_some_and(|e| e.state == State::Known(true.into()));
                    Ok(Valve::all().filter(|v| is_open(*v)).map(|v| v.index() + 1).max().unwrap_or(0))
                })?;
                Ok(Reply::json(json!({"status": "ok", "valves": open})))
            })
        },
    );
    context.room.function(Some(context.device), status);

    let valves = device;
    let sequence =
        Function::new(Method::Get, &path("sequence"), "Run valves one after another", move |house, call| {
            let device = valves.clone();
            Box::pin(async move {
                let valve = |letter| Some(format!("{device}.{}", what(Valve::from_letter(letter)?)));
                let zones =
                    irrigation::program::parse_sequence(call.text("seq"), valve).map_err(Problem::bad)?;
                let items = zones.len();
                let body = json!({"id": format!("sequence/{device}"), "zones": zones});
                house.call_url(Method::Post, "/api/irrigation/run", body, call.who).await?;
                Ok(Reply::json(json!({"status": "ok", "items": items})))
            })
        });
    let sequence = sequence.acting().query("seq", Shape::Text, true, "letters and seconds: a3,b6,d3,c4");
    context.room.function(Some(context.device), sequence);
}

/// Ends a sequence of this device.
async fn stop(house: &house::House, device: &str, who: &house::Principal) -> Result<(), Problem> {
    let body = json!({"id": format!("sequence/{device}")});
    house.call_url(Method::Post, "/api/irrigation/stop", body, who.clone()).await.map(|_| ())
}

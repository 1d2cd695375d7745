//! The IO board's driver: inputs as contacts, outputs as switches, the alarm panel behind it as events.

use super::{Context, Driver, Order, receive, whole};
use house::function::Shape;
use house::{Command, Entity, Function, Kind, Method, Problem, Reply, State};
use serde_json::{Map, Value, json};
use wire::Refused;
use wire::io::{OUTPUTS, Report, Set};
use wire::stream::Stream;

#[derive(Default)]
pub(super) struct Io {
    stream: Stream<Report>,
    offered: usize,
}

impl Io {
    fn reported(&mut self, context: &Context, report: Report) {
        let mut data = Map::new();
        data.insert("node".into(), "ioboardnode".into());
        match report {
            Report::Initial { pins } | Report::Changed { pins, .. } => {
                for pin in self.offered..pins.len() {
                    let name = format!("Input {}", pin + 1);
                    context.room.offer(Entity::new(
                        context.device,
                        &format!("input_{pin}"),
                        &name,
                        Kind::Binary,
                    ));
                    self.offered = pin + 1;
                }
                for (pin, level) in pins.iter().enumerate() {
                    context
                        .room
                        .state(&context.entity(&format!("input_{pin}")), State::Known((*level).into()));
                }
                data.insert("pgms".into(), pins.iter().map(|level| Value::from(u8::from(*level))).collect());
            }
            Report::Alarm { group, subgroup, label } => {
                // This panel numbers its zones the other way round than the one on TCP.
                let action = match (group, subgroup) {
                    (0, _) => "zoneoff",
                    (1, _) => "zoneon",
                    (2, 14) => "Exit delay",
                    (2, 13) => "Entry delay",
                    (29, _) => "Armed",
                    (31, _) => "Disarmed",
                    _ => "Unknown-A",
                };
                let alarm = json!({"action": action, "label": label, "group": group, "subgroup": subgroup});
                context.room.emit(context.device, "alarm", alarm);
                data.insert("subtype".into(), "alarmpanel".into());
                data.insert("action".into(), action.into());
                data.insert("label".into(), label.into());
                if matches!(group, 29 | 31) {
                    data.insert("usernumber".into(), subgroup.into());
                }
            }
        }
        context.emit(data);
    }
}

impl Driver for Io {
    fn offer(&self, context: &Context) {
        for out in 0..OUTPUTS {
            let name = format!("Output {}", out + 1);
            context.room.offer(Entity::new(context.device, &format!("output_{out}"), &name, Kind::Switch));
        }
        let path = |what: &str| format!("/dwn/{}/{what}", context.id);
        let device = context.device.to_string();
        let set = Function::new(Method::Get, &path("set"), "Set an output", move |house, call| {
            let entity = format!("{device}.output_{}", call.text("out"));
            let mut arguments = Map::new();
            arguments.insert("value".into(), (call.text("level") == "1").into());
            let command = Command { entity, action: "set".into(), arguments, who: call.who };
            Box::pin(async move { house.command(command).await.map(|_| Reply::ok()) })
        });
        let set = set.acting().query("out", Shape::Integer, true, "0 to 4").query(
            "level",
            Shape::Integer,
            true,
            "0 or 1",
        );
        context.room.function(Some(context.device), set);
        let device = context.device.to_string();
        let status = Function::new(Method::Get, &path("status"), "The inputs", move |house, call| {
            let prefix = format!("{device}.input_");
            let pgms: Vec<u8> = house.look(|registry| {
                let inputs = registry
                    .entities()
                    .filter(|e| e.id.starts_with(&prefix) && call.who.sees(registry.area_of(e)));
                inputs.map(|e| u8::from(e.state == State::Known(true.into()))).collect()
            });
            Box::pin(async move { Ok(Reply::json(json!({"status": "ok", "pgms": pgms}))) })
        });
        context.room.function(Some(context.device), status);
    }

    fn connected(&mut self, _context: &Context) -> Option<Order> {
        None
    }

    fn receive(&mut self, context: &Context, segment: &[u8]) -> Result<bool, Refused> {
        let (reports, is_alive) = receive(&mut self.stream, segment)?;
        reports.into_iter().for_each(|report| self.reported(context, report));
        Ok(is_alive)
    }

    fn report(&mut self, context: &Context, payload: &[u8]) -> Result<(), Refused> {
        let report = whole::<Report>(payload)?;
        self.reported(context, report);
        Ok(())
    }

    fn command(&mut self, context: &Context, command: &Command) -> Result<Order, Problem> {
        let out = (0..OUTPUTS).find(|out| command.entity == context.entity(&format!("output_{out}")));
        let out = out.ok_or_else(|| Problem::missing("output", &command.entity))?;
        let level = command.arguments.get("value").and_then(Value::as_bool);
        match (command.action.as_str(), level) {
            ("set", Some(level)) => {
                // The board does not report its outputs: what was asked is what is known.
                context.room.state(&command.entity, State::Known(level.into()));
                Ok(Order { bytes: Set { out, level }.encode(), answer: Map::new() })
            }
            _ => Err(Problem::bad("an output takes set with value true or false")),
        }
    }
}

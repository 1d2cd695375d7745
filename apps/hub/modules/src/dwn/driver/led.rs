//! The LED strip's driver: one light, and which effect it runs.

use super::{Context, Driver, Order, receive, whole};
use house::{Command, Entity, Kind, Problem, State};
use serde_json::{Map, Value};
use wire::Refused;
use wire::led::{self as bytes, Colour, Effect, Report};
use wire::stream::Stream;

#[derive(Default)]
pub(super) struct Led {
    stream: Stream<Report>,
}

/// `#rrggbb`.
fn to_text(c: Colour) -> String {
    format!("#{:02x}{:02x}{:02x}", c.red, c.green, c.blue)
}

fn from_text(text: &str) -> Option<Colour> {
    let digits =
        text.strip_prefix('#').filter(|d| d.len() == 6 && d.bytes().all(|b| b.is_ascii_hexdigit()))?;
    let number = u32::from_str_radix(digits, 16).ok()?;
    let [_, red, green, blue] = number.to_be_bytes();
    Some(Colour { red, green, blue })
}

impl Led {
    fn reported(&self, context: &Context, report: Report) {
        context.room.state(&context.entity("light"), State::Known(to_text(report.colour).as_str().into()));
        context.room.state(&context.entity("effect"), State::Known(report.effect.name().into()));
    }
}

impl Driver for Led {
    fn offer(&self, context: &Context) {
        context.room.offer(Entity::new(context.device, "light", "Light", Kind::Light));
        let effect = Entity::new(context.device, "effect", "Effect", Kind::Choice);
        context.room.offer(effect.options(&["none", "blink", "breathe", "rainbow"]));
    }

    fn connected(&mut self, _context: &Context) -> Option<Order> {
        Some(order(bytes::Command::Report))
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
        let number = |name: &str, default: u16| match command.arguments.get(name) {
            None => Ok(default),
            Some(value) => value
                .as_u64()
                .and_then(|n| u16::try_from(n).ok())
                .ok_or_else(|| Problem::bad(format!("{name}: milliseconds, 0 to 65535"))),
        };
        let text = command.arguments.get("value").and_then(Value::as_str).unwrap_or_default();
        let what = command.entity.strip_prefix(context.device).unwrap_or_default();
        match (what, command.action.as_str()) {
            (".light", "set" | "fade") => {
                let to = from_text(text).ok_or_else(|| Problem::bad("value: a colour, #rrggbb"))?;
                match number("over_ms", 0)? {
                    0 => Ok(order(bytes::Command::Set(to))),
                    over_ms => Ok(order(bytes::Command::Fade { to, over_ms })),
                }
            }
            (".effect", "set") => {
                let effect = Effect::from_name(text)
                    .ok_or_else(|| Problem::bad("value: none, blink, breathe or rainbow"))?;
                Ok(order(bytes::Command::Effect { effect, period_ms: number("period_ms", 1000)? }))
            }
            (_, other) => Err(Problem::bad(format!("this light takes set and fade, not {other:?}"))),
        }
    }
}

fn order(command: bytes::Command) -> Order {
    let (bytes, len) = command.encode();
    Order { bytes: bytes.get(..len).unwrap_or(&[]).to_vec(), answer: Map::new() }
}

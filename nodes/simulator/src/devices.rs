//! The device cores, each as the [`Device`] that a DWN node carries.

use irrigation_node::Controller;
use led_node::Strip;
use std::sync::{Arc, Mutex, PoisonError};
use wire::Refused;
use wire::irrigation::Command;
use wire::stream::{Payload, Received, Stream};

/// One device behind a DWN connection. Times are milliseconds since the device booted.
pub trait Device: Send + 'static {
    /// A hub has connected: what to tell it first.
    fn connected(&mut self, now_ms: u64) -> Vec<Vec<u8>>;
    /// Bytes of a v1 hub, cut anywhere; the answers to them.
    ///
    /// # Errors
    /// The bytes make no sense.
    fn receive(&mut self, now_ms: u64, segment: &[u8]) -> Result<Vec<Vec<u8>>, Refused>;
    /// One whole command of a v2 hub.
    ///
    /// # Errors
    /// The command is refused.
    fn command(&mut self, now_ms: u64, payload: &[u8]) -> Result<Vec<Vec<u8>>, Refused>;
    /// Time has passed: what there is to report unasked.
    fn tick(&mut self, now_ms: u64) -> Vec<Vec<u8>>;
    /// When the next tick is due at the latest; `None` when nothing is pending.
    fn next_tick_ms(&self) -> Option<u64>;
}

/// What a test or a person can see of a controller's relays: when (ms since boot) they took which positions. An opening of
/// the valve that is open already is a line of its own, because its time begins anew.
#[derive(Clone, Debug, Default)]
pub struct Relays(Arc<Mutex<Vec<(u64, u8)>>>);

impl Relays {
    /// The relays now; bit i is valve i+1.
    pub fn now(&self) -> u8 {
        self.history().last().map_or(0, |(_, mask)| *mask)
    }
    /// All positions since the boot.
    pub fn history(&self) -> Vec<(u64, u8)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
    fn set(&self, now_ms: u64, mask: u8, is_opening: bool) {
        let mut history = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if is_opening || history.last().map_or(0, |(_, last)| *last) != mask {
            history.push((now_ms, mask));
        }
    }
}

/// The irrigation controller.
pub struct Irrigation {
    core: Controller,
    stream: Stream<Command>,
    relays: Relays,
}

impl Irrigation {
    /// A controller that has just booted, and a view of its relays. `limit_ms` is the longest that a valve stays open.
    pub fn new(limit_ms: u64) -> (Irrigation, Relays) {
        let relays = Relays::default();
        let core = Controller::new(limit_ms);
        (Irrigation { core, stream: Stream::default(), relays: relays.clone() }, relays)
    }

    fn step(&mut self, now_ms: u64, input: irrigation_node::Input) -> Vec<Vec<u8>> {
        let is_opening = matches!(input, irrigation_node::Input::Command(Command::Open { .. }));
        let output = self.core.step(now_ms, input);
        self.relays.set(now_ms, output.relays, is_opening);
        output.report.map(|report| report.encode().to_vec()).into_iter().collect()
    }
}

impl Device for Irrigation {
    fn connected(&mut self, now_ms: u64) -> Vec<Vec<u8>> {
        self.stream = Stream::default();
        self.step(now_ms, irrigation_node::Input::Connected)
    }
    fn receive(&mut self, now_ms: u64, segment: &[u8]) -> Result<Vec<Vec<u8>>, Refused> {
        let commands = messages(&mut self.stream, segment)?;
        Ok(commands.into_iter().flat_map(|c| self.step(now_ms, irrigation_node::Input::Command(c))).collect())
    }
    fn command(&mut self, now_ms: u64, payload: &[u8]) -> Result<Vec<Vec<u8>>, Refused> {
        let command = Command::decode_v2(payload)?;
        Ok(self.step(now_ms, irrigation_node::Input::Command(command)))
    }
    fn tick(&mut self, now_ms: u64) -> Vec<Vec<u8>> {
        self.step(now_ms, irrigation_node::Input::Tick)
    }
    fn next_tick_ms(&self) -> Option<u64> {
        self.core.deadline_ms()
    }
}

/// The LED strip.
#[derive(Default)]
pub struct Led {
    core: Strip,
    stream: Stream<wire::led::Command>,
    busy_until_ms: u64,
    now_ms: u64,
}

impl Led {
    fn step(&mut self, now_ms: u64, input: led_node::Input) -> Vec<Vec<u8>> {
        if let led_node::Input::Command(wire::led::Command::Fade { over_ms, .. }) = input {
            self.busy_until_ms = now_ms + u64::from(over_ms) + 20;
        }
        self.now_ms = now_ms;
        self.core.step(now_ms, input).report.map(|r| r.encode().to_vec()).into_iter().collect()
    }
}

impl Device for Led {
    fn connected(&mut self, now_ms: u64) -> Vec<Vec<u8>> {
        self.stream = Stream::default();
        self.step(now_ms, led_node::Input::Connected)
    }
    fn receive(&mut self, now_ms: u64, segment: &[u8]) -> Result<Vec<Vec<u8>>, Refused> {
        let commands = messages(&mut self.stream, segment)?;
        Ok(commands.into_iter().flat_map(|c| self.step(now_ms, led_node::Input::Command(c))).collect())
    }
    fn command(&mut self, now_ms: u64, payload: &[u8]) -> Result<Vec<Vec<u8>>, Refused> {
        match wire::led::Command::next(payload)? {
            Some((command, used)) if used == payload.len() => {
                Ok(self.step(now_ms, led_node::Input::Command(command)))
            }
            _ => Err(Refused::Malformed("command")),
        }
    }
    fn tick(&mut self, now_ms: u64) -> Vec<Vec<u8>> {
        self.step(now_ms, led_node::Input::Tick)
    }
    fn next_tick_ms(&self) -> Option<u64> {
        (self.now_ms < self.busy_until_ms).then_some(self.busy_until_ms)
    }
}

/// The IO board. Its first input follows its first output, so that a demonstration has something to show.
#[derive(Default)]
pub struct Io {
    core: io_node::Board,
    stream: Stream<wire::io::Set>,
}

impl Io {
    fn step(&mut self, input: io_node::Input) -> Vec<Vec<u8>> {
        let output = self.core.step(input);
        let mut reports = output.reports;
        let mut pins = [false; io_node::INPUTS];
        pins.iter_mut().zip(output.outputs).for_each(|(pin, level)| *pin = level);
        reports.extend(self.core.step(io_node::Input::Pins(pins)).reports);
        reports.iter().map(wire::io::Report::encode).collect()
    }
}

impl Device for Io {
    fn connected(&mut self, _now_ms: u64) -> Vec<Vec<u8>> {
        self.stream = Stream::default();
        self.step(io_node::Input::Connected)
    }
    fn receive(&mut self, _now_ms: u64, segment: &[u8]) -> Result<Vec<Vec<u8>>, Refused> {
        let commands = messages(&mut self.stream, segment)?;
        Ok(commands.into_iter().flat_map(|set| self.step(io_node::Input::Set(set))).collect())
    }
    fn command(&mut self, now_ms: u64, payload: &[u8]) -> Result<Vec<Vec<u8>>, Refused> {
        self.receive(now_ms, payload)
    }
    fn tick(&mut self, _now_ms: u64) -> Vec<Vec<u8>> {
        Vec::new()
    }
    fn next_tick_ms(&self) -> Option<u64> {
        None
    }
}

fn messages<P: Payload>(stream: &mut Stream<P>, segment: &[u8]) -> Result<Vec<P::Message>, Refused> {
    let mut all = Vec::new();
    stream.push(segment, |received| {
        if let Received::Message(message) = received {
            all.push(message);
        }
    })?;
    Ok(all)
}

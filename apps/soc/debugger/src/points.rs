//! Breakpoints and watchpoints.

use crate::expression::Expression;
use soc_machine::{Machine, Observer};

/// Stops before an instruction.
#[derive(Clone, Debug)]
pub struct Breakpoint {
    pub id: u32,
    pub address: u32,
    /// Stops only where this is not 0.
    pub condition: Option<Expression>,
}

/// Which accesses a watchpoint waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    Read,
    Write,
    Both,
}

/// Stops after an instruction that touches memory.
#[derive(Clone, Debug)]
pub struct Watchpoint {
    pub id: u32,
    pub address: u32,
    pub len_bytes: u32,
    pub access: Access,
}

impl Watchpoint {
    fn sees(&self, address: u32, len: u32, is_write: bool) -> bool {
        let fits = match self.access {
            Access::Read => !is_write,
            Access::Write => is_write,
            Access::Both => true,
        };
        let (start, end) = (u64::from(self.address), u64::from(self.address) + u64::from(self.len_bytes));
        fits && u64::from(address) < end && u64::from(address) + u64::from(len) > start
    }
}

/// All points of one debugger.
#[derive(Default)]
pub(crate) struct Points {
    pub breakpoints: Vec<Breakpoint>,
    pub watchpoints: Vec<Watchpoint>,
    last_id: u32,
}

impl Points {
    pub fn next_id(&mut self) -> u32 {
        self.last_id += 1;
        self.last_id
    }

    /// The breakpoint that stops the machine where it is.
    pub fn hit(&self, machine: &Machine) -> Option<u32> {
        let ip = machine.cpu().ip();
        let hits = |point: &&Breakpoint| {
            point.address == ip
                && point.condition.as_ref().is_none_or(|condition| condition.value(machine) != 0)
        };
        self.breakpoints.iter().find(hits).map(|point| point.id)
    }
}

/// Watches one run.
pub(crate) struct Watcher<'a> {
    watchpoints: &'a [Watchpoint],
    /// The watchpoint that was touched, and where.
    pub hit: Option<(u32, u32)>,
}

impl<'a> Watcher<'a> {
    pub fn new(watchpoints: &'a [Watchpoint]) -> Self {
        Self { watchpoints, hit: None }
    }

    fn touch(&mut self, address: u32, len: u32, is_write: bool) {
        if self.hit.is_none() {
            let point = self.watchpoints.iter().find(|point| point.sees(address, len, is_write));
            self.hit = point.map(|point| (point.id, address));
        }
    }
}

impl Observer for Watcher<'_> {
    fn loaded(&mut self, address: u32, bytes: u32) {
        self.touch(address, bytes, false);
    }

    fn stored(&mut self, address: u32, bytes: u32) {
        self.touch(address, bytes, true);
    }

    fn wants_stop(&self) -> bool {
        self.hit.is_some()
    }
}

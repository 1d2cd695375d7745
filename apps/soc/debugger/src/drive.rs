//! Forwards in time: goals as tasks that advance in slices.

use crate::debugger::{Debugger, Goal, Progress, Stopped};
use crate::points::Watcher;
use crate::travel::Search;
use soc_machine::encoding::WORD_BYTES;
use soc_machine::isa::{self, Operation};
use soc_machine::{Bank, Power, Stop};

/// A goal that is being pursued.
pub(crate) enum Task {
    /// Run until a stop, at the latest until this cycle.
    Run {
        until: u64,
    },
    /// Run to an address, with the stack pointer of this bank at least so high.
    RunTo {
        address: u32,
        bank: Option<Bank>,
        least_sp: u32,
    },
    /// Run blindly to a cycle; `from` is where the running began, `then` what it is reported as.
    Travel {
        from: u64,
        to: u64,
        then: Stopped,
    },
    Search(Search),
}

/// Later than any cycle that is reached.
const FOR_EVER: u64 = 1 << 62;

impl Debugger {
    /// Begins to pursue a goal; one that was pursued is given up.
    pub fn start(&mut self, goal: Goal) {
        self.cancel();
        let now = self.machine.cpu().cycle();
        let start = self.timeline.start();
        self.task = Some(match goal {
            Goal::Continue => Task::Run { until: FOR_EVER },
            Goal::Step(count) => Task::Run { until: now.saturating_add(count).min(FOR_EVER) },
            Goal::StepOver => self.step_over(now),
            Goal::StepOut => self.step_out(now),
            Goal::RunTo(address) => self.run_to(address, None, 0),
            Goal::ReverseStep(count) => {
                let to = now.saturating_sub(count).max(start);
                let then = if now == start { Stopped::Beginning } else { Stopped::Done };
                self.travel(to, then)
            }
            Goal::GoTo(cycle) => self.travel(cycle.max(start).min(FOR_EVER), Stopped::Done),
            Goal::ReverseContinue => Task::Search(Search::new(now)),
        });
    }

    /// Gives up the goal. After a search the machine is where the search began; after a travel, where it had come to.
    pub fn cancel(&mut self) {
        match self.task.take() {
            Some(Task::RunTo { address, .. }) => self.release(address),
            Some(Task::Search(search)) => self.return_to(search.origin),
            Some(Task::Travel { .. } | Task::Run { .. }) => {}
            None => return,
        }
        self.last = Stopped::Cancelled;
    }

    /// Ends a travel or a search before the present is changed.
    pub(crate) fn abandon_travel(&mut self) {
        if matches!(self.task, Some(Task::Travel { .. } | Task::Search(_))) {
            self.cancel();
        }
    }

    fn run_to(&mut self, address: u32, bank: Option<Bank>, least_sp: u32) -> Task {
        self.machine.set_stop(address, true);
        Task::RunTo { address, bank, least_sp }
    }

    fn step_over(&mut self, now: u64) -> Task {
        let cpu = self.machine.cpu();
        let (ip, sp, bank) = (cpu.ip(), cpu.sp(), cpu.bank());
        let is_call = self
            .machine
            .word(ip)
            .and_then(|word| isa::by_opcode(word.opcode))
            .is_some_and(|row| row.operation == Operation::Call);
        if is_call {
            self.run_to(ip.wrapping_add(WORD_BYTES), Some(bank), sp)
        } else {
            Task::Run { until: now + 1 }
        }
    }

    fn step_out(&mut self, now: u64) -> Task {
        let cpu = self.machine.cpu();
        let generic = cpu.bank_registers(Bank::Generic);
        let frames = self.frames();
        match frames.get(1) {
            Some(caller) => {
                let bank = cpu.bank();
                self.run_to(
                    caller.address.wrapping_add(WORD_BYTES),
                    Some(bank),
                    caller.slot.saturating_add(1),
                )
            }
            None if cpu.bank() == Bank::Interrupt => {
                let resume = generic[15].wrapping_add(WORD_BYTES);
                self.run_to(resume, Some(Bank::Generic), 0)
            }
            None => Task::Run { until: now },
        }
    }

    /// Pursues the goal for about this many cycles.
    pub fn advance(&mut self, cycles: u64) -> Progress {
        let Some(task) = self.task.take() else { return Progress::Stopped(self.last) };
        let progress = match task {
            Task::Run { until } => self.advance_run(until, cycles),
            Task::RunTo { address, bank, least_sp } => self.advance_run_to(address, bank, least_sp, cycles),
            Task::Travel { from, to, then } => self.advance_travel(from, to, then, cycles),
            Task::Search(search) => self.advance_search(search, cycles),
        };
        if let Progress::Stopped(reason) = progress {
            self.last = reason;
        }
        progress
    }

    /// Pursues the goal to its end. For goals that end; a dress that wants to stay alive calls `advance`.
    pub fn finish(&mut self) -> Stopped {
        loop {
            if let Progress::Stopped(reason) = self.advance(50_000_000) {
                return reason;
            }
        }
    }

    fn advance_run(&mut self, until: u64, cycles: u64) -> Progress {
        let limit = until.min(self.machine.cpu().cycle().saturating_add(cycles));
        match self.run_until(limit) {
            Some(reason) => Progress::Stopped(reason),
            None if self.machine.cpu().cycle() >= until => Progress::Stopped(Stopped::Done),
            None => {
                self.task = Some(Task::Run { until });
                Progress::Running(None)
            }
        }
    }

    fn advance_run_to(&mut self, address: u32, bank: Option<Bank>, least_sp: u32, cycles: u64) -> Progress {
        let limit = self.machine.cpu().cycle().saturating_add(cycles);
        while self.machine.cpu().cycle() < limit {
            let reason = self.run_until_any(limit);
            let cpu = self.machine.cpu();
            let is_there =
                cpu.ip() == address && bank.is_none_or(|bank| cpu.bank() == bank) && cpu.sp() >= least_sp;
            let reason = match reason {
                Some(AnyStop::Place) => match self.points.hit(&self.machine) {
                    Some(id) => Stopped::Breakpoint(id),
                    None if is_there => Stopped::Done,
                    None => continue,
                },
                Some(AnyStop::Reason(reason)) => reason,
                None => break,
            };
            self.release(address);
            return Progress::Stopped(reason);
        }
        self.task = Some(Task::RunTo { address, bank, least_sp });
        Progress::Running(None)
    }

    /// Runs up to a cycle; the reason if something stops it before.
    fn run_until(&mut self, limit: u64) -> Option<Stopped> {
        loop {
            match self.run_until_any(limit)? {
                AnyStop::Reason(reason) => return Some(reason),
                AnyStop::Place => {
                    if let Some(id) = self.points.hit(&self.machine) {
                        return Some(Stopped::Breakpoint(id));
                    }
                }
            }
        }
    }

    /// Runs up to a cycle, with snapshots and inputs on the way; stops at every place that is marked.
    pub(crate) fn run_until_any(&mut self, limit: u64) -> Option<AnyStop> {
        while self.machine.cpu().cycle() < limit {
            let now = self.machine.cpu().cycle();
            if let Power::Off(status) = self.machine.cpu().power() {
                return Some(AnyStop::Reason(Stopped::Off(status)));
            }
            let mut until = limit.min(self.timeline.next_snapshot(now).max(now + 1));
            if let Some(input) = self.timeline.next_input() {
                until = until.min(input.max(now + 1));
            }
            let mut watcher = Watcher::new(&self.points.watchpoints);
            let stop = if self.points.watchpoints.is_empty() {
                self.machine.run(until)
            } else {
                self.machine.run_observed(until, &mut watcher)
            };
            let watched = watcher.hit;
            self.collect_output();
            self.timeline.apply_due(&mut self.machine);
            self.timeline.take_snapshot(&mut self.machine);
            // What an instruction did is told before what it met.
            let reason = match stop {
                Stop::Exception(number) => Stopped::Exception(number),
                Stop::DoubleFault => Stopped::DoubleFault,
                Stop::Off(status) => Stopped::Off(status),
                Stop::Asleep if self.timeline.next_input().is_some() => {
                    self.machine.pass(until);
                    self.timeline.apply_due(&mut self.machine);
                    continue;
                }
                Stop::Asleep => Stopped::Asleep,
                Stop::Observed => {
                    watched.map_or(Stopped::Done, |(id, address)| Stopped::Watchpoint(id, address))
                }
                Stop::Breakpoint => return Some(AnyStop::Place),
                // The machine passes over a mark where it starts, so one where a slice ends is looked at here.
                Stop::Cycle if self.machine.is_at_stop() => return Some(AnyStop::Place),
                Stop::Cycle => continue,
            };
            return Some(AnyStop::Reason(reason));
        }
        None
    }

    pub(crate) fn collect_output(&mut self) {
        let bytes = self.machine.take_output();
        if !bytes.is_empty() {
            self.output.add(&bytes, self.machine.transmitted());
        }
    }
}

/// What ends a run before its limit.
pub(crate) enum AnyStop {
    Reason(Stopped),
    /// The next instruction is at a place that is marked: a breakpoint, or where a goal wants to be.
    Place,
}

//! The quick loop: runs decoded words until something needs the slow step.
//!
//! The instruction pointer and the flags are kept in local variables; r15 is only written when the loop ends. That is sound because any word that names r15 is slow. Interrupts are not looked at: nothing that the
//! loop executes can make one ready, since devices, flags `i` and handlers are only reached through `Machine::step`.

use crate::cpu::{FLAG_C, FLAG_Z, IP, Power, SP};
use crate::machine::{Machine, Stop};
use crate::observe::{Observer, Unobserved};
use crate::slots::Kind;

impl Machine {
    /// Runs until the cycle counter shows `until`, or there is a reason to stop before.
    ///
    /// A breakpoint at the very first instruction is passed over, so that a stopped machine can go on.
    pub fn run(&mut self, until: u64) -> Stop {
        self.run_by(until, &mut Unobserved, |machine| {
            if machine.ready_interrupt().is_none() {
                machine.burst(machine.horizon(until));
            }
        })
    }

    /// Like [`Machine::run`], but tells an observer of every step: slower, for watchpoints and profiles.
    pub fn run_observed<O: Observer>(&mut self, until: u64, observer: &mut O) -> Stop {
        self.run_by(until, observer, |_| {})
    }

    /// Runs by single steps, before each of which `sprint` may run ahead.
    #[inline(always)]
    fn run_by<O: Observer>(
        &mut self,
        until: u64,
        observer: &mut O,
        mut sprint: impl FnMut(&mut Self),
    ) -> Stop {
        let start = self.first_instruction();
        while self.cpu.cycle < until {
            if self.cpu.power != Power::Running {
                if let Some(stop) = self.idle(until) {
                    return stop;
                }
                continue;
            }
            sprint(self);
            if self.cpu.cycle >= until {
                break;
            }
            if self.stops_here(start) {
                return Stop::Breakpoint;
            }
            if let Some(stop) = self.step(observer) {
                return stop;
            }
        }
        Stop::Cycle
    }

    /// The cycle at which a breakpoint is passed over: only where an instruction is executed at once.
    fn first_instruction(&self) -> Option<u64> {
        (self.cpu.power == Power::Running).then_some(self.cpu.cycle)
    }

    fn stops_here(&self, start: Option<u64>) -> bool {
        !self.stops.is_empty() && Some(self.cpu.cycle) != start && self.stops.contains(&self.cpu.ip())
    }

    /// The cycle at which the quick loop must end, at the latest.
    fn horizon(&self, until: u64) -> u64 {
        self.devices.timer.deadline.map_or(until, |deadline| deadline.min(until))
    }

    /// Lets time pass for a machine that sleeps or is off, up to the next thing that can happen.
    fn idle(&mut self, until: u64) -> Option<Stop> {
        if let Power::Off(status) = self.cpu.power {
            return Some(Stop::Off(status));
        }
        self.devices.timer.advance(self.cpu.cycle);
        if self.devices.pending() != 0 {
            self.cpu.power = Power::Running;
        } else if self.devices.timer.deadline.is_none() {
            return Some(Stop::Asleep);
        } else {
            self.cpu.cycle = self.horizon(until).max(self.cpu.cycle);
        }
        None
    }

    /// Executes decoded words up to a cycle, or to a word that is slow.
    fn burst(&mut self, until: u64) {
        let Self { cpu, memory, quirks, stops, .. } = self;
        let mut flags = cpu.flags;
        let mut left = until.saturating_sub(cpu.cycle);
        let r = &mut cpu.banks[cpu.bank as usize];
        let mut ip = r[IP];
        let budget = left;
        while left > 0 {
            let index = ip.rotate_right(3) as usize;
            let Some(slot) = memory.slot(index) else { break };
            if slot.truth >> (flags & 3) & 1 == 0 {
                ip = ip.wrapping_add(8);
                left -= 1;
                continue;
            }
            let a = usize::from(slot.a & 15);
            let b = usize::from(slot.b & 15);
            let immediate = slot.immediate;
            // A store to its own word must not be undone, so nothing below keeps a reference to the slot.
            macro_rules! load {
                ($len:literal, $kind:ty, $address:expr) => {{
                    let Some(bytes) = memory.load::<$len>($address) else { break };
                    r[a] = u32::from(<$kind>::from_le_bytes(bytes));
                }};
            }
            macro_rules! store {
                ($kind:ty, $address:expr, $value:expr) => {
                    if !memory.store($address, (($value) as $kind).to_le_bytes()) {
                        break;
                    }
                };
            }
            macro_rules! push {
                ($value:expr) => {{
                    let address = r[SP].wrapping_sub(4);
                    store!(u32, address, $value);
                    r[SP] = address;
                }};
            }
            macro_rules! compare {
                ($right:expr) => {{
                    let (left, right) = (r[a], $right);
                    flags = flags & !(FLAG_Z | FLAG_C)
                        | u32::from(left == right) * FLAG_Z
                        | u32::from(left < right) * FLAG_C;
                }};
            }
            macro_rules! divide {
                ($method:ident, $right:expr) => {{
                    let Some(value) = r[a].$method($right) else { break };
                    r[a] = value;
                }};
            }
            match slot.kind {
                Kind::Undecoded => {
                    let is_stop = !stops.is_empty() && stops.contains(&ip);
                    memory.decode_slot(index, *quirks, is_stop);
                    continue;
                }
                Kind::Slow => break,
                Kind::Nop => {}
                Kind::AddR => r[a] = r[a].wrapping_add(r[b]),
                Kind::AddI => r[a] = r[a].wrapping_add(immediate),
                Kind::SubR => r[a] = r[a].wrapping_sub(r[b]),
                Kind::MulR => r[a] = r[a].wrapping_mul(r[b]),
                Kind::MulI => r[a] = r[a].wrapping_mul(immediate),
                Kind::DivR => divide!(checked_div, r[b]),
                Kind::DivI => divide!(checked_div, immediate),
                Kind::ModR => divide!(checked_rem, r[b]),
                Kind::ModI => divide!(checked_rem, immediate),
                Kind::CmpR => compare!(r[b]),
                Kind::CmpI => compare!(immediate),
                Kind::ShlR => r[a] = r[a].wrapping_shl(r[b]),
                Kind::ShlI => r[a] = r[a].wrapping_shl(immediate),
                Kind::ShrR => r[a] = r[a].wrapping_shr(r[b]),
                Kind::ShrI => r[a] = r[a].wrapping_shr(immediate),
                Kind::MovR => r[a] = r[b],
                Kind::MovI => r[a] = immediate,
                Kind::AndR => r[a] &= r[b],
                Kind::AndI => r[a] &= immediate,
                Kind::OrR => r[a] |= r[b],
                Kind::OrI => r[a] |= immediate,
                Kind::XorR => r[a] ^= r[b],
                Kind::XorI => r[a] ^= immediate,
                Kind::Not => r[a] = !r[a],
                Kind::PushR => push!(r[a]),
                Kind::PushI => push!(immediate),
                Kind::Pop => {
                    let Some(bytes) = memory.load::<4>(r[SP]) else { break };
                    r[SP] = r[SP].wrapping_add(4);
                    r[a] = u32::from_le_bytes(bytes);
                }
                Kind::Load32R => load!(4, u32, r[b]),
                Kind::Load32I => load!(4, u32, immediate),
                Kind::Load16R => load!(2, u16, r[b]),
                Kind::Load16I => load!(2, u16, immediate),
                Kind::Load8R => load!(1, u8, r[b]),
                Kind::Load8I => load!(1, u8, immediate),
                Kind::Store32R => store!(u32, r[b], r[a]),
                Kind::Store32I => store!(u32, immediate, r[a]),
                Kind::Store16R => store!(u16, r[b], r[a]),
                Kind::Store16I => store!(u16, immediate, r[a]),
                Kind::Store8R => store!(u8, r[b], r[a]),
                Kind::Store8I => store!(u8, immediate, r[a]),
                Kind::JmpR => {
                    ip = r[a];
                    left -= 1;
                    continue;
                }
                Kind::JmpI => {
                    ip = immediate;
                    left -= 1;
                    continue;
                }
                Kind::CallR => {
                    let target = r[a];
                    push!(ip);
                    ip = target;
                    left -= 1;
                    continue;
                }
                Kind::CallI => {
                    push!(ip);
                    ip = immediate;
                    left -= 1;
                    continue;
                }
                Kind::Ret => {
                    let Some(bytes) = memory.load::<4>(r[SP]) else { break };
                    r[SP] = r[SP].wrapping_add(4);
                    ip = u32::from_le_bytes(bytes);
                }
            }
            ip = ip.wrapping_add(8);
            left -= 1;
        }
        r[IP] = ip;
        cpu.flags = flags;
        cpu.cycle += budget - left;
    }
}

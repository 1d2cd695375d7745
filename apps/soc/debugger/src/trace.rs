//! The trace: the last steps, run again and written down.

use crate::debugger::Debugger;
use soc_assembler::instruction_text;

/// Steps that are listed at most.
const MOST: u64 = 10_000;

/// One step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceRow {
    /// The cycle before it.
    pub cycle: u64,
    pub address: u32,
    pub text: String,
    /// Registers that it changed, r15 left out, with their new values.
    pub changed: Vec<(u8, u32)>,
}

impl Debugger {
    /// The last steps before now, the oldest first. The machine ends where it was.
    pub fn trace(&mut self, steps: u64) -> Vec<TraceRow> {
        self.abandon_travel();
        let now = self.machine.cpu().cycle();
        let from = now.saturating_sub(steps.min(MOST)).max(self.timeline.start());
        self.return_to(from);
        let mut rows = Vec::new();
        while self.machine.cpu().cycle() < now {
            let cpu = self.machine.cpu();
            let (cycle, address, before) = (cpu.cycle(), cpu.ip(), *cpu.registers());
            let text = self.machine.word(address).map(|word| instruction_text(&word, &self.symbols));
            self.return_to(cycle + 1);
            if self.machine.cpu().cycle() == cycle {
                break;
            }
            let after = self.machine.cpu().registers();
            let changed = (0u8..15)
                .zip(before.iter().zip(after))
                .filter(|(_, (before, after))| before != after)
                .map(|(number, (_, after))| (number, *after))
                .collect();
            rows.push(TraceRow { cycle, address, text: text.unwrap_or_else(|| "?".to_owned()), changed });
        }
        rows
    }
}

//! The debugger as gdbstub's target.

use super::registers::{BorrowedArm, CoreRegisters};
use crate::console::{Answer, execute};
use crate::debugger::{Debugger, Goal};
use crate::points::Access;
use gdbstub::common::Signal;
use gdbstub::target::ext::base::BaseOps;
use gdbstub::target::ext::base::reverse_exec::{ReverseCont, ReverseContOps, ReverseStep, ReverseStepOps};
use gdbstub::target::ext::base::singlethread::{
    SingleThreadBase, SingleThreadResume, SingleThreadResumeOps, SingleThreadSingleStep,
    SingleThreadSingleStepOps,
};
use gdbstub::target::ext::breakpoints::{
    Breakpoints, BreakpointsOps, HwBreakpoint, HwBreakpointOps, HwWatchpoint, HwWatchpointOps, SwBreakpoint,
    SwBreakpointOps, WatchKind,
};
use gdbstub::target::ext::monitor_cmd::{ConsoleOutput, MonitorCmd, MonitorCmdOps, output};
use gdbstub::target::{self, TargetError, TargetResult};
use soc_machine::Input;

pub(super) struct Target<'a> {
    pub debugger: &'a mut Debugger,
    /// Whether the last goal went back in time.
    pub is_backwards: bool,
    /// Address and the debugger's id of each of gdb's breakpoints.
    breakpoints: Vec<(u32, u32)>,
    /// Address, length, kind and id.
    watchpoints: Vec<(u32, u32, WatchKind, u32)>,
}

impl<'a> Target<'a> {
    pub fn new(debugger: &'a mut Debugger) -> Self {
        Self { debugger, is_backwards: false, breakpoints: Vec::new(), watchpoints: Vec::new() }
    }

    fn start(&mut self, goal: Goal) {
        self.is_backwards = matches!(goal, Goal::ReverseStep(_) | Goal::ReverseContinue);
        self.debugger.start(goal);
    }

    pub fn watch_kind(&self, id: u32) -> Option<WatchKind> {
        self.watchpoints.iter().find(|point| point.3 == id).map(|point| point.2)
    }
}

impl Drop for Target<'_> {
    fn drop(&mut self) {
        let ids =
            self.breakpoints.iter().map(|point| point.1).chain(self.watchpoints.iter().map(|point| point.3));
        for id in ids.collect::<Vec<_>>() {
            self.debugger.delete(id);
        }
    }
}

impl target::Target for Target<'_> {
    type Arch = BorrowedArm;
    type Error = &'static str;

    fn base_ops(&mut self) -> BaseOps<'_, BorrowedArm, &'static str> {
        BaseOps::SingleThread(self)
    }

    fn support_breakpoints(&mut self) -> Option<BreakpointsOps<'_, Self>> {
        Some(self)
    }

    fn support_monitor_cmd(&mut self) -> Option<MonitorCmdOps<'_, Self>> {
        Some(self)
    }
}

impl SingleThreadBase for Target<'_> {
    fn read_registers(&mut self, registers: &mut CoreRegisters) -> TargetResult<(), Self> {
        let cpu = self.debugger.machine().cpu();
        *registers = CoreRegisters { registers: *cpu.registers(), flags: cpu.flags() };
        Ok(())
    }

    fn write_registers(&mut self, registers: &CoreRegisters) -> TargetResult<(), Self> {
        // gdb writes all of them to change one; only what changes is an edit.
        for (number, &value) in (0u8..).zip(&registers.registers) {
            if self.debugger.machine().cpu().registers().get(usize::from(number)) != Some(&value) {
                self.debugger.set_register(number, value);
            }
        }
        if self.debugger.machine().cpu().flags() != registers.flags {
            self.debugger.give(Input::Flags(registers.flags));
        }
        Ok(())
    }

    fn read_addrs(&mut self, start: u32, data: &mut [u8]) -> TargetResult<usize, Self> {
        let mut len = 0;
        for (address, byte) in (u64::from(start)..).zip(data.iter_mut()) {
            let Some(value) =
                u32::try_from(address).ok().and_then(|address| self.debugger.machine().look(address))
            else {
                break;
            };
            *byte = value;
            len += 1;
        }
        if len == 0 && !data.is_empty() { Err(TargetError::Errno(14)) } else { Ok(len) }
    }

    fn write_addrs(&mut self, start: u32, data: &[u8]) -> TargetResult<(), Self> {
        if self.debugger.set_memory(start, data) { Ok(()) } else { Err(TargetError::Errno(14)) }
    }

    fn support_resume(&mut self) -> Option<SingleThreadResumeOps<'_, Self>> {
        Some(self)
    }
}

impl SingleThreadResume for Target<'_> {
    fn resume(&mut self, _signal: Option<Signal>) -> Result<(), Self::Error> {
        self.start(Goal::Continue);
        Ok(())
    }

    fn support_single_step(&mut self) -> Option<SingleThreadSingleStepOps<'_, Self>> {
        Some(self)
    }

    fn support_reverse_step(&mut self) -> Option<ReverseStepOps<'_, (), Self>> {
        Some(self)
    }

    fn support_reverse_cont(&mut self) -> Option<ReverseContOps<'_, (), Self>> {
        Some(self)
    }
}

impl SingleThreadSingleStep for Target<'_> {
    fn step(&mut self, _signal: Option<Signal>) -> Result<(), Self::Error> {
        self.start(Goal::Step(1));
        Ok(())
    }
}

impl ReverseStep<()> for Target<'_> {
    fn reverse_step(&mut self, _tid: ()) -> Result<(), Self::Error> {
        self.start(Goal::ReverseStep(1));
        Ok(())
    }
}

impl ReverseCont<()> for Target<'_> {
    fn reverse_cont(&mut self) -> Result<(), Self::Error> {
        self.start(Goal::ReverseContinue);
        Ok(())
    }
}

impl Breakpoints for Target<'_> {
    fn support_sw_breakpoint(&mut self) -> Option<SwBreakpointOps<'_, Self>> {
        Some(self)
    }

    fn support_hw_breakpoint(&mut self) -> Option<HwBreakpointOps<'_, Self>> {
        Some(self)
    }

    fn support_hw_watchpoint(&mut self) -> Option<HwWatchpointOps<'_, Self>> {
        Some(self)
    }
}

impl SwBreakpoint for Target<'_> {
    fn add_sw_breakpoint(&mut self, address: u32, _kind: usize) -> TargetResult<bool, Self> {
        let id = self.debugger.set_breakpoint(address, None);
        self.breakpoints.push((address, id));
        Ok(true)
    }

    fn remove_sw_breakpoint(&mut self, address: u32, _kind: usize) -> TargetResult<bool, Self> {
        let Some(index) = self.breakpoints.iter().position(|point| point.0 == address) else {
            return Ok(false);
        };
        let (_, id) = self.breakpoints.swap_remove(index);
        Ok(self.debugger.delete(id))
    }
}

impl HwBreakpoint for Target<'_> {
    fn add_hw_breakpoint(&mut self, address: u32, kind: usize) -> TargetResult<bool, Self> {
        self.add_sw_breakpoint(address, kind)
    }

    fn remove_hw_breakpoint(&mut self, address: u32, kind: usize) -> TargetResult<bool, Self> {
        self.remove_sw_breakpoint(address, kind)
    }
}

impl HwWatchpoint for Target<'_> {
    fn add_hw_watchpoint(&mut self, address: u32, len: u32, kind: WatchKind) -> TargetResult<bool, Self> {
        let access = match kind {
            WatchKind::Write => Access::Write,
            WatchKind::Read => Access::Read,
            WatchKind::ReadWrite => Access::Both,
        };
        let id = self.debugger.set_watchpoint(address, len, access);
        self.watchpoints.push((address, len, kind, id));
        Ok(true)
    }

    fn remove_hw_watchpoint(&mut self, address: u32, len: u32, kind: WatchKind) -> TargetResult<bool, Self> {
        let index =
            self.watchpoints.iter().position(|point| (point.0, point.1, point.2) == (address, len, kind));
        let Some(index) = index else { return Ok(false) };
        let (.., id) = self.watchpoints.swap_remove(index);
        Ok(self.debugger.delete(id))
    }
}

impl MonitorCmd for Target<'_> {
    fn handle_monitor_cmd(&mut self, command: &[u8], mut out: ConsoleOutput<'_>) -> Result<(), Self::Error> {
        match execute(self.debugger, &String::from_utf8_lossy(command)) {
            Ok(Answer::Text(text)) => output!(out, "{text}"),
            // gdb would not know that the machine has moved.
            Ok(Answer::Goal(_)) => output!(
                out,
                "use gdb's own commands to move: stepi, continue, reverse-stepi, reverse-continue\n"
            ),
            Err(reason) => output!(out, "{reason}\n"),
        }
        Ok(())
    }
}

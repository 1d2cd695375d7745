//! The GDB remote protocol, so that a real gdb drives the debugger.
//!
//! gdb knows no such machine, so the target description borrows one that it knows: 32-bit Arm. Its sixteen registers and
//! `cpsr` stand for ours; `docs/soc/debugger.md` has the mapping. What gdb shows as disassembly is Arm and nonsense;
//! `monitor disas` and `monitor regs` show ours. Reverse stepping and continuing are the protocol's own.

mod registers;
mod target;

use crate::debugger::{Debugger, Goal, Progress, Stopped};
use gdbstub::common::Signal;
use gdbstub::conn::Connection;
use gdbstub::stub::state_machine::GdbStubStateMachine;
use gdbstub::stub::{GdbStub, SingleThreadStopReason};
use gdbstub::target::ext::base::reverse_exec::ReplayLogPosition;
use gdbstub::target::ext::breakpoints::WatchKind;
use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use target::Target;

/// Cycles between two looks at whether gdb wants to interrupt.
const SLICE: u64 = 5_000_000;
/// The longest packet; gdb is told and keeps to it.
const PACKET_BYTES: usize = 0x4000;

/// A connection to gdb.
pub trait Stream: Read + Write {
    /// Whether `read` waits for bytes, or fails with `WouldBlock` where there are none.
    fn set_waiting(&mut self, is_waiting: bool) -> io::Result<()>;
}

impl Stream for std::net::TcpStream {
    fn set_waiting(&mut self, is_waiting: bool) -> io::Result<()> {
        self.set_nonblocking(!is_waiting)
    }
}

/// Why a session has ended badly.
#[derive(Debug)]
pub struct SessionError(String);

impl fmt::Display for SessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the gdb session has ended: {}", self.0)
    }
}

impl std::error::Error for SessionError {}

/// Answers gather here until a packet is whole; then they are sent at once.
struct Outgoing<'a, S> {
    stream: &'a mut S,
    bytes: Vec<u8>,
}

impl<S: Stream> Connection for Outgoing<'_, S> {
    type Error = io::Error;

    fn write(&mut self, byte: u8) -> io::Result<()> {
        self.bytes.push(byte);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.set_waiting(true)?;
        self.stream.write_all(&self.bytes)?;
        self.bytes.clear();
        self.stream.flush()
    }
}

impl<S: Stream> Outgoing<'_, S> {
    /// The next byte; `None` where there is none and waiting is not wanted.
    fn read(&mut self, is_waiting: bool) -> io::Result<Option<u8>> {
        self.stream.set_waiting(is_waiting)?;
        let mut byte = [0];
        match self.stream.read(&mut byte) {
            Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
            Ok(_) => Ok(Some(byte[0])),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Serves one gdb until it detaches, kills, or goes away. Blocks meanwhile.
pub fn serve<S: Stream>(debugger: &mut Debugger, stream: &mut S) -> Result<(), SessionError> {
    let mut target = Target::new(debugger);
    let outgoing = Outgoing { stream, bytes: Vec::new() };
    let failed = |error: &dyn fmt::Display| SessionError(error.to_string());
    let stub = GdbStub::builder(outgoing)
        .packet_buffer_size(PACKET_BYTES)
        .build()
        .map_err(|error| failed(&error))?;
    let mut gdb = stub.run_state_machine(&mut target).map_err(|error| failed(&error))?;
    loop {
        gdb = match gdb {
            GdbStubStateMachine::Idle(mut idle) => match idle.borrow_conn().read(true) {
                Ok(Some(byte)) => idle.incoming_data(&mut target, byte).map_err(|error| failed(&error))?,
                Ok(None) => idle.into(),
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(()),
                Err(error) => return Err(failed(&error)),
            },
            GdbStubStateMachine::Running(mut running) => {
                match running.borrow_conn().read(false).map_err(|error| failed(&error))? {
                    Some(byte) => running.incoming_data(&mut target, byte).map_err(|error| failed(&error))?,
                    None => match target.debugger.advance(SLICE) {
                        Progress::Running(_) => running.into(),
                        Progress::Stopped(reason) => {
                            target.step_before_watched(reason);
                            let reason = target.stop_reason(reason);
                            running.report_stop(&mut target, reason).map_err(|error| failed(&error))?
                        }
                    },
                }
            }
            GdbStubStateMachine::CtrlCInterrupt(interrupt) => {
                target.debugger.cancel();
                let reason = Some(SingleThreadStopReason::Signal(Signal::SIGINT));
                interrupt.interrupt_handled(&mut target, reason).map_err(|error| failed(&error))?
            }
            GdbStubStateMachine::Disconnected(_) => return Ok(()),
        };
    }
}

impl Target<'_> {
    /// gdb takes it that an Arm stops before the instruction that touches what is watched, and steps over it itself.
    fn step_before_watched(&mut self, reason: Stopped) {
        if matches!(reason, Stopped::Watchpoint(..)) && !self.is_backwards {
            self.debugger.start(Goal::ReverseStep(1));
            self.debugger.finish();
        }
    }

    /// What gdb is told about a stop.
    fn stop_reason(&self, reason: Stopped) -> SingleThreadStopReason<u32> {
        use SingleThreadStopReason as Reason;
        match reason {
            Stopped::Done => Reason::DoneStep,
            Stopped::Breakpoint(_) => Reason::SwBreak(()),
            Stopped::Watchpoint(id, addr) => {
                let kind = self.watch_kind(id).unwrap_or(WatchKind::Write);
                Reason::Watch { tid: (), kind, addr }
            }
            Stopped::Exception(0) => Reason::Signal(Signal::SIGTRAP),
            Stopped::Exception(3) => Reason::Signal(Signal::SIGFPE),
            Stopped::Exception(4) => Reason::Signal(Signal::SIGSEGV),
            Stopped::Exception(_) => Reason::Signal(Signal::SIGILL),
            Stopped::DoubleFault => Reason::Signal(Signal::SIGABRT),
            Stopped::Off(status) => Reason::Exited(status as u8),
            Stopped::Asleep => Reason::Signal(Signal::SIGSTOP),
            Stopped::Beginning => Reason::ReplayLog { tid: Some(()), pos: ReplayLogPosition::Begin },
            Stopped::Cancelled => Reason::Signal(Signal::SIGINT),
        }
    }
}

//! The life of a program's thread, as one loop: run the program until it needs the kernel, do what it needs, look whether anything is in the way, again.

use alloc::sync::Arc;

use abi::Errno;
use abi::signal::Signal;
use abi::signal::info::*;
use machine::address::UserAddress;
use machine::context::{Access, Exception, Trap};
use machine::sync::atomic::Ordering;
use memory::FaultError;
use threads::work::INTERRUPT;

use crate::process::caller::LastFault;
use crate::process::task::work::ATTEND;
use crate::process::{Caller, Task, exit};
use crate::signal::{deliver, send};
use crate::{calls, sequence};

/// Runs a thread from its first instruction to its end.
pub fn run(mut caller: Caller) {
    let thread = threads::current();
    let work = thread.work();
    loop {
        let sequence = &caller.sequence;
        let has_work = || {
            work.load(Ordering::Relaxed) != 0
                || sequence.as_ref().is_some_and(|sequence| sequence.is_stale(&thread))
        };
        // A tick inside `run` charges the mode that it interrupted.
        thread.charge_user();
        let trap = caller.context.run(has_work);
        thread.charge_system();
        match trap {
            Trap::Call => calls::dispatch(&mut caller),
            Trap::Fault { address, access, is_protection } => {
                page_fault(&mut caller, address, access, is_protection);
            }
            Trap::Exception(exception) => raise(&mut caller, exception),
            // A device, or something in the way of going on, found by the test above: the one that is made on the way back.
            Trap::Interrupt => {
                attend(&mut caller, work.load(Ordering::Relaxed));
                if caller.is_ending {
                    break;
                }
            }
        }
    }
    exit::leave(caller);
}

/// Does what the exit-work word asks for. Bits are cleared before their reason is looked at, so that what arrives meanwhile sets them again.
#[cold]
fn attend(caller: &mut Caller, bits: u32) {
    if bits & (INTERRUPT | ATTEND) != 0 {
        threads::current().work().fetch_and(!(INTERRUPT | ATTEND), Ordering::SeqCst);
        deliver::attend(caller);
    }
    if !caller.is_ending
        && caller.sequence.as_ref().is_some_and(|sequence| sequence.is_stale(&threads::current()))
    {
        sequence::before_entry(caller);
    }
}

/// Brings in the page that the program touched, or sends it the signal that Linux would.
fn page_fault(caller: &mut Caller, address: UserAddress, access: Access, is_protection: bool) {
    let outcome = resolve(&caller.task, &caller.space, address, access);
    let Err(error) = outcome else { return };
    let (signal, code) = match error {
        FaultError::Unmapped => (Signal::SIGSEGV, SEGV_MAPERR),
        FaultError::Protection => (Signal::SIGSEGV, SEGV_ACCERR),
        FaultError::Bus => (Signal::SIGBUS, BUS_ADRERR),
        FaultError::OutOfMemory => {
            // Nothing could be reclaimed and nobody else could be ended.
            deliver::end_process(caller, Signal::SIGKILL);
            caller.look_again();
            return;
        }
    };
    // The error code as the processor gives it (Intel SDM vol. 3, 4.7): present, write, user, fetch.
    let code_bits = u64::from(is_protection)
        | match access {
            Access::Read => 4,
            Access::Write => 4 | 2,
            Access::Execute => 4 | 16,
        };
    caller.last_fault = LastFault { vector: 14, code: code_bits, address: address.0 as u64 };
    send::force(&caller.task, signal, SigInfo::fault(signal, code, address.0 as u64));
}

/// How often a fault is tried that finds no frame although there is memory.
const FAULT_ATTEMPTS: usize = 16;

/// Brings in a page of `space` and counts the fault.
fn resolve(
    task: &Task,
    space: &Arc<memory::AddressSpace>,
    address: UserAddress,
    access: Access,
) -> Result<(), FaultError> {
    for _ in 0..FAULT_ATTEMPTS {
        match space.fault(address, access) {
            // Frames that were free when they were asked for were taken by somebody quicker: as on Linux the fault is tried again while there is a way to memory.
            Err(FaultError::OutOfMemory) if memory::reclaim::make_room() => {}
            Err(error) => return Err(error),
            Ok(()) => {
                task.faults[0].fetch_add(1, Ordering::Relaxed);
                return Ok(());
            }
        }
    }
    Err(FaultError::OutOfMemory)
}

/// Brings in a page for a copy between kernel and program: what `memory` calls when it stops at a page that is not there.
pub fn fault_in(address: UserAddress, access: Access) -> Result<(), FaultError> {
    let task = Task::current().ok_or(FaultError::Unmapped)?;
    let space = task.process().program().ok_or(FaultError::Unmapped)?.space().clone();
    resolve(&task, &space, address, access)
}

/// Turns an exception into its signal (Linux: arch/x86/kernel/traps.c names the same pairs).
fn raise(caller: &mut Caller, exception: Exception) {
    let rip = caller.context.registers().rip;
    let at = |signal, code| (signal, SigInfo::fault(signal, code, rip));
    let plain = |signal| (signal, SigInfo::kernel(signal));
    let (signal, info) = match exception.vector {
        0 => at(Signal::SIGFPE, FPE_INTDIV),
        1 => at(Signal::SIGTRAP, TRAP_TRACE),
        3 => plain(Signal::SIGTRAP),
        6 => at(Signal::SIGILL, ILL_ILLOPN),
        11 | 12 => plain(Signal::SIGBUS),
        16 | 19 => at(Signal::SIGFPE, floating_point_cause(caller, exception.vector)),
        17 => (Signal::SIGBUS, SigInfo::fault(Signal::SIGBUS, BUS_ADRALN, 0)),
        _ => plain(Signal::SIGSEGV),
    };
    caller.last_fault = LastFault { vector: u64::from(exception.vector), code: exception.code, address: 0 };
    send::force(&caller.task, signal, info);
}

/// Which unmasked condition raised a floating-point exception (Intel SDM vol. 1, 8.5 and 11.5): read from the x87 words or from MXCSR.
fn floating_point_cause(caller: &mut Caller, vector: u8) -> i32 {
    let bytes = caller.context.extended().bytes();
    let word = |at: usize| bytes.get(at..at + 2).map_or(0, |pair| u16::from_le_bytes([pair[0], pair[1]]));
    let raised = if vector == 16 { word(2) & !word(0) } else { word(24) & !(word(24) >> 7) };
    match raised {
        raised if raised & 1 != 0 => FPE_FLTINV,
        raised if raised & 4 != 0 => FPE_FLTDIV,
        raised if raised & 8 != 0 => FPE_FLTOVF,
        raised if raised & (16 | 2) != 0 => FPE_FLTUND,
        raised if raised & 32 != 0 => FPE_FLTRES,
        _ => 0,
    }
}

/// The result of a call as the program sees it in `rax`.
#[inline]
pub fn encode(result: Result<usize, Errno>) -> u64 {
    match result {
        Ok(value) => value as u64,
        Err(error) => error.as_return_value() as u64,
    }
}

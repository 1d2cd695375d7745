//! Delivering signals: what a thread does with them before it goes back to its program.

use abi::Errno;
use abi::sched::WaitStatus;
use abi::signal::frame::{
    FP_XSTATE_MAGIC1, FP_XSTATE_MAGIC2, FP_XSTATE_MAGIC2_SIZE, FpState, RtSigFrame, SigContext,
    SoftwareBytes, UC_FP_XSTATE, UC_SIGCONTEXT_SS, UC_STRICT_RESTORE_SS, UContext,
};
use abi::signal::info::SigInfo;
use abi::signal::{
    ActionFlags, SS_AUTODISARM, SS_DISABLE, SS_ONSTACK, SigAction, SigAltStack, SigSet, Signal,
};
use alloc::vec::Vec;
use machine::address::UserAddress;
use machine::context::Registers;
use machine::heap::try_filled;
use memory::user;
use zerocopy::IntoBytes;

use super::frame::{is_on, place};
use super::{Disposition, send, stop};
use crate::calls::RestartRule;
use crate::process::{Caller, Stop};

/// Bytes of the legacy area of FXSAVE.
const LEGACY_LEN: usize = size_of::<FpState>();
/// The selectors of 64-bit programs, as Linux numbers them.
const USER_CODE: u16 = 0x33;
const USER_DATA: u16 = 0x2b;
/// Flags that a handler starts without: trap, direction, resume.
const CLEARED_FLAGS: u64 = 1 << 8 | 1 << 10 | 1 << 16;

/// What comes of looking at signals.
enum Next {
    /// Nothing more waits.
    Nothing,
    /// The thread ends.
    End,
    /// A handler runs.
    Handler(Signal, SigInfo, SigAction),
}

/// Looks at everything that may stand in the way of going on: the end, a stop, signals. Afterwards either the thread ends (`is_ending`) or
/// its registers are those with which it goes on.
pub fn attend(caller: &mut Caller) {
    let mut took_any = false;
    match next(caller, &mut took_any) {
        Next::End => caller.is_ending = true,
        Next::Handler(signal, info, action) => {
            decide_restart(caller, Some(&action), true);
            run_handler(caller, signal, &info, &action);
            // Several may wait; each gets its frame on top of the one before, and the last runs first.
            caller.look_again();
        }
        Next::Nothing => {
            decide_restart(caller, None, took_any);
            if let Some(mask) = caller.saved_mask.take() {
                caller.set_blocked(mask);
            }
        }
    }
}

fn next(caller: &mut Caller, took_any: &mut bool) -> Next {
    loop {
        if caller.is_ending || caller.must_end() {
            return Next::End;
        }
        if caller.process.state.lock().stop != Stop::Running {
            *took_any = true;
            stop::halt(caller);
            continue;
        }
        let wanted = SigSet::FULL.difference(caller.task.blocked());
        let own = caller.task.pending.lock().take(wanted);
        let taken = match own {
            Some(taken) => Some(taken),
            None => caller.process.state.lock().pending.take(wanted),
        };
        let Some((signal, info)) = taken else { return Next::Nothing };
        *took_any = true;
        crate::time::timers::note_delivered(caller, &info);
        let disposition = caller.process.with_actions(|actions| {
            let disposition = actions.disposition(signal);
            if let Disposition::Handle(action) = disposition
                && ActionFlags::from_bits_retain(action.sa_flags).contains(ActionFlags::RESETHAND)
            {
                actions.set(signal, SigAction { sa_handler: abi::signal::SIG_DFL, ..action });
            }
            disposition
        });
        let is_protected = caller.process.is_init() && !caller.process.state.lock().is_killable;
        match disposition {
            Disposition::Ignore => {}
            Disposition::Handle(action) => return Next::Handler(signal, info, action),
            _ if is_protected => {}
            Disposition::Stop => {
                let may_stop = signal == Signal::SIGSTOP || !caller.process.group().is_orphaned(None);
                if may_stop {
                    stop::begin(&caller.process, signal);
                }
            }
            Disposition::Terminate { .. } => {
                end_process(caller, signal);
                return Next::End;
            }
        }
    }
}

/// Ends the whole process by `signal`. No core file is ever written, so the status never says that one was.
pub fn end_process(caller: &mut Caller, signal: Signal) {
    let status = WaitStatus::Killed { signal: signal.number() as u8, dumped: false };
    caller.process.state.lock().ending.get_or_insert(status);
    send::end_all(&caller.process);
    caller.is_ending = true;
}

/// Decides on a call that was interrupted: made again, or EINTR (signal(7), "Interruption of system calls and library functions").
fn decide_restart(caller: &mut Caller, handler: Option<&SigAction>, took_any: bool) {
    let Some(interrupted) = caller.interrupted.take() else { return };
    let restarts = match (interrupted.rule, handler) {
        (RestartRule::Never, _) => !took_any,
        (RestartRule::Always, Some(action)) => {
            ActionFlags::from_bits_retain(action.sa_flags).contains(ActionFlags::RESTART)
        }
        (RestartRule::WithoutHandler | RestartRule::Resume, Some(_)) => false,
        (_, None) => true,
    };
    if !restarts {
        caller.restart = None;
        return;
    }
    let number = match interrupted.rule {
        RestartRule::Resume if caller.restart.is_some() => u64::from(abi::syscall::RESTART_SYSCALL),
        _ => interrupted.number,
    };
    let registers = caller.context.registers_mut();
    registers.rax = number;
    // The instruction `syscall` is two bytes long.
    registers.rip = registers.rip.wrapping_sub(2);
}

/// Builds the frame and sets the registers; a program whose stack cannot take the frame gets SIGSEGV.
fn run_handler(caller: &mut Caller, signal: Signal, info: &SigInfo, action: &SigAction) {
    if build(caller, signal, info, action).is_err() {
        if signal == Signal::SIGSEGV {
            caller.process.with_actions(|actions| actions.set(Signal::SIGSEGV, SigAction::default()));
        }
        let fault = SigInfo::kernel(Signal::SIGSEGV);
        send::force(&caller.task.clone(), Signal::SIGSEGV, fault);
        return;
    }
    let flags = ActionFlags::from_bits_retain(action.sa_flags);
    let mut mask = caller.task.blocked().union(SigSet(action.sa_mask));
    if !flags.contains(ActionFlags::NODEFER) {
        mask.insert(signal);
    }
    caller.saved_mask = None;
    caller.set_blocked(mask);
    if caller.alternate_stack.ss_flags & SS_AUTODISARM != 0 {
        caller.alternate_stack = SigAltStack::DISABLED;
    }
}

fn build(caller: &mut Caller, signal: Signal, info: &SigInfo, action: &SigAction) -> Result<(), Errno> {
    let flags = ActionFlags::from_bits_retain(action.sa_flags);
    if !flags.contains(ActionFlags::RESTORER) {
        // x86-64 has no other way back (Linux: the same answer).
        return Err(Errno::EFAULT);
    }
    // The sequence must be left before its registers are saved: the handler may be interrupted for ever.
    crate::sequence::before_signal(caller)?;
    let extended_len = extended_len(caller);
    let registers = caller.context.registers().clone();
    let wants_alternate = flags.contains(ActionFlags::ONSTACK);
    let placement = place(registers.rsp, &caller.alternate_stack, wants_alternate, extended_len as u64)
        .ok_or(Errno::EFAULT)?;
    let mask = caller.saved_mask.unwrap_or(caller.task.blocked());
    let mut context = save(&registers);
    context.fpstate = placement.extended;
    context.oldmask = mask.0;
    let fault = caller.last_fault;
    context.err = fault.code;
    context.trapno = fault.vector;
    context.cr2 = fault.address;
    let frame = RtSigFrame {
        pretcode: action.sa_restorer,
        uc: UContext {
            uc_flags: UC_SIGCONTEXT_SS
                | UC_STRICT_RESTORE_SS
                | if extended_len > LEGACY_LEN { UC_FP_XSTATE } else { 0 },
            uc_link: 0,
            uc_stack: reported_stack(&caller.alternate_stack, registers.rsp),
            uc_mcontext: context,
            uc_sigmask: mask.0,
        },
        info: *info,
    };
    write_extended(caller, placement.extended)?;
    user::write_bytes(UserAddress(placement.frame as usize), frame.as_bytes())?;
    let registers = caller.context.registers_mut();
    registers.rdi = signal.number() as u64;
    registers.rsi = placement.frame + core::mem::offset_of!(RtSigFrame, info) as u64;
    registers.rdx = placement.frame + core::mem::offset_of!(RtSigFrame, uc) as u64;
    registers.rax = 0;
    registers.rip = action.sa_handler;
    registers.rsp = placement.frame;
    registers.rflags &= !CLEARED_FLAGS;
    Ok(())
}

/// The alternate stack as the program may see it: with the bit that says whether it is on it.
pub fn reported_stack(stack: &SigAltStack, stack_pointer: u64) -> SigAltStack {
    let mut reported = *stack;
    if stack.ss_flags & SS_DISABLE == 0 {
        let is_running_on = is_on(stack, stack_pointer) && stack.ss_flags & SS_AUTODISARM == 0;
        reported.ss_flags = stack.ss_flags & SS_AUTODISARM | if is_running_on { SS_ONSTACK } else { 0 };
    }
    reported
}

/// How many bytes the extended state takes in a frame: with XSAVE's components there is a second magic after them.
fn extended_len(caller: &mut Caller) -> usize {
    let state = caller.context.extended();
    let len = state.bytes().len();
    if is_extended(len, state.components()) { len + FP_XSTATE_MAGIC2_SIZE } else { len }
}

fn is_extended(len: usize, components: u64) -> bool {
    components != 0 && len > LEGACY_LEN
}

/// Writes the extended state into a frame: XSAVE's bytes with the software bytes filled in, and the second magic. In pieces, since a signal is
/// delivered without memory from the heap.
fn write_extended(caller: &mut Caller, at: u64) -> Result<(), Errno> {
    let state = caller.context.extended();
    let (bytes, components) = (state.bytes(), state.components());
    let to = |offset: usize| UserAddress(at as usize + offset);
    user::write_bytes(to(0), bytes)?;
    if is_extended(bytes.len(), components) {
        let software = SoftwareBytes {
            magic1: FP_XSTATE_MAGIC1,
            extended_size: (bytes.len() + FP_XSTATE_MAGIC2_SIZE) as u32,
            xfeatures: components,
            xstate_size: bytes.len() as u32,
            padding: [0; 7],
        };
        user::write_bytes(to(core::mem::offset_of!(FpState, sw_reserved)), software.as_bytes())?;
        user::write_bytes(to(bytes.len()), &FP_XSTATE_MAGIC2.to_ne_bytes())?;
    }
    Ok(())
}

fn save(from: &Registers) -> SigContext {
    SigContext {
        r8: from.r8,
        r9: from.r9,
        r10: from.r10,
        r11: from.r11,
        r12: from.r12,
        r13: from.r13,
        r14: from.r14,
        r15: from.r15,
        rdi: from.rdi,
        rsi: from.rsi,
        rbp: from.rbp,
        rbx: from.rbx,
        rdx: from.rdx,
        rax: from.rax,
        rcx: from.rcx,
        rsp: from.rsp,
        rip: from.rip,
        eflags: from.rflags,
        cs: USER_CODE,
        ss: USER_DATA,
        ..SigContext::default()
    }
}

fn restore(to: &mut Registers, from: &SigContext) {
    to.r8 = from.r8;
    to.r9 = from.r9;
    to.r10 = from.r10;
    to.r11 = from.r11;
    to.r12 = from.r12;
    to.r13 = from.r13;
    to.r14 = from.r14;
    to.r15 = from.r15;
    to.rdi = from.rdi;
    to.rsi = from.rsi;
    to.rbp = from.rbp;
    to.rbx = from.rbx;
    to.rdx = from.rdx;
    to.rax = from.rax;
    to.rcx = from.rcx;
    to.rsp = from.rsp;
    to.rip = from.rip;
    to.rflags = from.eflags;
}

/// rt_sigreturn(2): takes everything back from the frame below the stack pointer. A frame that cannot be read, or that holds an extended state that the processor would refuse, is
/// SIGSEGV. Returns the value of `rax`, which is not a call's result.
pub fn sigreturn(caller: &mut Caller) -> usize {
    match take_back(caller) {
        Ok(()) => caller.context.registers().rax as usize,
        Err(_) => {
            send::force(&caller.task.clone(), Signal::SIGSEGV, SigInfo::kernel(Signal::SIGSEGV));
            0
        }
    }
}

fn take_back(caller: &mut Caller) -> Result<(), Errno> {
    // The handler's return has taken the restorer's address off the stack.
    let start = caller.context.registers().rsp.checked_sub(8).ok_or(Errno::EFAULT)?;
    let frame: RtSigFrame = user::read_value(UserAddress(start as usize))?;
    let context = frame.uc.uc_mcontext;
    if context.fpstate == 0 {
        caller.context.extended().reset();
    } else {
        let image = read_extended(caller, context.fpstate)?;
        if !caller.context.extended().replace(&image) {
            return Err(Errno::EFAULT);
        }
    }
    restore(caller.context.registers_mut(), &context);
    // An alternate stack that cannot be set is the program's own doing and not told, as in Linux.
    let stack_pointer = caller.context.registers().rsp;
    let _ = set_alternate_stack(&mut caller.alternate_stack, frame.uc.uc_stack, stack_pointer);
    caller.interrupted = None;
    caller.set_blocked(SigSet(frame.uc.uc_sigmask));
    Ok(())
}

/// The extended state that a frame carries: with XSAVE's components where both magics are in place, else the legacy area alone.
fn read_extended(caller: &mut Caller, address: u64) -> Result<Vec<u8>, Errno> {
    let full_len = caller.context.extended().bytes().len();
    let address = UserAddress(address as usize);
    let legacy: FpState = user::read_value(address)?;
    let software = legacy.sw_reserved;
    let mut is_extended = software.magic1 == FP_XSTATE_MAGIC1 && software.xstate_size as usize == full_len;
    if is_extended {
        let magic = address.checked_add(full_len).ok_or(Errno::EFAULT)?;
        is_extended = user::read_value::<u32>(magic)? == FP_XSTATE_MAGIC2;
    }
    let len = if is_extended { full_len } else { LEGACY_LEN };
    let mut image = room_for_state(len)?;
    user::read_bytes(address, &mut image)?;
    Ok(image)
}

/// How often room for the state is asked for while there is a way to memory: a program that returns from a handler cannot be told of an error.
const STATE_ATTEMPTS: usize = 16;

fn room_for_state(len: usize) -> Result<Vec<u8>, Errno> {
    for _ in 0..STATE_ATTEMPTS {
        match try_filled(0, len) {
            Ok(room) => return Ok(room),
            Err(_) if memory::reclaim::make_room() => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(Errno::ENOMEM)
}

/// Sets the alternate stack (sigaltstack(2)): EPERM while the thread runs on it, EINVAL for flags that there are not, ENOMEM when it is too small.
pub fn set_alternate_stack(
    current: &mut SigAltStack,
    new: SigAltStack,
    stack_pointer: u64,
) -> Result<(), Errno> {
    if is_on(current, stack_pointer) && current.ss_flags & SS_AUTODISARM == 0 {
        return Err(Errno::EPERM);
    }
    let mode = new.ss_flags & !SS_AUTODISARM;
    if mode != 0 && mode != SS_ONSTACK && mode != SS_DISABLE {
        return Err(Errno::EINVAL);
    }
    if mode == SS_DISABLE {
        *current = SigAltStack { ss_flags: new.ss_flags, ..SigAltStack::DISABLED };
        return Ok(());
    }
    if new.ss_size < abi::signal::MINSIGSTKSZ {
        return Err(Errno::ENOMEM);
    }
    *current = SigAltStack { ss_flags: new.ss_flags & SS_AUTODISARM, ..new };
    Ok(())
}

//! Restartable sequences (rseq(2)): a thread always finds the number of its processor in its own memory, and a marked piece of code that
//! was interrupted in the middle begins again at its abort handler.
//!
//! Whether the thread has been switched away from since it last left the kernel is seen from its count of switches, tested with interrupts
//! held off immediately before the program is entered.

use abi::Errno;
use abi::rseq::{
    RSEQ_ALIGN, RSEQ_CPU_ID_UNINITIALIZED, RSEQ_FLAG_UNREGISTER, RSEQ_SIZE_MIN, Rseq, RseqCriticalSection,
};
use abi::signal::Signal;
use abi::signal::info::SigInfo;
use machine::address::{USER_END, UserAddress};
use memory::user;
use threads::Thread;
use zerocopy::FromZeros;

use crate::process::Caller;
use crate::signal::send;

/// The size that is accepted: AT_RSEQ_FEATURE_SIZE says how much of it means something.
const SIZE: u32 = RSEQ_SIZE_MIN;

/// A registration.
#[derive(Clone, Debug)]
pub struct Sequence {
    area: UserAddress,
    signature: u32,
    /// The thread's switches when the area was last brought up to date; none makes it out of date.
    switches: Option<(u64, u64)>,
}

impl Sequence {
    /// Whether the area must be brought up to date before the program goes on.
    #[inline]
    pub fn is_stale(&self, thread: &Thread) -> bool {
        self.switches != Some(thread.switches())
    }

    /// The copy of the registration that a child has with its copy of the memory.
    pub fn inherited(&self) -> Self {
        Self { switches: None, ..self.clone() }
    }
}

/// rseq(2).
pub fn register(
    caller: &mut Caller,
    area: UserAddress,
    len: u32,
    flags: u32,
    signature: u32,
) -> Result<(), Errno> {
    if flags & RSEQ_FLAG_UNREGISTER != 0 {
        return unregister(caller, area, len, flags, signature);
    }
    if flags != 0 {
        return Err(Errno::EINVAL);
    }
    if let Some(present) = &caller.sequence {
        if present.area != area || len != SIZE {
            return Err(Errno::EINVAL);
        }
        return Err(if present.signature == signature { Errno::EBUSY } else { Errno::EPERM });
    }
    if len != SIZE || !(area.0 as u64).is_multiple_of(RSEQ_ALIGN) {
        return Err(Errno::EINVAL);
    }
    if !area.is_user_range(len as usize) {
        return Err(Errno::EFAULT);
    }
    caller.sequence = Some(Sequence { area, signature, switches: None });
    Ok(())
}

fn unregister(
    caller: &mut Caller,
    area: UserAddress,
    len: u32,
    flags: u32,
    signature: u32,
) -> Result<(), Errno> {
    let present = caller.sequence.as_ref().ok_or(Errno::EINVAL)?;
    if flags != RSEQ_FLAG_UNREGISTER || present.area != area || len != SIZE {
        return Err(Errno::EINVAL);
    }
    if present.signature != signature {
        return Err(Errno::EPERM);
    }
    let reset = Rseq { cpu_id: RSEQ_CPU_ID_UNINITIALIZED, ..Rseq::new_zeroed() };
    user::write_value(area, &reset)?;
    caller.sequence = None;
    Ok(())
}

/// Brings the area up to date and leaves an interrupted section. An area or a section that makes no sense is SIGSEGV.
#[cold]
pub fn before_entry(caller: &mut Caller) {
    let Some(sequence) = &caller.sequence else { return };
    let area = sequence.area;
    let outcome = leave_section(caller).and_then(|()| {
        // Read again after anything that may have slept: the numbers must belong together.
        let switches = threads::current().switches();
        let cpu = machine::cpu::current() as u32;
        let mut rseq: Rseq = user::read_value(area)?;
        (rseq.cpu_id_start, rseq.cpu_id, rseq.node_id, rseq.mm_cid) = (cpu, cpu, 0, cpu);
        user::write_value(area, &rseq)?;
        if let Some(sequence) = &mut caller.sequence {
            sequence.switches = Some(switches);
        }
        Ok(())
    });
    if outcome.is_err() {
        caller.sequence = None;
        send::force(&caller.task, Signal::SIGSEGV, SigInfo::kernel(Signal::SIGSEGV));
    }
}

/// A handler is about to run: a section that it interrupts is left first.
pub fn before_signal(caller: &mut Caller) -> Result<(), Errno> {
    if caller.sequence.is_some() { leave_section(caller) } else { Ok(()) }
}

fn leave_section(caller: &mut Caller) -> Result<(), Errno> {
    let Some(sequence) = &caller.sequence else { return Ok(()) };
    let pointer = UserAddress(sequence.area.0 + core::mem::offset_of!(Rseq, rseq_cs));
    let section: u64 = user::read_value(pointer)?;
    if section == 0 {
        return Ok(());
    }
    let section: RseqCriticalSection = user::read_value(UserAddress(section as usize))?;
    let end = section.start_ip.checked_add(section.post_commit_offset).ok_or(Errno::EINVAL)?;
    let is_sane = section.version == 0
        && section.flags == 0
        && end < USER_END as u64
        && section.abort_ip < USER_END as u64
        && !(section.start_ip..end).contains(&section.abort_ip);
    if !is_sane {
        return Err(Errno::EINVAL);
    }
    let rip = caller.context.registers().rip;
    if (section.start_ip..end).contains(&rip) {
        let signature = section.abort_ip.checked_sub(4).ok_or(Errno::EINVAL)?;
        if user::read_value::<u32>(UserAddress(signature as usize))? != sequence.signature {
            return Err(Errno::EINVAL);
        }
        caller.context.registers_mut().rip = section.abort_ip;
    }
    user::write_value(pointer, &0u64)
}

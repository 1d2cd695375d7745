//! Signals read from a descriptor (signalfd(2)): whoever reads takes signals that wait for the reading thread or its process.

use alloc::sync::Arc;

use abi::Errno;
use abi::fcntl::OpenFlags;
use abi::notify::{SignalfdFlags, SignalfdSiginfo};
use abi::signal::info::{ChildFields, FaultFields, KillFields, PollFields, SI_TIMER, SigInfo, TimerFields};
use abi::signal::{SigSet, Signal};
use files::anonymous::AnonymousInode;
use files::{Abilities, File, OpenFile, Positioning, Transfer};
use machine::frame::OutOfMemory;
use machine::heap::try_arc;
use machine::sync::atomic::{AtomicU64, Ordering};
use memory::Sink;
use threads::poll::{Events, Pollable, Waiter};
use threads::{Wait, WaitError, WaitQueue};
use zerocopy::IntoBytes;

use crate::process::Task;

/// What a signal descriptor is open on: the set of signals.
struct SignalFile(AtomicU64);

/// A descriptor for the signals of `set`.
pub fn create(set: SigSet, flags: SignalfdFlags) -> Result<Arc<OpenFile>, OutOfMemory> {
    let mut open = OpenFlags::RDWR;
    open.set(OpenFlags::NONBLOCK, flags.contains(SignalfdFlags::NONBLOCK));
    let file = try_arc(SignalFile(AtomicU64::new(set.0)))?;
    OpenFile::anonymous(file, AnonymousInode::labelled("[signalfd]")?, open)
}

/// Gives a signal descriptor another set: EINVAL for a file that is none.
pub fn set(file: &OpenFile, set: SigSet) -> Result<(), Errno> {
    let any: &dyn core::any::Any = &**file.file();
    let signals = any.downcast_ref::<SignalFile>().ok_or(Errno::EINVAL)?;
    signals.0.store(set.0, Ordering::Relaxed);
    Ok(())
}

impl SignalFile {
    fn set(&self) -> SigSet {
        SigSet(self.0.load(Ordering::Relaxed))
    }

    fn take(&self, task: &Task) -> Option<(Signal, SigInfo)> {
        let own = task.pending.lock().take(self.set());
        own.or_else(|| task.process().state.lock().pending.take(self.set()))
    }
}

impl Pollable for SignalFile {
    fn poll(&self, interest: Events, waiter: Option<&mut Waiter>) -> Events {
        // Whoever polls sees its own signals, as in Linux.
        let Some(task) = Task::current() else { return Events::empty() };
        if let Some(waiter) = waiter {
            waiter.watch(&task.process().signal_arrived, Events::IN);
        }
        // One lock after the other: the two have the same rank.
        let own = task.pending.lock().set();
        let waiting = own.union(task.process().pending_set());
        let is_ready = !waiting.intersection(self.set()).is_empty();
        if is_ready { interest & (Events::IN | Events::RDNORM) } else { Events::empty() }
    }
}

impl File for SignalFile {
    fn positioning(&self) -> Positioning {
        Positioning::Nowhere
    }

    fn abilities(&self) -> Abilities {
        Abilities { writes: false, ..Abilities::UNSPLICED }
    }

    fn read(&self, into: &mut dyn Sink, how: &mut Transfer) -> Result<usize, Errno> {
        let size = size_of::<SignalfdSiginfo>();
        if into.remaining() < size {
            return Err(Errno::EINVAL);
        }
        let task = Task::current().ok_or(Errno::EINVAL)?;
        let mut done = 0;
        while into.remaining() >= size {
            let taken = match self.take(&task) {
                Some(taken) => Some(taken),
                None if done > 0 => None,
                None if how.is_nonblocking => return Err(Errno::EAGAIN),
                None => Some(self.wait(&task)?),
            };
            let Some((_, info)) = taken else { break };
            done += into.write(to_record(&info).as_bytes())?;
        }
        Ok(done)
    }
}

impl SignalFile {
    /// Sleeps until a signal of the set arrives. The senders wake the thread, since the signals are let through while it sleeps.
    fn wait(&self, task: &Task) -> Result<(Signal, SigInfo), Errno> {
        let blocked = task.blocked();
        task.set_blocked(blocked.difference(self.set()));
        let nobody = WaitQueue::new();
        let outcome = nobody.wait_until(Wait::INTERRUPTIBLE, || self.take(task));
        task.set_blocked(blocked);
        match outcome {
            Ok(taken) => Ok(taken),
            Err(WaitError::Interrupted | WaitError::TimedOut) => self.take(task).ok_or(Errno::EINTR),
        }
    }
}

/// The details of a signal in the form that is read.
fn to_record(info: &SigInfo) -> SignalfdSiginfo {
    let mut record = SignalfdSiginfo {
        ssi_signo: info.si_signo as u32,
        ssi_errno: info.si_errno,
        ssi_code: info.si_code,
        ..SignalfdSiginfo::default()
    };
    match Signal::new(info.si_signo) {
        _ if info.si_code == SI_TIMER => {
            let fields: TimerFields = info.fields_as().unwrap_or_default();
            record.ssi_tid = fields.si_tid as u32;
            record.ssi_overrun = fields.si_overrun as u32;
            record.ssi_ptr = fields.si_value;
            record.ssi_int = fields.si_value as i32;
        }
        Some(Signal::SIGCHLD) if info.si_code > 0 => {
            let fields: ChildFields = info.fields_as().unwrap_or_default();
            record.ssi_pid = fields.si_pid as u32;
            record.ssi_uid = fields.si_uid;
            record.ssi_status = fields.si_status;
            record.ssi_utime = fields.si_utime as u64;
            record.ssi_stime = fields.si_stime as u64;
        }
        Some(Signal::SIGIO) if info.si_code > 0 => {
            let fields: PollFields = info.fields_as().unwrap_or_default();
            record.ssi_band = fields.si_band as u32;
            record.ssi_fd = fields.si_fd;
        }
        Some(signal) if info.si_code > 0 && SigSet::SYNCHRONOUS.contains(signal) => {
            let fields: FaultFields = info.fields_as().unwrap_or_default();
            record.ssi_addr = fields.si_addr;
            record.ssi_addr_lsb = fields.si_addr_lsb as u16;
        }
        _ => {
            let fields: KillFields = info.fields_as().unwrap_or_default();
            record.ssi_pid = fields.si_pid as u32;
            record.ssi_uid = fields.si_uid;
            record.ssi_ptr = fields.si_value;
            record.ssi_int = fields.si_value as i32;
        }
    }
    record
}

//! Advisory locks on files: whole-file locks of an open file (flock(2)) and record locks of a process or an open file (fcntl(2)).
//!
//! | asked for \ held by another | shared | exclusive |
//! |---|---|---|
//! | shared | granted | waits, or EAGAIN |
//! | exclusive | waits, or EAGAIN | waits, or EAGAIN |
//!
//! The two families do not see each other, as in Linux. Whoever waits sleeps on the file's queue and tries again when a lock
//! of that file is released.

mod records;

use alloc::boxed::Box;
use alloc::vec::Vec;

use abi::Errno;
use machine::heap::{Grow, try_box};
use machine::sync::{Once, Rank, SpinLock};
use threads::{Wait, WaitQueue};

use records::Records;
pub use records::{LockKind, LockOwner, Range, Record};

/// One open file's lock on the whole file.
struct Whole {
    open_file: u64,
    kind: LockKind,
}

struct Inner {
    state: SpinLock<State>,
    released: WaitQueue,
}

struct State {
    whole: Vec<Whole>,
    records: Records,
}

/// The locks on one file. Takes no room until the first lock is asked for.
#[derive(Default)]
pub struct FileLocks(Once<Box<Inner>>);

/// Which process waits for which in a record lock, over all files: what deadlocks are found by.
static WAITING: SpinLock<Vec<(LockOwner, LockOwner)>> = SpinLock::new(Rank::Stream, Vec::new());

impl FileLocks {
    /// No locks.
    pub const fn new() -> Self {
        Self(Once::new())
    }

    fn inner(&self) -> Option<&Inner> {
        if let Some(inner) = self.0.get() {
            return Some(inner);
        }
        let state = State { whole: Vec::new(), records: Records::default() };
        let fresh = Inner { state: SpinLock::new(Rank::Inode, state), released: WaitQueue::new() };
        // Whoever loses the race uses the winner's.
        let _ = self.0.set(try_box(fresh).ok()?);
        self.0.get().map(|inner| &**inner)
    }

    /// flock(2): a lock of `kind` for the open file, in place of the one it has. Without `may_wait` EAGAIN where it would have
    /// to wait; EINTR; ENOLCK.
    pub fn lock_whole(&self, open_file: u64, kind: LockKind, may_wait: bool) -> Result<(), Errno> {
        let inner = self.inner().ok_or(Errno::ENOLCK)?;
        // A conversion gives the old lock up first, so another may get in between (flock(2)).
        let had_same = {
            let mut state = inner.state.lock();
            let had = state.whole.iter().position(|lock| lock.open_file == open_file);
            match had {
                Some(at) if state.whole.get(at).is_some_and(|lock| lock.kind == kind) => true,
                Some(at) => {
                    state.whole.swap_remove(at);
                    false
                }
                None => false,
            }
        };
        if had_same {
            return Ok(());
        }
        inner.released.wake_all();
        let attempt = || {
            let mut state = inner.state.lock();
            if state.whole.iter().any(|other| kind.conflicts(other.kind)) {
                return None;
            }
            if state.whole.try_grow(1).is_err() {
                return Some(Err(Errno::ENOLCK));
            }
            state.whole.push(Whole { open_file, kind });
            Some(Ok(()))
        };
        if !may_wait {
            return attempt().unwrap_or(Err(Errno::EAGAIN));
        }
        inner.released.wait_until(Wait::INTERRUPTIBLE, attempt).map_err(|_| Errno::EINTR)?
    }

    /// flock(2) with `LOCK_UN`; also done when the open file goes.
    pub fn release_open_file(&self, open_file: u64) {
        let Some(inner) = self.0.get() else { return };
        let changed = {
            let mut state = inner.state.lock();
            let before = state.whole.len();
            state.whole.retain(|lock| lock.open_file != open_file);
            let records = state.records.release(LockOwner::OpenFile(open_file));
            state.whole.len() != before || records
        };
        if changed {
            inner.released.wake_all();
        }
    }

    /// Only the whole-file lock of the open file ends (`LOCK_UN`).
    pub fn unlock_whole(&self, open_file: u64) {
        let Some(inner) = self.0.get() else { return };
        inner.state.lock().whole.retain(|lock| lock.open_file != open_file);
        inner.released.wake_all();
    }

    /// F_SETLK and F_SETLKW: a record lock. EAGAIN, EINTR, EDEADLK between processes, ENOLCK.
    pub fn lock_record(&self, record: Record, may_wait: bool) -> Result<(), Errno> {
        let inner = self.inner().ok_or(Errno::ENOLCK)?;
        let result = if may_wait {
            let attempt = || {
                forget_waiting(record.owner);
                let mut state = inner.state.lock();
                match state.records.conflict(&record).map(|other| other.owner) {
                    None => Some(state.records.insert(record)),
                    Some(other) => {
                        drop(state);
                        note_waiting(record.owner, other).err().map(Err)
                    }
                }
            };
            let waited = inner.released.wait_until(Wait::INTERRUPTIBLE, attempt);
            forget_waiting(record.owner);
            waited.map_err(|_| Errno::EINTR)?
        } else {
            let mut state = inner.state.lock();
            if state.records.conflict(&record).is_some() {
                Err(Errno::EAGAIN)
            } else {
                state.records.insert(record)
            }
        };
        // A lock that became shared where it was exclusive lets others in.
        inner.released.wake_all();
        result
    }

    /// F_SETLK with `F_UNLCK`: takes the owner's locks off a range. ENOLCK when a split finds no memory.
    pub fn unlock_record(&self, owner: LockOwner, range: Range) -> Result<(), Errno> {
        let Some(inner) = self.0.get() else { return Ok(()) };
        let result = inner.state.lock().records.remove(owner, range);
        inner.released.wake_all();
        result
    }

    /// F_GETLK: a lock that stands in the way of `record`.
    pub fn find_conflict(&self, record: &Record) -> Option<Record> {
        self.0.get()?.state.lock().records.conflict(record)
    }

    /// Takes all record locks of `owner` off the file.
    pub fn release_records(&self, owner: LockOwner) {
        let Some(inner) = self.0.get() else { return };
        let changed = inner.state.lock().records.release(owner);
        if changed {
            inner.released.wake_all();
        }
    }
}

fn forget_waiting(owner: LockOwner) {
    WAITING.lock().retain(|(waiter, _)| *waiter != owner);
}

/// Notes that `owner` waits for `holder`; EDEADLK when `holder` waits for `owner`, perhaps through others.
fn note_waiting(owner: LockOwner, holder: LockOwner) -> Result<(), Errno> {
    let LockOwner::Process(_) = owner else { return Ok(()) };
    let mut waiting = WAITING.lock();
    let mut at = holder;
    for _ in 0..=waiting.len() {
        if at == owner {
            return Err(Errno::EDEADLK);
        }
        match waiting.iter().find(|(waiter, _)| *waiter == at) {
            Some(&(_, next)) => at = next,
            None => break,
        }
    }
    waiting.try_grow(1).map_err(|_| Errno::ENOLCK)?;
    waiting.push((owner, holder));
    Ok(())
}

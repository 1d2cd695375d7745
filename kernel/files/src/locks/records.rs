//! The record locks on one file, as a list of ranges in order.

use alloc::vec::Vec;

use abi::Errno;
use arrayvec::ArrayVec;
use machine::heap::Grow;

/// How a lock is shared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockKind {
    /// With others that share.
    Shared,
    /// With nobody.
    Exclusive,
}

impl LockKind {
    /// Whether two locks of different owners cannot be held together.
    pub const fn conflicts(self, other: Self) -> bool {
        matches!(self, Self::Exclusive) || matches!(other, Self::Exclusive)
    }
}

/// Who holds a record lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LockOwner {
    /// A process (F_SETLK), by a number that its threads share and no other process has.
    Process(u64),
    /// An open file (F_OFD_SETLK), by its id.
    OpenFile(u64),
}

/// Bytes from `start` to `last`, both included; `u64::MAX` reaches to the end however far that moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The first byte.
    pub start: u64,
    /// The last byte.
    pub last: u64,
}

impl Range {
    /// The range that fcntl(2) means by a start that has been made absolute and a length, which may be negative (bytes
    /// before the start) or zero (to the end): EINVAL, EOVERFLOW.
    pub fn new(start: i64, len: i64) -> Result<Self, Errno> {
        if start < 0 {
            return Err(Errno::EINVAL);
        }
        let (first, last) = match len {
            0 => return Ok(Self { start: start as u64, last: u64::MAX }),
            1.. => (start, start.checked_add(len - 1).ok_or(Errno::EOVERFLOW)?),
            _ => (start.checked_add(len).ok_or(Errno::EINVAL)?, start - 1),
        };
        if first < 0 {
            return Err(Errno::EINVAL);
        }
        Ok(Self { start: first as u64, last: last as u64 })
    }

    const fn overlaps(self, other: Self) -> bool {
        self.start <= other.last && other.start <= self.last
    }

    /// Never: a range has a byte at least.
    pub const fn is_empty(self) -> bool {
        false
    }

    /// The length as fcntl(2) tells it: zero for a range without end.
    pub const fn len(self) -> i64 {
        if self.last == u64::MAX { 0 } else { (self.last - self.start) as i64 + 1 }
    }
}

/// A lock on a range of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// The bytes.
    pub range: Range,
    /// Shared or exclusive.
    pub kind: LockKind,
    /// Who holds it.
    pub owner: LockOwner,
    /// The process id that F_GETLK tells; -1 for a lock of an open file.
    pub pid: i32,
}

/// All record locks of a file. One owner's never overlap each other.
#[derive(Default)]
pub(super) struct Records(Vec<Record>);

impl Records {
    /// A lock of another owner that `wanted` cannot be held beside: the one that begins first.
    pub(super) fn conflict(&self, wanted: &Record) -> Option<Record> {
        self.0
            .iter()
            .filter(|held| {
                held.owner != wanted.owner
                    && held.kind.conflicts(wanted.kind)
                    && held.range.overlaps(wanted.range)
            })
            .min_by_key(|held| held.range.start)
            .copied()
    }

    /// Puts a lock in, over what its owner had there; equal neighbours become one.
    #[expect(clippy::disallowed_methods, reason = "into an array of its own size")]
    pub(super) fn insert(&mut self, mut new: Record) -> Result<(), Errno> {
        // At most one lock is split in two, and one is added.
        self.0.try_grow(2).map_err(|_| Errno::ENOLCK)?;
        self.remove(new.owner, new.range)?;
        let is_joined = |held: &Record| {
            held.owner == new.owner
                && held.kind == new.kind
                && (held.range.last.checked_add(1) == Some(new.range.start)
                    || new.range.last.checked_add(1) == Some(held.range.start))
        };
        // One before it and one behind it at the most.
        let neighbours: ArrayVec<Record, 2> = self.0.iter().copied().filter(is_joined).take(2).collect();
        for neighbour in neighbours {
            self.0.retain(|held| *held != neighbour);
            new.range.start = new.range.start.min(neighbour.range.start);
            new.range.last = new.range.last.max(neighbour.range.last);
        }
        self.0.push(new);
        Ok(())
    }

    /// Takes the owner's locks off a range; what sticks out of it stays.
    pub(super) fn remove(&mut self, owner: LockOwner, range: Range) -> Result<(), Errno> {
        self.0.try_grow(1).map_err(|_| Errno::ENOLCK)?;
        let mut split = None;
        self.0.retain_mut(|held| {
            if held.owner != owner || !held.range.overlaps(range) {
                return true;
            }
            let before = (held.range.start < range.start)
                .then(|| Range { start: held.range.start, last: range.start - 1 });
            let after = (held.range.last > range.last)
                .then(|| Range { start: range.last + 1, last: held.range.last });
            match (before, after) {
                (None, None) => return false,
                (Some(rest), None) | (None, Some(rest)) => held.range = rest,
                (Some(before), Some(after)) => {
                    split = Some(Record { range: after, ..*held });
                    held.range = before;
                }
            }
            true
        });
        self.0.extend(split);
        Ok(())
    }

    /// Takes all of the owner's locks off; whether there were any.
    pub(super) fn release(&mut self, owner: LockOwner) -> bool {
        let before = self.0.len();
        self.0.retain(|held| held.owner != owner);
        before != self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: LockOwner = LockOwner::Process(1);
    const YOU: LockOwner = LockOwner::Process(2);

    fn record(owner: LockOwner, kind: LockKind, start: u64, last: u64) -> Record {
        Record { range: Range { start, last }, kind, owner, pid: 0 }
    }

    #[test]
    fn unlocking_the_middle_of_a_lock_leaves_both_ends() {
        let mut records = Records::default();
        records.insert(record(ME, LockKind::Exclusive, 0, 99)).unwrap();
        records.remove(ME, Range { start: 40, last: 59 }).unwrap();
        let busy = |at| records.conflict(&record(YOU, LockKind::Shared, at, at)).is_some();
        assert!(busy(39) && !busy(40) && !busy(59) && busy(60));
    }

    #[test]
    fn neighbouring_locks_of_one_kind_become_one() {
        let mut records = Records::default();
        for (start, last) in [(0, 9), (20, 29), (10, 19)] {
            records.insert(record(ME, LockKind::Shared, start, last)).unwrap();
        }
        assert_eq!(records.0, [record(ME, LockKind::Shared, 0, 29)]);
    }

    #[test]
    fn an_owner_never_conflicts_with_itself_and_changes_the_kind_in_place() {
        let mut records = Records::default();
        records.insert(record(ME, LockKind::Shared, 0, 9)).unwrap();
        records.insert(record(ME, LockKind::Exclusive, 5, 5)).unwrap();
        assert_eq!(records.conflict(&record(YOU, LockKind::Shared, 0, 4)), None);
        assert!(records.conflict(&record(YOU, LockKind::Shared, 5, 5)).is_some());
    }

    #[test]
    fn ranges_follow_the_signs_of_fcntl() {
        assert_eq!(Range::new(10, 5), Ok(Range { start: 10, last: 14 }));
        assert_eq!(Range::new(10, -5), Ok(Range { start: 5, last: 9 }));
        assert_eq!(Range::new(10, 0), Ok(Range { start: 10, last: u64::MAX }));
        assert_eq!(Range::new(3, -5), Err(Errno::EINVAL));
        assert_eq!(Range::new(-1, 5), Err(Errno::EINVAL));
        assert_eq!(Range::new(i64::MAX, 2), Err(Errno::EOVERFLOW));
        assert_eq!(Range::new(7, i64::MIN), Err(Errno::EINVAL));
    }
}

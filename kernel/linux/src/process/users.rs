//! How many threads run as each user: what RLIMIT_NPROC is compared with.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;

use machine::frame::OutOfMemory;
use machine::heap::try_insert;
use machine::sync::{Rank, SpinLock};

use super::namespaces::Namespaces;

const SHARDS: usize = 16;

/// The users of a namespace that run anything.
pub struct Users {
    shards: [SpinLock<BTreeMap<u32, usize>>; SHARDS],
}

impl Users {
    /// Nobody.
    pub(super) const fn new() -> Self {
        Self { shards: [const { SpinLock::new(Rank::Table, BTreeMap::new()) }; SHARDS] }
    }

    fn shard(&self, uid: u32) -> &SpinLock<BTreeMap<u32, usize>> {
        &self.shards[uid as usize % SHARDS]
    }

    /// How many threads run as user `uid`, and processes that have ended and were not waited for.
    pub fn threads_of(&self, uid: u32) -> usize {
        self.shard(uid).lock().get(&uid).copied().unwrap_or(0)
    }
}

/// A thread's place among those of its user, given back when dropped.
pub struct Membership {
    namespaces: Arc<Namespaces>,
    uid: u32,
}

impl Membership {
    /// One more thread of user `uid`.
    pub fn new(namespaces: Arc<Namespaces>, uid: u32) -> Result<Self, OutOfMemory> {
        {
            let mut users = namespaces.users.shard(uid).lock();
            match users.get_mut(&uid) {
                Some(count) => *count += 1,
                None => drop(try_insert(&mut users, uid, 1)?),
            }
        }
        Ok(Self { namespaces, uid })
    }

    /// Whose it is.
    pub fn uid(&self) -> u32 {
        self.uid
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        let mut users = self.namespaces.users.shard(self.uid).lock();
        let left = users.get_mut(&self.uid).map(|count| {
            *count -= 1;
            *count
        });
        if left == Some(0) {
            users.remove(&self.uid);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_are_counted_for_their_user_until_they_go() {
        let namespaces = Namespaces::new();
        let first = Membership::new(namespaces.clone(), 7).unwrap();
        let second = Membership::new(namespaces.clone(), 7).unwrap();
        let other = Membership::new(namespaces.clone(), 7 + SHARDS as u32).unwrap();
        assert_eq!(namespaces.users.threads_of(7), 2);
        drop(first);
        assert_eq!((namespaces.users.threads_of(7), namespaces.users.threads_of(other.uid())), (1, 1));
        drop(second);
        assert_eq!(namespaces.users.threads_of(7), 0);
    }
}

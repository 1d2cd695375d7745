//! The entries of a tmpfs directory: by name for lookups, by position for readdir.
//!
//! Each entry gets the next position when it is made and keeps it, so a reader that stopped at a position goes on right
//! behind it, whatever has been made or removed meanwhile.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;

use abi::Errno;

use super::TmpfsNode;
use crate::name::{NameMap, reserve_name};

/// The first position behind `.` and `..`.
const FIRST: u64 = 2;

struct Slot {
    node: Arc<TmpfsNode>,
    position: u64,
}

/// Position, name and file of an entry.
pub(super) type Found<'a> = (u64, &'a Arc<[u8]>, &'a Arc<TmpfsNode>);

/// The entries of one directory.
pub(super) struct Entries {
    by_name: NameMap<Slot>,
    by_position: BTreeMap<u64, Arc<[u8]>>,
    next: u64,
}

impl Default for Entries {
    fn default() -> Self {
        Self { by_name: NameMap::default(), by_position: BTreeMap::new(), next: FIRST }
    }
}

impl Entries {
    pub(super) fn len(&self) -> usize {
        self.by_name.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    pub(super) fn get(&self, name: &[u8]) -> Option<&Arc<TmpfsNode>> {
        self.by_name.get(name).map(|slot| &slot.node)
    }

    /// Room for one more entry: ENOMEM (the directory's size is up to programs).
    pub(super) fn reserve(&mut self) -> Result<(), Errno> {
        Ok(reserve_name(&mut self.by_name)?)
    }

    /// Adds an entry whose name is not there, after [`reserve`](Self::reserve) and with an allowance.
    #[expect(clippy::disallowed_methods, reason = "the caller has an allowance")]
    pub(super) fn insert(&mut self, name: Arc<[u8]>, node: Arc<TmpfsNode>) {
        let position = self.next;
        self.next += 1;
        self.by_position.insert(position, Arc::clone(&name));
        self.by_name.insert(name, Slot { node, position });
    }

    pub(super) fn remove(&mut self, name: &[u8]) -> Option<Arc<TmpfsNode>> {
        let slot = self.by_name.remove(name)?;
        self.by_position.remove(&slot.position);
        Some(slot.node)
    }

    /// Puts another file in place of the one that has the name, at the same position; returns the old one.
    pub(super) fn replace(&mut self, name: &[u8], node: Arc<TmpfsNode>) -> Option<Arc<TmpfsNode>> {
        let slot = self.by_name.get_mut(name)?;
        Some(core::mem::replace(&mut slot.node, node))
    }

    /// The first entry at or after `position`.
    pub(super) fn at_or_after(&self, position: u64) -> Option<Found<'_>> {
        let (position, name) = self.by_position.range(position.max(FIRST)..).next()?;
        let slot = self.by_name.get(&**name)?;
        Some((*position, name, &slot.node))
    }

    /// All files, taken out.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Arc<TmpfsNode>> {
        self.by_position.clear();
        core::mem::take(&mut self.by_name).into_values().map(|slot| slot.node)
    }
}

//! Which address spaces map an object: the way from a page to the page tables it is in.

use alloc::collections::BTreeMap;
use alloc::sync::Weak;
use core::ops::Bound::{Excluded, Unbounded};
use core::sync::atomic::{AtomicUsize, Ordering};

use machine::sync::{Rank, SpinLock};

use crate::space::AddressSpace;

struct Mapper {
    space: Weak<AddressSpace>,
    /// How many areas of the space map the object.
    areas: usize,
}

/// The address spaces that map an object. Which addresses, their areas say.
pub(crate) struct Mappers {
    spaces: SpinLock<BTreeMap<u64, Mapper>>,
    /// Areas, in whatever space, through which the object may be stored to.
    writable: AtomicUsize,
}

impl Mappers {
    pub(super) const fn new() -> Self {
        Self { spaces: SpinLock::new(Rank::Object, BTreeMap::new()), writable: AtomicUsize::new(0) }
    }

    /// Notes one area more of space `id`, before any of its pages can be mapped.
    #[expect(clippy::disallowed_methods, reason = "a change of areas has an allowance")]
    pub(crate) fn add(&self, id: u64, space: &Weak<AddressSpace>, is_writable: bool) {
        if is_writable {
            self.writable.fetch_add(1, Ordering::SeqCst);
        }
        let mut spaces = self.spaces.lock();
        spaces.entry(id).or_insert_with(|| Mapper { space: space.clone(), areas: 0 }).areas += 1;
    }

    /// Notes one area less of space `id`, after its last page was unmapped.
    pub(crate) fn remove(&self, id: u64, is_writable: bool) {
        if is_writable {
            self.writable.fetch_sub(1, Ordering::SeqCst);
        }
        let mut spaces = self.spaces.lock();
        if let Some(mapper) = spaces.get_mut(&id) {
            mapper.areas -= 1;
            if mapper.areas == 0 {
                spaces.remove(&id);
            }
        }
    }

    /// Whether a program may store to the object through a mapping.
    pub(crate) fn may_be_written(&self) -> bool {
        self.writable.load(Ordering::SeqCst) > 0
    }

    /// Visits the spaces in order of id, with nothing held. A fork that comes meanwhile gives the child a higher id, so the child is visited as well.
    pub(crate) fn for_each(&self, mut visit: impl FnMut(&AddressSpace)) {
        let mut last = 0;
        loop {
            let next = {
                let spaces = self.spaces.lock();
                spaces
                    .range((Excluded(last), Unbounded))
                    .next()
                    .map(|(id, mapper)| (*id, mapper.space.clone()))
            };
            let Some((id, space)) = next else { return };
            last = id;
            if let Some(space) = Weak::upgrade(&space) {
                visit(&space);
            }
        }
    }
}

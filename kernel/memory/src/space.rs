//! An address space: areas, the page tables behind them, and the limits of both.
//!
//! # Locks
//!
//! | lock | kind | held for | taken by |
//! |---|---|---|---|
//! | `changes` | sleeping | a whole change of areas (mmap, munmap, mprotect, mremap, brk, fork), truncation's way through the page tables | changes, and a fault that makes a stack grow |
//! | `areas` | spin, `AddressSpace` | a look-up or one edit of the tree | faults, changes, /proc |
//! | a cursor | spin, `PageTable` | one leaf table's work | faults, changes, reclaim |
//!
//! Order: a file's own lock, `changes`, `areas`, an object's pages, a cursor. A fault looks its area up, gets the page with no lock held, takes the cursor, and maps only if `generation` says that no
//! area has changed since. (A stack that has to grow is the exception: that is a change.) A change edits the tree (which moves `generation`), then empties page tables under their cursors; so a page that was mapped before is found, and one that
//! comes later is not mapped. What a change takes out of the tree is dropped after `changes` is released: the last reference to a file may go with it.

mod advise;
mod edit;
mod fault;
mod fork;
mod heap;
mod lock;
mod map;
mod pages;
mod protect;
mod remap;
mod remote;
mod report;
mod reverse;

use alloc::sync::{Arc, Weak};
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use abi::Errno;
use abi::mman::MlockallFlags;
use machine::address::UserAddress;
use machine::heap::try_arc_cyclic;
use machine::paging::Space;
use machine::sync::{Rank, SpinLock};
use threads::Mutex;

use crate::account::{Account, Statistics};
use crate::area::{Area, AreaFlags, Backing};
use crate::layout::Layout;
use crate::tree::AreaTree;
use crate::{oom, overcommit};

pub use fault::FaultError;
pub use report::{AreaReport, PageUse};

/// The lowest address that is mapped without special rights (`vm.mmap_min_addr`).
pub const LOWEST_ADDRESS: usize = 0x1_0000;
/// The most areas (`vm.max_map_count`).
pub const MAX_AREAS: usize = 65_530;

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// What an address space may use, in bytes (getrlimit(2)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// All areas together (`RLIMIT_AS`).
    pub address_space: u64,
    /// Private writable areas and the heap (`RLIMIT_DATA`).
    pub data: u64,
    /// The stack (`RLIMIT_STACK`).
    pub stack: u64,
    /// Locked areas (`RLIMIT_MEMLOCK`); `u64::MAX` for who may lock all (`CAP_IPC_LOCK`).
    pub locked: u64,
    /// Whether areas may lie below [`LOWEST_ADDRESS`] (`CAP_SYS_RAWIO`).
    pub may_map_low: bool,
}

impl Limits {
    /// No limits but the lowest address.
    pub const NONE: Self = Self {
        address_space: u64::MAX,
        data: u64::MAX,
        stack: u64::MAX,
        locked: u64::MAX,
        may_map_low: false,
    };
}

/// What changes one after the other.
struct Changes {
    layout: Layout,
    /// Where the heap begins and ends.
    heap_start: usize,
    heap_end: usize,
    /// How new areas are locked (`MCL_FUTURE`, `MCL_ONFAULT`).
    future: MlockallFlags,
}

/// The memory of a program.
pub struct AddressSpace {
    id: u64,
    this: Weak<Self>,
    space: Arc<Space>,
    areas: SpinLock<AreaTree>,
    /// Moves with every edit of the areas.
    generation: AtomicU64,
    /// What was its own has been taken from it, as it is to end.
    is_emptied: AtomicBool,
    changes: Mutex<Changes>,
    limits: SpinLock<Limits>,
    account: Account,
}

impl AddressSpace {
    /// An empty address space.
    pub fn new(layout: Layout, limits: Limits) -> Result<Arc<Self>, Errno> {
        let changes = Changes { layout, heap_start: 0, heap_end: 0, future: MlockallFlags::empty() };
        Self::make(AreaTree::new(), changes, limits)
    }

    fn make(areas: AreaTree, changes: Changes, limits: Limits) -> Result<Arc<Self>, Errno> {
        let space = Space::new()?;
        Ok(try_arc_cyclic(|this| Self {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            this: this.clone(),
            space,
            areas: SpinLock::new(Rank::AddressSpace, areas),
            generation: AtomicU64::new(0),
            is_emptied: AtomicBool::new(false),
            changes: Mutex::new(changes),
            limits: SpinLock::new(Rank::AddressSpace, limits),
            account: Account::default(),
        })?)
    }

    /// The page tables, for the threads that run in them.
    pub fn space(&self) -> &Arc<Space> {
        &self.space
    }

    /// A number that no other address space has or will have.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Where things lie.
    pub fn layout(&self) -> Layout {
        self.changes.lock().layout
    }

    /// The limits in force.
    pub fn limits(&self) -> Limits {
        *self.limits.lock()
    }

    /// Sets the limits; what exceeds them already stays.
    pub fn set_limits(&self, limits: Limits) {
        *self.limits.lock() = limits;
    }

    /// What the space uses now.
    pub fn statistics(&self) -> Statistics {
        let areas = self.areas.lock().len();
        self.account.statistics(areas)
    }

    /// Begins `VmHWM` anew.
    pub fn reset_peak(&self) {
        self.account.reset_peak();
    }

    /// The area that holds `address`, and the generation in which it did.
    #[inline]
    fn find(&self, address: UserAddress) -> Option<(Arc<Area>, u64)> {
        let areas = self.areas.lock();
        let area = areas.find(address.0)?.clone();
        Some((area, self.generation.load(Ordering::Relaxed)))
    }

    /// Whether no area has changed since `generation`; asked under a cursor.
    #[inline]
    fn is_current(&self, generation: u64) -> bool {
        self.generation.load(Ordering::Acquire) == generation
    }

    /// The areas as they are now.
    fn snapshot(&self) -> AreaTree {
        self.areas.lock().clone()
    }

    /// Names the word at `address` to futex(2): alike in all who share the page. `is_private` skips the look at the area (`FUTEX_PRIVATE_FLAG`). `EFAULT` where nothing is mapped.
    pub fn futex_key(&self, address: UserAddress, is_private: bool) -> Result<(u64, u64), Errno> {
        // Spaces get even numbers, objects odd ones.
        let private = (self.id << 1, address.0 as u64);
        if is_private {
            return Ok(private);
        }
        let (area, _) = self.find(address).ok_or(Errno::EFAULT)?;
        match &area.backing {
            Backing::Object { object, .. } if area.is_shared() => {
                let offset = area.offset_bytes() + (address.0 - area.start) as u64;
                Ok((object.id() << 1 | 1, offset))
            }
            // A page that never changes wakes nobody.
            Backing::Anonymous if !area.protection.contains(crate::Protection::WRITE) => Err(Errno::EFAULT),
            _ => Ok(private),
        }
    }
}

impl Drop for AddressSpace {
    /// No thread runs here any more. Processors that idle with the tables still loaded let go of them; the tables then go in bulk, without a flush.
    fn drop(&mut self) {
        self.space.evict();
        let areas = core::mem::take(self.areas.get_mut());
        let mut promised = 0;
        for area in areas.range(0, usize::MAX) {
            if area.flags.contains(AreaFlags::ACCOUNTED) {
                promised += area.pages();
            }
            self.forget_object(area);
        }
        overcommit::uncharge(promised);
        oom::memory_was_freed();
    }
}

//! One entry of a page table (Intel SDM vol. 3, 4.5).

use core::sync::atomic::{AtomicU64, Ordering};

use bitflags::bitflags;

use crate::address::PhysicalAddress;
use crate::arch;
use crate::frame::Frame;

bitflags! {
    /// What a program may do with a page.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Protection: u8 {
        /// Load. Without it the frame stays in the entry, but every access faults (`PROT_NONE`).
        const READ = 1;
        /// Store. Implies load on this processor.
        const WRITE = 2;
        /// Fetch instructions. Implies load on this processor.
        const EXECUTE = 4;
    }
}

const PRESENT: u64 = 1 << 0;
const WRITABLE: u64 = 1 << 1;
const USER: u64 = 1 << 2;
const ACCESSED: u64 = 1 << 5;
const DIRTY: u64 = 1 << 6;
/// Left to software by the processor: the entry owns a frame, present or not.
const OWNED: u64 = 1 << 9;
const NO_EXECUTE: u64 = 1 << 63;
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

/// What an entry says about its page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// The frame.
    pub frame: PhysicalAddress,
    /// What the program may do.
    pub protection: Protection,
    /// Whether it has stored to the page since the bit was cleared.
    pub is_dirty: bool,
    /// Whether it has used the page since the bit was cleared.
    pub is_accessed: bool,
}

/// A value of an entry.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry(u64);

/// The place of an entry.
pub(crate) struct Slot(&'static AtomicU64);

impl Entry {
    /// Entry `index` of the table in the frame at `table`.
    pub(crate) fn slot(table: PhysicalAddress, index: usize) -> Slot {
        assert!(index < super::ENTRIES);
        let pointer = arch::physical_to_pointer(table).cast::<u64>();
        // SAFETY: this module only makes slots for frames that are page tables (the root of a `Space`, or
        // found in an entry of one above), which stay allocated until the space is dropped; the index is
        // inside. Entries are only accessed atomically, here and by the processor. The 'static never escapes
        // this module's calls, each of which borrows the space.
        Slot(unsafe { AtomicU64::from_ptr(pointer.add(index)) })
    }

    pub(crate) fn is_present(self) -> bool {
        self.0 & PRESENT != 0
    }

    pub(crate) fn is_owned(self) -> bool {
        self.0 & OWNED != 0
    }

    pub(crate) fn address(self) -> PhysicalAddress {
        PhysicalAddress(self.0 & ADDRESS)
    }

    /// A leaf entry that owns `frame`, which counts as one mapping more.
    pub(crate) fn leaf(frame: Frame, protection: Protection) -> Self {
        frame.record().maps.fetch_add(1, Ordering::Relaxed);
        Self(frame.into_raw().0 | OWNED).with(protection)
    }

    /// The same page with another protection.
    pub(crate) fn with(self, protection: Protection) -> Self {
        let mut bits = self.0 & !(PRESENT | WRITABLE | USER | NO_EXECUTE);
        if !protection.is_empty() {
            bits |= PRESENT | USER;
        }
        if protection.contains(Protection::WRITE) {
            bits |= WRITABLE;
        }
        if !protection.contains(Protection::EXECUTE) {
            bits |= NO_EXECUTE;
        }
        Self(bits)
    }

    pub(crate) fn protection(self) -> Protection {
        let mut protection = Protection::empty();
        protection.set(Protection::READ, self.0 & PRESENT != 0);
        protection.set(Protection::WRITE, self.0 & PRESENT != 0 && self.0 & WRITABLE != 0);
        protection.set(Protection::EXECUTE, self.0 & PRESENT != 0 && self.0 & NO_EXECUTE == 0);
        protection
    }

    pub(crate) fn mapping(self) -> Option<Mapping> {
        self.is_owned().then(|| Mapping {
            frame: self.address(),
            protection: self.protection(),
            is_dirty: self.0 & DIRTY != 0,
            is_accessed: self.0 & ACCESSED != 0,
        })
    }

    /// The frame of a leaf entry that has been taken out of its table.
    pub(crate) fn into_frame(self) -> Option<Frame> {
        self.is_owned().then(|| {
            // SAFETY: an entry with OWNED was made by `leaf` from `into_raw`; it has left its table (callers
            // got it from `take` or `replace`), so its reference is taken up once.
            let frame = unsafe { Frame::from_raw(self.address()) };
            frame.record().maps.fetch_sub(1, Ordering::Relaxed);
            frame
        })
    }

    /// Another reference to the frame of a leaf entry that stays in its (locked) table.
    pub(crate) fn share_frame(self) -> Option<Frame> {
        self.is_owned().then(|| {
            // SAFETY: the reference of the entry itself is alive while its table is locked; `forget` leaves
            // it there after the clone.
            let frame = core::mem::ManuallyDrop::new(unsafe { Frame::from_raw(self.address()) });
            Frame::clone(&frame)
        })
    }

    /// The table of an upper entry that has been taken out of its table.
    pub(crate) fn into_table(self) -> Frame {
        // SAFETY: a present upper entry was made by `install_table` from `into_raw`, and has been taken out.
        unsafe { Frame::from_raw(self.address()) }
    }
}

impl Slot {
    #[inline]
    pub(crate) fn load(&self) -> Entry {
        Entry(self.0.load(Ordering::Acquire))
    }

    /// Empties the slot.
    #[inline]
    pub(crate) fn take(&self) -> Entry {
        // An empty slot is left alone: bulk freeing visits many.
        if self.0.load(Ordering::Relaxed) == 0 { Entry(0) } else { Entry(self.0.swap(0, Ordering::AcqRel)) }
    }

    /// Puts an entry in; returns the one before. The swap keeps an accessed or dirty bit that the processor
    /// sets meanwhile.
    #[inline]
    pub(crate) fn replace(&self, entry: Entry) -> Entry {
        Entry(self.0.swap(entry.0, Ordering::AcqRel))
    }

    /// Changes the protection, keeping the bits that the processor sets; returns the entry before.
    pub(crate) fn protect(&self, protection: Protection) -> Entry {
        let mut old = self.load();
        loop {
            match self.0.compare_exchange_weak(
                old.0,
                old.with(protection).0,
                Ordering::AcqRel,
                Ordering::Acquire,
            ) {
                Ok(_) => return old,
                Err(now) => old = Entry(now),
            }
        }
    }

    /// Clears the dirty and/or accessed bit; returns the entry before.
    pub(crate) fn clear(&self, dirty: bool, accessed: bool) -> Entry {
        let bits = if dirty { DIRTY } else { 0 } | if accessed { ACCESSED } else { 0 };
        Entry(self.0.fetch_and(!bits, Ordering::AcqRel))
    }

    /// Marks a mapped page used, and stored to: what the software model of the hosted machine does in the
    /// processor's place.
    #[cfg_attr(target_os = "none", expect(dead_code, reason = "real processors set these bits themselves"))]
    pub(crate) fn mark(&self, is_store: bool) {
        self.0.fetch_or(if is_store { ACCESSED | DIRTY } else { ACCESSED }, Ordering::AcqRel);
    }

    /// Puts in a new lower table, unless another processor was quicker; returns the entry that is there now.
    pub(crate) fn install_table(&self, table: Frame) -> Entry {
        let address = table.into_raw();
        // Rights of upper entries are the widest; the leaf decides.
        let entry = address.0 | PRESENT | WRITABLE | USER;
        match self.0.compare_exchange(0, entry, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => Entry(entry),
            Err(other) => {
                // SAFETY: `address` came from `into_raw` just above and was not put anywhere.
                drop(unsafe { Frame::from_raw(address) });
                Entry(other)
            }
        }
    }
}

//! Frames: the pages of physical memory, each with a static record of who has it.
//!
//! A [`Frame`] is a counted reference to one frame of untyped memory: bytes that programs and devices may
//! change at any moment, so nobody ever gets a `&[u8]` to them; they are copied in and out. The allocator is
//! a buddy system with a small cache of single frames on each processor.
//!
//! ```text
//!   Frame::new ── per-CPU cache (up to 64) ── buddy free lists (order 0..=10) ── boot memory map
//! ```

mod buddy;
mod record;

use core::fmt;
use core::num::NonZeroU32;
use core::sync::atomic::{AtomicUsize, Ordering};

use crate::address::{PAGE_SHIFT, PAGE_SIZE, PhysicalAddress};
use crate::arch;
use crate::failure;
use crate::heap::last_frames;

pub use buddy::MAX_ORDER;
pub(crate) use buddy::{add_region, alloc_block, free_block, init_caches};
pub(crate) use record::{PAGE_TABLE_LOCK, Record, init_records, record, record_at};

/// No frame is free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfMemory;

impl fmt::Display for OutOfMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("out of memory")
    }
}

impl From<OutOfMemory> for abi::errno::Errno {
    fn from(_: OutOfMemory) -> Self {
        abi::errno::Errno::ENOMEM
    }
}

/// What a frame is used for. Counted, and shown in /proc/meminfo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Owner {
    /// In the allocator.
    Free = 0,
    /// The kernel's image, boot data and own page tables; never freed.
    Kernel,
    /// The kernel heap.
    Heap,
    /// Page tables of programs.
    PageTable,
    /// Anonymous memory of programs.
    User,
    /// Kernel stacks.
    Stack,
    /// Pages of files, disks and shared memory.
    Cache,
    /// Buffers shared with devices.
    Dma,
}

/// How many owners there are.
pub const OWNERS: usize = 8;

static COUNTS: [AtomicUsize; OWNERS] = [const { AtomicUsize::new(0) }; OWNERS];

/// Frames in use by `owner` (or free, for [`Owner::Free`]: those in the processors' caches are counted as
/// free).
pub fn count(owner: Owner) -> usize {
    COUNTS[owner as usize].load(Ordering::Relaxed)
}

/// Frames that the allocator was given at boot, plus those of the kernel.
pub fn total() -> usize {
    COUNTS.iter().map(|count| count.load(Ordering::Relaxed)).sum()
}

/// What the frame at `address` is used for: of a page seen through a [`Mapping`](crate::paging::Mapping),
/// whose table is still locked. Kernel where no memory is.
#[inline]
pub fn owner_at(address: PhysicalAddress) -> Owner {
    record_at(address.frame_number()).map_or(Owner::Kernel, Record::owner)
}

pub(crate) fn account(owner: Owner, from: Owner, frames: usize) {
    COUNTS[from as usize].fetch_sub(frames, Ordering::Relaxed);
    COUNTS[owner as usize].fetch_add(frames, Ordering::Relaxed);
}

pub(crate) fn account_new(owner: Owner, frames: usize) {
    COUNTS[owner as usize].fetch_add(frames, Ordering::Relaxed);
}

/// A counted reference to a frame of untyped memory. The frame goes back to the allocator with the last one.
#[derive(PartialEq, Eq)]
pub struct Frame {
    number: NonZeroU32,
}

impl Frame {
    /// A frame of zeroes.
    pub fn new(owner: Owner) -> Result<Self, OutOfMemory> {
        let frame = Self::new_dirty(owner)?;
        frame.zero();
        Ok(frame)
    }

    /// A frame that still holds what its last user left. The caller overwrites all of it before a program can
    /// see it. The last [`RESERVE_FRAMES`](crate::heap::RESERVE_FRAMES) are the kernel heap's, whose small allocations cannot fail.
    pub fn new_dirty(owner: Owner) -> Result<Self, OutOfMemory> {
        if failure::refuses() || owner != Owner::Heap && count(Owner::Free) <= last_frames() {
            return Err(OutOfMemory);
        }
        let number = buddy::alloc_frame()?;
        let record = record(number);
        record.refs.store(1, Ordering::Relaxed);
        record.maps.store(0, Ordering::Relaxed);
        record.flags.store(0, Ordering::Relaxed);
        record.lock.store(0, Ordering::Relaxed);
        record.owner.store(owner as u8, Ordering::Relaxed);
        record.object.store(0, Ordering::Relaxed);
        record.index.store(0, Ordering::Relaxed);
        account(owner, Owner::Free, 1);
        Ok(Self { number })
    }

    /// Gives up the handle without giving up the reference; [`from_raw`](Self::from_raw) takes it up again.
    pub(crate) fn into_raw(self) -> PhysicalAddress {
        let address = self.address();
        core::mem::forget(self);
        address
    }

    /// Takes up a reference that [`into_raw`](Self::into_raw) gave up.
    ///
    /// # Safety
    /// `address` came from `into_raw`, and its reference has not been taken up since.
    pub(crate) unsafe fn from_raw(address: PhysicalAddress) -> Self {
        match NonZeroU32::new(address.frame_number() as u32) {
            Some(number) => Self { number },
            None => unreachable!("frame 0 is never allocated"),
        }
    }

    /// A page of the kernel's image as a frame, whose memory stays the image's.
    ///
    /// # Safety
    /// `address` is that of a page of the image that holds nothing of which there are references but to atomics. Called once for
    /// each page; the handle that it returns is never dropped, so the page is never given to the allocator.
    #[cfg(target_os = "none")]
    pub(crate) unsafe fn of_image(address: PhysicalAddress) -> Self {
        match NonZeroU32::new(address.frame_number() as u32) {
            Some(number) => {
                record(number).refs.store(1, Ordering::Relaxed);
                Self { number }
            }
            None => unreachable!("the image does not begin at 0"),
        }
    }

    /// Where the frame is.
    #[inline]
    pub fn address(&self) -> PhysicalAddress {
        PhysicalAddress((self.number.get() as u64) << PAGE_SHIFT)
    }

    #[inline]
    pub(crate) fn record(&self) -> &'static Record {
        record(self.number)
    }

    /// How many references there are. Exact only while nobody else can make or drop one.
    #[inline]
    pub fn references(&self) -> u32 {
        self.record().refs.load(Ordering::Acquire)
    }

    /// Whether this is the only reference, so that nobody else can make another.
    #[inline]
    pub fn is_unique(&self) -> bool {
        self.references() == 1
    }

    /// In how many page tables the frame is mapped.
    #[inline]
    pub fn mappings(&self) -> u32 {
        self.record().maps.load(Ordering::Relaxed)
    }

    /// What the frame is used for.
    pub fn owner(&self) -> Owner {
        self.record().owner()
    }

    /// Changes what the frame is counted as.
    pub fn set_owner(&self, owner: Owner) {
        let old = self.record().replace_owner(owner);
        account(owner, old, 1);
    }

    /// Notes which object the frame belongs to, and at which page index of it.
    pub fn set_place(&self, object: u64, index: u64) {
        self.record().object.store(object, Ordering::Relaxed);
        self.record().index.store(index, Ordering::Relaxed);
    }

    /// The object and page index noted last; (0, 0) for none.
    pub fn place(&self) -> (u64, u64) {
        (self.record().object.load(Ordering::Relaxed), self.record().index.load(Ordering::Relaxed))
    }

    /// Sets the bits of `set` in the frame's 16 flags, which mean what the owner wants; returns what they
    /// were.
    #[inline]
    pub fn set_flags(&self, set: u16) -> u16 {
        self.record().flags.fetch_or(set, Ordering::AcqRel)
    }

    /// Clears the bits of `clear`; returns what they were.
    #[inline]
    pub fn clear_flags(&self, clear: u16) -> u16 {
        self.record().flags.fetch_and(!clear, Ordering::AcqRel)
    }

    /// The frame's flags.
    #[inline]
    pub fn flags(&self) -> u16 {
        self.record().flags.load(Ordering::Acquire)
    }

    fn bytes(&self) -> *mut u8 {
        arch::physical_to_pointer(self.address())
    }

    /// Copies bytes out, from `offset`; as many as there are up to the end of the frame. Returns how many.
    pub fn read(&self, offset: usize, into: &mut [u8]) -> usize {
        let len = into.len().min(PAGE_SIZE.saturating_sub(offset));
        // SAFETY: `offset + len` stays in this frame, which the handle keeps allocated, and `into` is a valid
        // slice of at least `len`. `arch::copy` is an opaque copy that tolerates bytes changing meanwhile.
        unsafe { arch::copy(into.as_mut_ptr(), self.bytes().wrapping_add(offset), len) };
        len
    }

    /// Copies bytes in, to `offset`; as many as fit up to the end of the frame. Returns how many.
    pub fn write(&self, offset: usize, from: &[u8]) -> usize {
        let len = from.len().min(PAGE_SIZE.saturating_sub(offset));
        // SAFETY: as in `read`; frames behind handles are untyped memory, of which nobody has a Rust
        // reference.
        unsafe { arch::copy(self.bytes().wrapping_add(offset), from.as_ptr(), len) };
        len
    }

    /// Makes the whole frame zero.
    pub fn zero(&self) {
        // SAFETY: the whole frame is ours to write as untyped memory (see `write`).
        unsafe { arch::zero(self.bytes(), PAGE_SIZE) };
    }

    /// Makes `len` bytes from `offset` zero, or as many as there are.
    pub fn zero_range(&self, offset: usize, len: usize) {
        let len = len.min(PAGE_SIZE.saturating_sub(offset));
        // SAFETY: `offset + len` stays in the frame (see `write`).
        unsafe { arch::zero(self.bytes().wrapping_add(offset), len) };
    }

    /// Copies the whole of another frame into this one.
    pub fn copy_from(&self, other: &Frame) {
        // SAFETY: both are whole frames of untyped memory, kept allocated by their handles.
        unsafe { arch::copy(self.bytes(), other.bytes(), PAGE_SIZE) };
    }

    /// Reads an aligned 32-bit word at `offset` in one piece (futexes in shared pages, device rings); `None`
    /// when out of range or unaligned.
    pub fn load_u32(&self, offset: usize) -> Option<u32> {
        if !offset.is_multiple_of(4) || offset > PAGE_SIZE - 4 {
            return None;
        }
        // SAFETY: aligned and inside the frame; an atomic access tolerates any other access at the same time.
        Some(
            unsafe { core::sync::atomic::AtomicU32::from_ptr(self.bytes().add(offset).cast()) }
                .load(Ordering::Acquire),
        )
    }

    pub(crate) fn pointer(&self) -> *mut u8 {
        self.bytes()
    }
}

impl Clone for Frame {
    #[inline]
    fn clone(&self) -> Self {
        let old = self.record().refs.fetch_add(1, Ordering::Relaxed);
        assert!(old < u32::MAX / 2, "a frame's reference count ran over");
        Self { number: self.number }
    }
}

impl Drop for Frame {
    #[inline]
    fn drop(&mut self) {
        let record = self.record();
        if record.refs.fetch_sub(1, Ordering::Release) == 1 {
            core::sync::atomic::fence(Ordering::Acquire);
            account(Owner::Free, record.replace_owner(Owner::Free), 1);
            buddy::free_frame(self.number);
        }
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Frame({:#x}, {:?}, {} references)", self.address().0, self.owner(), self.references())
    }
}

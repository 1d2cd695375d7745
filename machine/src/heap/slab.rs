//! Slabs: frames cut into objects of one size, with a magazine of free ones on each processor.
//!
//! A free object's first word links to the next one of its slab. What a slab knows of itself is in the record
//! of its frame, whose fields mean, while the heap owns it:
//!
//! | field | meaning |
//! |---|---|
//! | `object` | address of the first free object, 0: none |
//! | `index` | objects in use (those in magazines count as used) |
//! | `refs`, `maps` | next and previous slab with free objects of the same size, 0: none |
//! | `lock` | size class |
//!
//! A slab whose last object comes back gives its frame back.

use alloc::alloc::{GlobalAlloc, Layout};
use core::num::NonZeroU32;
use core::ptr;
use core::sync::atomic::Ordering;

use arrayvec::ArrayVec;

use crate::address::{PAGE_SHIFT, PAGE_SIZE, PhysicalAddress};
use crate::arch;
use crate::cpu::PerCpu;
use crate::frame::{self, Owner, Record};
use crate::heap::last_frames;
use crate::sync::{Irq, Rank, SpinLock, disable_preemption};

/// Object sizes, in bytes. Powers of two are aligned to themselves.
const SIZES: [usize; 14] = [16, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1344, 2048];
/// Free objects that a processor keeps of each size, and how many move at a time.
const MAGAZINE: usize = 32;
const BATCH: usize = 16;

/// An object that nobody uses.
#[derive(Clone, Copy)]
struct Free(*mut u8);

// SAFETY: a free object belongs to the one list or magazine that it is in.
unsafe impl Send for Free {}

/// The slabs of one size that have free objects: frame number of the first, 0: none.
struct Class {
    partial: u32,
    /// Objects in use, and frames cut.
    objects: usize,
    frames: usize,
}

type Magazines = [SpinLock<ArrayVec<Free, MAGAZINE>, Irq>; SIZES.len()];

static CLASSES: [SpinLock<Class, Irq>; SIZES.len()] =
    [const { SpinLock::new(Rank::Heap, Class { partial: 0, objects: 0, frames: 0 }) }; SIZES.len()];
static MAGAZINES: PerCpu<Magazines> = PerCpu::new();

/// The kernel's allocator.
struct Heap;

#[global_allocator]
static HEAP: Heap = Heap;

/// Makes the processors' magazines, when the processors have been counted.
pub(crate) fn init_magazines() {
    MAGAZINES.init(|_| [const { SpinLock::new(Rank::Heap, ArrayVec::new_const()) }; SIZES.len()]);
}

/// The class for a layout; `None`: it is too large for one.
#[inline]
fn class_of(layout: Layout) -> Option<usize> {
    let size = if layout.align() > 16 {
        layout.size().max(layout.align()).next_power_of_two()
    } else {
        layout.size()
    };
    // Sizes up to 64 are most of all requests.
    if size <= 64 {
        return Some(size.saturating_sub(1) / 16);
    }
    SIZES.iter().position(|&class| size <= class)
}

const _: () = assert!(SIZES[0] == 16 && SIZES[1] == 32 && SIZES[2] == 48 && SIZES[3] == 64);

/// The order of a block for a layout that has no class.
fn order_of(layout: Layout) -> usize {
    let len = layout.size().max(layout.align());
    len.div_ceil(PAGE_SIZE).next_power_of_two().trailing_zeros() as usize
}

/// Blocks of this order and above (32 KiB) are not small: whoever asks for one can be told that there is none.
const LARGE_ORDER: usize = 3;

/// Whether a block of this order leaves the reserve alone, as far as it has to.
fn leaves_reserve(order: usize) -> bool {
    order < LARGE_ORDER || frame::count(Owner::Free) >= (1 << order) + last_frames()
}

fn number_of(object: *mut u8) -> usize {
    arch::pointer_to_physical(object).frame_number()
}

fn slab(number: u32) -> &'static Record {
    match NonZeroU32::new(number) {
        Some(number) => frame::record(number),
        None => unreachable!("frame 0 is no slab"),
    }
}

impl Class {
    fn link(&mut self, number: u32) {
        let record = slab(number);
        record.refs.store(self.partial, Ordering::Relaxed);
        record.maps.store(0, Ordering::Relaxed);
        if self.partial != 0 {
            slab(self.partial).maps.store(number, Ordering::Relaxed);
        }
        self.partial = number;
    }

    fn unlink(&mut self, number: u32) {
        let record = slab(number);
        let next = record.refs.load(Ordering::Relaxed);
        let previous = record.maps.load(Ordering::Relaxed);
        if previous == 0 {
            self.partial = next;
        } else {
            slab(previous).refs.store(next, Ordering::Relaxed);
        }
        if next != 0 {
            slab(next).maps.store(previous, Ordering::Relaxed);
        }
    }

    /// Cuts a new frame into objects.
    fn grow(&mut self, class: usize) -> bool {
        let Ok(number) = frame::alloc_block(0, Owner::Heap) else { return false };
        let base = arch::physical_to_pointer(PhysicalAddress((number as u64) << PAGE_SHIFT));
        let size = SIZES[class];
        let mut first = ptr::null_mut::<u8>();
        for offset in (0..PAGE_SIZE / size).rev().map(|index| index * size) {
            let object = base.wrapping_add(offset);
            // SAFETY: the object lies in the frame that was just allocated, aligned to 16.
            unsafe { object.cast::<*mut u8>().write(first) };
            first = object;
        }
        let record = slab(number as u32);
        record.object.store(first as u64, Ordering::Relaxed);
        record.index.store(0, Ordering::Relaxed);
        record.lock.store(class as u32, Ordering::Relaxed);
        self.link(number as u32);
        self.frames += 1;
        true
    }

    fn take(&mut self, class: usize) -> Option<Free> {
        if self.partial == 0 && !self.grow(class) {
            return None;
        }
        let number = self.partial;
        let record = slab(number);
        let object = record.object.load(Ordering::Relaxed) as *mut u8;
        // SAFETY: a slab on the list has a first free object, which holds the link to the next; the lock of
        // the class is held.
        let next = unsafe { object.cast::<*mut u8>().read() };
        record.object.store(next as u64, Ordering::Relaxed);
        record.index.fetch_add(1, Ordering::Relaxed);
        if next.is_null() {
            self.unlink(number);
        }
        self.objects += 1;
        Some(Free(object))
    }

    fn put(&mut self, object: Free) {
        let number = number_of(object.0) as u32;
        let record = slab(number);
        let first = record.object.load(Ordering::Relaxed);
        self.objects -= 1;
        if record.index.fetch_sub(1, Ordering::Relaxed) == 1 {
            if first != 0 {
                self.unlink(number);
            }
            record.lock.store(0, Ordering::Relaxed);
            self.frames -= 1;
            frame::free_block(number as usize, 0, Owner::Heap);
            return;
        }
        // SAFETY: the object is free and belongs to the caller; its slab's lock is held.
        unsafe { object.0.cast::<u64>().write(first) };
        record.object.store(object.0 as u64, Ordering::Relaxed);
        if first == 0 {
            self.link(number);
        }
    }
}

fn alloc_small(class: usize) -> Option<Free> {
    let guard = disable_preemption();
    if !MAGAZINES.is_ready() {
        return CLASSES[class].lock().take(class);
    }
    let mut magazine = MAGAZINES.get(&guard)[class].lock();
    if let Some(object) = magazine.pop() {
        return Some(object);
    }
    let mut slabs = CLASSES[class].lock_nested();
    // What lies ready here is out of others' reach: when frames are few, no more than is wanted now.
    let batch = if frame::count(Owner::Free) > last_frames() { BATCH } else { 1 };
    for _ in 0..batch {
        match slabs.take(class) {
            Some(object) => magazine.push(object),
            None => break,
        }
    }
    drop(slabs);
    magazine.pop()
}

fn free_small(class: usize, object: Free) {
    let guard = disable_preemption();
    if !MAGAZINES.is_ready() {
        CLASSES[class].lock().put(object);
        return;
    }
    let mut magazine = MAGAZINES.get(&guard)[class].lock();
    if magazine.is_full() {
        let mut slabs = CLASSES[class].lock_nested();
        for object in magazine.drain(..BATCH) {
            slabs.put(object);
        }
    }
    magazine.push(object);
}

/// Gives the free objects in the magazines back to their slabs, so that frames in use can be compared.
pub fn trim() {
    for magazines in MAGAZINES.all() {
        for (class, magazine) in magazines.iter().enumerate() {
            let mut magazine = magazine.lock();
            let mut slabs = CLASSES[class].lock_nested();
            for object in magazine.drain(..) {
                slabs.put(object);
            }
        }
    }
}

/// Bytes given out, with what lies in magazines.
pub fn used_bytes() -> usize {
    let mut bytes = frame::count(Owner::Heap) * PAGE_SIZE;
    for (class, size) in CLASSES.iter().zip(SIZES) {
        let class = class.lock();
        bytes = bytes.saturating_sub(class.frames * PAGE_SIZE) + class.objects * size;
    }
    bytes
}

// SAFETY: an object of a class is at least as large as the layout, aligned to 16 or (powers of two) to its
// size, and in one place at a time: used, in a magazine, or in a slab's list. Larger ones are blocks of their
// own, aligned to their size.
unsafe impl GlobalAlloc for Heap {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match class_of(layout) {
            Some(class) => alloc_small(class).map_or(ptr::null_mut(), |object| object.0),
            None if !leaves_reserve(order_of(layout)) => ptr::null_mut(),
            None => match frame::alloc_block(order_of(layout), Owner::Heap) {
                Ok(number) => arch::physical_to_pointer(PhysicalAddress((number as u64) << PAGE_SHIFT)),
                Err(_) => ptr::null_mut(),
            },
        }
    }

    #[inline]
    unsafe fn dealloc(&self, object: *mut u8, layout: Layout) {
        match class_of(layout) {
            Some(class) => free_small(class, Free(object)),
            None => frame::free_block(number_of(object), order_of(layout), Owner::Heap),
        }
    }

    unsafe fn realloc(&self, object: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        let Ok(new_layout) = Layout::from_size_align(new_size, layout.align()) else {
            return ptr::null_mut();
        };
        let is_same_place = match (class_of(layout), class_of(new_layout)) {
            (Some(old), Some(new)) => old == new,
            (None, None) => order_of(layout) == order_of(new_layout),
            _ => false,
        };
        if is_same_place {
            return object;
        }
        // SAFETY: the new layout has a size, as the caller promises of `new_size`; both objects hold the
        // bytes copied; the old one was allocated with `layout`.
        unsafe {
            let fresh = self.alloc(new_layout);
            if !fresh.is_null() {
                ptr::copy_nonoverlapping(object, fresh, layout.size().min(new_size));
                self.dealloc(object, layout);
            }
            fresh
        }
    }
}

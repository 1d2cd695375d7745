//! Growing on behalf of a program: every request of the heap that a program can cause says when there is no memory for it.
//!
//! Stable Rust can refuse to reserve room in a vector, but not to make a box, a counted object or a node of a tree. These are
//! small, and the last [`RESERVE_FRAMES`] are left to what is small: so they are asked for before ([`request`]) and made after, and
//! nobody else gets between, since the processor stays with who asks. Work that makes several things and cannot stop in the
//! middle has them promised before it begins: an [`Allowance`].

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::String;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::fmt;
use core::sync::atomic::{AtomicUsize, Ordering};

use super::RESERVE_FRAMES;
use crate::address::PAGE_SIZE;
use crate::failure;
use crate::frame::{self, OutOfMemory, Owner};
use crate::sync::{PreemptGuard, disable_preemption};

/// Entries of a node of the standard library's tree, and what else is in one, as far as its size matters here.
const TREE_ENTRIES: usize = 11;
const TREE_REST: usize = 128;

/// Frames that are promised to work that is under way.
static PROMISED: AtomicUsize = AtomicUsize::new(0);

/// The number of free frames from which on there is none for whoever can be told so.
#[inline]
pub(crate) fn last_frames() -> usize {
    RESERVE_FRAMES + PROMISED.load(Ordering::Relaxed)
}

/// Whether a small object may be made now: for containers that are not known here, before they grow.
#[inline]
pub fn request() -> Result<(), OutOfMemory> {
    // On the host frames are the arena's, and the heap is another's.
    let is_short = cfg!(target_os = "none") && frame::count(Owner::Free) <= last_frames();
    if failure::refuses() || is_short { Err(OutOfMemory) } else { Ok(()) }
}

/// Memory for small objects that is kept from everybody else: while it lasts, as much as was asked for can be made in ways that cannot
/// fail. Not to be held by who sleeps for long.
#[derive(Debug)]
pub struct Allowance(usize);

impl Allowance {
    /// Promises `frames` frames' worth of small objects.
    pub fn of(frames: usize) -> Result<Self, OutOfMemory> {
        PROMISED.fetch_add(frames, Ordering::Relaxed);
        let allowance = Self(frames);
        request()?;
        Ok(allowance)
    }
}

impl Drop for Allowance {
    fn drop(&mut self) {
        PROMISED.fetch_sub(self.0, Ordering::Relaxed);
    }
}

/// Keeps the processor between the request and what is made: on the host nobody else takes frames for it.
#[inline]
fn hold() -> Option<PreemptGuard> {
    cfg!(target_os = "none").then(disable_preemption)
}

// Of the functions below, those that take a value drop it when there is no memory: after the processor has been let go, since
// that may take long.

/// A box with `value`.
#[inline]
pub fn try_box<T>(value: T) -> Result<Box<T>, OutOfMemory> {
    const { assert!(size_of::<T>() <= PAGE_SIZE, "larger ones may find no block: use a vector") };
    let _guard = hold();
    request()?;
    Ok(Box::new(value))
}

/// A counted object.
#[inline]
pub fn try_arc<T>(value: T) -> Result<Arc<T>, OutOfMemory> {
    const { assert!(size_of::<T>() <= PAGE_SIZE - 64, "larger ones may find no block: use a vector") };
    let _guard = hold();
    request()?;
    Ok(Arc::new(value))
}

/// A counted object that knows itself.
#[inline]
pub fn try_arc_cyclic<T>(make: impl FnOnce(&Weak<T>) -> T) -> Result<Arc<T>, OutOfMemory> {
    const { assert!(size_of::<T>() <= PAGE_SIZE - 64, "larger ones may find no block: use a vector") };
    let mut guard = hold();
    request()?;
    // The object's memory is taken before `make` runs, which may sleep.
    Ok(Arc::new_cyclic(|this| {
        guard.take();
        make(this)
    }))
}

/// A counted copy of a slice, of a page at the most.
pub fn try_arc_slice<T: Copy>(slice: &[T]) -> Result<Arc<[T]>, OutOfMemory> {
    let _guard = hold();
    request()?;
    if size_of_val(slice) > PAGE_SIZE { Err(OutOfMemory) } else { Ok(Arc::from(slice)) }
}

/// A copy of a slice.
pub fn try_to_vec<T: Copy>(slice: &[T]) -> Result<Vec<T>, OutOfMemory> {
    let mut copy = Vec::new();
    copy.try_extend(slice)?;
    Ok(copy)
}

/// `len` elements that are all `value`.
pub fn try_filled<T: Clone>(value: T, len: usize) -> Result<Vec<T>, OutOfMemory> {
    let mut all = Vec::new();
    all.try_grow_exact(len)?;
    all.resize(len, value);
    Ok(all)
}

/// A vector of what an iterator gives.
pub fn try_collect<T>(items: impl IntoIterator<Item = T>) -> Result<Vec<T>, OutOfMemory> {
    let items = items.into_iter();
    let mut all = Vec::new();
    all.try_grow(items.size_hint().0)?;
    for item in items {
        all.try_push(item)?;
    }
    Ok(all)
}

/// Text from what `format_args!` makes.
pub fn try_format(arguments: fmt::Arguments<'_>) -> Result<String, OutOfMemory> {
    let mut text = Growing(String::new());
    fmt::write(&mut text, arguments).map_err(|_| OutOfMemory)?;
    Ok(text.0)
}

/// Inserts into a tree, and returns what was in its place; what was there stays when there is no memory.
pub fn try_insert<K: Ord, V>(map: &mut BTreeMap<K, V>, key: K, value: V) -> Result<Option<V>, OutOfMemory> {
    const { assert!(TREE_ENTRIES * (size_of::<K>() + size_of::<V>()) + TREE_REST <= PAGE_SIZE) };
    let _guard = hold();
    request()?;
    Ok(map.insert(key, value))
}

/// Text that says when it cannot grow.
struct Growing(String);

impl fmt::Write for Growing {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.0.capacity() - self.0.len() < text.len() {
            request().map_err(|_| fmt::Error)?;
            self.0.try_reserve(text.len()).map_err(|_| fmt::Error)?;
        }
        self.0.push_str(text);
        Ok(())
    }
}

/// What can be given room for more, or be told that there is none.
pub trait Grow {
    /// What is in it.
    type Item;

    /// Makes room for `additional` more.
    fn try_grow(&mut self, additional: usize) -> Result<(), OutOfMemory>;

    /// Makes room for `additional` more and for none besides.
    fn try_grow_exact(&mut self, additional: usize) -> Result<(), OutOfMemory>;

    /// Puts `item` behind the others.
    fn try_push(&mut self, item: Self::Item) -> Result<(), OutOfMemory>;

    /// Puts a copy of `items` behind the others.
    fn try_extend(&mut self, items: &[Self::Item]) -> Result<(), OutOfMemory>
    where
        Self::Item: Copy;
}

macro_rules! grow {
    ($container:ident, $push:ident) => {
        impl<T> Grow for $container<T> {
            type Item = T;

            #[inline]
            fn try_grow(&mut self, additional: usize) -> Result<(), OutOfMemory> {
                if self.capacity() - self.len() >= additional {
                    return Ok(());
                }
                request()?;
                self.try_reserve(additional).map_err(|_| OutOfMemory)
            }

            #[inline]
            fn try_grow_exact(&mut self, additional: usize) -> Result<(), OutOfMemory> {
                if self.capacity() - self.len() >= additional {
                    return Ok(());
                }
                request()?;
                self.try_reserve_exact(additional).map_err(|_| OutOfMemory)
            }

            #[inline]
            fn try_push(&mut self, item: T) -> Result<(), OutOfMemory> {
                self.try_grow(1)?;
                self.$push(item);
                Ok(())
            }

            #[inline]
            fn try_extend(&mut self, items: &[T]) -> Result<(), OutOfMemory>
            where
                T: Copy,
            {
                self.try_grow(items.len())?;
                self.extend(items);
                Ok(())
            }
        }
    };
}

grow!(Vec, push);
grow!(VecDeque, push_back);

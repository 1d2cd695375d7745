//! Intrusive doubly linked lists of shared things.
//!
//! The links are in the items, so putting one in a list allocates nothing and taking it out of the middle
//! searches nothing. A list owns a reference to each of its items. An item can be in as many lists at once
//! as it has [`Link`]s, told apart by a tag type.
//!
//! What keeps this safe: a link notes the list that it is in. It is claimed with an atomic exchange when
//! its item is pushed, and from then on its pointers are only used through `&mut` to that very list.

use alloc::sync::Arc;
use core::cell::UnsafeCell;
use core::marker::PhantomData;
use core::ptr::null;
use core::sync::atomic::{AtomicU64, Ordering};

/// An item that can be in a list of tag `Tag`.
pub trait Linked<Tag>: Sized + Send + Sync {
    /// The link in this item.
    fn link(&self) -> &Link<Self, Tag>;
}

/// The place in an item by which it is in a list.
pub struct Link<T, Tag> {
    /// The number of the list; 0: none.
    list: AtomicU64,
    pointers: UnsafeCell<Pointers<T, Tag>>,
    tag: PhantomData<fn() -> Tag>,
}

struct Pointers<T, Tag> {
    previous: *const Link<T, Tag>,
    next: *const Link<T, Tag>,
    /// The item, as made by `Arc::into_raw`; the list owns that reference.
    item: *const T,
}

// SAFETY: the pointers are only used through `&mut List` of the list whose number the link carries; that
// one, and the references it owns, may be used from any thread when items may be shared.
unsafe impl<T: Send + Sync, Tag> Sync for Link<T, Tag> {}
// SAFETY: a link that is moved is in no list, since a list's reference keeps its item in place.
unsafe impl<T: Send + Sync, Tag> Send for Link<T, Tag> {}

impl<T, Tag> Link<T, Tag> {
    /// A link that is in no list.
    pub const fn new() -> Self {
        let pointers = Pointers { previous: null(), next: null(), item: null() };
        Self { list: AtomicU64::new(0), pointers: UnsafeCell::new(pointers), tag: PhantomData }
    }

    /// Whether the item is in some list by this link. Stale at once unless the caller holds the lock of the
    /// list that it may be in.
    #[inline]
    pub fn is_linked(&self) -> bool {
        self.list.load(Ordering::Acquire) != 0
    }
}

impl<T, Tag> Default for Link<T, Tag> {
    fn default() -> Self {
        Self::new()
    }
}

/// Numbers for containers, each given once.
pub(crate) fn next_number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// A list that owns a reference to each of its items.
pub struct List<T: Linked<Tag>, Tag> {
    /// Given with the first item, so that an empty list can be a constant; 0 before.
    number: u64,
    first: *const Link<T, Tag>,
    last: *const Link<T, Tag>,
    len: usize,
}

// SAFETY: a list is its items' references and links, which may be used from any thread when items may be
// shared.
unsafe impl<T: Linked<Tag>, Tag> Send for List<T, Tag> {}
// SAFETY: `&List` only gives `&T`.
unsafe impl<T: Linked<Tag>, Tag> Sync for List<T, Tag> {}

impl<T: Linked<Tag>, Tag> List<T, Tag> {
    /// An empty list.
    pub const fn new() -> Self {
        Self { number: 0, first: null(), last: null(), len: 0 }
    }

    /// How many items there are.
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.first.is_null()
    }

    /// Puts `item` at the end; gives it back if it is in a list already.
    #[inline]
    pub fn push_back(&mut self, item: Arc<T>) -> Result<(), Arc<T>> {
        let last = self.last;
        self.insert(item, last, null())
    }

    /// Puts `item` at the front; gives it back if it is in a list already.
    #[inline]
    pub fn push_front(&mut self, item: Arc<T>) -> Result<(), Arc<T>> {
        let first = self.first;
        self.insert(item, null(), first)
    }

    fn insert(
        &mut self,
        item: Arc<T>,
        previous: *const Link<T, Tag>,
        next: *const Link<T, Tag>,
    ) -> Result<(), Arc<T>> {
        if self.number == 0 {
            self.number = next_number();
        }
        let link = item.link();
        if link.list.compare_exchange(0, self.number, Ordering::Acquire, Ordering::Relaxed).is_err() {
            return Err(item);
        }
        let link = core::ptr::from_ref(link);
        let pointers = Pointers { previous, next, item: Arc::into_raw(item) };
        // SAFETY: the exchange gave this link to this list, of which we have `&mut`. It lives in (or as
        // long as) the item, to which the list owns a reference from here on.
        unsafe { *(*link).pointers.get() = pointers };
        // SAFETY: links in this list are alive and ours.
        match unsafe { previous.as_ref() } {
            // SAFETY: as above.
            Some(previous) => unsafe { (*previous.pointers.get()).next = link },
            None => self.first = link,
        }
        // SAFETY: links in this list are alive and ours.
        match unsafe { next.as_ref() } {
            // SAFETY: as above.
            Some(next) => unsafe { (*next.pointers.get()).previous = link },
            None => self.last = link,
        }
        self.len += 1;
        Ok(())
    }

    /// Takes the first item out.
    #[inline]
    pub fn pop_front(&mut self) -> Option<Arc<T>> {
        // SAFETY: links in this list are alive and ours.
        let first = unsafe { self.first.as_ref() }?;
        Some(self.unlink(first))
    }

    /// Takes `item` out of this list; `None` if it is not in it.
    #[inline]
    pub fn remove(&mut self, item: &T) -> Option<Arc<T>> {
        let link = item.link();
        let is_here = self.number != 0 && link.list.load(Ordering::Acquire) == self.number;
        is_here.then(|| self.unlink(link))
    }

    /// Whether `item` is in this list.
    #[inline]
    pub fn contains(&self, item: &T) -> bool {
        self.number != 0 && item.link().list.load(Ordering::Acquire) == self.number
    }

    /// Takes out a link that is in this list.
    fn unlink(&mut self, link: &Link<T, Tag>) -> Arc<T> {
        // SAFETY: the link is in this list (callers checked), and so are its neighbours; we have `&mut` to
        // the list.
        unsafe {
            let Pointers { previous, next, item } = core::mem::replace(
                &mut *link.pointers.get(),
                Pointers { previous: null(), next: null(), item: null() },
            );
            match previous.as_ref() {
                Some(previous) => (*previous.pointers.get()).next = next,
                None => self.first = next,
            }
            match next.as_ref() {
                Some(next) => (*next.pointers.get()).previous = previous,
                None => self.last = previous,
            }
            self.len -= 1;
            link.list.store(0, Ordering::Release);
            // The reference that `insert` gave up.
            Arc::from_raw(item)
        }
    }

    /// The first item.
    pub fn front(&self) -> Option<&T> {
        self.iter().next()
    }

    /// The items, from the first to the last.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        let mut at = self.first;
        core::iter::from_fn(move || {
            // SAFETY: links and items in this list are alive, and the list cannot change while it is
            // borrowed.
            unsafe {
                let link = at.as_ref()?;
                let pointers = &*link.pointers.get();
                at = pointers.next;
                Some(&*pointers.item)
            }
        })
    }
}

impl<T: Linked<Tag>, Tag> Default for List<T, Tag> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Linked<Tag>, Tag> Drop for List<T, Tag> {
    fn drop(&mut self) {
        while self.pop_front().is_some() {}
    }
}

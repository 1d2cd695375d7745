//! Intrusive ordered trees of shared things, which also find the first item whose second value does not
//! pass a limit.
//!
//! For run queues (ordered by virtual deadline, limited by virtual run time), timers and futex buckets. As
//! with [`list`](crate::list), links are in the items, nothing is allocated, and what keeps it safe is that
//! a link notes its tree. The tree is a treap (Seidel and Aragon 1996): a binary search tree by key and a
//! heap by pseudo-random priority, so that its depth is logarithmic whatever the keys are.

use alloc::sync::Arc;
use core::cell::UnsafeCell;
use core::marker::PhantomData;
use core::ops::ControlFlow;
use core::ptr::{null, null_mut};
use core::sync::atomic::{AtomicU64, Ordering};

use crate::list::next_number;

/// An item that can be in a tree of tag `Tag`.
pub trait Rooted<Tag>: Sized + Send + Sync {
    /// What the tree is ordered by. Items of equal keys stay in the order in which they were put in.
    type Key: Copy + Ord;
    /// What [`Tree::pop_first_within`] compares with its limit.
    type Value: Copy + Ord;
    /// The node in this item.
    fn node(&self) -> &Node<Self, Tag>;
}

/// The place in an item by which it is in a tree.
pub struct Node<T: Rooted<Tag>, Tag> {
    /// The number of the tree; 0: none.
    tree: AtomicU64,
    fields: UnsafeCell<Option<Fields<T, Tag>>>,
    tag: PhantomData<fn() -> Tag>,
}

struct Fields<T: Rooted<Tag>, Tag> {
    key: T::Key,
    value: T::Value,
    /// The least value in the part of the tree that hangs from here.
    least: T::Value,
    priority: u64,
    left: Pointer<T, Tag>,
    right: Pointer<T, Tag>,
    parent: Pointer<T, Tag>,
    /// The item, as made by `Arc::into_raw`; the tree owns that reference.
    item: *const T,
}

type Pointer<T, Tag> = *const Node<T, Tag>;

// SAFETY: the fields are only used through `&mut Tree` (or, to read, `&Tree`) of the tree whose number the
// node carries.
unsafe impl<T: Rooted<Tag>, Tag> Sync for Node<T, Tag>
where
    T::Key: Send + Sync,
    T::Value: Send + Sync,
{
}
// SAFETY: a node that is moved is in no tree, since a tree's reference keeps its item in place.
unsafe impl<T: Rooted<Tag>, Tag> Send for Node<T, Tag>
where
    T::Key: Send,
    T::Value: Send,
{
}

impl<T: Rooted<Tag>, Tag> Node<T, Tag> {
    /// A node that is in no tree.
    pub const fn new() -> Self {
        Self { tree: AtomicU64::new(0), fields: UnsafeCell::new(None), tag: PhantomData }
    }

    /// Whether the item is in some tree by this node. Stale at once unless the caller holds the lock of the
    /// tree that it may be in.
    #[inline]
    pub fn is_rooted(&self) -> bool {
        self.tree.load(Ordering::Acquire) != 0
    }
}

impl<T: Rooted<Tag>, Tag> Default for Node<T, Tag> {
    fn default() -> Self {
        Self::new()
    }
}

/// A tree that owns a reference to each of its items.
pub struct Tree<T: Rooted<Tag>, Tag> {
    /// Given with the first item, so that an empty tree can be a constant; 0 before.
    number: u64,
    root: Pointer<T, Tag>,
    len: usize,
    /// How many items have been put in, to make priorities of.
    inserted: u64,
}

// SAFETY: a tree is its items' references and nodes, which may be used from any thread when items may be
// shared.
unsafe impl<T: Rooted<Tag>, Tag> Send for Tree<T, Tag>
where
    T::Key: Send,
    T::Value: Send,
{
}
// SAFETY: `&Tree` only gives `&T` and copies of keys.
unsafe impl<T: Rooted<Tag>, Tag> Sync for Tree<T, Tag>
where
    T::Key: Sync,
    T::Value: Sync,
{
}

/// The fields of a node that is in the tree at hand.
///
/// # Safety
/// `node` is in a tree to which the caller has `&mut`, and no other reference to these fields is in use.
#[inline]
unsafe fn fields<'a, T: Rooted<Tag>, Tag>(node: Pointer<T, Tag>) -> &'a mut Fields<T, Tag> {
    // SAFETY: nodes in a tree are alive, since the tree owns a reference to their items; the rest is the
    // caller's.
    match unsafe { &mut *(*node).fields.get() } {
        Some(fields) => fields,
        None => unreachable!("a node in a tree has its fields"),
    }
}

/// As [`fields`], to look.
///
/// # Safety
/// `node` is in a tree that is borrowed, so that nobody changes these fields.
#[inline]
unsafe fn seen<'a, T: Rooted<Tag>, Tag>(node: Pointer<T, Tag>) -> &'a Fields<T, Tag> {
    // SAFETY: as in `fields`.
    match unsafe { &*(*node).fields.get() } {
        Some(fields) => fields,
        None => unreachable!("a node in a tree has its fields"),
    }
}

impl<T: Rooted<Tag>, Tag> Tree<T, Tag> {
    /// An empty tree.
    pub const fn new() -> Self {
        Self { number: 0, root: null(), len: 0, inserted: 0 }
    }

    /// How many items there are.
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.root.is_null()
    }

    /// Puts `item` in; gives it back if it is in a tree already.
    pub fn insert(&mut self, item: Arc<T>, key: T::Key, value: T::Value) -> Result<(), Arc<T>> {
        if self.number == 0 {
            self.number = next_number();
        }
        let node = item.node();
        if node.tree.compare_exchange(0, self.number, Ordering::Acquire, Ordering::Relaxed).is_err() {
            return Err(item);
        }
        self.inserted += 1;
        // Fibonacci hashing spreads consecutive numbers evenly.
        let priority = self
            .inserted
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .rotate_left(32)
            .wrapping_mul(0xd6e8_feb8_6659_fd93);
        let node: Pointer<T, Tag> = node;
        let item = Arc::into_raw(item);
        let mut parent = null();
        let mut at = self.root;
        let mut is_left = false;
        // SAFETY: the exchange gave `node` to this tree, of which we have `&mut`; every other node visited
        // is in the tree. No two references to the same fields are held at a time.
        unsafe {
            while !at.is_null() {
                let above = fields(at);
                above.least = above.least.min(value);
                parent = at;
                is_left = key < above.key;
                at = if is_left { above.left } else { above.right };
            }
            *(*node).fields.get() = Some(Fields {
                key,
                value,
                least: value,
                priority,
                left: null(),
                right: null(),
                parent,
                item,
            });
            self.set_child(parent, is_left, node);
            while !parent.is_null() && fields(parent).priority < priority {
                self.rotate_up(node);
                parent = fields(node).parent;
            }
        }
        self.len += 1;
        Ok(())
    }

    /// Hangs `child` (which may be null) below `parent`, or makes it the root.
    ///
    /// # Safety
    /// Both are in this tree or null.
    unsafe fn set_child(&mut self, parent: Pointer<T, Tag>, is_left: bool, child: Pointer<T, Tag>) {
        // SAFETY: the caller's.
        unsafe {
            if parent.is_null() {
                self.root = child;
            } else if is_left {
                fields(parent).left = child;
            } else {
                fields(parent).right = child;
            }
            if !child.is_null() {
                fields(child).parent = parent;
            }
        }
    }

    /// Exchanges a node with its parent, keeping the order.
    ///
    /// # Safety
    /// `node` is in this tree and not its root.
    unsafe fn rotate_up(&mut self, node: Pointer<T, Tag>) {
        // SAFETY: the caller's; parents and children of nodes in the tree are in it.
        unsafe {
            let parent = fields(node).parent;
            let above = fields(parent).parent;
            let is_left = fields(parent).left == node;
            let was_left = !above.is_null() && fields(above).left == parent;
            let inner = if is_left { fields(node).right } else { fields(node).left };
            self.set_child(parent, is_left, inner);
            self.set_child(node, !is_left, parent);
            self.set_child(above, was_left, node);
            self.update(parent);
            self.update(node);
        }
    }

    /// Computes the least value below a node anew.
    ///
    /// # Safety
    /// `node` is in this tree.
    unsafe fn update(&mut self, node: Pointer<T, Tag>) {
        // SAFETY: the caller's.
        unsafe {
            let (left, right) = (fields(node).left, fields(node).right);
            let mut least = fields(node).value;
            for child in [left, right] {
                if !child.is_null() {
                    least = least.min(fields(child).least);
                }
            }
            fields(node).least = least;
        }
    }

    /// Takes `item` out of this tree; `None` if it is not in it.
    pub fn remove(&mut self, item: &T) -> Option<Arc<T>> {
        // SAFETY: `contains` says that the node is in this tree.
        self.contains(item).then(|| unsafe { self.unroot(item.node()) })
    }

    /// Whether `item` is in this tree.
    #[inline]
    pub fn contains(&self, item: &T) -> bool {
        self.number != 0 && item.node().tree.load(Ordering::Acquire) == self.number
    }

    /// Takes a node out.
    ///
    /// # Safety
    /// `node` is in this tree.
    unsafe fn unroot(&mut self, node: Pointer<T, Tag>) -> Arc<T> {
        // SAFETY: the caller's; all others are reached from it.
        unsafe {
            loop {
                let (left, right) = (fields(node).left, fields(node).right);
                if left.is_null() || right.is_null() {
                    let child = if left.is_null() { right } else { left };
                    let parent = fields(node).parent;
                    let is_left = !parent.is_null() && fields(parent).left == node;
                    self.set_child(parent, is_left, child);
                    let mut at = parent;
                    while !at.is_null() {
                        self.update(at);
                        at = fields(at).parent;
                    }
                    break;
                }
                let higher = if fields(left).priority > fields(right).priority { left } else { right };
                self.rotate_up(higher);
            }
            self.len -= 1;
            let item = fields(node).item;
            *(*node).fields.get() = None;
            (*node).tree.store(0, Ordering::Release);
            // The reference that `insert` gave up.
            Arc::from_raw(item)
        }
    }

    fn leftmost(&self) -> Pointer<T, Tag> {
        let mut at = self.root;
        // SAFETY: nodes reached from the root are in this tree, which is borrowed.
        unsafe {
            while !at.is_null() && !seen(at).left.is_null() {
                at = seen(at).left;
            }
        }
        at
    }

    /// The item with the least key, and that key.
    #[inline]
    pub fn first(&self) -> Option<(&T, T::Key)> {
        let first = self.leftmost();
        // SAFETY: the node is null or in this tree, and its item is alive as long as it is.
        unsafe { (!first.is_null()).then(|| (&*seen(first).item, seen(first).key)) }
    }

    /// The least of all items' values.
    #[inline]
    pub fn least_value(&self) -> Option<T::Value> {
        // SAFETY: the root is null or in this tree.
        unsafe { (!self.root.is_null()).then(|| seen(self.root).least) }
    }

    /// Takes out the item with the least key.
    pub fn pop_first(&mut self) -> Option<Arc<T>> {
        let first = self.leftmost();
        // SAFETY: the node is null or in this tree.
        unsafe { (!first.is_null()).then(|| self.unroot(first)) }
    }

    /// Takes out the item with the least key if that is not above `limit`.
    pub fn pop_first_until(&mut self, limit: T::Key) -> Option<Arc<T>> {
        let first = self.leftmost();
        // SAFETY: the node is null or in this tree.
        unsafe { (!first.is_null() && fields(first).key <= limit).then(|| self.unroot(first)) }
    }

    fn first_within(&self, limit: T::Value) -> Pointer<T, Tag> {
        let mut at = self.root;
        // SAFETY: nodes reached from the root are in this tree, which is borrowed.
        unsafe {
            if at.is_null() || seen(at).least > limit {
                return null_mut();
            }
            loop {
                let left = seen(at).left;
                if !left.is_null() && seen(left).least <= limit {
                    at = left;
                } else if seen(at).value <= limit {
                    return at;
                } else {
                    // Something below is within the limit, and it is neither to the left nor here.
                    at = seen(at).right;
                }
            }
        }
    }

    /// The item with the least key of those whose value is not above `limit`, and that key.
    pub fn find_first_within(&self, limit: T::Value) -> Option<(&T, T::Key)> {
        let found = self.first_within(limit);
        // SAFETY: as in `first`.
        unsafe { (!found.is_null()).then(|| (&*seen(found).item, seen(found).key)) }
    }

    /// Takes out the item with the least key of those whose value is not above `limit`.
    pub fn pop_first_within(&mut self, limit: T::Value) -> Option<Arc<T>> {
        let found = self.first_within(limit);
        // SAFETY: the node is null or in this tree.
        unsafe { (!found.is_null()).then(|| self.unroot(found)) }
    }

    /// Looks at the items in order, from the first whose key is not below `from`, and takes out the first
    /// for which `look` breaks with `true`; nothing when it breaks with `false` or never.
    pub fn pop_where(
        &mut self,
        from: Option<T::Key>,
        mut look: impl FnMut(&T, T::Key) -> ControlFlow<bool>,
    ) -> Option<Arc<T>> {
        let mut at = self.first_from(from);
        while !at.is_null() {
            // SAFETY: nodes reached from one in this tree are in it; the item lives as long as its node is.
            unsafe {
                match look(&*seen(at).item, seen(at).key) {
                    ControlFlow::Break(true) => return Some(self.unroot(at)),
                    ControlFlow::Break(false) => return None,
                    ControlFlow::Continue(()) => at = Self::successor(at),
                }
            }
        }
        None
    }

    fn first_from(&self, from: Option<T::Key>) -> Pointer<T, Tag> {
        let mut at = null();
        let mut below = self.root;
        // SAFETY: nodes reached from the root are in this tree, which is borrowed.
        unsafe {
            while !below.is_null() {
                if from.is_some_and(|from| seen(below).key < from) {
                    below = seen(below).right;
                } else {
                    at = below;
                    below = seen(below).left;
                }
            }
        }
        at
    }

    /// The items whose key is not below `from`, in order.
    pub fn iter_from(&self, from: Option<T::Key>) -> impl Iterator<Item = (&T, T::Key)> {
        let mut at = self.first_from(from);
        core::iter::from_fn(move || {
            if at.is_null() {
                return None;
            }
            // SAFETY: as above; the item lives as long as its node is in the tree.
            unsafe {
                let found = (&*seen(at).item, seen(at).key);
                at = Self::successor(at);
                Some(found)
            }
        })
    }

    /// # Safety
    /// `node` is in a tree that is borrowed.
    unsafe fn successor(node: Pointer<T, Tag>) -> Pointer<T, Tag> {
        // SAFETY: the caller's.
        unsafe {
            let mut at = seen(node).right;
            if at.is_null() {
                let mut child = node;
                at = seen(node).parent;
                while !at.is_null() && seen(at).right == child {
                    child = at;
                    at = seen(at).parent;
                }
            } else {
                while !seen(at).left.is_null() {
                    at = seen(at).left;
                }
            }
            at
        }
    }
}

impl<T: Rooted<Tag>, Tag> Default for Tree<T, Tag> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Rooted<Tag>, Tag> Drop for Tree<T, Tag> {
    fn drop(&mut self) {
        while !self.root.is_null() {
            // SAFETY: the root is in this tree.
            drop(unsafe { self.unroot(self.root) });
        }
    }
}

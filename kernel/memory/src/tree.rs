//! The areas of an address space by address: a balanced tree that can be copied in one step.
//!
//! An AVL tree of reference-counted nodes. A change copies the nodes on its path only where somebody else (a fork, a reader of /proc) holds them too, so a snapshot
//! costs one reference and a fork's child begins with its parent's tree. Each node knows the largest gap between the areas below it, so that a free place
//! is found without visiting them all. The recursion is as deep as the tree: 24 for the 65,530 areas that a program may have.

use alloc::sync::Arc;

use crate::area::Area;

type Link = Option<Arc<Node>>;

#[derive(Clone)]
struct Node {
    area: Arc<Area>,
    left: Link,
    right: Link,
    height: u8,
    /// How many areas.
    count: u32,
    /// Where the first area begins, or a stack's guard gap that reaches lower; where the last ends.
    first: usize,
    last: usize,
    /// The largest gap between two areas here.
    gap: usize,
}

/// Areas that do not overlap, in order of address.
#[derive(Clone, Default)]
pub(crate) struct AreaTree {
    root: Link,
}

fn height(link: &Link) -> u8 {
    link.as_ref().map_or(0, |node| node.height)
}

impl Node {
    fn leaf(area: Arc<Area>) -> Self {
        let (first, last) = (area.guarded_start(), area.end);
        Self { area, left: None, right: None, height: 1, count: 1, first, last, gap: 0 }
    }

    /// Where free space below this area and all above it ends.
    fn bound(&self) -> usize {
        let start = self.area.guarded_start();
        self.right.as_ref().map_or(start, |right| start.min(right.first))
    }

    /// Brings what the node knows about its subtrees up to date.
    fn update(&mut self) {
        let start = self.bound();
        (self.height, self.count, self.gap) = (0, 1, 0);
        (self.first, self.last) = (start, self.area.end);
        if let Some(right) = &self.right {
            self.height = right.height;
            self.count += right.count;
            self.last = right.last;
            self.gap = right.gap.max(right.first.saturating_sub(self.area.end));
        }
        if let Some(left) = &self.left {
            self.height = self.height.max(left.height);
            self.count += left.count;
            self.first = start.min(left.first);
            self.gap = self.gap.max(left.gap).max(start.saturating_sub(left.last));
        }
        self.height += 1;
    }
}

/// Brings a node up to date after a change below it, and back into balance.
fn settle(link: &mut Arc<Node>) {
    let node = Arc::make_mut(link);
    node.update();
    if height(&node.left).abs_diff(height(&node.right)) > 1 {
        balance(link);
    }
}

/// Makes the left child the root.
fn rotate_right(link: &mut Arc<Node>) {
    let node = Arc::make_mut(link);
    let Some(mut left) = node.left.take() else { return };
    node.left = Arc::make_mut(&mut left).right.take();
    node.update();
    core::mem::swap(link, &mut left);
    let root = Arc::make_mut(link);
    root.right = Some(left);
    root.update();
}

/// Makes the right child the root.
fn rotate_left(link: &mut Arc<Node>) {
    let node = Arc::make_mut(link);
    let Some(mut right) = node.right.take() else { return };
    node.right = Arc::make_mut(&mut right).left.take();
    node.update();
    core::mem::swap(link, &mut right);
    let root = Arc::make_mut(link);
    root.left = Some(right);
    root.update();
}

/// Restores the balance of a node whose subtrees are balanced and differ by two levels.
fn balance(link: &mut Arc<Node>) {
    let node = Arc::make_mut(link);
    let (left, right) = (height(&node.left), height(&node.right));
    if left > right + 1 {
        if let Some(child) = &mut node.left
            && height(&child.left) < height(&child.right)
        {
            rotate_left(child);
        }
        rotate_right(link);
    } else if right > left + 1 {
        if let Some(child) = &mut node.right
            && height(&child.right) < height(&child.left)
        {
            rotate_right(child);
        }
        rotate_left(link);
    }
}

#[expect(clippy::disallowed_methods, reason = "a change of areas has an allowance")]
fn insert(link: &mut Link, area: Arc<Area>) {
    match link {
        None => *link = Some(Arc::new(Node::leaf(area))),
        Some(arc) => {
            let node = Arc::make_mut(arc);
            let side = if area.start < node.area.start { &mut node.left } else { &mut node.right };
            insert(side, area);
            node.update();
            if height(&node.left).abs_diff(height(&node.right)) > 1 {
                balance(arc);
            }
        }
    }
}

fn remove(link: &mut Link, start: usize) -> Option<Arc<Area>> {
    let arc = link.as_mut()?;
    let node = Arc::make_mut(arc);
    let removed = if start < node.area.start {
        remove(&mut node.left, start)
    } else if start > node.area.start {
        remove(&mut node.right, start)
    } else {
        match (node.left.take(), node.right.take()) {
            (None, None) => return link.take().map(|arc| Arc::clone(&arc.area)),
            (Some(only), None) | (None, Some(only)) => {
                let removed = Arc::clone(&node.area);
                *arc = only;
                return Some(removed);
            }
            (left, right) => {
                (node.left, node.right) = (left, right);
                let next = remove_first(&mut node.right)?;
                Some(core::mem::replace(&mut node.area, next))
            }
        }
    };
    settle(arc);
    removed
}

fn remove_first(link: &mut Link) -> Option<Arc<Area>> {
    let arc = link.as_mut()?;
    let node = Arc::make_mut(arc);
    if node.left.is_some() {
        let removed = remove_first(&mut node.left);
        settle(arc);
        return removed;
    }
    let area = Arc::clone(&node.area);
    *link = node.right.take();
    Some(area)
}

/// The highest address at which `len` free bytes lie in `low..high`, looking only at the areas of `link`.
fn highest(link: &Link, len: usize, low: usize, high: usize) -> Option<usize> {
    if high < low || high - low < len {
        return None;
    }
    let Some(node) = link else { return Some(high - len) };
    let widest = node.gap.max(node.first.saturating_sub(low)).max(high.saturating_sub(node.last));
    if widest < len {
        return None;
    }
    highest(&node.right, len, low.max(node.area.end), high)
        .or_else(|| highest(&node.left, len, low, high.min(node.bound())))
}

/// As [`highest`], the lowest address.
fn lowest(link: &Link, len: usize, low: usize, high: usize) -> Option<usize> {
    if high < low || high - low < len {
        return None;
    }
    let Some(node) = link else { return Some(low) };
    let widest = node.gap.max(node.first.saturating_sub(low)).max(high.saturating_sub(node.last));
    if widest < len {
        return None;
    }
    lowest(&node.left, len, low, high.min(node.bound()))
        .or_else(|| lowest(&node.right, len, low.max(node.area.end), high))
}

impl AreaTree {
    /// An empty tree.
    pub(crate) const fn new() -> Self {
        Self { root: None }
    }

    /// How many areas.
    pub(crate) fn len(&self) -> usize {
        self.root.as_ref().map_or(0, |node| node.count as usize)
    }

    /// The area that holds `address`.
    #[inline]
    pub(crate) fn find(&self, address: usize) -> Option<&Arc<Area>> {
        let mut link = &self.root;
        while let Some(node) = link {
            if address < node.area.start {
                link = &node.left;
            } else if address >= node.area.end {
                link = &node.right;
            } else {
                return Some(&node.area);
            }
        }
        None
    }

    /// The first area that ends above `address`: the one that holds it, or the next.
    pub(crate) fn at_or_after(&self, address: usize) -> Option<&Arc<Area>> {
        let mut link = &self.root;
        let mut best = None;
        while let Some(node) = link {
            if node.area.end > address {
                best = Some(&node.area);
                link = &node.left;
            } else {
                link = &node.right;
            }
        }
        best
    }

    /// The last area that begins below `address`.
    pub(crate) fn before(&self, address: usize) -> Option<&Arc<Area>> {
        let mut link = &self.root;
        let mut best = None;
        while let Some(node) = link {
            if node.area.start < address {
                best = Some(&node.area);
                link = &node.right;
            } else {
                link = &node.left;
            }
        }
        best
    }

    /// The areas that overlap `start..end`, in order.
    pub(crate) fn range(&self, start: usize, end: usize) -> impl Iterator<Item = &Arc<Area>> {
        let mut at = start;
        core::iter::from_fn(move || {
            let area = self.at_or_after(at).filter(|area| area.start < end && at < end)?;
            at = area.end;
            Some(area)
        })
    }

    /// Puts an area in, where nothing is.
    pub(crate) fn insert(&mut self, area: Arc<Area>) {
        debug_assert!(self.range(area.start, area.end).next().is_none(), "areas overlap");
        insert(&mut self.root, area);
    }

    /// Takes out the area that begins at `start`.
    pub(crate) fn remove(&mut self, start: usize) -> Option<Arc<Area>> {
        self.find(start).filter(|area| area.start == start)?;
        remove(&mut self.root, start)
    }

    /// The highest place for `len` bytes in `low..high`, clear of the guard gaps of stacks.
    pub(crate) fn highest_gap(&self, len: usize, low: usize, high: usize) -> Option<usize> {
        highest(&self.root, len, low, high)
    }

    /// The lowest such place.
    pub(crate) fn lowest_gap(&self, len: usize, low: usize, high: usize) -> Option<usize> {
        lowest(&self.root, len, low, high)
    }
}

#[cfg(test)]
mod tests;

//! The pages of an object by their index: a radix tree of 64-way nodes that remembers which subtrees hold dirty pages.
//!
//! A look-up follows one pointer for every six bits of the highest index, so files up to 256 KiB take one step and those up to 16 MiB two.

use alloc::boxed::Box;

use machine::frame::Frame;

const FANOUT: usize = 64;
const BITS: u32 = 6;

struct Leaf {
    used: u8,
    dirty: u64,
    frames: [Option<Frame>; FANOUT],
}

struct Inner {
    used: u8,
    dirty: u64,
    children: [Option<Child>; FANOUT],
}

enum Child {
    Leaf(Box<Leaf>),
    Inner(Box<Inner>),
}

/// What [`PageIndex::next`] looks for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    /// Every page.
    All,
    /// Pages marked dirty.
    Dirty,
}

/// Frames by page index.
pub(crate) struct PageIndex {
    root: Option<Child>,
    /// Levels of inner nodes above the leaves.
    height: u32,
    len: usize,
    dirty: usize,
}

fn slot(index: u64, level: u32) -> usize {
    (index.checked_shr(level * BITS).unwrap_or(0) % FANOUT as u64) as usize
}

impl Child {
    /// An empty node of `level`.
    #[expect(clippy::disallowed_methods, reason = "whoever inserts has an allowance")]
    fn new(level: u32) -> Self {
        if level == 0 {
            Self::Leaf(Box::new(Leaf { used: 0, dirty: 0, frames: [const { None }; FANOUT] }))
        } else {
            Self::Inner(Box::new(Inner { used: 0, dirty: 0, children: [const { None }; FANOUT] }))
        }
    }

    fn has_dirty(&self) -> bool {
        match self {
            Self::Leaf(leaf) => leaf.dirty != 0,
            Self::Inner(inner) => inner.dirty != 0,
        }
    }

    fn is_empty(&self) -> bool {
        match self {
            Self::Leaf(leaf) => leaf.used == 0,
            Self::Inner(inner) => inner.used == 0,
        }
    }

    // The recursion of the functions below ends after at most eleven levels: 64 bits of index in steps of six.

    fn insert(&mut self, index: u64, level: u32, frame: Frame) -> Result<(), Frame> {
        match self {
            Self::Leaf(leaf) => {
                let place = &mut leaf.frames[slot(index, 0)];
                if place.is_some() {
                    return Err(frame);
                }
                *place = Some(frame);
                leaf.used += 1;
                Ok(())
            }
            Self::Inner(inner) => {
                let place = &mut inner.children[slot(index, level)];
                if place.is_none() {
                    inner.used += 1;
                }
                place.get_or_insert_with(|| Self::new(level - 1)).insert(index, level - 1, frame)
            }
        }
    }

    fn remove(&mut self, index: u64, level: u32) -> Option<Frame> {
        match self {
            Self::Leaf(leaf) => {
                let frame = leaf.frames[slot(index, 0)].take()?;
                leaf.used -= 1;
                leaf.dirty &= !(1 << slot(index, 0));
                Some(frame)
            }
            Self::Inner(inner) => {
                let at = slot(index, level);
                let child = inner.children[at].as_mut()?;
                let frame = child.remove(index, level - 1)?;
                if !child.has_dirty() {
                    inner.dirty &= !(1 << at);
                }
                if child.is_empty() {
                    inner.children[at] = None;
                    inner.used -= 1;
                }
                Some(frame)
            }
        }
    }

    /// Sets or clears the mark; returns whether that changed it.
    fn mark(&mut self, index: u64, level: u32, is_dirty: bool) -> bool {
        match self {
            Self::Leaf(leaf) => {
                let at = slot(index, 0);
                let before = leaf.dirty;
                if is_dirty && leaf.frames[at].is_some() {
                    leaf.dirty |= 1 << at;
                } else {
                    leaf.dirty &= !(1 << at);
                }
                leaf.dirty != before
            }
            Self::Inner(inner) => {
                let at = slot(index, level);
                let Some(child) = inner.children[at].as_mut() else { return false };
                let has_changed = child.mark(index, level - 1, is_dirty);
                if child.has_dirty() {
                    inner.dirty |= 1 << at;
                } else {
                    inner.dirty &= !(1 << at);
                }
                has_changed
            }
        }
    }

    /// The first page at or after `from`, which is relative to this node's first index.
    fn next(&self, from: u64, level: u32, which: Which) -> Option<(u64, &Frame)> {
        let start = slot(from, level);
        match self {
            Self::Leaf(leaf) => (start..FANOUT)
                .filter(|at| which == Which::All || leaf.dirty & (1 << at) != 0)
                .find_map(|at| Some((at as u64, leaf.frames[at].as_ref()?))),
            Self::Inner(inner) => {
                let span = level * BITS;
                (start..FANOUT).filter(|at| which == Which::All || inner.dirty & (1 << at) != 0).find_map(
                    |at| {
                        let below = if at == start { from & ((1 << span) - 1) } else { 0 };
                        let (index, frame) = inner.children[at].as_ref()?.next(below, level - 1, which)?;
                        Some((((at as u64) << span) + index, frame))
                    },
                )
            }
        }
    }
}

impl PageIndex {
    pub(crate) const fn new() -> Self {
        Self { root: None, height: 0, len: 0, dirty: 0 }
    }

    /// How many pages there are.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// How many of them are marked dirty.
    pub(crate) fn dirty(&self) -> usize {
        self.dirty
    }

    fn covers(&self, index: u64) -> bool {
        index.checked_shr((self.height + 1) * BITS).unwrap_or(0) == 0
    }

    pub(crate) fn get(&self, index: u64) -> Option<&Frame> {
        if !self.covers(index) {
            return None;
        }
        let mut child = self.root.as_ref()?;
        let mut level = self.height;
        loop {
            match child {
                Child::Leaf(leaf) => return leaf.frames[slot(index, 0)].as_ref(),
                Child::Inner(inner) => {
                    child = inner.children[slot(index, level)].as_ref()?;
                    level -= 1;
                }
            }
        }
    }

    /// Puts a clean page in; gives it back where there is one already.
    #[expect(clippy::disallowed_methods, reason = "whoever inserts has an allowance")]
    pub(crate) fn insert(&mut self, index: u64, frame: Frame) -> Result<(), Frame> {
        while !self.covers(index) {
            self.height += 1;
            if let Some(old) = self.root.take() {
                let dirty = u64::from(old.has_dirty());
                let mut children = [const { None }; FANOUT];
                children[0] = Some(old);
                self.root = Some(Child::Inner(Box::new(Inner { used: 1, dirty, children })));
            }
        }
        let height = self.height;
        self.root.get_or_insert_with(|| Child::new(height)).insert(index, height, frame)?;
        self.len += 1;
        Ok(())
    }

    pub(crate) fn remove(&mut self, index: u64) -> Option<Frame> {
        if !self.covers(index) {
            return None;
        }
        self.mark(index, false);
        let root = self.root.as_mut()?;
        let frame = root.remove(index, self.height)?;
        self.len -= 1;
        if root.is_empty() {
            self.root = None;
            self.height = 0;
        }
        Some(frame)
    }

    /// Marks a page dirty or clean; returns whether that changed anything.
    pub(crate) fn mark(&mut self, index: u64, is_dirty: bool) -> bool {
        let has_changed = self.covers(index)
            && self.root.as_mut().is_some_and(|root| root.mark(index, self.height, is_dirty));
        if has_changed {
            self.dirty = if is_dirty { self.dirty + 1 } else { self.dirty - 1 };
        }
        has_changed
    }

    /// The first page in `from..end` of the kind wanted.
    pub(crate) fn next(&self, from: u64, end: u64, which: Which) -> Option<(u64, &Frame)> {
        if !self.covers(from) {
            return None;
        }
        self.root.as_ref()?.next(from, self.height, which).filter(|(index, _)| *index < end)
    }
}

#[cfg(test)]
mod tests;

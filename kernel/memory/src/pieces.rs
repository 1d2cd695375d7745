//! A list in pieces of a page: one that a program can make long needs no large block of memory, of which there may be none and which end at 4 MiB.

use alloc::vec::Vec;

use machine::address::PAGE_SIZE;
use machine::frame::OutOfMemory;
use machine::heap::Grow;

/// A list that grows at its end, by a page at a time.
#[derive(Debug)]
pub struct Pieces<T> {
    /// All are full but the last.
    pieces: Vec<Vec<T>>,
}

impl<T> Pieces<T> {
    /// How many items are in a page.
    const ITEMS: usize = PAGE_SIZE / size_of::<T>();

    /// An empty list.
    pub const fn new() -> Self {
        const { assert!(size_of::<T>() > 0 && size_of::<T>() <= PAGE_SIZE) };
        Self { pieces: Vec::new() }
    }

    /// How many items are in it.
    pub fn len(&self) -> usize {
        self.pieces.last().map_or(0, |last| (self.pieces.len() - 1) * Self::ITEMS + last.len())
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// The items from `start` to the end of their piece; none past the end.
    pub fn rest_of_piece(&self, start: usize) -> &[T] {
        let piece = self.pieces.get(start / Self::ITEMS);
        piece.and_then(|piece| piece.get(start % Self::ITEMS..)).unwrap_or_default()
    }

    /// The items in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &T> {
        self.pieces.iter().flatten()
    }

    /// The last piece, with room for an item at least.
    fn open(&mut self) -> Result<&mut Vec<T>, OutOfMemory> {
        if self.pieces.last().is_none_or(|last| last.len() == Self::ITEMS) {
            // A piece that gets no room is not left behind empty.
            let mut piece = Vec::new();
            piece.try_grow(1)?;
            self.pieces.try_push(piece)?;
        }
        self.pieces.last_mut().ok_or(OutOfMemory)
    }

    /// Adds an item.
    pub fn push(&mut self, item: T) -> Result<(), OutOfMemory> {
        self.open()?.try_push(item)
    }

    /// Takes the last item out.
    pub fn pop(&mut self) -> Option<T> {
        let last = self.pieces.last_mut()?;
        let item = last.pop();
        if last.is_empty() {
            self.pieces.pop();
        }
        item
    }

    /// Adds copies of all `items`: when there is no memory, of some.
    pub fn extend(&mut self, mut items: &[T]) -> Result<(), OutOfMemory>
    where
        T: Copy,
    {
        while !items.is_empty() {
            let piece = self.open()?;
            let (part, rest) = items.split_at(items.len().min(Self::ITEMS - piece.len()));
            piece.try_extend(part)?;
            items = rest;
        }
        Ok(())
    }
}

impl<T> Default for Pieces<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_over_several_pages_is_the_list() {
        let mut list = Pieces::new();
        for part in 0..100u8 {
            list.extend(&[part; 333]).unwrap();
        }
        assert_eq!(list.len(), 33_300);
        assert!(list.iter().enumerate().all(|(at, &part)| at / 333 == usize::from(part)));
        assert!(list.iter().rev().eq(list.iter().collect::<Vec<_>>().into_iter().rev()));
        let mut found = 0;
        while let rest @ [first, ..] = list.rest_of_piece(found) {
            assert_eq!(usize::from(*first), found / 333);
            assert!(rest.len() <= PAGE_SIZE);
            found += rest.len();
        }
        assert_eq!(found, 33_300);
    }

    #[test]
    fn what_was_pushed_last_comes_out_first_and_leaves_nothing() {
        let mut list = Pieces::new();
        (0..2000u64).for_each(|item| list.push(item).unwrap());
        assert!((0..2000).rev().all(|item| list.pop() == Some(item)));
        assert!(list.is_empty() && list.pop().is_none() && list.rest_of_piece(0).is_empty());
    }
}

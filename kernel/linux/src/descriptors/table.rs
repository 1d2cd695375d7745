//! Numbered slots with the lowest free number found in constant time: the plain table behind a process's descriptors.
//!
//! Which numbers are taken is kept in words of 64 bits, and which words are full in words above those, so that even a million descriptors are searched
//! in a few steps; a hint remembers below which number nothing is free.

use abi::Errno;
use alloc::vec::Vec;
use machine::heap::Grow;

const BITS: usize = u64::BITS as usize;

#[derive(Clone)]
struct Slot<T> {
    value: T,
    closes_on_exec: bool,
}

/// Values by number.
pub struct Table<T> {
    slots: Vec<Option<Slot<T>>>,
    /// A bit for each slot: taken, or reserved by [`reserve`](Self::reserve).
    taken: Vec<u64>,
    /// A bit for each word of `taken` that is full.
    full: Vec<u64>,
    /// Nothing below is free.
    hint: usize,
    count: usize,
}

impl<T: Clone> Table<T> {
    /// An empty table.
    pub const fn new() -> Self {
        Self { slots: Vec::new(), taken: Vec::new(), full: Vec::new(), hint: 0, count: 0 }
    }

    /// How many numbers are in use.
    pub fn count(&self) -> usize {
        self.count
    }

    /// What `number` names.
    #[inline]
    pub fn get(&self, number: usize) -> Option<&T> {
        self.slots.get(number)?.as_ref().map(|slot| &slot.value)
    }

    /// Whether `number` is closed by execve(2).
    pub fn closes_on_exec(&self, number: usize) -> Option<bool> {
        self.slots.get(number)?.as_ref().map(|slot| slot.closes_on_exec)
    }

    /// Sets whether `number` is closed by execve(2); `false` when it names nothing.
    pub fn set_closes_on_exec(&mut self, number: usize, closes_on_exec: bool) -> bool {
        match self.slots.get_mut(number) {
            Some(Some(slot)) => {
                slot.closes_on_exec = closes_on_exec;
                true
            }
            _ => false,
        }
    }

    /// Takes the lowest free number that is not below `least` and below `limit` (EMFILE) and lets it name nothing yet: whoever opens a file can no longer fail for want of
    /// a number once the file is open. It is filled by [`fill`](Self::fill) or given back by [`remove`](Self::remove).
    pub fn reserve(&mut self, least: usize, limit: usize) -> Result<usize, Errno> {
        let number = self.lowest_free(least);
        if number >= limit {
            return Err(Errno::EMFILE);
        }
        self.grow(number + 1)?;
        self.mark(number);
        Ok(number)
    }

    /// Lets a reserved number name `value`.
    pub fn fill(&mut self, number: usize, value: T, closes_on_exec: bool) {
        if let Some(slot) = self.slots.get_mut(number) {
            *slot = Some(Slot { value, closes_on_exec });
        }
    }

    /// Lets `number` name `value`, whatever it named before; that is given back. EBUSY when the number is reserved by an open that is still under way, as in Linux.
    pub fn replace(&mut self, number: usize, value: T, closes_on_exec: bool) -> Result<Option<T>, Errno> {
        self.grow(number + 1)?;
        let is_taken = self.is_taken(number);
        let old = self.slots.get_mut(number).and_then(Option::take).map(|slot| slot.value);
        if is_taken && old.is_none() {
            return Err(Errno::EBUSY);
        }
        if !is_taken {
            self.mark(number);
        }
        self.fill(number, value, closes_on_exec);
        Ok(old)
    }

    /// Frees `number`; what it named is given back. A reserved number that names nothing is left alone.
    pub fn remove(&mut self, number: usize) -> Option<T> {
        let slot = self.slots.get_mut(number)?.take()?;
        self.unmark(number);
        Some(slot.value)
    }

    /// Gives back a number that was reserved and not filled.
    pub fn release(&mut self, number: usize) {
        if matches!(self.slots.get(number), Some(None)) && self.is_taken(number) {
            self.unmark(number);
        }
    }

    /// The numbers in `range` that name something, in order.
    pub fn numbers(&self, first: usize, last: usize) -> impl Iterator<Item = usize> + '_ {
        (first..self.slots.len().min(last.saturating_add(1))).filter(|&number| self.get(number).is_some())
    }

    /// Frees and gives back the first number in `first..=last` that `choose` wants.
    pub fn remove_next(
        &mut self,
        first: usize,
        last: usize,
        closing_on_exec_only: bool,
    ) -> Option<(usize, T)> {
        let end = self.slots.len().min(last.saturating_add(1));
        for number in first..end {
            let wanted = match self.slots.get(number) {
                Some(Some(slot)) => !closing_on_exec_only || slot.closes_on_exec,
                _ => false,
            };
            if wanted {
                return self.remove(number).map(|value| (number, value));
            }
        }
        None
    }

    /// A copy for a new process. Reserved numbers are free in the copy: the open that is under way is not the new process's.
    pub fn try_clone(&self) -> Result<Self, Errno> {
        let mut copy = Self::new();
        let len = self.slots.iter().rposition(Option::is_some).map_or(0, |last| last + 1);
        copy.grow(len)?;
        for (number, slot) in self.slots.iter().enumerate() {
            if let (Some(slot), Some(place)) = (slot, copy.slots.get_mut(number)) {
                *place = Some(slot.clone());
                copy.mark(number);
            }
        }
        Ok(copy)
    }

    fn is_taken(&self, number: usize) -> bool {
        self.taken.get(number / BITS).is_some_and(|word| word >> (number % BITS) & 1 != 0)
    }

    fn mark(&mut self, number: usize) {
        let word_index = number / BITS;
        if let Some(word) = self.taken.get_mut(word_index) {
            *word |= 1 << (number % BITS);
            if *word == u64::MAX
                && let Some(above) = self.full.get_mut(word_index / BITS)
            {
                *above |= 1 << (word_index % BITS);
            }
        }
        if number == self.hint {
            self.hint += 1;
        }
        self.count += 1;
    }

    fn unmark(&mut self, number: usize) {
        let word_index = number / BITS;
        if let Some(word) = self.taken.get_mut(word_index) {
            *word &= !(1 << (number % BITS));
        }
        if let Some(above) = self.full.get_mut(word_index / BITS) {
            *above &= !(1 << (word_index % BITS));
        }
        self.hint = self.hint.min(number);
        self.count -= 1;
    }

    /// The lowest number from `least` on that is not taken; numbers past the end of the table are free.
    fn lowest_free(&self, least: usize) -> usize {
        let start = least.max(self.hint);
        let word_index = start / BITS;
        let Some(&word) = self.taken.get(word_index) else { return start };
        let ahead = word | ((1u64 << (start % BITS)) - 1);
        if ahead != u64::MAX {
            return word_index * BITS + ahead.trailing_ones() as usize;
        }
        let mut next = word_index + 1;
        while let Some(&above) = self.full.get(next / BITS) {
            let ahead = above | ((1u64 << (next % BITS)) - 1);
            if ahead != u64::MAX {
                next = next / BITS * BITS + ahead.trailing_ones() as usize;
                break;
            }
            next = (next / BITS + 1) * BITS;
        }
        match self.taken.get(next) {
            Some(word) => next * BITS + word.trailing_ones() as usize,
            None => next * BITS,
        }
    }

    /// Makes room for `len` slots, at least doubling so that a growing table is copied seldom.
    fn grow(&mut self, len: usize) -> Result<(), Errno> {
        if len <= self.slots.len() {
            return Ok(());
        }
        let words = len.max(self.slots.len() * 2).div_ceil(BITS);
        let above = words.div_ceil(BITS);
        self.taken.try_grow(words - self.taken.len())?;
        self.full.try_grow(above - self.full.len().min(above))?;
        self.slots.try_grow(words * BITS - self.slots.len())?;
        self.taken.resize(words, 0);
        self.full.resize(above, 0);
        self.slots.resize_with(words * BITS, || None);
        Ok(())
    }
}

impl<T: Clone> Default for Table<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeSet;
    use proptest::prelude::*;

    #[test]
    fn the_lowest_free_number_is_given_even_after_the_middle_was_freed() {
        let mut table = Table::new();
        for expected in 0..200 {
            assert_eq!(table.insert((), false, 0, 1024), Ok(expected));
        }
        table.remove(70);
        table.remove(3);
        assert_eq!(table.insert((), false, 0, 1024), Ok(3));
        assert_eq!(table.insert((), false, 0, 1024), Ok(70));
        assert_eq!(table.insert((), false, 0, 1024), Ok(200));
    }

    #[test]
    fn a_number_at_the_limit_is_refused_and_nothing_changes() {
        let mut table = Table::new();
        table.insert((), false, 0, 1).unwrap();
        assert_eq!(table.insert((), false, 0, 1), Err(Errno::EMFILE));
        assert_eq!(table.insert((), false, 10, 10), Err(Errno::EMFILE));
        assert_eq!(table.count(), 1);
    }

    #[test]
    fn a_copy_has_the_files_but_not_the_reservations() {
        let mut table = Table::new();
        table.insert('a', true, 0, 64).unwrap();
        let reserved = table.reserve(0, 64).unwrap();
        let mut copy = table.try_clone().unwrap();
        assert_eq!(copy.closes_on_exec(0), Some(true));
        assert_eq!(copy.insert('b', false, 0, 64), Ok(reserved));
    }

    #[test]
    fn replacing_a_number_that_an_open_has_reserved_is_busy() {
        let mut table = Table::new();
        let reserved = table.reserve(0, 64).unwrap();
        assert_eq!(table.replace(reserved, (), false), Err(Errno::EBUSY));
        table.release(reserved);
        assert_eq!(table.replace(reserved, (), false), Ok(None));
    }

    #[test]
    fn exec_closes_what_is_marked_and_nothing_else() {
        let mut table = Table::new();
        for number in 0..130 {
            table.insert(number, number % 2 == 1, 0, 1024).unwrap();
        }
        let mut closed = 0;
        while let Some((number, _)) = table.remove_next(0, usize::MAX, true) {
            assert_eq!(number % 2, 1);
            closed += 1;
        }
        assert_eq!((closed, table.count()), (65, 65));
    }

    impl<T: Clone> Table<T> {
        fn insert(
            &mut self,
            value: T,
            closes_on_exec: bool,
            least: usize,
            limit: usize,
        ) -> Result<usize, Errno> {
            let number = self.reserve(least, limit)?;
            self.fill(number, value, closes_on_exec);
            Ok(number)
        }
    }

    proptest! {
        #[test]
        fn the_table_agrees_with_a_set_of_numbers(steps in proptest::collection::vec((0..3u8, 0..5000usize), 1..400)) {
            let mut table = Table::new();
            let mut model = BTreeSet::new();
            for (kind, number) in steps {
                match kind {
                    0 => {
                        let expected = (number..).find(|candidate| !model.contains(candidate)).unwrap();
                        prop_assert_eq!(table.insert((), false, number, usize::MAX), Ok(expected));
                        model.insert(expected);
                    }
                    1 => {
                        prop_assert_eq!(table.remove(number).is_some(), model.remove(&number));
                    }
                    _ => {
                        let old = table.replace(number, (), false).unwrap();
                        prop_assert_eq!(old.is_some(), !model.insert(number));
                    }
                }
                prop_assert_eq!(table.count(), model.len());
            }
        }
    }
}

//! A compact table of symbols for backtraces: the host writes it from an ELF file, the kernel looks
//! addresses up in it without allocation, also in the middle of a panic.
//!
//! All numbers are little-endian:
//!
//! | part | bytes |
//! |---|---|
//! | magic `HOBSYM01` | 8 |
//! | base: the lowest address | 8 |
//! | count of entries; length of the names; length of the words; zero | 4 each |
//! | where each of 256 words ends among the words | 2 each |
//! | words | |
//! | offsets of the entries from the base, ascending | 4 each |
//! | where the name of every 16th entry begins among the names | 4 each |
//! | names: a length (one byte below 128, else two), then that many numbers of words | |
//!
//! A name is a row of words, a word a few characters that occur together often: names of Rust
//! functions repeat so much that this is less than half of their text. An entry without a name ends
//! the one before it: addresses after it belong to nobody.

mod writer;

use crate::bytes::{array_at, slice_at, u8_at, u16_at, u32_at, u64_at};
use core::fmt;
pub use writer::{InputSymbol, TooLarge, write};

const MAGIC: [u8; 8] = *b"HOBSYM01";
const WORDS: usize = 256;
const HEADER_LENGTH: usize = 32 + WORDS * 2;
/// How many names share one place mark.
const GROUP: usize = 16;

/// A table being read. Any bytes are safe to look up in; wrong ones give wrong names or none.
#[derive(Clone, Copy, Debug)]
pub struct Table<'a> {
    base: u64,
    word_ends: &'a [u8],
    words: &'a [u8],
    offsets: &'a [u8],
    groups: &'a [u8],
    names: &'a [u8],
}

/// Where an address lies.
#[derive(Clone, Copy, Debug)]
pub struct Location<'a> {
    /// The symbol's name, to be printed.
    pub name: Name<'a>,
    /// How far from the symbol's start the address is, in bytes.
    pub offset: u64,
}

/// A name, put together as it is printed.
#[derive(Clone, Copy, Debug)]
pub struct Name<'a> {
    table: Table<'a>,
    numbers: &'a [u8],
}

impl<'a> Table<'a> {
    /// Opens a table. `None` for bytes of another format, or too few.
    pub fn parse(bytes: &'a [u8]) -> Option<Table<'a>> {
        if array_at(bytes, 0)? != MAGIC {
            return None;
        }
        let count = u32_at(bytes, 16)? as usize;
        let lengths = [
            WORDS * 2,
            u32_at(bytes, 24)? as usize,
            count.checked_mul(4)?,
            count.div_ceil(GROUP).checked_mul(4)?,
            u32_at(bytes, 20)? as usize,
        ];
        let mut rest = bytes.get(32..)?;
        let mut parts: [&[u8]; 5] = [&[]; 5];
        for (part, length) in parts.iter_mut().zip(lengths) {
            (*part, rest) = rest.split_at_checked(length)?;
        }
        let [word_ends, words, offsets, groups, names] = parts;
        Some(Table { base: u64_at(bytes, 8)?, word_ends, words, offsets, groups, names })
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.offsets.len() / 4
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.offsets.is_empty()
    }

    /// The symbol that an address lies in. Takes the logarithm of the table's length.
    pub fn find(&self, address: u64) -> Option<Location<'a>> {
        let wanted = u32::try_from(address.checked_sub(self.base)?).ok()?;
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low + (high - low) / 2;
            if self.offset(middle)? <= wanted { low = middle + 1 } else { high = middle }
        }
        let index = low.checked_sub(1)?;
        let offset = u64::from(wanted.checked_sub(self.offset(index)?)?);
        let name = self.name(index)?;
        if name.numbers.is_empty() { None } else { Some(Location { name, offset }) }
    }

    fn offset(&self, index: usize) -> Option<u32> {
        u32_at(self.offsets, index.checked_mul(4)?)
    }

    fn name(&self, index: usize) -> Option<Name<'a>> {
        let group = u32_at(self.groups, (index / GROUP).checked_mul(4)?)? as usize;
        let mut rest = self.names.get(group..)?;
        for _ in 0..index % GROUP {
            (_, rest) = first_name(rest)?;
        }
        first_name(rest).map(|(numbers, _)| Name { table: *self, numbers })
    }

    fn word(&self, number: u8) -> Option<&'a [u8]> {
        let number = usize::from(number);
        let start = if number == 0 { 0 } else { u16_at(self.word_ends, (number - 1) * 2)? };
        let end = u16_at(self.word_ends, number * 2)?;
        self.words.get(usize::from(start)..usize::from(end))
    }
}

/// The first name's numbers of words, and the names after it.
fn first_name(names: &[u8]) -> Option<(&[u8], &[u8])> {
    let first = u8_at(names, 0)?;
    let (length, start) = match first {
        0..128 => (usize::from(first), 1),
        _ => (usize::from(first & 0x7f) << 8 | usize::from(u8_at(names, 1)?), 2),
    };
    let numbers = slice_at(names, start, length)?;
    Some((numbers, names.get(start + length..)?))
}

impl fmt::Display for Name<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for number in self.numbers {
            let word = self.table.word(*number).unwrap_or(b"?");
            out.write_str(core::str::from_utf8(word).unwrap_or("?"))?;
        }
        Ok(())
    }
}

//! Making a shared object in memory: what a dynamic linker needs to find functions by name and version, around code that
//! stands already. This is how the kernel's own shared object (the vDSO) comes to be.
//!
//! ```text
//!   file header · program headers · hash · symbols · names · versions · dynamic section · unwinding      code
//!   0                                                                                                    code_offset
//! ```
//!
//! One loadable segment holds all of it; file offsets and addresses are the same. There are no sections and no relocations.
//! Sources: System V gABI chapters 4 and 5; LSB 5.0, "Symbol Versioning" and "Exception Frames".

use super::{HEADER_LENGTH, PROGRAM_HEADER_LENGTH};
use alloc::vec::Vec;
use core::fmt;

/// A function of the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Function<'a> {
    /// Its name.
    pub name: &'a str,
    /// A second, weak name, if it has one.
    pub alias: Option<&'a str>,
    /// Where it begins in the code, in bytes.
    pub offset: usize,
    /// Its length in bytes.
    pub length: usize,
}

/// What the object is made of.
#[derive(Clone, Copy, Debug)]
pub struct SharedObject<'a> {
    /// What it is called (DT_SONAME).
    pub name: &'a str,
    /// The version of all its symbols.
    pub version: &'a str,
    /// The functions; they lie in the code and never move the stack pointer, which is what debuggers are told.
    pub functions: &'a [Function<'a>],
    /// Position-independent machine code.
    pub code: &'a [u8],
    /// Where in the object the code lies, in bytes.
    pub code_offset: usize,
}

/// The tables do not fit in front of the code, or numbers leave 32 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLarge;

impl fmt::Display for TooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the tables of the shared object do not fit in front of its code")
    }
}

impl core::error::Error for TooLarge {}

/// Program headers: what is loaded, the dynamic section, how to unwind.
const SEGMENTS: usize = 3;
const PT_LOAD: u32 = 1;
const PT_DYNAMIC: u32 = 2;
const PT_GNU_EH_FRAME: u32 = 0x6474_e550;
const READ: u32 = 4;
const READ_EXECUTE: u32 = 5;
/// The version that belongs to the object itself, and that of its symbols.
const VERSION_BASE: u16 = 1;
const VERSION_SYMBOLS: u16 = 2;

impl SharedObject<'_> {
    /// The object's bytes.
    pub fn build(&self) -> Result<Vec<u8>, TooLarge> {
        let mut image = Image { bytes: Vec::new() };
        image.bytes.resize(HEADER_LENGTH + SEGMENTS * PROGRAM_HEADER_LENGTH, 0);
        let mut names = Names { bytes: [0].to_vec() };
        let symbols = self.symbols(&mut names)?;
        let (object_name, version_name) = (names.add(self.name)?, names.add(self.version)?);

        let hash = image.begin();
        image.hash_table(&symbols)?;
        let symbol_table = image.begin();
        image.symbol_table(&symbols, self.code_offset)?;
        let strings = image.begin();
        image.bytes.extend(&names.bytes);
        let symbol_versions = image.begin();
        image.half(0);
        symbols.iter().for_each(|_| image.half(VERSION_SYMBOLS));
        let versions = image.begin();
        image.version(VERSION_BASE, true, self.name, object_name)?;
        image.version(VERSION_SYMBOLS, false, self.version, version_name)?;
        let dynamic = image.begin();
        for (tag, value) in [
            (14, object_name.into()), // SONAME
            (4, hash as u64),
            (5, strings as u64),
            (6, symbol_table as u64),
            (10, names.bytes.len() as u64), // bytes of names
            (11, 24),                       // bytes of a symbol
            (0x6fff_fff0, symbol_versions as u64),
            (0x6fff_fffc, versions as u64),
            (0x6fff_fffd, 2), // how many versions
            (0, 0),
        ] {
            image.long(tag);
            image.long(value);
        }
        let dynamic_length = image.bytes.len() - dynamic;
        let unwinding = image.begin();
        image.unwinding(self.code_offset, self.code.len())?;
        let unwinding_length = image.bytes.len() - unwinding;

        if image.bytes.len() > self.code_offset {
            return Err(TooLarge);
        }
        image.bytes.resize(self.code_offset, 0);
        image.bytes.extend(self.code);
        let length = image.bytes.len();
        image.headers([
            (PT_LOAD, READ_EXECUTE, 0, length, 0x1000),
            (PT_DYNAMIC, READ, dynamic, dynamic_length, 8),
            (PT_GNU_EH_FRAME, READ, unwinding, unwinding_length, 8),
        ]);
        Ok(image.bytes)
    }

    /// The symbols, their names added to `names`.
    fn symbols<'a>(&'a self, names: &mut Names) -> Result<Vec<Symbol<'a>>, TooLarge> {
        let mut symbols = Vec::new();
        for function in self.functions {
            let both = [(Some(function.name), false), (function.alias, true)];
            for (text, is_weak) in both.into_iter().filter_map(|(text, is_weak)| Some((text?, is_weak))) {
                symbols.push(Symbol { text, name: names.add(text)?, is_weak, function });
            }
        }
        Ok(symbols)
    }
}

struct Symbol<'a> {
    text: &'a str,
    /// Where its name begins.
    name: u32,
    is_weak: bool,
    function: &'a Function<'a>,
}

/// The names, each ended by a zero byte.
struct Names {
    bytes: Vec<u8>,
}

impl Names {
    fn add(&mut self, name: &str) -> Result<u32, TooLarge> {
        let at = self.bytes.len();
        self.bytes.extend(name.as_bytes());
        self.bytes.push(0);
        number(at)
    }
}

fn number(value: usize) -> Result<u32, TooLarge> {
    u32::try_from(value).map_err(|_| TooLarge)
}

/// The hash of a name (gABI chapter 5, "Hash Table").
fn hash(name: &str) -> u32 {
    name.bytes().fold(0u32, |hash, byte| {
        let hash = (hash << 4).wrapping_add(byte.into());
        let top = hash & 0xf000_0000;
        (hash ^ top >> 24) & !top
    })
}

struct Image {
    bytes: Vec<u8>,
}

impl Image {
    /// Begins a table, aligned for everything; returns where.
    fn begin(&mut self) -> usize {
        self.bytes.resize(self.bytes.len().next_multiple_of(8), 0);
        self.bytes.len()
    }

    fn half(&mut self, value: u16) {
        self.bytes.extend(value.to_le_bytes());
    }

    fn word(&mut self, value: u32) {
        self.bytes.extend(value.to_le_bytes());
    }

    fn long(&mut self, value: u64) {
        self.bytes.extend(value.to_le_bytes());
    }

    /// The distance from `from` to `to`.
    fn relative(&mut self, from: usize, to: usize) -> Result<(), TooLarge> {
        self.word(number(to)?.wrapping_sub(number(from)?));
        Ok(())
    }

    /// One bucket for each symbol; symbol 0 is the one that means none.
    fn hash_table(&mut self, symbols: &[Symbol<'_>]) -> Result<(), TooLarge> {
        let count = symbols.len().max(1);
        let mut buckets = Vec::from_iter(core::iter::repeat_n(0, count));
        let mut chains = Vec::from_iter([0]);
        for (index, symbol) in (1u32..).zip(symbols) {
            if let Some(bucket) = buckets.get_mut(hash(symbol.text) as usize % count) {
                chains.push(core::mem::replace(bucket, index));
            }
        }
        self.word(number(buckets.len())?);
        self.word(number(chains.len())?);
        buckets.iter().chain(&chains).for_each(|&index| self.word(index));
        Ok(())
    }

    fn symbol_table(&mut self, symbols: &[Symbol<'_>], code_offset: usize) -> Result<(), TooLarge> {
        const FUNCTION: u8 = 2;
        const GLOBAL: u8 = 1 << 4;
        const WEAK: u8 = 2 << 4;
        /// Any section but none: there is no section table to look in.
        const SECTION: u16 = 1;
        self.bytes.extend([0; 24]);
        for symbol in symbols {
            self.word(symbol.name);
            self.bytes.extend([FUNCTION | if symbol.is_weak { WEAK } else { GLOBAL }, 0]);
            self.half(SECTION);
            self.long((code_offset + symbol.function.offset) as u64);
            self.long(symbol.function.length as u64);
        }
        Ok(())
    }

    /// Defines a version; the base's is followed by another.
    fn version(&mut self, index: u16, is_base: bool, text: &str, name: u32) -> Result<(), TooLarge> {
        const DEFINITION: u32 = 20;
        const NAME: u32 = 8;
        for half in [1, u16::from(is_base), index, 1] {
            self.half(half);
        }
        self.word(hash(text));
        self.word(DEFINITION);
        self.word(if is_base { DEFINITION + NAME } else { 0 });
        self.word(name);
        self.word(0);
        Ok(())
    }

    /// One rule for all of the code: the return address is on top of the stack.
    fn unwinding(&mut self, code: usize, code_length: usize) -> Result<(), TooLarge> {
        let index = self.bytes.len();
        let frames = index + 20;
        let description = frames + 24;
        // Relative to this place; counts as they are; a table relative to its own begin.
        self.bytes.extend([1, 0x1b, 0x03, 0x3b]);
        self.relative(index + 4, frames)?;
        self.word(1);
        self.relative(index, code)?;
        self.relative(index, description)?;
        // What is common: version 1, "zR", factors 1 and -8, return address in 16, addresses relative to their place;
        // the frame begins 8 above register 7, the return address lies 8 below that.
        self.word(20);
        self.word(0);
        self.bytes.extend([1, b'z', b'R', 0, 1, 0x78, 16, 1, 0x1b, 0x0c, 7, 8, 0x90, 1, 0, 0]);
        // The one description.
        self.word(16);
        self.relative(frames, description + 4)?;
        self.relative(description + 8, code)?;
        self.word(number(code_length)?);
        self.word(0);
        // The end.
        self.word(0);
        Ok(())
    }

    /// Writes the headers into the place that was left for them.
    fn headers(&mut self, segments: [(u32, u32, usize, usize, u64); SEGMENTS]) {
        const SHARED_OBJECT: u16 = 3;
        const X86_64: u16 = 62;
        let mut head = Image { bytes: b"\x7fELF\x02\x01\x01".to_vec() };
        head.bytes.resize(16, 0);
        head.half(SHARED_OBJECT);
        head.half(X86_64);
        head.word(1);
        head.long(0);
        head.long(HEADER_LENGTH as u64);
        head.long(0);
        head.word(0);
        for half in [HEADER_LENGTH, PROGRAM_HEADER_LENGTH, SEGMENTS, 64, 0, 0] {
            head.half(half as u16);
        }
        for (kind, flags, offset, length, alignment) in segments {
            head.word(kind);
            head.word(flags);
            for place in [offset, offset, offset, length, length] {
                head.long(place as u64);
            }
            head.long(alignment);
        }
        for (into, from) in self.bytes.iter_mut().zip(head.bytes) {
            *into = from;
        }
    }
}

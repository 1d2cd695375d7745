//! Writing a table of symbols: sorts, closes gaps, and finds the words that names are made of.

use super::{GROUP, HEADER_LENGTH, MAGIC, WORDS};
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

/// The longest name that is kept; the rest of a longer one is cut.
const NAME_MAX: usize = 1024;
/// The longest word, so that all words together stay below 64 KiB.
const WORD_MAX: usize = 128;
/// How many pairs become words in one pass over the text.
const PAIRS_A_PASS: usize = 12;
/// Bytes between two functions that are padding and not a gap.
const PADDING_MAX: u64 = 64;

/// A symbol to be written: its name is already readable (demangled).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InputSymbol<'a> {
    /// Its address.
    pub address: u64,
    /// Its length in bytes; zero where nobody knows, then it reaches to the next symbol.
    pub length: u64,
    /// Its name. Characters other than ASCII's printable ones become `?`.
    pub name: &'a str,
}

/// The symbols span more than 4 GiB, or there is more text than the format can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLarge;

impl fmt::Display for TooLarge {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("the symbols span more than the table can hold (4 GiB)")
    }
}

impl core::error::Error for TooLarge {}

/// Makes a table. The order of the symbols does not matter; of several at one address the longest
/// remains, then the first by name. Symbols without a name are left out.
pub fn write(symbols: &[InputSymbol]) -> Result<Vec<u8>, TooLarge> {
    let entries = sorted(symbols);
    let base = entries.first().map_or(0, |entry| entry.0);
    let mut text = Vec::new();
    for (_, name) in &entries {
        let bytes = name.bytes().take(NAME_MAX);
        text.extend(bytes.map(|byte| if byte.is_ascii_graphic() || byte == b' ' { byte } else { b'?' }));
        text.push(0);
    }
    let words = find_words(&mut text);
    let mut offsets = Vec::with_capacity(entries.len() * 4);
    for (address, _) in &entries {
        let offset = u32::try_from(address - base).map_err(|_| TooLarge)?;
        offsets.extend_from_slice(&offset.to_le_bytes());
    }
    let (groups, names) = pack_names(&text)?;
    let mut ends = Vec::with_capacity(WORDS * 2);
    let mut all_words = Vec::new();
    for word in &words {
        all_words.extend_from_slice(word);
        ends.extend_from_slice(&u16::try_from(all_words.len()).map_err(|_| TooLarge)?.to_le_bytes());
    }
    let mut table = Vec::with_capacity(HEADER_LENGTH + all_words.len() + offsets.len() + names.len());
    table.extend_from_slice(&MAGIC);
    table.extend_from_slice(&base.to_le_bytes());
    for number in [entries.len(), names.len(), all_words.len(), 0] {
        table.extend_from_slice(&u32::try_from(number).map_err(|_| TooLarge)?.to_le_bytes());
    }
    for part in [ends, all_words, offsets, groups, names] {
        table.extend_from_slice(&part);
    }
    Ok(table)
}

/// Addresses and names in ascending order, one a place, with nameless ones where a gap begins.
fn sorted<'a>(symbols: &[InputSymbol<'a>]) -> Vec<(u64, &'a str)> {
    let mut symbols: Vec<_> = symbols.iter().filter(|symbol| !symbol.name.is_empty()).collect();
    symbols.sort_by(|a, b| a.address.cmp(&b.address).then(b.length.cmp(&a.length)).then(a.name.cmp(b.name)));
    symbols.dedup_by_key(|symbol| symbol.address);
    let mut entries = Vec::with_capacity(symbols.len());
    for (at, symbol) in symbols.iter().enumerate() {
        entries.push((symbol.address, symbol.name));
        let end = symbol.address.saturating_add(symbol.length);
        let next = symbols.get(at + 1).map(|next| next.address);
        let is_gap = next.is_none_or(|next| end < next && next - end > PADDING_MAX);
        if symbol.length > 0 && is_gap && end > symbol.address {
            entries.push((end, ""));
        }
    }
    entries
}

/// Replaces frequent pairs by new words until words run out (byte-pair encoding). A byte that no name
/// uses becomes the number of a word; every other byte stands for itself. Zero parts the names and is
/// no word. Each pass over the text takes several pairs, which is nearly as good as one and much
/// faster: the host writes a table at every build.
fn find_words(text: &mut Vec<u8>) -> Vec<Vec<u8>> {
    let mut is_used = [false; WORDS];
    for byte in text.iter() {
        is_used[usize::from(*byte)] = true;
    }
    is_used[0] = true;
    let mut words: Vec<Vec<u8>> = (0..=255u8)
        .map(|byte| if is_used[usize::from(byte)] && byte != 0 { vec![byte] } else { Vec::new() })
        .collect();
    let mut free = (1..=255u8).filter(|byte| !is_used[usize::from(*byte)]).peekable();
    while free.peek().is_some() {
        let pairs = frequent_pairs(text, &words);
        if pairs.is_empty() {
            break;
        }
        let mut numbers = vec![0; WORDS * WORDS];
        for ((first, second), number) in pairs.into_iter().zip(free.by_ref().take(PAIRS_A_PASS)) {
            words[usize::from(number)] =
                [&words[usize::from(first)][..], &words[usize::from(second)][..]].concat();
            numbers[pair_index(first, second)] = number;
        }
        replace(text, &numbers);
    }
    words
}

fn pair_index(first: u8, second: u8) -> usize {
    usize::from(first) << 8 | usize::from(second)
}

/// The pairs that occur most often, at least three times, none sharing a byte with another so that
/// the replacement of one does not touch the next. Of equals the lowest comes first: the same names
/// always give the same table.
fn frequent_pairs(text: &[u8], words: &[Vec<u8>]) -> Vec<(u8, u8)> {
    let mut counts = vec![0u32; WORDS * WORDS];
    let mut last = 0;
    for byte in text {
        counts[pair_index(last, *byte)] += 1;
        last = *byte;
    }
    let mut candidates: Vec<(u32, u8, u8)> = Vec::new();
    for (pair, count) in counts.iter().enumerate().filter(|(_, count)| **count > 2) {
        let (first, second) = ((pair >> 8) as u8, pair as u8);
        let length = words[usize::from(first)].len() + words[usize::from(second)].len();
        if first != 0 && second != 0 && length <= WORD_MAX {
            candidates.push((*count, first, second));
        }
    }
    candidates.sort_by(|a, b| b.0.cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2))));
    let mut is_taken = [false; WORDS];
    let mut pairs = Vec::new();
    for (_, first, second) in candidates {
        if pairs.len() < PAIRS_A_PASS && !is_taken[usize::from(first)] && !is_taken[usize::from(second)] {
            is_taken[usize::from(first)] = true;
            is_taken[usize::from(second)] = true;
            pairs.push((first, second));
        }
    }
    pairs
}

/// Puts the number of a word in the place of each pair that has one.
fn replace(text: &mut Vec<u8>, numbers: &[u8]) {
    let mut written = 0;
    let mut read = 0;
    while read < text.len() {
        let number = text.get(read + 1).map_or(0, |second| numbers[pair_index(text[read], *second)]);
        text[written] = if number != 0 { number } else { text[read] };
        read += if number != 0 { 2 } else { 1 };
        written += 1;
    }
    text.truncate(written);
}

/// The place marks, and the names with their lengths.
fn pack_names(text: &[u8]) -> Result<(Vec<u8>, Vec<u8>), TooLarge> {
    let (mut groups, mut names) = (Vec::new(), Vec::with_capacity(text.len()));
    let text = text.strip_suffix(&[0]).map(|text| text.split(|byte| *byte == 0));
    for (at, name) in text.into_iter().flatten().enumerate() {
        if at % GROUP == 0 {
            groups.extend_from_slice(&u32::try_from(names.len()).map_err(|_| TooLarge)?.to_le_bytes());
        }
        if name.len() >= 128 {
            names.push(0x80 | (name.len() >> 8) as u8);
        }
        names.push(name.len() as u8);
        names.extend_from_slice(name);
    }
    Ok((groups, names))
}

//! Lines in a ring of bytes: each a header of 24 bytes (length, priority, number, time) and its text, wrapping
//! at the end.

use alloc::boxed::Box;

/// The longest line, in bytes; the rest is cut off.
pub const LINE_MAX: usize = 480;
const HEADER: usize = 24;

/// One line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Its number: one more than the line's before.
    pub sequence: u64,
    /// Facility * 8 + level, as syslog(3) codes them.
    pub priority: u32,
    /// Nanoseconds since boot.
    pub time_ns: u64,
    /// The line, without a newline.
    pub text: &'a [u8],
}

/// The ring. Positions count bytes since the beginning and are taken modulo the capacity.
pub struct Ring {
    bytes: Box<[u8]>,
    /// Where the oldest line begins, and its number.
    head: u64,
    first: u64,
    /// Where the next line will begin, and its number.
    tail: u64,
    end: u64,
}

impl Ring {
    /// An empty ring over `bytes`, of which there are enough for a few of the longest lines.
    pub fn new(bytes: Box<[u8]>) -> Self {
        Self { bytes, head: 0, first: 0, tail: 0, end: 0 }
    }

    pub fn first(&self) -> u64 {
        self.first
    }

    pub fn end(&self) -> u64 {
        self.end
    }

    /// Adds a line at the expense of the oldest; returns its number.
    pub fn push(&mut self, priority: u32, time_ns: u64, text: &[u8]) -> u64 {
        let text = &text[..text.len().min(LINE_MAX)];
        let needed = (HEADER + text.len()) as u64;
        while self.tail + needed - self.head > self.bytes.len() as u64 {
            self.head += HEADER as u64 + u64::from(self.len_at(self.head));
            self.first += 1;
        }
        let mut header = [0; HEADER];
        header[0..4].copy_from_slice(&(text.len() as u32).to_le_bytes());
        header[4..8].copy_from_slice(&priority.to_le_bytes());
        header[8..16].copy_from_slice(&self.end.to_le_bytes());
        header[16..24].copy_from_slice(&time_ns.to_le_bytes());
        self.put(self.tail, &header);
        self.put(self.tail + HEADER as u64, text);
        self.tail += needed;
        self.end += 1;
        self.end - 1
    }

    /// Shows the line with this number, or the oldest after it.
    pub fn with<R>(&self, sequence: u64, visit: impl FnOnce(&Entry<'_>) -> R) -> Option<R> {
        let sequence = sequence.max(self.first);
        if sequence >= self.end {
            return None;
        }
        let mut at = self.head;
        for _ in self.first..sequence {
            at += HEADER as u64 + u64::from(self.len_at(at));
        }
        let mut header = [0; HEADER];
        self.get(at, &mut header);
        let word = |start: usize| {
            header[start..start + 8].iter().rev().fold(0, |sum, &byte| sum << 8 | u64::from(byte))
        };
        let mut text = [0; LINE_MAX];
        let text = &mut text[..(self.len_at(at) as usize).min(LINE_MAX)];
        self.get(at + HEADER as u64, text);
        Some(visit(&Entry { sequence: word(8), priority: (word(0) >> 32) as u32, time_ns: word(16), text }))
    }

    fn len_at(&self, position: u64) -> u32 {
        let mut len = [0; 4];
        self.get(position, &mut len);
        u32::from_le_bytes(len)
    }

    /// Splits `len` bytes at `position` where the ring wraps: start, and how many before the end.
    fn split(&self, position: u64, len: usize) -> (usize, usize) {
        let start = (position % self.bytes.len() as u64) as usize;
        (start, len.min(self.bytes.len() - start))
    }

    fn put(&mut self, position: u64, from: &[u8]) {
        let (start, before) = self.split(position, from.len());
        self.bytes[start..start + before].copy_from_slice(&from[..before]);
        self.bytes[..from.len() - before].copy_from_slice(&from[before..]);
    }

    fn get(&self, position: u64, into: &mut [u8]) {
        let (start, before) = self.split(position, into.len());
        let len = into.len();
        into[..before].copy_from_slice(&self.bytes[start..start + before]);
        into[before..].copy_from_slice(&self.bytes[..len - before]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::vec;
    use alloc::vec::Vec;

    fn ring(capacity: usize) -> Ring {
        Ring::new(vec![0; capacity].into_boxed_slice())
    }

    #[test]
    fn lines_come_back_in_order_with_their_numbers() {
        let mut ring = ring(1024);
        for number in 0..10 {
            assert_eq!(ring.push(6, number * 1000, format!("line {number}").as_bytes()), number);
        }
        for number in 0..10 {
            let line = ring
                .with(number, |entry| (entry.sequence, entry.priority, entry.time_ns, entry.text.to_vec()));
            assert_eq!(line, Some((number, 6, number * 1000, format!("line {number}").into_bytes())));
        }
        assert_eq!(ring.with(10, |_| ()), None);
    }

    #[test]
    fn the_oldest_lines_give_way_and_a_reader_that_is_behind_gets_the_oldest_left() {
        let mut ring = ring(1000);
        for number in 0..10_000u64 {
            let text: Vec<u8> = (0..number % 97).map(|byte| (byte + number) as u8).collect();
            ring.push(number as u32, number, &text);
            assert!(ring.first() <= ring.end());
            let (sequence, found) = ring.with(0, |entry| (entry.sequence, entry.text.to_vec())).unwrap();
            assert_eq!(sequence, ring.first());
            assert_eq!(found, (0..sequence % 97).map(|byte| (byte + sequence) as u8).collect::<Vec<u8>>());
            assert_eq!(ring.with(number, |entry| entry.text.to_vec()), Some(text));
        }
        assert!(ring.first() > 9_900 - 97);
    }

    #[test]
    fn a_line_that_is_too_long_is_cut() {
        let mut ring = ring(4096);
        ring.push(3, 0, &[b'x'; 5000]);
        assert_eq!(ring.with(0, |entry| entry.text.len()), Some(LINE_MAX));
    }
}

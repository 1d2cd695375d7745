//! A compact series: times as deltas of deltas, numbers XORed with their predecessor, packed bit by bit.
//!
//! The idea is that of Facebook's Gorilla paper (VLDB 2015, section 4.1): a value that does not change costs one bit, a
//! regular interval one bit. Here a row has `N` numbers: one for raw points, four for roll-ups.
//!
//! Row 0: time (64 bits), each number (64 bits). Then for each row: the delta of the time's delta as `0` (none), or a
//! two-bit class and 7, 16 or 64 bits; for each number `0` (unchanged), or `1`, six bits of leading zeros, six bits of
//! length - 1, and the bits between.

/// A row: milliseconds and `N` numbers.
pub type Row<const N: usize> = (i64, [f64; N]);

/// Builds one block.
#[derive(Clone, Debug)]
pub struct Encoder<const N: usize> {
    bytes: Vec<u8>,
    /// Bits used of the last byte; 0 means that it is full (or there is none).
    bits: u32,
    count: u32,
    first_ms: i64,
    last_ms: i64,
    delta_ms: i64,
    last: [u64; N],
}

impl<const N: usize> Default for Encoder<N> {
    fn default() -> Self {
        Encoder { bytes: Vec::new(), bits: 0, count: 0, first_ms: 0, last_ms: 0, delta_ms: 0, last: [0; N] }
    }
}

impl<const N: usize> Encoder<N> {
    /// Appends a row. Times may go back (a clock was set); numbers may be NaN.
    pub fn push(&mut self, (time_ms, numbers): Row<N>) {
        if self.count == 0 {
            self.first_ms = time_ms;
            self.write(time_ms as u64, 64);
            for number in numbers {
                self.write(number.to_bits(), 64);
            }
        } else {
            let delta_ms = time_ms.wrapping_sub(self.last_ms);
            self.write_time(delta_ms.wrapping_sub(self.delta_ms));
            self.delta_ms = delta_ms;
            for (number, last) in numbers.into_iter().zip(self.last) {
                self.write_number(number.to_bits() ^ last);
            }
        }
        self.last_ms = time_ms;
        self.last = numbers.map(f64::to_bits);
        self.count += 1;
    }

    fn write_time(&mut self, change: i64) {
        match change {
            0 => self.write(0, 1),
            -64..=63 => self.write(0b100 << 7 | (change as u64 & 0x7f), 10),
            -32_768..=32_767 => self.write(0b101 << 16 | (change as u64 & 0xffff), 19),
            _ => {
                self.write(0b110, 3);
                self.write(change as u64, 64);
            }
        }
    }

    fn write_number(&mut self, difference: u64) {
        if difference == 0 {
            return self.write(0, 1);
        }
        let (leading, trailing) = (difference.leading_zeros(), difference.trailing_zeros());
        let len = 64 - leading - trailing;
        self.write(1 << 12 | u64::from(leading) << 6 | u64::from(len - 1), 13);
        self.write(difference >> trailing, len);
    }

    fn write(&mut self, value: u64, mut len: u32) {
        while len > 0 {
            if self.bits == 0 {
                self.bytes.push(0);
                self.bits = 8;
            }
            let take = self.bits.min(len);
            let part = (value >> (len - take)) & ((1 << take) - 1);
            if let Some(last) = self.bytes.last_mut() {
                *last |= (part << (self.bits - take)) as u8;
            }
            self.bits -= take;
            len -= take;
        }
    }

    /// Rows so far.
    pub fn len(&self) -> u32 {
        self.count
    }
    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
    /// Time of the first row.
    pub fn first_ms(&self) -> i64 {
        self.first_ms
    }
    /// Time of the latest row.
    pub fn last_ms(&self) -> i64 {
        self.last_ms
    }
    /// The block: the number of rows (u32, little-endian), then the bits.
    pub fn block(&self) -> Vec<u8> {
        [&self.count.to_le_bytes()[..], &self.bytes].concat()
    }
    /// An encoder that goes on where the block ended.
    pub fn resume(block: &[u8]) -> Encoder<N> {
        let mut encoder = Encoder::default();
        decode(block).into_iter().for_each(|row| encoder.push(row));
        encoder
    }
}

/// The rows of a block; of a damaged one, those that can be read.
pub fn decode<const N: usize>(block: &[u8]) -> Vec<Row<N>> {
    let mut rows = Vec::new();
    let Some((count, bytes)) = block.split_first_chunk() else { return rows };
    let count = u32::from_le_bytes(*count);
    let mut reader = Reader { bytes, at: 0 };
    let (mut time_ms, mut delta_ms, mut last) = (0i64, 0i64, [0u64; N]);
    for row in 0..count {
        let mut read = || {
            if row == 0 {
                time_ms = reader.read(64)? as i64;
                for number in &mut last {
                    *number = reader.read(64)?;
                }
            } else {
                delta_ms = delta_ms.wrapping_add(reader.time()?);
                time_ms = time_ms.wrapping_add(delta_ms);
                for number in &mut last {
                    *number ^= reader.number()?;
                }
            }
            Some((time_ms, last.map(f64::from_bits)))
        };
        match read() {
            Some(read) => rows.push(read),
            None => break,
        }
    }
    rows
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn read(&mut self, len: u32) -> Option<u64> {
        let mut value = 0;
        let mut left = len;
        while left > 0 {
            let byte = u64::from(*self.bytes.get(self.at / 8)?);
            let free = 8 - (self.at % 8) as u32;
            let take = free.min(left);
            value = value << take | (byte >> (free - take)) & ((1 << take) - 1);
            self.at += take as usize;
            left -= take;
        }
        Some(value)
    }
    fn time(&mut self) -> Option<i64> {
        if self.read(1)? == 0 {
            return Some(0);
        }
        let signed = |value: u64, len: u32| (value << (64 - len)) as i64 >> (64 - len);
        match self.read(2)? {
            0 => Some(signed(self.read(7)?, 7)),
            1 => Some(signed(self.read(16)?, 16)),
            _ => Some(self.read(64)? as i64),
        }
    }
    fn number(&mut self) -> Option<u64> {
        if self.read(1)? == 0 {
            return Some(0);
        }
        let leading = self.read(6)? as u32;
        let len = self.read(6)? as u32 + 1;
        let trailing = 64u32.checked_sub(leading + len)?;
        Some(self.read(len)? << trailing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn round<const N: usize>(rows: &[Row<N>]) {
        let mut encoder = Encoder::<N>::default();
        rows.iter().for_each(|row| encoder.push(*row));
        let bits = |rows: &[Row<N>]| rows.iter().map(|(t, n)| (*t, n.map(f64::to_bits))).collect::<Vec<_>>();
        assert_eq!(bits(&decode(&encoder.block())), bits(rows));
        let resumed = Encoder::<N>::resume(&encoder.block());
        assert_eq!(resumed.block(), encoder.block());
    }

    #[test]
    fn a_steady_series_costs_two_bits_a_row() {
        let mut encoder = Encoder::<1>::default();
        (0..8_000).for_each(|n| encoder.push((n * 1000, [21.5])));
        assert!(encoder.block().len() < 2_050, "{}", encoder.block().len());
    }

    #[test]
    fn odd_rows_survive() {
        round(&[(i64::MAX, [f64::NAN]), (i64::MIN, [-0.0]), (0, [f64::INFINITY]), (0, [f64::MIN_POSITIVE])]);
        round::<2>(&[]);
    }

    proptest! {
        #[test]
        fn every_series_survives(rows in proptest::collection::vec((any::<i64>(), any::<[f64; 2]>()), 0..60)) {
            round(&rows);
        }
        #[test]
        fn usual_series_survive(steps in proptest::collection::vec((-100i64..100_000, -50i32..50), 0..100)) {
            let mut time = 1_700_000_000_000;
            let rows: Vec<Row<1>> = steps.iter().map(|(step, n)| { time += step; (time, [f64::from(*n) / 10.0]) }).collect();
            round(&rows);
        }
        #[test]
        fn a_damaged_block_does_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = decode::<3>(&bytes);
        }
    }
}

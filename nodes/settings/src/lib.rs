//! What a board remembers when its power goes: its keys, the hubs that it obeys, how its pins are used.
//!
//! One small record that is always written whole, to the older of two sectors of flash: if the power goes while that one is
//! erased or written, the other still holds the record before. Which is newer says a generation; which is whole, a checksum.
//!
//! A portable core without a flash of its own: a board brings [`Flash`]. Neighbours: `nodes/boards`.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::vec;
use alloc::vec::Vec;

/// Bytes of a sector, the least that flash erases.
pub const SECTOR_BYTES: u32 = 4_096;
/// The longest record.
pub const MAX_BYTES: usize = 2_048;

const MAGIC: [u8; 4] = *b"HOB1";
/// Magic number, generation, length, checksum: 32 bits each.
const HEAD_BYTES: usize = 16;

/// Two sectors of flash, from 0. Lengths and places are multiples of 4.
pub trait Flash {
    /// Why it failed.
    type Error;
    /// Reads from a place.
    ///
    /// # Errors
    /// The flash failed.
    fn read(&mut self, at: u32, bytes: &mut [u8]) -> Result<(), Self::Error>;
    /// Erases the sector that begins there.
    ///
    /// # Errors
    /// The flash failed.
    fn erase(&mut self, at: u32) -> Result<(), Self::Error>;
    /// Writes to erased flash.
    ///
    /// # Errors
    /// The flash failed.
    fn write(&mut self, at: u32, bytes: &[u8]) -> Result<(), Self::Error>;
}

/// Why a record was not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotStored<E> {
    /// Longer than [`MAX_BYTES`].
    TooLong,
    /// The flash failed.
    Flash(E),
}

/// The remembered record.
#[derive(Debug)]
pub struct Settings<F> {
    flash: F,
    /// The sector that holds the newest whole record, and its generation.
    newest: Option<(u32, u32)>,
}

impl<F: Flash> Settings<F> {
    /// Looks for the newest whole record; an empty one when there is none.
    ///
    /// # Errors
    /// The flash failed.
    pub fn open(mut flash: F) -> Result<(Settings<F>, Vec<u8>), F::Error> {
        let mut found: Option<(u32, u32, Vec<u8>)> = None;
        for sector in [0, SECTOR_BYTES] {
            if let Some((generation, bytes)) = read(&mut flash, sector)?
                // Generations go round; the newer is the one less than half of them ahead.
                && found.as_ref().is_none_or(|(_, other, _)| generation.wrapping_sub(*other) as i32 > 0)
            {
                found = Some((sector, generation, bytes));
            }
        }
        let newest = found.as_ref().map(|(sector, generation, _)| (*sector, *generation));
        Ok((Settings { flash, newest }, found.map(|(_, _, bytes)| bytes).unwrap_or_default()))
    }

    /// Puts a record in the place of the one before.
    ///
    /// # Errors
    /// It is too long, or the flash failed; then the record before is still there.
    pub fn store(&mut self, record: &[u8]) -> Result<(), NotStored<F::Error>> {
        if record.len() > MAX_BYTES {
            return Err(NotStored::TooLong);
        }
        let (sector, generation) = match self.newest {
            Some((0, generation)) => (SECTOR_BYTES, generation.wrapping_add(1)),
            Some((_, generation)) => (0, generation.wrapping_add(1)),
            None => (0, 0),
        };
        let mut bytes = Vec::with_capacity(HEAD_BYTES + record.len() + 3);
        bytes.extend(MAGIC);
        bytes.extend(generation.to_le_bytes());
        bytes.extend((record.len() as u32).to_le_bytes());
        bytes.extend(checksum(generation, record).to_le_bytes());
        bytes.extend_from_slice(record);
        bytes.resize(bytes.len().next_multiple_of(4), 0xff);
        let written = self.flash.erase(sector).and_then(|()| self.flash.write(sector, &bytes));
        written.map_err(NotStored::Flash)?;
        self.newest = Some((sector, generation));
        Ok(())
    }
}

/// The whole record of a sector, with its generation.
fn read<F: Flash>(flash: &mut F, sector: u32) -> Result<Option<(u32, Vec<u8>)>, F::Error> {
    let mut head = [0; HEAD_BYTES];
    flash.read(sector, &mut head)?;
    let word = |at: usize| head.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |b| u32::from_le_bytes(*b));
    let (generation, len) = (word(4), word(8) as usize);
    if !head.starts_with(&MAGIC) || len > MAX_BYTES {
        return Ok(None);
    }
    let mut record = vec![0; len.next_multiple_of(4)];
    flash.read(sector + HEAD_BYTES as u32, &mut record)?;
    record.truncate(len);
    Ok((checksum(generation, &record) == word(12)).then_some((generation, record)))
}

/// CRC-32 (IEEE 802.3) of generation and record.
fn checksum(generation: u32, record: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in generation.to_le_bytes().iter().chain(record) {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = crc >> 1 ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 };
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Flash whose power can go after so many bytes; an erased byte costs as much as a written one.
    #[derive(Clone, Debug)]
    struct Torn {
        bytes: Vec<u8>,
        left: usize,
    }

    impl Torn {
        fn empty() -> Torn {
            Torn { bytes: vec![0xff; 2 * SECTOR_BYTES as usize], left: usize::MAX }
        }
        fn change(&mut self, at: u32, len: usize, byte: impl Fn(usize, u8) -> u8) -> Result<(), ()> {
            for n in 0..len {
                self.left = self.left.checked_sub(1).ok_or(())?;
                let place = &mut self.bytes[at as usize + n];
                *place = byte(n, *place);
            }
            Ok(())
        }
    }

    impl Flash for Torn {
        type Error = ();
        fn read(&mut self, at: u32, bytes: &mut [u8]) -> Result<(), ()> {
            bytes.copy_from_slice(&self.bytes[at as usize..at as usize + bytes.len()]);
            Ok(())
        }
        fn erase(&mut self, at: u32) -> Result<(), ()> {
            self.change(at, SECTOR_BYTES as usize, |_, _| 0xff)
        }
        fn write(&mut self, at: u32, bytes: &[u8]) -> Result<(), ()> {
            assert_eq!((at % 4, bytes.len() % 4), (0, 0));
            // Flash can only clear bits.
            self.change(at, bytes.len(), |n, held| held & bytes[n])
        }
    }

    #[test]
    fn the_newest_record_is_remembered() {
        let (mut settings, first) = Settings::open(Torn::empty()).unwrap();
        assert!(first.is_empty());
        for n in 0..5u8 {
            settings.store(&vec![n; usize::from(n)]).unwrap();
            let (again, record) = Settings::open(settings.flash).unwrap();
            assert_eq!(record, vec![n; usize::from(n)]);
            settings = again;
        }
        assert_eq!(settings.store(&[0; MAX_BYTES + 1]), Err(NotStored::TooLong));
    }

    #[test]
    fn generations_may_go_round() {
        let (mut settings, _) = Settings::open(Torn::empty()).unwrap();
        settings.newest = Some((0, u32::MAX - 1));
        for text in [&b"last"[..], b"first", b"second"] {
            settings.store(text).unwrap();
            let (again, record) = Settings::open(settings.flash).unwrap();
            assert_eq!(record, text);
            settings = again;
        }
    }

    #[test]
    fn a_power_cut_at_any_byte_leaves_the_old_record_or_the_new_one() {
        let (mut settings, _) = Settings::open(Torn::empty()).unwrap();
        settings.store(b"oldest").unwrap();
        settings.store(b"the record before").unwrap();
        let whole = settings.flash.clone();
        for left in 0.. {
            let flash = Torn { left, ..whole.clone() };
            let (mut settings, _) = Settings::open(flash).unwrap();
            let stored = settings.store(b"the record after").is_ok();
            let (_, record) = Settings::open(Torn { left: usize::MAX, ..settings.flash }).unwrap();
            let is_new = record == b"the record after";
            assert!(is_new || (!stored && record == b"the record before"), "after {left} bytes: {record:?}");
            if stored {
                break;
            }
        }
    }

    proptest! {
        #[test]
        fn damaged_flash_gives_a_whole_record_or_none(damage in proptest::collection::vec((0..2 * SECTOR_BYTES as usize, any::<u8>()), 1..40)) {
            let (mut settings, _) = Settings::open(Torn::empty()).unwrap();
            settings.store(b"one").unwrap();
            settings.store(b"two").unwrap();
            let mut flash = settings.flash;
            damage.into_iter().for_each(|(at, byte)| flash.bytes[at] = byte);
            let (_, record) = Settings::open(flash).unwrap();
            prop_assert!([&b"one"[..], b"two", b""].contains(&record.as_slice()), "{record:?}");
        }
    }
}

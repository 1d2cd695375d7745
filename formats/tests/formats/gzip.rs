//! Gzip: packed by the same crate's other half, with every kind of header, cut, damaged, too large.

use formats::gzip::{Decoder, Error, is_gzip, unpack};
use miniz_oxide::deflate::compress_to_vec;
use proptest::prelude::*;

fn member(flags: u8, header: &[u8], contents: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x1f, 0x8b, 8, flags, 0, 0, 0, 0, 0, 3];
    bytes.extend(header);
    if flags & 2 != 0 {
        let checksum = crc32fast::hash(&bytes) as u16;
        bytes.extend(checksum.to_le_bytes());
    }
    bytes.extend(compress_to_vec(contents, 6));
    bytes.extend(crc32fast::hash(contents).to_le_bytes());
    bytes.extend((contents.len() as u32).to_le_bytes());
    bytes
}

fn text() -> Vec<u8> {
    (0..200_000u32).flat_map(|number| (number % 977 * number % 353).to_le_bytes()).collect()
}

#[test]
fn a_member_is_unpacked_and_what_follows_is_left() {
    let text = text();
    let mut bytes = member(0, &[], &text);
    bytes.extend(member(0, &[], b"second"));
    assert!(is_gzip(&bytes));
    let (contents, rest) = unpack(&bytes, 1 << 30).expect("a good member");
    assert!(contents == text);
    assert_eq!(unpack(rest, 100).expect("a good member"), (b"second".to_vec(), &[][..]));
}

#[test]
fn every_optional_part_of_the_header_is_passed_over() {
    for (flags, header) in [
        (1, &b""[..]),
        (4, b"\x03\x00abc"),
        (8, b"name\0"),
        (16, b"comment\0"),
        (2, b""),
        (31, b"\x01\x00xname\0comment\0"),
    ] {
        let bytes = member(flags, header, b"contents");
        assert_eq!(unpack(&bytes, 8).expect("a good member").0, b"contents", "flags {flags}");
    }
}

#[test]
fn contents_come_by_chunks_of_any_size() {
    let text = text();
    let bytes = member(0, &[], &text);
    for size in [1, 7, 4096, 1 << 20] {
        let mut decoder = Decoder::new(&bytes, u64::MAX).expect("a good header");
        let mut chunk = vec![0; size];
        let mut read = 0;
        loop {
            match decoder.read(&mut chunk).expect("a good member") {
                0 => break,
                length => {
                    assert!(chunk[..length] == text[read..read + length]);
                    read += length;
                }
            }
        }
        assert_eq!(read, text.len());
        assert!(decoder.rest().is_empty());
    }
}

#[test]
fn contents_above_the_limit_are_refused_before_they_fill_memory() {
    let bomb = member(0, &[], &vec![0; 50 << 20]);
    assert_eq!(unpack(&bomb, 1 << 20).expect_err("refused"), Error::TooLarge);
    assert_eq!(unpack(&member(0, &[], b"12345"), 4).expect_err("refused"), Error::TooLarge);
    assert!(unpack(&member(0, &[], b"12345"), 5).is_ok());
}

#[test]
fn every_cut_is_noticed() {
    let bytes = member(31, b"\x01\x00xname\0comment\0", b"some contents, some contents");
    for end in 0..bytes.len() {
        let error = unpack(&bytes[..end], 1000).expect_err("cut off");
        assert!(matches!(error, Error::Truncated | Error::NotGzip), "{end}: {error:?}");
    }
}

#[test]
fn a_wrong_checksum_or_length_is_noticed() {
    let bytes = member(0, &[], b"contents");
    for at in 1..=8 {
        let mut bytes = bytes.clone();
        let end = bytes.len();
        bytes[end - at] ^= 1;
        assert_eq!(unpack(&bytes, 1000).expect_err("damaged"), Error::BadChecksum);
    }
    let mut header = member(2, &[], b"contents");
    header[4] ^= 1;
    assert_eq!(unpack(&header, 1000).expect_err("damaged"), Error::BadHeader);
    assert_eq!(unpack(&member(0x20, &[], b""), 1).expect_err("reserved"), Error::BadHeader);
}

proptest! {
    #[test]
    fn any_contents_go_the_round(contents in prop::collection::vec(any::<u8>(), 0..5000)) {
        let bytes = member(0, &[], &contents);
        prop_assert_eq!(unpack(&bytes, 5000), Ok((contents, &[][..])));
    }

    #[test]
    fn damage_never_goes_unnoticed_nor_breaks_the_reader(bytes in crate::support::damaged(member(8, b"n\0", b"some contents, some contents"))) {
        if let Ok((contents, _)) = unpack(&bytes, 1 << 16) {
            prop_assert_eq!(contents, b"some contents, some contents");
        }
    }

    #[test]
    fn no_bytes_break_the_reader(rest in prop::collection::vec(any::<u8>(), 0..400)) {
        let mut bytes = vec![0x1f, 0x8b, 8];
        bytes.extend(rest);
        let _ = unpack(&bytes, 1 << 20);
    }
}

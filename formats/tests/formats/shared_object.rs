//! Shared objects that are made in memory, read as dynamic linkers read them.

use formats::bytes::{slice_at, u16_at, u32_at, u64_at, until_nul};
use formats::elf::shared::{Function, SharedObject, TooLarge};
use formats::elf::{HEADER_LENGTH, Header, Image, Kind, PROGRAM_HEADER_LENGTH};

const CODE: [u8; 64] = [0x90; 64];
const FUNCTIONS: [Function<'static>; 3] = [
    Function { name: "__vdso_time", alias: Some("time"), offset: 0, length: 16 },
    Function { name: "__vdso_getcpu", alias: Some("getcpu"), offset: 16, length: 8 },
    Function { name: "plain", alias: None, offset: 32, length: 32 },
];

fn object(code_offset: usize) -> SharedObject<'static> {
    SharedObject {
        name: "linux-vdso.so.1",
        version: "LINUX_2.6",
        functions: &FUNCTIONS,
        code: &CODE,
        code_offset,
    }
}

/// Offset and length of the first segment of a kind.
fn segment(bytes: &[u8], kind: u32) -> (usize, usize) {
    let headers = u16_at(bytes, 56).unwrap();
    (0..headers as usize)
        .map(|index| HEADER_LENGTH + index * PROGRAM_HEADER_LENGTH)
        .find(|&at| u32_at(bytes, at) == Some(kind))
        .map(|at| (u64_at(bytes, at + 8).unwrap() as usize, u64_at(bytes, at + 32).unwrap() as usize))
        .unwrap()
}

fn dynamic(bytes: &[u8], wanted: u64) -> usize {
    let (start, length) = segment(bytes, 2);
    (start..start + length)
        .step_by(16)
        .find(|&at| u64_at(bytes, at) == Some(wanted))
        .map(|at| u64_at(bytes, at + 8).unwrap() as usize)
        .unwrap()
}

fn name_at(bytes: &[u8], offset: u32) -> &[u8] {
    until_nul(&bytes[dynamic(bytes, 5) + offset as usize..])
}

fn hash(name: &str) -> u32 {
    let mut hash = 0u32;
    for byte in name.bytes() {
        hash = (hash << 4) + u32::from(byte);
        hash ^= hash >> 24 & 0xf0;
        hash &= 0x0fff_ffff;
    }
    hash
}

/// The name of the version with this index, if it is not the object's own.
fn version(bytes: &[u8], index: u16) -> Option<&[u8]> {
    let mut at = dynamic(bytes, 0x6fff_fffc);
    loop {
        let (flags, here) = (u16_at(bytes, at + 2)?, u16_at(bytes, at + 4)?);
        if flags & 1 == 0 && here == index {
            let name = name_at(bytes, u32_at(bytes, at + u32_at(bytes, at + 12)? as usize)?);
            assert_eq!(u32_at(bytes, at + 8), Some(hash(str::from_utf8(name).unwrap())));
            return Some(name);
        }
        match u32_at(bytes, at + 16)? {
            0 => return None,
            next => at += next as usize,
        }
    }
}

/// Address, length and binding of a symbol, found through the hash table.
fn look_up(bytes: &[u8], name: &str) -> Option<(u64, u64, u8)> {
    let table = dynamic(bytes, 4);
    let (buckets, chains) = (u32_at(bytes, table)?, u32_at(bytes, table + 4)?);
    let word = |index: u32| u32_at(bytes, table + 8 + index as usize * 4);
    let mut index = word(hash(name) % buckets)?;
    while index != 0 {
        assert!(index < chains);
        let at = dynamic(bytes, 6) + index as usize * 24;
        if name_at(bytes, u32_at(bytes, at)?) == name.as_bytes() {
            let versions = dynamic(bytes, 0x6fff_fff0);
            assert_eq!(version(bytes, u16_at(bytes, versions + index as usize * 2)?)?, b"LINUX_2.6");
            assert_ne!(u16_at(bytes, at + 6), Some(0), "the symbol is defined");
            return Some((u64_at(bytes, at + 8)?, u64_at(bytes, at + 16)?, bytes[at + 4] >> 4));
        }
        index = word(buckets + index)?;
    }
    None
}

#[test]
fn every_function_is_found_by_its_names_and_version() {
    let bytes = object(0x800).build().unwrap();
    for function in FUNCTIONS {
        let place = (0x800 + function.offset as u64, function.length as u64);
        assert_eq!(look_up(&bytes, function.name), Some((place.0, place.1, 1)));
        if let Some(alias) = function.alias {
            assert_eq!(look_up(&bytes, alias), Some((place.0, place.1, 2)));
        }
    }
    assert_eq!(look_up(&bytes, "nothing"), None);
    assert_eq!(name_at(&bytes, dynamic(&bytes, 14) as u32), b"linux-vdso.so.1");
}

#[test]
fn the_object_loads_as_one_segment_that_cannot_be_written() {
    let bytes = object(0x800).build().unwrap();
    let header = Header::parse(&bytes).unwrap();
    assert_eq!(header.kind, Kind::Relocatable);
    let table = slice_at(&bytes, HEADER_LENGTH, header.program_headers_length()).unwrap();
    let image = Image::parse(header, table).unwrap();
    let segments: Vec<_> = image.segments().collect();
    assert_eq!(segments.len(), 1);
    assert_eq!((segments[0].address, segments[0].file_length), (0, bytes.len() as u64));
    assert_eq!(&bytes[0x800..], &CODE);
}

#[test]
fn one_rule_of_unwinding_holds_for_all_of_the_code() {
    let bytes = object(0x800).build().unwrap();
    let (index, _) = segment(&bytes, 0x6474_e550);
    let relative = |at: usize| u32_at(&bytes, at).unwrap() as i32 as i64;
    assert_eq!(bytes[index..index + 4], [1, 0x1b, 3, 0x3b]);
    let frames = (index as i64 + 4 + relative(index + 4)) as usize;
    let description = (index as i64 + relative(index + 16)) as usize;
    assert_eq!(index as i64 + relative(index + 12), 0x800);
    // The common part, and the way back to it.
    assert_eq!(frames + 4 + u32_at(&bytes, frames).unwrap() as usize, description);
    assert_eq!(description + 4 - u32_at(&bytes, description + 4).unwrap() as usize, frames);
    assert_eq!(description as i64 + 8 + relative(description + 8), 0x800);
    assert_eq!(u32_at(&bytes, description + 12), Some(CODE.len() as u32));
    let end = description + 4 + u32_at(&bytes, description).unwrap() as usize;
    assert_eq!(u32_at(&bytes, end), Some(0));
}

#[test]
fn tables_that_do_not_fit_in_front_of_the_code_are_refused() {
    assert_eq!(object(0x100).build(), Err(TooLarge));
}

#[test]
fn an_object_without_functions_has_none() {
    let bytes = SharedObject { functions: &[], ..object(0x800) }.build().unwrap();
    assert_eq!(look_up(&bytes, "time"), None);
}

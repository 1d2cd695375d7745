//! ELF files: good ones, absurd ones, and this test itself.

use formats::elf::section::{Sections, SymbolKind};
use formats::elf::{Error, HEADER_LENGTH, Header, Image, Kind, SegmentFlags};
use proptest::prelude::*;

#[derive(Clone, Copy)]
struct Part {
    kind: u32,
    flags: u32,
    offset: u64,
    address: u64,
    file_length: u64,
    memory_length: u64,
    alignment: u64,
}

const LOAD: Part = Part {
    kind: 1,
    flags: 5,
    offset: 0,
    address: 0x40_0000,
    file_length: 0x1000,
    memory_length: 0x1000,
    alignment: 0x1000,
};

fn file(kind: u16, entry: u64, parts: &[Part]) -> Vec<u8> {
    let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
    bytes.resize(16, 0);
    bytes.extend(kind.to_le_bytes());
    bytes.extend(62u16.to_le_bytes());
    bytes.extend(1u32.to_le_bytes());
    for word in [entry, 64, 0] {
        bytes.extend(word.to_le_bytes());
    }
    bytes.extend(0u32.to_le_bytes());
    for half in [64, 56, parts.len() as u16, 64, 0, 0] {
        bytes.extend(half.to_le_bytes());
    }
    for part in parts {
        bytes.extend(part.kind.to_le_bytes());
        bytes.extend(part.flags.to_le_bytes());
        let words =
            [part.offset, part.address, part.address, part.file_length, part.memory_length, part.alignment];
        for word in words {
            bytes.extend(word.to_le_bytes());
        }
    }
    bytes
}

fn image(bytes: &[u8]) -> Result<Image<'_>, Error> {
    let header = Header::parse(bytes)?;
    let offset = usize::try_from(header.program_headers_offset).map_err(|_| Error::Truncated)?;
    Image::parse(header, bytes.get(offset..).ok_or(Error::Truncated)?)
}

#[test]
fn a_static_program_is_read_with_all_that_a_loader_needs() {
    let data = Part {
        flags: 6,
        offset: 0x1000,
        address: 0x40_2000,
        file_length: 0x10,
        memory_length: 0x5000,
        ..LOAD
    };
    let stack = Part { kind: 0x6474_e551, flags: 6, ..LOAD };
    let storage =
        Part { kind: 7, address: 0x40_2000, file_length: 8, memory_length: 24, alignment: 8, ..LOAD };
    let relro = Part { kind: 0x6474_e552, address: 0x40_2000, ..LOAD };
    let note = Part { kind: 4, address: u64::MAX, memory_length: u64::MAX, ..LOAD };
    let bytes = file(2, 0x40_0100, &[LOAD, data, stack, storage, relro, note]);
    let image = image(&bytes).expect("a good file");
    assert_eq!((image.header.kind, image.header.entry), (Kind::Fixed, 0x40_0100));
    assert_eq!((image.start, image.end, image.file_end), (0x40_0000, 0x40_7000, 0x1010));
    assert_eq!(image.program_headers_address, Some(0x40_0040));
    assert_eq!(image.stack_is_executable, Some(false));
    assert_eq!(image.thread_local.map(|part| part.memory_length), Some(24));
    assert!(image.relocated_read_only.is_some() && image.interpreter.is_none());
    assert!(image.entry_is_executable());
    let flags: Vec<_> = image.segments().map(|segment| segment.flags).collect();
    let expected = [SegmentFlags::READ | SegmentFlags::EXECUTE, SegmentFlags::READ | SegmentFlags::WRITE];
    assert_eq!(flags, expected);
}

#[test]
fn a_dynamic_program_names_its_interpreter() {
    let load = Part { address: 0, ..LOAD };
    let path = Part { kind: 3, offset: 0x318, file_length: 28, ..LOAD };
    let bytes = file(3, 0x100, &[path, load]);
    let image = image(&bytes).expect("a good file");
    assert_eq!((image.header.kind, image.interpreter), (Kind::Relocatable, Some((0x318, 28))));
    assert_eq!(image.stack_is_executable, None);
}

#[test]
fn what_is_no_program_of_this_machine_is_refused_as_foreign() {
    let good = file(2, 0, &[LOAD]);
    let with = |at: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[at] = value;
        image(&bytes).expect_err("refused")
    };
    assert_eq!(with(0, 0), Error::NotElf);
    assert_eq!(with(18, 3), Error::WrongMachine);
    assert_eq!(with(16, 1), Error::WrongType);
    assert_eq!(with(54, 32), Error::BadProgramHeaders);
    assert_eq!(with(56, 0), Error::BadProgramHeaders);
    assert_eq!(with(57, 0xff), Error::BadProgramHeaders);
    assert_eq!(image(b"#!/bin/sh\n").expect_err("refused"), Error::NotElf);
    assert_eq!(image(b"\x7fELF").expect_err("refused"), Error::Truncated);
    assert_eq!(image(&good[..HEADER_LENGTH + 55]).expect_err("refused"), Error::Truncated);
    assert!(Error::WrongMachine.is_foreign() && !Error::Overflow.is_foreign());
}

#[test]
fn absurd_program_headers_are_refused() {
    let refused = |parts: &[Part]| image(&file(2, 0, parts)).expect_err("refused");
    assert_eq!(refused(&[Part { kind: 4, ..LOAD }]), Error::NoSegments);
    assert_eq!(refused(&[Part { file_length: 0x2000, ..LOAD }]), Error::FileLargerThanMemory);
    assert_eq!(refused(&[Part { address: u64::MAX - 0xfff, ..LOAD }]), Error::Overflow);
    assert_eq!(refused(&[Part { offset: u64::MAX - 0xfff, ..LOAD }]), Error::Overflow);
    assert_eq!(refused(&[Part { offset: 1, ..LOAD }]), Error::BadAlignment);
    assert_eq!(refused(&[LOAD, Part { kind: 3, file_length: 1, ..LOAD }]), Error::BadInterpreter);
    assert_eq!(refused(&[LOAD, Part { kind: 3, file_length: 4097, ..LOAD }]), Error::BadInterpreter);
}

#[test]
fn segments_may_overlap_and_come_in_any_order() {
    let file = file(
        2,
        0,
        &[LOAD, Part { address: 0x40_0800, offset: 0x800, ..LOAD }, Part { address: 0x1000, ..LOAD }],
    );
    let image = image(&file).expect("good");
    assert_eq!(image.start, 0x1000);
    assert!(image.end > 0x40_0800);
    assert_eq!(
        image.segments().map(|segment| segment.address).collect::<Vec<_>>(),
        [LOAD.address, 0x40_0800, 0x1000]
    );
}

#[test]
fn absurd_hints_are_passed_over_as_in_linux() {
    let absurd = Part { address: u64::MAX, memory_length: 2, ..LOAD };
    let hints = [7, 0x6474_e552, 6].map(|kind| Part { kind, ..absurd });
    let path = Part { kind: 3, file_length: 10, ..LOAD };
    let second = Part { kind: 3, file_length: 1, ..LOAD };
    let odd = Part { alignment: 3, ..LOAD };
    let bytes = file(2, 0, &[hints[0], hints[1], hints[2], path, second, odd]);
    let image = image(&bytes).expect("a program that Linux runs");
    assert!(image.thread_local.is_none() && image.relocated_read_only.is_none());
    assert_eq!((image.interpreter, image.alignment), (Some((0, 10)), 1));
}

#[test]
fn the_symbols_of_this_test_are_found_in_its_own_file() {
    let bytes = std::fs::read(std::env::current_exe().expect("a path")).expect("readable");
    assert!(image(&bytes).expect("a good file").entry_is_executable());
    let sections = Sections::parse(&bytes).expect("sections");
    let text = sections.named(".text").expect("code");
    assert_eq!(text.data.len() as u64, text.length);
    let bss = sections.named(".bss").expect("zeros");
    assert!(bss.data.is_empty() && bss.length > 0);
    let main = sections.symbols().find(|symbol| symbol.name == b"main").expect("main");
    assert!(main.is_defined && main.kind == SymbolKind::Function && main.length > 0);
    assert!((text.address..text.address + text.length).contains(&main.address));
}

fn read_everything(bytes: &[u8]) {
    if let Ok(image) = image(bytes) {
        let mut end = 0;
        for segment in image.segments() {
            assert!(segment.address >= image.start && segment.file_length <= segment.memory_length);
            end = end.max(segment.address.checked_add(segment.memory_length).expect("no overflow"));
        }
        assert!(image.start < image.end && image.end == end && image.alignment.is_power_of_two());
        let _ = image.entry_is_executable();
    }
    if let Ok(sections) = Sections::parse(bytes) {
        assert!(sections.iter().count() <= bytes.len());
        assert!(sections.symbols().count() <= bytes.len());
    }
}

fn nearly_good() -> impl Strategy<Value = Vec<u8>> {
    let data = Part { kind: 1, address: 0x40_2000, flags: 6, memory_length: 0x3000, ..LOAD };
    let mut bytes = file(2, 0x40_0100, &[LOAD, data, Part { kind: 3, ..LOAD }, Part { kind: 7, ..LOAD }]);
    // Two sections, one of them of symbols, at the end.
    let at = bytes.len() as u64;
    bytes[40..48].copy_from_slice(&at.to_le_bytes());
    bytes[60] = 2;
    for kind in [3u32, 2] {
        let mut section = [0u8; 64];
        section[4..8].copy_from_slice(&kind.to_le_bytes());
        section[32] = 200;
        bytes.extend(section);
    }
    crate::support::damaged(bytes)
}

proptest! {
    #[test]
    fn no_bytes_break_the_reader(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
        read_everything(&bytes);
    }

    #[test]
    fn no_damage_to_a_file_breaks_the_reader(bytes in nearly_good()) {
        read_everything(&bytes);
    }
}

//! What boot loaders tell: PVH and Multiboot2, whole, incomplete and damaged.

use crate::support::Arena;
use formats::boot::{
    Description, Error, MODULES_MAX, MemoryKind, MemoryRegion, RootPointer, multiboot2, pvh,
};
use proptest::prelude::*;

const START: u64 = 0x8000;
const INFO: u64 = START + 0x100;
const LINE: u64 = START + 0xff8;
const LIST: u64 = START + 0x2000;
const MAP: u64 = START + 0x3000;

fn region(start: u64, length: u64, kind: u32) -> Vec<u8> {
    [&start.to_le_bytes()[..], &length.to_le_bytes(), &kind.to_le_bytes(), &[0; 4]].concat()
}

fn map() -> Vec<u8> {
    let regions = [
        region(0, 0x9_fc00, 1),
        region(0xf_0000, 0x1_0000, 2),
        region(0x10_0000, 0, 1),
        region(0x10_0000, 0x700_0000, 1),
        region(u64::MAX - 9, 100, 77),
    ];
    regions.concat()
}

fn info(version: u32, modules: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    for number in [pvh::MAGIC, version, 0, modules] {
        bytes.extend(number.to_le_bytes());
    }
    for address in [LIST, LINE, 0xf_5a20, MAP] {
        bytes.extend(address.to_le_bytes());
    }
    bytes.extend(5u32.to_le_bytes());
    bytes.extend([0; 4]);
    bytes
}

fn pvh_machine(version: u32, modules: u32) -> Arena {
    let mut arena = Arena::new(START, 0x8000);
    arena.put(INFO, &info(version, modules));
    arena.put(LINE, b"console=ttyS0 quiet\0");
    for entry in 0..u64::from(modules).min(20) {
        let module = [0x200_0000 + entry, 4096, LINE + 14, 0].map(u64::to_le_bytes).concat();
        arena.put(LIST + entry * 32, &module);
    }
    arena.put(MAP, &map());
    arena
}

fn check_map(description: &Description) {
    let regions: Vec<_> = description.memory.iter().collect();
    let expected = [
        MemoryRegion { start: 0, length: 0x9_fc00, kind: MemoryKind::Usable },
        MemoryRegion { start: 0xf_0000, length: 0x1_0000, kind: MemoryKind::Reserved },
        MemoryRegion { start: 0x10_0000, length: 0x700_0000, kind: MemoryKind::Usable },
        MemoryRegion { start: u64::MAX - 9, length: 9, kind: MemoryKind::Other(77) },
    ];
    assert_eq!(regions, expected, "empty regions are left out, overflowing ones cut");
}

#[test]
fn pvh_tells_command_line_memory_modules_and_root() {
    let arena = pvh_machine(1, 2);
    let description = pvh::read(&arena.reader(), INFO).expect("good");
    assert_eq!(description.command_line, b"console=ttyS0 quiet", "over the end of a page");
    assert_eq!(description.root_pointer, Some(RootPointer::Address(0xf_5a20)));
    assert_eq!(description.modules().len(), 2);
    let module = description.modules()[1];
    assert_eq!((module.start, module.length, module.command_line), (0x200_0001, 4096, &b"quiet"[..]));
    check_map(&description);
}

#[test]
fn pvh_without_memory_map_or_magic_is_refused() {
    let refused =
        |version, modules| pvh::read(&pvh_machine(version, modules).reader(), INFO).expect_err("refused");
    assert_eq!(refused(0, 0), Error::NoMemoryMap);
    assert_eq!(refused(1, MODULES_MAX as u32 + 1), Error::TooManyModules);
    assert_eq!(refused(1, u32::MAX), Error::TooManyModules);
    let arena = pvh_machine(1, 0);
    assert_eq!(pvh::read(&arena.reader(), INFO + 8).expect_err("refused"), Error::BadMagic);
    assert_eq!(pvh::read(&arena.reader(), 0).expect_err("refused"), Error::Truncated);
    assert!(pvh::read(&arena.reader(), INFO).expect("good").modules().is_empty());
}

#[test]
fn a_command_line_that_never_ends_is_refused() {
    let mut arena = Arena::new(START, 0x2_0000);
    arena.bytes.fill(b'a');
    let mut info = info(1, 0);
    info[24..32].copy_from_slice(&(MAP + 0x1000).to_le_bytes());
    arena.put(INFO, &info);
    arena.put(MAP, &map());
    assert_eq!(pvh::read(&arena.reader(), INFO).map(|_| ()), Err(Error::Truncated));
}

fn tag(kind: u32, body: &[u8]) -> Vec<u8> {
    let mut bytes = kind.to_le_bytes().to_vec();
    bytes.extend((8 + body.len() as u32).to_le_bytes());
    bytes.extend(body);
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    bytes
}

fn structure(tags: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = vec![0; 8];
    bytes.extend(tags.concat());
    bytes.extend(tag(0, &[]));
    let length = bytes.len() as u32;
    bytes[..4].copy_from_slice(&length.to_le_bytes());
    bytes
}

fn tags() -> Vec<Vec<u8>> {
    let mut screen = 0xfd00_0000u64.to_le_bytes().to_vec();
    for number in [4096u32, 1024, 768] {
        screen.extend(number.to_le_bytes());
    }
    screen.extend([32, 1, 0, 0, 16, 8, 8, 8, 0, 8]);
    let module = [&0x20_0000u32.to_le_bytes()[..], &0x20_3000u32.to_le_bytes(), b"initramfs\0"].concat();
    let sections = [&[2, 0, 0, 0, 64, 0, 0, 0, 1, 0, 0, 0][..], &[7; 128]].concat();
    let memory = [&[24, 0, 0, 0, 0, 0, 0, 0][..], &map()].concat();
    vec![
        tag(1, b"init=/bin/sh\0"),
        tag(2, b"GRUB 2.06\0"),
        tag(3, &module),
        tag(4, &[0; 8]),
        tag(6, &memory),
        tag(8, &screen),
        tag(9, &sections),
        tag(15, b"new root"),
        tag(14, b"old root"),
        tag(99, b"unknown"),
    ]
}

#[test]
fn multiboot_tells_everything_that_a_kernel_asks() {
    let bytes = structure(&tags());
    assert_eq!(multiboot2::length(&bytes), Some(bytes.len()));
    let description = multiboot2::parse(&bytes).expect("good");
    assert_eq!(description.command_line, b"init=/bin/sh");
    assert_eq!(description.loader, b"GRUB 2.06");
    assert_eq!(description.root_pointer, Some(RootPointer::Copy(b"new root")));
    let module = description.modules()[0];
    assert_eq!((module.start, module.length, module.command_line), (0x20_0000, 0x3000, &b"initramfs"[..]));
    let screen = description.framebuffer.expect("a screen");
    assert_eq!((screen.address, screen.pitch, screen.width, screen.height), (0xfd00_0000, 4096, 1024, 768));
    assert_eq!(screen.channels.map(|channel| channel.position), [16, 8, 0]);
    let sections = description.sections.expect("sections");
    assert_eq!((sections.headers.len(), sections.header_length, sections.names), (128, 64, 1));
    check_map(&description);
}

#[test]
fn multiboot_that_contradicts_itself_is_refused() {
    let with = |kind: u32, body: &[u8]| {
        let mut tags = tags();
        tags.push(tag(kind, body));
        multiboot2::parse(&structure(&tags)).expect_err("refused")
    };
    assert_eq!(multiboot2::parse(&structure(&[])).expect_err("refused"), Error::NoMemoryMap);
    assert_eq!(with(6, &[8, 0, 0, 0, 0, 0, 0, 0]), Error::Truncated);
    assert_eq!(with(3, &[9, 0, 0, 0, 8, 0, 0, 0]), Error::BadModule);
    assert_eq!(with(9, &[0xff; 12]), Error::Truncated);
    let many = vec![tag(3, &[0; 8]); MODULES_MAX + 1];
    assert_eq!(multiboot2::parse(&structure(&many)).expect_err("refused"), Error::TooManyModules);
    let mut endless = structure(&tags());
    endless[12..16].fill(0);
    assert_eq!(multiboot2::parse(&endless).expect_err("refused"), Error::Truncated);
}

fn use_everything(description: &Description) {
    for region in description.memory.iter() {
        assert!(region.start.checked_add(region.length).is_some() && region.length > 0);
    }
    for module in description.modules() {
        assert!(module.start.checked_add(module.length).is_some());
    }
}

proptest! {
    #[test]
    fn no_damage_breaks_multiboot(bytes in crate::support::damaged(structure(&tags()))) {
        if let Ok(description) = multiboot2::parse(&bytes) {
            use_everything(&description);
        }
    }

    #[test]
    fn no_damage_breaks_pvh(
        info in crate::support::damaged(info(1, 3)),
        list in prop::collection::vec(any::<u8>(), 0..96),
        map in crate::support::damaged(map()),
        line in any::<[u8; 16]>(),
    ) {
        let mut arena = pvh_machine(1, 3);
        for (address, bytes) in [(INFO, &info[..]), (LIST, &list[..]), (MAP, &map[..]), (LINE, &line[..])] {
            arena.put(address, bytes);
        }
        if let Ok(description) = pvh::read(&arena.reader(), INFO) {
            use_everything(&description);
        }
    }
}

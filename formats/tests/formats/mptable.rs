//! The MP table in a made-up memory: found in each of its places, read, and damaged.

use crate::support::{Arena, fix_checksum};
use formats::mptable::{Configuration, Entry, FloatingPointer, InterruptKind, Polarity, Trigger};
use proptest::prelude::*;

const TABLE: u32 = 0xf_2000;

fn pointer(default_configuration: u8) -> Vec<u8> {
    let mut bytes = b"_MP_".to_vec();
    bytes.extend(TABLE.to_le_bytes());
    bytes.extend([1, 4, 0, default_configuration, 0x80, 0, 0, 0]);
    fix_checksum(&mut bytes, 10);
    bytes
}

fn table() -> Vec<u8> {
    let mut bytes = b"PCMP\0\0\x04\0HOUSE   MACHINE     ".to_vec();
    bytes.resize(34, 0);
    // The count of entries, as qboot leaves it: readers go by the length.
    bytes.extend(0u16.to_le_bytes());
    bytes.extend(0xfee0_0000u32.to_le_bytes());
    bytes.extend([0; 4]);
    for (id, flags) in [(0u8, 3u8), (1, 1)] {
        bytes.extend([0, id, 0x14, flags]);
        bytes.extend([0; 16]);
    }
    bytes.extend(b"\x01\x00PCI   \x01\x01ISA   ");
    bytes.extend([2, 0, 0x11, 1, 0, 0, 0xc0, 0xfe]);
    bytes.extend([3, 0, 0x0d, 0, 1, 9, 0, 9]);
    bytes.extend([4, 1, 0, 0, 1, 0, 0xff, 1]);
    let length = bytes.len() as u16;
    bytes[4..6].copy_from_slice(&length.to_le_bytes());
    fix_checksum(&mut bytes, 7);
    bytes
}

fn machine(place: u64) -> Arena {
    let mut arena = Arena::new(0, 0x10_0000);
    arena.put(0x40e, &0x9fc0u16.to_le_bytes());
    arena.put(0x413, &639u16.to_le_bytes());
    arena.put(place, &pointer(0));
    arena.put(TABLE.into(), &table());
    arena
}

fn find(arena: &Arena) -> Option<FloatingPointer> {
    let memory = arena.reader();
    FloatingPointer::search(&memory, FloatingPointer::regions(&memory))
}

#[test]
fn the_pointer_is_found_in_each_place_that_the_specification_names() {
    for place in [0x9_fc00, 0x9_fff0, 0xf_0000, 0xf_fff0] {
        let pointer = find(&machine(place)).expect("found");
        assert_eq!((pointer.table, pointer.has_mode_register), (TABLE, true));
    }
    assert_eq!(find(&machine(0xf_0008)), None, "not on a 16-byte boundary");
    assert_eq!(find(&machine(0x1000)), None);
}

#[test]
fn the_table_tells_processors_buses_controllers_and_lines() {
    let arena = machine(0xf_0000);
    let pointer = find(&arena).expect("found");
    let table = Configuration::read(&arena.reader(), &pointer).expect("a table");
    assert_eq!(table.local_apic_address, 0xfee0_0000);
    let entries: Vec<_> = table.entries().collect();
    assert_eq!(entries.len(), 7);
    assert_eq!(entries[0], Entry::Processor { apic_id: 0, is_enabled: true, is_boot: true });
    assert_eq!(entries[1], Entry::Processor { apic_id: 1, is_enabled: true, is_boot: false });
    assert_eq!(entries[3], Entry::Bus { id: 1, kind: *b"ISA   " });
    assert_eq!(entries[4], Entry::IoApic { id: 0, is_enabled: true, address: 0xfec0_0000 });
    let Entry::IoInterrupt(line) = entries[5] else { panic!("a line") };
    assert_eq!((line.kind, line.polarity), (InterruptKind::Vectored, Polarity::ActiveHigh));
    assert_eq!(line.trigger, Trigger::Level);
    assert_eq!((line.bus, line.source, line.controller, line.input), (1, 9, 0, 9));
    let Entry::LocalInterrupt(line) = entries[6] else { panic!("a local line") };
    assert_eq!((line.kind, line.controller, line.input), (InterruptKind::NonMaskable, 255, 1));
}

#[test]
fn a_table_with_a_wrong_checksum_is_none() {
    let mut bytes = table();
    bytes[50] ^= 1;
    assert!(Configuration::parse(&bytes).is_none());
    assert!(Configuration::parse(&table()[..60]).is_none());
}

#[test]
fn a_default_configuration_has_a_number_and_no_table() {
    let mut bytes = pointer(5);
    bytes[4..8].fill(0);
    fix_checksum(&mut bytes, 10);
    let pointer = FloatingPointer::parse(&bytes).expect("a pointer");
    assert_eq!((pointer.table, pointer.default_configuration), (0, 5));
    assert!(Configuration::read(&machine(0xf_0000).reader(), &pointer).is_none());
}

proptest! {
    #[test]
    fn no_damage_breaks_the_reader(mut bytes in crate::support::damaged(table())) {
        if bytes.len() > 44 {
            let length = bytes.len() as u16;
            bytes[4..6].copy_from_slice(&length.to_le_bytes());
            fix_checksum(&mut bytes, 7);
        }
        if let Some(table) = Configuration::parse(&bytes) {
            prop_assert!(table.entries().count() <= bytes.len() / 8);
        }
    }

    #[test]
    fn no_memory_breaks_the_search(bytes in prop::collection::vec(any::<u8>(), 0..4096), place in 0..0x10_0000u64) {
        let arena = Arena { start: place, bytes };
        let _ = find(&arena);
        let pointer = FloatingPointer { table: place as u32, default_configuration: 0, has_mode_register: false };
        let _ = Configuration::read(&arena.reader(), &pointer);
    }
}

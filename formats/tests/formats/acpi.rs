//! ACPI tables in a made-up memory: found, verified, read; and damaged everywhere.

use crate::support::{Arena, fix_checksum};
use formats::acpi::{
    AddressSpace, BootArchitecture, FadtFlags, MadtEntry, Polarity, Register, Rsdp, SleepType, Tables,
    Trigger, soft_off,
};
use proptest::prelude::*;

const START: u64 = 0xe_0000;
const ROOT: u64 = START + 0x1230;
const RSDT: u64 = START + 0x2000;
const XSDT: u64 = START + 0x2100;
const MADT: u64 = START + 0x3000;
const FADT: u64 = START + 0x4000;
const HPET: u64 = START + 0x5000;
const MCFG: u64 = START + 0x5100;
const DSDT: u64 = START + 0x6000;

fn table(signature: &[u8; 4], revision: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = signature.to_vec();
    bytes.extend((36 + body.len() as u32).to_le_bytes());
    bytes.push(revision);
    bytes.resize(36, b' ');
    bytes.extend(body);
    fix_checksum(&mut bytes, 9);
    bytes
}

fn root(revision: u8) -> Vec<u8> {
    let mut bytes = b"RSD PTR \0HOUSE ".to_vec();
    bytes.push(revision);
    bytes.extend((RSDT as u32).to_le_bytes());
    fix_checksum(&mut bytes, 8);
    bytes.extend(36u32.to_le_bytes());
    bytes.extend(XSDT.to_le_bytes());
    bytes.extend([0; 4]);
    fix_checksum(&mut bytes, 32);
    bytes
}

fn madt() -> Vec<u8> {
    let mut body = 0xfee0_0000u32.to_le_bytes().to_vec();
    body.extend(1u32.to_le_bytes());
    body.extend([0, 8, 0, 0, 1, 0, 0, 0]);
    body.extend([0, 8, 1, 1, 2, 0, 0, 0]);
    body.extend([1, 12, 2, 0, 0, 0, 0xc0, 0xfe, 0, 0, 0, 0]);
    body.extend([2, 10, 0, 0, 2, 0, 0, 0, 0, 0]);
    body.extend([2, 10, 0, 9, 9, 0, 0, 0, 0x0d, 0]);
    body.extend([4, 6, 0xff, 5, 0, 1]);
    body.extend([0x7f, 4, 1, 2]);
    body.extend([9, 16, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 42, 0, 0, 0]);
    body.extend([5, 12, 0, 0, 0, 0, 0, 0xff, 1, 0, 0, 0]);
    table(b"APIC", 3, &body)
}

fn fadt() -> Vec<u8> {
    let mut bytes = vec![0u8; 268];
    bytes[40..44].copy_from_slice(&(DSDT as u32).to_le_bytes());
    bytes[46] = 9;
    bytes[48] = 0xb2;
    bytes[52] = 0xf1;
    bytes[64..68].copy_from_slice(&0x604u32.to_le_bytes());
    bytes[108] = 0x32;
    bytes[109] = 2;
    bytes[112..116].copy_from_slice(&(1u32 << 10 | 1 << 8).to_le_bytes());
    bytes[116..128].copy_from_slice(&[1, 8, 0, 1, 0xf9, 0x0c, 0, 0, 0, 0, 0, 0]);
    bytes[128] = 0x0f;
    bytes[208..220].copy_from_slice(&[1, 32, 0, 3, 8, 6, 0, 0, 0, 0, 0, 0]);
    table(b"FACP", 5, &bytes[36..])
}

fn hpet() -> Vec<u8> {
    let mut body = 0x8086_a201u32.to_le_bytes().to_vec();
    body.extend([0, 64, 0, 0, 0, 0, 0xd0, 0xfe, 0, 0, 0, 0]);
    body.extend([0, 0x80, 0, 0]);
    table(b"HPET", 1, &body)
}

fn mcfg() -> Vec<u8> {
    let mut body = vec![0; 8];
    body.extend([0, 0, 0, 0xb0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0, 0, 0, 0]);
    body.extend([0, 0, 0, 0xc0, 0, 0, 0, 0, 0, 0, 9, 1, 0, 0, 0, 0]);
    body.extend([0xff; 16]);
    table(b"MCFG", 1, &body)
}

fn dsdt() -> Vec<u8> {
    table(b"DSDT", 2, b"\x10\x0e\\_SB_ _S5_ \x08_S5_\x12\x08\x04\x0a\x05\x0a\x07\x00\x00")
}

fn firmware(revision: u8) -> Arena {
    let mut arena = Arena::new(START, 0x2_0000);
    let tables = [MADT, FADT, HPET, MCFG, START + 0x1_ff00];
    let short: Vec<u8> = tables.iter().flat_map(|address| (*address as u32).to_le_bytes()).collect();
    let long: Vec<u8> = tables.iter().flat_map(|address| address.to_le_bytes()).collect();
    arena.put(ROOT, &root(revision));
    arena.put(RSDT, &table(b"RSDT", 1, &short));
    arena.put(XSDT, &table(b"XSDT", 1, &long));
    arena.put(MADT, &madt());
    arena.put(FADT, &fadt());
    arena.put(HPET, &hpet());
    arena.put(MCFG, &mcfg());
    arena.put(DSDT, &dsdt());
    arena
}

#[test]
fn the_root_is_found_in_the_bios_and_leads_to_every_good_table() {
    for revision in [0, 2] {
        let arena = firmware(revision);
        let memory = arena.reader();
        let root = Rsdp::search(&memory).expect("a root");
        assert_eq!(root.rsdt as u64, RSDT);
        assert_eq!(root.xsdt, (revision == 2).then_some(XSDT));
        let tables = Tables::open(&memory, &root).expect("a list");
        let signatures: Vec<_> = tables.iter().map(|table| table.signature).collect();
        assert_eq!(signatures, [*b"APIC", *b"FACP", *b"HPET", *b"MCFG"], "the fifth has no checksum");
    }
}

#[test]
fn a_root_in_the_extended_bios_data_area_comes_first() {
    let mut arena = Arena::new(0, 0x10_0000);
    arena.put(0x40e, &0x9fc0u16.to_le_bytes());
    arena.put(0x9_fc10, &root(0));
    let mut other = root(0);
    other[16] = 0x77;
    fix_checksum(&mut other[..20], 8);
    arena.put(0xf_0000, &other);
    assert_eq!(Rsdp::search(&arena.reader()).expect("a root").rsdt as u64, RSDT);
}

#[test]
fn a_broken_long_list_gives_way_to_the_short_one() {
    let mut arena = firmware(2);
    arena.put(XSDT + 9, &[0x55]);
    let memory = arena.reader();
    let tables = Tables::open(&memory, &Rsdp::read(&memory, ROOT).expect("a root")).expect("a list");
    assert!(tables.madt().is_some());
}

#[test]
fn a_root_with_a_wrong_checksum_is_none() {
    let mut bytes = root(2);
    bytes[10] ^= 1;
    assert_eq!(Rsdp::parse(&bytes), None);
    let mut bytes = root(2);
    bytes[25] ^= 1;
    assert_eq!(Rsdp::parse(&bytes).map(|root| root.xsdt), Some(None), "the short list remains");
}

#[test]
fn the_madt_tells_processors_and_controllers() {
    let arena = firmware(2);
    let memory = arena.reader();
    let tables = Tables::open(&memory, &Rsdp::read(&memory, ROOT).expect("a root")).expect("a list");
    let madt = tables.madt().expect("a table");
    assert!(madt.has_pics);
    assert_eq!(madt.local_apic_address(), 0x1_ff00_0000);
    let entries: Vec<_> = madt.entries().collect();
    let processor = |uid, apic_id, is_enabled, is_online_capable| MadtEntry::Processor {
        uid,
        apic_id,
        is_enabled,
        is_online_capable,
    };
    let expected = [
        processor(0, 0, true, false),
        processor(1, 1, false, true),
        MadtEntry::IoApic { id: 2, address: 0xfec0_0000, first_line: 0 },
        MadtEntry::Override {
            source: 0,
            line: 2,
            polarity: Polarity::Conforming,
            trigger: Trigger::Conforming,
        },
        MadtEntry::Override { source: 9, line: 9, polarity: Polarity::ActiveHigh, trigger: Trigger::Level },
        MadtEntry::LocalNmi { uid: None, input: 1, polarity: Polarity::ActiveHigh, trigger: Trigger::Edge },
        processor(42, 256, true, false),
        MadtEntry::LocalApicAddress(0x1_ff00_0000),
    ];
    assert_eq!(entries, expected);
}

#[test]
fn the_fadt_tells_how_to_reset_and_to_switch_off() {
    let arena = firmware(2);
    let memory = arena.reader();
    let tables = Tables::open(&memory, &Rsdp::read(&memory, ROOT).expect("a root")).expect("a list");
    let fadt = tables.fadt().expect("a table");
    let port = |width_bits, address| Some(Register { space: AddressSpace::Port, width_bits, address });
    assert_eq!((fadt.sci, fadt.smi_command, fadt.acpi_enable), (9, 0xb2, 0xf1));
    assert_eq!(fadt.pm1a_control, port(16, 0x604));
    assert_eq!((fadt.pm1b_control, fadt.pm1a_event, fadt.sleep_control), (None, None, None));
    assert_eq!((fadt.reset, fadt.reset_value), (port(8, 0xcf9), 0x0f));
    assert_eq!(fadt.timer, port(32, 0x608));
    assert_eq!(fadt.flags, FadtFlags::RESET | FadtFlags::TIMER_32_BITS);
    assert_eq!(fadt.boot_architecture, Some(BootArchitecture::KEYBOARD_CONTROLLER));
    assert_eq!(fadt.century, 0x32);
    assert_eq!(tables.soft_off(&fadt), Some(SleepType { pm1a: 5, pm1b: 7 }));
}

#[test]
fn soft_off_is_read_from_every_form_of_constant() {
    let parse = soft_off;
    assert_eq!(parse(b"\x08\\_S5_\x12\x06\x02\x01\x00"), Some(SleepType { pm1a: 1, pm1b: 0 }));
    assert_eq!(
        parse(b"\x08_S5_\x12\x4a\x00\x04\x0b\x05\x00\x0c\x03\0\0\0"),
        Some(SleepType { pm1a: 5, pm1b: 3 })
    );
    assert_eq!(parse(b"\x08_S5_\x12\x05\x01\x0a\x05"), Some(SleepType { pm1a: 5, pm1b: 0 }));
    assert_eq!(parse(b"\x08_S5_\x12\x05\x01\x0a\x08"), None, "eight does not fit three bits");
    assert_eq!(parse(b"\x14_S5_\x12\x05\x01\x0a\x05"), None, "a method is not a name");
    assert_eq!(parse(b"\x08_S5_\x12"), None);
}

#[test]
fn the_timer_and_pci_spaces_are_told() {
    let arena = firmware(2);
    let memory = arena.reader();
    let tables = Tables::open(&memory, &Rsdp::read(&memory, ROOT).expect("a root")).expect("a list");
    let hpet = tables.hpet().expect("a table");
    assert_eq!((hpet.registers.space, hpet.registers.address), (AddressSpace::Memory, 0xfed0_0000));
    assert_eq!((hpet.comparators, hpet.is_64_bits, hpet.minimum_tick), (3, true, 128));
    let spaces: Vec<_> = tables.configuration_spaces().collect();
    assert_eq!(spaces.len(), 1, "contradictory entries are left out");
    assert_eq!((spaces[0].base, spaces[0].first_bus, spaces[0].last_bus), (0xb000_0000, 0, 255));
}

fn read_everything(arena: &Arena) {
    let memory = arena.reader();
    let Some(root) = Rsdp::search(&memory).or_else(|| Rsdp::read(&memory, ROOT)) else { return };
    let Some(tables) = Tables::open(&memory, &root) else { return };
    let _ = tables.iter().count();
    if let Some(madt) = tables.madt() {
        assert!(madt.entries().count() <= arena.bytes.len() / 2);
        let _ = madt.local_apic_address();
    }
    if let Some(fadt) = tables.fadt() {
        let _ = tables.soft_off(&fadt);
    }
    let _ = tables.hpet();
    for space in tables.configuration_spaces() {
        assert!(space.first_bus <= space.last_bus);
    }
}

proptest! {
    #[test]
    fn no_damage_to_a_table_breaks_the_reader(
        madt in crate::support::damaged(madt()),
        fadt in crate::support::damaged(fadt()),
        dsdt in crate::support::damaged(dsdt()),
        others in crate::support::damaged([hpet(), mcfg()].concat()),
    ) {
        let mut arena = firmware(2);
        // Damage under a checksum that is right, so that it is seen by more than the checksum.
        for (address, mut bytes) in [(MADT, madt), (FADT, fadt), (DSDT, dsdt), (HPET, others)] {
            if bytes.len() > 36 {
                let length = bytes.len() as u32;
                bytes[4..8].copy_from_slice(&length.to_le_bytes());
                fix_checksum(&mut bytes, 9);
            }
            arena.put(address, &bytes);
        }
        read_everything(&arena);
    }

    #[test]
    fn no_damage_to_the_lists_breaks_the_reader(lists in crate::support::damaged(firmware(2).bytes[0x1230..0x2200].to_vec())) {
        let mut arena = firmware(2);
        arena.put(ROOT, &lists);
        read_everything(&arena);
    }

    #[test]
    fn no_aml_breaks_the_search_for_soft_off(before in prop::collection::vec(any::<u8>(), 0..20), after in prop::collection::vec(any::<u8>(), 0..20)) {
        let aml = [&before[..], b"\x08_S5_\x12", &after[..]].concat();
        if let Some(sleep) = soft_off(&aml) {
            prop_assert!(sleep.pm1a < 8 && sleep.pm1b < 8);
        }
    }
}

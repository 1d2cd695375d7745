//! The table of symbols: written, looked up, and looked up in rubbish.

use formats::symbols::{InputSymbol, Table, TooLarge, write};
use proptest::prelude::*;

fn symbol(address: u64, length: u64, name: &str) -> InputSymbol<'_> {
    InputSymbol { address, length, name }
}

fn found(table: &[u8], address: u64) -> Option<String> {
    let location = Table::parse(table).expect("a table").find(address)?;
    Some(format!("{}+{:#x}", location.name, location.offset))
}

#[test]
fn an_address_is_told_by_the_symbol_before_it() {
    let base = 0xffff_ffff_8010_0000;
    let table = write(&[symbol(base + 0x40, 0x20, "second"), symbol(base, 0x40, "first")]).expect("fits");
    assert_eq!(found(&table, base).as_deref(), Some("first+0x0"));
    assert_eq!(found(&table, base + 0x3f).as_deref(), Some("first+0x3f"));
    assert_eq!(found(&table, base + 0x40).as_deref(), Some("second+0x0"));
    assert_eq!(found(&table, base - 1), None);
    assert_eq!(found(&table, 0), None);
}

#[test]
fn an_address_in_a_gap_belongs_to_nobody() {
    let symbols = [symbol(0x1000, 0x10, "a"), symbol(0x1018, 0x10, "b"), symbol(0x9000, 0, "c")];
    let table = write(&symbols).expect("fits");
    assert_eq!(found(&table, 0x1014).as_deref(), Some("a+0x14"), "padding counts to the one before");
    assert_eq!(found(&table, 0x1027).as_deref(), Some("b+0xf"));
    assert_eq!(found(&table, 0x1028), None);
    assert_eq!(found(&table, 0x8fff), None);
    assert_eq!(found(&table, 0x9_0000).as_deref(), Some("c+0x87000"), "nobody knows where it ends");
    assert_eq!(found(&table, 0x9000 + (1 << 32)), None);
}

#[test]
fn of_several_names_at_one_address_the_longest_symbol_remains() {
    let symbols = [symbol(1, 0, "alias"), symbol(1, 8, "zeta"), symbol(1, 8, "beta"), symbol(2, 1, "")];
    assert_eq!(found(&write(&symbols).expect("fits"), 2).as_deref(), Some("beta+0x1"));
}

#[test]
fn the_order_of_the_symbols_does_not_change_the_table() {
    let mut symbols =
        vec![symbol(5, 2, "core::fmt::write"), symbol(9, 3, "core::fmt::num"), symbol(1, 1, "x")];
    let table = write(&symbols).expect("fits");
    symbols.reverse();
    assert_eq!(write(&symbols).expect("fits"), table);
}

#[test]
fn names_of_rust_functions_take_less_than_half_of_their_text() {
    let names: Vec<String> = (0..3000)
        .map(|number| {
            let (a, b) = (number % 37, number % 101);
            format!("<memory::cache{a}::Pager as core::ops::Drop>::drop_in_place{b}::{{closure#{number}}}")
        })
        .collect();
    let symbols: Vec<_> =
        names.iter().enumerate().map(|(at, name)| symbol(at as u64 * 16, 16, name)).collect();
    let table = write(&symbols).expect("fits");
    let text: usize = names.iter().map(String::len).sum();
    assert!(table.len() < text / 2, "{} of {text}", table.len());
    for (at, name) in names.iter().enumerate() {
        assert_eq!(found(&table, at as u64 * 16 + 3), Some(format!("{name}+0x3")));
    }
}

#[test]
fn a_span_above_four_gib_is_refused() {
    assert_eq!(write(&[symbol(0, 1, "a"), symbol(1 << 32, 1, "b")]), Err(TooLarge));
}

#[test]
fn an_empty_table_finds_nothing() {
    let table = write(&[]).expect("fits");
    assert!(Table::parse(&table).expect("a table").is_empty());
    assert_eq!(found(&table, 0), None);
}

fn sample() -> Vec<u8> {
    let names: Vec<String> = (0..40).map(|number| format!("kernel::thing::number{number}")).collect();
    let symbols: Vec<_> =
        names.iter().enumerate().map(|(at, name)| symbol(4096 + at as u64 * 100, 90, name)).collect();
    write(&symbols).expect("fits")
}

fn look_everywhere(bytes: &[u8]) {
    if let Some(table) = Table::parse(bytes) {
        for address in (0..10_000).step_by(50).chain([u64::MAX, 1 << 32]) {
            if let Some(location) = table.find(address) {
                assert!(location.name.to_string().len() < bytes.len() * bytes.len());
            }
        }
    }
}

proptest! {
    // Finding words is the slow part, and does not depend on much.
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_symbol_is_found_again(symbols in prop::collection::btree_map(0..1u64 << 32, "[ -~]{1,200}", 0..100)) {
        let input: Vec<_> = symbols.iter().map(|(at, name)| symbol(*at, 0, name)).collect();
        let table = write(&input).expect("fits");
        for (at, name) in &symbols {
            prop_assert_eq!(found(&table, *at), Some(format!("{name}+0x0")));
        }
    }

}

proptest! {
    #[test]
    fn no_damage_breaks_the_look_up(bytes in crate::support::damaged(sample())) {
        look_everywhere(&bytes);
    }

    #[test]
    fn no_bytes_break_the_look_up(rest in prop::collection::vec(any::<u8>(), 0..700), count in 0..40u8) {
        let mut bytes = b"HOBSYM01".to_vec();
        bytes.extend([0; 8]);
        bytes.extend([count, 0, 0, 0, 50, 0, 0, 0, 60, 0, 0, 0, 0, 0, 0, 0]);
        bytes.extend(rest);
        look_everywhere(&bytes);
    }
}

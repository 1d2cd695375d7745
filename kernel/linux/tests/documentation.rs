//! The page that lists the calls says what the table says.
#![allow(clippy::disallowed_methods, clippy::disallowed_macros, reason = "a test may end for want of memory")]

use std::fmt::Write;
use std::fs;
use std::path::Path;

use linux::calls::{Completeness, documentation};

const START: &str =
    "<!-- calls: written by `HOB_WRITE_CALLS=1 cargo nextest run -p linux --test documentation` -->\n";

fn list() -> String {
    let mut full = Vec::new();
    let mut parts = String::new();
    let (mut missing, mut part_count) = (Vec::new(), 0);
    for (_, name, entry) in documentation() {
        match entry.completeness {
            Completeness::Full => full.push(format!("`{name}`")),
            Completeness::Part(text) => {
                part_count += 1;
                writeln!(parts, "| `{name}` | {text} |").unwrap();
            }
            Completeness::Missing => missing.push(format!("`{name}`")),
        }
    }
    format!(
        "### Whole: {}\n\n{}\n\n### In part: {part_count}\n\n| call | what is missing |\n|---|---|\n{parts}\n### Not there (ENOSYS, logged once): {}\n\n{}\n",
        full.len(),
        full.join(" "),
        missing.len(),
        missing.join(" "),
    )
}

#[test]
fn every_number_of_linux_is_listed_once_and_in_order() {
    let listed: Vec<_> = documentation().map(|(number, name, _)| (number, name)).collect();
    assert!(listed.is_sorted_by_key(|(number, _)| *number));
    let numbered: Vec<_> =
        (0..1024).filter_map(|number| Some((number, abi::syscall::name(u64::from(number))?))).collect();
    assert_eq!(listed, numbered);
}

#[test]
fn a_call_that_is_in_part_there_says_what_is_missing() {
    for (_, name, entry) in documentation() {
        match entry.completeness {
            Completeness::Part(text) => {
                assert!(entry.completeness.to_string().ends_with(text) && !text.is_empty(), "{name}");
            }
            completeness => assert!(!completeness.to_string().contains(':'), "{name}"),
        }
    }
}

#[test]
fn the_page_of_calls_is_that_of_the_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/traps-and-calls.md");
    let page = fs::read_to_string(&path).unwrap();
    let (before, listed) = page.split_once(START).expect("the page has the mark");
    let wanted = list();
    if std::env::var_os("HOB_WRITE_CALLS").is_some() {
        fs::write(&path, format!("{before}{START}{wanted}")).unwrap();
        return;
    }
    assert!(listed == wanted, "docs/traps-and-calls.md is out of date: run the command in its mark");
}

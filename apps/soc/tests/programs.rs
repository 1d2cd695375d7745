//! Every program that is shipped does what its TOML file expects; and the specification's tables are the code's.

use soc::check::{check, find};
use std::path::{Path, PathBuf};
use std::process::Command;

fn programs(kind: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("programs").join(kind);
    find(&[folder]).unwrap()
}

fn all_pass(kind: &str, at_least: usize) {
    let files = programs(kind);
    assert!(files.len() >= at_least);
    for file in files {
        let checked = check(&file).unwrap();
        assert!(checked.failures.is_empty(), "{}: {:?}", file.display(), checked.failures);
    }
}

#[test]
fn the_sample_programs_reach_the_originals_final_states_and_screens() {
    all_pass("samples", 8);
}

#[test]
fn the_conformance_programs_pass() {
    all_pass("conformance", 14);
}

#[test]
fn the_examples_do_what_they_say() {
    all_pass("examples", 4);
}

#[test]
fn the_specification_has_the_instruction_table_of_the_code() {
    let output = Command::new(env!("CARGO_BIN_EXE_soc")).args(["isa", "--markdown"]).output().unwrap();
    let tables = String::from_utf8(output.stdout).unwrap();
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/soc/specification.md");
    let page = std::fs::read_to_string(page).unwrap();
    for table in tables.split("\n\n") {
        assert!(
            page.contains(table.trim()),
            "put the output of `soc isa --markdown` into the specification:\n{table}"
        );
    }
}

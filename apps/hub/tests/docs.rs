//! What the chapters about the hub show of its configuration can be used as it stands.

use std::path::Path;

/// The indented examples of a chapter that are configuration: they begin with a table's name.
fn examples(chapter: &str) -> Vec<String> {
    let mut examples: Vec<String> = Vec::new();
    let mut is_in = false;
    for line in chapter.lines() {
        match line.strip_prefix("    ") {
            Some(code) if !is_in && code.starts_with('[') => {
                examples.push(format!("{code}\n"));
                is_in = true;
            }
            Some(code) if is_in => {
                if let Some(example) = examples.last_mut() {
                    example.push_str(code);
                    example.push('\n');
                }
            }
            None if is_in && line.is_empty() => {}
            _ => is_in = false,
        }
    }
    examples
}

#[test]
fn every_example_of_a_configuration_is_in_order() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/hub");
    let mut count = 0;
    for chapter in std::fs::read_dir(&folder).unwrap() {
        let chapter = chapter.unwrap().path();
        for example in examples(&std::fs::read_to_string(&chapter).unwrap()) {
            if let Err(mistake) = hub::Config::parse(&example, &chapter) {
                panic!("{mistake}\n{example}");
            }
            count += 1;
        }
    }
    assert!(count >= 10, "only {count} examples were found");
}

//! `soc test`: programs against what they are expected to do.

use crate::arguments::Test;
use crate::check::{check, find};
use crate::outcome::STATUS_FAILURE;
use serde_json::json;

pub(super) fn test(options: &Test) -> Result<u8, String> {
    let files = find(&options.expectations)?;
    if files.is_empty() {
        return Err("there is no expectation: name TOML files or folders that hold some".to_owned());
    }
    let (mut passed, mut failed) = (0, 0);
    let mut results = Vec::new();
    for file in files {
        let (failures, cycles) = match check(&file) {
            Ok(checked) => (checked.failures, checked.cycles),
            Err(reason) => (vec![reason], 0),
        };
        if failures.is_empty() {
            passed += 1;
        } else {
            failed += 1;
        }
        if options.json {
            results.push(json!({ "file": file, "failures": failures, "cycles": cycles }));
            continue;
        }
        let word = if failures.is_empty() { "pass" } else { "FAIL" };
        println!("{word}  {}", file.display());
        for failure in failures {
            println!("      {failure}");
        }
    }
    if options.json {
        println!("{}", json!({ "passed": passed, "failed": failed, "results": results }));
    } else {
        println!("{passed} passed, {failed} failed");
    }
    Ok(if failed == 0 { 0 } else { STATUS_FAILURE })
}

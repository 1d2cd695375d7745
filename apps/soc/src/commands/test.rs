//! `soc test`: programs against what they are expected to do.

use crate::arguments::Test;
use crate::check::{Checked, check, find};
use crate::failure::Failure;
use crate::outcome::STATUS_FAILURE;
use crate::source::{print, write};
use serde_json::json;
use std::path::Path;

pub(super) fn test(options: &Test) -> Result<u8, Failure> {
    let files = find(&options.expectations)?;
    if files.is_empty() {
        return Err("there is no expectation: name TOML files or folders that hold some".to_owned().into());
    }
    let (mut passed, mut failed) = (0, 0);
    let mut results = Vec::new();
    for file in files {
        let (failures, cycles) = match check(&file) {
            Ok(checked) => {
                if let Some(folder) = &options.recordings {
                    keep(folder, &checked)?;
                }
                (checked.failures, checked.cycles)
            }
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
        let failures: String = failures.iter().map(|failure| format!("      {failure}\n")).collect();
        print(format!("{word}  {}\n{failures}", file.display()))?;
    }
    if options.json {
        print(format!("{}\n", json!({ "passed": passed, "failed": failed, "results": results })))?;
    } else {
        print(format!("{passed} passed, {failed} failed\n"))?;
    }
    Ok(if failed == 0 { 0 } else { STATUS_FAILURE })
}

/// Writes what repeats a run, and what it must come to.
fn keep(folder: &Path, checked: &Checked) -> Result<(), Failure> {
    let kind = checked.file.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
    let name = checked.file.file_stem().unwrap_or_default().to_string_lossy();
    let base = folder.join(format!("{kind}-{name}"));
    write(&base.with_extension("rec"), &checked.recording.save())?;
    write(&base.with_extension("sum"), format!("{:016x}\n", checked.state_checksum).as_bytes())
}

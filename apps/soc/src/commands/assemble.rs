//! `soc as`: a source into an image.

use crate::arguments::Assemble;
use crate::failure::Failure;
use crate::outcome::STATUS_FAILURE;
use crate::source::{assemble_file, print, write};
use serde_json::json;
use soc_assembler::Assembly;
use std::path::{Path, PathBuf};

pub(super) fn assemble(options: &Assemble) -> Result<u8, Failure> {
    let assembly = assemble_file(&options.source, options.compat)?;
    if options.json {
        print(format!("{}\n", findings_json(&assembly)))?;
    } else if !assembly.diagnostics.is_empty() {
        eprint!("{}", assembly.render());
    }
    let Some(program) = &assembly.program else { return Ok(STATUS_FAILURE) };
    let is_pipe = options.source == Path::new("-");
    let output = match &options.output {
        Some(output) => output.clone(),
        None if is_pipe => PathBuf::from("-"),
        None => options.source.with_extension("rom"),
    };
    // With --json, standard output carries the JSON and nothing else.
    if !(options.json && output == Path::new("-")) {
        write(&output, &program.image)?;
    }
    if let Some(path) = &options.symbols {
        write(path, program.symbols.to_text().as_bytes())?;
    }
    Ok(0)
}

fn findings_json(assembly: &Assembly) -> serde_json::Value {
    let findings: Vec<_> = assembly
        .diagnostics
        .iter()
        .map(|finding| {
            let (line, column) = assembly.sources.line_column(finding.span);
            json!({
                "file": assembly.sources.name(finding.span.file),
                "line": line,
                "column": column,
                "length": finding.span.end - finding.span.start,
                "message": finding.message,
                "hint": finding.hint,
            })
        })
        .collect();
    json!({
        "ok": assembly.program.is_some(),
        "bytes": assembly.program.as_ref().map(|program| program.image.len()),
        "findings": findings,
    })
}

//! `soc isa`: the instruction table, for people and for the specification.

use crate::arguments::Isa;
use crate::failure::Failure;
use crate::source::print;
use serde_json::json;
use soc_machine::isa::{CONDITIONS, INSTRUCTIONS};
use std::fmt::Write as _;

pub(super) fn isa(options: &Isa) -> Result<u8, Failure> {
    if options.json {
        let rows: Vec<_> = INSTRUCTIONS
            .iter()
            .map(|row| {
                json!({
                    "opcode": row.opcode(), "mnemonic": row.mnemonic, "operands": row.operands.form(),
                    "effect": row.effect, "exceptions": row.exceptions,
                })
            })
            .collect();
        print(format!("{}\n", json!({ "instructions": rows })))?;
    } else if options.markdown {
        print(markdown())?;
    } else {
        let rows = INSTRUCTIONS.iter().map(|row| {
            format!("{:02x}  {:<6}{:<10}  {}\n", row.opcode(), row.mnemonic, row.operands.form(), row.effect)
        });
        print(rows.collect::<String>())?;
    }
    Ok(0)
}

/// The two tables as they stand in the specification; a test keeps them equal.
pub fn markdown() -> String {
    let mut text =
        String::from("| opcode | mnemonic | operands | effect | exceptions |\n|---|---|---|---|---|\n");
    for row in INSTRUCTIONS {
        let _ = writeln!(
            text,
            "| {:02X} | `{}` | {} | {} | {} |",
            row.opcode(),
            row.mnemonic,
            row.operands.form(),
            row.effect,
            row.exceptions,
        );
    }
    text.push_str("\n| code | suffix | holds when |\n|---|---|---|\n");
    for (code, row) in CONDITIONS.iter().enumerate() {
        let _ = writeln!(text, "| {code} | `{}` | {} |", row.suffix, row.meaning);
    }
    text
}

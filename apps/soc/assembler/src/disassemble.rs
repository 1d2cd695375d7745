//! Images to source that assembles to the same bytes, and to listings.
//!
//! What is code is found by following it: from address 0, along jumps and calls, into handlers that `reg` and `ireg`
//! name, and from labels that a symbol file calls code. Everything else is data, unless it reads like a stretch of
//! instructions that ends with one that goes elsewhere.

use crate::instruction::{instruction_text, is_canonical, names_address};
use crate::symbols::{Symbol, SymbolKind, Symbols};
use soc_machine::encoding::{ABSENT, IMMEDIATE, Word};
use soc_machine::isa::{self, CONDITIONS, Operation};
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// A listing in the original's form: address, instruction with its condition, tab, operands; one line for eight bytes.
pub fn listing(image: &[u8]) -> String {
    let mut out = String::new();
    for (index, chunk) in image.chunks(8).enumerate() {
        let mut bytes = [0; 8];
        bytes[..chunk.len()].copy_from_slice(chunk);
        let word = Word::decode(bytes);
        let mnemonic = isa::by_opcode(word.opcode).map_or("???", |row| row.mnemonic);
        let condition = CONDITIONS.get(usize::from(word.condition)).map_or("??", |row| row.suffix);
        let _ = write!(out, "{:08x}:  {mnemonic}.{condition}\t", index * 8);
        for (operand, comma) in [(word.first, ""), (word.second, ",")] {
            let _ = match operand {
                ABSENT => Ok(()),
                IMMEDIATE => write!(out, "{comma}0x{:x}", word.immediate),
                register => write!(out, "{comma}r{register}"),
            };
        }
        out.push_str("\r\n");
    }
    out
}

fn word_at(image: &[u8], address: u32) -> Option<[u8; 8]> {
    image.get(address as usize..)?.first_chunk().copied()
}

/// Whether execution never goes on behind this word.
fn ends_flow(word: &Word) -> bool {
    use Operation as Op;
    let operation = isa::by_opcode(word.opcode).map(|row| row.operation);
    word.condition == 0 && matches!(operation, Some(Op::Jmp | Op::Ret | Op::Eret | Op::Iret | Op::Ud))
}

/// The addresses of the words that are code.
fn find_code(image: &[u8], symbols: &Symbols) -> BTreeSet<u32> {
    let mut code = BTreeSet::new();
    let mut open = vec![0];
    open.extend(
        symbols.iter().filter(|(_, symbol)| symbol.kind == SymbolKind::Code).map(|(_, symbol)| symbol.value),
    );
    while let Some(start) = open.pop() {
        follow(image, start, &mut code, &mut open);
    }
    // What is left and reads like code is taken for it, from the lowest address on.
    let mut at = 0;
    while (at as usize) < image.len() {
        if code.contains(&at) {
            at += 8;
            continue;
        }
        match reads_like_code(image, at, &code) {
            Ok(()) => open.push(at),
            // Every start up to the word that does not fit would fail at it too.
            Err(misfit) => at = misfit + 8,
        }
        while let Some(start) = open.pop() {
            follow(image, start, &mut code, &mut open);
        }
    }
    code
}

fn follow(image: &[u8], start: u32, code: &mut BTreeSet<u32>, open: &mut Vec<u32>) {
    let mut at = start;
    while at.is_multiple_of(8) && !code.contains(&at) {
        let Some(bytes) = word_at(image, at).filter(|&bytes| is_canonical(bytes)) else { return };
        code.insert(at);
        let word = Word::decode(bytes);
        let operation = isa::by_opcode(word.opcode).map(|row| row.operation);
        use Operation as Op;
        let is_flow = matches!(operation, Some(Op::Jmp | Op::Call | Op::Reg | Op::Ireg));
        if is_flow && (word.first == IMMEDIATE || word.second == IMMEDIATE) {
            open.push(word.immediate);
        }
        if ends_flow(&word) {
            return;
        }
        at += 8;
    }
}

/// Whether a stretch of instructions begins here and ends with one that goes elsewhere; else the word that spoils it.
fn reads_like_code(image: &[u8], start: u32, code: &BTreeSet<u32>) -> Result<(), u32> {
    let mut at = start;
    loop {
        let Some(bytes) = word_at(image, at) else { return Err(at) };
        if !is_canonical(bytes) || bytes[0] == Operation::Ud as u8 || code.contains(&at) {
            return Err(at);
        }
        if ends_flow(&Word::decode(bytes)) {
            return Ok(());
        }
        at += 8;
    }
}

/// The labels of a source: those given, and one for each address that code names.
fn labels(image: &[u8], code: &BTreeSet<u32>, given: &Symbols) -> Symbols {
    let mut symbols = given.clone();
    for &at in code {
        let Some(bytes) = word_at(image, at) else { continue };
        let word = Word::decode(bytes);
        let Some(row) = isa::by_opcode(word.opcode).filter(|row| names_address(row.operation)) else {
            continue;
        };
        let has_immediate = word.first == IMMEDIATE || word.second == IMMEDIATE;
        let target = word.immediate;
        if !has_immediate || target as usize >= image.len() || symbols.at(target).is_some() {
            continue;
        }
        // A target inside an instruction cannot be a label, for no line begins there.
        if !target.is_multiple_of(8) && code.contains(&(target & !7)) {
            continue;
        }
        let is_call = matches!(row.operation, Operation::Call | Operation::Reg | Operation::Ireg);
        let kind = if code.contains(&target) { SymbolKind::Code } else { SymbolKind::Data };
        let prefix = match kind {
            SymbolKind::Code if is_call => "sub",
            SymbolKind::Code => "at",
            _ => "data",
        };
        let name = format!("{prefix}_{target:x}");
        if symbols.get(&name).is_none() {
            symbols.insert(name, Symbol { value: target, kind });
        }
    }
    symbols
}

/// A source that assembles to exactly these bytes. `given` are the names of its symbol file.
pub fn disassemble(image: &[u8], given: &Symbols) -> String {
    let code = find_code(image, given);
    let symbols = labels(image, &code, given);
    let mut out = String::from(".raw\n");
    // Names that no line can carry become constants.
    for (name, symbol) in symbols.iter() {
        let inside = symbol.value as usize <= image.len();
        let in_code = symbol.value % 8 != 0 && code.contains(&(symbol.value & !7));
        if symbol.kind == SymbolKind::Constant || !inside || in_code {
            let _ = writeln!(out, ".equ {name}, 0x{:x}", symbol.value);
        }
    }
    let mut at = 0;
    while (at as usize) < image.len() {
        for label in symbols.all_at(at) {
            let _ = writeln!(out, "{label}:");
        }
        if code.contains(&at)
            && let Some(bytes) = word_at(image, at)
        {
            let _ = writeln!(out, "    {}", instruction_text(&Word::decode(bytes), &symbols));
            at += 8;
        } else {
            let end = (at + 1..=image.len() as u32)
                .find(|&next| {
                    next as usize == image.len() || code.contains(&next) || symbols.at(next).is_some()
                })
                .unwrap_or(image.len() as u32);
            data(&image[at as usize..end as usize], at, &mut out);
            at = end;
        }
    }
    for label in symbols.all_at(image.len() as u32) {
        let _ = writeln!(out, "{label}:");
    }
    out
}

/// Data as text where it reads as text, as words where it is aligned, as bytes elsewhere.
fn data(bytes: &[u8], address: u32, out: &mut String) {
    let mut rest = bytes;
    let mut at = address;
    while let Some(&first) = rest.first() {
        let text = rest.iter().take(64).take_while(|&&byte| (0x20..0x7F).contains(&byte)).count();
        let zeros = rest.iter().take_while(|&&byte| byte == 0).count();
        let taken = if text >= 4 {
            let letters: String = rest[..text].iter().map(|&byte| escaped(byte)).collect();
            let _ = writeln!(out, "    $ASCII \"{letters}\"");
            text
        } else if zeros >= 16 {
            let _ = writeln!(out, "    .space {zeros}");
            zeros
        } else if let (0, Some(&[a, b, c, d])) = (at % 4, rest.first_chunk::<4>()) {
            let _ = writeln!(out, "    $WORD32 0x{:x}", u32::from_le_bytes([a, b, c, d]));
            4
        } else {
            let _ = writeln!(out, "    $BYTE 0x{first:x}");
            1
        };
        rest = &rest[taken..];
        at += taken as u32;
    }
}

fn escaped(byte: u8) -> String {
    match byte {
        b'"' | b'\\' => format!("\\{}", char::from(byte)),
        _ => char::from(byte).to_string(),
    }
}

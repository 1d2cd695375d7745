//! Text to image and image to text: assembler, disassembler, formatter, symbol files.
//!
//! The way of a source: [`Sources`] holds texts, `lexer` makes tokens of a line, `parser` a [`syntax::Statement`],
//! `expand` follows includes and macros, `layout` gives addresses and bytes. Every stage goes on after an error, so that
//! all of them are reported at once.
//!
//! Invariants:
//! - The instruction table of `soc-machine` is the only list of mnemonics.
//! - No source text makes this crate panic, loop or take memory beyond stated limits.
//! - [`disassemble`] gives a source that assembles to the very same bytes, whatever the bytes.
//!
//! Neighbours: `soc-machine` below; `soc-debugger`, `soc` and `soc-web` above.
//!
//! Where to start reading: [`assemble`], then `layout`.
#![forbid(unsafe_code)]

mod assemble;
mod diagnostic;
mod disassemble;
mod expand;
mod expression;
mod format;
mod instruction;
mod layout;
mod lexer;
mod original;
mod parser;
mod predefined;
mod source;
mod symbols;
mod syntax;

pub use assemble::{Assembly, Files, Language, NoFiles, Options, Program, SourceLine, assemble};
pub use diagnostic::Diagnostic;
pub use disassemble::{disassemble, listing};
pub use format::format;
pub use instruction::instruction_text;
pub use lexer::{Class, highlight, text_bytes};
pub use source::{FileId, Sources, Span};
pub use symbols::{Symbol, SymbolFileError, SymbolKind, Symbols};

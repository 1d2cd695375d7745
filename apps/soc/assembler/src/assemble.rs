//! The assembler's front door: a source and its options in, a program or findings out.

use crate::diagnostic::{Diagnostic, Report};
use crate::expand;
use crate::layout;
use crate::source::{FileId, Sources};
use crate::symbols::Symbols;

/// Which language a source is in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Language {
    /// All of it.
    #[default]
    Full,
    /// What the original assembler takes, with its limits: stops at the first error.
    Original,
}

/// Where includes come from.
pub trait Files {
    /// The text of a file that `.include` names, or why there is none.
    fn read(&mut self, name: &str) -> Result<String, String>;
}

/// There are no files.
pub struct NoFiles;

impl Files for NoFiles {
    fn read(&mut self, _name: &str) -> Result<String, String> {
        Err("there are no files here".to_owned())
    }
}

/// How to assemble.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    pub language: Language,
}

/// Which bytes of the image a line of a source made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceLine {
    pub address: u32,
    pub len_bytes: u32,
    pub file: FileId,
    /// From 1.
    pub line: u32,
    /// Whether it is an instruction.
    pub is_code: bool,
}

/// What a source has become.
#[derive(Clone, Debug, Default)]
pub struct Program {
    /// To be laid at address 0.
    pub image: Vec<u8>,
    pub symbols: Symbols,
    /// By rising address.
    pub lines: Vec<SourceLine>,
}

/// The outcome: texts for the findings, findings, and a program where none of them is an error.
pub struct Assembly {
    pub sources: Sources,
    pub diagnostics: Vec<Diagnostic>,
    pub program: Option<Program>,
}

impl Assembly {
    /// All findings as text, with lines, carets and hints.
    pub fn render(&self) -> String {
        let rendered: Vec<_> = self.diagnostics.iter().map(|finding| finding.render(&self.sources)).collect();
        rendered.join("\n")
    }
}

/// Assembles a source.
///
/// `name` is what findings call it; `files` gives what it includes.
pub fn assemble(name: &str, text: &str, options: Options, files: &mut dyn Files) -> Assembly {
    let mut sources = Sources::default();
    let mut report = Report::default();
    let statements = expand::expand(name, text, options.language, files, &mut sources, &mut report);
    let program = layout::lay_out(&statements, options.language, &sources, &mut report);
    let program = (!report.has_errors()).then_some(program);
    let mut diagnostics = report.diagnostics;
    diagnostics.sort_by_key(|finding| (finding.span.file, finding.span.start));
    if options.language == Language::Original {
        diagnostics.truncate(1);
    }
    Assembly { sources, diagnostics, program }
}

//! The source lines beside the disassembly.

use soc_assembler::{Assembly, SourceLine};

/// The texts of a program, if it came as a source.
#[derive(Default)]
pub struct SourceText {
    assembly: Option<Assembly>,
}

impl SourceText {
    /// The texts of an assembly.
    pub fn new(assembly: Option<Assembly>) -> Self {
        Self { assembly }
    }

    /// The comment of a line, without its semicolon.
    pub(crate) fn comment(&self, line: &SourceLine) -> Option<&str> {
        let text = self.assembly.as_ref()?.sources.text(line.file).lines().nth(line.line as usize - 1)?;
        // A semicolon in a text is no comment; a line with both shows none.
        if text.contains('"') || text.contains('\'') {
            return None;
        }
        text.split_once(';').map(|(_, comment)| comment.trim())
    }
}

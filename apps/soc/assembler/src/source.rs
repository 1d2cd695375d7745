//! Source texts and places in them.

/// Which text of [`Sources`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(u32);

/// A stretch of one text, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub file: FileId,
    pub start: u32,
    pub end: u32,
}

impl Span {
    /// From the start of this to the end of `other`, in the same text.
    pub fn to(self, other: Span) -> Span {
        Span { end: other.end.max(self.end), ..self }
    }
}

struct File {
    name: String,
    text: String,
    /// Byte at which each line begins.
    lines: Vec<u32>,
    /// Where this text was asked for: the include or the use of a macro.
    origin: Option<Span>,
}

/// All texts of one assembly: files, and the expansions of macros.
#[derive(Default)]
pub struct Sources {
    files: Vec<File>,
}

impl Sources {
    /// Takes in a text.
    pub fn add(&mut self, name: String, text: String, origin: Option<Span>) -> FileId {
        let ends = text.bytes().zip(1u32..).filter(|(byte, _)| *byte == b'\n').map(|(_, next)| next);
        let lines = std::iter::once(0).chain(ends).collect();
        self.files.push(File { name, text, lines, origin });
        FileId(self.files.len() as u32 - 1)
    }

    fn file(&self, id: FileId) -> Option<&File> {
        self.files.get(id.0 as usize)
    }

    /// A text's name.
    pub fn name(&self, id: FileId) -> &str {
        self.file(id).map_or("", |file| &file.name)
    }

    /// A text.
    pub fn text(&self, id: FileId) -> &str {
        self.file(id).map_or("", |file| &file.text)
    }

    /// Where a text was included or expanded.
    pub fn origin(&self, id: FileId) -> Option<Span> {
        self.file(id)?.origin
    }

    /// What a span covers.
    pub fn slice(&self, span: Span) -> &str {
        self.text(span.file).get(span.start as usize..span.end as usize).unwrap_or("")
    }

    /// Line and column, both from 1; the column counts characters.
    pub fn line_column(&self, span: Span) -> (usize, usize) {
        let Some(file) = self.file(span.file) else { return (1, 1) };
        let line = file.lines.partition_point(|&start| start <= span.start).max(1);
        let start = file.lines.get(line - 1).copied().unwrap_or(0);
        let before = file.text.get(start as usize..span.start as usize).unwrap_or("");
        (line, before.chars().count() + 1)
    }

    /// The whole line in which a span begins, without its end.
    pub fn line_text(&self, span: Span) -> &str {
        let (line, _) = self.line_column(span);
        let start = self.file(span.file).and_then(|file| file.lines.get(line - 1)).copied().unwrap_or(0);
        self.text(span.file).get(start as usize..).and_then(|text| text.lines().next()).unwrap_or("")
    }
}

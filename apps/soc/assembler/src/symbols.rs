//! Symbols: names for addresses and constants, and the file that carries them beside an image.

use std::collections::BTreeMap;
use std::fmt;

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SymbolKind {
    /// The address of an instruction.
    Code,
    /// The address of data.
    Data,
    /// A constant given by `.equ`.
    Constant,
}

impl SymbolKind {
    const ALL: [(Self, &'static str); 3] = [(Self::Code, "T"), (Self::Data, "D"), (Self::Constant, "A")];

    fn letter(self) -> &'static str {
        Self::ALL.iter().find(|(kind, _)| *kind == self).map_or("A", |(_, letter)| letter)
    }
}

/// A value with what it stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Symbol {
    pub value: u32,
    pub kind: SymbolKind,
}

/// The names of a program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Symbols {
    by_name: BTreeMap<String, Symbol>,
    by_address: BTreeMap<u32, Vec<String>>,
}

/// A line of a symbol file that cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SymbolFileError {
    /// From 1.
    pub line: usize,
}

impl fmt::Display for SymbolFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {} of the symbol file is not `HEX T|D|A NAME`", self.line)
    }
}

impl std::error::Error for SymbolFileError {}

impl Symbols {
    /// Takes in a name; a name that is there already is replaced.
    pub fn insert(&mut self, name: String, symbol: Symbol) {
        if let Some(before) = self.by_name.insert(name.clone(), symbol)
            && let Some(names) = self.by_address.get_mut(&before.value)
        {
            names.retain(|other| *other != name);
        }
        if symbol.kind != SymbolKind::Constant {
            self.by_address.entry(symbol.value).or_default().push(name);
        }
    }

    /// What a name stands for.
    pub fn get(&self, name: &str) -> Option<Symbol> {
        self.by_name.get(name).copied()
    }

    /// The first label at exactly this address.
    pub fn at(&self, address: u32) -> Option<&str> {
        self.by_address.get(&address)?.first().map(String::as_str)
    }

    /// All labels at exactly this address.
    pub fn all_at(&self, address: u32) -> impl Iterator<Item = &str> {
        self.by_address.get(&address).into_iter().flatten().map(String::as_str)
    }

    /// The nearest label at or before an address, and how far behind it the address lies.
    pub fn before(&self, address: u32) -> Option<(&str, u32)> {
        let (start, names) = self.by_address.range(..=address).rev().find(|(_, names)| !names.is_empty())?;
        Some((names.first()?, address - start))
    }

    /// All names in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Symbol)> {
        self.by_name.iter().map(|(name, symbol)| (name.as_str(), *symbol))
    }

    /// Whether there is no name.
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// The symbol file: one `HEX KIND NAME` a line, by rising value, as `nm` writes it.
    pub fn to_text(&self) -> String {
        let mut lines: Vec<_> = self.iter().collect();
        lines.sort_by_key(|(name, symbol)| (symbol.value, *name));
        lines
            .iter()
            .map(|(name, symbol)| format!("{:08x} {} {name}\n", symbol.value, symbol.kind.letter()))
            .collect()
    }

    /// The inverse of [`Symbols::to_text`].
    pub fn from_text(text: &str) -> Result<Self, SymbolFileError> {
        let mut symbols = Self::default();
        for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let (name, symbol) = parse_line(line).ok_or(SymbolFileError { line: index + 1 })?;
            symbols.insert(name, symbol);
        }
        Ok(symbols)
    }
}

fn parse_line(line: &str) -> Option<(String, Symbol)> {
    let mut fields = line.split_whitespace();
    let value = u32::from_str_radix(fields.next()?, 16).ok()?;
    let letter = fields.next()?;
    let kind = SymbolKind::ALL.iter().find(|(_, known)| *known == letter)?.0;
    let name = fields.next()?;
    let is_name = name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
        && !name.starts_with(|letter: char| letter.is_ascii_digit());
    (is_name && fields.next().is_none()).then(|| (name.to_owned(), Symbol { value, kind }))
}

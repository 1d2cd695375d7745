//! Sections and symbols of a whole file, for tools on the host.

use super::{Error, Header};
use crate::bytes::{slice_at, u8_at, u16_at, u32_at, u64_at, until_nul};

const SECTION_HEADER_LENGTH: usize = 64;
const SYMBOL_LENGTH: usize = 24;
const SHT_SYMTAB: u32 = 2;
const SHT_NOBITS: u32 = 8;
const SHN_XINDEX: u16 = 0xffff;

/// A section: a named part of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Section<'a> {
    /// Its name, without the NUL.
    pub name: &'a [u8],
    /// What it holds (`SHT_*`).
    pub kind: u32,
    /// Its address in memory, zero where it has none.
    pub address: u64,
    /// Its contents; empty where the file has none (SHT_NOBITS) or they are cut off.
    pub data: &'a [u8],
    /// The size that it claims, in bytes.
    pub length: u64,
    link: u32,
}

/// What a symbol names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SymbolKind {
    /// Code (STT_FUNC).
    Function,
    /// Data (STT_OBJECT).
    Object,
    /// Anything else.
    Other,
}

/// An entry of the symbol table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Symbol<'a> {
    /// Its mangled name, without the NUL.
    pub name: &'a [u8],
    /// Its address.
    pub address: u64,
    /// Its length in bytes, zero where nobody knows.
    pub length: u64,
    /// What it names.
    pub kind: SymbolKind,
    /// Whether it is defined in this file.
    pub is_defined: bool,
}

/// A whole file, with its table of sections.
#[derive(Clone, Copy, Debug)]
pub struct Sections<'a> {
    file: &'a [u8],
    table: &'a [u8],
    names: &'a [u8],
}

impl<'a> Sections<'a> {
    /// Finds the table of sections. A file without one (stripped to its segments) has none.
    pub fn parse(file: &'a [u8]) -> Result<Sections<'a>, Error> {
        let header = Header::parse(file)?;
        if header.section_headers_offset == 0 {
            return Ok(Sections { file, table: &[], names: &[] });
        }
        let offset = usize::try_from(header.section_headers_offset).map_err(|_| Error::Truncated)?;
        let first = slice_at(file, offset, SECTION_HEADER_LENGTH).ok_or(Error::Truncated)?;
        // More sections than 16 bits can count, or names in one of those: the first header says it.
        let count = match header.section_headers {
            0 => u64_at(first, 32).and_then(|count| usize::try_from(count).ok()),
            count => Some(usize::from(count)),
        };
        let names = match header.section_names {
            SHN_XINDEX => u32_at(first, 40).unwrap_or(0) as usize,
            index => usize::from(index),
        };
        let length =
            count.and_then(|count| count.checked_mul(SECTION_HEADER_LENGTH)).ok_or(Error::Overflow)?;
        let table = slice_at(file, offset, length).ok_or(Error::Truncated)?;
        let mut sections = Sections { file, table, names: &[] };
        sections.names = sections.get(names).map_or(&[], |section| section.data);
        Ok(sections)
    }

    /// The section with this number.
    pub fn get(&self, index: usize) -> Option<Section<'a>> {
        let offset = index.checked_mul(SECTION_HEADER_LENGTH)?;
        self.section(slice_at(self.table, offset, SECTION_HEADER_LENGTH)?)
    }

    /// All sections in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = Section<'a>> {
        self.table.chunks_exact(SECTION_HEADER_LENGTH).filter_map(|entry| self.section(entry))
    }

    /// The section with this name.
    pub fn named(&self, name: &str) -> Option<Section<'a>> {
        self.iter().find(|section| section.name == name.as_bytes())
    }

    fn section(&self, entry: &[u8]) -> Option<Section<'a>> {
        let name = u32_at(entry, 0)? as usize;
        let kind = u32_at(entry, 4)?;
        let length = u64_at(entry, 32)?;
        let place = usize::try_from(u64_at(entry, 24)?).ok().zip(usize::try_from(length).ok());
        let data = match place {
            Some((offset, length)) if kind != SHT_NOBITS => slice_at(self.file, offset, length),
            _ => None,
        };
        Some(Section {
            name: until_nul(self.names.get(name..).unwrap_or(&[])),
            kind,
            address: u64_at(entry, 16)?,
            data: data.unwrap_or(&[]),
            length,
            link: u32_at(entry, 40)?,
        })
    }

    /// All entries of the symbol table in the order of the file; none where it was stripped.
    pub fn symbols(&self) -> impl Iterator<Item = Symbol<'a>> {
        let table = self.iter().find(|section| section.kind == SHT_SYMTAB);
        let names = table.and_then(|table| self.get(table.link as usize)).map_or(&[][..], |names| names.data);
        let data = table.map_or(&[][..], |table| table.data);
        data.chunks_exact(SYMBOL_LENGTH).filter_map(move |entry| {
            let name = u32_at(entry, 0)? as usize;
            Some(Symbol {
                name: until_nul(names.get(name..).unwrap_or(&[])),
                kind: match u8_at(entry, 4)? & 0xf {
                    1 => SymbolKind::Object,
                    2 => SymbolKind::Function,
                    _ => SymbolKind::Other,
                },
                is_defined: u16_at(entry, 6)? != 0,
                address: u64_at(entry, 8)?,
                length: u64_at(entry, 16)?,
            })
        })
    }
}

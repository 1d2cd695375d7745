//! From the linker's ELF file to the file that boots: no debug information, the symbol table in its place.
//!
//! The place is described in docs/testing.md: the last segment in memory begins with the section `.hob_symbols`, whose
//! header says how long the table behind it is.

use anyhow::{Context, Result, bail};
use object::LittleEndian as LE;
use object::elf::{FileHeader64, PT_LOAD, ProgramHeader64, SHT_NOBITS, STT_FUNC, SectionHeader64};
use object::read::elf::{FileHeader, ProgramHeader, SectionHeader, SectionTable, Sym};

/// The section that marks the table's place.
pub const SECTION: &str = ".hob_symbols";
/// The first bytes of the section.
pub const MAGIC: [u8; 8] = *b"HOBSYMS\0";
/// The magic number and the length.
const HEADER_LEN: usize = 16;

/// A function of the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Function {
    /// Where it begins.
    pub address: u64,
    /// How many bytes of code it has; zero where the compiler did not say.
    pub len_bytes: u64,
    /// The name as people write it, without the compiler's hash.
    pub name: String,
}

/// The kernel's functions.
pub fn functions(elf: &[u8]) -> Result<Vec<Function>> {
    let header = parse(elf)?;
    let sections = header.sections(LE, elf).context("the kernel has no valid section table")?;
    let table =
        sections.symbols(LE, elf, object::elf::SHT_SYMTAB).context("the kernel has no valid symbol table")?;
    let mut functions = Vec::new();
    for symbol in table.iter().filter(|symbol| symbol.st_type() == STT_FUNC && symbol.st_value(LE) != 0) {
        let name = symbol.name(LE, table.strings()).context("a symbol has no valid name")?;
        let name = rustc_demangle::demangle(&String::from_utf8_lossy(name)).to_string();
        let without_hash = name.rsplit_once("::h").filter(|(_, hash)| hash.len() == 16).map(|(name, _)| name);
        functions.push(Function {
            address: symbol.st_value(LE),
            len_bytes: symbol.st_size(LE),
            name: without_hash.unwrap_or(&name).to_owned(),
        });
    }
    Ok(functions)
}

/// The file that boots, with `table` in the place that the kernel keeps for symbols.
pub fn boot_file(elf: &[u8], table: &[u8]) -> Result<Vec<u8>> {
    let header = parse(elf)?;
    let segments = header.program_headers(LE, elf).context("the kernel has no valid program headers")?;
    let place = place(header, segments, elf)?;

    let mut end = header.e_phoff(LE) + size_of_val(segments) as u64;
    for (index, segment) in segments.iter().enumerate() {
        if index != place && segment.p_filesz(LE) > 0 {
            end = end.max(segment.p_offset(LE) + segment.p_filesz(LE));
        }
    }
    let kept = elf.get(..usize::try_from(end)?).context("the kernel's file is shorter than its segments")?;
    let mut file = kept.to_vec();

    // The segment moves to the end of the file, to an offset that agrees with its address modulo the page.
    let segment = &segments[place];
    let align = segment.p_align(LE).max(1);
    let offset = end.next_multiple_of(align) + segment.p_vaddr(LE) % align;
    file.resize(usize::try_from(offset)?, 0);
    file.extend(MAGIC);
    file.extend((table.len() as u64).to_le_bytes());
    file.extend(table);
    let len = (HEADER_LEN + table.len()) as u64;

    let entry = usize::try_from(header.e_phoff(LE))? + place * size_of::<ProgramHeader64<LE>>();
    put(&mut file, entry + 8, &offset.to_le_bytes());
    put(&mut file, entry + 32, &len.to_le_bytes());
    put(&mut file, entry + 40, &len.to_le_bytes());
    // No section table: its offset, and the number and index of its entries (ELF-64 object file format, 2).
    put(&mut file, 0x28, &[0; 8]);
    put(&mut file, 0x3c, &[0; 4]);
    Ok(file)
}

fn put(file: &mut [u8], at: usize, bytes: &[u8]) {
    file[at..at + bytes.len()].copy_from_slice(bytes);
}

fn parse(elf: &[u8]) -> Result<&FileHeader64<LE>> {
    let header = FileHeader64::<LE>::parse(elf).context("the kernel is no 64-bit ELF file")?;
    header.endian().context("the kernel is no little-endian ELF file")?;
    Ok(header)
}

/// The index of the segment that begins with the section, after a check that it can grow.
fn place(header: &FileHeader64<LE>, segments: &[ProgramHeader64<LE>], elf: &[u8]) -> Result<usize> {
    let sections: SectionTable<FileHeader64<LE>> =
        header.sections(LE, elf).context("the kernel has no valid section table")?;
    let Some((_, section)) = sections.section_by_name(LE, SECTION.as_bytes()) else {
        bail!("the kernel has no section {SECTION}; its linker script must keep a place for the symbols");
    };
    check_header(section, elf)?;
    let address = section.sh_addr(LE);
    let is_place =
        |segment: &ProgramHeader64<LE>| segment.p_type(LE) == PT_LOAD && segment.p_vaddr(LE) == address;
    let Some(place) = segments.iter().position(is_place) else {
        bail!("section {SECTION} must begin a PT_LOAD segment of its own");
    };
    let behind = |segment: &&ProgramHeader64<LE>| {
        segment.p_type(LE) == PT_LOAD
            && (segment.p_vaddr(LE) > address || segment.p_paddr(LE) > segments[place].p_paddr(LE))
    };
    if let Some(segment) = segments.iter().find(behind) {
        bail!(
            "the segment at {:#x} lies behind {SECTION}, which must be the last to be able to grow",
            segment.p_vaddr(LE)
        );
    }
    Ok(place)
}

fn check_header(section: &SectionHeader64<LE>, elf: &[u8]) -> Result<()> {
    if section.sh_type(LE) == SHT_NOBITS {
        bail!("section {SECTION} has no bytes in the file; it must be PROGBITS");
    }
    let data = section.data(LE, elf).context("section {SECTION} lies outside of the file")?;
    if data.len() != HEADER_LEN || !data.starts_with(&MAGIC) {
        bail!(
            "section {SECTION} must hold a header of {HEADER_LEN} bytes that begins with HOBSYMS and a zero byte"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A kernel of one code segment and the symbols' segment, as the linker would write it.
    fn kernel(symbols_address: u64) -> Vec<u8> {
        let code_address = 0x10_0000_u64;
        let mut file = vec![0; 0x3000];
        put(&mut file, 0, b"\x7fELF\x02\x01\x01");
        put(&mut file, 16, &2_u16.to_le_bytes());
        put(&mut file, 18, &62_u16.to_le_bytes());
        put(&mut file, 20, &1_u32.to_le_bytes());
        put(&mut file, 32, &64_u64.to_le_bytes());
        put(&mut file, 40, &0x2100_u64.to_le_bytes());
        for (at, value) in [(52, 64_u16), (54, 56), (56, 2), (58, 64), (60, 3), (62, 2)] {
            put(&mut file, at, &value.to_le_bytes());
        }
        for (index, (offset, address, size)) in
            [(0x1000_u64, code_address, 0x10_u64), (0x2000, symbols_address, 16)].into_iter().enumerate()
        {
            let at = 64 + index * 56;
            put(&mut file, at, &1_u32.to_le_bytes());
            for (field, value) in
                [(8, offset), (16, address), (24, address), (32, size), (40, size), (48, 0x1000)]
            {
                put(&mut file, at + field, &value.to_le_bytes());
            }
        }
        put(&mut file, 0x1000, b"code");
        put(&mut file, 0x2000, &MAGIC);
        let names = b"\0.hob_symbols\0.shstrtab\0";
        put(&mut file, 0x2080, names);
        let sections =
            [(1_u32, 1_u32, symbols_address, 0x2000_u64, 16_u64), (14, 3, 0, 0x2080, names.len() as u64)];
        for (index, (name, kind, address, offset, size)) in sections.into_iter().enumerate() {
            let at = 0x2100 + (index + 1) * 64;
            put(&mut file, at, &name.to_le_bytes());
            put(&mut file, at + 4, &kind.to_le_bytes());
            for (field, value) in [(16, address), (24, offset), (32, size), (48, 1)] {
                put(&mut file, at + field, &value.to_le_bytes());
            }
        }
        file
    }

    #[test]
    fn the_table_lies_in_the_last_segment_and_the_sections_are_gone() -> Result<()> {
        let file = boot_file(&kernel(0x20_0000), b"the table")?;
        let header = parse(&file)?;
        assert_eq!((header.e_shnum(LE), header.e_shoff(LE)), (0, 0));
        let segments = header.program_headers(LE, &*file)?;
        let data = segments[1].data(LE, &*file).map_err(|()| anyhow::anyhow!("the segment is cut off"))?;
        assert_eq!(data, b"HOBSYMS\0\x09\0\0\0\0\0\0\0the table");
        assert_eq!(segments[1].p_memsz(LE), 25);
        assert_eq!(segments[1].p_offset(LE) % 0x1000, segments[1].p_vaddr(LE) % 0x1000);
        assert_eq!(segments[0].data(LE, &*file).map(|code| &code[..4]), Ok(&b"code"[..]));
        Ok(())
    }

    #[test]
    fn a_segment_behind_the_symbols_is_refused() {
        let error = boot_file(&kernel(0x8_0000), b"").map_err(|error| error.to_string());
        assert!(error.is_err_and(|error| error.contains("must be the last")));
    }

    #[test]
    fn a_file_that_is_no_elf_is_refused() {
        assert!(boot_file(b"MZ", b"").is_err());
        assert!(boot_file(&kernel(0x20_0000)[..0x1008], b"").is_err());
    }
}

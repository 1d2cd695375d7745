//! The boot information of Multiboot2 (Multiboot2 specification 2.0, 3.6): a row of tags.

use super::{Channel, Description, ElfSections, Error, Framebuffer, MemoryMap, Module, RootPointer};
use crate::bytes::{slice_at, u8_at, u32_at, u64_at, until_nul};

/// What the loader passes in EAX.
pub const MAGIC: u32 = 0x36d7_6289;
/// The bytes of the structure's head, in whose first word its whole length stands.
pub const HEAD_LENGTH: usize = 8;

const TAG_END: u32 = 0;
const TAG_COMMAND_LINE: u32 = 1;
const TAG_LOADER: u32 = 2;
const TAG_MODULE: u32 = 3;
const TAG_MEMORY_MAP: u32 = 6;
const TAG_FRAMEBUFFER: u32 = 8;
const TAG_SECTIONS: u32 = 9;
const TAG_ACPI_1: u32 = 14;
const TAG_ACPI_2: u32 = 15;

/// The length that the structure's head names.
pub fn length(head: &[u8]) -> Option<usize> {
    u32_at(head, 0).map(|length| length as usize).filter(|length| *length >= HEAD_LENGTH)
}

/// Reads the structure, which the loader passes in EBX, from its bytes, of which there may be more.
pub fn parse(bytes: &[u8]) -> Result<Description<'_>, Error> {
    let whole = length(bytes).and_then(|length| slice_at(bytes, 0, length)).ok_or(Error::Truncated)?;
    let mut description = Description::default();
    let mut has_memory_map = false;
    let mut offset = HEAD_LENGTH;
    loop {
        let kind = u32_at(whole, offset).ok_or(Error::Truncated)?;
        let length = u32_at(whole, offset + 4).ok_or(Error::Truncated)? as usize;
        let tag = slice_at(whole, offset, length).ok_or(Error::Truncated)?;
        let body = tag.get(HEAD_LENGTH..).ok_or(Error::Truncated)?;
        match kind {
            TAG_END => break,
            TAG_MEMORY_MAP => {
                description.memory = memory_map(body).ok_or(Error::Truncated)?;
                has_memory_map = true;
            }
            TAG_MODULE => description.add_module(module(body)?)?,
            _ => add(&mut description, kind, body).ok_or(Error::Truncated)?,
        }
        // Every tag begins at a multiple of eight bytes.
        offset = offset.saturating_add(length).next_multiple_of(8);
    }
    if has_memory_map { Ok(description) } else { Err(Error::NoMemoryMap) }
}

fn add<'a>(description: &mut Description<'a>, kind: u32, body: &'a [u8]) -> Option<()> {
    match kind {
        TAG_COMMAND_LINE => description.command_line = until_nul(body),
        TAG_LOADER => description.loader = until_nul(body),
        TAG_FRAMEBUFFER => description.framebuffer = framebuffer(body)?,
        TAG_SECTIONS => description.sections = Some(sections(body)?),
        // The newer copy counts, in whichever order they come.
        TAG_ACPI_1 if description.root_pointer.is_some() => {}
        TAG_ACPI_1 | TAG_ACPI_2 => description.root_pointer = Some(RootPointer::Copy(body)),
        _ => {}
    }
    Some(())
}

fn memory_map(body: &[u8]) -> Option<MemoryMap<'_>> {
    let stride = u32_at(body, 0)? as usize;
    if stride < 24 { None } else { Some(MemoryMap { entries: body.get(8..)?, stride }) }
}

fn module(body: &[u8]) -> Result<Module<'_>, Error> {
    let start = u64::from(u32_at(body, 0).ok_or(Error::Truncated)?);
    let end = u64::from(u32_at(body, 4).ok_or(Error::Truncated)?);
    let length = end.checked_sub(start).ok_or(Error::BadModule)?;
    Ok(Module { start, length, command_line: until_nul(body.get(8..).unwrap_or(&[])) })
}

/// A screen of direct colour; text and palettes are no screen to draw on.
fn framebuffer(body: &[u8]) -> Option<Option<Framebuffer>> {
    if u8_at(body, 21)? != 1 {
        return Some(None);
    }
    let channel = |offset| Some(Channel { position: u8_at(body, offset)?, bits: u8_at(body, offset + 1)? });
    Some(Some(Framebuffer {
        address: u64_at(body, 0)?,
        pitch: u32_at(body, 8)?,
        width: u32_at(body, 12)?,
        height: u32_at(body, 16)?,
        bits_per_pixel: u8_at(body, 20)?,
        channels: [channel(24)?, channel(26)?, channel(28)?],
    }))
}

fn sections(body: &[u8]) -> Option<ElfSections<'_>> {
    let (count, header_length) = (u32_at(body, 0)? as usize, u32_at(body, 4)?);
    let length = count.checked_mul(header_length as usize)?;
    Some(ElfSections { headers: slice_at(body, 12, length)?, header_length, names: u32_at(body, 8)? })
}

//! The start information of PVH (Xen's `include/public/arch-x86/hvm/start_info.h`), versions 0 and 1.

use super::{Description, Error, MemoryMap, Module, RootPointer};
use crate::bytes::{PhysicalMemory, u32_at, u64_at};

/// The first word of the structure.
pub const MAGIC: u32 = 0x336e_c578;
/// The longest command line that is read.
pub const COMMAND_LINE_MAX: usize = 65_536;

const LENGTH: usize = 40;
const LENGTH_VERSION_1: usize = 56;
const MODULE_LENGTH: usize = 32;
const REGION_LENGTH: usize = 24;
const PAGE: usize = 4096;

/// Reads the structure at a physical address, which the loader passes in EBX, and all that it names.
pub fn read<'a>(memory: &impl PhysicalMemory<'a>, address: u64) -> Result<Description<'a>, Error> {
    let info = memory.read(address, LENGTH).ok_or(Error::Truncated)?;
    let number = |offset| u32_at(info, offset).ok_or(Error::Truncated);
    let pointer = |offset| u64_at(info, offset).ok_or(Error::Truncated);
    if number(0)? != MAGIC {
        return Err(Error::BadMagic);
    }
    if number(4)? < 1 {
        return Err(Error::NoMemoryMap);
    }
    let mut description = Description {
        command_line: string(memory, pointer(24)?)?,
        memory: memory_map(memory, address)?,
        root_pointer: Some(pointer(32)?).filter(|address| *address != 0).map(RootPointer::Address),
        ..Description::default()
    };
    let modules = number(12)? as usize;
    if modules > super::MODULES_MAX {
        return Err(Error::TooManyModules);
    }
    let list = if modules == 0 { &[] } else { table(memory, pointer(16)?, modules, MODULE_LENGTH)? };
    for entry in list.chunks_exact(MODULE_LENGTH) {
        let field = |offset| u64_at(entry, offset).ok_or(Error::Truncated);
        description.add_module(Module {
            start: field(0)?,
            length: field(8)?,
            command_line: string(memory, field(16)?)?,
        })?;
    }
    Ok(description)
}

fn memory_map<'a>(memory: &impl PhysicalMemory<'a>, address: u64) -> Result<MemoryMap<'a>, Error> {
    let info = memory.read(address, LENGTH_VERSION_1).ok_or(Error::Truncated)?;
    let start = u64_at(info, 40).ok_or(Error::Truncated)?;
    let count = u32_at(info, 48).ok_or(Error::Truncated)? as usize;
    if start == 0 || count == 0 {
        return Err(Error::NoMemoryMap);
    }
    let entries = table(memory, start, count, REGION_LENGTH)?;
    Ok(MemoryMap { entries, stride: REGION_LENGTH })
}

fn table<'a>(
    memory: &impl PhysicalMemory<'a>,
    address: u64,
    count: usize,
    length: usize,
) -> Result<&'a [u8], Error> {
    let length = count.checked_mul(length).ok_or(Error::Truncated)?;
    memory.read(address, length).ok_or(Error::Truncated)
}

/// A string that ends with NUL, read page by page because nobody says how long it is.
fn string<'a>(memory: &impl PhysicalMemory<'a>, address: u64) -> Result<&'a [u8], Error> {
    if address == 0 {
        return Ok(&[]);
    }
    let mut length = PAGE - address as usize % PAGE;
    while length <= COMMAND_LINE_MAX {
        let bytes = memory.read(address, length).ok_or(Error::Truncated)?;
        if let Some(end) = bytes.iter().position(|byte| *byte == 0) {
            return Ok(bytes.get(..end).unwrap_or(bytes));
        }
        length += PAGE;
    }
    Err(Error::Truncated)
}

//! `soc dis`: an image into a source.

use crate::arguments::Disassemble;
use crate::failure::Failure;
use crate::source::{print, read, read_text};
use soc_assembler::Symbols;

pub(super) fn disassemble(options: &Disassemble) -> Result<u8, Failure> {
    let image = read(&options.image)?;
    if options.listing {
        print(soc_assembler::listing(&image))?;
        return Ok(0);
    }
    let symbols = match &options.symbols {
        Some(path) => Symbols::from_text(&read_text(path)?).map_err(|error| error.to_string())?,
        None => Symbols::default(),
    };
    print(soc_assembler::disassemble(&image, &symbols))?;
    Ok(0)
}

//! `soc dis`: an image into a source.

use crate::arguments::Disassemble;
use crate::failure::Failure;
use crate::source::{print, read, read_text};
use serde_json::json;
use soc_assembler::{Symbols, instruction_text};
use soc_machine::encoding::Word;

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
    if options.json {
        print(format!("{}\n", words_json(&image, &symbols)))?;
    } else {
        print(soc_assembler::disassemble(&image, &symbols))?;
    }
    Ok(0)
}

/// Each whole word of the image; bytes behind the last one are none.
fn words_json(image: &[u8], symbols: &Symbols) -> serde_json::Value {
    let (words, rest) = image.as_chunks::<8>();
    let words = (0u32..).step_by(8).zip(words).map(|(address, bytes)| {
        json!({
            "address": address,
            "bytes": bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>(),
            "text": instruction_text(&Word::decode(*bytes), symbols),
            "labels": symbols.all_at(address).collect::<Vec<_>>(),
        })
    });
    json!({ "words": words.collect::<Vec<_>>(), "bytes_behind": rest.len() })
}

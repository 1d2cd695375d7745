//! `soc fmt`: sources in the one layout.

use crate::arguments::Format;
use crate::failure::Failure;
use crate::outcome::STATUS_FAILURE;
use crate::source::{read_text, write};
use std::path::{Path, PathBuf};

pub(super) fn format(options: &Format) -> Result<u8, Failure> {
    let standard = [PathBuf::from("-")];
    let sources = if options.sources.is_empty() { &standard[..] } else { &options.sources };
    let mut status = 0;
    for path in sources {
        let text = read_text(path)?;
        let formatted = soc_assembler::format(&text);
        if options.check {
            if formatted != text {
                eprintln!("{} is not laid out: run soc fmt", path.display());
                status = STATUS_FAILURE;
            }
        } else if formatted != text || path == Path::new("-") {
            write(path, formatted.as_bytes())?;
        }
    }
    Ok(status)
}

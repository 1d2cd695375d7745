//! Programs from files: sources are assembled, images are taken as they are.

use crate::failure::Failure;
use soc_assembler::{Assembly, Files, Language, Options, Symbols, assemble};
use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

/// Includes from a folder.
pub struct Folder(pub PathBuf);

impl Files for Folder {
    fn read(&mut self, name: &str) -> Result<String, String> {
        fs::read_to_string(self.0.join(name)).map_err(|error| error.to_string())
    }
}

/// Reads a file, or standard input where the path is `-`.
pub fn read(path: &Path) -> Result<Vec<u8>, String> {
    if path == Path::new("-") {
        let mut bytes = Vec::new();
        std::io::stdin().read_to_end(&mut bytes).map_err(|error| format!("standard input: {error}"))?;
        return Ok(bytes);
    }
    fs::read(path).map_err(|error| format!("{}: {error}", path.display()))
}

/// Writes a file, or standard output where the path is `-`.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    if path == Path::new("-") {
        return print(bytes);
    }
    fs::write(path, bytes).map_err(|error| Failure::Reason(format!("{}: {error}", path.display())))
}

/// Writes to standard output, at once.
pub fn print(bytes: impl AsRef<[u8]>) -> Result<(), Failure> {
    let mut standard = std::io::stdout().lock();
    standard
        .write_all(bytes.as_ref())
        .and_then(|()| standard.flush())
        .map_err(|error| Failure::of_output(&error))
}

/// Reads a file as text.
pub fn read_text(path: &Path) -> Result<String, String> {
    String::from_utf8(read(path)?).map_err(|_| format!("{} is no text in UTF-8", path.display()))
}

/// The language that `--compat` chooses.
pub fn language(is_compat: bool) -> Language {
    if is_compat { Language::Original } else { Language::Full }
}

/// Assembles a source file; findings are in the result.
pub fn assemble_file(path: &Path, is_compat: bool) -> Result<Assembly, String> {
    let text = read_text(path)?;
    let mut folder = Folder(path.parent().map(Path::to_owned).unwrap_or_default());
    let options = Options { language: language(is_compat) };
    Ok(assemble(&path.display().to_string(), &text, options, &mut folder))
}

/// A program, ready to be laid at address 0.
pub struct Loaded {
    pub image: Vec<u8>,
    pub symbols: Symbols,
    /// The assembly, where the program came as a source.
    pub assembly: Option<Assembly>,
}

/// Loads a program: a file whose name ends with `.asm` is a source, anything else an image, beside which a symbol file
/// `.sym` is used if it is there. Findings are the error.
pub fn load(path: &Path, is_compat: bool) -> Result<Loaded, String> {
    if path.extension().is_some_and(|extension| extension == "asm") {
        let assembly = assemble_file(path, is_compat)?;
        let Some(program) = &assembly.program else {
            return Err(format!("{} is not assembled\n{}", path.display(), assembly.render()));
        };
        let (image, symbols) = (program.image.clone(), program.symbols.clone());
        return Ok(Loaded { image, symbols, assembly: Some(assembly) });
    }
    let image = read(path)?;
    let beside = path.with_extension("sym");
    let symbols = match fs::read_to_string(&beside) {
        Ok(text) => Symbols::from_text(&text).map_err(|error| format!("{}: {error}", beside.display()))?,
        Err(_) => Symbols::default(),
    };
    Ok(Loaded { image, symbols, assembly: None })
}

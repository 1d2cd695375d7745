//! What a machine starts from: a program with the options that `run` and `debug` share, or a recording.

use crate::arguments::MachineOptions;
use crate::source::{self, Loaded};
use soc_machine::{Machine, Quirks, Recording};
use std::path::Path;

/// A recording from a file, and its machine at power-on.
pub fn from_recording(path: &Path) -> Result<(Machine, Recording), String> {
    let recording =
        Recording::load(&source::read(path)?).map_err(|error| format!("{}: {error}", path.display()))?;
    let machine = recording.machine().map_err(|error| error.to_string())?;
    Ok((machine, recording))
}

/// A program's machine at power-on, a recording of it that has no inputs yet, and what was loaded.
pub fn from_program(path: &Path, options: &MachineOptions) -> Result<(Machine, Recording, Loaded), String> {
    let loaded = source::load(path, options.compat)?;
    let disk = options.disk.as_deref().map(source::read).transpose()?.unwrap_or_default();
    let quirks = Quirks::chosen(options.compat);
    let recording =
        Recording { image: loaded.image.clone(), quirks, seed: options.seed, disk, ..Recording::default() };
    let machine = recording.machine().map_err(|error| error.to_string())?;
    Ok((machine, recording, loaded))
}

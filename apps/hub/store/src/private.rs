//! Files that only the hub's user may read, and that are there whole or not at all.
//!
//! The store and each backup hold every secret of the house. Their modes are set here, so that no umask opens them; and what is to
//! have a final name is made under another, brought to the disk, and renamed.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

const FILE: u32 = 0o600;
const FOLDER: u32 = 0o700;

/// Makes a folder for the hub alone, with those above it. One that is there keeps its mode: it may be somebody's.
///
/// # Errors
/// It cannot be made, or is no folder.
pub fn folder(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(above) = path.parent().filter(|above| !above.as_os_str().is_empty()) {
        std::fs::create_dir_all(above)?;
    }
    match DirBuilder::new().mode(FOLDER).create(path) {
        // Somebody was faster.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        Err(error) => Err(error),
        // An umask takes bits away, also from the owner.
        Ok(()) => std::fs::set_permissions(path, Permissions::from_mode(FOLDER)),
    }
}

/// Opens a file to read and write, and makes it when there is none; it is the hub's alone then.
///
/// # Errors
/// It cannot be opened or made.
pub fn open(path: &Path) -> io::Result<File> {
    let is_new = !path.exists();
    let file =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(FILE).open(path)?;
    if file.metadata()?.permissions().mode() & 0o777 != FILE
        && let Err(error) = file.set_permissions(Permissions::from_mode(FILE))
    {
        // A file system without modes, or a file of somebody else: the house must go on, but it is said.
        tracing::warn!(%error, file = %path.display(), "others may be able to read this file");
    }
    if is_new {
        sync_folder_of(path)?;
    }
    Ok(file)
}

/// Makes a new, empty file; what had its name is gone.
///
/// # Errors
/// It cannot be made.
pub fn create(path: &Path) -> io::Result<File> {
    remove(path)?;
    open(path)
}

/// A name beside `path` for what is to become it.
pub fn beside(path: &Path, what: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{what}"));
    path.with_file_name(name)
}

/// Gives a whole file its final name: it is on the disk before it has the name, and has the name when this returns.
///
/// # Errors
/// The disk, or the name.
pub fn publish(made: &Path, to: &Path) -> io::Result<()> {
    File::open(made)?.sync_all()?;
    std::fs::rename(made, to)?;
    sync_folder_of(to)
}

/// Copies a file; `to` is what it was before, or the whole copy.
///
/// # Errors
/// The files, the disk.
pub fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let part = beside(to, "part");
    let mut target = create(&part)?;
    let copied = File::open(from).and_then(|mut source| io::copy(&mut source, &mut target));
    copied.and_then(|_| publish(&part, to)).inspect_err(|_| {
        // Nothing half is left.
        let _ = std::fs::remove_file(&part);
    })
}

/// Removes a file that may not be there.
///
/// # Errors
/// It is there and stays.
pub fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Brings the names in the folder of this file to the disk.
///
/// # Errors
/// The folder, the disk.
pub fn sync_folder_of(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

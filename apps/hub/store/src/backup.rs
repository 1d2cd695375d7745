//! A backup: one redb file with everything, consistent while the hub runs, and verified before it is called good.

use crate::private;
use crate::schema::{BLOCKS, DOCUMENTS, EVENTS, HEADS, JOURNAL, META};
use crate::sealed;
use crate::store::{Store, open_file, quietly, read_documents};
use redb::{
    Database, Key, ReadTransaction, ReadableDatabase as _, ReadableTable as _, ReadableTableMetadata as _,
};
use redb::{TableDefinition, Value};
use serde::Serialize;
use std::cell::Cell;
use std::hash::Hasher as _;
use std::path::{Path, PathBuf};

/// What a file holds; two stores with equal summaries hold the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Summary {
    pub version: u64,
    pub rows: u64,
    /// Over every key and value, as hex.
    pub digest: String,
}

/// Makes a backup at `to`, sealed when there is a pass phrase. `to` is what it was before until the backup has been opened as it
/// will be when somebody needs it, and found equal. Blocks for as long as that takes.
///
/// # Errors
/// In words: the store, the disk, or a copy that is not equal.
pub fn make(
    store: &Store,
    to: &Path,
    pass: Option<&str>,
    progress: &dyn Fn(u64, u64),
) -> Result<Summary, String> {
    let [plain, sealed, opened] = scratch_of(to);
    let failed = |error: std::io::Error| error.to_string();
    let work = || {
        // What an earlier hub was killed over would be added to.
        private::remove(&plain).map_err(failed)?;
        let summary = store.back_up(&plain, progress).map_err(|error| error.to_string())?;
        let Some(pass) = pass else {
            private::publish(&plain, to).map_err(failed)?;
            return Ok(summary);
        };
        sealed::seal(&plain, &sealed, pass).map_err(failed)?;
        sealed::open(&sealed, &opened, pass).map_err(failed)?;
        if verify(&opened)? != summary {
            return Err("the sealed copy is not equal to the store".into());
        }
        private::publish(&sealed, to).map_err(failed)?;
        Ok(summary)
    };
    let made = work();
    for scratch in [plain, sealed, opened] {
        if let Err(error) = private::remove(&scratch) {
            tracing::error!(%error, file = %scratch.display(), "what a backup was made from could not be removed");
        }
    }
    made
}

/// The names under which a backup is made: the plain copy, the sealed one, and what that opens to. A hub that is killed
/// leaves them behind.
pub fn scratch_of(to: &Path) -> [PathBuf; 3] {
    ["part", "sealed.part", "opened.part"].map(|what| private::beside(to, what))
}

/// Copies everything that one transaction sees to a new file, then reads both and compares.
pub(crate) fn copy(db: &Database, to: &Path, progress: &dyn Fn(u64, u64)) -> Result<Summary, String> {
    let before = quietly(|| {
        let txn = db.begin_read()?;
        let summary = summarise(&txn)?;
        let copy = open_file(to)?;
        let mut write = copy.begin_write()?;
        write.set_quick_repair(true);
        let done = Cell::new(0);
        let told = |rows: u64| {
            done.set(done.get() + rows);
            progress(done.get(), summary.rows);
        };
        copy_table(&txn, &write, META, &told)?;
        copy_table(&txn, &write, DOCUMENTS, &told)?;
        copy_table(&txn, &write, EVENTS, &told)?;
        copy_table(&txn, &write, JOURNAL, &told)?;
        copy_table(&txn, &write, HEADS, &told)?;
        copy_table(&txn, &write, BLOCKS, &told)?;
        write.commit()?;
        Ok(summary)
    })?;
    let after = verify(to)?;
    if before == after { Ok(after) } else { Err("the copy is not equal to the store".into()) }
}

/// Reads a whole backup: every row, and every document as JSON.
///
/// # Errors
/// It is no store, of another version, or damaged.
pub fn verify(file: &Path) -> Result<Summary, String> {
    if !file.is_file() {
        return Err(format!("there is no file {}", file.display()));
    }
    quietly(|| {
        let db = Database::builder().set_cache_size(1 << 20).open(file)?;
        let txn = db.begin_read()?;
        read_documents(&txn)?;
        summarise(&txn)
    })
}

fn copy_table<K: Key + 'static, V: Value + 'static>(
    from: &ReadTransaction,
    to: &redb::WriteTransaction,
    table: TableDefinition<K, V>,
    told: &dyn Fn(u64),
) -> Result<(), redb::Error> {
    let source = from.open_table(table)?;
    let mut target = to.open_table(table)?;
    for row in source.iter()? {
        let (key, value) = row?;
        target.insert(key.value(), value.value())?;
        told(1);
    }
    Ok(())
}

fn summarise(txn: &ReadTransaction) -> Result<Summary, redb::Error> {
    let meta = txn.open_table(META)?;
    let version = meta.get("version")?.map_or(0, |v| v.value());
    let mut digest = std::hash::DefaultHasher::new();
    let rows = add(txn, META, &mut digest)?
        + add(txn, DOCUMENTS, &mut digest)?
        + add(txn, EVENTS, &mut digest)?
        + add(txn, JOURNAL, &mut digest)?
        + add(txn, HEADS, &mut digest)?
        + add(txn, BLOCKS, &mut digest)?;
    Ok(Summary { version, rows, digest: format!("{:016x}", digest.finish()) })
}

fn add<K: Key + 'static, V: Value + 'static>(
    txn: &ReadTransaction,
    table: TableDefinition<K, V>,
    digest: &mut impl std::hash::Hasher,
) -> Result<u64, redb::Error> {
    let table = txn.open_table(table)?;
    for row in table.iter()? {
        let (key, value) = row?;
        digest.write(K::as_bytes(&key.value()).as_ref());
        digest.write(V::as_bytes(&value.value()).as_ref());
    }
    Ok(table.len()?)
}

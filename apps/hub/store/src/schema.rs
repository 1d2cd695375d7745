//! The tables of the store, their version, and how an older one is brought up to date.

use redb::{Database, ReadableDatabase as _, TableDefinition};

/// The version that this program writes.
pub const VERSION: u64 = 1;

/// `version` and `seq` (the number of the last stored event).
pub const META: TableDefinition<&str, u64> = TableDefinition::new("meta");
/// Space and key to a JSON document.
pub const DOCUMENTS: TableDefinition<(&str, &str), &[u8]> = TableDefinition::new("documents");
/// Number of the first event of a chunk to the chunk (see `events`).
pub const EVENTS: TableDefinition<u64, &[u8]> = TableDefinition::new("events");
/// Points that no checkpoint has taken up yet, a commit a row.
pub const JOURNAL: TableDefinition<u64, &[u8]> = TableDefinition::new("journal");
/// Entity to the newest part of its history.
pub const HEADS: TableDefinition<&str, &[u8]> = TableDefinition::new("heads");
/// Entity, resolution in seconds (0: raw) and first time to a block of a series.
pub const BLOCKS: TableDefinition<(&str, u32, i64), &[u8]> = TableDefinition::new("blocks");

/// A step from one version to the next, within the transaction that also writes the new version.
pub type Migration = fn(&redb::WriteTransaction) -> Result<(), redb::Error>;

/// Step n leads from version n+1 to n+2.
pub const MIGRATIONS: [Migration; (VERSION - 1) as usize] = [];

/// What the file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    New,
    Current,
    Older(u64),
    Newer(u64),
}

/// Looks at the version of an open file.
pub fn inspect(db: &Database, version: u64) -> Result<Found, redb::Error> {
    let txn = db.begin_read()?;
    let meta = match txn.open_table(META) {
        Ok(meta) => meta,
        Err(redb::TableError::TableDoesNotExist(_)) => return Ok(Found::New),
        Err(error) => return Err(error.into()),
    };
    Ok(match meta.get("version")?.map(|v| v.value()) {
        None => Found::New,
        Some(found) if found == version => Found::Current,
        Some(found) if found < version => Found::Older(found),
        Some(found) => Found::Newer(found),
    })
}

/// Makes all tables, runs the steps from `from` on, and writes the version: all or nothing.
pub fn prepare(db: &Database, from: u64, migrations: &[Migration], version: u64) -> Result<(), redb::Error> {
    let txn = db.begin_write()?;
    {
        txn.open_table(DOCUMENTS)?;
        txn.open_table(EVENTS)?;
        txn.open_table(JOURNAL)?;
        txn.open_table(HEADS)?;
        txn.open_table(BLOCKS)?;
        for step in migrations.iter().skip(from.saturating_sub(1) as usize) {
            step(&txn)?;
        }
        txn.open_table(META)?.insert("version", version)?;
    }
    txn.commit()?;
    Ok(())
}

//! An open database that may be let go of anywhere.

use crate::store::quietly;
use redb::Database;
use std::ops::Deref;

/// Whoever lets go of a database last writes to its file, and where that makes no sense redb panics. Nothing acknowledged
/// depends on that write, so it is a matter for the log.
#[derive(Debug)]
pub(crate) struct Opened(Option<Database>);

impl From<Database> for Opened {
    fn from(db: Database) -> Self {
        Self(Some(db))
    }
}

impl Deref for Opened {
    type Target = Database;

    fn deref(&self) -> &Database {
        match &self.0 {
            Some(db) => db,
            None => unreachable!("only drop takes it"),
        }
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        let db = self.0.take();
        if let Err(reason) = quietly(|| {
            drop(db);
            Ok(())
        }) {
            tracing::error!(
                reason,
                "the store could not be closed in order; it is checked when it is opened next"
            );
        }
    }
}

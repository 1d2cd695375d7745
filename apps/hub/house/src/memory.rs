//! What the house needs of a store: documents that survive, and to know when they do.

use crate::BoxFuture;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Why something could not be remembered. Devices stay controllable all the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MemoryError {
    /// The store could not be opened or has failed; the reason.
    Failed(String),
}

impl std::fmt::Display for MemoryError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            MemoryError::Failed(reason) => write!(f, "the store failed: {reason}"),
        }
    }
}

impl std::error::Error for MemoryError {}

impl From<MemoryError> for crate::Problem {
    fn from(error: MemoryError) -> Self {
        crate::Problem::new(507, "not stored").detail(error.to_string())
    }
}

/// One document to write (`Some`) or to remove (`None`). A space is a kind of document: `users`, `rules`, `deadlines`.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    pub space: String,
    pub key: String,
    pub value: Option<Value>,
}

impl Change {
    /// A document to write.
    pub fn put(space: &str, key: &str, value: Value) -> Change {
        Change { space: space.into(), key: key.into(), value: Some(value) }
    }
    /// A document to remove.
    pub fn remove(space: &str, key: &str) -> Change {
        Change { space: space.into(), key: key.into(), value: None }
    }
}

/// The store as the house sees it.
pub trait Memory: Send + Sync {
    /// One document. Does not block on the disk.
    fn get(&self, space: &str, key: &str) -> Option<Value>;
    /// All documents of a space, by key. Does not block on the disk.
    fn list(&self, space: &str) -> Vec<(String, Value)>;
    /// Writes all changes or none; done when they are on the disk. What was written can be read at once, also when the
    /// disk refused it (then it lasts until the hub ends, and the error says so).
    fn write(&self, changes: Vec<Change>) -> BoxFuture<'_, Result<(), MemoryError>>;
    /// Like [`Memory::write`], within a second, without telling.
    fn write_soon(&self, changes: Vec<Change>);
    /// Waits until everything that was recorded before is on the disk.
    fn sync(&self) -> BoxFuture<'_, Result<(), MemoryError>>;
    /// Why nothing lasts at present; none while all is well.
    fn trouble(&self) -> Option<String>;
}

/// A memory that lasts as long as the program: for tests of what stands on it.
#[derive(Debug, Default)]
pub struct Volatile(Mutex<BTreeMap<(String, String), Value>>);

impl Memory for Volatile {
    fn get(&self, space: &str, key: &str) -> Option<Value> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(&(space.to_string(), key.to_string())).cloned()
    }
    fn list(&self, space: &str) -> Vec<(String, Value)> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter()
            .filter(|((s, _), _)| s == space)
            .map(|((_, key), value)| (key.clone(), value.clone()))
            .collect()
    }
    fn write(&self, changes: Vec<Change>) -> BoxFuture<'_, Result<(), MemoryError>> {
        self.write_soon(changes);
        Box::pin(async { Ok(()) })
    }
    fn write_soon(&self, changes: Vec<Change>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for change in changes {
            match change.value {
                Some(value) => all.insert((change.space, change.key), value),
                None => all.remove(&(change.space, change.key)),
            };
        }
    }
    fn sync(&self) -> BoxFuture<'_, Result<(), MemoryError>> {
        Box::pin(async { Ok(()) })
    }
    fn trouble(&self) -> Option<String> {
        None
    }
}

//! What the hub remembers, and when it is safe.
//!
//! One redb file holds documents (settings, users, rules, deadlines, ...), the log of events and the history of numbers.
//! One thread writes. It commits in groups: a document that somebody waits for is committed with everything else that is
//! ready, and acknowledged after the fsync; events and history wait for at most a second.
//!
//! Invariants: what was acknowledged survives a `kill -9` and a power cut; of events and history at most the last second is
//! lost; a store that fails (full disk, read-only, corrupt) never stops the hub: documents go on in memory, [`Memory::trouble`]
//! says why, and the writer tries again.
//!
//! Neighbours: `house` defines [`Memory`]. Start reading at [`store`], then [`writer`], then [`history`].
//!
//! [`Memory`]: house::Memory
//! [`Memory::trouble`]: house::Memory::trouble
#![forbid(unsafe_code)]

pub mod backup;
pub mod events;
pub mod history;
mod opened;
pub mod private;
pub mod schema;
pub mod sealed;
pub mod series;
pub mod store;
mod writer;

pub use history::{Point, Resolution};
pub use store::{Medium, OpenError, Options, Store};

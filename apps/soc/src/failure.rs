//! Why a command could not do its work.

use std::io::{self, ErrorKind};

/// What ends a command early.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// What is to be told on standard error.
    Reason(String),
    /// Whoever read standard output has gone, as `head` does: nothing is wrong, and there is nobody to tell.
    ReaderGone,
}

impl Failure {
    /// What it means that standard output cannot be written to.
    pub fn of_output(error: &io::Error) -> Self {
        match error.kind() {
            ErrorKind::BrokenPipe => Self::ReaderGone,
            _ => Self::Reason(format!("standard output: {error}")),
        }
    }
}

impl From<String> for Failure {
    fn from(reason: String) -> Self {
        Self::Reason(reason)
    }
}

//! Edits that do not run over each other: entity tags, and edits that were made on what is there now (RFC 9110, section 13.1.1).

use crate::function::{Call, Reply};
use crate::problem::Problem;
use serde_json::Value;
use std::hash::{DefaultHasher, Hasher as _};

/// The entity tag of a document: changes when the document does.
pub fn etag(value: &Value) -> String {
    let mut hasher = DefaultHasher::new();
    hasher.write(value.to_string().as_bytes());
    format!("{:016x}", hasher.finish())
}

impl Call {
    /// Whether an edit was made on what is there now.
    ///
    /// # Errors
    /// 412 when somebody else was faster.
    pub fn unchanged(&self, now: &Value) -> Result<(), Problem> {
        match &self.if_match {
            Some(tag) if tag != "*" && *tag != etag(now) => {
                Err(Problem::new(412, "changed by someone else").detail("read it again and repeat the edit"))
            }
            _ => Ok(()),
        }
    }
}

impl Reply {
    /// A document with its tag.
    pub fn tagged(value: Value) -> Reply {
        let tag = etag(&value);
        Reply::json(value).etag(tag)
    }
}

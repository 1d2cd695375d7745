//! What went wrong, as RFC 9457 says it (`application/problem+json`).

use serde_json::{Map, Value, json};

/// An error of the API: a status, a title for people, and where useful a detail, the field at fault and a remedy.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    /// HTTP status code.
    pub status: u16,
    pub title: String,
    pub detail: Option<String>,
    /// Further members.
    pub extra: Map<String, Value>,
}

impl Problem {
    /// A problem with this status and title.
    pub fn new(status: u16, title: impl Into<String>) -> Problem {
        Problem { status, title: title.into(), detail: None, extra: Map::new() }
    }
    /// 400: the request makes no sense.
    pub fn bad(title: impl Into<String>) -> Problem {
        Problem::new(400, title)
    }
    /// 404: no such thing (or none that the caller may know of).
    pub fn missing(what: &str, id: &str) -> Problem {
        Problem::new(404, format!("no {what} {id:?}"))
    }
    /// 403: known, but not allowed.
    pub fn forbidden(title: impl Into<String>) -> Problem {
        Problem::new(403, title)
    }
    /// 503: the device cannot be reached now.
    pub fn unavailable(title: impl Into<String>) -> Problem {
        Problem::new(503, title)
    }
    /// 500: the hub is at fault.
    pub fn internal(title: impl Into<String>) -> Problem {
        Problem::new(500, title)
    }
    /// With a longer explanation.
    pub fn detail(mut self, detail: impl Into<String>) -> Problem {
        self.detail = Some(detail.into());
        self
    }
    /// With a further member.
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Problem {
        self.extra.insert(name.to_string(), value.into());
        self
    }
    /// The JSON body.
    pub fn to_json(&self) -> Value {
        let mut body = self.extra.clone();
        body.insert("type".into(), json!("about:blank"));
        body.insert("title".into(), json!(self.title));
        body.insert("status".into(), json!(self.status));
        if let Some(detail) = &self.detail {
            body.insert("detail".into(), json!(detail));
        }
        Value::Object(body)
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.title, self.status)?;
        match &self.detail {
            Some(detail) => write!(f, ": {detail}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Problem {}

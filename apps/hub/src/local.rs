//! The command line's way to a running hub: HTTP over its Unix socket.

use serde_json::Value;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// Why a running hub gave no answer.
#[derive(Debug)]
pub enum LocalError {
    /// No hub runs on this state folder.
    NotRunning,
    Io(std::io::Error),
    /// Status and body of a refusal.
    Refused(u16, Value),
}

impl std::fmt::Display for LocalError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            LocalError::NotRunning => write!(f, "no hub runs on this state folder; start one with: hub"),
            LocalError::Io(error) => write!(f, "the hub's socket: {error}"),
            LocalError::Refused(status, body) => {
                let detail = body["detail"].as_str().map(|d| format!(": {d}")).unwrap_or_default();
                write!(f, "{} ({status}){detail}", body["title"].as_str().unwrap_or("refused"))
            }
        }
    }
}

impl std::error::Error for LocalError {}

/// Asks the hub behind `socket`.
///
/// # Errors
/// None runs, the connection breaks, or the answer is no success.
pub fn call(socket: &Path, method: &str, path: &str, body: Option<&Value>) -> Result<Value, LocalError> {
    let mut stream = UnixStream::connect(socket).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound | std::io::ErrorKind::ConnectionRefused => LocalError::NotRunning,
        _ => LocalError::Io(error),
    })?;
    let talk = || -> std::io::Result<Vec<u8>> {
        stream.set_read_timeout(Some(Duration::from_secs(600)))?;
        let body = body.map(Value::to_string).unwrap_or_default();
        let kind = if body.is_empty() { "" } else { "Content-Type: application/json\r\n" };
        let len = body.len();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{kind}Content-Length: {len}\r\n\r\n{body}"
        )?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(answer)
    };
    let answer = { talk }().map_err(LocalError::Io)?;
    let nonsense = || LocalError::Io(std::io::ErrorKind::InvalidData.into());
    let head_len = answer.windows(4).position(|w| w == b"\r\n\r\n").ok_or_else(nonsense)?;
    let head = std::str::from_utf8(answer.get(..head_len).unwrap_or(&[])).map_err(|_| nonsense())?;
    let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).ok_or_else(nonsense)?;
    let body = answer.get(head_len + 4..).unwrap_or(&[]);
    let value = serde_json::from_slice(body).unwrap_or(Value::Null);
    if (200..300).contains(&status) { Ok(value) } else { Err(LocalError::Refused(status, value)) }
}

//! As much of HTTP/1.1 as a device needs: one request line, a few headers, a body of a stated length.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// The longest head of a request or answer.
pub(crate) const HEAD_BYTES: usize = 2_048;

/// The head of a request or an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// The three parts of the first line.
    pub first: [String; 3],
    headers: Vec<(String, String)>,
    /// Bytes of the head, the empty line included.
    pub len: usize,
}

impl Head {
    /// Reads a head. `Ok(None)` asks for more bytes.
    ///
    /// # Errors
    /// The status to answer: 400 for nonsense, 431 for a head that is too long.
    pub fn read(bytes: &[u8]) -> Result<Option<Head>, u16> {
        let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") else {
            return if bytes.len() > HEAD_BYTES { Err(431) } else { Ok(None) };
        };
        if end > HEAD_BYTES {
            return Err(431);
        }
        let text = core::str::from_utf8(bytes.get(..end).unwrap_or(&[])).map_err(|_| 400_u16)?;
        let mut lines = text.split("\r\n");
        let mut words = lines.next().unwrap_or("").splitn(3, ' ').map(str::to_string);
        let first = match (words.next(), words.next(), words.next()) {
            (Some(a), Some(b), Some(c)) => [a, b, c],
            _ => return Err(400),
        };
        let mut headers = Vec::new();
        for line in lines {
            let (name, value) = line.split_once(':').ok_or(400_u16)?;
            if name.is_empty() || name.contains([' ', '\t']) {
                return Err(400);
            }
            headers.push((name.to_ascii_lowercase(), value.trim().to_string()));
        }
        Ok(Some(Head { first, headers, len: end + 4 }))
    }

    /// The value of a header, by its name in small letters; one that stands twice has none.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(n, _)| n == name);
        match (found.next(), found.next()) {
            (Some((_, value)), None) => Some(value),
            _ => None,
        }
    }

    /// Whether a list in a header has this word, in any case.
    pub fn lists(&self, name: &str, word: &str) -> bool {
        self.header(name).is_some_and(|list| list.split(',').any(|one| one.trim().eq_ignore_ascii_case(word)))
    }

    /// Whether it shows this token.
    pub fn has_token(&self, token: &str) -> bool {
        let shown =
            self.header("authorization").and_then(|value| value.strip_prefix("Bearer ")).unwrap_or("");
        // Every byte is looked at, so that the time does not tell how many were right.
        let differs = shown.bytes().zip(token.bytes()).fold(0, |differs, (a, b)| differs | (a ^ b));
        shown.len() == token.len() && differs == 0
    }
}

/// A whole answer.
pub(crate) fn answer(status: u16, kind: &str, body: &str, closes: bool) -> Vec<u8> {
    let reason = match status {
        200 => "OK",
        400 => "Bad Request",
        401 => "Unauthorized",
        404 => "Not Found",
        405 => "Method Not Allowed",
        411 => "Length Required",
        413 => "Content Too Large",
        426 => "Upgrade Required",
        431 => "Request Header Fields Too Large",
        503 => "Service Unavailable",
        _ => "Error",
    };
    let more = match status {
        401 => "WWW-Authenticate: Bearer\r\n",
        426 => "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
        _ => "",
    };
    let connection = if closes { "Connection: close\r\n" } else { "" };
    let len = body.len();
    format!("HTTP/1.1 {status} {reason}\r\nContent-Type: {kind}\r\n{more}{connection}Content-Length: {len}\r\n\r\n{body}")
        .into_bytes()
}

//! A small HTTP/1.1 client for devices and services of the house: one request a connection, bounded in size and time.

use rustls::pki_types::ServerName;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// The longest answer.
const ANSWER_BYTES: u64 = 256 * 1024;
/// How long a request may take.
const TIME: Duration = Duration::from_secs(10);

/// Gets a path of a host (`name` or `name:port`).
///
/// # Errors
/// In words: no connection, too slow, or a status that is no success.
pub(crate) async fn get(host: &str, path: &str) -> Result<String, String> {
    request(host, &format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")).await
}

/// Posts JSON to a path of a host, with a token if there is one.
///
/// # Errors
/// See [`get`].
pub(crate) async fn post(host: &str, path: &str, json: &str, token: Option<&str>) -> Result<String, String> {
    request(host, &posting(host, path, json, token)).await
}

/// The host with its port; 80 when it names none.
pub(crate) fn with_port(host: &str) -> String {
    let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    if has_port { host.to_string() } else { format!("{host}:80") }
}

/// Where a webhook is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Url {
    is_secure: bool,
    host: String,
    path: String,
}

impl Url {
    /// Reads `http://host[:port]/path` or `https://...`.
    ///
    /// # Errors
    /// In words.
    pub fn parse(url: &str) -> Result<Url, String> {
        let (is_secure, rest) = match (url.strip_prefix("http://"), url.strip_prefix("https://")) {
            (Some(rest), _) => (false, rest),
            (None, Some(rest)) => (true, rest),
            (None, None) => return Err("the URL must begin with http:// or https://".into()),
        };
        let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        if host.is_empty() || host.contains('@') || !url.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("the URL must be http(s)://host/path".into());
        }
        let path = if path.is_empty() { "/" } else { path };
        Ok(Url { is_secure, host: host.into(), path: path.into() })
    }

    /// Posts JSON; over HTTPS the other end must be vouched for by an authority of this machine or of the file.
    ///
    /// # Errors
    /// See [`get`]; a certificate that nobody vouches for.
    pub async fn post(&self, json: &str, authority: Option<&Path>) -> Result<(), String> {
        if !self.is_secure {
            return post(&self.host, &self.path, json, None).await.map(|_| ());
        }
        let name = self.host.rsplit_once(':').map_or(self.host.as_str(), |(name, _)| name);
        let to = if name == self.host { format!("{name}:443") } else { self.host.clone() };
        let server = ServerName::try_from(name.to_string()).map_err(|_| format!("{name:?} is no host"))?;
        let connector = TlsConnector::from(Arc::new(hub_tls::client(authority)?));
        let work = async {
            let stream = TcpStream::connect(to).await.map_err(|e| format!("no connection: {e}"))?;
            let mut stream = connector.connect(server, stream).await.map_err(|e| format!("no TLS: {e}"))?;
            stream
                .write_all(posting(&self.host, &self.path, json, None).as_bytes())
                .await
                .map_err(|e| e.to_string())?;
            read(&mut stream).await.map(|_| ())
        };
        timeout(TIME, work).await.map_err(|_| "it took too long".to_string())?
    }
}

fn posting(host: &str, path: &str, json: &str, token: Option<&str>) -> String {
    let len = json.len();
    let shown = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    format!(
        "POST {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{shown}Content-Type: application/json\r\n\
         Content-Length: {len}\r\n\r\n{json}"
    )
}

async fn request(host: &str, request: &str) -> Result<String, String> {
    let work = async {
        let mut stream =
            TcpStream::connect(with_port(host)).await.map_err(|e| format!("no connection: {e}"))?;
        stream.write_all(request.as_bytes()).await.map_err(|e| e.to_string())?;
        read(&mut stream).await
    };
    timeout(TIME, work).await.map_err(|_| "it took too long".to_string())?
}

/// Reads a whole answer; the body of a success. A device that leaves the connection open must say how long its answer is.
async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Result<String, String> {
    let (mut bytes, mut stream) = (Vec::new(), stream.take(ANSWER_BYTES));
    while !is_whole(&bytes) && stream.read_buf(&mut bytes).await.map_err(|e| e.to_string())? > 0 {}
    parse(&bytes)
}

/// Whether as many bytes are there as the head has announced.
fn is_whole(bytes: &[u8]) -> bool {
    let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") else { return false };
    let head = String::from_utf8_lossy(bytes.get(..end).unwrap_or(&[])).to_ascii_lowercase();
    let length =
        head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
    length.is_some_and(|length| bytes.len() - end - 4 >= length)
}

fn parse(bytes: &[u8]) -> Result<String, String> {
    let text = String::from_utf8_lossy(bytes);
    let (head, body) = text.split_once("\r\n\r\n").ok_or("no HTTP answer")?;
    let status: u16 = head.split(' ').nth(1).and_then(|s| s.parse().ok()).ok_or("no HTTP answer")?;
    if !(200..300).contains(&status) {
        return Err(format!("it answered {status}"));
    }
    let is_chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
    if !is_chunked {
        return Ok(body.to_string());
    }
    let (mut whole, mut rest) = (String::new(), body);
    while let Some((size, after)) = rest.split_once("\r\n") {
        let size = size
            .split(';')
            .next()
            .and_then(|s| usize::from_str_radix(s.trim(), 16).ok())
            .ok_or("a bad chunk")?;
        if size == 0 {
            return Ok(whole);
        }
        whole.push_str(after.get(..size).ok_or("a cut chunk")?);
        rest = after.get(size + 2..).ok_or("a cut chunk")?;
    }
    Err("a cut chunk".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_answer_ends_where_it_says_although_the_connection_stays() {
        let (mut device, mut hub) = tokio::io::duplex(1024);
        device.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbo").await.unwrap();
        let read = tokio::spawn(async move { read(&mut hub).await });
        device.write_all(b"dy").await.unwrap();
        assert_eq!(read.await.unwrap().as_deref(), Ok("body"));
    }

    #[test]
    fn hostile_answers_and_urls_are_survived() {
        let answers: [&[u8]; 3] = [
            b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n",
            b"https://example.org:8443/a?b",
        ];
        hostile::attack(1, 5_000, &answers, |input| {
            let _ = (is_whole(input), parse(input));
            if let Ok(url) = Url::parse(&String::from_utf8_lossy(input)) {
                assert!(!url.path.contains([' ', '\r', '\n']) && !url.host.contains([' ', '\r', '\n']));
            }
        });
    }

    #[test]
    fn urls_of_webhooks_are_checked() {
        let url = Url::parse("https://example.org:8443/a?b").unwrap();
        assert_eq!((url.is_secure, url.host.as_str(), url.path.as_str()), (true, "example.org:8443", "/a?b"));
        assert_eq!(Url::parse("http://example.org").unwrap().path, "/");
        for bad in ["", "ftp://x/", "https:///x", "http://user@x/", "http://x/\r\nHost: y", "http://x/a b"] {
            assert!(Url::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn answers_are_read_whole_and_chunked() {
        assert_eq!(parse(b"HTTP/1.1 200 OK\r\nX: y\r\n\r\nbody").as_deref(), Ok("body"));
        let chunked =
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n";
        assert_eq!(parse(chunked).as_deref(), Ok("abcde"));
        for bad in [
            &b""[..],
            b"HTTP/1.1",
            b"HTTP/1.1 404 No\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nabc",
        ] {
            assert!(parse(bad).is_err());
        }
    }
}

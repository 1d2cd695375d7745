//! A small HTTP/1.1 client for devices and services of the house: one request a connection, bounded in size and time.

use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

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
    let len = json.len();
    let shown = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{shown}Content-Type: application/json\r\n"
    );
    request(host, &format!("{head}Content-Length: {len}\r\n\r\n{json}")).await
}

/// The host with its port; 80 when it names none.
pub(crate) fn with_port(host: &str) -> String {
    let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    if has_port { host.to_string() } else { format!("{host}:80") }
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

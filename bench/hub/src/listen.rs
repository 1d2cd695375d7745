//! Subscribers: each a thread with a WebSocket of its own that counts what it hears, and how late that was, and does as little
//! else as it can, so that the machine is left to what is measured.

use crate::Result;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{Receiver, Sender};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// How many listen.
pub const SUBSCRIBERS: usize = 4;
/// Bytes that are read at once.
const READ_BYTES: usize = 256 * 1024;
const TEXT: u8 = 1;
const PING: u8 = 9;
const PONG: u8 = 10;

/// What one message of the measured program is worth.
#[derive(Clone, Copy, Debug, Default)]
pub struct Heard {
    /// Events in it.
    pub events: u64,
    /// Events that it says are lost for this subscriber.
    pub missed: u64,
}

/// What a subscriber has to say at its end.
#[derive(Debug, Default)]
pub struct Report {
    pub missed: u64,
    pub late_us: Vec<u64>,
}

/// Microseconds since 1970, as events carry them.
pub fn now_us() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_micros() as u64)
}

/// The client's end of a WebSocket.
pub struct Socket {
    stream: TcpStream,
    held: Vec<u8>,
    /// Where the next frame begins in `held`.
    at: usize,
}

impl Socket {
    /// Opens a WebSocket.
    ///
    /// # Errors
    /// Nobody answers, or not with a WebSocket.
    pub fn connect(to: SocketAddr, path: &str) -> Result<Socket> {
        let mut stream = TcpStream::connect(to)?;
        stream.set_nodelay(true)?;
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {to}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        stream.write_all(request.as_bytes())?;
        let mut socket = Socket { stream, held: Vec::new(), at: 0 };
        loop {
            if let Some(end) = socket.held.windows(4).position(|w| w == b"\r\n\r\n") {
                socket.at = end + 4;
                let is_open = socket.held.starts_with(b"HTTP/1.1 101");
                return if is_open { Ok(socket) } else { Err("the WebSocket was refused".into()) };
            }
            socket.fill()?;
        }
    }

    /// Sends a text.
    ///
    /// # Errors
    /// The connection has ended.
    pub fn say(&mut self, text: &str) -> Result<()> {
        self.send(TEXT, text.as_bytes())
    }

    /// Gives the next text to `read`.
    ///
    /// # Errors
    /// The connection has ended.
    pub fn hear<T>(&mut self, read: impl Fn(&[u8]) -> T) -> Result<T> {
        loop {
            let Some((kind, from, to)) = self.frame() else {
                self.fill()?;
                continue;
            };
            self.at = to;
            let payload = self.held.get(from..to).unwrap_or(&[]);
            match kind {
                TEXT => return Ok(read(payload)),
                PING => {
                    let content = payload.to_vec();
                    self.send(PONG, &content)?;
                }
                PONG => {}
                _ => return Err("the WebSocket was closed".into()),
            }
        }
    }

    /// The frame that begins at `at`, if it is whole: what it is, and where its payload is.
    fn frame(&self) -> Option<(u8, usize, usize)> {
        let bytes = self.held.get(self.at..)?;
        let (head, len) = match bytes {
            [_, 126, high, low, ..] => (4, usize::from(u16::from_be_bytes([*high, *low]))),
            [_, 127, len @ ..] => (10, u64::from_be_bytes(*len.first_chunk()?) as usize),
            [_, 126, ..] => return None,
            [_, len, ..] => (2, usize::from(*len)),
            _ => return None,
        };
        (bytes.len() >= head + len).then_some((bytes[0] & 15, self.at + head, self.at + head + len))
    }

    fn fill(&mut self) -> Result<()> {
        self.held.drain(..self.at);
        self.at = 0;
        let held = self.held.len();
        self.held.resize(held + READ_BYTES, 0);
        let len = self.stream.read(self.held.get_mut(held..).unwrap_or(&mut []))?;
        self.held.truncate(held + len);
        if len == 0 { Err("the connection was closed".into()) } else { Ok(()) }
    }

    fn send(&mut self, kind: u8, payload: &[u8]) -> Result<()> {
        let mut frame = vec![0x80 | kind];
        match payload.len() {
            len @ 0..126 => frame.push(0x80 | len as u8),
            len => {
                frame.push(0x80 | 126);
                frame.extend(u16::try_from(len)?.to_be_bytes());
            }
        }
        // A mask of zeros changes nothing.
        frame.extend([0; 4]);
        frame.extend_from_slice(payload);
        Ok(self.stream.write_all(&frame)?)
    }
}

/// Counts in a thread of its own until `count` events were heard or lost; the report comes over the channel.
pub fn count(mut socket: Socket, count: u64, is_timed: bool, read: fn(&[u8]) -> Heard, done: Sender<Report>) {
    std::thread::spawn(move || {
        let (mut heard, mut report) = (0, Report::default());
        while heard + report.missed < count {
            let look =
                |text: &[u8]| (read(text), is_timed.then(|| number_after(text, b"\"sent\":")).flatten());
            let Ok((Heard { events, missed }, sent)) = socket.hear(look) else { break };
            heard += events;
            report.missed += missed;
            report.late_us.extend(sent.map(|sent| now_us().saturating_sub(sent)));
        }
        // Who waits for it learns by the end of the channel if there is none.
        let _ = done.send(report);
    });
}

/// The number that follows a name.
pub fn number_after(bytes: &[u8], name: &[u8]) -> Option<u64> {
    let at = bytes.windows(name.len()).position(|w| w == name)? + name.len();
    let digits = bytes.get(at..)?.iter().skip_while(|b| **b == b' ').take_while(|b| b.is_ascii_digit());
    digits.map(|b| char::from(*b)).collect::<String>().parse().ok()
}

/// What came of carrying many events.
#[derive(Debug)]
pub struct Rate {
    pub per_second: f64,
    pub p99_ms: f64,
    /// Events that subscribers were told they missed, all together.
    pub missed: u64,
}

impl Rate {
    /// Waits for all subscribers; `started` is when the first event was sent.
    ///
    /// # Errors
    /// A subscriber ended without a word.
    pub fn gather(count: u64, started: Instant, reports: &Receiver<Report>) -> Result<Rate> {
        let mut all = Report::default();
        for _ in 0..SUBSCRIBERS {
            let report = reports.recv()?;
            all.missed += report.missed;
            all.late_us.extend(report.late_us);
        }
        let took = started.elapsed();
        all.late_us.sort_unstable();
        let p99_ms = all.late_us.get(all.late_us.len() * 99 / 100).map_or(0.0, |us| *us as f64 / 1000.0);
        Ok(Rate { per_second: count as f64 / took.as_secs_f64(), p99_ms, missed: all.missed })
    }
}

//! The hub as it is shipped, as a program of its own.

use crate::Result;
use crate::listen::{Heard, Rate, SUBSCRIBERS, Socket, count, now_us, number_after};
use hob_node::devices::Irrigation;
use hob_node::{Config, Handle, spawn};
use serde_json::Value;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// Events of one request.
const BATCH: u64 = 500;
/// Who makes events at one time: one writes while the other waits for the disk.
const SENDERS: u64 = 2;
const PORT: u16 = 24_343;

/// A running hub; dropping it ends it and removes its state.
pub struct Hub {
    child: Child,
    http: SocketAddr,
    state: PathBuf,
}

impl Hub {
    /// Starts one in an empty folder.
    ///
    /// # Errors
    /// It does not come up.
    pub fn start(program: &Path, state: &Path) -> Result<Hub> {
        std::fs::create_dir_all(state)?;
        let file = state.join("hub.toml");
        let text = format!(
            "state = {state:?}\n[server]\nhttp = \"127.0.0.1:0\"\nopen_door = true\n[devices]\naccept_all = true\n\
             [modules.dwn]\nport = {PORT}\ninterface = \"127.0.0.1\"\n"
        );
        std::fs::write(&file, text)?;
        let mut command = Command::new(program);
        command.arg("--config").arg(&file).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().ok_or("no output")?).read_line(&mut line)?;
        let http = line
            .strip_prefix("http://")
            .and_then(|l| l.split(' ').next())
            .ok_or("the hub did not start")?
            .parse()?;
        Ok(Hub { child, http, state: state.to_path_buf() })
    }

    /// Resident memory.
    ///
    /// # Errors
    /// It has ended.
    pub fn memory_mib(&self) -> Result<f64> {
        crate::memory_mib(self.child.id())
    }

    /// One request, on a connection of its own.
    ///
    /// # Errors
    /// No answer, or one that is no JSON.
    pub fn ask(&self, method: &str, path: &str, body: &str) -> Result<Value> {
        ask(&mut TcpStream::connect(self.http)?, self.http, method, path, body)
    }

    /// Connects simulated irrigation controllers until there are 1,000 entities; they live as long as the answer.
    ///
    /// # Errors
    /// Their sockets cannot be made.
    pub async fn furnish(&self) -> Result<Vec<Handle>> {
        let nodes = (0..250).map(node).collect::<std::io::Result<Vec<Handle>>>()?;
        loop {
            let status = self.ask("GET", "/api/status", "")?;
            if status["entities"] == 1_000 && status["entities_unavailable"] == 0 {
                return Ok(nodes);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Sends `events` events, and waits until four subscribers have had (or been told to have missed) all of them.
    ///
    /// # Errors
    /// The hub ended a connection.
    pub fn carry(&self, events: u64, per_second: Option<u64>) -> Result<Rate> {
        let (done, reports) = mpsc::channel();
        for _ in 0..SUBSCRIBERS {
            let socket = Socket::connect(self.http, "/ws?patterns=bench")?;
            count(socket, events, per_second.is_some(), read, done.clone());
        }
        drop(done);
        let started = Instant::now();
        // At a given pace one sender does; more would only blur it.
        let senders = if per_second.is_some() { 1 } else { SENDERS };
        let at = self.http;
        let threads: Vec<_> = (0..senders)
            .map(|_| std::thread::spawn(move || send(at, events / senders, per_second, started)))
            .collect();
        let rate = Rate::gather(events, started, &reports)?;
        for thread in threads {
            thread.join().map_err(|_| "a sender failed")??;
        }
        Ok(rate)
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.state);
    }
}

fn read(message: &[u8]) -> Heard {
    match message.starts_with(b"{\"event\":\"bench\"") {
        true => Heard { events: 1, missed: 0 },
        false => Heard { events: 0, missed: number_after(message, b"\"missed\":").unwrap_or(0) },
    }
}

fn send(at: SocketAddr, events: u64, per_second: Option<u64>, started: Instant) -> Result<()> {
    let mut stream = TcpStream::connect(at)?;
    stream.set_nodelay(true)?;
    let batch = if per_second.is_some() { 10 } else { BATCH };
    let mut body = String::new();
    for number in 0..events / batch {
        body.clear();
        body.push('[');
        for n in 0..batch {
            let comma = if n == 0 { "" } else { "," };
            let (n, sent) = (number * batch + n, now_us());
            write!(body, "{comma}{{\"event\":\"bench\",\"n\":{n},\"sent\":{sent},\"value\":21.5}}")?;
        }
        body.push(']');
        ask(&mut stream, at, "POST", "/api/events", &body)?;
        if let Some(rate) = per_second {
            let due = Duration::from_secs_f64(((number + 1) * batch) as f64 / rate as f64);
            std::thread::sleep(due.saturating_sub(started.elapsed()));
        }
    }
    Ok(())
}

/// One request on a connection that stays open.
fn ask(stream: &mut TcpStream, at: SocketAddr, method: &str, path: &str, body: &str) -> Result<Value> {
    let len = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {at}\r\nContent-Type: application/json\r\nContent-Length: {len}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes())?;
    let (mut bytes, mut part) = (Vec::new(), [0; 65_536]);
    loop {
        let len = stream.read(&mut part)?;
        if len == 0 {
            return Err("the hub closed the connection".into());
        }
        bytes.extend_from_slice(part.get(..len).unwrap_or(&[]));
        let text = String::from_utf8_lossy(&bytes);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length =
            head.lines().find_map(|l| l.to_lowercase().strip_prefix("content-length: ").map(str::to_string));
        if body.len() >= length.ok_or("no length")?.parse::<usize>()? {
            return Ok(serde_json::from_str(body)?);
        }
    }
}

fn node(number: u16) -> std::io::Result<Handle> {
    let [high, low] = (number + 1).to_be_bytes();
    let config = Config {
        name: wire::irrigation::DRIVER_NAMES[0].into(),
        id: format!("n{number}"),
        address: Ipv4Addr::new(127, 77, high, low),
        port: PORT,
        interface: Ipv4Addr::LOCALHOST,
        heartbeat: Duration::from_secs(2),
        trust: None,
    };
    spawn(config, Irrigation::new(60_000).0)
}

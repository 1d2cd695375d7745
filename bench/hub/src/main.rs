//! Measures a hub as a program of its own: `hub-bench PATH-TO-HUB`.
//!
//! Start to the first HTTP answer (median of ten), resident memory idle, with 1,000 entities and after a million events, events per
//! second through the API to four WebSocket subscribers with storage on, and the latency at 1,000 events per second.

use futures_util::StreamExt as _;
use hob_node::devices::Irrigation;
use hob_node::{Config, Handle, spawn};
use serde_json::{Value, json};
use std::error::Error;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::mpsc;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Events of one request.
const BATCH: u64 = 500;
const PORT: u16 = 24_343;

struct Hub {
    child: Child,
    http: SocketAddr,
    state: PathBuf,
}

impl Hub {
    fn start(program: &Path, state: &Path) -> Result<Hub> {
        std::fs::create_dir_all(state)?;
        let file = state.join("hub.toml");
        let text = format!(
            "state = {state:?}\n[server]\nhttp = \"127.0.0.1:0\"\nopen_door = true\n[devices]\naccept_all = true\n\
             [modules.dwn]\nport = {PORT}\ninterface = \"127.0.0.1\"\n"
        );
        std::fs::write(&file, text)?;
        let mut child = Command::new(program)
            .arg("--config")
            .arg(&file)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().ok_or("no output")?).read_line(&mut line)?;
        let http = line
            .strip_prefix("http://")
            .and_then(|l| l.split(' ').next())
            .ok_or("the hub did not start")?
            .parse()?;
        Ok(Hub { child, http, state: state.to_path_buf() })
    }

    fn memory_mib(&self) -> Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).ok_or("no VmRSS")?;
        Ok(line.split_whitespace().nth(1).ok_or("no VmRSS")?.parse::<f64>()? / 1024.0)
    }

    fn ask(&self, method: &str, path: &str, body: &str) -> Result<Value> {
        ask(&mut TcpStream::connect(self.http)?, self.http, method, path, body)
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.state);
    }
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

fn now_us() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_micros() as u64)
}

fn main() -> Result<()> {
    let program = PathBuf::from(std::env::args().nth(1).ok_or("which hub? hub-bench PATH-TO-HUB")?);
    let scratch = std::env::temp_dir().join(format!("hub-bench-{}", std::process::id()));
    let maximum = rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum;
    rustix::process::setrlimit(
        rustix::process::Resource::Nofile,
        rustix::process::Rlimit { current: maximum, maximum },
    )?;
    println!("| measure | hub |\n|---|---|");
    let mut starts = Vec::new();
    for round in 0..10 {
        let started = Instant::now();
        let hub = Hub::start(&program, &scratch.join(round.to_string()))?;
        hub.ask("GET", "/api/health", "")?;
        starts.push(started.elapsed());
    }
    starts.sort();
    println!(
        "| start to first HTTP answer, median of 10 | {:.1} ms |",
        starts.get(5).map_or(0.0, Duration::as_secs_f64) * 1e3
    );
    let hub = Hub::start(&program, &scratch.join("main"))?;
    std::thread::sleep(Duration::from_secs(2));
    println!("| memory idle | {:.1} MiB |", hub.memory_mib()?);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let nodes = (0..250).map(node).collect::<std::io::Result<Vec<Handle>>>()?;
        loop {
            let status = hub.ask("GET", "/api/status", "")?;
            if status["entities"] == 1_000 && status["entities_unavailable"] == 0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        println!("| memory with 1,000 entities (250 nodes connected) | {:.1} MiB |", hub.memory_mib()?);
        drop(nodes);
        let rate = throughput(&hub, 1_000_000, None).await?;
        println!(
            "| events per second, API to 4 WebSocket subscribers, stored | {:.0} (gaps told: {}) |",
            rate.per_second, rate.missed
        );
        println!("| memory after a million events | {:.1} MiB |", hub.memory_mib()?);
        let calm = throughput(&hub, 10_000, Some(1_000)).await?;
        println!("| p99 latency at 1,000 events per second | {:.2} ms |", calm.p99_ms);
        Ok(())
    })
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

struct Rate {
    per_second: f64,
    p99_ms: f64,
    /// Events that subscribers were told they missed, all four together.
    missed: u64,
}

/// Sends `count` events and waits until four subscribers have had (or been told to have missed) all of them.
async fn throughput(hub: &Hub, count: u64, per_second: Option<u64>) -> Result<Rate> {
    let (done, mut all) = mpsc::channel(4);
    for _ in 0..4 {
        let url = format!("ws://{}/ws?patterns=bench", hub.http);
        let (mut socket, _) = tokio_tungstenite::connect_async(url).await?;
        let done = done.clone();
        tokio::spawn(async move {
            let (mut heard, mut missed, mut late) = (0, 0, Vec::new());
            while heard + missed < count {
                let Some(Ok(message)) = socket.next().await else { break };
                let Ok(event) = serde_json::from_slice::<Value>(&message.into_data()) else { continue };
                match event["missed"].as_u64() {
                    Some(gap) => missed += gap,
                    None => heard += 1,
                }
                if let Some(sent) = event["sent"].as_u64().filter(|_| per_second.is_some()) {
                    late.push(now_us().saturating_sub(sent));
                }
            }
            // The receiver waits for all four.
            let _ = done.send((missed, late)).await;
        });
    }
    let (at, started) = (hub.http, Instant::now());
    let sender = std::thread::spawn(move || -> Result<()> {
        let mut stream = TcpStream::connect(at)?;
        stream.set_nodelay(true)?;
        let batch = if per_second.is_some() { 10 } else { BATCH };
        for number in 0..count / batch {
            let events: Vec<Value> = (0..batch)
                .map(|n| json!({"event": "bench", "n": number * batch + n, "sent": now_us(), "value": 21.5}))
                .collect();
            ask(&mut stream, at, "POST", "/api/events", &json!(events).to_string())?;
            if let Some(rate) = per_second {
                let due = Duration::from_secs_f64(((number + 1) * batch) as f64 / rate as f64);
                std::thread::sleep(due.saturating_sub(started.elapsed()));
            }
        }
        Ok(())
    });
    let (mut missed, mut late) = (0, Vec::new());
    for _ in 0..4 {
        let (gap, times) = all.recv().await.ok_or("a subscriber ended")?;
        missed += gap;
        late.extend(times);
    }
    let took = started.elapsed();
    sender.join().map_err(|_| "the sender failed")??;
    late.sort_unstable();
    let p99_ms = late.get(late.len() * 99 / 100).map_or(0.0, |us| *us as f64 / 1000.0);
    Ok(Rate { per_second: count as f64 / took.as_secs_f64(), p99_ms, missed })
}

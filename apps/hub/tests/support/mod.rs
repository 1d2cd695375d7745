//! What the tests of the whole hub share: a hub in a scratch folder, simulated nodes beside it, a plain HTTP client.
#![allow(dead_code, reason = "each test file uses a part")]

use hob_node::devices::{Device, Irrigation, Relays};
use hob_node::{Config as Node, Handle, Trust, spawn};
use house::Clock;
use hub::{Config, Running};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Nodes of tests live faster than real ones.
pub const BEAT: Duration = Duration::from_millis(100);

/// A folder that goes with the test.
pub struct Scratch(pub PathBuf);

impl Scratch {
    pub fn new(name: &str) -> Scratch {
        // In memory where that is possible: a kill loses nothing there either, and other work on the disk is no noise.
        let shared = std::path::Path::new("/dev/shm");
        let base = if shared.is_dir() { shared.to_path_buf() } else { std::env::temp_dir() };
        let folder = base.join(format!("hub-test-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        Scratch(folder)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A UDP port that nobody uses.
pub fn free_port() -> u16 {
    UdpSocket::bind("0.0.0.0:0").unwrap().local_addr().unwrap().port()
}

/// A configuration in a scratch folder: free ports, everything accepted, everyone an administrator.
pub fn config(scratch: &Scratch) -> Config {
    let mut config = Config { state: scratch.0.clone(), ..Config::default() };
    config.server.http = SocketAddr::from(([127, 0, 0, 1], 0));
    config.server.open_door = true;
    config.devices.accept_all = true;
    config.modules.dwn.port = free_port();
    config.modules.dwn.interface = Ipv4Addr::LOCALHOST;
    config
}

pub async fn start(config: &Config) -> Running {
    hub::start(config, Clock::default()).await.unwrap()
}

/// The settings of one v1 node; `number` makes its address.
pub fn node(config: &Config, number: u16, name: &str, id: &str) -> Node {
    let [high, low] = number.to_be_bytes();
    Node {
        name: name.into(),
        id: id.into(),
        address: Ipv4Addr::new(127, 77, high, low),
        port: config.modules.dwn.port,
        interface: Ipv4Addr::LOCALHOST,
        heartbeat: BEAT,
        trust: None,
    }
}

pub fn spawn_device(node: Node, device: impl Device) -> Handle {
    spawn(node, device).unwrap()
}

/// An irrigation controller with a short limit.
pub fn irrigation(config: &Config, number: u16, id: &str, trust: Option<Trust>) -> (Handle, Relays) {
    let (device, relays) = Irrigation::new(8_000);
    let node = Node { trust, ..node(config, number, wire::irrigation::DRIVER_NAMES[0], id) };
    (spawn(node, device).unwrap(), relays)
}

/// Waits for something to become true.
pub async fn until(what: &str, within: Duration, mut is_so: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !is_so().await {
        assert!(start.elapsed() < within, "in {within:?} it did not happen that {what}");
        tokio::time::sleep(Duration::from_millis(15)).await;
    }
}

pub const SOON: Duration = Duration::from_secs(10);
/// For what takes as long as the machine is slow: hashing a pass phrase, writing a store.
pub const AT_LAST: Duration = Duration::from_secs(120);

/// An answer: status, head and body.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }
}

/// Sends bytes and reads until the server closes.
pub async fn raw(at: SocketAddr, request: &[u8]) -> std::io::Result<Answer> {
    let mut stream = TcpStream::connect(at).await?;
    stream.write_all(request).await?;
    let mut bytes = Vec::new();
    // A server that has said enough may reset what was still being sent.
    let _ = stream.read_to_end(&mut bytes).await;
    let split = bytes.windows(4).position(|w| w == b"\r\n\r\n").ok_or(std::io::ErrorKind::UnexpectedEof)?;
    let head = String::from_utf8_lossy(&bytes[..split]).into_owned();
    let status =
        head.split(' ').nth(1).and_then(|s| s.parse().ok()).ok_or(std::io::ErrorKind::InvalidData)?;
    Ok(Answer { status, head, body: bytes[split + 4..].to_vec() })
}

/// One request with further header lines.
pub async fn request(
    at: SocketAddr,
    method: &str,
    path: &str,
    headers: &str,
    body: Option<Value>,
) -> std::io::Result<Answer> {
    let body = body.map(|b| b.to_string()).unwrap_or_default();
    let kind = if body.is_empty() { "" } else { "Content-Type: application/json\r\n" };
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n{kind}{headers}Content-Length: {}\r\n\r\n",
        body.len()
    );
    raw(at, format!("{head}{body}").as_bytes()).await
}

pub async fn get(at: SocketAddr, path: &str) -> Answer {
    request(at, "GET", path, "", None).await.unwrap()
}

pub async fn send(at: SocketAddr, method: &str, path: &str, body: Value) -> Answer {
    request(at, method, path, "", Some(body)).await.unwrap()
}

/// A command to an entity.
pub async fn command(at: SocketAddr, entity: &str, body: Value) -> Answer {
    send(at, "POST", &format!("/api/entities/{entity}/command"), body).await
}

pub async fn open_valve(at: SocketAddr, entity: &str, seconds: u32) -> Answer {
    command(at, entity, json!({"command": "open", "seconds": seconds})).await
}

/// The state of an entity, null when there is none.
pub async fn state(at: SocketAddr, entity: &str) -> Value {
    get(at, &format!("/api/entities/{entity}")).await.json()["state"].clone()
}

/// Waits until an entity's state is known.
pub async fn known(at: SocketAddr, entity: &str) {
    until(&format!("{entity} is known"), SOON, async || {
        let state = state(at, entity).await;
        !state.is_null() && state != "unknown" && state != "unavailable"
    })
    .await;
}

/// A configuration that lets nobody in who has not shown who they are.
pub fn closed(scratch: &Scratch) -> Config {
    let mut config = config(scratch);
    config.server.open_door = false;
    config
}

/// A request with a header that says who it is.
pub async fn as_user(
    at: SocketAddr,
    credential: &str,
    method: &str,
    path: &str,
    body: Option<Value>,
) -> Answer {
    request(at, method, path, &format!("{credential}\r\n"), body).await.unwrap()
}

pub async fn log_in(at: SocketAddr, user: &str, password: &str) -> Answer {
    send(at, "POST", "/api/login", json!({"user": user, "password": password})).await
}

/// The session that a log-in has opened, as a header.
pub fn cookie(answer: &Answer) -> String {
    let set = answer.header("set-cookie").unwrap();
    assert!(set.contains("HttpOnly") && set.contains("SameSite=Strict"), "{set}");
    format!("Cookie: {}", set.split(';').next().unwrap())
}

/// A hub with an administrator whose session this is.
pub async fn with_admin(config: &Config) -> (hub::Running, String) {
    let hub = start(config).await;
    let code = hub.setup_code.clone().unwrap();
    let setup = json!({"code": code, "user": "anna", "password": "open sesame"});
    assert_eq!(send(hub.http, "POST", "/api/setup", setup).await.status, 201);
    let session = cookie(&log_in(hub.http, "anna", "open sesame").await);
    (hub, session)
}

/// A seeded generator (SplitMix64).
pub struct Random(pub u64);
impl Random {
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit
    }
}

/// A hub as a process of its own; its state is in the folder `state` of the scratch.
pub struct Process {
    child: Child,
    said: BufReader<ChildStdout>,
    pub http: SocketAddr,
}

impl Process {
    /// Writes a configuration and starts a hub with it.
    pub fn start(scratch: &Scratch, port: u16, open_door: bool) -> Process {
        let file = Process::configure(scratch, port, open_door);
        let mut command = Command::new(env!("CARGO_BIN_EXE_hub"));
        command.arg("--config").arg(&file).stderr(Stdio::null());
        Process::of(command)
    }

    /// A hub that this command starts.
    pub fn of(mut command: Command) -> Process {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        let http = Process::address(&mut said);
        Process { child, said, http }
    }

    pub fn configure(scratch: &Scratch, port: u16, open_door: bool) -> PathBuf {
        let file = scratch.0.join("hub.toml");
        let text = format!(
            "state = {:?}\n[server]\nhttp = \"127.0.0.1:0\"\nopen_door = {open_door}\n[devices]\naccept_all = true\n\
             [modules.dwn]\nport = {port}\ninterface = \"127.0.0.1\"\n",
            scratch.0.join("state")
        );
        std::fs::write(&file, text).unwrap();
        file
    }

    fn address(said: &mut BufReader<ChildStdout>) -> SocketAddr {
        let mut line = String::new();
        while said.read_line(&mut line).unwrap() > 0 {
            let http =
                line.strip_prefix("http://").and_then(|l| l.split(' ').next()).and_then(|l| l.parse().ok());
            if let Some(http) = http {
                return http;
            }
            line.clear();
        }
        panic!("the hub has ended");
    }

    /// Waits until it says that it has started anew.
    pub fn started_anew(&mut self) {
        self.http = Process::address(&mut self.said);
    }

    /// Its resident memory.
    pub fn memory_mib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
    }

    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have been killed before.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

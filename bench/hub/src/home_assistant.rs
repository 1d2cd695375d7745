//! Home Assistant beside the hub: the smallest configuration that carries and stores events, and the same measures.

use crate::Result;
use crate::listen::{Heard, Rate, SUBSCRIBERS, Socket, count, now_us};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

const PORT: u16 = 24_344;
/// Its own pages in a browser are its usual client.
const CLIENT: &str = "http://127.0.0.1:24344/";
/// The first start fetches what its parts need.
const FIRST_START: Duration = Duration::from_secs(600);
/// Events that wait for their answer at most: beyond some thousand Home Assistant closes the connection.
const WINDOW: u64 = 200;

/// A running Home Assistant; dropping it ends it.
pub struct HomeAssistant {
    child: Child,
}

/// Where the program and its settings are.
pub struct Installed {
    hass: PathBuf,
    settings: PathBuf,
}

impl Installed {
    /// What it calls itself: its version.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn version(&self) -> Result<String> {
        let output = Command::new(&self.hass).arg("--version").output()?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_string())
    }

    /// Makes settings in an empty folder: HTTP, WebSocket, the recorder, one user, 1,000 entities if `is_full`.
    ///
    /// # Errors
    /// There is no Home Assistant in this virtual environment.
    pub fn new(environment: &Path, settings: &Path, is_full: bool) -> Result<Installed> {
        let hass = environment.join("bin/hass");
        if !hass.is_file() {
            return Err(format!("{} is missing", hass.display()).into());
        }
        std::fs::create_dir_all(settings)?;
        let mut text = format!(
            "homeassistant:\n  name: Bench\n  unit_system: metric\n  time_zone: UTC\n\
             http:\n  server_host: 127.0.0.1\n  server_port: {PORT}\nauth:\napi:\nwebsocket_api:\nrecorder:\n"
        );
        if is_full {
            text.push_str("input_boolean:\n");
            (0..1_000).for_each(|n| text.push_str(&format!("  switch_{n}:\n")));
        }
        std::fs::write(settings.join("configuration.yaml"), text)?;
        let made = Command::new(&hass)
            .args(["--script", "auth", "--config"])
            .arg(settings)
            .args(["add", "bench", "bench"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()?;
        if !made.success() {
            return Err("its user could not be made".into());
        }
        Ok(Installed { hass, settings: settings.to_path_buf() })
    }

    /// Starts it and waits for the first HTTP answer.
    ///
    /// # Errors
    /// It does not come up.
    pub fn start(&self) -> Result<HomeAssistant> {
        let log = std::fs::File::create(self.settings.join("output.log"))?;
        let mut command = Command::new(&self.hass);
        command.arg("--config").arg(&self.settings).stdout(Stdio::null()).stderr(log);
        let mut running = HomeAssistant { child: command.spawn()? };
        let started = Instant::now();
        while request("GET", "/api/", "", "").is_err() {
            if started.elapsed() > FIRST_START || running.child.try_wait()?.is_some() {
                return Err("Home Assistant did not start".into());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(running)
    }
}

impl HomeAssistant {
    /// Resident memory.
    ///
    /// # Errors
    /// It has ended.
    pub fn memory_mib(&self) -> Result<f64> {
        crate::memory_mib(self.child.id())
    }

    /// Sends `events` events over one WebSocket and waits until four subscribers have had all of them.
    ///
    /// # Errors
    /// It ended a connection.
    pub fn carry(&self, events: u64, per_second: Option<u64>) -> Result<Rate> {
        let token = log_in()?;
        let (done, reports) = mpsc::channel();
        for _ in 0..SUBSCRIBERS {
            let mut socket = connect(&token)?;
            let subscribe = json!({"id": 1, "type": "subscribe_events", "event_type": "bench"});
            socket.say(&subscribe.to_string())?;
            socket.hear(|_| ())?;
            count(socket, events, per_second.is_some(), read, done.clone());
        }
        drop(done);
        let mut sender = connect(&token)?;
        let started = Instant::now();
        let mut answered = 0;
        for number in 1..=events {
            let data = json!({"n": number, "sent": now_us(), "value": 21.5});
            let fire = json!({"id": number, "type": "fire_event", "event_type": "bench", "event_data": data});
            sender.say(&fire.to_string())?;
            while number - answered >= WINDOW {
                sender.hear(|_| ())?;
                answered += 1;
            }
            if let Some(rate) = per_second.filter(|_| number.is_multiple_of(10)) {
                let due = Duration::from_secs_f64(number as f64 / rate as f64);
                std::thread::sleep(due.saturating_sub(started.elapsed()));
            }
        }
        Rate::gather(events, started, &reports)
    }
}

impl Drop for HomeAssistant {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read(message: &[u8]) -> Heard {
    let is_event = message.windows(14).any(|w| w == b"\"type\":\"event\"");
    Heard { events: u64::from(is_event), missed: 0 }
}

fn connect(token: &str) -> Result<Socket> {
    let mut socket = Socket::connect(SocketAddr::from(([127, 0, 0, 1], PORT)), "/api/websocket")?;
    socket.hear(|_| ())?;
    socket.say(&json!({"type": "auth", "access_token": token}).to_string())?;
    let answer: Value = socket.hear(|text| serde_json::from_slice(text))??;
    match answer["type"] == "auth_ok" {
        true => Ok(socket),
        false => Err(format!("Home Assistant says {answer}").into()),
    }
}

/// Goes through its log-in as its page does; gives an access token.
fn log_in() -> Result<String> {
    let kind = "application/json";
    let text = |value: &Value, name: &str| -> Result<String> {
        Ok(value[name].as_str().ok_or_else(|| format!("no {name} in {value}"))?.to_string())
    };
    let start =
        json!({"client_id": CLIENT, "redirect_uri": CLIENT, "handler": ["homeassistant", Value::Null]});
    let flow = request("POST", "/auth/login_flow", kind, &start.to_string())?;
    let flow = format!("/auth/login_flow/{}", text(&flow, "flow_id")?);
    let who = json!({"client_id": CLIENT, "username": "bench", "password": "bench"});
    let code = text(&request("POST", &flow, kind, &who.to_string())?, "result")?;
    let grant = format!("grant_type=authorization_code&code={code}&client_id={CLIENT}");
    text(&request("POST", "/auth/token", "application/x-www-form-urlencoded", &grant)?, "access_token")
}

/// One request; an answer that is no JSON is null.
fn request(method: &str, path: &str, kind: &str, body: &str) -> Result<Value> {
    let mut stream = TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], PORT)))?;
    let len = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{PORT}\r\nConnection: close\r\nContent-Type: {kind}\r\n\
         Content-Length: {len}\r\n\r\n{body}"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (_, body) = answer.split_once("\r\n\r\n").ok_or("no answer")?;
    Ok(serde_json::from_str(body).unwrap_or(Value::Null))
}

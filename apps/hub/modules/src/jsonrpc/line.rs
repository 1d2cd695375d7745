//! The line to one node: requests and what the node says by itself.
//!
//! A node that the hub connects to is asked over HTTP (its firmware ignores what comes over the WebSocket); one that has dialled
//! in is asked over the encrypted connection that it made.

use crate::fetch;
use futures_util::StreamExt as _;
use serde_json::Value;
use std::collections::VecDeque;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::{HeaderValue, header};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use wire::dial::{Call, Heard};
use wire::jsonrpc::{ANSWER_BYTES, Request, SUBPROTOCOL, Said};

/// How long connecting may take, and an answer.
const ANSWER: Duration = Duration::from_secs(10);

/// A connection that a node has made and proved.
pub(super) struct Dialled {
    pub stream: TcpStream,
    pub call: Call,
    /// What the node has said already.
    pub heard: VecDeque<Heard>,
}

impl Dialled {
    async fn say(&mut self, text: &str) -> Result<(), String> {
        self.call.say(text).map_err(|refused| refused.to_string())?;
        let output = self.call.take_output();
        self.stream.write_all(&output).await.map_err(|e| format!("connection lost: {e}"))
    }

    /// The next text. Nothing is lost when the wait for it is given up.
    async fn read(&mut self) -> Result<String, String> {
        let mut segment = [0; 2048];
        loop {
            if let Some(Heard::Text(text)) = self.heard.pop_front() {
                return Ok(text);
            }
            let len = self.stream.read(&mut segment).await.map_err(|e| format!("connection lost: {e}"))?;
            if len == 0 {
                return Err("it closed the connection".into());
            }
            let heard = self.call.push(segment.get(..len).unwrap_or(&[]));
            self.heard.extend(heard.map_err(|refused| format!("it sent nonsense: {refused}"))?);
        }
    }
}

/// How a node is reached.
enum Way {
    /// Requests go over HTTP to this host, with this token; news come over the WebSocket.
    Called {
        socket: Box<WebSocketStream<TcpStream>>,
        host: String,
        token: Option<String>,
    },
    Dialled(Dialled),
}

/// A connection to a node.
pub(super) struct Line {
    way: Way,
    number: u64,
    /// A change was told while an answer was waited for.
    has_news: bool,
}

/// Bounds what a node can make the hub keep.
fn limits() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(4 * 1024)
        .write_buffer_size(0)
        .max_write_buffer_size(64 * 1024)
        .max_message_size(Some(ANSWER_BYTES))
        .max_frame_size(Some(ANSWER_BYTES))
}

impl Line {
    /// A node that has dialled in.
    pub fn dialled(dialled: Dialled) -> Line {
        Line { way: Way::Dialled(dialled), number: 0, has_news: false }
    }

    /// Connects to a node at `host` or `host:port` (80).
    ///
    /// # Errors
    /// In words.
    pub async fn connect(host: &str, token: Option<&str>) -> Result<Line, String> {
        let open = async {
            let stream = TcpStream::connect(fetch::with_port(host))
                .await
                .map_err(|e| format!("no connection: {e}"))?;
            stream.set_nodelay(true).map_err(|e| e.to_string())?;
            let mut request = format!("ws://{host}/ws").into_client_request().map_err(|e| e.to_string())?;
            let headers = request.headers_mut();
            headers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
            if let Some(token) = token {
                let value =
                    HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| "the token is no text")?;
                headers.insert(header::AUTHORIZATION, value);
            }
            let opened = tokio_tungstenite::client_async_with_config(request, stream, Some(limits())).await;
            opened.map(|(socket, _)| socket).map_err(|e| format!("no WebSocket: {e}"))
        };
        let socket =
            timeout(ANSWER, open).await.map_err(|_| "it takes too long to connect".to_string())??;
        let way = Way::Called {
            socket: Box::new(socket),
            host: host.to_string(),
            token: token.map(str::to_string),
        };
        Ok(Line { way, number: 0, has_news: false })
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// The outer: the line is of no more use. The inner: the node refuses.
    pub async fn call(&mut self, method: &str, params: Value) -> Result<Result<Value, String>, String> {
        self.number += 1;
        let request = Request { id: self.number.to_string(), method: method.into(), params };
        let text = match &mut self.way {
            Way::Called { host, token, .. } => {
                fetch::post(host, "/jsonrpc", &request.encode(), token.as_deref()).await?
            }
            Way::Dialled(dialled) => {
                let latest = Instant::now() + ANSWER;
                let late = |_| "it does not answer".to_string();
                timeout_at(latest, dialled.say(&request.encode())).await.map_err(late)??;
                loop {
                    let text = timeout_at(latest, dialled.read()).await.map_err(late)??;
                    match Said::decode(&text) {
                        Some(Said::Pin { .. }) => self.has_news = true,
                        Some(Said::Answer { id, .. }) if id == request.id => break text,
                        // The answer to an earlier request, which came too late.
                        Some(Said::Answer { .. }) => {}
                        None => return Err("it sent nonsense".into()),
                    }
                }
            }
        };
        match Said::decode(&text) {
            Some(Said::Answer { result, .. }) => Ok(result),
            _ => Err("it sent nonsense".into()),
        }
    }

    /// Waits until the node tells a change.
    ///
    /// # Errors
    /// The connection is lost, or what came makes no sense.
    pub async fn news(&mut self) -> Result<(), String> {
        if std::mem::take(&mut self.has_news) {
            return Ok(());
        }
        loop {
            match Said::decode(&self.read().await?) {
                Some(Said::Pin { .. }) => return Ok(()),
                Some(Said::Answer { .. }) => {}
                None => return Err("it sent nonsense".into()),
            }
        }
    }

    /// The next text; pings are answered on the way.
    async fn read(&mut self) -> Result<String, String> {
        let socket = match &mut self.way {
            Way::Called { socket, .. } => socket,
            Way::Dialled(dialled) => return dialled.read().await,
        };
        loop {
            match socket.next().await {
                Some(Ok(Message::Text(text))) => return Ok(text.to_string()),
                Some(Ok(Message::Close(_))) | None => return Err("it closed the connection".into()),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(format!("connection lost: {error}")),
            }
        }
    }
}

//! The line to one node: requests and what the node says by itself.
//!
//! A node that the hub connects to is asked over HTTP (its firmware ignores what comes over the WebSocket); one that has dialled
//! in is asked over the WebSocket that it opened.

use crate::fetch;
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::Value;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::{HeaderValue, header};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};
use wire::jsonrpc::{ANSWER_BYTES, Request, SUBPROTOCOL, Said};

/// How long connecting may take, and an answer.
const ANSWER: Duration = Duration::from_secs(10);

/// A connection to a node.
pub(super) struct Line {
    socket: WebSocketStream<TcpStream>,
    /// Where requests go over HTTP, and the token to show there; none when they go over the WebSocket.
    http: Option<(String, Option<String>)>,
    number: u64,
    /// A change was told while an answer was waited for.
    has_news: bool,
}

/// Bounds what a node can make the hub keep.
pub(super) fn limits() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(4 * 1024)
        .write_buffer_size(0)
        .max_write_buffer_size(64 * 1024)
        .max_message_size(Some(ANSWER_BYTES))
        .max_frame_size(Some(ANSWER_BYTES))
}

impl Line {
    /// A node that has dialled in.
    pub fn dialled(socket: WebSocketStream<TcpStream>) -> Line {
        Line { socket, http: None, number: 0, has_news: false }
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
        let http = Some((host.to_string(), token.map(str::to_string)));
        Ok(Line { socket, http, number: 0, has_news: false })
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// The outer: the line is of no more use. The inner: the node refuses.
    pub async fn call(&mut self, method: &str, params: Value) -> Result<Result<Value, String>, String> {
        self.number += 1;
        let request = Request { id: self.number.to_string(), method: method.into(), params };
        let text = match &self.http {
            Some((host, token)) => fetch::post(host, "/jsonrpc", &request.encode(), token.as_deref()).await?,
            None => {
                let latest = Instant::now() + ANSWER;
                let late = |_| "it does not answer".to_string();
                let sent = self.socket.send(Message::text(request.encode()));
                timeout_at(latest, sent).await.map_err(late)?.map_err(|e| format!("connection lost: {e}"))?;
                loop {
                    let text = timeout_at(latest, self.read()).await.map_err(late)??;
                    match Said::decode(&text) {
                        Some(Said::Pin { .. }) => self.has_news = true,
                        Some(Said::Answer { id, .. }) if id == request.id => break text.to_string(),
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
    async fn read(&mut self) -> Result<Utf8Bytes, String> {
        loop {
            match self.socket.next().await {
                Some(Ok(Message::Text(text))) => return Ok(text),
                Some(Ok(Message::Close(_))) | None => return Err("it closed the connection".into()),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(format!("connection lost: {error}")),
            }
        }
    }
}

//! The bus as a stream: `/ws` (WebSocket, RFC 6455 by axum) and `/events` (server-sent events).
//!
//! A client subscribes by patterns (`?patterns=state/*,dwn`), over WebSocket also later by
//! `{"subscribe": ["state/*"]}`. It gets events as JSON objects. One that reads too slowly gets
//! `{"event":"resync","missed":n}` in place of what it missed and reads the whole state anew; one that takes no bytes for
//! [`crate::Limits::write`] is closed. So is one whose token or session ends, or whose rights change: it comes again with what
//! it then has.

use crate::door::Credentials;
use crate::hosts::Hosts;
use crate::http::{admit, query, refuse};
use crate::listen::{Peer, Server};
use axum::body::Body;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade, close_code};
use axum::extract::{FromRequestParts, Request};
use axum::http::{HeaderValue, header};
use axum::response::Response;
use futures_util::SinkExt as _;
use house::{Delivery, Filter, Principal, Problem, Subscription};
use serde_json::{Value, json};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

/// Events that wait for one client at most.
const QUEUE: usize = 8_192;
/// Events that are written before the socket is flushed.
const BATCH: usize = 512;
/// The longest message of a client.
const MESSAGE_BYTES: usize = 64 * 1024;
/// A quiet connection is asked whether it lives after this.
const PING_EVERY: Duration = Duration::from_secs(30);
/// Patterns of one client at most.
const PATTERNS: usize = 64;

/// Opens a WebSocket.
pub(crate) async fn websocket(server: Arc<Server>, peer: Peer, request: Request) -> Response {
    let (mut head, _) = request.into_parts();
    let pass = match enter(&server, peer, &head.headers) {
        Ok(pass) => pass,
        Err(problem) => return refuse(&problem),
    };
    let patterns = patterns(query(&head.uri).get("patterns").map_or("", String::as_str));
    match WebSocketUpgrade::from_request_parts(&mut head, &()).await {
        // Without care each client costs a read buffer of 128 KiB.
        Ok(upgrade) => upgrade
            .read_buffer_size(4 * 1024)
            .write_buffer_size(32 * 1024)
            .max_write_buffer_size(1 << 20)
            .max_message_size(MESSAGE_BYTES)
            .max_frame_size(MESSAGE_BYTES)
            .on_upgrade(move |socket| Client { server, who: pass.who.clone(), socket }.run(pass, patterns)),
        Err(rejection) => {
            let mut response = refuse(&Problem::new(rejection.status().as_u16(), rejection.body_text()));
            if rejection.status().as_u16() == 426 {
                response.headers_mut().insert(header::UPGRADE, HeaderValue::from_static("websocket"));
                response.headers_mut().insert("sec-websocket-version", HeaderValue::from_static("13"));
            }
            response
        }
    }
}

/// What a client was let in with, and whether it still holds.
struct Pass {
    who: Principal,
    /// None over the local socket, whose owner is never turned away.
    credentials: Option<Credentials>,
    changes: Option<watch::Receiver<u64>>,
}

impl Pass {
    /// Waits until the pass is good no more, or for something else.
    async fn over(&mut self, server: &Server) {
        let Some(credentials) = &self.credentials else { return std::future::pending().await };
        loop {
            let is_good = server.doorkeeper.still(credentials).as_ref() == Some(&self.who);
            if !is_good {
                return;
            }
            // The clock may be set: who has a pass that ends is asked for it again now and then.
            let left_ms = self.who.until_ms.map(|until_ms| until_ms - server.house.clock().now_ms());
            let left = Duration::from_millis(left_ms.unwrap_or(i64::MAX).max(1) as u64).min(PING_EVERY);
            let changed = async {
                match &mut self.changes {
                    // The doorkeeper lives as long as the server.
                    Some(changes) => changes.changed().await.unwrap_or(()),
                    None => std::future::pending().await,
                }
            };
            // Either is a reason to look again.
            let _ = timeout(left, changed).await;
        }
    }
}

fn enter(server: &Server, peer: Peer, headers: &axum::http::HeaderMap) -> Result<Pass, Problem> {
    // Before the pass is looked at: what changes from here on is noticed.
    let changes = server.doorkeeper.changes();
    let who = admit(server, peer, headers)?.ok_or_else(|| Problem::new(401, "log in first"))?;
    if !Hosts::is_same_origin(headers) {
        return Err(Problem::forbidden("a page from elsewhere must not listen here"));
    }
    let credentials = peer.address.map(|_| Credentials::read(headers, peer.address, peer.is_secure));
    Ok(Pass { who, credentials, changes })
}

fn patterns(text: &str) -> Vec<String> {
    text.split(',').filter(|p| !p.is_empty()).take(PATTERNS).map(str::to_string).collect()
}

struct Client {
    server: Arc<Server>,
    who: Principal,
    socket: WebSocket,
}

impl Client {
    fn subscribe(&self, patterns: Vec<String>) -> Subscription {
        self.server.house.bus().subscribe(Filter { patterns, who: self.who.clone() }, QUEUE)
    }

    async fn run(mut self, mut pass: Pass, patterns: Vec<String>) {
        let server = self.server.clone();
        let over = pass.over(&server);
        let mut over = pin!(over);
        let mut events = self.subscribe(patterns);
        let mut heard = Instant::now();
        let mut ping_at = heard + PING_EVERY;
        loop {
            let went_well = tokio::select! {
                received = self.socket.recv() => match received {
                    Some(Ok(message)) => {
                        heard = Instant::now();
                        self.received(message, &mut events).await
                    }
                    // A frame against the rules: the library has answered as RFC 6455 wants, by a close where it must.
                    Some(Err(error)) => {
                        self.close(close_code_of(&error)).await;
                        false
                    }
                    None => false,
                },
                batch = events.next_batch(BATCH) => self.deliver(batch).await,
                // The client comes again; it finds the hub as it is then.
                () = server.closed() => {
                    self.close(close_code::RESTART).await;
                    false
                }
                () = &mut over => {
                    self.close(close_code::POLICY).await;
                    false
                }
                () = tokio::time::sleep_until(ping_at) => {
                    ping_at += PING_EVERY;
                    if heard.elapsed() > PING_EVERY * 2 {
                        self.close(close_code::AWAY).await;
                        false
                    } else {
                        self.send(Message::Ping(Default::default())).await
                    }
                }
            };
            if !went_well {
                return;
            }
        }
    }

    /// Writes what waited, many events to one flush.
    async fn deliver(&mut self, batch: Vec<Delivery>) -> bool {
        let socket = &mut self.socket;
        let write = async {
            for delivery in batch {
                let text = match delivery {
                    Delivery::Event(event) => Utf8Bytes::try_from(event.json.shared()).unwrap_or_default(),
                    Delivery::Resync { missed } => {
                        json!({"event": "resync", "missed": missed}).to_string().into()
                    }
                };
                socket.feed(Message::Text(text)).await?;
            }
            socket.flush().await
        };
        matches!(timeout(self.server.limits.write, write).await, Ok(Ok(())))
    }

    async fn send(&mut self, message: Message) -> bool {
        matches!(timeout(self.server.limits.write, self.socket.send(message)).await, Ok(Ok(())))
    }

    async fn close(&mut self, code: u16) {
        let _ = self.send(Message::Close(Some(CloseFrame { code, reason: "".into() }))).await;
    }

    async fn received(&mut self, message: Message, events: &mut Subscription) -> bool {
        let text = match message {
            Message::Text(text) => text,
            // Pings and closes are answered by the library.
            Message::Ping(_) | Message::Pong(_) | Message::Close(_) => return true,
            Message::Binary(_) => {
                self.close(close_code::UNSUPPORTED).await;
                return false;
            }
        };
        let asked: Result<Value, _> = serde_json::from_str(&text);
        let wanted = asked.ok().and_then(|asked| {
            let list = asked.get("subscribe")?.as_array()?.clone();
            (list.len() <= PATTERNS).then_some(())?;
            list.into_iter().map(|p| p.as_str().map(str::to_string)).collect::<Option<Vec<_>>>()
        });
        let answer = match wanted {
            Some(patterns) => {
                let answer = json!({"event": "subscribed", "patterns": patterns, "seq": self.server.house.bus().seq()});
                *events = self.subscribe(patterns);
                answer
            }
            None => Problem::bad("expected {\"subscribe\": [patterns]}").to_json(),
        };
        self.send(Message::Text(answer.to_string().into())).await
    }
}

/// The close code that RFC 6455 section 7.4.1 has for what went wrong.
fn close_code_of(error: &axum::Error) -> u16 {
    let text = error.to_string().to_lowercase();
    if text.contains("utf-8") {
        close_code::INVALID
    } else if text.contains("control") {
        close_code::PROTOCOL
    } else if text.contains("too long")
        || text.contains("too big")
        || text.contains("capacity")
        || text.contains("size")
    {
        close_code::SIZE
    } else {
        close_code::PROTOCOL
    }
}

/// The state of a stream of server-sent events.
struct Listener {
    server: Arc<Server>,
    pass: Pass,
    events: Subscription,
    is_greeted: bool,
}

/// Opens a stream of server-sent events.
pub(crate) async fn server_sent(server: Arc<Server>, peer: Peer, request: Request) -> Response {
    let pass = match enter(&server, peer, request.headers()) {
        Ok(pass) => pass,
        Err(problem) => return refuse(&problem),
    };
    if request.method() != axum::http::Method::GET {
        return refuse(&Problem::new(405, "method not allowed").with("allow", "GET"));
    }
    let patterns = patterns(query(request.uri()).get("patterns").map_or("", String::as_str));
    let events = server.house.bus().subscribe(Filter { patterns, who: pass.who.clone() }, QUEUE);
    let listener = Listener { server, pass, events, is_greeted: false };
    let stream = futures_util::stream::unfold(listener, |mut listener| async move {
        if !std::mem::replace(&mut listener.is_greeted, true) {
            let greeting = "retry: 1000\n\n".to_string();
            return Some((Ok::<_, std::convert::Infallible>(greeting), listener));
        }
        let Listener { server, pass, events, .. } = &mut listener;
        let batch = tokio::select! {
            batch = timeout(PING_EVERY, events.next_batch(BATCH)) => batch,
            () = pass.over(server) => return None,
            () = server.closed() => return None,
        };
        let Ok(batch) = batch else { return Some((Ok(":\n\n".to_string()), listener)) };
        let mut lines = String::new();
        for delivery in batch {
            match delivery {
                Delivery::Event(event) => {
                    lines.push_str("data: ");
                    lines.push_str(&event.json);
                    lines.push_str("\n\n");
                }
                Delivery::Resync { missed } => {
                    lines.push_str(&format!("data: {}\n\n", json!({"event": "resync", "missed": missed})));
                }
            }
        }
        Some((Ok(lines), listener))
    });
    let mut response = Response::new(Body::from_stream(stream));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

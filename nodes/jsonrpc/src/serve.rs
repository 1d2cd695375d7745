//! One connection to the node: HTTP (`GET /`, `POST /jsonrpc`) until it becomes a WebSocket (`GET /ws`).
//!
//! Whatever carries the bytes calls [`Connection::push`] with what came, takes each request from [`Connection::next_request`],
//! gives its answer to [`Connection::answer`], and sends what [`Connection::take_output`] holds. With a token, nothing but the
//! refusal is said to who does not show it.

use crate::http::{self, Head};
use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use wire::jsonrpc::{REQUEST_BYTES, SUBPROTOCOL};
use wire::websocket::{Frame, Frames, Outgoing, Role, accept, encode};

const PAGE: &str = "<!doctype html><html lang=\"en\"><title>DWN node</title><p>A DWN node: \
    <code>POST /jsonrpc</code>, WebSocket at <code>/ws</code>.";

#[derive(Debug)]
enum Speech {
    Http,
    /// A request has been taken; its answer is due before the next.
    Answering,
    WebSocket(Frames),
}

/// The node's end of one connection.
#[derive(Debug)]
pub struct Connection {
    token: Option<String>,
    speech: Speech,
    held: Vec<u8>,
    requests: VecDeque<String>,
    output: Vec<u8>,
    /// The request that is being handled is the last.
    is_last: bool,
    is_over: bool,
}

impl Connection {
    /// A connection that has just been accepted; with a token, who calls must show it.
    pub fn new(token: Option<String>) -> Connection {
        Connection {
            token,
            speech: Speech::Http,
            held: Vec::new(),
            requests: VecDeque::new(),
            output: Vec::new(),
            is_last: false,
            is_over: false,
        }
    }

    /// Takes bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.is_over {
            return;
        }
        match &self.speech {
            Speech::WebSocket(_) => self.frames(bytes),
            _ => {
                self.held.extend_from_slice(bytes);
                if self.held.len() > http::HEAD_BYTES + REQUEST_BYTES {
                    self.refuse(413);
                }
            }
        }
    }

    /// The next request; its answer must be given before the one after it comes.
    pub fn next_request(&mut self) -> Option<String> {
        while !self.is_over && matches!(self.speech, Speech::Http) && !self.held.is_empty() {
            match self.http() {
                Ok(true) => {}
                Ok(false) => break,
                Err(status) => self.refuse(status),
            }
        }
        self.requests.pop_front()
    }

    /// Answers the request that was taken last.
    pub fn answer(&mut self, text: &str) {
        match self.speech {
            Speech::WebSocket(_) => self.output.extend(encode(Outgoing::Text(text), None)),
            _ => {
                self.speech = Speech::Http;
                self.output.extend(http::answer(200, "application/json", text, self.is_last));
                self.is_over = self.is_last;
            }
        }
    }

    /// Tells something, if whoever is connected listens.
    pub fn tell(&mut self, text: &str) {
        if self.is_listening() {
            self.output.extend(encode(Outgoing::Text(text), None));
        }
    }

    /// Whether it has become a WebSocket.
    pub fn is_listening(&self) -> bool {
        matches!(self.speech, Speech::WebSocket(_)) && !self.is_over
    }

    /// What is to be sent.
    pub fn take_output(&mut self) -> Vec<u8> {
        core::mem::take(&mut self.output)
    }

    /// Whether the connection is to be closed once the output is sent.
    pub fn is_over(&self) -> bool {
        self.is_over
    }

    fn refuse(&mut self, status: u16) {
        self.output.extend(http::answer(status, "text/plain", "", true));
        self.is_over = true;
        self.held = Vec::new();
    }

    /// Handles one request; `false` when it is not whole yet.
    fn http(&mut self) -> Result<bool, u16> {
        let Some(head) = Head::read(&self.held)? else { return Ok(false) };
        if self.token.as_ref().is_some_and(|token| !head.has_token(token)) {
            return Err(401);
        }
        let [method, path, _] = &head.first;
        let length = match (head.header("content-length"), head.header("transfer-encoding")) {
            (_, Some(_)) => return Err(411),
            (Some(length), None) => length.parse::<usize>().map_err(|_| 400_u16)?,
            (None, None) if method == "POST" => return Err(411),
            (None, None) => 0,
        };
        if length > REQUEST_BYTES {
            return Err(413);
        }
        let whole = head.len + length;
        let Some(body) = self.held.get(head.len..whole) else { return Ok(false) };
        let body = String::from_utf8(body.to_vec()).map_err(|_| 400_u16)?;
        self.is_last = head.lists("connection", "close");
        match (method.as_str(), path.as_str()) {
            ("POST", "/jsonrpc") => {
                self.speech = Speech::Answering;
                self.requests.push_back(body);
            }
            ("GET", "/") => {
                self.output.extend(http::answer(200, "text/html", PAGE, self.is_last));
                self.is_over = self.is_last;
            }
            ("GET", "/ws") => {
                self.upgrade(&head)?;
                let rest = self.held.split_off(whole);
                self.held = Vec::new();
                self.frames(&rest);
                return Ok(true);
            }
            (_, "/" | "/jsonrpc" | "/ws") => return Err(405),
            _ => return Err(404),
        }
        self.held.drain(..whole);
        Ok(true)
    }

    fn upgrade(&mut self, head: &Head) -> Result<(), u16> {
        let is_upgrade = head.lists("connection", "upgrade") && head.lists("upgrade", "websocket");
        if !is_upgrade || head.header("sec-websocket-version") != Some("13") {
            return Err(426);
        }
        let key = head.header("sec-websocket-key").filter(|key| key.len() == 24).ok_or(400_u16)?;
        let protocol = match head.lists("sec-websocket-protocol", SUBPROTOCOL) {
            true => format!("Sec-WebSocket-Protocol: {SUBPROTOCOL}\r\n"),
            false => String::new(),
        };
        let switch = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{protocol}Sec-WebSocket-Accept: {}\r\n\r\n",
            accept(key)
        );
        self.output.extend(switch.into_bytes());
        self.speech = Speech::WebSocket(Frames::new(Role::Server, REQUEST_BYTES));
        Ok(())
    }

    fn frames(&mut self, bytes: &[u8]) {
        let Speech::WebSocket(frames) = &mut self.speech else { return };
        let (output, requests, is_over) = (&mut self.output, &mut self.requests, &mut self.is_over);
        let pushed = frames.push(bytes, |frame| match frame {
            _ if *is_over => {}
            Frame::Text(text) => requests.push_back(text.to_string()),
            Frame::Ping(content) => output.extend(encode(Outgoing::Pong(&content), None)),
            Frame::Close(status) => {
                output.extend(encode(Outgoing::Close(status.unwrap_or(1000)), None));
                *is_over = true;
            }
            Frame::Binary(_) | Frame::Pong => {}
        });
        if let Err(broken) = pushed {
            self.output.extend(encode(Outgoing::Close(broken.status()), None));
            self.is_over = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALL: &str = "POST /jsonrpc HTTP/1.1\r\nHost: node\r\nContent-Length: 4\r\n\r\nbody";
    const UPGRADE: &str = "GET /ws HTTP/1.1\r\nHost: node\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: jsonrpc\r\n\r\n";

    /// Everything that comes of some bytes: requests (each answered by "ok") and output.
    fn run(connection: &mut Connection, bytes: &[u8]) -> (Vec<String>, String) {
        let mut requests = Vec::new();
        connection.push(bytes);
        while let Some(request) = connection.next_request() {
            requests.push(request);
            connection.answer("ok");
        }
        (requests, String::from_utf8_lossy(&connection.take_output()).into_owned())
    }

    #[test]
    fn requests_are_the_same_however_cut() {
        let twice = format!("{CALL}{CALL}");
        let whole = run(&mut Connection::new(None), twice.as_bytes());
        assert_eq!(whole.0, ["body", "body"]);
        for cut in 0..=twice.len() {
            let mut connection = Connection::new(None);
            let (mut requests, mut output) = run(&mut connection, &twice.as_bytes()[..cut]);
            let (more, rest) = run(&mut connection, &twice.as_bytes()[cut..]);
            requests.extend(more);
            output.push_str(&rest);
            assert_eq!((requests, output), whole, "cut at {cut}");
        }
    }

    #[test]
    fn a_connection_that_is_to_be_closed_is_closed_after_the_answer() {
        let mut connection = Connection::new(None);
        let (requests, output) =
            run(&mut connection, CALL.replace("Host", "Connection: close\r\nHost").as_bytes());
        assert_eq!(
            (requests.len(), output.contains("Connection: close"), connection.is_over()),
            (1, true, true)
        );
    }

    #[test]
    fn a_websocket_asks_and_is_told() {
        let mut connection = Connection::new(None);
        let (_, output) = run(&mut connection, UPGRADE.as_bytes());
        assert!(
            output.starts_with("HTTP/1.1 101")
                && output.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
                && output.contains("Protocol: jsonrpc")
        );
        connection.tell("news");
        assert_eq!(connection.take_output(), b"\x81\x04news");
        let (requests, output) = run(&mut connection, &encode(Outgoing::Text("ask"), Some([1; 4])));
        assert_eq!((requests.as_slice(), output.ends_with("\u{2}ok")), (&["ask".to_string()][..], true));
        run(&mut connection, &encode(Outgoing::Close(1000), Some([1; 4])));
        assert!(connection.is_over());
    }

    #[test]
    fn nobody_without_the_token_gets_in() {
        let with = |token: &str| CALL.replace("Host", &format!("Authorization: Bearer {token}\r\nHost"));
        for (request, is_in) in [
            (CALL.to_string(), false),
            (with("secre"), false),
            (with("secrets"), false),
            (with("secret"), true),
        ] {
            let mut connection = Connection::new(Some("secret".into()));
            let (requests, output) = run(&mut connection, request.as_bytes());
            assert_eq!((requests.len() == 1, output.contains(" 401 ")), (is_in, !is_in), "{request}");
        }
    }

    #[test]
    fn hostile_requests_are_refused_and_the_connection_ends() {
        let long = "x".repeat(http::HEAD_BYTES * 2);
        for (request, status) in [
            ("nonsense\r\n\r\n".to_string(), "400"),
            ("GET / HTTP/1.1\r\nno colon\r\n\r\n".into(), "400"),
            ("GET /no HTTP/1.1\r\n\r\n".into(), "404"),
            ("PUT / HTTP/1.1\r\n\r\n".into(), "405"),
            ("POST /jsonrpc HTTP/1.1\r\n\r\n".into(), "411"),
            ("POST /jsonrpc HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n".into(), "411"),
            ("POST /jsonrpc HTTP/1.1\r\nContent-Length: 99999\r\n\r\n".into(), "413"),
            ("POST /jsonrpc HTTP/1.1\r\nContent-Length: -1\r\n\r\n".into(), "400"),
            (format!("GET /{long}"), "431"),
            ("GET /ws HTTP/1.1\r\n\r\n".into(), "426"),
        ] {
            let mut connection = Connection::new(None);
            let (_, output) = run(&mut connection, request.as_bytes());
            assert!(
                output.starts_with(&format!("HTTP/1.1 {status}")) && connection.is_over(),
                "{request:.40}: {output}"
            );
        }
    }
}
